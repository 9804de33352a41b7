/* For programs: JSON on standard output, one document for a command, except that log
 * lines come one object a line. */
#include "common/control.h"
#include "ctl/output.h"

#include <stdio.h>

/* json_dumpf may leave text unwritten when standard output is full or closed; main
 * checks the stream at the end. */
static void print(const json_t *value, size_t flags)
{
	json_dumpf(value, stdout, flags | JSON_ENCODE_ANY);
	fputc('\n', stdout);
}

static void print_tenants(const json_t *tenants)
{
	json_t *document =
		json_pack("{s:i, s:O}", "schema", CONTROL_SCHEMA, "tenants", (json_t *)tenants);
	print(document, JSON_INDENT(2));
	json_decref(document);
}

static void print_tenant(const json_t *tenant, const json_t *lines)
{
	json_t *document = json_pack("{s:i, s:O, s:O}", "schema", CONTROL_SCHEMA, "tenant",
		(json_t *)tenant, "log", (json_t *)lines);
	print(document, JSON_INDENT(2));
	json_decref(document);
}

static void print_log_line(const json_t *item)
{
	print(item, JSON_COMPACT);
	fflush(stdout);
}

static void print_result(const json_t *result, const char *sentence)
{
	(void)sentence;
	json_t *document = json_pack("{s:i}", "schema", CONTROL_SCHEMA);
	json_object_update(document, (json_t *)result);
	print(document, JSON_INDENT(2));
	json_decref(document);
}

static void print_report(const json_t *result, const json_t *sections)
{
	(void)sections;
	print_result(result, "");
}

static void print_rows(const char *key, const json_t *rows, const struct output_column *columns,
	size_t count, const char *none)
{
	(void)columns;
	(void)count;
	(void)none;
	json_t *document = json_pack("{s:i, s:O}", "schema", CONTROL_SCHEMA, key, (json_t *)rows);
	print(document, JSON_INDENT(2));
	json_decref(document);
}

static void print_error(const char *code, const char *message, int exit)
{
	json_t *document = json_pack("{s:i, s:{s:s, s:s, s:i}}", "schema", CONTROL_SCHEMA, "error",
		"code", code, "message", message, "exit", exit);
	if (document)
		print(document, JSON_INDENT(2));
	json_decref(document);
	output_table.error(code, message, exit);
}

const struct output output_json = {
	.tenants = print_tenants,
	.tenant = print_tenant,
	.log_line = print_log_line,
	.audit_line = print_log_line,
	.event_line = print_log_line,
	.report = print_report,
	.rows = print_rows,
	.result = print_result,
	.error = print_error,
};
