/* What the halves of `tenantd run` have in common: options (run_single_options.c), and the
 * run itself (run_single.c). */
#pragma once

#include "common/error.h"
#include "common/tier.h"
#include "daemon/run_output.h"
#include "policy/policy.h"

#include <stdint.h>

#define RUN_PORT_DEFAULT 8080

struct run_options {
	const char *path; /* file or folder */
	const char *const *arguments;
	size_t argument_count;
	const char *name; /* of the tenant */
	const char *policy_file, *policy_folder, *secrets_folder;
	const char *runtime, *resolv_conf, *hosts, *ca_file;
	enum tier tier; /* TIER_NONE: the best that there is */
	enum run_format format;
	uint32_t uid_base, uid_count;
	uint64_t grace_ms; /* UINT64_MAX: as tenant.json says */
};

/* Returns 0, 1 when all is done (--help), negative on wrong usage, which is reported. */
int run_options_parse(int argc, char **argv, struct run_options *options);

/* The policy that OPTIONS name, or the default one; and the port of the environment ($PORT).
 * RET_FILE (256 bytes): where it is from. */
int run_options_policy(const struct run_options *options, struct policy **ret_policy,
	char ret_file[256], struct error *error);
