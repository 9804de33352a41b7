/* Strings that come from tenants are escaped before they reach a terminal, a log
 * line or a file name: terminal control sequences (CVE-2023-28446 and its kin) and
 * bidirectional overrides must never get there raw. */
#pragma once

#include <stddef.h>

/* Writes SOURCE to TARGET so that it is one line of valid, printable UTF-8: control
 * characters, DEL, invalid bytes as \xNN, C1 controls, line separators and
 * bidirectional marks as \u{NNNN}, backslash as two. A tab stays when KEEP_TAB.
 * Cuts at a whole escape when TARGET (of SIZE bytes, NUL included) is full.
 * Returns the length written. An escape takes at most 10 bytes for 1-3 of source. */
size_t escape_line(char *target, size_t size, const char *source, size_t length, int keep_tab);

/* As escape_line for a NUL-terminated string, double quotes as \" too, into one of a few
 * static buffers of 512 bytes: for use as an argument of log_* only. Not for several threads. */
const char *escape_for_log(const char *source);
