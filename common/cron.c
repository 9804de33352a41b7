#include "common/cron.h"

#include "common/cleanup.h"
#include "common/escape.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MINUTE INT64_C(60)
#define HOUR INT64_C(3600)
#define DAY INT64_C(86400)
#define YEAR_LAST 9999
#define TIME_FIRST INT64_C(-62135596800) /* 0001-01-01 */
#define TIME_LAST INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */

/* The calendar repeats after so many days: what has not come by then never will. */
#define CALENDAR_DAYS 146097

/* ---- the fields ---- */

struct field {
	const char *name;
	unsigned least, most;
	const char *const *names; /* of LEAST, LEAST + 1, … */
	size_t name_count;
};

static const char *const month_names[] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

enum { FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
	[FIELD_MINUTE] = {"minute", 0, 59, NULL, 0},
	[FIELD_HOUR] = {"hour", 0, 23, NULL, 0},
	[FIELD_DAY] = {"day of the month", 1, 31, NULL, 0},
	[FIELD_MONTH] = {"month", 1, 12, month_names, ARRAY_LENGTH(month_names)},
	[FIELD_WEEKDAY] = {"day of the week", 0, 7, weekday_names, ARRAY_LENGTH(weekday_names)},
};

static int wrong(const struct field *field, const char *part, size_t length, const char *why,
	struct error *error)
{
	char text[64];
	snprintf(text, sizeof text, "%.*s", length < 40 ? (int)length : 40, part);
	return error_set(error, EINVAL, "%s \"%s\": %s", field->name, escape_for_log(text), why);
}

/* A number or name at *NEXT, which is moved behind it. Negative errno with ERROR. */
static int read_value(const struct field *field, const char **next, const char *end,
	unsigned *ret_value, struct error *error)
{
	const char *begin = *next;
	size_t length = 0;
	while (begin + length < end && isalnum((unsigned char)begin[length]))
		length++;
	*next = begin + length;
	for (size_t i = 0; i < field->name_count; i++)
		if (length == 3 && strncasecmp(begin, field->names[i], 3) == 0) {
			*ret_value = field->least + (unsigned)i;
			return 0;
		}
	unsigned value = 0;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)begin[i]))
			return wrong(field, begin, length, "no number and no known name", error);
		if (value <= field->most)
			value = value * 10 + (unsigned)(begin[i] - '0');
	}
	if (length == 0)
		return wrong(field, begin, (size_t)(end - begin),
			"expected a number, a range such as 1-5, or *", error);
	if (value < field->least || value > field->most) {
		char why[64];
		snprintf(why, sizeof why, "out of range %u-%u", field->least, field->most);
		return wrong(field, begin, length, why, error);
	}
	*ret_value = value;
	return 0;
}

/* One part of a list, BEGIN to END: *, a, a-b, with a step or without. */
static int read_part(const struct field *field, const char *begin, const char *end, uint64_t *bits,
	struct error *error)
{
	const char *next = begin;
	const size_t length = (size_t)(end - begin);
	unsigned first = field->least, last = field->most, step = 1;
	bool range = true;
	if (field == &fields[FIELD_WEEKDAY])
		last = 6;
	if (next < end && *next == '*') {
		next++;
	} else {
		int result = read_value(field, &next, end, &first, error);
		last = first;
		range = next < end && *next == '-';
		if (result == 0 && range) {
			next++;
			result = read_value(field, &next, end, &last, error);
		}
		if (result < 0)
			return result;
	}
	/* FRI-SUN: the week may end with Sunday. */
	if (field == &fields[FIELD_WEEKDAY] && range && last == 0 && first > 0)
		last = 7;
	if (last < first)
		return wrong(field, begin, length,
			"the range ends before it begins: write two, as 22-23,0-2", error);
	if (next < end && *next == '/') {
		const struct field steps = {field->name, 1, field->most, NULL, 0};
		if (!range)
			return wrong(field, begin, length,
				"a step needs a range before it, as */5 or 10-59/5", error);
		next++;
		int result = read_value(&steps, &next, end, &step, error);
		if (result < 0)
			return result;
	}
	if (next < end)
		return wrong(field, begin, length, "not understood from the middle on", error);
	for (unsigned value = first; value <= last; value += step)
		*bits |= UINT64_C(1) << value;
	return 0;
}

static int read_field(const struct field *field, const char *begin, const char *end,
	uint64_t *ret_bits, bool *ret_any, struct error *error)
{
	*ret_bits = 0;
	*ret_any = *begin == '*';
	for (const char *part = begin; part <= end;) {
		const char *comma = memchr(part, ',', (size_t)(end - part));
		int result = read_part(field, part, comma ? comma : end, ret_bits, error);
		if (result < 0)
			return result;
		part = (comma ? comma : end) + 1;
	}
	return 0;
}

