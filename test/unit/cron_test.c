/* What is due when, by tables: leap years, the 31st, the two days, the clock's changes. */
#include "common/cleanup.h"
#include "common/cron.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* "2026-11-21 17:38" in UTC, as seconds. */
static int64_t at(const char *text)
{
	struct tm parts = {0};
	const char *end =
		strptime(text, strlen(text) > 16 ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &parts);
	if (end == NULL || *end)
		fail_msg("a bad time in the table: %s", text);
	return timegm(&parts);
}

static const char *shown(int64_t time)
{
	static char text[64];
	struct tm parts;
	const time_t when = time;
	if (time < 0)
		return "never";
	gmtime_r(&when, &parts);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
	return text;
}

struct row {
	const char *cron, *after;
	const char *next[6]; /* one after the other */
};

static void check_rows(const char *zone, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct cron cron;
		struct error error = {0};
		if (cron_parse(rows[i].cron, &cron, &error) < 0)
			fail_msg("%s: %s", rows[i].cron, error.message);
		int64_t time = at(rows[i].after);
		for (size_t k = 0; k < ARRAY_LENGTH(rows[i].next) && rows[i].next[k]; k++) {
			time = cron_next(&cron, zone, time);
			if (strcmp(shown(time), rows[i].next[k]) != 0)
				fail_msg("%s after %s, number %zu: %s, not %s", rows[i].cron,
					rows[i].after, k + 1, rows[i].next[k], shown(time));
		}
	}
}

static void test_utc(void **state)
{
	static const struct row rows[] = {
		{"* * * * *", "2026-11-21 17:38", {"2026-11-21 17:39", "2026-11-21 17:40"}},
		{"* * * * *", "2026-11-21 17:38:59", {"2026-11-21 17:39"}},
		{"*/15 * * * *", "2026-11-21 17:38",
			{"2026-11-21 17:45", "2026-11-21 18:00", "2026-11-21 18:15"}},
		{"10-40/15 3 * * *", "2026-12-31 03:20",
			{"2026-12-31 03:25", "2026-12-31 03:40", "2027-01-01 03:10"}},
		{"5,50 0,12 * * *", "2026-11-21 12:05",
			{"2026-11-21 12:50", "2026-11-22 00:05", "2026-11-22 00:50"}},
		{"0 3 * * *", "2026-11-21 03:00", {"2026-11-22 03:00"}},
		{"59 23 31 12 *", "2026-12-31 23:59", {"2027-12-31 23:59"}},
		/* Months without a 31st are left out. */
		{"0 0 31 * *", "2026-01-31 00:00",
			{"2026-03-31 00:00", "2026-05-31 00:00", "2026-07-31 00:00",
				"2026-08-31 00:00", "2026-10-31 00:00", "2026-12-31 00:00"}},
		/* Leap years, and the century that is none. */
		{"0 0 29 2 *", "2026-01-01 00:00", {"2028-02-29 00:00", "2032-02-29 00:00"}},
		{"0 0 29 feb *", "2096-02-29 00:00", {"2104-02-29 00:00"}},
		{"0 0 29 2 *", "1999-12-31 23:59", {"2000-02-29 00:00"}},
		/* One of two restricted days is enough. */
		{"0 0 13 * FRI", "2026-11-01 00:00",
			{"2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00",
				"2026-11-27 00:00", "2026-12-04 00:00", "2026-12-11 00:00"}},
		{"0 0 1,15 * 1", "2026-11-13 00:00",
			{"2026-11-15 00:00", "2026-11-16 00:00", "2026-11-23 00:00"}},
		/* Both are needed where one begins with *. */
		{"0 0 */2 * 1", "2026-11-01 00:00", {"2026-11-09 00:00", "2026-11-23 00:00"}},
		{"0 0 * * mon-FRI", "2026-11-20 00:00", {"2026-11-23 00:00"}},
		{"0 0 * * fri-sun", "2026-11-19 00:00",
			{"2026-11-20 00:00", "2026-11-21 00:00", "2026-11-22 00:00",
				"2026-11-27 00:00"}},
		{"0 0 * * 7", "2026-11-19 00:00", {"2026-11-22 00:00", "2026-11-29 00:00"}},
		{"0 0 * * 0-7/7", "2026-11-19 00:00", {"2026-11-22 00:00", "2026-11-29 00:00"}},
		{"0 0 * jan,JUL 1", "2026-11-19 00:00", {"2027-01-04 00:00"}},
		{"@yearly", "2026-11-19 00:00", {"2027-01-01 00:00", "2028-01-01 00:00"}},
		{"@Monthly", "2026-11-19 00:00", {"2026-12-01 00:00"}},
		{"@weekly", "2026-11-19 00:00", {"2026-11-22 00:00"}},
		{"@daily", "2026-11-19 00:00", {"2026-11-20 00:00"}},
		{"@midnight", "2026-11-19 00:00", {"2026-11-20 00:00"}},
		{"@hourly", "2026-11-19 00:00", {"2026-11-19 01:00"}},
		{"  0\t3  * * *  ", "2026-11-21 03:00", {"2026-11-22 03:00"}},
		/* A 29 February that is a Sunday: every 28 years. */
		{"0 0 29 2 */7", "2026-01-01 00:00", {"2032-02-29 00:00", "2060-02-29 00:00"}},
		{"0 0 1 1 *", "9999-01-01 00:00", {"never"}},
	};
	(void)state;
	check_rows(NULL, rows, ARRAY_LENGTH(rows));
	check_rows("UTC", rows, ARRAY_LENGTH(rows));
	/* One that the host does not know. */
	check_rows("Nowhere/Town", rows, ARRAY_LENGTH(rows));
}

