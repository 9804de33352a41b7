#include "common/units.h"

#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Each from the largest to the smallest, for printing. */
static const struct unit sizes[] = {
	{"T", UNITS_TIB}, {"G", UNITS_GIB}, {"M", UNITS_MIB}, {"K", UNITS_KIB}, {"", 1}};
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit percents[] = {{"%", 1}};

static int parse(const char *text, const struct unit *units, size_t unit_count, uint64_t *ret_value)
{
	uint64_t number = 0;
	bool too_large = false;
	const char *next = text;
	for (; *next >= '0' && *next <= '9'; next++)
		if (__builtin_mul_overflow(number, 10u, &number) ||
			__builtin_add_overflow(number, (uint64_t)(*next - '0'), &number))
			too_large = true;
	if (next == text)
		return -EINVAL;
	for (size_t i = 0; i < unit_count; i++) {
		if (strcmp(next, units[i].name) != 0)
			continue;
		if (too_large || __builtin_mul_overflow(number, units[i].factor, &number))
			return -ERANGE;
		*ret_value = number;
		return 0;
	}
	if (*next == '\0' && number == 0 && !too_large) {
		*ret_value = 0;
		return 0;
	}
	return -EINVAL;
}

static void format(
	uint64_t value, const struct unit *units, size_t unit_count, char text[UNITS_TEXT_MAX])
{
	size_t i = 0;
	while (i + 1 < unit_count && (value == 0 || value % units[i].factor != 0))
		i++;
	snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

int units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse(text, sizes, ARRAY_LENGTH(sizes), ret_bytes);
}

int units_parse_duration(const char *text, uint64_t *ret_ms)
{
	return parse(text, durations, ARRAY_LENGTH(durations), ret_ms);
}

int units_parse_percent(const char *text, uint64_t *ret_percent)
{
	return parse(text, percents, ARRAY_LENGTH(percents), ret_percent);
}

void units_format_size(uint64_t bytes, char text[UNITS_TEXT_MAX])
{
	format(bytes, sizes, ARRAY_LENGTH(sizes), text);
}

void units_format_duration(uint64_t ms, char text[UNITS_TEXT_MAX])
{
	format(ms, durations, ARRAY_LENGTH(durations), text);
}

void units_format_percent(uint64_t percent, char text[UNITS_TEXT_MAX])
{
	format(percent, percents, ARRAY_LENGTH(percents), text);
}
