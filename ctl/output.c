#include "ctl/output.h"

#include "common/escape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct output *output = &output_table;

void output_choose(bool json, bool plain)
{
	output = json ? &output_json : plain ? &output_plain : &output_table;
}

int output_fail(int exit, const char *code, const char *format, ...)
{
	char message[8192];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	output->error(code, message, exit);
	return exit;
}

void output_result(json_t *result, const char *format, ...)
{
	char sentence[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	output->result(result, sentence);
	json_decref(result);
}

const char *output_safe(char *target, size_t size, const char *source)
{
	size_t out = 0;
	target[0] = '\0';
	while (*source && out + 1 < size) {
		size_t length = strcspn(source, "\\");
		out += escape_line(target + out, size - out, source, length, 0);
		source += length;
		for (; *source == '\\' && out + 1 < size; source++)
			target[out++] = '\\';
		target[out] = '\0';
	}
	return target;
}

void output_lines(bool to_stderr, const char *text)
{
	FILE *stream = to_stderr ? stderr : stdout;
	while (*text) {
		size_t length = strcspn(text, "\n");
		char *line = strndup(text, length), *safe = malloc(length * 10 + 1);
		if (line && safe)
			fprintf(stream, "%s\n", output_safe(safe, length * 10 + 1, line));
		free(line);
		free(safe);
		text += length + (text[length] == '\n');
	}
}

const char *output_colour(enum colour colour)
{
	static const char *const sequences[] = {
		[COLOUR_NONE] = "\x1b[0m",
		[COLOUR_BOLD] = "\x1b[1m",
		[COLOUR_DIM] = "\x1b[2m",
		[COLOUR_RED] = "\x1b[31m",
		[COLOUR_GREEN] = "\x1b[32m",
		[COLOUR_YELLOW] = "\x1b[33m",
	};
	static int wanted = -1;
	if (wanted < 0) {
		const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
		wanted = isatty(STDOUT_FILENO) && !(no_colour && no_colour[0]) &&
			 !(terminal && strcmp(terminal, "dumb") == 0);
	}
	return wanted ? sequences[colour] : "";
}

enum colour output_state_colour(const char *state)
{
	if (strcmp(state, "running") == 0)
		return COLOUR_GREEN;
	if (strcmp(state, "failed") == 0 || strcmp(state, "crashloop") == 0)
		return COLOUR_RED;
	if (strcmp(state, "idle") == 0 || strcmp(state, "stopped") == 0 || strcmp(state, "new") == 0)
		return COLOUR_DIM;
	return COLOUR_YELLOW;
}

const char *output_string(const json_t *object, const char *key)
{
	const char *string = json_string_value(json_object_get(object, key));
	return string ? string : "";
}

json_int_t output_integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

double output_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

const char *output_bytes(char text[OUTPUT_TEXT_MAX], json_int_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1024;
		unit++;
	}
	bool whole = unit == 0 || value >= 100 || value == floor(value);
	snprintf(text, OUTPUT_TEXT_MAX, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return text;
}

const char *output_duration(char text[OUTPUT_TEXT_MAX], double ms)
{
	if (ms < 10)
		snprintf(text, OUTPUT_TEXT_MAX, "%.1f ms", ms);
	else if (ms < 1000)
		snprintf(text, OUTPUT_TEXT_MAX, "%.0f ms", ms);
	else if (ms < 60e3)
		snprintf(text, OUTPUT_TEXT_MAX, "%.1f s", ms / 1e3);
	else if (ms < 3600e3)
		snprintf(text, OUTPUT_TEXT_MAX, "%.0f min", floor(ms / 60e3));
	else if (ms < 48 * 3600e3)
		snprintf(text, OUTPUT_TEXT_MAX, "%.0f h", floor(ms / 3600e3));
	else
		snprintf(text, OUTPUT_TEXT_MAX, "%.0f days", floor(ms / 86400e3));
	return text;
}

const char *output_age(char text[OUTPUT_TEXT_MAX], const char *time_text)
{
	struct tm utc = {0};
	snprintf(text, OUTPUT_TEXT_MAX, "-");
	if (!strptime(time_text, "%Y-%m-%dT%H:%M:%S", &utc))
		return text;
	double seconds = difftime(time(NULL), timegm(&utc));
	if (seconds < 0)
		seconds = 0;
	if (seconds < 60)
		snprintf(text, OUTPUT_TEXT_MAX, "%.0f s", seconds);
	else
		output_duration(text, seconds * 1000);
	return text;
}

const char *output_release(char text[OUTPUT_TEXT_MAX], const json_t *tenant)
{
	char safe[256];
	output_safe(safe, sizeof safe, output_string(tenant, "release"));
	snprintf(text, OUTPUT_TEXT_MAX, "%.12s", safe[0] ? safe : "-");
	return text;
}
