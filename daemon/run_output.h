/* What the program of `tenantd run` writes, on its way to the daemon's own output: whole
 * lines, so that those of two streams do not mix. Where nobody reads, the program waits, as
 * it would if the output were its own; nothing is lost, and the daemon's loop goes on. */
#pragma once

#include "common/error.h"

#include <stdbool.h>

#include <systemd/sd-event.h>

enum run_format {
	RUN_FORMAT_PLAIN, /* as it comes, byte for byte */
	/* {"time":"2026-11-21T12:00:00.000Z","stream":"stdout","line":"…"}, and what is not
	 * printable escaped (common/escape.h) */
	RUN_FORMAT_JSON,
};

struct run_output;
struct secrets;

typedef void run_output_done_fn(void *data);

struct run_output_options {
	const char *stream; /* its name: "stdout" */
	int to;             /* stays the caller's */
	enum run_format format;
	run_output_done_fn *done; /* all is written, and no more will come */
	void *data;
};

/* *RET_FD is the end to write to, the caller's. */
int run_output_new(sd_event *event, const struct run_output_options *options,
	struct run_output **ret_output, int *ret_fd, struct error *error);
/* These are left out of it from now on; SECRETS is shared. NULL: none. */
void run_output_redact(struct run_output *output, struct secrets *secrets);
bool run_output_is_done(const struct run_output *output);
/* Takes NULL, returns NULL. */
struct run_output *run_output_free(struct run_output *output);

/* LINE, of LENGTH bytes, as JSON with a newline into TEXT; what does not fit is cut. LEVEL: of a
 * line of the daemon's own, which is printable already; NULL: a program's. Returns the length. */
#define RUN_OUTPUT_LINE_MAX 8192 /* of source; a longer one comes in pieces */
#define RUN_OUTPUT_TEXT_MAX (RUN_OUTPUT_LINE_MAX * 10 + 256)
size_t run_output_json(char text[RUN_OUTPUT_TEXT_MAX], const char *stream, const char *level,
	const char *line, size_t length);
