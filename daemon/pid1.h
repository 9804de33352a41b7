/* What falls to a daemon because it may be the first process of a container: orphans are its
 * children, and no signal does anything to it that it did not ask for (pid_namespaces(7)).
 * Elsewhere it becomes the one to whom the orphans among its descendants are given, so that
 * it can reap them just the same. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

/* Becomes the reaper of its descendants. Not being able to is not fatal: -errno. */
int pid1_adopt(struct error *error);

/* Is PID a child that somebody else waits for, or may it yet turn out to be one? */
typedef bool pid1_known_fn(void *data, pid_t pid);

struct pid1_reaper;
/* Reaps every other child that ends, in the loop's idle time: whoever waits for one by its
 * pidfd comes first. -errno. */
int pid1_reap(sd_event *event, pid1_known_fn *known, void *data, struct pid1_reaper **ret_reaper);
/* Takes NULL, returns NULL. */
struct pid1_reaper *pid1_reaper_free(struct pid1_reaper *reaper);

/* Calls HANDLER for each signal that a process can be sent, so that none has an effect of
 * its own. But for those of pid1_is_left_alone. -errno. */
int pid1_signals(sd_event *event, sd_event_signal_handler_t handler, void *data);
/* SIGKILL and SIGSTOP; SIGTSTP, which a terminal's job control needs; SIGCHLD (pid1_reap); SIGPIPE,
 * which is ignored, and comes from our own writes; what the kernel sends for a fault (SEGV, BUS,
 * FPE, ILL, TRAP, ABRT, SYS), because a process that goes on after one does not know what it does;
 * 32 and 33, the C library's. */
bool pid1_is_left_alone(int number);
