/* For people: aligned columns and blocks, with colours on a terminal. */
#include "common/cleanup.h"
#include "ctl/output.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- list ---- */

#define COLUMNS 9
#define CELL_MAX 160

struct row {
	char cells[COLUMNS][CELL_MAX];
	enum colour colour; /* of the state */
};

static const char *const headings[COLUMNS] = {
	"NAME", "STATE", "RELEASE", "PID", "FOR", "RESTARTS", "MEMORY", "REQUESTS", "URL"};
static const bool numeric[COLUMNS] = {[3] = true, [5] = true, [6] = true, [7] = true};

/* Writes a number, or "-" where OBJECT has none. */
static void number_cell(char cell[CELL_MAX], const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	if (json_is_integer(value))
		snprintf(cell, CELL_MAX, "%lld", (long long)json_integer_value(value));
	else
		snprintf(cell, CELL_MAX, "-");
}

static void fill_row(struct row *row, const json_t *tenant)
{
	char text[OUTPUT_TEXT_MAX];
	const json_t *cgroup = json_object_get(tenant, "cgroup");
	const json_t *listeners = json_object_get(tenant, "listeners");
	const char *state = output_string(tenant, "state");
	row->colour = output_state_colour(state);
	output_safe(row->cells[0], CELL_MAX, output_string(tenant, "name"));
	output_safe(row->cells[1], CELL_MAX, state);
	snprintf(row->cells[2], CELL_MAX, "%s", output_release(text, tenant));
	number_cell(row->cells[3], tenant, "pid");
	snprintf(row->cells[4], CELL_MAX, "%s", output_age(text, output_string(tenant, "since")));
	number_cell(row->cells[5], tenant, "restarts");
	snprintf(row->cells[6], CELL_MAX, "%s",
		json_is_object(cgroup) ? output_bytes(text, output_integer(cgroup, "memory"))
				       : "-");
	number_cell(row->cells[7], json_object_get(tenant, "stats"), "requests");
	output_safe(row->cells[8], CELL_MAX,
		json_array_size(listeners) ? output_string(json_array_get(listeners, 0), "url")
					   : "-");
	size_t more = json_array_size(listeners);
	size_t used = strlen(row->cells[8]);
	if (more > 1)
		snprintf(row->cells[8] + used, CELL_MAX - used, " +%zu", more - 1);
}

static void print_cell(const char *text, size_t column, size_t width, enum colour colour)
{
	const char *on = colour == COLOUR_NONE ? "" : output_colour(colour);
	const char *off = on[0] ? output_colour(COLOUR_NONE) : "";
	int pad = (int)(width - strlen(text));
	bool last = column + 1 == COLUMNS;
	if (numeric[column])
		printf("%*s%s%s%s", pad, "", on, text, off);
	else
		printf("%s%s%s%*s", on, text, off, last ? 0 : pad, "");
	printf(last ? "\n" : "  ");
}

static void print_tenants(const json_t *tenants)
{
	size_t count = json_array_size(tenants), widths[COLUMNS];
	if (count == 0) {
		printf("no tenants; `tenantctl deploy NAME FILE` makes one\n");
		return;
	}
	cleanup_free struct row *rows = calloc(count, sizeof *rows);
	if (!rows)
		return;
	for (size_t i = 0; i < count; i++)
		fill_row(&rows[i], json_array_get(tenants, i));
	for (size_t c = 0; c < COLUMNS; c++) {
		widths[c] = strlen(headings[c]);
		for (size_t i = 0; i < count; i++)
			if (strlen(rows[i].cells[c]) > widths[c])
				widths[c] = strlen(rows[i].cells[c]);
	}
	for (size_t c = 0; c < COLUMNS; c++)
		print_cell(headings[c], c, widths[c], COLOUR_DIM);
	for (size_t i = 0; i < count; i++)
		for (size_t c = 0; c < COLUMNS; c++)
			print_cell(rows[i].cells[c], c, widths[c],
				c == 0   ? COLOUR_BOLD
				: c == 1 ? rows[i].colour
					 : COLOUR_NONE);
}

/* ---- any list ---- */

