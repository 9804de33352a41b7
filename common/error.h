/* An error with the context that a person needs: what was attempted, on what,
 * why it failed, what to do. Functions return 0 or a positive count on success
 * and a negative errno on failure; those whose failure a person will read also
 * fill a struct error, which is always their last argument. */
#pragma once

struct error {
	int code; /* positive errno; 0 when nothing went wrong */
	char message[1024];
};

/* Fills ERROR (which may be NULL) and returns -|code|, so that a caller can write
 * `return error_set(error, errno, "cannot open %s: %s", path, strerror(errno));`. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and strerror(code) appended. */
int error_errno(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts context before the message that is already there, followed by ": ".
 * Returns -error->code. */
int error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
