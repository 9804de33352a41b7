/* A job: one program of the host, any program, in a sandbox of its own. tenant-launcher
 * forks a process for it, which is process 1 of the job: it builds the root, confines
 * itself, starts the program and watches over it. When it ends, everything ends that the
 * program has left behind. common/protocol.h says what it is told and tells. */
#pragma once

#include "common/error.h"

#include <stdint.h>

/* The system calls that a job may make; made once, before the first fork. */
struct job_filter;
int job_filter_build(struct job_filter **ret_filter, struct error *error);
struct job_filter *job_filter_free(struct job_filter *filter);

/* The life of process 1, from the fork on: in its namespaces and cgroup, root in its user
 * namespace, with the host's files before it (sandbox_spawn, no sandbox_small_root).
 * CHANNEL is the supervisor's. */
_Noreturn void job_main(int channel, uint32_t instance, const struct job_filter *filter);

/* Folders in which a program without a path is looked for, "a:b:c"; also the program's PATH
 * when its environment names none. */
#define JOB_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define JOB_HOME "/tmp/home"
#define JOB_SECRETS "/run/secrets" /* its CREDENTIALS_DIRECTORY */

/* Exit codes: of a shell, timeout(1) and env(1). */
#define JOB_EXIT_TIME_LIMIT 124
#define JOB_EXIT_FAILED 125
#define JOB_EXIT_NOT_RUNNABLE 126
#define JOB_EXIT_NOT_FOUND 127
