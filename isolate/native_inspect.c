/* Natives of isolate/js/inspect and clone.js: what an object is inside, which JavaScript
 * itself cannot tell. */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <string.h>

/* kind(value): engine_kind, as a string. */
static engine_value *kind(struct engine *engine, struct engine_call *call)
{
	return engine_string_internalized(
		engine, engine_kind(engine_call_argument(engine, call, 0)));
}

/* preview(value): engine_preview, or undefined. */
static engine_value *preview(struct engine *engine, struct engine_call *call)
{
	return engine_preview(engine, engine_call_argument(engine, call, 0));
}

/* kindOfMost(value): 0 for a plain object, 1 for an array, 2 for what kind() has to tell. No
 * string is made. */
static engine_value *kind_of_most(struct engine *engine, struct engine_call *call)
{
	const char *name = engine_kind(engine_call_argument(engine, call, 0));
	return engine_int32(engine, !*name ? 0 : strcmp(name, "Array") == 0 ? 1 : 2);
}

static const struct engine_native natives[] = {
	{"kind", kind, 1},
	{"kindOfMost", kind_of_most, 1},
	{"preview", preview, 1},
};

const struct native_module inspect_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
