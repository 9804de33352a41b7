#include "daemon/secrets.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PIECES_MAX 2048
#define HEAD 4 /* bytes that the table is looked up by: SECRET_REDACT_LEAST of them are there */
#define BUCKETS 512

/* A part of a value without line breaks, as it may stand in a line of a log. */
struct piece {
	const char *text; /* in an entry */
	uint16_t length;  /* HEAD to SECRET_PIECE_MAX */
	uint16_t next;    /* in its bucket: index + 1 */
};

struct secrets {
	unsigned owners;
	size_t count;
	char *entries[POLICY_LIST_MAX]; /* "NAME=value" */
	size_t piece_count;
	uint16_t buckets[BUCKETS]; /* index + 1 */
	struct piece pieces[PIECES_MAX];
};

size_t secrets_count(const struct secrets *secrets)
{
	return secrets ? secrets->count : 0;
}

const char *secrets_entry(const struct secrets *secrets, size_t index)
{
	return secrets->entries[index];
}

struct secrets *secrets_share(struct secrets *secrets)
{
	if (secrets)
		secrets->owners++;
	return secrets;
}

struct secrets *secrets_free(struct secrets *secrets)
{
	if (secrets == NULL || --secrets->owners > 0)
		return NULL;
	for (size_t i = 0; i < secrets->count; i++) {
		explicit_bzero(secrets->entries[i], strlen(secrets->entries[i]));
		free(secrets->entries[i]);
	}
	free(secrets);
	return NULL;
}

/* ---- reading ---- */

/* NAME below FOLDER: no link anywhere on the way, and nothing outside. */
static int open_beneath(int folder, const char *name, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
	if (fd >= 0)
		return fd;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	/* Names hold no slash, so that O_NOFOLLOW says the same. */
	fd = openat(folder, name, (int)how.flags | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* A folder that somebody else may write to can be exchanged as a whole. */
static int check_folder(int fd, const char *path, struct error *error)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot look at %s", path);
	if (status.st_uid != geteuid())
		return error_set(error, EPERM,
			"%s belongs to user %u, and must belong to tenantd's (%u): chown it", path,
			status.st_uid, geteuid());
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(error, EPERM,
			"%s can be written by others than its owner (mode %04o): chmod go-w it",
			path, status.st_mode & 07777);
	return 0;
}

static int check_file(int fd, const char *path, bool of_operator, struct error *error)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot look at %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s is not a regular file", path);
	/* What systemd gives is as systemd made it. */
	if (of_operator && status.st_uid != geteuid())
		return error_set(error, EPERM,
			"%s belongs to user %u, and must belong to tenantd's (%u): chown it", path,
			status.st_uid, geteuid());
	if (of_operator && (status.st_mode & (S_IRWXG | S_IRWXO)))
		return error_set(error, EPERM,
			"%s can be read or written by others than its owner (mode %04o): chmod "
			"0600 "
			"it",
			path, status.st_mode & 07777);
	return 0;
}

/* The content of FD as "NAME=content". */
static int read_entry(
	int fd, const char *path, const char *name, char **ret_entry, struct error *error)
{
	const size_t head = strlen(name) + 1;
	const size_t size = head + SECRET_LENGTH_MAX + 3;
	char *entry = malloc(size);
	if (entry == NULL)
		return error_set(error, ENOMEM, "no memory for a secret");
	size_t length = 0;
	ssize_t got = 0;
	do {
		got = read(fd, entry + head + length, size - head - length - 1);
		if (got > 0)
			length += (size_t)got;
	} while (length < SECRET_LENGTH_MAX + 2 && (got > 0 || (got < 0 && errno == EINTR)));
	int result = got < 0 ? error_errno(error, errno, "cannot read %s", path) : 0;
	if (result == 0 && length > 0 && entry[head + length - 1] == '\n')
		length--;
	if (result == 0 && length > SECRET_LENGTH_MAX)
		result = error_set(
			error, EFBIG, "%s is larger than %d bytes", path, SECRET_LENGTH_MAX);
	if (result == 0 && memchr(entry + head, '\0', length))
		result = error_set(error, EINVAL,
			"%s has a zero byte: a secret is text (write it as base64)", path);
	if (result == 0) {
		memcpy(entry, name, head - 1);
		entry[head - 1] = '=';
		entry[head + length] = '\0';
		*ret_entry = strdup(entry); /* of its own size */
		if (*ret_entry == NULL)
			result = error_set(error, ENOMEM, "no memory for a secret");
	}
	explicit_bzero(entry, size);
	free(entry);
	return result;
}

