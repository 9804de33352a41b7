/* Running a piece of a test in a process that the sandbox made. The process is a child
 * of the test's (as a worker is the supervisor's); a short-lived process between them
 * plays the zygote. */
#pragma once

#include "common/error.h"
#include "sandbox/sandbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFINED_UID 7 /* inside */
#define CONFINED_UID_BASE 0x20000000u
#define CONFINED_UID_COUNT 65536u
#define CONFINED_CHANNEL 60 /* its descriptor of the supervisor's channel */

/* What the confined process tells: in a page that it shares with the test, so that it
 * can do so whatever it may no longer do. */
struct report {
	int set; /* the body came to its end */
	long value;
	int code; /* an errno */
	long more[8];
	char text[512];
	struct error error; /* of the step that failed */
};

struct confine {
	bool prepare, enter, seal; /* which of the three to call */
	uint32_t skip;             /* steps of enter left out */
	bool jitless;
	int release;     /* mount descriptor, 0: none */
	const int *keep; /* further descriptors for the tenant, ascending */
	size_t keep_count;
	uint32_t files;     /* 0: 64 */
	int standard_input; /* put at descriptor 0 first; 0: /dev/null */
	int cgroup_v2;      /* 0: none */
	const int *cgroup_procs;
	size_t cgroup_procs_count;
	bool small_root; /* the zygote calls sandbox_small_root first */
};

typedef void confined_body(struct report *report, void *argument);

/* Returns the wait status of the confined process (WIFEXITED with 0 when BODY ran), or a
 * negative errno when it could not be made; report->error says why. */
int confined_run(
	const struct confine *confine, confined_body *body, void *argument, struct report *report);

/* The same in a plain forked process, without any sandbox. */
int unconfined_run(confined_body *body, void *argument, struct report *report);

/* NULL, or why the sandbox cannot be tried here. */
const char *confined_unavailable(void);
