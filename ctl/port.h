/* --port and --inspect: a TCP port of this host for debuggers. */
#pragma once

#include <stdint.h>

/* TEXT NULL or "" is the default (ctl/devtools.h). Returns 0 or the exit code of a usage
 * error. */
int port_option(const char *text, uint16_t *ret_port);
