/* Databases of node:sqlite. */
#include "isolate/sqlite.h"

#include "common/cleanup.h"
#include "isolate/natives.h"
#include "isolate/permission.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Instructions of SQLite between two looks at whether the engine was stopped. */
#define PROGRESS_STEPS 20000

struct sqlite_classes sqlite_classes;
static _Thread_local engine_ref *call_hook;

/* ---- the library ---- */

/* The default opens /dev/urandom, which a tenant has not. */
static int randomness(sqlite3_vfs *vfs, int length, char *out)
{
	(void)vfs;
	ssize_t count = getrandom(out, (size_t)length, 0);
	return count < 0 ? 0 : (int)count;
}

/* Machine code of a tenant's own choosing is not loaded, whoever asks. */
static void *no_library(sqlite3_vfs *vfs, const char *name)
{
	(void)vfs;
	(void)name;
	return NULL;
}

static sqlite3_vfs files;

/* When the first database is opened: who has none pays nothing. */
static void prepare_library(void)
{
	const uint64_t memory = runtime.start ? runtime.start->memory_bytes : 0;
	sqlite3_initialize();
	sqlite3_vfs *standard = sqlite3_vfs_find(NULL);
	if (standard) {
		files = *standard;
		files.zName = "tenantd";
		files.xRandomness = randomness;
		files.xDlOpen = no_library;
		sqlite3_vfs_register(&files, 1);
	}
	/* A query that wants more fails by itself; the tenant goes on. */
	sqlite3_hard_heap_limit64((sqlite3_int64)(memory / 2));
}

static void prepare_once(void)
{
	static uv_once_t once = UV_ONCE_INIT;
	uv_once(&once, prepare_library);
}

/* ---- errors ---- */

engine_value *sqlite_throw_state(struct engine *engine, const char *message)
{
	return engine_throw(engine, "Error", "ERR_INVALID_STATE", "%s", message);
}

static engine_value *throw_error(struct engine *engine, const char *message, int code)
{
	engine_value *error = engine_error_new(engine, "Error", "ERR_SQLITE_ERROR", message);
	engine_set(engine, error, "errcode", engine_int32(engine, code));
	engine_set(engine, error, "errstr", engine_string(engine, sqlite3_errstr(code)));
	return engine_throw_value(engine, error);
}

engine_value *sqlite_throw(struct engine *engine, struct sqlite_database *database)
{
	if (database->thrown || engine_exception_pending(engine))
		return NULL;
	return throw_error(engine, sqlite3_errmsg(database->handle),
		sqlite3_extended_errcode(database->handle));
}

engine_value *sqlite_throw_code(struct engine *engine, struct sqlite_database *database, int code)
{
	if (database->thrown || engine_exception_pending(engine))
		return NULL;
	return throw_error(engine, sqlite3_errstr(code), code);
}

/* ---- entering, and calling back ---- */

/* It is called in the middle of SQLite's parser and of its pre-update hook: a schema or a
 * session that it changed would be freed under them. */
bool sqlite_refuse_authorizer(struct engine *engine, const struct sqlite_database *database)
{
	if (database->authorizing == 0)
		return false;
	sqlite_throw_state(engine, "database cannot be used by its own authorizer");
	return true;
}

bool sqlite_enter(struct engine *engine, struct sqlite_database *database, engine_value *self,
	struct sqlite_entry *ret_entry)
{
	if (!database->handle) {
		sqlite_throw_state(engine, "database is not open");
		return false;
	}
	if (sqlite_refuse_authorizer(engine, database))
		return false;
	*ret_entry = (struct sqlite_entry){.database = database, .self = database->self};
	if (database->entered++ == 0)
		database->thrown = false;
	database->self = self;
	return true;
}

void sqlite_leave(struct sqlite_entry *entry)
{
	struct sqlite_database *database = entry->database;
	database->self = entry->self;
	if (--database->entered == 0 && database->orphans > 0)
		sqlite_sessions_end_orphans(database);
}

