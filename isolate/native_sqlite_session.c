/* Sessions of node:sqlite, which record changes, and what applies them. */
#include "isolate/sqlite.h"

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <stdlib.h>
#include <string.h>

struct sqlite_session {
	sqlite3_session *handle; /* NULL: closed */
	struct sqlite_database *database;
	struct sqlite_session *next, **at;
	bool running, orphaned;
};

/* ---- life ---- */

static void close_session(struct sqlite_session *session)
{
	if (!session->handle)
		return;
	sqlite3session_delete(session->handle);
	session->handle = NULL;
	*session->at = session->next;
	if (session->next)
		session->next->at = session->at;
	session->database = NULL;
}

void sqlite_sessions_close(struct sqlite_database *database)
{
	while (database->sessions) {
		struct sqlite_session *session = database->sessions;
		close_session(session);
		if (session->orphaned)
			free(session);
	}
	database->orphans = 0;
}

void sqlite_sessions_end_orphans(struct sqlite_database *database)
{
	for (struct sqlite_session *session = database->sessions, *next; session; session = next) {
		next = session->next;
		if (!session->orphaned)
			continue;
		close_session(session);
		free(session);
	}
	database->orphans = 0;
}

/* May be called while SQLite walks along the sessions, in what it called back. */
static void destroy(void *state)
{
	struct sqlite_session *session = state;
	if (session->handle && session->database->entered > 0) {
		session->orphaned = true;
		session->database->orphans++;
		return;
	}
	close_session(session);
	free(session);
}

static struct sqlite_session *session_new(struct sqlite_database *database, sqlite3_session *handle)
{
	struct sqlite_session *session = calloc(1, sizeof *session);
	if (!session)
		return NULL;
	*session = (struct sqlite_session){
		.handle = handle,
		.database = database,
		.next = database->sessions,
		.at = &database->sessions,
	};
	if (session->next)
		session->next->at = &session->next;
	database->sessions = session;
	return session;
}

static char *text_argument(struct engine *engine, struct engine_call *call, int index)
{
	size_t length;
	return engine_to_utf8(engine, engine_call_argument(engine, call, index), &length);
}

/* createSession(schema, table or undefined), of the database */
engine_value *sqlite_session_create(struct engine *engine, struct engine_call *call)
{
	struct sqlite_database *database = engine_call_state(call);
	const bool one_table =
		engine_typeof(engine_call_argument(engine, call, 1)) == ENGINE_STRING;
	cleanup_free char *schema = text_argument(engine, call, 0);
	cleanup_free char *table = one_table ? text_argument(engine, call, 1) : NULL;
	struct sqlite_entry entry;
	sqlite3_session *handle = NULL;
	if (!schema || !sqlite_enter(engine, database, engine_call_this(engine, call), &entry))
		return NULL;
	int result = sqlite3session_create(database->handle, schema, &handle);
	if (result == SQLITE_OK)
		result = sqlite3session_attach(handle, table);
	sqlite_leave(&entry);
	struct sqlite_session *session = result == SQLITE_OK ? session_new(database, handle) : NULL;
	if (!session) {
		sqlite3session_delete(handle);
		return sqlite_throw_code(
			engine, database, result == SQLITE_OK ? SQLITE_NOMEM : result);
	}
	engine_value *object = engine_instance_new(engine, sqlite_classes.session, session);
	if (!object)
		destroy(session);
	return object;
}

static bool is_usable(struct engine *engine, const struct sqlite_session *session)
{
	if (!session->handle)
		sqlite_throw_state(engine, "session is not open");
	else if (session->running)
		sqlite_throw_state(engine, "session is currently in use");
	return session->handle && !session->running;
}

typedef int (*changes_function)(sqlite3_session *, int *, void **);

/* (database's object): all that has changed so far. */
static engine_value *changes(
	struct engine *engine, struct engine_call *call, changes_function function)
{
	struct sqlite_session *session = engine_call_state(call);
	engine_value *self = engine_call_argument(engine, call, 0);
	struct sqlite_entry entry;
	void *data = NULL;
	int length = 0;
	engine_value *bytes = NULL;
	if (!is_usable(engine, session))
		return NULL;
	struct sqlite_database *database = sqlite_database_of(engine, self);
	if (!database)
		return NULL;
	if (database != session->database)
		return sqlite_throw_state(engine, "session is of another database");
	if (!sqlite_enter(engine, database, self, &entry))
		return NULL;
	session->running = true;
	const int result = function(session->handle, &length, &data);
	session->running = false;
	if (result == SQLITE_OK && !database->thrown)
		bytes = engine_bytes_copy(engine, length > 0 ? data : "", (size_t)length);
	else
		sqlite_throw_code(engine, database, result);
	sqlite3_free(data);
	sqlite_leave(&entry);
	return bytes;
}

