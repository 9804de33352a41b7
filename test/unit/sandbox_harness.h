/* Running a piece of a test in a process that the sandbox made. The process is a child
 * of the test's (as a worker is the supervisor's); a short-lived process between them
 * plays the zygote. */
#pragma once

#include "common/error.h"
#include "common/protocol.h"
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
	size_t audit_count; /* what the supervisor was told meanwhile */
	struct message_audit audits[32];
};

struct confine {
	enum tier tier;            /* TIER_NONE: full */
	bool prepare, enter, seal; /* which of the three to call */
	uint32_t skip;             /* steps of enter left out */
	bool jitless;
	int release;           /* mount descriptor, 0: none. Tier container: of the folder */
	const char *root;      /* tier container: its path */
	uint64_t memory_bytes; /* tier container, as the next one */
	uint32_t threads;
	const int *keep; /* further descriptors for the tenant, ascending */
	size_t keep_count;
	uint32_t files;     /* 0: 64 */
	int standard_input; /* put at descriptor 0 first; 0: /dev/null */
	int cgroup_v2;      /* 0: none */
	const int *cgroup_procs;
	size_t cgroup_procs_count;
	const struct sandbox_grant *grants;
	size_t grant_count;
	uint64_t tmp_bytes;
	enum sandbox_files file_calls; /* of the filter, as these three */
	bool network;
	bool violations; /* are told */
	bool small_root; /* the zygote calls sandbox_small_root first */
	uint64_t share;  /* namespaces left out: sandbox_spawn.share */
	uint32_t uid;    /* 0: CONFINED_UID */
};

typedef void confined_body(struct report *report, void *argument);

/* Returns the wait status of the confined process (WIFEXITED with 0 when BODY ran), or a
 * negative errno when it could not be made; report->error says why. */
int confined_run(
	const struct confine *confine, confined_body *body, void *argument, struct report *report);

/* In the confined process: what it entered with. */
const struct sandbox_enter *confined_enter(void);

/* The same in a plain forked process, without any sandbox. */
int unconfined_run(confined_body *body, void *argument, struct report *report);

/* NULL, or why the sandbox cannot be tried here. */
const char *confined_unavailable(void);
