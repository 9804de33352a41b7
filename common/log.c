#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "tenantd";
static enum log_level log_most = LOG_LEVEL_INFO;
static bool log_to_journal;

void log_init(const char *program)
{
	log_program = program;
	log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	log_most = level;
}

bool log_enabled(enum log_level level)
{
	return level <= log_most;
}

static int write_prefix(char *line, size_t size, enum log_level level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */
	if (log_to_journal)
		return snprintf(line, size, "<%d>%s: ", priorities[level], log_program);
	struct timespec now;
	struct tm utc;
	char text[32];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	return snprintf(line, size, "%s.%03ldZ %-5s %s: ", text, now.tv_nsec / 1000000,
		names[level], log_program);
}

void log_line(enum log_level level, const char *format, ...)
{
	if (!log_enabled(level))
		return;
	int saved = errno;
	char line[4096];
	int length = write_prefix(line, sizeof line, level);
	va_list args;
	va_start(args, format);
	int more = vsnprintf(line + length, sizeof line - (size_t)length, format, args);
	va_end(args);
	length += more > 0 ? more : 0;
	if (length > (int)sizeof line - 2)
		length = (int)sizeof line - 2;
	line[length++] = '\n';
	/* One write for each line, so that lines of several processes do not mix. A
	 * reader that is gone must not stop the program. */
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
	(void)ignored;
	errno = saved;
}
