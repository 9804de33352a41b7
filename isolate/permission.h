/* What the tenant was granted, as its own process knows it. It decides nothing: the
 * kernel, the supervisor and the egress process do. It explains what they refused, tells
 * the supervisor of it, and answers process.permission. */
#pragma once

#include "common/protocol.h"

#include <limits.h>

/* Tells the supervisor (MESSAGE_AUDIT) of a decision that this process saw, if the policy
 * wants to know. The same within some seconds is told once, and only so many a second;
 * never blocks. Main thread only. */
void permission_audit(enum audit_permission permission, enum audit_layer layer, bool allowed,
	const char *resource);

/* The layer that answers a file operation with the positive ERROR. */
enum audit_layer permission_file_layer(int error);

/* Where the absolute PATH leads: normalised, with the symbolic links that can be seen
 * followed, the last one only with FOLLOW. What is missing is appended as it is written.
 * Returns 0, -ELOOP or -ENAMETOOLONG. */
int permission_resolve(const char *path, bool follow, char resolved[PATH_MAX]);

/* Does a grant (the release and /tmp included) that was not dropped cover the absolute
 * path RESOLVED? */
bool permission_file(const char *resolved, bool write);