bool sqlite_may_call(struct engine *engine, const struct sqlite_database *database)
{
	return database->self && !database->thrown && !engine_exception_pending(engine);
}

engine_value *sqlite_call(struct engine *engine, struct sqlite_database *database, int id,
	int which, engine_value *const *arguments, int count)
{
	engine_value *result = NULL;
	if (!sqlite_may_call(engine, database))
		return NULL;
	engine_value *given[] = {
		database->self,
		engine_int32(engine, id),
		engine_int32(engine, which),
		engine_array(engine, arguments, (size_t)count),
	};
	if (engine_call_function(engine, engine_ref_get(engine, call_hook),
		    engine_undefined(engine), given, ARRAY_LENGTH(given), &result) == 0)
		return result;
	database->thrown = true;
	return NULL;
}

static int progress(void *arg)
{
	(void)arg;
	return engine_stopped(runtime.engine);
}

/* ---- values ---- */

engine_value *sqlite_cell_value(struct engine *engine, const struct sqlite_cell *cell, bool bigints)
{
	switch (cell->type) {
	case SQLITE_INTEGER:
		if (bigints)
			return engine_bigint_i64(engine, cell->integer);
		if (cell->integer > 9007199254740991 || cell->integer < -9007199254740991)
			return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE",
				"Value is too large to be represented as a JavaScript number: %lld",
				(long long)cell->integer);
		return engine_number(engine, (double)cell->integer);
	case SQLITE_FLOAT:
		return engine_number(engine, cell->number);
	case SQLITE_TEXT:
		return engine_string_utf8(engine, cell->data, cell->length);
	case SQLITE_BLOB:
		return engine_bytes_copy(engine, cell->data, cell->length);
	default:
		return engine_null(engine);
	}
}

struct sqlite_database *sqlite_database_of(struct engine *engine, engine_value *value)
{
	struct sqlite_database *database = engine_get_state(engine, value, sqlite_classes.database);
	if (!database)
		engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE", "not a database");
	return database;
}

static char *text_argument(struct engine *engine, struct engine_call *call, int index)
{
	size_t length;
	return engine_to_utf8(engine, engine_call_argument(engine, call, index), &length);
}

static engine_value *out_of_memory(struct engine *engine)
{
	return engine_throw(
		engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "Failed to allocate memory");
}

/* ---- life ---- */

/* new SqliteDatabase() */
static engine_value *construct(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = calloc(1, sizeof *database);
	if (!database)
		return out_of_memory(engine);
	engine_set_state(engine_call_this(engine, call), database);
	return NULL;
}

static void close_database(struct sqlite_database *database)
{
	if (!database->handle)
		return;
	sqlite_backups_close(database);
	sqlite_sessions_close(database);
	sqlite_statements_close(database);
	sqlite3_close_v2(database->handle);
	database->handle = NULL;
}

static void destroy(void *state)
{
	close_database(state);
	free(state);
}

enum { OPEN_READ_ONLY = 1, OPEN_FOREIGN_KEYS = 2, OPEN_DOUBLE_QUOTES = 4, OPEN_DEFENSIVE = 8 };