/* 2026: forward on 29 March at 02:00 (01:00 UTC), back on 25 October at 03:00 (01:00 UTC). */
static void test_berlin(void **state)
{
	static const struct row rows[] = {
		{"0 3 * * *", "2026-01-10 00:00", {"2026-01-10 02:00", "2026-01-11 02:00"}},
		{"0 3 * * *", "2026-07-10 00:00", {"2026-07-10 01:00"}},
		/* Not there on the 29th: as soon as the gap is over, once. */
		{"30 2 * * *", "2026-03-28 00:00",
			{"2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"}},
		{"0,20,40 2 * * *", "2026-03-28 12:00", {"2026-03-29 01:00", "2026-03-30 00:00"}},
		{"0 2,3 * * *", "2026-03-28 12:00", {"2026-03-29 01:00", "2026-03-30 00:00"}},
		/* There twice: the first time. */
		{"30 2 * * *", "2026-10-24 12:00", {"2026-10-25 00:30", "2026-10-26 01:30"}},
		{"0,30 2 * * *", "2026-10-24 12:00",
			{"2026-10-25 00:00", "2026-10-25 00:30", "2026-10-26 01:00"}},
		/* From within the second time: not again. */
		{"45 2 * * *", "2026-10-25 01:05", {"2026-10-26 01:45"}},
		{"0 3 * * *", "2026-10-24 12:00", {"2026-10-25 02:00"}},
		/* Every hour goes on in real time. */
		{"30 * * * *", "2026-10-24 23:40",
			{"2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"}},
		{"*/30 * * * *", "2026-03-29 00:30",
			{"2026-03-29 01:00", "2026-03-29 01:30", "2026-03-29 02:00"}},
		/* By local days. */
		{"0 0 1 * *", "2026-06-15 00:00", {"2026-06-30 22:00"}},
		{"30 0 * * MON", "2026-11-20 00:00", {"2026-11-22 23:30"}},
		{"0 0 29 2 *", "2026-06-15 00:00", {"2028-02-28 23:00", "2032-02-28 23:00"}},
	};
	(void)state;
	if (!cron_zone_known("Europe/Berlin"))
		skip();
	check_rows("Europe/Berlin", rows, ARRAY_LENGTH(rows));
}

/* Half an hour, at another hour; and a zone that skips a whole day. */
static void test_odd_zones(void **state)
{
	static const struct row lord_howe[] = {
		/* Forward by 30 minutes on 2026-10-04 at 02:00 local (15:30 UTC the day before). */
		{"15 2 * * *", "2026-10-03 00:00", {"2026-10-03 15:30", "2026-10-04 15:15"}},
		/* Back by 30 minutes on 2026-04-05 at 02:00 local (15:00 UTC the day before). */
		{"45 1 * * *", "2026-04-04 00:00", {"2026-04-04 14:45", "2026-04-05 15:15"}},
	};
	static const struct row apia[] = {
		/* There was no 30 December 2011. */
		{"0 12 * * *", "2011-12-29 00:00",
			{"2011-12-29 22:00", "2011-12-30 10:00", "2011-12-30 22:00"}},
	};
	(void)state;
	if (!cron_zone_known("Australia/Lord_Howe") || !cron_zone_known("Pacific/Apia"))
		skip();
	check_rows("Australia/Lord_Howe", lord_howe, ARRAY_LENGTH(lord_howe));
	check_rows("Pacific/Apia", apia, ARRAY_LENGTH(apia));
}

static void test_our_zone_stays(void **state)
{
	struct cron cron;
	(void)state;
	assert_int_equal(cron_parse("0 3 * * *", &cron, NULL), 0);
	unsetenv("TZ");
	cron_next(&cron, "Europe/Berlin", 0);
	assert_null(getenv("TZ"));
	setenv("TZ", "Asia/Tokyo", 1);
	cron_next(&cron, "Europe/Berlin", 0);
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
	struct tm local;
	const time_t zero = 0;
	localtime_r(&zero, &local);
	if (cron_zone_known("Asia/Tokyo"))
		assert_int_equal(local.tm_hour, 9);
	unsetenv("TZ");
	tzset();
}

