/* V8's inspector: the Chrome DevTools protocol for one engine. Nothing of it exists, nor costs
 * anything, until it is opened.
 *
 * All functions belong to the engine's thread, except engine_interrupt. */
#pragma once

#include "isolate/engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct engine_inspector;

struct engine_inspector_client {
	/* A message of the protocol for the debugger, LENGTH bytes of UTF-8. */
	void (*send)(void *arg, const char *message, size_t length);
	/* JavaScript stands still: waits for messages and dispatches them. False when no more
	 * will come. */
	bool (*wait)(void *arg);
	void *arg; /* stays the caller's */
};

/* Scripts that are compiled from now on are known to an inspector that is opened later: V8 keeps
 * with each the number that its context had for an inspector. Before the first script. */
void engine_inspector_prepare(struct engine *engine);

/* NAME is what debuggers show of the program. NULL without memory. */
struct engine_inspector *engine_inspector_open(
	struct engine *engine, const struct engine_inspector_client *client, const char *name);
/* A message of the debugger. The first one begins a session. */
void engine_inspector_dispatch(
	struct engine_inspector *inspector, const char *message, size_t length);
/* Ends the session: breakpoints are gone, a program that stands still goes on. */
void engine_inspector_reset(struct engine_inspector *inspector);
/* The id of a message that nobody is to see the answer of. */
#define ENGINE_INSPECTOR_OWN_CALL INT32_MAX
/* Waits until the debugger says that the program may begin (Runtime.runIfWaitingForDebugger), and
 * dispatches BREAKPOINT, a message that sets one. False when no more messages will come. */
bool engine_inspector_wait_for_debugger(struct engine_inspector *inspector, const char *breakpoint);

/* Calls CALLBACK on the engine's thread, also in the middle of JavaScript. By any thread. */
void engine_interrupt(struct engine *engine, void (*callback)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