static engine_value *changeset(struct engine *engine, struct engine_call *call)
{
	return changes(engine, call, sqlite3session_changeset);
}

static engine_value *patchset(struct engine *engine, struct engine_call *call)
{
	return changes(engine, call, sqlite3session_patchset);
}

static engine_value *close_method(struct engine *engine, struct engine_call *call)
{
	struct sqlite_session *session = engine_call_state(call);
	if (!is_usable(engine, session))
		return NULL;
	if (session->database->entered > 0)
		return sqlite_throw_state(engine, "database is currently in use");
	close_session(session);
	return NULL;
}

static engine_value *is_open(struct engine *engine, struct engine_call *call)
{
	const struct sqlite_session *session = engine_call_state(call);
	return engine_bool(engine, session->handle != NULL);
}

/* ---- applying ---- */

struct application {
	struct sqlite_database *database;
	bool filter, conflict;
};

static int on_filter(void *arg, const char *table)
{
	struct application *application = arg;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	int answer = 0;
	if (!application->filter)
		return 1;
	if (!sqlite_may_call(engine, application->database))
		return 0;
	engine_scope_open(engine, &scope);
	engine_value *name = engine_string(engine, table);
	engine_value *result = sqlite_call(
		engine, application->database, SQLITE_FILTER, SQLITE_CALL_FUNCTION, &name, 1);
	if (result)
		answer = engine_to_bool(engine, result);
	engine_scope_close(engine, &scope);
	return answer;
}

/* What is no answer is one that SQLite refuses (SQLITE_MISUSE), as in Node. */
static int on_conflict(void *arg, int kind, sqlite3_changeset_iter *changes_iterator)
{
	struct application *application = arg;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	int answer = -1;
	(void)changes_iterator;
	if (!application->conflict || !sqlite_may_call(engine, application->database))
		return SQLITE_CHANGESET_ABORT;
	engine_scope_open(engine, &scope);
	engine_value *value = engine_int32(engine, kind);
	engine_value *result = sqlite_call(
		engine, application->database, SQLITE_CONFLICT, SQLITE_CALL_FUNCTION, &value, 1);
	if (!result)
		answer = SQLITE_CHANGESET_ABORT;
	else if (engine_typeof(result) == ENGINE_NUMBER)
		answer = engine_to_int32(engine, result);
	engine_scope_close(engine, &scope);
	return answer;
}

/* applyChangeset(bytes, whether there is a filter, whether a conflict handler), of the
 * database: whether all of it was applied. */
engine_value *sqlite_changeset_apply(struct engine *engine, struct engine_call *call)
{
	struct application application = {
		.database = engine_call_state(call),
		.filter = engine_argument_bool(call, 1),
		.conflict = engine_argument_bool(call, 2),
	};
	struct sqlite_entry entry;
	void *data;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length) ||
		length > INT32_MAX)
		return engine_throw(engine, "TypeError", "ERR_INVALID_ARG_TYPE", "not bytes");
	/* The handlers may do anything with the original. */
	cleanup_free void *copy = malloc(length ? length : 1);
	if (!copy)
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
	if (length > 0)
		memcpy(copy, data, length);
	if (!sqlite_enter(engine, application.database, engine_call_this(engine, call), &entry))
		return NULL;
	const int result = sqlite3changeset_apply(application.database->handle, (int)length, copy,
		on_filter, on_conflict, &application);
	sqlite_leave(&entry);
	if (application.database->thrown || engine_exception_pending(engine))
		return NULL;
	if (result == SQLITE_OK || result == SQLITE_ABORT)
		return engine_bool(engine, result == SQLITE_OK);
	return sqlite_throw_code(engine, application.database, result);
}

static const struct engine_native methods[] = {
	{"changeset", changeset, 1},
	{"patchset", patchset, 1},
	{"close", close_method, 0},
	{"isOpen", is_open, 0},
};

static const struct engine_class classes[] = {
	{"SqliteSession", NULL, methods, ARRAY_LENGTH(methods), NULL, 0, destroy},
};

const struct native_module sqlite_session_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