static void configure(sqlite3 *handle, int flags, int timeout_ms)
{
	const bool quotes = flags & OPEN_DOUBLE_QUOTES;
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, (int)quotes, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, (int)quotes, NULL);
	sqlite3_db_config(
		handle, SQLITE_DBCONFIG_ENABLE_FKEY, (flags & OPEN_FOREIGN_KEYS) != 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, (flags & OPEN_DEFENSIVE) != 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_busy_timeout(handle, timeout_ms);
	sqlite3_progress_handler(handle, PROGRESS_STEPS, progress, NULL);
	/* Temporary tables in memory, whose limit holds: not every tenant has a /tmp. */
	sqlite3_exec(handle, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
}

/* [permission, path] when no grant covers PATH; NULL: the error is another one. */
static engine_value *denied(struct engine *engine, const char *path, bool write)
{
	char resolved[PATH_MAX];
	if (path[0] != '/' || permission_resolve(path, true, resolved) < 0)
		return NULL;
	if (permission_file(resolved, write))
		return NULL;
	permission_audit(
		write ? AUDIT_FS_WRITE : AUDIT_FS_READ, AUDIT_LAYER_MOUNT, false, resolved);
	engine_value *items[] = {
		engine_string(engine, write ? "FileSystemWrite" : "FileSystemRead"),
		engine_string(engine, resolved),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* open(path, flags, timeout): undefined, or what permission is missing. */
static engine_value *open_database(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	const int flags = engine_argument_int32(call, 1);
	const bool write = !(flags & OPEN_READ_ONLY);
	cleanup_free char *path = text_argument(engine, call, 0);
	sqlite3 *handle = NULL;
	if (database->handle)
		return sqlite_throw_state(engine, "database is already open");
	if (!path)
		return out_of_memory(engine);
	prepare_once();
	const int result = sqlite3_open_v2(path, &handle,
		(write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) |
			SQLITE_OPEN_URI,
		NULL);
	if (result == SQLITE_OK) {
		configure(handle, flags, engine_argument_int32(call, 2));
		database->handle = handle;
		return NULL;
	}
	engine_value *refusal = result == SQLITE_CANTOPEN ? denied(engine, path, write) : NULL;
	if (!refusal)
		throw_error(engine, handle ? sqlite3_errmsg(handle) : sqlite3_errstr(result),
			handle ? sqlite3_extended_errcode(handle) : result);
	sqlite3_close_v2(handle);
	return refusal;
}

static engine_value *close_method(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	if (!database->handle)
		return sqlite_throw_state(engine, "database is not open");
	/* From inside of its own functions: what called them is not done with it. */
	if (database->entered > 0)
		return sqlite_throw_state(engine, "database is currently in use");
	close_database(database);
	return NULL;
}

static engine_value *is_open(struct engine *engine, struct engine_call *call)
{
	const struct sqlite_database *database = engine_call_state(call);
	return engine_bool(engine, database->handle != NULL);
}

/* ---- work ---- */

/* exec(sql) */
static engine_value *exec(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	struct sqlite_entry entry;
	cleanup_free char *sql = text_argument(engine, call, 0);
	if (!sql)
		return out_of_memory(engine);
	if (!sqlite_enter(engine, database, engine_call_this(engine, call), &entry))
		return NULL;
	if (sqlite3_exec(database->handle, sql, NULL, NULL, NULL) != SQLITE_OK || database->thrown)
		sqlite_throw(engine, database);
	sqlite_leave(&entry);
	return NULL;
}

/* prepare(sql): null when there is no statement in it. */
static engine_value *prepare(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	struct sqlite_entry entry;
	sqlite3_stmt *handle = NULL;
	cleanup_free char *sql = text_argument(engine, call, 0);
	if (!sql)
		return out_of_memory(engine);
	if (!sqlite_enter(engine, database, engine_call_this(engine, call), &entry))
		return NULL;
	const int result = sqlite3_prepare_v2(database->handle, sql, -1, &handle, NULL);
	if (result != SQLITE_OK || database->thrown) {
		sqlite_throw(engine, database);
		sqlite3_finalize(handle);
		handle = NULL;
	}
	sqlite_leave(&entry);
	if (engine_exception_pending(engine) || database->thrown)
		return NULL;
	return handle ? sqlite_statement_new(engine, database, handle) : engine_null(engine);
}

/* ---- what it is, and its settings ---- */

static bool is_usable(struct engine *engine, const struct sqlite_database *database)
{
	if (!database->handle)
		sqlite_throw_state(engine, "database is not open");
	return database->handle != NULL;
}

/* location(schema): null in memory. */
static engine_value *location(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	cleanup_free char *schema = text_argument(engine, call, 0);
	if (!schema || !is_usable(engine, database))
		return NULL;
	const char *path = sqlite3_db_filename(database->handle, schema);
	return path && path[0] != '\0' ? engine_string(engine, path) : engine_null(engine);
}

static engine_value *is_transaction(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	if (!is_usable(engine, database))
		return NULL;
	return engine_bool(engine, !sqlite3_get_autocommit(database->handle));
}

/* limit(number, value; negative: unchanged): the one that was before. */
static engine_value *limit(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	if (!is_usable(engine, database))
		return NULL;
	return engine_int32(engine, sqlite3_limit(database->handle, engine_argument_int32(call, 0),
					    engine_argument_int32(call, 1)));
}

/* defensive(whether) */
static engine_value *defensive(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	if (is_usable(engine, database))
		sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE,
			(int)engine_argument_bool(call, 0), NULL);
	return NULL;
}

/* ---- as bytes ---- */

/* serialize(schema) */
static engine_value *serialize(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	struct sqlite_entry entry;
	sqlite3_int64 size = 0;
	cleanup_free char *schema = text_argument(engine, call, 0);
	if (!schema || !sqlite_enter(engine, database, engine_call_this(engine, call), &entry))
		return NULL;
	unsigned char *data = sqlite3_serialize(database->handle, schema, &size, 0);
	engine_value *result = NULL;
	if (data)
		result = engine_bytes_copy(engine, data, (size_t)size);
	else if (size == 0 && sqlite3_errcode(database->handle) == SQLITE_OK)
		result = engine_bytes_copy(engine, "", 0);
	else
		sqlite_throw(engine, database);
	sqlite3_free(data);
	sqlite_leave(&entry);
	return result;
}

/* deserialize(bytes, schema): statements end. */
static engine_value *deserialize(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	struct sqlite_entry entry;
	void *data;
	size_t length;
	cleanup_free char *schema = text_argument(engine, call, 1);
	if (!schema || !is_usable(engine, database))
		return NULL;
	if (database->entered > 0)
		return sqlite_throw_state(engine, "database is currently in use");
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length) || length == 0)
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE", "not bytes");
	unsigned char *copy = sqlite3_malloc64(length);
	if (!copy)
		return out_of_memory(engine);
	memcpy(copy, data, length);
	if (!sqlite_enter(engine, database, engine_call_this(engine, call), &entry)) {
		sqlite3_free(copy);
		return NULL;
	}
	sqlite_backups_close(database);
	sqlite_statements_close(database);
	if (sqlite3_deserialize(database->handle, schema, copy, (sqlite3_int64)length,
		    (sqlite3_int64)length,
		    SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) != SQLITE_OK)
		sqlite_throw(engine, database);
	sqlite_leave(&entry);
	return NULL;
}

