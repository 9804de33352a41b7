/* What the tests of the engine share: one open engine with a few natives, and JavaScript
 * by the line. */
#pragma once

#include "isolate/engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

extern struct engine *engine;

/* Natives: add(a, b), call(f, x), fail(type, code, message), swallow(f), keep(x),
 * textOf(x). Classes: Counter(start) with add(n), fork() and the getter value; Sealed,
 * which JavaScript cannot construct, with the getter number. */
extern const struct engine_tables harness_tables;
extern int counters_alive; /* Counters that are not destroyed */

enum { HARNESS_CLASS_COUNTER, HARNESS_CLASS_SEALED };

/* Group set-up and tear-down: V8 in this process, a fresh engine with harness_tables. */
int harness_open(void **state);
int harness_close(void **state);

/* Runs SOURCE as a script and then microtasks. Returns String(result), or "! " and the
 * description of what it threw, or "! terminated". The text is good until eight more
 * calls. */
const char *run(const char *source);

/* Set in a child of fork: a failure ends it with 99, since cmocka's jump would go on
 * with the next test there. */
extern bool harness_in_child;

/* A scope for the duration of a test function. */
#define SCOPE                                                                                      \
	__attribute__((cleanup(harness_scope_close))) struct engine_scope scope_;                  \
	engine_scope_open(engine, &scope_)
void harness_scope_close(struct engine_scope *scope);

/* The value of SOURCE, in the caller's scope; fails the test when it throws. */
engine_value *value(const char *source);
/* Takes the pending exception and describes it. */
const char *caught(void);

#define assert_contains(text, part) harness_contains(text, part, __FILE__, __LINE__)
void harness_contains(const char *text, const char *part, const char *file, int line);
#define assert_runs(source, expected) assert_string_equal(run(source), expected)
