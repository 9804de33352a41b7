/* What start, stop and restart have in common. */
#pragma once

#include "ctl/command.h"

/* Sends VERB for the tenant that INVOCATION names, waits as its options say, and prints
 * in which state the tenant is now. Returns the exit code. */
int transition_run(const struct invocation *invocation, const char *verb);