/* FOLDER/TENANT/NAME. -ENOENT when it is not there. */
static int read_file(const char *folder, const char *tenant, const char *name, char **ret_entry,
	struct error *error)
{
	char path[4096 + 512];
	cleanup_close int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 && errno == ENOENT)
		return -ENOENT;
	if (root < 0)
		return error_errno(error, errno, "cannot open %s", folder);
	snprintf(path, sizeof path, "%s/%s", folder, tenant);
	cleanup_close int own = open_beneath(root, tenant, O_DIRECTORY);
	if (own == -ENOENT)
		return -ENOENT;
	if (own < 0)
		return error_errno(error, own, "cannot open the folder %s%s", path,
			own == -ELOOP ? " (links are not followed)" : "");
	int result = check_folder(root, folder, error);
	if (result == 0)
		result = check_folder(own, path, error);
	if (result < 0)
		return result;
	snprintf(path, sizeof path, "%s/%s/%s", folder, tenant, name);
	cleanup_close int fd = open_beneath(own, name, 0);
	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_errno(error, fd, "cannot open %s%s", path,
			fd == -ELOOP ? " (links are not followed)" : "");
	result = check_file(fd, path, true, error);
	return result < 0 ? result : read_entry(fd, path, name, ret_entry, error);
}

/* A credential of the unit. systemd made the folder, and nobody else can write there. */
static int read_credential(
	const char *credential, const char *name, char **ret_entry, struct error *error)
{
	char path[4096];
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	if (folder == NULL || folder[0] != '/')
		return -ENOENT;
	snprintf(path, sizeof path, "%s/%s", folder, credential);
	cleanup_close int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(error, errno, "cannot open %s ($CREDENTIALS_DIRECTORY)", folder);
	cleanup_close int fd = open_beneath(root, credential, 0);
	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_errno(error, fd, "cannot open %s", path);
	int result = check_file(fd, path, false, error);
	return result < 0 ? result : read_entry(fd, path, name, ret_entry, error);
}

static int read_secret(const char *folder, const char *tenant, const char *name, char **ret_entry,
	struct error *error)
{
	/* With "tenantd." before it as ImportCredential=tenantd.* finds it among all of the
	 * machine's. */
	char imported[512];
	const char *own = imported + strlen("tenantd.");
	snprintf(imported, sizeof imported, "tenantd.%s.%s", tenant, name);
	int result = read_file(folder, tenant, name, ret_entry, error);
	if (result == -ENOENT)
		result = read_credential(imported, name, ret_entry, error);
	if (result == -ENOENT)
		result = read_credential(own, name, ret_entry, error);
	if (result == -ENOENT)
		result = read_credential(name, name, ret_entry, error);
	if (result != -ENOENT)
		return result;
	const bool credentials = getenv("CREDENTIALS_DIRECTORY") != NULL;
	return error_set(error, ENOKEY,
		"the secret %s (env.secrets) is not there: looked for %s/%s/%s%s%s%s%s%s", name,
		folder, tenant, name, credentials ? " and the systemd credentials [tenantd.]" : "",
		credentials ? own : "", credentials ? " and " : "", credentials ? name : "",
		credentials ? "" : " (tenantd was given no systemd credentials)");
}

/* ---- what is looked for ---- */

static uint32_t head_of(const char *text)
{
	uint32_t head;
	memcpy(&head, text, sizeof head);
	return head;
}

static size_t bucket_of(uint32_t head)
{
	return (head * UINT32_C(2654435761)) >> 23; /* 9 bits: BUCKETS */
}

static int add_piece(struct secrets *secrets, const char *text, size_t length, struct error *error)
{
	if (length < SECRET_REDACT_LEAST)
		return 0;
	uint16_t *bucket = &secrets->buckets[bucket_of(head_of(text))];
	for (size_t i = *bucket; i; i = secrets->pieces[i - 1].next)
		if (secrets->pieces[i - 1].length == length &&
			memcmp(secrets->pieces[i - 1].text, text, length) == 0)
			return 0;
	if (secrets->piece_count == PIECES_MAX)
		return error_set(error, E2BIG,
			"the secrets have more than %d lines together: they could not be kept out "
			"of "
			"the log",
			PIECES_MAX);
	secrets->pieces[secrets->piece_count++] =
		(struct piece){.text = text, .length = (uint16_t)length, .next = *bucket};
	*bucket = (uint16_t)secrets->piece_count;
	return 0;
}

/* One line of a value: in parts of a length that a line of the log can hold. The last two
 * share what is left, so that none is too short to be looked for. */
static int add_line(struct secrets *secrets, const char *line, size_t length, struct error *error)
{
	int result = 0;
	while (result == 0 && length > SECRET_PIECE_MAX) {
		size_t part = length >= 2 * SECRET_PIECE_MAX ? SECRET_PIECE_MAX : length / 2;
		result = add_piece(secrets, line, part, error);
		line += part;
		length -= part;
	}
	return result < 0 ? result : add_piece(secrets, line, length, error);
}

