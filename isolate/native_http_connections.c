/* ConnectionsList of node:http: which connections a server has, which of them are idle, and which
 * have taken too long. */

#include "isolate/native_http_parser_private.h"

#include <stdlib.h>

#define NS_PER_MS 1000000

void http_connections_remove(struct parser *parser)
{
	struct connections *list = parser->list;
	if (list == NULL)
		return;
	if (parser->previous)
		parser->previous->next = parser->next;
	else
		list->first = parser->next;
	if (parser->next)
		parser->next->previous = parser->previous;
	parser->next = parser->previous = NULL;
	parser->list = NULL;
	parser->self = engine_ref_free(parser->self);
	parser->list_self = engine_ref_free(parser->list_self);
}

void http_connections_add(struct parser *parser, engine_value *object, struct connections *list,
	engine_value *list_object)
{
	if (list == NULL)
		return;
	parser->self = engine_ref_new(runtime.engine, object);
	parser->list_self = engine_ref_new(runtime.engine, list_object);
	parser->list = list;
	parser->next = list->first;
	if (list->first)
		list->first->previous = parser;
	list->first = parser;
}

/* Which of a list's. */
enum choice { ALL, IDLE, ACTIVE, EXPIRED, QUIET };

struct wanted {
	enum choice choice;
	uint64_t head_deadline, request_deadline; /* EXPIRED; 0: none */
	uint64_t quiet_since, fresh_since;        /* QUIET */
};

static bool is_expired(const struct parser *parser, const struct wanted *wanted)
{
	if (!parser->active)
		return false;
	return (!parser->head_complete && parser->started_ns < wanted->head_deadline) ||
	       parser->started_ns < wanted->request_deadline;
}

static bool is_wanted(const struct parser *parser, const struct wanted *wanted)
{
	switch (wanted->choice) {
	case ALL:
		return true;
	case IDLE:
		return parser->started_ns == 0;
	case ACTIVE:
		return parser->active;
	case EXPIRED:
		return is_expired(parser, wanted);
	case QUIET:
		if (parser->is_new)
			return parser->ended_ns < wanted->fresh_since;
		return parser->started_ns == 0 && parser->ended_ns < wanted->quiet_since;
	}
	return false;
}

static engine_value *list_of(struct engine_call *call, const struct wanted *wanted)
{
	const struct connections *list = engine_call_state(call);
	engine_value *result = engine_array(runtime.engine, NULL, 0);
	uint32_t count = 0;
	if (list == NULL || result == NULL)
		return result;
	for (struct parser *parser = list->first; parser; parser = parser->next) {
		if (!is_wanted(parser, wanted))
			continue;
		engine_set_index(runtime.engine, result, count++,
			engine_ref_get(runtime.engine, parser->self));
		if (wanted->choice == EXPIRED)
			parser->active = false; /* tells of it once */
	}
	return result;
}

static engine_value *connections_all(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return list_of(call, &(struct wanted){.choice = ALL});
}

static engine_value *connections_idle(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return list_of(call, &(struct wanted){.choice = IDLE});
}

static engine_value *connections_active(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return list_of(call, &(struct wanted){.choice = ACTIVE});
}

/* The time MS milliseconds ago; 0 when that is none. */
static uint64_t ago(double ms)
{
	const uint64_t now = uv_hrtime();
	if (!(ms > 0) || ms * NS_PER_MS >= (double)now)
		return 0;
	return now - (uint64_t)(ms * NS_PER_MS);
}

/* expired(headers timeout, request timeout), in milliseconds; 0: none. */
static engine_value *connections_expired(struct engine *engine, struct engine_call *call)
{
	double head = engine_argument_number(call, 0), request = engine_argument_number(call, 1);
	(void)engine;
	if (request > 0 && head > request) {
		const double other = head;
		head = request;
		request = other;
	}
	return list_of(call, &(struct wanted){
				     .choice = EXPIRED,
				     .head_deadline = ago(head),
				     .request_deadline = ago(request),
			     });
}

/* quiet(milliseconds since the last message, milliseconds since the connection began, for one
 * that has had none yet): not of Node's; see isolate/js/node/http/serving.js. */
static engine_value *connections_quiet(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	return list_of(call, &(struct wanted){
				     .choice = QUIET,
				     .quiet_since = ago(engine_argument_number(call, 0)),
				     .fresh_since = ago(engine_argument_number(call, 1)),
			     });
}

engine_value *http_connections_construct(struct engine *engine, struct engine_call *call)
{
	struct connections *list = calloc(1, sizeof *list);
	if (list == NULL)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	engine_set_state(engine_call_this(engine, call), list);
	return NULL;
}

/* Nothing is in it: those that are keep it. */
void http_connections_destroy(void *state)
{
	free(state);
}

const struct engine_native http_connections_methods[HTTP_CONNECTIONS_METHODS] = {
	{"all", connections_all, 0},
	{"idle", connections_idle, 0},
	{"active", connections_active, 0},
	{"expired", connections_expired, 2},
	{"quiet", connections_quiet, 2},
};
