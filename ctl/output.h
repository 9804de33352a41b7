/* All that tenantctl prints about tenants, in one of three forms: for people (table),
 * for programs (JSON) and for shell scripts (plain: tabs, no headings). Strings that come
 * from tenants reach the terminal only through output_safe. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* A column of a list: what ROW has there, into TEXT. */
#define OUTPUT_CELL_MAX 256
#define OUTPUT_COLUMNS_MAX 16
struct output_column {
	const char *heading;
	void (*cell)(char text[OUTPUT_CELL_MAX], const json_t *row);
	void (*plain)(char text[OUTPUT_CELL_MAX], const json_t *row); /* NULL: as CELL */
};

struct output {
	void (*tenants)(const json_t *tenants);
	/* One tenant, with the last lines of its log (an array of items of `logs`). */
	void (*tenant)(const json_t *tenant, const json_t *lines);
	void (*log_line)(const json_t *item);
	/* A line of the audit log, as daemon/audit.h says. */
	void (*audit_line)(const json_t *item);
	/* What happened: daemon/events.h. */
	void (*event_line)(const json_t *item);
	/* What a command found out: RESULT for programs; for people SECTIONS, an array of
	 * {"title", "items": [{"mark"?: "fine"|"note"|"weaker"|"missing"|"fatal", "text",
	 * "note"}]}. */
	void (*report)(const json_t *result, const json_t *sections);
	/* A list of objects, which --json shows as they are, under KEY. NONE is said of an empty
	 * one. */
	void (*rows)(const char *key, const json_t *rows, const struct output_column *columns,
		size_t count, const char *none);
	/* What a command has done: SENTENCE, of which RESULT is the data. */
	void (*result)(const json_t *result, const char *sentence);
	/* An error: for people on standard error, in any form. */
	void (*error)(const char *code, const char *message, int exit);
};

extern const struct output output_table, output_json, output_plain;

/* The one that was asked for; output_choose makes it so. */
extern const struct output *output;
void output_choose(bool json, bool plain);

/* Reports an error through OUTPUT and returns EXIT. */
int output_fail(int exit, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void output_result(json_t *result /* taken */, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- pieces ---- */

/* Makes SOURCE fit for a terminal: as escape_line, but a backslash stays one, since
 * what the daemon sends has been escaped once already. Returns TARGET. */
const char *output_safe(char *target, size_t size, const char *source);
/* Prints TEXT to standard error or output, line by line, each made safe. */
void output_lines(bool to_stderr, const char *text);

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };
/* The sequence that switches COLOUR on (COLOUR_NONE: all off); "" when standard output
 * is no terminal, or NO_COLOR is set. */
const char *output_colour(enum colour colour);
enum colour output_state_colour(const char *state);

/* Members of a JSON object; "" or 0 when it has none of that type. */
const char *output_string(const json_t *object, const char *key);
json_int_t output_integer(const json_t *object, const char *key);
double output_number(const json_t *object, const char *key);

#define OUTPUT_TEXT_MAX 64
/* "12.3 MiB" */
const char *output_bytes(char text[OUTPUT_TEXT_MAX], json_int_t bytes);
/* "3 min": from an RFC 3339 time until now; "-" when it is none. */
const char *output_age(char text[OUTPUT_TEXT_MAX], const char *time);
/* "4.1 ms", "12 s" */
const char *output_duration(char text[OUTPUT_TEXT_MAX], double ms);
/* The first 12 digits of a release's id, "-" for none. */
const char *output_release(char text[OUTPUT_TEXT_MAX], const json_t *tenant);
