/* The inspector of a worker: the operator's debugger speaks with it over a stream socket of
 * its own, which MESSAGE_INSPECT brings. On it go messages of the Chrome DevTools protocol, each
 * behind its length (uint32_t, of the host's byte order); one without bytes ends the session.
 *
 * A thread reads, so that a program that never returns to its loop can be paused. Main thread
 * only: threads of the program (node:worker_threads) are not inspected. */
#pragma once

#include <stdbool.h>

#define INSPECT_MESSAGE_MAX (16u << 20) /* that a debugger sends */
/* How long a debugger may keep the program from going on by not reading. */
#define INSPECT_WRITE_MS 30000

/* When the library is there, before the fork. */
void inspect_bind(void);
/* Listens for MESSAGE_INSPECT. */
void inspect_watch(void);

/* Before the program begins: waits for MESSAGE_INSPECT; with BREAK also until the debugger lets
 * it begin. */
void inspect_wait(bool wait_for_debugger);

/* A debugger is there: the time that things take says nothing. Async-signal-safe. */
bool inspect_active(void);
