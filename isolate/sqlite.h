/* What the natives of node:sqlite share (isolate/native_sqlite*.c; the JavaScript is in
 * isolate/js/node/sqlite).
 *
 * A database, its statements, sessions and backups are objects of their own, which JavaScript
 * may drop in any order: closing the database ends the others first. SQLite calls back into
 * JavaScript only while a native function of the database runs (sqlite_enter), which is told
 * the database's object: C keeps no reference to it, so that a function of a database may
 * refer to that database and both still be collected.
 *
 * Which files may be opened is the kernel's business. */
#pragma once

#include "isolate/runtime.h"

/* The distribution builds it with both, its header has to be asked. */
#define SQLITE_ENABLE_SESSION
#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <sqlite3.h>

struct sqlite_statement;
struct sqlite_session;

struct sqlite_database {
	sqlite3 *handle;    /* NULL: closed */
	engine_value *self; /* while it is entered */
	unsigned entered;
	unsigned authorizing; /* its authorizer runs: SQLite forbids it this database */
	unsigned orphans;     /* sessions to end when nothing runs any more */
	bool thrown;          /* a callback threw: that is the error, whatever SQLite says */
	struct sqlite_statement *statements;
	struct sqlite_session *sessions;
};

struct sqlite_statement {
	sqlite3_stmt *handle; /* NULL: finalized */
	struct sqlite_database *database;
	struct sqlite_statement *next, **at;
	bool running;
};

/* What sqlite_call calls of an entry of the library's table. */
enum {
	SQLITE_CALL_FUNCTION = 0,
	SQLITE_CALL_START = 0,
	SQLITE_CALL_STEP,
	SQLITE_CALL_INVERSE,
	SQLITE_CALL_RESULT
};

/* Entries of that table that have a fixed place. */
enum { SQLITE_AUTHORIZER = 0, SQLITE_FILTER = 1, SQLITE_CONFLICT = 2 };

/* Before and after what may call back. SELF: the database's object. False with an exception
 * pending when the database is closed, or its authorizer asks for it. */
struct sqlite_entry {
	struct sqlite_database *database;
	engine_value *self;
};
bool sqlite_enter(struct engine *engine, struct sqlite_database *database, engine_value *self,
	struct sqlite_entry *ret_entry);
void sqlite_leave(struct sqlite_entry *entry);

/* The database behind an argument; NULL with an exception pending. */
struct sqlite_database *sqlite_database_of(struct engine *engine, engine_value *value);

/* Throws what SQLite says last, or CODE in its words; or leaves what a callback threw. NULL. */
engine_value *sqlite_throw(struct engine *engine, struct sqlite_database *database);
engine_value *sqlite_throw_code(struct engine *engine, struct sqlite_database *database, int code);
engine_value *sqlite_throw_state(struct engine *engine, const char *message);

/* Whether the authorizer is the caller: true with an exception pending. */
bool sqlite_refuse_authorizer(struct engine *engine, const struct sqlite_database *database);

/* Calls entry ID of the library's table for the database, its function WHICH. NULL when it
 * threw; then the database is marked. */
engine_value *sqlite_call(struct engine *engine, struct sqlite_database *database, int id,
	int which, engine_value *const *arguments, int count);
bool sqlite_may_call(struct engine *engine, const struct sqlite_database *database);

/* A value of SQLite for JavaScript. NULL with an exception pending. */
struct sqlite_cell {
	int type; /* SQLITE_INTEGER, … */
	int64_t integer;
	double number;
	const void *data;
	size_t length;
};
engine_value *sqlite_cell_value(
	struct engine *engine, const struct sqlite_cell *cell, bool bigints);

/* isolate/native_sqlite_statement.c */
void sqlite_statements_close(struct sqlite_database *database);
engine_value *sqlite_statement_new(
	struct engine *engine, struct sqlite_database *database, sqlite3_stmt *handle);

/* isolate/native_sqlite_functions.c: methods of the database. */
engine_value *sqlite_add_function(struct engine *engine, struct engine_call *call);
engine_value *sqlite_add_aggregate(struct engine *engine, struct engine_call *call);
engine_value *sqlite_set_authorizer(struct engine *engine, struct engine_call *call);

/* isolate/native_sqlite_session.c */
engine_value *sqlite_session_create(struct engine *engine, struct engine_call *call);
engine_value *sqlite_changeset_apply(struct engine *engine, struct engine_call *call);
void sqlite_sessions_close(struct sqlite_database *database);
void sqlite_sessions_end_orphans(struct sqlite_database *database);

/* isolate/native_sqlite_backup.c */
void sqlite_backups_close(struct sqlite_database *database);

/* The rows of the class table, found when the engine is bound. */
struct sqlite_classes {
	size_t database, statement, session;
};
extern struct sqlite_classes sqlite_classes;
