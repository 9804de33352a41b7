/* The steps of a job's confinement and life, one function each: what job.c puts in order
 * and what the tests try one at a time. Private to sandbox/ and its tests. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
#include "sandbox/job.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Descriptors of process 1. */
enum { JOB_FD_CHANNEL = 3, JOB_FD_EGRESS, JOB_FD_PROXY, JOB_FD_COUNT };

/* ---- job_programs.c: which files may be executed ---- */

#define JOB_PROGRAMS_MAX 1024

/* A program, a folder of them, or an interpreter of one. */
struct job_program {
	char *path; /* as granted */
	char *real; /* where that leads to, without symbolic links */
	bool folder;
	int mount; /* of it; -1: a grant brings it */
};

/* What there is at a path of the host. */
struct job_found {
	int mount; /* its new owner's */
	char real[PATH_MAX];
};
/* Goes to PATH, for one who can tell whose links lead there (sandbox_program_mount): 1 and
 * *RET_FOUND, 0 when there is nothing that may be taken, or a negative errno. */
typedef int job_find_fn(
	void *data, const char *path, struct job_found *ret_found, struct error *error);

struct job_programs {
	const struct worker_start *start; /* whose grants say what the tenant may write */
	job_find_fn *find;
	void *data; /* of FIND */
	struct job_program items[JOB_PROGRAMS_MAX];
	size_t count;
};

/* The granted programs that FIND finds, and what these cannot run without: the interpreters
 * of scripts ("#!", and what env(1) finds for them) and the loaders of ELF files. What it does
 * not find, because a tenant's symbolic link leads there, is a program only if it lies in the
 * job's own grants, which bring it. An interpreter must be a program, and no folder. */
int job_programs_find(const struct worker_start *start, job_find_fn *find, void *data,
	struct job_programs *ret_programs, struct error *error);
void job_programs_clear(struct job_programs *programs);
/* Is PATH, without symbolic links, granted by START? With WRITE: for writing. */
bool job_has_grant(const struct worker_start *start, const char *path, bool write);

/* The interpreter that the first LENGTH bytes of a file name, after "#!" (PROGRAM, and in
 * ARGUMENT its argument or ""), or as an ELF file's PT_INTERP. False when there is none. */
bool job_interpreter_of_script(
	const char *head, size_t length, char program[256], char argument[256]);

/* ---- job_root.c: what the program sees ---- */

/* Builds the root and goes there: libraries, PROGRAMS, the grants' mounts (MOUNTS, in the
 * order of START's grants), the release's mount (-1: none) at /app, /proc, /dev, /etc, /tmp.
 * Everything of the host that is not among them is gone. */
int job_root_enter(const struct worker_start *start, const struct job_programs *programs,
	int release, const int *mounts, struct error *error);

/* ---- job_proc.c ---- */

/* /proc below ROOT, of the own processes. While the old root is there: the kernel lets an
 * unprivileged user namespace have one only where one can be seen already. */
int job_mount_proc(int root, struct error *error);

/* ---- job_etc.c ---- */

/* The few files of /etc that programs cannot do without, made new, below ROOT. */
int job_etc_write(int root, const struct worker_start *start, struct error *error);
/* The policy's secrets, each as a file that only the tenant's user may read, in JOB_SECRETS:
 * an environment would be there for every program that the program runs. */
int job_secrets_write(int root, const struct worker_start *start, struct error *error);

/* ---- job_ask.c ---- */

/* A job_find_fn; DATA is the struct job, whose supervisor is asked. What else that says
 * meanwhile is kept: signals, another channel to egress. */
int job_ask(void *data, const char *path, struct job_found *ret_found, struct error *error);

/* ---- job_landlock.c ---- */

/* Executing is granted for PROGRAMS, reading for what the root holds, writing for what is
 * granted, /tmp and five devices; everything else that Landlock knows about files is denied.
 * After job_root_enter. */
int job_landlock_restrict(
	const struct worker_start *start, const struct job_programs *programs, struct error *error);

/* ---- job_network.c ---- */

/* The own network namespace's loopback interface. */
int job_network_up(struct error *error);
/* A listening socket on 127.0.0.1; *RET_PORT is its port. */
int job_proxy_listen(uint16_t *ret_port, struct error *error);
/* Asks egress, at the other end of CHANNEL, to serve PROXY. */
int job_proxy_send(int channel, int proxy, struct error *error);

/* ---- job_environment.c ---- */

/* The program's environment: START's, and where that does not name them, what programs
 * expect everywhere (HOME, PATH, USER, …), and the proxy's address (PORT, 0: there is none).
 * NULL-terminated; lives as long as START. */
char **job_environment(const struct worker_start *start, uint16_t proxy_port, struct error *error);

/* ---- job_filter.c ---- */

/* Loads the filter for the caller's thread. LISTENER: what is forbidden is told to a
 * descriptor, which is returned, and whose owner answers; where the kernel cannot, and
 * without LISTENER, it fails with EPERM and the result is -1. < -1: a negative errno. */
int job_filter_load(const struct job_filter *filter, bool listener, struct error *error);
/* Refuses sockets of AF_UNIX (EACCES), for the caller's thread: Landlock before ABI 9 (Linux
 * 7.1) does not see who connects to one in a granted folder, and what listens there (a
 * docker.sock) is outside. Pairs of sockets stay. */
int job_filter_refuse_unix(struct error *error);
/* The call's name, "" when it has none. */
void job_filter_name(int call, char name[64]);

/* ---- job_init.c: the life of process 1 ---- */

struct job {
	uint32_t instance;
	int channel, egress, proxy;
	uint16_t proxy_port;
	const struct job_filter *filter;
	const struct worker_start *start;
	char **environment;
	uint64_t signals; /* that came before there was a program: bit N - 1 */
};

/* Starts the program and stays until it has ended. */
_Noreturn void job_run(struct job *job);
/* Tells the supervisor how it ended, and exits. FAILED before READY, else EXITING. */
_Noreturn void job_end(
	const struct job *job, bool failed, enum worker_reason reason, int code, const char *text);

/* ---- job_notify.c ---- */

/* Answers one notification of the descriptor LISTENER with EPERM, and tells the supervisor
 * (not too often) which call was refused. False when the listener is of no more use: without
 * it forbidden calls fail with ENOSYS. */
bool job_notify_answer(const struct job *job, int listener);
