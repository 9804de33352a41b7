/* Natives of isolate/js/node/dns.js: the egress process resolves. */

#include "common/cleanup.h"
#include "isolate/egress_client.h"
#include "isolate/natives.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

struct lookup {
	engine_ref *callback;
};

static engine_value *address_list(const struct egress_resolved *resolved)
{
	engine_value *list = engine_array(runtime.engine, NULL, 0);
	uint32_t count =
		resolved->count < EGRESS_ADDRESSES_MAX ? resolved->count : EGRESS_ADDRESSES_MAX;
	for (uint32_t i = 0; i < count; i++) {
		char text[INET6_ADDRSTRLEN];
		int family = (int)resolved->addresses[i].family;
		if (inet_ntop(family, resolved->addresses[i].address, text, sizeof text))
			engine_set_index(runtime.engine, list, engine_array_length(list),
				engine_string(runtime.engine, text));
	}
	return list;
}

static void on_resolved(void *data, const struct egress_result *result)
{
	struct lookup *lookup = data;
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *arguments[] = {
		engine_int32(runtime.engine, (int32_t)result->refusal),
		engine_int32(runtime.engine, result->code),
		engine_string(runtime.engine, result->text ? result->text : ""),
		result->resolved ? address_list(result->resolved)
				 : engine_undefined(runtime.engine),
	};
	engine_value *callback = engine_ref_get(runtime.engine, lookup->callback);
	engine_ref_free(lookup->callback);
	free(lookup);
	runtime_call(callback, engine_undefined(runtime.engine), arguments, 4);
	engine_scope_close(runtime.engine, &scope);
}

/* netResolve(name, family, callback(refusal, errno, text, addresses)): 0 or an errno. */
static engine_value *resolve(struct engine *engine, struct engine_call *call)
{
	size_t length;
	engine_value *callback = engine_call_argument(engine, call, 2);
	if (engine_typeof(callback) != ENGINE_FUNCTION)
		return engine_int32(engine, -EINVAL);
	cleanup_free char *name =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	cleanup_free struct lookup *lookup = calloc(1, sizeof *lookup);
	if (!name || !lookup)
		return engine_int32(engine, -ENOMEM);
	lookup->callback = engine_ref_new(engine, callback);
	if (!egress_resolve(name, length, (unsigned)engine_argument_int32(call, 1), 0, on_resolved,
		    lookup)) {
		engine_ref_free(lookup->callback);
		return engine_int32(engine, -ENOMEM);
	}
	(void)take_pointer(lookup);
	return engine_int32(engine, 0);
}

static const struct engine_native natives[] = {
	{"netResolve", resolve, 3},
};

const struct native_module dns_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.stop = egress_client_end,
};