/* Every minute of two days around a change: cron_next(t) is the least that is due after t, so
 * it never goes back, and nothing is due between two results. */
static void test_no_minute_is_lost(void **state)
{
	static const char *const texts[] = {"30 2 * * *", "*/20 * * * *", "0 */3 * * *"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct cron cron;
		assert_int_equal(cron_parse(texts[i], &cron, NULL), 0);
		for (int64_t begin = at("2026-03-28 12:00"), time = begin; time < begin + 172800;
			time += 60) {
			int64_t next = cron_next(&cron, "Europe/Berlin", time);
			assert_true(next > time);
			assert_int_equal(cron_next(&cron, "Europe/Berlin", next - 60), next);
			assert_int_equal(cron_next(&cron, "Europe/Berlin", next - 1), next);
			if (next > time + 60)
				assert_int_equal(
					cron_next(&cron, "Europe/Berlin", time + 60), next);
		}
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "0 fields: expected 5: minute, hour, day of the month, month, day of the "
		     "week"},
		{"*", "1 field: expected 5"},
		{"0 0 3 * * *", "6 fields: expected 5"},
		{"60 * * * *", "minute \"60\": out of range 0-59"},
		{"99999999999999999999 * * * *", "out of range 0-59"},
		{"* 24 * * *", "hour \"24\": out of range 0-23"},
		{"* * 0 * *", "day of the month \"0\": out of range 1-31"},
		{"* * * 13 *", "month \"13\": out of range 1-12"},
		{"* * * * 8", "day of the week \"8\": out of range 0-7"},
		{"* * * foo *", "month \"foo\": no number and no known name"},
		{"mon * * * *", "minute \"mon\": no number and no known name"},
		{"* 22-2 * * *", "hour \"22-2\": the range ends before it begins"},
		{"* * * * fri-tue", "the range ends before it begins"},
		{"*/0 * * * *", "minute \"0\": out of range 1-59"},
		{"*/90 * * * *", "minute \"90\": out of range 1-59"},
		{"5/10 * * * *", "minute \"5/10\": a step needs a range before it"},
		{"1,,2 * * * *", "minute \"\": expected a number"},
		{"1, * * * *", "minute \"\": expected a number"},
		{"1- * * * *", "minute \"\": expected a number"},
		{"- * * * *", "minute \"-\": expected a number"},
		{"1-2-3 * * * *", "minute \"1-2-3\": not understood from the middle on"},
		{"0 0 L * *", "day of the month \"L\": no number and no known name"},
		{"0 0 ? * *", "day of the month \"?\": expected a number"},
		{"0 0 * * 5#2", "day of the week \"5#2\": not understood from the middle on"},
		{"\x1b[1m * * * *", "minute \"\\x1b[1m\": expected"},
		{"0 0 31 4,6,9,11 *", "this day never comes"},
		{"0 0 30 2 *", "this day never comes"},
		{"@reboot", "\"@reboot\" is not known: there are @yearly"},
		{"@every 5m", "is not known"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct cron cron;
		struct error error = {0};
		assert_int_equal(cron_parse(rows[i].text, &cron, &error), -EINVAL);
		if (strstr(error.message, rows[i].message) == NULL)
			fail_msg("%s: %s, not %s", rows[i].text, error.message, rows[i].message);
	}
}

static void test_zone_names(void **state)
{
	static const char *const good[] = {"UTC", "Europe/Berlin", "America/Argentina/Ushuaia",
		"Etc/GMT+3", "America/Port-au-Prince", "EST5EDT"};
	static const char *const bad[] = {"", "/etc/passwd", "../../etc/passwd", "Europe/../../x",
		":UTC", "Europe/", "Europe//Berlin", "A B", "<+03>-3", "-03", "zone.tab",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		assert_int_equal(cron_zone_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		assert_int_equal(cron_zone_check(bad[i], NULL), -EINVAL);
	assert_true(cron_zone_known("UTC"));
	assert_false(cron_zone_known("Europe"));
	assert_false(cron_zone_known("leapseconds"));
	assert_false(cron_zone_known("Europe/Berln"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utc),
		cmocka_unit_test(test_berlin),
		cmocka_unit_test(test_odd_zones),
		cmocka_unit_test(test_our_zone_stays),
		cmocka_unit_test(test_no_minute_is_lost),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_zone_names),
	};
	return cmocka_run_group_tests_name("cron", tests, NULL, NULL);
}
