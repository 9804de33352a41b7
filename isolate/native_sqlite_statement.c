/* Prepared statements of node:sqlite. Each method that runs one is given the database's object
 * and what to bind: [number of the parameter, value, …]. */
#include "isolate/sqlite.h"

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <stdlib.h>
#include <string.h>

enum { WANT_BIGINTS = 1, WANT_ARRAYS = 2 };

/* ---- life ---- */

static void finalize(struct sqlite_statement *statement)
{
	if (!statement->handle)
		return;
	sqlite3_finalize(statement->handle);
	statement->handle = NULL;
	*statement->at = statement->next;
	if (statement->next)
		statement->next->at = statement->at;
	statement->database = NULL;
}

void sqlite_statements_close(struct sqlite_database *database)
{
	while (database->statements)
		finalize(database->statements);
}

static void destroy(void *state)
{
	finalize(state);
	free(state);
}

engine_value *sqlite_statement_new(
	struct engine *engine, struct sqlite_database *database, sqlite3_stmt *handle)
{
	struct sqlite_statement *statement = calloc(1, sizeof *statement);
	if (!statement) {
		sqlite3_finalize(handle);
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
	}
	*statement = (struct sqlite_statement){
		.handle = handle,
		.database = database,
		.next = database->statements,
		.at = &database->statements,
	};
	if (statement->next)
		statement->next->at = &statement->next;
	database->statements = statement;
	engine_value *object = engine_instance_new(engine, sqlite_classes.statement, statement);
	if (!object)
		destroy(statement);
	return object;
}

/* ---- entering ---- */

static bool is_usable(struct engine *engine, const struct sqlite_statement *statement)
{
	if (!statement->handle)
		sqlite_throw_state(engine, "statement has been finalized");
	return statement->handle != NULL;
}

/* The first argument is the database's object. What it does may not run the same statement
 * again from inside of its own functions: SQLite's is one. */
static bool enter(struct engine *engine, struct engine_call *call,
	struct sqlite_statement *statement, struct sqlite_entry *ret_entry)
{
	engine_value *self = engine_call_argument(engine, call, 0);
	struct sqlite_database *database;
	if (!is_usable(engine, statement))
		return false;
	if (statement->running) {
		sqlite_throw_state(engine, "statement is currently in use");
		return false;
	}
	database = sqlite_database_of(engine, self);
	if (!database)
		return false;
	if (database != statement->database) {
		sqlite_throw_state(engine, "statement is of another database");
		return false;
	}
	if (!sqlite_enter(engine, database, self, ret_entry))
		return false;
	statement->running = true;
	return true;
}

static void leave(struct sqlite_statement *statement, struct sqlite_entry *entry)
{
	statement->running = false;
	sqlite_leave(entry);
}

/* ---- binding ---- */

static engine_value *cannot_bind(struct engine *engine, int index)
{
	return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE",
		"Provided value cannot be bound to SQLite parameter %d.", index);
}

static int bind_string(struct engine *engine, sqlite3_stmt *handle, int index, engine_value *value)
{
	const size_t length = engine_string_utf8_length(engine, value);
	char *text = malloc(length ? length : 1);
	if (!text)
		return SQLITE_NOMEM;
	engine_string_write_utf8(engine, value, text, length, NULL);
	return sqlite3_bind_text64(handle, index, text, length, free, SQLITE_UTF8);
}

static int bind_bytes(sqlite3_stmt *handle, int index, engine_value *value)
{
	void *data;
	size_t length;
	engine_bytes_get(value, &data, &length);
	return sqlite3_bind_blob64(handle, index, length > 0 ? data : "", length, SQLITE_TRANSIENT);
}

