/* A job asks, before it is confined, for the programs that it may run. */
#pragma once

#include "daemon/instance.h"

#include <stdbool.h>
#include <stddef.h>

/* PROGRAM (LENGTH bytes, checked by the table of daemon/instance.c): goes where the path leads
 * and answers PROGRAM_IS. False when no job would say that. */
bool job_program_asked(struct instance *instance, const void *message, size_t length);
