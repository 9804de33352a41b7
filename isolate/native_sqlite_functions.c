/* What SQLite calls in JavaScript while it runs a query: functions, aggregates and the
 * authorizer of a database of node:sqlite. */
#include "isolate/sqlite.h"

#include "common/cleanup.h"

#include <stdlib.h>

/* ---- values ---- */

struct function {
	struct sqlite_database *database;
	int id;
	bool bigints, has_result;
};

static struct sqlite_cell cell_of(sqlite3_value *value)
{
	struct sqlite_cell cell = {.type = sqlite3_value_type(value)};
	switch (cell.type) {
	case SQLITE_INTEGER:
		cell.integer = sqlite3_value_int64(value);
		break;
	case SQLITE_FLOAT:
		cell.number = sqlite3_value_double(value);
		break;
	case SQLITE_TEXT:
		cell.data = sqlite3_value_text(value);
		cell.length = (size_t)sqlite3_value_bytes(value);
		break;
	case SQLITE_BLOB:
		cell.data = sqlite3_value_blob(value);
		cell.length = (size_t)sqlite3_value_bytes(value);
		break;
	default:
		break;
	}
	return cell;
}

static void give_string(struct engine *engine, sqlite3_context *context, engine_value *value)
{
	const size_t length = engine_string_utf8_length(engine, value);
	char *text = malloc(length ? length : 1);
	if (!text) {
		sqlite3_result_error_nomem(context);
		return;
	}
	engine_string_write_utf8(engine, value, text, length, NULL);
	sqlite3_result_text64(context, text, length, free, SQLITE_UTF8);
}

/* VALUE as what the function gave. */
static void give(struct engine *engine, sqlite3_context *context, engine_value *value)
{
	int64_t integer;
	void *data;
	size_t length;
	switch (engine_typeof(value)) {
	case ENGINE_UNDEFINED:
	case ENGINE_NULL:
		sqlite3_result_null(context);
		return;
	case ENGINE_NUMBER:
		sqlite3_result_double(context, engine_to_number(engine, value));
		return;
	case ENGINE_STRING:
		give_string(engine, context, value);
		return;
	case ENGINE_BIGINT:
		if (engine_bigint_to_i64(value, &integer))
			sqlite3_result_int64(context, integer);
		else
			sqlite3_result_error(context, "BigInt value is too large for SQLite", -1);
		return;
	default:
		break;
	}
	if (engine_is_promise(value))
		sqlite3_result_error(
			context, "Asynchronous user-defined functions are not supported", -1);
	else if (engine_is_buffer_or_view(value) && engine_bytes_get(value, &data, &length))
		sqlite3_result_blob64(context, length > 0 ? data : "", length, SQLITE_TRANSIENT);
	else
		sqlite3_result_error(context,
			"Returned JavaScript value cannot be converted to a SQLite value", -1);
}

/* The message is nobody's: what was thrown reaches the caller. */
static void give_failure(sqlite3_context *context)
{
	sqlite3_result_error(context, "", 0);
}

/* Calls WHICH of FUNCTION with FIRST (may be NULL) and the values. NULL when it threw, or one
 * of them is too large for JavaScript. */
static engine_value *call_with(struct engine *engine, const struct function *function, int which,
	engine_value *first, int count, sqlite3_value **values)
{
	const int before = first ? 1 : 0;
	cleanup_free engine_value **arguments =
		calloc((size_t)(count + before) + 1, sizeof(engine_value *));
	if (!arguments || !sqlite_may_call(engine, function->database))
		return NULL;
	if (first)
		arguments[0] = first;
	for (int i = 0; i < count; i++) {
		const struct sqlite_cell cell = cell_of(values[i]);
		arguments[before + i] = sqlite_cell_value(engine, &cell, function->bigints);
		if (!arguments[before + i])
			return NULL;
	}
	return sqlite_call(
		engine, function->database, function->id, which, arguments, before + count);
}

/* ---- functions ---- */

static void on_function(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	engine_value *result = call_with(
		engine, sqlite3_user_data(context), SQLITE_CALL_FUNCTION, NULL, count, values);
	if (result)
		give(engine, context, result);
	else
		give_failure(context);
	engine_scope_close(engine, &scope);
}

static int encoding_of(bool deterministic, bool direct_only)
{
	return SQLITE_UTF8 | (deterministic ? SQLITE_DETERMINISTIC : 0) |
	       (direct_only ? SQLITE_DIRECTONLY : 0);
}

static struct function *function_new(
	struct engine *engine, struct sqlite_database *database, int id, bool bigints)
{
	struct function *function = calloc(1, sizeof *function);
	if (!function) {
		engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
		return NULL;
	}
	*function = (struct function){.database = database, .id = id, .bigints = bigints};
	return function;
}

/* addFunction(name, number of arguments, id, bigints, deterministic, direct only) */
engine_value *sqlite_add_function(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	struct sqlite_entry entry;
	size_t length;
	cleanup_free char *name =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!name || !sqlite_enter(engine, database, engine_call_this(engine, call), &entry))
		return NULL;
	struct function *function = function_new(
		engine, database, engine_argument_int32(call, 2), engine_argument_bool(call, 3));
	/* SQLite frees it in any case. */
	if (function &&
		sqlite3_create_function_v2(database->handle, name, engine_argument_int32(call, 1),
			encoding_of(engine_argument_bool(call, 4), engine_argument_bool(call, 5)),
			function, on_function, NULL, NULL, free) != SQLITE_OK)
		sqlite_throw(engine, database);
	sqlite_leave(&entry);
	return NULL;
}