static bool bind_value(
	struct engine *engine, struct sqlite_statement *statement, int index, engine_value *value)
{
	sqlite3_stmt *handle = statement->handle;
	int64_t integer;
	int result;
	switch (engine_typeof(value)) {
	case ENGINE_NULL:
		result = sqlite3_bind_null(handle, index);
		break;
	case ENGINE_BOOLEAN:
		result = sqlite3_bind_int(handle, index, engine_to_bool(engine, value));
		break;
	case ENGINE_NUMBER:
		result = sqlite3_bind_double(handle, index, engine_to_number(engine, value));
		break;
	case ENGINE_STRING:
		result = bind_string(engine, handle, index, value);
		break;
	case ENGINE_BIGINT:
		if (!engine_bigint_to_i64(value, &integer)) {
			engine_throw(engine, "TypeError", "ERR_INVALID_ARG_VALUE",
				"BigInt value is too large to bind.");
			return false;
		}
		result = sqlite3_bind_int64(handle, index, integer);
		break;
	default:
		if (!engine_is_buffer_or_view(value)) {
			cannot_bind(engine, index);
			return false;
		}
		result = bind_bytes(handle, index, value);
	}
	if (result != SQLITE_OK)
		sqlite_throw(engine, statement->database);
	return result == SQLITE_OK;
}

/* LIST: [number, value, …] */
static bool bind_list(struct engine *engine, struct sqlite_statement *statement, engine_value *list)
{
	sqlite3_reset(statement->handle);
	sqlite3_clear_bindings(statement->handle);
	if (!engine_is_array(list))
		return true;
	const uint32_t count = engine_array_length(list);
	for (uint32_t i = 0; i + 1 < count; i += 2) {
		struct engine_scope scope;
		engine_scope_open(engine, &scope);
		const int index = engine_to_int32(engine, engine_get_index(engine, list, i));
		const bool good =
			bind_value(engine, statement, index, engine_get_index(engine, list, i + 1));
		engine_scope_close(engine, &scope);
		if (!good)
			return false;
	}
	return true;
}

/* ---- rows ---- */

static struct sqlite_cell cell_of(sqlite3_stmt *handle, int column)
{
	struct sqlite_cell cell = {.type = sqlite3_column_type(handle, column)};
	switch (cell.type) {
	case SQLITE_INTEGER:
		cell.integer = sqlite3_column_int64(handle, column);
		break;
	case SQLITE_FLOAT:
		cell.number = sqlite3_column_double(handle, column);
		break;
	case SQLITE_TEXT:
		cell.data = sqlite3_column_text(handle, column);
		cell.length = (size_t)sqlite3_column_bytes(handle, column);
		break;
	case SQLITE_BLOB:
		cell.data = sqlite3_column_blob(handle, column);
		cell.length = (size_t)sqlite3_column_bytes(handle, column);
		break;
	default:
		break;
	}
	return cell;
}

/* The names of the columns, made once for all rows of a run. */
struct columns {
	engine_value **names, **values;
	int count;
};

static void free_columns(struct columns *columns)
{
	free(columns->names);
	free(columns->values);
}

/* After the first step: SQLite may have prepared the statement anew, for another schema. */
static bool make_columns(
	struct engine *engine, sqlite3_stmt *handle, bool named, struct columns *columns)
{
	if (columns->values)
		return true;
	columns->count = sqlite3_column_count(handle);
	columns->names = calloc((size_t)columns->count + 1, sizeof(engine_value *));
	columns->values = calloc((size_t)columns->count + 1, sizeof(engine_value *));
	if (!columns->names || !columns->values) {
		engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
		return false;
	}
	for (int i = 0; named && i < columns->count; i++) {
		const char *name = sqlite3_column_name(handle, i);
		columns->names[i] = engine_string(engine, name ? name : "");
		if (!columns->names[i])
			return false;
	}
	return true;
}

static engine_value *row_value(
	struct engine *engine, sqlite3_stmt *handle, int flags, struct columns *columns)
{
	for (int i = 0; i < columns->count; i++) {
		const struct sqlite_cell cell = cell_of(handle, i);
		columns->values[i] = sqlite_cell_value(engine, &cell, flags & WANT_BIGINTS);
		if (!columns->values[i])
			return NULL;
	}
	return flags & WANT_ARRAYS ? engine_array(engine, columns->values, (size_t)columns->count)
				   : engine_record(engine, columns->names, columns->values,
					     (size_t)columns->count);
}

/* A step that gave neither a row nor the end. */
static bool check_step(struct engine *engine, struct sqlite_statement *statement, int result)
{
	if ((result == SQLITE_ROW || result == SQLITE_DONE) && !statement->database->thrown)
		return true;
	sqlite_throw(engine, statement->database);
	return false;
}

