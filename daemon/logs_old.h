/* What a log's file holds from before this daemon was started: the ring of daemon/logs.c
 * knows nothing of it. Read when somebody asks, never kept. */
#pragma once

#include "daemon/logs.h"

#define LOG_OLD_BYTES (1024 * 1024) /* so much of the file's end is looked at */

/* Calls FOLLOW with the last LINES lines among the first END bytes of the file NAME.log in
 * FOLDER_FD, oldest first. What is no line of a log is left out. */
void logs_old_last(int folder_fd, const char *name, uint64_t end, size_t lines,
	log_follow_fn *follow, void *data);
