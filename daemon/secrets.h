/* The secrets that a policy names (env.secrets): read when an instance starts, handed to
 * it in START, and kept only to be left out of what it writes. Where they are looked for:
 *
 *   FOLDER/TENANT/NAME                 the operator's files (--secrets-dir): the file and
 *                                      its folders are the daemon's user's, and nobody
 *                                      else may read the file or change any of them
 *   $CREDENTIALS_DIRECTORY/tenantd.TENANT.NAME, then
 *   $CREDENTIALS_DIRECTORY/TENANT.NAME systemd credentials (systemd.exec(5))
 *   $CREDENTIALS_DIRECTORY/NAME
 *
 * One newline at the end is cut off. A restart reads anew: so are secrets rotated. */
#pragma once

#include "common/error.h"
#include "policy/policy.h"

#include <stddef.h>

#define SECRET_LENGTH_MAX (32 * 1024)
#define SECRETS_BYTES_MAX (64 * 1024) /* of one tenant, names included */
#define SECRET_REDACT_LEAST 4         /* bytes: what is shorter stands in any text */
#define SECRETS_FOLDER_DEFAULT "/etc/tenantd/secrets"

struct secrets; /* immutable, counted */

/* Reads NAMES for TENANT. RET is NULL when there are none. The error says where was
 * looked, and why a file was refused; never a byte of it. */
int secrets_read(const char *folder, const char *tenant, const struct policy_list *names,
	struct secrets **ret_secrets, struct error *error);

/* Those of an instance that was started by an earlier daemon: DATA holds "NAME=value" of each,
 * one after the other, each with its NUL. *RET is NULL when there are none. */
int secrets_restore(
	const char *data, size_t length, struct secrets **ret_secrets, struct error *error);

/* "NAME=value" of each. Valid as long as SECRETS, which may be NULL. */
size_t secrets_count(const struct secrets *secrets);
const char *secrets_entry(const struct secrets *secrets, size_t index);

/* One more owner; one less: the last one wipes the memory. Both take NULL. */
struct secrets *secrets_share(struct secrets *secrets);
struct secrets *secrets_free(struct secrets *secrets);

/* Replaces each value in TEXT (LENGTH bytes) by ***, in place. A value of several lines is
 * looked for line by line, since so it arrives. Returns the new length, never a greater
 * one. SECRETS may be NULL. */
size_t secrets_redact(const struct secrets *secrets, char *text, size_t length);
/* The same for a string. */
void secrets_redact_string(const struct secrets *secrets, char *text);

/* How many bytes at the beginning of TEXT can be redacted and passed on now, when more of
 * the same line is to come: behind them a value may have begun. At least LENGTH minus
 * SECRET_PIECE_MAX. */
#define SECRET_PIECE_MAX 256
size_t secrets_safe_length(const struct secrets *secrets, const char *text, size_t length);
