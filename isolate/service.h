/* A program that serves, from its evaluated module to the end of its drain: the calls of its
 * default export beside fetch, and what the supervisor asks of it (isolate/js/lifecycle.js). */
#pragma once

#include "isolate/runtime.h"

/* Listens to the supervisor, in the worker; before anything of the program runs. */
void service_watch(void);

/* Does the program serve whose default export is PROGRAM (NULL without one), or is it a script?
 * As START's mode says, or by what it is. */
bool service_wanted(engine_value *program);

/* Starts the program whose default export is PROGRAM (NULL without one): its start(), then,
 * when it is ready, its listeners, and READY. FIRST_FD: the first of the listeners' descriptors.
 * In a scope of the caller's. */
void service_start(engine_value *program, engine_value *environment, int first_fd);
