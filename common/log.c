#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "tenantd";
static enum log_level log_most = LOG_LEVEL_INFO;
static bool log_to_journal;
static log_writer_fn *log_writer;

/* The variable alone does not say so: it is inherited by those whose standard error leads
 * elsewhere. */
bool log_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;
	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

void log_init(const char *program)
{
	log_program = program;
	log_to_journal = log_is_journal();
}

void log_set_writer(log_writer_fn *writer)
{
	log_writer = writer;
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
	int length = log_writer ? 0 : write_prefix(line, sizeof line, level);
	va_list args;
	va_start(args, format);
	int more = vsnprintf(line + length, sizeof line - (size_t)length, format, args);
	va_end(args);
	length += more > 0 ? more : 0;
	if (length > (int)sizeof line - 2)
		length = (int)sizeof line - 2;
	if (log_writer) {
		log_writer(level, line, (size_t)length);
		errno = saved;
		return;
	}
	line[length++] = '\n';
	/* One write for each line, so that lines of several processes do not mix. A
	 * reader that is gone must not stop the program. */
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
	(void)ignored;
	errno = saved;
}