static void print_rows(const char *key, const json_t *rows, const struct output_column *columns,
	size_t count, const char *none)
{
	const json_t *row;
	size_t i;
	(void)key;
	if (json_array_size(rows) == 0)
		printf("%s\n", none);
	size_t widths[OUTPUT_COLUMNS_MAX] = {0};
	for (size_t c = 0; c < count; c++)
		widths[c] = strlen(columns[c].heading);
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c + 1 < count; c++) {
			char text[OUTPUT_CELL_MAX];
			columns[c].cell(text, row);
			if (strlen(text) > widths[c])
				widths[c] = strlen(text);
		}
	}
	for (size_t c = 0; c < count && json_array_size(rows) > 0; c++)
		printf("%s%-*s%s%s", output_colour(COLOUR_DIM), c + 1 < count ? (int)widths[c] : 0,
			columns[c].heading, output_colour(COLOUR_NONE),
			c + 1 < count ? "  " : "\n");
	json_array_foreach(rows, i, row)
	{
		for (size_t c = 0; c < count; c++) {
			char text[OUTPUT_CELL_MAX];
			columns[c].cell(text, row);
			printf("%-*s%s", c + 1 < count ? (int)widths[c] : 0, text,
				c + 1 < count ? "  " : "\n");
		}
	}
}

/* ---- logs ---- */

static void print_log_line(const json_t *item)
{
	char time[64], stream[64];
	const char *line = output_string(item, "line");
	size_t size = strlen(line) * 10 + 1;
	cleanup_free char *safe = malloc(size);
	if (!safe)
		return;
	output_safe(time, sizeof time, output_string(item, "time"));
	output_safe(stream, sizeof stream, output_string(item, "stream"));
	/* What the tenant wrote to standard error, and what the daemon says about it. */
	bool is_error = strcmp(stream, "stderr") == 0 || strcmp(stream, "err") == 0;
	printf("%s%s%s %s%-6s%s %s\n", output_colour(COLOUR_DIM), time, output_colour(COLOUR_NONE),
		output_colour(is_error ? COLOUR_RED : COLOUR_DIM), stream,
		output_colour(COLOUR_NONE), output_safe(safe, size, line));
	fflush(stdout);
}

/* ---- the audit log, and reports ---- */

static void print_audit_line(const json_t *item)
{
	char time[64], tenant[128], permission[32], resource[16384], layer[32], detail[4096];
	const char *result = output_string(item, "result");
	const bool denied = strcmp(result, "denied") == 0;
	output_safe(time, sizeof time, output_string(item, "time"));
	output_safe(tenant, sizeof tenant, output_string(item, "tenant"));
	output_safe(permission, sizeof permission, output_string(item, "permission"));
	output_safe(resource, sizeof resource, output_string(item, "resource"));
	output_safe(layer, sizeof layer, output_string(item, "layer"));
	output_safe(detail, sizeof detail, output_string(item, "detail"));
	printf("%s%s%s %s", output_colour(COLOUR_DIM), time, output_colour(COLOUR_NONE), tenant);
	if (result[0]) /* else it tells of records that were dropped */
		printf(" %s%s%s %s %s %s(%s)", output_colour(denied ? COLOUR_RED : COLOUR_GREEN),
			denied ? "denied" : "allowed", output_colour(COLOUR_NONE), permission,
			resource, output_colour(COLOUR_DIM), layer);
	printf("%s%s%s\n", detail[0] ? " " : "", detail, output_colour(COLOUR_NONE));
	fflush(stdout);
}

/* "2026-… shop running -> backoff (exited): oom: over its memory limit [pid 42]" */
static void print_event_line(const json_t *item)
{
	char time[64], tenant[128], from[32], to[32], event[64], reason[64], message[1024];
	output_safe(time, sizeof time, output_string(item, "time"));
	output_safe(tenant, sizeof tenant, output_string(item, "tenant"));
	output_safe(from, sizeof from, output_string(item, "from"));
	output_safe(to, sizeof to, output_string(item, "to"));
	output_safe(event, sizeof event, output_string(item, "event"));
	output_safe(reason, sizeof reason, output_string(item, "reason"));
	output_safe(message, sizeof message, output_string(item, "message"));
	printf("%s%s%s %s ", output_colour(COLOUR_DIM), time, output_colour(COLOUR_NONE), tenant);
	if (strcmp(from, to) != 0)
		printf("%s -> %s%s%s (%s)", from, output_colour(output_state_colour(to)), to,
			output_colour(COLOUR_NONE), event);
	else
		printf("%s (%s)", event, to);
	printf(": %s", reason);
	if (message[0] && strcmp(message, reason) != 0)
		printf(": %s", message);
	if (output_integer(item, "pid"))
		printf(" %s[pid %lld]%s", output_colour(COLOUR_DIM),
			(long long)output_integer(item, "pid"), output_colour(COLOUR_NONE));
	printf("\n");
	fflush(stdout);
}