/* ---- tables ---- */

static const struct engine_native methods[] = {
	{"open", open_database, 3},
	{"close", close_method, 0},
	{"isOpen", is_open, 0},
	{"exec", exec, 1},
	{"prepare", prepare, 1},
	{"location", location, 1},
	{"isTransaction", is_transaction, 0},
	{"limit", limit, 2},
	{"defensive", defensive, 1},
	{"serialize", serialize, 1},
	{"deserialize", deserialize, 2},
	{"addFunction", sqlite_add_function, 6},
	{"addAggregate", sqlite_add_aggregate, 8},
	{"setAuthorizer", sqlite_set_authorizer, 1},
	{"createSession", sqlite_session_create, 2},
	{"applyChangeset", sqlite_changeset_apply, 3},
};

static const struct engine_class classes[] = {
	{"SqliteDatabase", construct, methods, ARRAY_LENGTH(methods), NULL, 0, destroy},
};

static size_t find_class(const char *name)
{
	const struct engine_tables *tables = natives_tables();
	size_t index = 0;
	while (strcmp(tables->classes[index].name, name) != 0)
		index++;
	return index;
}

static void bind_module(void)
{
	call_hook = runtime_hook("sqliteCall");
	sqlite_classes.database = find_class("SqliteDatabase");
	sqlite_classes.statement = find_class("SqliteStatement");
	sqlite_classes.session = find_class("SqliteSession");
}

const struct native_module sqlite_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = bind_module,
};
