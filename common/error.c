#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static int set(
	struct error *error, int code, const char *suffix, const char *format, va_list args)
{
	code = abs(code);
	if (error == NULL)
		return -code;
	error->code = code;
	int length = vsnprintf(error->message, sizeof error->message, format, args);
	if (suffix && length >= 0 && (size_t)length < sizeof error->message)
		snprintf(error->message + length, sizeof error->message - (size_t)length, ": %s",
			suffix);
	return -code;
}

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int result = set(error, code, NULL, format, args);
	va_end(args);
	return result;
}

int error_errno(struct error *error, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int result = set(error, code, strerror(abs(code)), format, args);
	va_end(args);
	return result;
}

int error_prefix(struct error *error, const char *format, ...)
{
	if (error == NULL)
		return -EIO;
	char old[sizeof error->message];
	memcpy(old, error->message, sizeof old);
	va_list args;
	va_start(args, format);
	int result = set(error, error->code, old, format, args);
	va_end(args);
	return result;
}