static int read_fields(const char *text, struct cron *cron, struct error *error)
{
	uint64_t bits[FIELDS];
	bool any[FIELDS];
	size_t count = 0;
	for (const char *next = text + strspn(text, " \t"); *next; count++) {
		size_t length = strcspn(next, " \t");
		int result = count < FIELDS ? read_field(&fields[count], next, next + length,
						      &bits[count], &any[count], error)
					    : 0;
		if (result < 0)
			return result;
		next += length;
		next += strspn(next, " \t");
	}
	if (count != FIELDS)
		return error_set(error, EINVAL,
			"%zu field%s: expected 5: minute, hour, day of the month, month, day of "
			"the week",
			count, count == 1 ? "" : "s");
	uint64_t weekdays = bits[FIELD_WEEKDAY];
	*cron = (struct cron){
		.minutes = bits[FIELD_MINUTE],
		.hours = (uint32_t)bits[FIELD_HOUR],
		.days = (uint32_t)bits[FIELD_DAY],
		.months = (uint32_t)bits[FIELD_MONTH],
		.weekdays = (uint32_t)((weekdays & 0x7f) | (weekdays >> 7 & 1)),
		.days_any = any[FIELD_DAY],
		.weekdays_any = any[FIELD_WEEKDAY],
		.hours_any = any[FIELD_HOUR],
	};
	return 0;
}

int cron_parse(const char *text, struct cron *ret, struct error *error)
{
	static const struct {
		const char *name, *fields;
	} nicknames[] = {
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@hourly", "0 * * * *"},
	};
	struct cron cron;
	const char *meant = text;
	for (size_t i = 0; text[0] == '@' && i < ARRAY_LENGTH(nicknames); i++)
		if (strcasecmp(text, nicknames[i].name) == 0)
			meant = nicknames[i].fields;
	if (meant[0] == '@') {
		char shown[41];
		snprintf(shown, sizeof shown, "%s", text);
		return error_set(error, EINVAL,
			"\"%s\" is not known: there are @yearly, @annually, @monthly, @weekly, "
			"@daily, @midnight and @hourly",
			escape_for_log(shown));
	}
	int result = read_fields(meant, &cron, error);
	if (result < 0)
		return result;
	if (cron_next(&cron, NULL, 0) < 0)
		return error_set(error, EINVAL, "this day never comes: no such day in that month");
	*ret = cron;
	return 0;
}

/* ---- the calendar ---- */

struct date {
	int64_t year;
	unsigned month, day; /* from 1 */
};