static int add_entry(struct secrets *secrets, char *entry, struct error *error)
{
	int result = 0;
	secrets->entries[secrets->count++] = entry;
	for (const char *line = strchr(entry, '=') + 1; result == 0 && *line;) {
		size_t length = strcspn(line, "\r\n");
		result = add_line(secrets, line, length, error);
		line += length;
		line += strspn(line, "\r\n");
	}
	return result;
}

int secrets_read(const char *folder, const char *tenant, const struct policy_list *names,
	struct secrets **ret_secrets, struct error *error)
{
	size_t total = 0;
	*ret_secrets = NULL;
	if (names->count == 0)
		return 0;
	struct secrets *secrets = calloc(1, sizeof *secrets);
	if (secrets == NULL)
		return error_set(error, ENOMEM, "no memory for secrets");
	secrets->owners = 1;
	int result = 0;
	for (size_t i = 0; result == 0 && i < names->count; i++) {
		char *entry = NULL;
		result = read_secret(folder, tenant, names->items[i], &entry, error);
		if (result < 0)
			break;
		result = add_entry(secrets, entry, error);
		total += strlen(entry) + 1;
		if (result == 0 && total > SECRETS_BYTES_MAX)
			result = error_set(error, E2BIG,
				"the secrets up to %s have more than %d bytes together",
				names->items[i], SECRETS_BYTES_MAX);
	}
	if (result < 0) {
		secrets_free(secrets);
		return result;
	}
	*ret_secrets = secrets;
	return 0;
}

int secrets_restore(
	const char *data, size_t length, struct secrets **ret_secrets, struct error *error)
{
	*ret_secrets = NULL;
	if (length == 0)
		return 0;
	struct secrets *secrets = calloc(1, sizeof *secrets);
	if (secrets == NULL)
		return error_set(error, ENOMEM, "no memory for secrets");
	secrets->owners = 1;
	int result = 0;
	for (size_t at = 0; result == 0 && at < length;) {
		const size_t part = strnlen(data + at, length - at);
		char *entry = strndup(data + at, part);
		if (entry == NULL || !memchr(data + at, '=', part) ||
			secrets->count == POLICY_LIST_MAX) {
			free(entry);
			result = error_set(error, EINVAL, "secrets that were handed over are none");
			break;
		}
		result = add_entry(secrets, entry, error);
		at += part + 1;
	}
	if (result < 0) {
		secrets_free(secrets);
		return result;
	}
	*ret_secrets = secrets;
	return 0;
}

/* ---- leaving them out ---- */

/* The length of the longest piece that begins at TEXT; 0 for none. */
static size_t match(const struct secrets *secrets, const char *text, size_t length)
{
	size_t longest = 0;
	if (length < HEAD)
		return 0;
	for (size_t i = secrets->buckets[bucket_of(head_of(text))]; i;
		i = secrets->pieces[i - 1].next) {
		const struct piece *piece = &secrets->pieces[i - 1];
		if (piece->length > longest && piece->length <= length &&
			memcmp(piece->text, text, piece->length) == 0)
			longest = piece->length;
	}
	return longest;
}

/* Values that overlap or touch are one: where one ends says something about it, too. The
 * stars are put when all of them is read, since they overwrite it. */
size_t secrets_redact(const struct secrets *secrets, char *text, size_t length)
{
	size_t put = 0, covered = 0; /* up to where TEXT is part of a value */
	if (secrets == NULL || secrets->piece_count == 0)
		return length;
	for (size_t i = 0; i <= length; i++) {
		const size_t end = i + match(secrets, text + i, length - i);
		if (end > i && end > covered)
			covered = end;
		if (i < covered)
			continue;
		if (i > 0 && i == covered) {
			memcpy(text + put, "***", 3);
			put += 3;
		}
		if (i < length)
			text[put++] = text[i];
	}
	return put;
}

void secrets_redact_string(const struct secrets *secrets, char *text)
{
	text[secrets_redact(secrets, text, strlen(text))] = '\0';
}

size_t secrets_safe_length(const struct secrets *secrets, const char *text, size_t length)
{
	size_t covered = 0;
	if (secrets == NULL || secrets->piece_count == 0)
		return length;
	if (length < SECRET_PIECE_MAX)
		return 0;
	const size_t edge = length - (SECRET_PIECE_MAX - 1);
	for (size_t i = edge > SECRET_PIECE_MAX ? edge - SECRET_PIECE_MAX : 0; i < edge; i++) {
		size_t end = i + match(secrets, text + i, length - i);
		if (end > i && end > covered)
			covered = end;
	}
	return covered > edge ? covered : edge;
}
