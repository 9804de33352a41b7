/* The soft limits of tenant.json: an instance that has passed one is replaced, and drains,
 * before its size or its age does harm. Hard limits (the policy's) kill. */
#pragma once

#include "daemon/instance.h"

/* About once a second: has it replaced in its fleet, if it has passed one. */
void retire_look(struct instance *instance);

/* What INSTANCE has passed, as "requests 100000" in TEXT; false: nothing yet, or it has no
 * soft limits. */
#define RETIRE_TEXT_MAX 64
bool retire_due(const struct instance *instance, char text[RETIRE_TEXT_MAX]);
