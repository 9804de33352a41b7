#include "policy/check.h"

#include "common/control.h"
#include "common/path.h"
#include "policy/document.h"
#include "policy/policy.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define VARIABLE_LENGTH_MAX 255

int check_path(const char *path, struct error *error)
{
	char quoted[QUOTED_MAX];
	document_quote(quoted, path);
	if (path[0] != '/')
		return error_set(error, EINVAL, "%s is not an absolute path: begin with /", quoted);
	if (strlen(path) > PATH_LENGTH_MAX)
		return error_set(
			error, EINVAL, "the path is longer than %d bytes", PATH_LENGTH_MAX);
	for (const char *next = path; *next; next++)
		if (iscntrl((unsigned char)*next))
			return error_set(error, EINVAL, "%s has a control character", quoted);
	if (path[1] == '\0')
		return 0;
	switch (path_find_flaw(path + 1)) {
	case PATH_SLASH_AT_END:
		return error_set(error, EINVAL, "%s ends with /: leave it out", quoted);
	case PATH_EMPTY_NAME:
		return error_set(error, EINVAL, "%s has // in it: write one /", quoted);
	case PATH_HERE:
		return error_set(
			error, EINVAL, "%s has a part .: write the path that it leads to", quoted);
	case PATH_UP:
		return error_set(
			error, EINVAL, "%s has a part ..: write the path that it leads to", quoted);
	default:
		return 0;
	}
}

int check_variable(const char *name, struct error *error)
{
	char quoted[QUOTED_MAX];
	document_quote(quoted, name);
	if (name[0] == '\0')
		return error_set(error, EINVAL, "the name of a variable is empty");
	if (strlen(name) > VARIABLE_LENGTH_MAX)
		return error_set(error, EINVAL, "the name of a variable is longer than %d bytes",
			VARIABLE_LENGTH_MAX);
	for (const char *next = name; *next; next++) {
		bool digit = *next >= '0' && *next <= '9';
		bool letter = (*next >= 'a' && *next <= 'z') || (*next >= 'A' && *next <= 'Z') ||
			      *next == '_';
		if (!letter && !digit)
			return error_set(error, EINVAL,
				"%s is no name of a variable: letters, digits and _ only", quoted);
		if (digit && next == name)
			return error_set(error, EINVAL,
				"%s is no name of a variable: it begins with a digit", quoted);
	}
	return 0;
}

static bool is_name_letter(char letter)
{
	return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}

int policy_check_name(const char *name, struct error *error)
{
	char quoted[QUOTED_MAX];
	document_quote(quoted, name);
	size_t length = strlen(name);
	if (length == 0)
		return error_set(error, EINVAL, "the tenant's name is empty");
	if (length > CONTROL_NAME_MAX)
		return error_set(error, EINVAL,
			"tenant name %s has %zu characters: at most %d are allowed", quoted, length,
			CONTROL_NAME_MAX);
	for (const char *next = name; *next; next++) {
		if (is_name_letter(*next) || *next == '-')
			continue;
		if (*next >= 'A' && *next <= 'Z')
			return error_set(error, EINVAL,
				"tenant name %s has an upper-case letter: write it in lower case",
				quoted);
		return error_set(error, EINVAL,
			"tenant name %s has a character other than a-z, 0-9 and - at position %zu",
			quoted, (size_t)(next - name) + 1);
	}
	if (name[0] == '-' || name[length - 1] == '-')
		return error_set(error, EINVAL,
			"tenant name %s must begin and end with a letter or digit", quoted);
	return 0;
}

int check_public_key(const char *text, struct error *error)
{
	/* 32 bytes are 43 digits and a filler; the last digit has two bits to spare, which are
	 * 0, so that a key is written in one way. */
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	enum { DIGITS = 43 };
	char quoted[QUOTED_MAX];
	if (text[0] == '/' && strlen(text) != DIGITS + 1)
		return check_path(text, error);
	/* A path, too, can have 44 characters. */
	const bool is_key = strspn(text, digits) == DIGITS && strcmp(text + DIGITS, "=") == 0;
	if (text[0] == '/' && !is_key)
		return check_path(text, error);
	if (!is_key)
		return error_set(error, EINVAL,
			"%s is no public key: 32 bytes in base64 (44 characters, the last is =), "
			"or the absolute path of its file",
			document_quote(quoted, text));
	if ((strchr(digits, text[DIGITS - 1]) - digits) % 4 != 0)
		return error_set(error, EINVAL,
			"%s is no public key: its last digit has bits that belong to no byte",
			document_quote(quoted, text));
	return 0;
}
