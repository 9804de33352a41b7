/* The parts of the unpacking: what runs inside the confined process. */
#pragma once

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What one process tells the next, exactly once: unpacker to helper, helper to daemon.
 * The receiver trusts none of it. */
struct unpack_report {
	int32_t code; /* positive errno, 0 for success */
	uint32_t entries;
	uint64_t bytes;
	char release[72]; /* from the helper only */
	char message[1024];
};

/* Reads the archive from ARCHIVE_FD and writes its files below STAGING_FD. Needs the
 * locale of unpack_locale. Nothing is cleaned up on failure. */
int unpack_extract(
	int archive_fd, int staging_fd, struct unpack_report *report, struct error *error);

/* libarchive converts names to the locale's character set: with UTF-8 there is nothing
 * to convert, and no conversion tables are loaded from files. To be called before
 * unpack_confine; changes the process's locale. */
void unpack_locale(void);

/* Descriptors of the unpacker; anything else it has is closed. */
enum unpack_fd {
	UNPACK_FD_ARCHIVE = 3,
	UNPACK_FD_STAGING,
	UNPACK_FD_RESULT,
	UNPACK_FD_LIFELINE, /* only to be held open */
	UNPACK_FD_END,
};

/* Confines the calling process, for good: see the steps inside. The descriptors must be
 * at their places. PARENT is who it dies with. */
int unpack_confine(pid_t parent, struct error *error);

/* Puts FDS[i] to descriptor 3 + i and closes all others above 2. */
int unpack_arrange_fds(const int *fds, size_t count, struct error *error);

/* To die with PARENT, the process's parent. */
int unpack_die_with(pid_t parent, struct error *error);

/* Of a child of the daemon: the daemon's signal handlers and masks are not for it. */
void unpack_reset_signals(void);
