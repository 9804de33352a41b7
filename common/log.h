/* The log of a program, one line an event: `LEVEL message` in logfmt style, with
 * whatever tenants supplied escaped by the caller (common/escape.h). To a terminal
 * or a file with a time; where standard error is the journal (JOURNAL_STREAM names it) with
 * the journal's <N> priority prefix instead. errno is preserved. Libraries never log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* PROGRAM must stay valid. Lines go to standard error. */
void log_init(const char *program);
/* Standard error is the journal of systemd. */
bool log_is_journal(void);
/* Lines go to WRITER, without prefix and line end, instead of standard error. NULL: back to that.
 */
typedef void log_writer_fn(enum log_level level, const char *line, size_t length);
void log_set_writer(log_writer_fn *writer);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                    \
	} while (0)
