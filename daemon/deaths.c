#include "daemon/deaths.h"

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
