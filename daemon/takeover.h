/* What one tenantd leaves to the next one over execve(2), when its program is replaced (see
 * daemon/reexec.h): a sealed memfd with JSON, in which descriptors stand as their numbers and
 * what is no text as a place in a second memfd. Nothing of it is ever on a disk.
 *
 * Both sides are this program, of two versions: whatever changes the meaning of a field, or
 * makes one necessary, changes TAKEOVER_VERSION; a field that may be missing does not. Times
 * are CLOCK_MONOTONIC, which goes on, unless they say otherwise. States and reasons go by
 * their names. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define TAKEOVER_VERSION 1
#define TAKEOVER_BYTES_MAX (512 * 1024 * 1024)

struct takeover {
	json_t *root;
	int bytes_fd;
	uint64_t bytes_length;
	/* Written: what survives. Read: what has come, and nobody has taken yet (-1: taken). */
	int *fds;
	size_t fd_count, fd_places;
	bool reads;
	bool failed; /* out of memory: what was written is not whole */
};

/* ---- writing ---- */

int takeover_new(struct takeover *takeover, struct error *error);
/* FD's number. It stays the caller's, and open over execve if takeover_keep is called. null for
 * a negative one. */
json_t *takeover_put_fd(struct takeover *takeover, int fd);
/* Where DATA is to be found; it may be secret. */
json_t *takeover_put_bytes(struct takeover *takeover, const void *data, size_t length);
/* TEXT, escaped if it is not UTF-8. */
json_t *takeover_text(const char *text);
/* Makes a sealed memfd of it all, one more that survives. Returns the descriptor. */
int takeover_seal(struct takeover *takeover, struct error *error);
/* Whether what was put is to stay open over execve. */
void takeover_keep(const struct takeover *takeover, bool keep);

/* ---- reading ---- */

/* Takes FD. -ENOTSUP when it is of another version. */
int takeover_read(int fd, struct takeover *takeover, struct error *error);
/* The descriptor that VALUE is the number of, the caller's from now on, close-on-exec; -EBADF
 * when there is none, or it was taken already. */
int takeover_take_fd(struct takeover *takeover, const json_t *value);
/* The caller's, with a NUL behind it. */
int takeover_take_bytes(
	struct takeover *takeover, const json_t *value, char **ret_data, size_t *ret_length);

/* 0, false, "" where KEY is missing or of another kind. */
uint64_t takeover_number(const json_t *object, const char *key);
bool takeover_flag(const json_t *object, const char *key);
const char *takeover_string(const json_t *object, const char *key);

/* Frees, and closes what was read and nobody took. */
void takeover_clear(struct takeover *takeover);
