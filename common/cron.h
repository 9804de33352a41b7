/* When something is due: five fields as crontab(5) has them, minute hour day-of-month
 * month day-of-week.
 *
 *   *, 5, 1-5, *\/15, 10-40/10, lists of these; months and days by name (JAN, MON), in any
 *   case; 7 is Sunday, too. Where both days are restricted (neither begins with *), one of
 *   them is enough. @yearly @annually @monthly @weekly @daily @midnight @hourly.
 *
 * Where the clock is put forward, what is due in the hour that is left out runs as soon as
 * it is over; where it is put back, what is due in the hour that comes twice runs the first
 * time only. What is due in every hour just goes on, in real time. (As cron(8) of Debian.)
 *
 * Pure, but for the time zones, which are the host's (tzset(3)). */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cron {
	uint64_t minutes; /* bit n: at n */
	uint32_t hours, days, months, weekdays;
	bool days_any, weekdays_any; /* the field begins with * */
	bool hours_any;
};

/* Returns 0, or -EINVAL with what is wrong in which field. What never comes (31 February)
 * is an error, too. */
int cron_parse(const char *text, struct cron *ret, struct error *error);

/* The first time after AFTER (Unix seconds) that is due, on a whole minute; ZONE as
 * "Europe/Berlin", NULL is UTC, as is one that the host does not know. -1: never (beyond the
 * year 9999). */
int64_t cron_next(const struct cron *cron, const char *zone, int64_t after);

/* How many times are due after AFTER, up to UNTIL, and which is the last of them (unset when
 * there is none). Counts to MOST at most, and then skips to UNTIL. */
uint32_t cron_count(const struct cron *cron, const char *zone, int64_t after, int64_t until,
	uint32_t most, int64_t *ret_last);

#define CRON_ZONE_MAX 64
/* Is ZONE a name of the right form? 0 or -EINVAL. */
int cron_zone_check(const char *zone, struct error *error);
/* Does this host know it? Takes only what cron_zone_check has passed. */
bool cron_zone_known(const char *zone);
