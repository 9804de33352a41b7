/* What this version can enforce. */
#pragma once

#include "policy/document.h"
#include "policy/policy.h"

/* Notes a problem for everything that POLICY grants or limits, and that no part of the
 * program would act upon. What grants nothing (an empty list) passes. */
void support_check(struct document *document, const struct policy *policy);
