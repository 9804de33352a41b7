#include "daemon/deaths.h"

#include "daemon/takeover.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 160

struct death {
	uint64_t time_us, served_ms;
	enum end_reason reason;
	int exit_code, signal;
	pid_t pid;
	char release[STORE_ID_SIZE];
	char message[MESSAGE_MAX];
};

struct deaths {
	size_t count; /* ever */
	struct death ring[DEATHS_KEPT];
};

void deaths_add(struct deaths **deaths, const struct instance_end *end, const char *release,
	pid_t pid, uint64_t served_ms)
{
	if (*deaths == NULL)
		*deaths = calloc(1, sizeof **deaths);
	if (*deaths == NULL)
		return;
	struct death *death = &(*deaths)->ring[(*deaths)->count++ % DEATHS_KEPT];
	*death = (struct death){
		.time_us = end->time_us,
		.served_ms = served_ms,
		.reason = end->reason,
		.exit_code = end->exit_code,
		.signal = end->signal,
		.pid = pid,
	};
	snprintf(death->release, sizeof death->release, "%s", release);
	size_t line = strcspn(end->message, "\n");
	if (line >= MESSAGE_MAX) {
		line = MESSAGE_MAX - 1;
		/* Not in the middle of a character. */
		while (line > 0 && ((unsigned char)end->message[line] & 0xc0) == 0x80)
			line--;
	}
	memcpy(death->message, end->message, line);
	death->message[line] = '\0';
}

struct deaths *deaths_free(struct deaths *deaths)
{
	free(deaths);
	return NULL;
}

static json_t *describe(const struct death *death)
{
	char time[32];
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:i, s:s, s:I}", "time",
		format_time(time, death->time_us), "reason", end_reason_name(death->reason),
		"exit_code", death->exit_code >= 0 ? json_integer(death->exit_code) : json_null(),
		"signal", death->signal ? json_integer(death->signal) : json_null(), "release",
		death->release, "pid", (int)death->pid, "message", death->message, "served_ms",
		(json_int_t)death->served_ms);
}

json_t *deaths_describe(const struct deaths *deaths)
{
	json_t *list = json_array();
	const size_t count = deaths ? deaths->count : 0;
	for (size_t i = 0; i < count && i < DEATHS_KEPT; i++) {
		json_t *death = describe(&deaths->ring[(count - 1 - i) % DEATHS_KEPT]);
		if (death)
			json_array_append_new(list, death);
	}
	return list;
}

/* ---- for the next daemon ---- */

/* The oldest first: added again they come out as they were. */
json_t *deaths_pack(const struct deaths *deaths)
{
	json_t *list = json_array();
	const size_t count = deaths ? deaths->count : 0;
	for (size_t i = count > DEATHS_KEPT ? count - DEATHS_KEPT : 0; i < count; i++) {
		const struct death *death = &deaths->ring[i % DEATHS_KEPT];
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:s, s:i, s:i, s:i, s:s, s:o}", "time_us",
				      (json_int_t)death->time_us, "served_ms",
				      (json_int_t)death->served_ms, "reason",
				      end_reason_name(death->reason), "exit_code", death->exit_code,
				      "signal", death->signal, "pid", (int)death->pid, "release",
				      death->release, "message", takeover_text(death->message)));
	}
	return list;
}

void deaths_restore(struct deaths **deaths, const json_t *packed)
{
	const json_t *from;
	size_t i;
	json_array_foreach(packed, i, from)
	{
		struct instance_end end = {
			.reason = end_reason_find(takeover_string(from, "reason")),
			.exit_code = (int)(int64_t)takeover_number(from, "exit_code"),
			.signal = (int)takeover_number(from, "signal"),
			.time_us = takeover_number(from, "time_us"),
		};
		snprintf(end.message, sizeof end.message, "%s", takeover_string(from, "message"));
		deaths_add(deaths, &end, takeover_string(from, "release"),
			(pid_t)takeover_number(from, "pid"), takeover_number(from, "served_ms"));
	}
}
