/* What deploy and rollback have in common: a release becomes the live one, or does not. */
#pragma once

#include "ctl/command.h"

#include <jansson.h>
#include <stdint.h>

/* Sends REQUEST (taken) with the archive FD (-1: none), shows what the new release writes
 * meanwhile, and prints what came of it; BEGIN_NS is when the command began. Returns the exit
 * code. */
int outcome_run(const struct invocation *invocation, json_t *request, int fd, uint64_t begin_ns);

/* Puts -m, --wait and --min-healthy into REQUEST. Returns 0 or an exit code. */
int outcome_put_options(const struct invocation *invocation, json_t *request);
/* A number from LEAST to MOST of option ID as KEY, if it was given. Returns 0 or an exit code. */
int outcome_put_number(const struct invocation *invocation, json_t *request, enum option_id id,
	const char *key, json_int_t least, json_int_t most);