/* get(database, bindings, flags): the first row, or undefined. */
static engine_value *get(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	const int flags = engine_argument_int32(call, 2);
	struct sqlite_entry entry;
	struct columns columns = {0};
	engine_value *row = NULL;
	if (!enter(engine, call, statement, &entry))
		return NULL;
	if (bind_list(engine, statement, engine_call_argument(engine, call, 1))) {
		const int result = sqlite3_step(statement->handle);
		if (check_step(engine, statement, result) && result == SQLITE_ROW &&
			make_columns(engine, statement->handle, !(flags & WANT_ARRAYS), &columns))
			row = row_value(engine, statement->handle, flags, &columns);
	}
	sqlite3_reset(statement->handle);
	leave(statement, &entry);
	free_columns(&columns);
	return row;
}

static bool collect(struct engine *engine, struct sqlite_statement *statement, int flags,
	engine_value *rows, struct columns *columns)
{
	for (uint32_t i = 0;; i++) {
		struct engine_scope scope;
		const int result = sqlite3_step(statement->handle);
		if (!check_step(engine, statement, result))
			return false;
		if (result == SQLITE_DONE)
			return true;
		if (!make_columns(engine, statement->handle, !(flags & WANT_ARRAYS), columns))
			return false;
		engine_scope_open(engine, &scope);
		engine_value *row = row_value(engine, statement->handle, flags, columns);
		const bool good = row && engine_set_index(engine, rows, i, row) == 0;
		engine_scope_close(engine, &scope);
		if (!good)
			return false;
	}
}

/* all(database, bindings, flags) */
static engine_value *all(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	struct sqlite_entry entry;
	struct columns columns = {0};
	if (!enter(engine, call, statement, &entry))
		return NULL;
	engine_value *rows = engine_array(engine, NULL, 0);
	const bool good =
		bind_list(engine, statement, engine_call_argument(engine, call, 1)) &&
		collect(engine, statement, engine_argument_int32(call, 2), rows, &columns);
	sqlite3_reset(statement->handle);
	leave(statement, &entry);
	free_columns(&columns);
	return good ? rows : NULL;
}

static engine_value *count_value(struct engine *engine, int64_t value, int flags)
{
	return flags & WANT_BIGINTS ? engine_bigint_i64(engine, value)
				    : engine_number(engine, (double)value);
}

/* run(database, bindings, flags): [changes, last row]. */
static engine_value *run(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	const int flags = engine_argument_int32(call, 2);
	struct sqlite_entry entry;
	engine_value *result = NULL;
	if (!enter(engine, call, statement, &entry))
		return NULL;
	sqlite3 *handle = statement->database->handle;
	if (bind_list(engine, statement, engine_call_argument(engine, call, 1))) {
		sqlite3_step(statement->handle);
		if (sqlite3_reset(statement->handle) != SQLITE_OK || statement->database->thrown) {
			sqlite_throw(engine, statement->database);
		} else {
			engine_value *items[] = {
				count_value(engine, sqlite3_changes64(handle), flags),
				count_value(engine, sqlite3_last_insert_rowid(handle), flags),
			};
			result = engine_array(engine, items, ARRAY_LENGTH(items));
		}
	}
	leave(statement, &entry);
	return result;
}

/* start(database, bindings): for next. */
static engine_value *start(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	struct sqlite_entry entry;
	if (!enter(engine, call, statement, &entry))
		return NULL;
	bind_list(engine, statement, engine_call_argument(engine, call, 1));
	leave(statement, &entry);
	return NULL;
}

/* next(database, flags): a row, or undefined at the end. */
static engine_value *next(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	const int flags = engine_argument_int32(call, 1);
	struct sqlite_entry entry;
	struct columns columns = {0};
	engine_value *row = NULL;
	if (!enter(engine, call, statement, &entry))
		return NULL;
	const int result = sqlite3_step(statement->handle);
	if (check_step(engine, statement, result) && result == SQLITE_ROW &&
		make_columns(engine, statement->handle, !(flags & WANT_ARRAYS), &columns))
		row = row_value(engine, statement->handle, flags, &columns);
	if (!row)
		sqlite3_reset(statement->handle);
	leave(statement, &entry);
	free_columns(&columns);
	return row;
}

