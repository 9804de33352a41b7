/* For shell scripts: fields separated by tabs, never a heading or a colour. The order
 * of the fields is documented in tenantctl(1); new ones come at the end. */
#include "ctl/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_url(const json_t *tenant, const char *before)
{
	const json_t *listener;
	size_t i;
	json_array_foreach(json_object_get(tenant, "listeners"), i, listener)
	{
		char safe[512];
		printf("%s%s", i ? " " : before,
			output_safe(safe, sizeof safe, output_string(listener, "url")));
	}
}

static void print_tenants(const json_t *tenants)
{
	const json_t *tenant;
	size_t i;
	json_array_foreach(tenants, i, tenant)
	{
		char name[256], state[64], release[256], since[64];
		printf("%s\t%s\t%s\t%lld\t%s\t%lld\t%lld\t%lld",
			output_safe(name, sizeof name, output_string(tenant, "name")),
			output_safe(state, sizeof state, output_string(tenant, "state")),
			output_safe(release, sizeof release, output_string(tenant, "release")),
			(long long)output_integer(tenant, "pid"),
			output_safe(since, sizeof since, output_string(tenant, "since")),
			(long long)output_integer(tenant, "restarts"),
			(long long)output_integer(json_object_get(tenant, "cgroup"), "memory"),
			(long long)output_integer(json_object_get(tenant, "stats"), "requests"));
		printf("\t");
		print_url(tenant, "");
		printf("\n");
	}
}

/* One line for each scalar: its path with dots, a tab, the value. */
static void print_value(const char *path, const json_t *value)
{
	char safe[4096];
	if (json_is_string(value))
		printf("%s\t%s\n", path, output_safe(safe, sizeof safe, json_string_value(value)));
	else if (json_is_integer(value))
		printf("%s\t%" JSON_INTEGER_FORMAT "\n", path, json_integer_value(value));
	else if (json_is_real(value))
		printf("%s\t%.3f\n", path, json_real_value(value));
	else if (json_is_boolean(value))
		printf("%s\t%s\n", path, json_is_true(value) ? "true" : "false");
	else
		printf("%s\t\n", path);
}

static void print_members(const char *prefix, const json_t *object);

/* Of a list, by their numbers: "schedules.0.cron". */
static void print_elements(const char *prefix, const json_t *list)
{
	const json_t *value;
	size_t i;
	json_array_foreach(list, i, value)
	{
		char path[256];
		snprintf(
			path, sizeof path, "%s.%zu%s", prefix, i, json_is_object(value) ? "." : "");
		if (json_is_object(value))
			print_members(path, value);
		else
			print_value(path, value);
	}
}

static void print_members(const char *prefix, const json_t *object)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value)
	{
		char path[256], safe[128];
		output_safe(safe, sizeof safe, key);
		snprintf(path, sizeof path, "%s%s", prefix, safe);
		if (strcmp(path, "listeners") == 0) {
			printf("url\t");
			print_url(object, "");
			printf("\n");
		} else if (json_is_object(value) && strlen(path) < 200) {
			strcat(path, ".");
			print_members(path, value);
		} else if (json_array_size(value) > 0 && strlen(path) < 200) {
			print_elements(path, value);
		} else {
			print_value(path, value);
		}
	}
}

static void print_log_line(const json_t *item)
{
	char time[64], stream[64], line[65536];
	printf("%s\t%s\t%s\n", output_safe(time, sizeof time, output_string(item, "time")),
		output_safe(stream, sizeof stream, output_string(item, "stream")),
		output_safe(line, sizeof line, output_string(item, "line")));
	fflush(stdout);
}

static void print_audit_line(const json_t *item)
{
	static const char *const keys[] = {
		"time", "tenant", "result", "permission", "resource", "layer", "detail"};
	char safe[16384];
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		printf("%s%s", i ? "\t" : "",
			output_safe(safe, sizeof safe, output_string(item, keys[i])));
	printf("\n");
	fflush(stdout);
}

static void print_event_line(const json_t *item)
{
	static const char *const keys[] = {
		"time", "tenant", "event", "from", "to", "reason", "message", "release"};
	char safe[4096];
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		printf("%s%s", i ? "\t" : "",
			output_safe(safe, sizeof safe, output_string(item, keys[i])));
	printf("\t%lld\n", (long long)output_integer(item, "pid"));
	fflush(stdout);
}

/* Title, mark, text, note. */
static void print_report(const json_t *result, const json_t *sections)
{
	const json_t *section, *item;
	size_t i, k;
	(void)result;
	json_array_foreach(sections, i, section)
	{
		json_array_foreach(json_object_get(section, "items"), k, item)
		{
			static const char *const keys[] = {"mark", "text", "note"};
			char safe[8192];
			printf("%s", output_string(section, "title"));
			for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++)
				printf("\t%s", output_safe(safe, sizeof safe,
						       output_string(item, keys[n])));
			printf("\n");
		}
	}
}

static void print_tenant(const json_t *tenant, const json_t *lines)
{
	const json_t *line;
	size_t i;
	print_members("", tenant);
	json_array_foreach(lines, i, line)
	{
		printf("log\t");
		print_log_line(line);
	}
}

static void print_result(const json_t *result, const char *sentence)
{
	(void)result;
	output_lines(false, sentence);
}

static void print_rows(const char *key, const json_t *rows, const struct output_column *columns,
	size_t count, const char *none)
{
	const json_t *row;
	size_t i;
	(void)key;
	(void)none;
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count; c++) {
			char text[OUTPUT_CELL_MAX];
			(columns[c].plain ? columns[c].plain : columns[c].cell)(text, row);
			printf("%s%s", c ? "\t" : "", text);
		}
		printf("\n");
	}
}

static void print_error(const char *code, const char *message, int exit)
{
	output_table.error(code, message, exit);
}

const struct output output_plain = {
	.tenants = print_tenants,
	.tenant = print_tenant,
	.log_line = print_log_line,
	.audit_line = print_audit_line,
	.event_line = print_event_line,
	.report = print_report,
	.rows = print_rows,
	.result = print_result,
	.error = print_error,
};
