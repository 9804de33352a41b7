/* Eight bytes of time and then a cron expression, a newline, a time zone: whatever is
 * accepted is due strictly later, on a whole minute, and nothing lies between. */
#include "common/cleanup.h"
#include "common/cron.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check(const struct cron *cron, const char *zone, int64_t after)
{
	int64_t due = cron_next(cron, zone, after), last = -1;
	if (due < 0)
		return;
	require(due > after && due % 60 == 0);
	require(cron_next(cron, zone, due - 1) == due);
	require(cron_next(cron, zone, after + (due - after) / 2) == due || after + 1 == due);
	require(cron_count(cron, zone, after, due - 1, 3, &last) == 0 && last == -1);
	require(cron_count(cron, zone, after, due, 3, &last) == 1 && last == due);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t after;
	struct cron cron;
	struct error error = {0};
	if (size < sizeof after || size > 400)
		return 0;
	memcpy(&after, data, sizeof after);
	cleanup_free char *text = strndup((const char *)data + sizeof after, size - sizeof after);
	require(text != NULL);
	char *zone = strchr(text, '\n');
	if (zone)
		*zone++ = '\0';
	if (cron_parse(text, &cron, &error) < 0) {
		require(error.code != 0 && error.message[0] != '\0');
		for (const char *next = error.message; *next; next++)
			require((unsigned char)*next >= 0x20 && *next != 0x7f);
		return 0;
	}
	require(cron.minutes && cron.hours && cron.months && cron.days && cron.weekdays);
	/* Years 1700 to 2300: what a clock shows. */
	after %= INT64_C(10000000000);
	check(&cron, NULL, after);
	if (zone && cron_zone_check(zone, NULL) == 0)
		check(&cron, zone, after);
	return 0;
}