/* Days since 1970-01-01 and back; Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms". */
static int64_t days_of(struct date date)
{
	int64_t year = date.year - (date.month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
	return era * CALENDAR_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct date date_of(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - CALENDAR_DAYS + 1) / CALENDAR_DAYS;
	int64_t day = days - era * CALENDAR_DAYS;
	int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int64_t of_year = day - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	struct date date = {
		.year = year + era * 400,
		.month = (unsigned)(month < 10 ? month + 3 : month - 9),
		.day = (unsigned)(of_year - (153 * month + 2) / 5 + 1),
	};
	date.year += date.month <= 2;
	return date;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t whole_minute(int64_t time)
{
	return -floor_divide(-time, MINUTE) * MINUTE;
}

/* crontab(5): of two restricted days one is enough. */
static bool day_matches(const struct cron *cron, int64_t days, unsigned day)
{
	unsigned weekday = (unsigned)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
	bool by_day = cron->days >> day & 1, by_weekday = cron->weekdays >> weekday & 1;
	if (cron->days_any || cron->weekdays_any)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/* The first minute of the day from FROM on (seconds of that day), or -1. */
static int64_t next_of_day(const struct cron *cron, int64_t from)
{
	int64_t hour = from / HOUR, minute = from % HOUR / MINUTE;
	for (; hour < 24; hour++, minute = 0) {
		uint64_t minutes = cron->minutes >> minute;
		if (cron->hours >> hour & 1 && minutes)
			return hour * HOUR + (minute + __builtin_ctzll(minutes)) * MINUTE;
	}
	return -1;
}

/* The first local time from FROM on that matches, or -1. */
static int64_t next_local(const struct cron *cron, int64_t from)
{
	int64_t days = floor_divide(from, DAY), of_day = from - days * DAY;
	const int64_t last = days + CALENDAR_DAYS;
	while (days <= last) {
		struct date date = date_of(days);
		if (date.year > YEAR_LAST)
			return -1;
		if (!(cron->months >> date.month & 1)) {
			date.day = 1;
			if (++date.month > 12)
				date = (struct date){date.year + 1, 1, 1};
			days = days_of(date);
			of_day = 0;
			continue;
		}
		int64_t found = day_matches(cron, days, date.day) ? next_of_day(cron, of_day) : -1;
		if (found >= 0)
			return days * DAY + found;
		days++;
		of_day = 0;
	}
	return -1;
}

/* ---- time zones ---- */

/* Seconds east of UTC; in the zone that TZ names. */
static int64_t offset_at(int64_t time)
{
	struct tm local;
	const time_t at = time;
	return localtime_r(&at, &local) ? local.tm_gmtoff : 0;
}

/* The first second in (BEFORE, AFTER] whose offset is not OFFSET, which BEFORE has and AFTER
 * has not. */
static int64_t change_between(int64_t before, int64_t after, int64_t offset)
{
	while (after - before > 1) {
		int64_t middle = before + (after - before) / 2;
		if (offset_at(middle) == offset)
			before = middle;
		else
			after = middle;
	}
	return after;
}

/* In an hour that comes for the second time: where it is over. */
static int64_t skip_repeated(int64_t time)
{
	int64_t offset = offset_at(time), before = offset_at(time - DAY);
	if (before <= offset)
		return time;
	int64_t end = change_between(time - DAY, time, before) + before - offset;
	return time < end ? whole_minute(end) : time;
}

static int64_t next_in_zone(const struct cron *cron, int64_t from)
{
	int64_t time = cron->hours_any ? from : skip_repeated(from);
	int64_t more = 0;
	/* From the minute before on, without it: FROM itself may be the end of what is left
	 * out. */
	if (time == from) {
		time -= MINUTE;
		more = MINUTE;
	}
	for (; time < TIME_LAST; more = 0) {
		const int64_t offset = offset_at(time);
		int64_t local = next_local(cron, whole_minute(time + offset) + more);
		if (local < 0)
			return -1;
		/* Day by day: a zone does not change there and back within one. */
		const int64_t due = local - offset;
		int64_t ahead = time;
		while (time < due) {
			ahead = due - time < DAY ? due : time + DAY;
			if (offset_at(ahead) != offset)
				break;
			time = ahead;
		}
		if (time >= due)
			return due;
		const int64_t change = change_between(time, ahead, offset);
		const int64_t new_offset = offset_at(change);
		if (!cron->hours_any && local < change + new_offset)
			return whole_minute(change); /* it falls into what is left out */
		time = whole_minute(change);
		if (!cron->hours_any && new_offset < offset)
			time = whole_minute(change + offset - new_offset);
	}
	return -1;
}

/* Makes ZONE that of localtime_r; NULL, or one that is not known: nothing to be done, and
 * false. Returns what is to be put back in *RET_BEFORE. */
static bool enter_zone(const char *zone, char **ret_before)
{
	char name[CRON_ZONE_MAX + 2];
	const char *before = getenv("TZ");
	if (zone == NULL || !cron_zone_known(zone))
		return false;
	*ret_before = before ? strdup(before) : NULL;
	snprintf(name, sizeof name, ":%s", zone);
	setenv("TZ", name, 1);
	tzset();
	return true;
}

static void leave_zone(char *before)
{
	if (before)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	free(before);
	tzset();
}

static int64_t next_after(const struct cron *cron, bool zoned, int64_t after)
{
	if (after >= TIME_LAST)
		return -1;
	if (after < TIME_FIRST)
		after = TIME_FIRST;
	int64_t from = floor_divide(after, MINUTE) * MINUTE + MINUTE;
	return zoned ? next_in_zone(cron, from) : next_local(cron, from);
}

int64_t cron_next(const struct cron *cron, const char *zone, int64_t after)
{
	char *before;
	bool zoned = enter_zone(zone, &before);
	int64_t due = next_after(cron, zoned, after);
	if (zoned)
		leave_zone(before);
	return due;
}

uint32_t cron_count(const struct cron *cron, const char *zone, int64_t after, int64_t until,
	uint32_t most, int64_t *ret_last)
{
	char *before;
	bool zoned = enter_zone(zone, &before);
	uint32_t count = 0;
	while (count < most) {
		int64_t due = next_after(cron, zoned, after);
		if (due < 0 || due > until)
			break;
		*ret_last = after = due;
		count++;
	}
	/* The last one all the same: from a while before UNTIL on. */
	for (int64_t back = HOUR; count == most && count > 0; back *= 8) {
		int64_t due = next_after(cron, zoned, until - back);
		if (until - back <= after)
			break;
		if (due < 0 || due > until)
			continue;
		while (due >= 0 && due <= until) {
			*ret_last = due;
			due = next_after(cron, zoned, due);
		}
		break;
	}
	if (zoned)
		leave_zone(before);
	return count;
}

int cron_zone_check(const char *zone, struct error *error)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-/";
	size_t length = strlen(zone);
	/* It becomes a path below the folder of zones: nothing may lead out of that. */
	if (length == 0 || length > CRON_ZONE_MAX || strspn(zone, letters) != length ||
		!isalpha((unsigned char)zone[0]) || zone[length - 1] == '/' || strstr(zone, "//"))
		return error_set(
			error, EINVAL, "expected a time zone such as \"Europe/Berlin\" or \"UTC\"");
	return 0;
}

bool cron_zone_known(const char *zone)
{
	char path[CRON_ZONE_MAX + 32];
	if (strcmp(zone, "UTC") == 0)
		return true;
	snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", zone);
	/* "Europe" is a folder, and there are lists beside the zones. */
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[4];
	return fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
	       memcmp(magic, "TZif", sizeof magic) == 0;
}