static enum colour mark_colour(const char *mark)
{
	if (strcmp(mark, "fine") == 0)
		return COLOUR_GREEN;
	if (strcmp(mark, "missing") == 0 || strcmp(mark, "fatal") == 0)
		return COLOUR_RED;
	return strcmp(mark, "weaker") == 0 ? COLOUR_YELLOW : COLOUR_DIM;
}

static void print_report(const json_t *result, const json_t *sections)
{
	const json_t *section, *item;
	size_t i, k;
	(void)result;
	json_array_foreach(sections, i, section)
	{
		printf("%s%s%s%s\n", i ? "\n" : "", output_colour(COLOUR_BOLD),
			output_string(section, "title"), output_colour(COLOUR_NONE));
		json_array_foreach(json_object_get(section, "items"), k, item)
		{
			char text[8192], note[8192];
			const char *mark = output_string(item, "mark");
			output_safe(text, sizeof text, output_string(item, "text"));
			output_safe(note, sizeof note, output_string(item, "note"));
			printf("  ");
			if (mark[0])
				printf("%s%-8s%s", output_colour(mark_colour(mark)), mark,
					output_colour(COLOUR_NONE));
			printf("%s\n", text);
			if (note[0])
				printf("  %*s%s%s%s\n", mark[0] ? 8 : 2, "",
					output_colour(COLOUR_DIM), note,
					output_colour(COLOUR_NONE));
		}
	}
}

/* ---- status ---- */

