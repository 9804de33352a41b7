/* Natives of isolate/js/inspect and clone.js: what an object is inside, which JavaScript
 * itself cannot tell. */

#include "common/cleanup.h"
#include "isolate/natives.h"

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

static const struct engine_native natives[] = {
	{"kind", kind, 1},
	{"preview", preview, 1},
};

const struct native_module inspect_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
