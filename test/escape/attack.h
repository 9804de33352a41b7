/* What an attacker does who runs machine code in a tenant's process: V8 is taken as
 * already broken. Raw system calls only, no C library in between that could refuse.
 *
 * Each attack is tried unconfined, where it must succeed (else it proves nothing), and
 * confined, where it must fail with an error that a policy gives. The numbers E01… are
 * classes of known escapes (CVEs), see the comments in attack.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What the attacker aims at; the test sets it up. */
struct attack_target {
	const char *outside_file;  /* a readable file of the host */
	const char *folder;        /* where the attacker's own files are; holds the file
				      "file" and the executable garbage "program" */
	const char *abstract_name; /* of a listening unix socket, without the NUL */
	const char *socket_path;   /* of another */
	int tcp_port;              /* on 127.0.0.1, somebody listens */
	int listener;              /* a listening TCP socket that was handed over, or -1 */
	int connected;             /* a connected TCP socket that was handed over, or -1 */
	int accomplice;            /* a unix socket; a descriptor of "/" waits in it, or -1 */
	/* What is granted, see attack_grants.c; where nothing is, these are not there. */
	const char *read_folder, *write_folder, *read_file;
	pid_t victim;       /* a process outside, as the test sees its pid */
	const int *granted; /* descriptors that are meant to be there, besides 0-2 */
	size_t granted_count;
};

enum attack_flag {
	/* Not harmless, or impossible, without a sandbox: no control run. */
	ATTACK_NO_CONTROL = 1 << 0,
	/* Only seccomp stands against it: whoever takes that layer away sees it succeed. */
	ATTACK_SECCOMP_ONLY = 1 << 1,
	/* Is forbidden only where no JIT is allowed. */
	ATTACK_JITLESS = 1 << 2,
	/* Any error but a policy's means that it reached the kernel's code: a bad pointer
	 * or descriptor is given on purpose. */
	ATTACK_PROBE = 1 << 3,
	/* A call that tenants may make who were granted files to write: harmless, as far as
	 * mounts and Landlock hold, which other attacks try. */
	ATTACK_FILES = 1 << 4,
	/* Only mounts, or only Landlock, stand against it (as ATTACK_SECCOMP_ONLY). */
	ATTACK_MOUNTS_ONLY = 1 << 5,
	ATTACK_LANDLOCK_ONLY = 1 << 6,
	/* A job may do that: it is a program among its own processes, in a network of its own. */
	ATTACK_JOB = 1 << 7,
};

struct attack {
	const char *id;
	const char *name;
	long (*act)(const struct attack_target *target); /* -1 and errno, or what it got */
	unsigned flags;
	long number; /* instead of ACT */
	long arguments[6];
};

extern const struct attack attacks[];
extern const size_t attack_count;

/* Returns 1 when the attack succeeded and 0 when it was blocked; *RET_CODE is the errno.
 * May end the process (a signal, an exec), which a test must count by hand. */
int attack_run(const struct attack *attack, const struct attack_target *target, int *ret_code);

/* True for errors that a policy gives, as opposed to those of code that was reached. */
bool attack_is_policy_error(int code);