static void field(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* VALUE may hold what came from a tenant. */
static void field(const char *label, const char *format, ...)
{
	char value[4096], safe[8192];
	va_list args;
	va_start(args, format);
	vsnprintf(value, sizeof value, format, args);
	va_end(args);
	printf("  %s%-10s%s %s\n", output_colour(COLOUR_DIM), label, output_colour(COLOUR_NONE),
		output_safe(safe, sizeof safe, value));
}

static void print_title(const json_t *tenant)
{
	char name[256], state[64], age[OUTPUT_TEXT_MAX], since[64];
	output_safe(name, sizeof name, output_string(tenant, "name"));
	output_safe(state, sizeof state, output_string(tenant, "state"));
	output_safe(since, sizeof since, output_string(tenant, "since"));
	enum colour colour = output_state_colour(state);
	printf("%s%s%s  %s%s%s", output_colour(COLOUR_BOLD), name, output_colour(COLOUR_NONE),
		output_colour(colour), state, output_colour(COLOUR_NONE));
	if (since[0])
		printf(" for %s%s, since %s%s", output_age(age, since), output_colour(COLOUR_DIM),
			since, output_colour(COLOUR_NONE));
	printf("\n");
}

/* What it has of the ports that tenants share. */
static void print_sites(const json_t *ingress)
{
	const json_t *site;
	size_t i;
	json_array_foreach(json_object_get(ingress, "sites"), i, site)
		field(i ? "" : "sites", "%s", json_string_value(site));
	if (json_is_object(ingress))
		field("", "%lld connections, %lld refused, %lld waiting",
			(long long)output_integer(ingress, "handed"),
			(long long)output_integer(ingress, "refused"),
			(long long)output_integer(ingress, "waiting"));
}

static void print_process(const json_t *tenant)
{
	char text[OUTPUT_TEXT_MAX];
	const json_t *listener;
	size_t i;
	if (output_string(tenant, "reason")[0])
		field("because", "%s", output_string(tenant, "reason"));
	json_array_foreach(json_object_get(tenant, "listeners"), i, listener)
	{
		const char *name = output_string(listener, "name");
		field(i ? "" : "listens", "%s%s%s", output_string(listener, "url"),
			name[0] ? "  " : "", name);
	}
	print_sites(json_object_get(tenant, "ingress"));
	field("release", "%s", output_release(text, tenant));
	if (output_integer(tenant, "pid")) {
		char ready[OUTPUT_TEXT_MAX];
		field("process", "pid %lld, uid %lld, ready after %s",
			(long long)output_integer(tenant, "pid"),
			(long long)output_integer(tenant, "uid"),
			output_duration(ready, output_number(tenant, "ready_ms")));
	}
	if (output_integer(tenant, "backoff_ms"))
		field("backoff", "the next start comes %s after the last end",
			output_duration(text, output_number(tenant, "backoff_ms")));
	field("restarts", "%lld", (long long)output_integer(tenant, "restarts"));
}

static void print_last_exit(const json_t *last)
{
	char how[96] = "";
	json_int_t number = output_integer(last, "signal");
	if (!json_is_object(last))
		return;
	if (number > 0 && number < 65)
		snprintf(how, sizeof how, ", signal %d (SIG%s)", (int)number,
			sigabbrev_np((int)number) ? sigabbrev_np((int)number) : "?");
	else if (json_is_integer(json_object_get(last, "exit_code")))
		snprintf(how, sizeof how, ", exit code %lld",
			(long long)output_integer(last, "exit_code"));
	field("last exit", "%s%s, %s", output_string(last, "reason"), how,
		output_string(last, "time"));
	/* A stack is many lines. */
	const char *message = output_string(last, "message");
	for (int lines = 0; *message && lines < 8; lines++) {
		size_t length = strcspn(message, "\n");
		field("", "%.*s", (int)length, message);
		message += length + (message[length] == '\n');
	}
}

/* Those that fail, and why. */
static void print_probes(const json_t *probes)
{
	const json_t *probe;
	size_t i;
	json_array_foreach(probes, i, probe) field("", "  %s probe failed %lld time%s in a row: %s",
		output_string(probe, "role"), (long long)output_integer(probe, "failing"),
		output_integer(probe, "failing") == 1 ? "" : "s", output_string(probe, "message"));
}

/* Of a tenant with one instance that is well, print_process has said all. */
static void print_instances(const json_t *tenant)
{
	const json_t *instances = json_object_get(tenant, "instances"), *instance;
	char age[OUTPUT_TEXT_MAX], release[64];
	size_t i;
	json_array_foreach(instances, i, instance)
	{
		const bool unready = json_is_false(json_object_get(instance, "ready"));
		const char *state = output_string(instance, "state");
		const bool serves = strcmp(state, "serving") == 0;
		if (json_array_size(instances) == 1 && serves && !unready)
			return;
		output_safe(release, 13, output_string(instance, "release"));
		field(i ? "" : "instances",
			"%lld: pid %lld, %s%s for %s, release %s, %lld requests",
			(long long)output_integer(instance, "slot"),
			(long long)output_integer(instance, "pid"), state,
			serves && unready ? ", not ready," : "",
			output_duration(age, output_number(instance, "age_ms")), release,
			(long long)output_integer(instance, "requests"));
		print_probes(json_object_get(instance, "probes"));
	}
}

static void print_schedules(const json_t *schedules)
{
	const json_t *schedule;
	char took[OUTPUT_TEXT_MAX];
	size_t i;
	json_array_foreach(schedules, i, schedule)
	{
		const json_t *last = json_object_get(schedule, "last");
		const char *next = output_string(schedule, "next");
		const char *zone = output_string(schedule, "time_zone");
		const long long missed = output_integer(schedule, "missed");
		field(i ? "" : "schedules", "%s%s%s%s, next %s%s", output_string(schedule, "cron"),
			strcmp(zone, "UTC") == 0 ? "" : " (", strcmp(zone, "UTC") == 0 ? "" : zone,
			strcmp(zone, "UTC") == 0 ? "" : ")", next[0] ? next : "never",
			output_integer(schedule, "running") ? ", under way" : "");
		if (json_is_object(last))
			field("", "  last %s: %s after %s%s%s", output_string(last, "due"),
				output_string(last, "outcome"),
				output_duration(took, output_number(last, "ms")),
				output_string(last, "message")[0] ? ": " : "",
				output_string(last, "message"));
		if (missed)
			field("", "  %lld missed", missed);
	}
}

static void print_candidate(const json_t *candidate)
{
	char release[64], weight[64] = "";
	if (!json_is_object(candidate))
		return;
	output_safe(release, 13, output_string(candidate, "release"));
	if (output_integer(candidate, "weight"))
		snprintf(weight, sizeof weight, ", %lld%% of new connections",
			(long long)output_integer(candidate, "weight"));
	field(strcmp(output_string(candidate, "strategy"), "canary") == 0 ? "canary" : "candidate",
		"release %s, %lld of %lld instances serve%s", release,
		(long long)output_integer(candidate, "serving"),
		(long long)output_integer(candidate, "instances"), weight);
}

/* All but the last, which print_last_exit shows whole. */
static void print_deaths(const json_t *deaths)
{
	const json_t *death;
	char served[OUTPUT_TEXT_MAX], message[256];
	size_t i;
	json_array_foreach(deaths, i, death)
	{
		if (json_array_size(deaths) == 1)
			return;
		output_safe(message, sizeof message, output_string(death, "message"));
		field(i ? "" : "deaths", "%s %s after %s: %s", output_string(death, "time"),
			output_string(death, "reason"),
			output_duration(served, output_number(death, "served_ms")), message);
	}
}

static void print_use(const json_t *tenant)
{
	char a[OUTPUT_TEXT_MAX], b[OUTPUT_TEXT_MAX], c[OUTPUT_TEXT_MAX];
	const json_t *cgroup = json_object_get(tenant, "cgroup");
	const json_t *stats = json_object_get(tenant, "stats");
	if (json_is_object(cgroup)) {
		json_int_t limit = output_integer(cgroup, "memory_limit");
		json_int_t kills = output_integer(cgroup, "oom_kills");
		field("memory", "%s%s%s, peak %s",
			output_bytes(a, output_integer(cgroup, "memory")), limit ? " of " : "",
			limit ? output_bytes(b, limit) : "",
			output_bytes(c, output_integer(cgroup, "memory_peak")));
		if (kills)
			field("", "killed %lld times for want of memory", (long long)kills);
		json_int_t threads = output_integer(cgroup, "pids");
		field("cpu", "%s in %lld thread%s",
			output_duration(a, (double)output_integer(cgroup, "cpu_usec") / 1e3),
			(long long)threads, threads == 1 ? "" : "s");
	}
	if (!json_is_object(stats))
		return;
	field("heap", "%s of %s, and %s outside",
		output_bytes(a, output_integer(stats, "heap_used")),
		output_bytes(b, output_integer(stats, "heap_limit")),
		output_bytes(c, output_integer(stats, "external")));
	double busy = output_number(stats, "loop_busy_ms");
	field("event loop", "longest turn %s%s%s",
		output_duration(a, output_number(stats, "loop_delay_ms")),
		busy >= 1 ? ", in one now for " : "", busy >= 1 ? output_duration(b, busy) : "");
	field("requests", "%lld answered, %lld under way, %lld connections",
		(long long)output_integer(stats, "requests"),
		(long long)output_integer(stats, "requests_active"),
		(long long)output_integer(stats, "connections"));
}

/* Limits of the policy that the host cannot keep. */
static void print_missing(const json_t *missing)
{
	char text[64] = "";
	const json_t *name;
	size_t i;
	json_array_foreach(missing, i, name) snprintf(text + strlen(text),
		sizeof text - strlen(text), "%s%s", i ? ", " : "", json_string_value(name));
	if (text[0])
		field("not limited", "%s: no control group here counts that", text);
}

static void print_tenant(const json_t *tenant, const json_t *lines)
{
	print_title(tenant);
	print_process(tenant);
	print_instances(tenant);
	print_candidate(json_object_get(tenant, "candidate"));
	print_last_exit(json_object_get(tenant, "last_exit"));
	print_deaths(json_object_get(tenant, "deaths"));
	print_schedules(json_object_get(tenant, "schedules"));
	print_use(tenant);
	const char *policy = output_string(json_object_get(tenant, "policy"), "file");
	field("policy", "%s", policy[0] ? policy : "default");
	if (output_string(tenant, "tier")[0])
		field("tier", "%s", output_string(tenant, "tier"));
	print_missing(json_object_get(tenant, "not_enforced"));

	const json_t *line;
	size_t i;
	if (json_array_size(lines) > 0)
		printf("\n");
	json_array_foreach(lines, i, line) print_log_line(line);
}

/* ---- outcomes ---- */

static void print_result(const json_t *result, const char *sentence)
{
	(void)result;
	output_lines(false, sentence);
}

static void print_error(const char *code, const char *message, int exit)
{
	(void)code;
	(void)exit;
	fflush(stdout);
	fprintf(stderr, "tenantctl: ");
	output_lines(true, message);
}

const struct output output_table = {
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