static engine_value *reset(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	if (statement->handle && !statement->running &&
		!sqlite_refuse_authorizer(engine, statement->database))
		sqlite3_reset(statement->handle);
	return NULL;
}

/* ---- what it is ---- */

static engine_value *text_or_null(struct engine *engine, const char *text)
{
	return text ? engine_string(engine, text) : engine_null(engine);
}

/* For what runs nothing, but must not lose the statement meanwhile either. */
static struct sqlite_entry hold(struct sqlite_statement *statement, bool *ret_running)
{
	struct sqlite_database *database = statement->database;
	database->entered++;
	*ret_running = statement->running;
	statement->running = true;
	return (struct sqlite_entry){.database = database, .self = database->self};
}

static void release(struct sqlite_statement *statement, struct sqlite_entry *entry, bool running)
{
	statement->running = running;
	sqlite_leave(entry);
}

/* parameters(): their names, null for those without. */
static engine_value *parameters(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	bool running;
	if (!is_usable(engine, statement))
		return NULL;
	struct sqlite_entry entry = hold(statement, &running);
	const int count = sqlite3_bind_parameter_count(statement->handle);
	engine_value *list = engine_array(engine, NULL, 0);
	for (int i = 0; i < count; i++) {
		struct engine_scope scope;
		engine_scope_open(engine, &scope);
		engine_set_index(engine, list, (uint32_t)i,
			text_or_null(
				engine, sqlite3_bind_parameter_name(statement->handle, i + 1)));
		engine_scope_close(engine, &scope);
	}
	release(statement, &entry, running);
	return list;
}

/* columns(): [column, database, name, table, type], … */
static engine_value *columns_method(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	bool running;
	if (!is_usable(engine, statement))
		return NULL;
	struct sqlite_entry entry = hold(statement, &running);
	sqlite3_stmt *handle = statement->handle;
	const int count = sqlite3_column_count(handle);
	engine_value *list = engine_array(engine, NULL, 0);
	for (int i = 0; i < count; i++) {
		struct engine_scope scope;
		engine_scope_open(engine, &scope);
		engine_value *items[] = {
			text_or_null(engine, sqlite3_column_origin_name(handle, i)),
			text_or_null(engine, sqlite3_column_database_name(handle, i)),
			text_or_null(engine, sqlite3_column_name(handle, i)),
			text_or_null(engine, sqlite3_column_table_name(handle, i)),
			text_or_null(engine, sqlite3_column_decltype(handle, i)),
		};
		engine_set_index(engine, list, (uint32_t)i,
			engine_array(engine, items, ARRAY_LENGTH(items)));
		engine_scope_close(engine, &scope);
	}
	release(statement, &entry, running);
	return list;
}

static engine_value *source_sql(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	if (!is_usable(engine, statement))
		return NULL;
	return engine_string(engine, sqlite3_sql(statement->handle));
}

static engine_value *expanded_sql(struct engine *engine, struct engine_call *call)
{
	struct sqlite_statement *statement = engine_call_state(call);
	if (!is_usable(engine, statement))
		return NULL;
	char *text = sqlite3_expanded_sql(statement->handle);
	if (!text)
		return engine_throw(engine, "Error", "ERR_SQLITE_ERROR",
			"Expanded SQL text would exceed configured limits");
	engine_value *result = engine_string(engine, text);
	sqlite3_free(text);
	return result;
}

static engine_value *is_finalized(struct engine *engine, struct engine_call *call)
{
	const struct sqlite_statement *statement = engine_call_state(call);
	return engine_bool(engine, !statement->handle);
}

static const struct engine_native methods[] = {
	{"get", get, 3},
	{"all", all, 3},
	{"run", run, 3},
	{"start", start, 2},
	{"next", next, 2},
	{"reset", reset, 0},
	{"parameters", parameters, 0},
	{"columns", columns_method, 0},
	{"sourceSQL", source_sql, 0},
	{"expandedSQL", expanded_sql, 0},
	{"isFinalized", is_finalized, 0},
};

static const struct engine_class classes[] = {
	{"SqliteStatement", NULL, methods, ARRAY_LENGTH(methods), NULL, 0, destroy},
};

const struct native_module sqlite_statement_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