/* ---- aggregates ---- */

/* SQLite's, zeroed, one for each group. */
struct aggregate {
	engine_ref *value; /* what the steps have made so far */
	bool started, window;
};

static struct aggregate *aggregate_of(struct engine *engine, sqlite3_context *context)
{
	struct aggregate *aggregate = sqlite3_aggregate_context(context, sizeof *aggregate);
	if (!aggregate) {
		sqlite3_result_error_nomem(context);
		return NULL;
	}
	if (aggregate->started)
		return aggregate;
	engine_value *value =
		call_with(engine, sqlite3_user_data(context), SQLITE_CALL_START, NULL, 0, NULL);
	if (!value) {
		give_failure(context);
		return NULL;
	}
	aggregate->value = engine_ref_new(engine, value);
	aggregate->started = true;
	return aggregate;
}

static void accumulate(sqlite3_context *context, int count, sqlite3_value **values, int which)
{
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	struct aggregate *aggregate = aggregate_of(engine, context);
	if (aggregate) {
		engine_value *value = call_with(engine, sqlite3_user_data(context), which,
			engine_ref_get(engine, aggregate->value), count, values);
		if (value) {
			engine_ref_free(aggregate->value);
			aggregate->value = engine_ref_new(engine, value);
		} else {
			give_failure(context);
		}
	}
	engine_scope_close(engine, &scope);
}

static void on_step(sqlite3_context *context, int count, sqlite3_value **values)
{
	accumulate(context, count, values, SQLITE_CALL_STEP);
}

static void on_inverse(sqlite3_context *context, int count, sqlite3_value **values)
{
	accumulate(context, count, values, SQLITE_CALL_INVERSE);
}

static void give_aggregate(sqlite3_context *context)
{
	struct engine *engine = runtime.engine;
	const struct function *function = sqlite3_user_data(context);
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	struct aggregate *aggregate = aggregate_of(engine, context);
	if (aggregate) {
		engine_value *value = engine_ref_get(engine, aggregate->value);
		if (function->has_result)
			value = call_with(engine, function, SQLITE_CALL_RESULT, value, 0, NULL);
		if (value)
			give(engine, context, value);
		else
			give_failure(context);
	}
	engine_scope_close(engine, &scope);
}

/* Of a window, once for each row. */
static void on_value(sqlite3_context *context)
{
	struct aggregate *aggregate = sqlite3_aggregate_context(context, sizeof *aggregate);
	if (aggregate)
		aggregate->window = true;
	give_aggregate(context);
}

/* Always the last one, also when the query failed. */
static void on_final(sqlite3_context *context)
{
	struct aggregate *aggregate = sqlite3_aggregate_context(context, sizeof *aggregate);
	if (!aggregate || !aggregate->window)
		give_aggregate(context);
	if (aggregate)
		aggregate->value = engine_ref_free(aggregate->value);
}

/* addAggregate(name, number of arguments, id, bigints, deterministic, direct only, whether it
 * has an inverse, whether a result function) */
engine_value *sqlite_add_aggregate(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	const bool inverse = engine_argument_bool(call, 6);
	struct sqlite_entry entry;
	size_t length;
	cleanup_free char *name =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!name || !sqlite_enter(engine, database, engine_call_this(engine, call), &entry))
		return NULL;
	struct function *function = function_new(
		engine, database, engine_argument_int32(call, 2), engine_argument_bool(call, 3));
	if (function) {
		function->has_result = engine_argument_bool(call, 7);
		if (sqlite3_create_window_function(database->handle, name,
			    engine_argument_int32(call, 1),
			    encoding_of(
				    engine_argument_bool(call, 4), engine_argument_bool(call, 5)),
			    function, on_step, on_final, inverse ? on_value : NULL,
			    inverse ? on_inverse : NULL, free) != SQLITE_OK)
			sqlite_throw(engine, database);
	}
	sqlite_leave(&entry);
	return NULL;
}

/* ---- the authorizer ---- */

static engine_value *text_or_null(struct engine *engine, const char *text)
{
	return text ? engine_string(engine, text) : engine_null(engine);
}

static int on_authorize(void *arg, int action, const char *first, const char *second,
	const char *third, const char *fourth)
{
	struct sqlite_database *database = arg;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	int answer = SQLITE_DENY;
	engine_scope_open(engine, &scope);
	if (sqlite_may_call(engine, database)) {
		engine_value *arguments[] = {
			engine_int32(engine, action),
			text_or_null(engine, first),
			text_or_null(engine, second),
			text_or_null(engine, third),
			text_or_null(engine, fourth),
		};
		database->authorizing++;
		engine_value *result = sqlite_call(engine, database, SQLITE_AUTHORIZER,
			SQLITE_CALL_FUNCTION, arguments, ARRAY_LENGTH(arguments));
		if (result)
			answer = engine_to_int32(engine, result);
		database->authorizing--;
	}
	engine_scope_close(engine, &scope);
	return answer == SQLITE_OK || answer == SQLITE_IGNORE ? answer : SQLITE_DENY;
}

/* setAuthorizer(whether there is one) */
engine_value *sqlite_set_authorizer(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	if (!database->handle)
		return sqlite_throw_state(engine, "database is not open");
	if (sqlite_refuse_authorizer(engine, database))
		return NULL;
	sqlite3_set_authorizer(
		database->handle, engine_argument_bool(call, 0) ? on_authorize : NULL, database);
	return NULL;
}
