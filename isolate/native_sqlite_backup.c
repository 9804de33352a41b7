/* Copies of whole databases of node:sqlite, some pages at a time. */
#include "isolate/sqlite.h"

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <stdlib.h>

struct sqlite_backup {
	sqlite3_backup *handle; /* NULL: finished */
	struct sqlite_database *source, *target;
	struct sqlite_backup *next, **at;
};

static _Thread_local struct sqlite_backup *backups;

static int finish_backup(struct sqlite_backup *backup)
{
	if (!backup->handle)
		return SQLITE_OK;
	const int result = sqlite3_backup_finish(backup->handle);
	backup->handle = NULL;
	*backup->at = backup->next;
	if (backup->next)
		backup->next->at = backup->at;
	return result;
}

void sqlite_backups_close(struct sqlite_database *database)
{
	for (struct sqlite_backup *backup = backups, *next; backup; backup = next) {
		next = backup->next;
		if (backup->source == database || backup->target == database)
			finish_backup(backup);
	}
}

static void destroy(void *state)
{
	finish_backup(state);
	free(state);
}

/* new SqliteBackup(target's object, its schema, source's object, its schema) */
static engine_value *construct(struct engine *engine, struct engine_call *call)
{
	size_t length;
	struct sqlite_database *target =
		sqlite_database_of(engine, engine_call_argument(engine, call, 0));
	if (!target)
		return NULL;
	struct sqlite_database *source =
		sqlite_database_of(engine, engine_call_argument(engine, call, 2));
	if (!source)
		return NULL;
	cleanup_free char *target_schema =
		engine_to_utf8(engine, engine_call_argument(engine, call, 1), &length);
	cleanup_free char *source_schema =
		engine_to_utf8(engine, engine_call_argument(engine, call, 3), &length);
	if (!target->handle || !source->handle)
		return sqlite_throw_state(engine, "database is not open");
	if (sqlite_refuse_authorizer(engine, target) || sqlite_refuse_authorizer(engine, source))
		return NULL;
	struct sqlite_backup *backup = calloc(1, sizeof *backup);
	if (!backup || !target_schema || !source_schema) {
		free(backup);
		return engine_throw(engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED",
			"Failed to allocate memory");
	}
	sqlite3_backup *handle =
		sqlite3_backup_init(target->handle, target_schema, source->handle, source_schema);
	if (!handle) {
		free(backup);
		target->thrown = false;
		return sqlite_throw(engine, target);
	}
	*backup = (struct sqlite_backup){
		.handle = handle,
		.source = source,
		.target = target,
		.next = backups,
		.at = &backups,
	};
	if (backup->next)
		backup->next->at = &backup->next;
	backups = backup;
	engine_set_state(engine_call_this(engine, call), backup);
	return NULL;
}

/* step(pages): [whether it is done, whether somebody else is in the way, pages left, of] */
static engine_value *step(struct engine *engine, struct engine_call *call)
{
	struct sqlite_backup *backup = engine_call_state(call);
	if (!backup->handle)
		return sqlite_throw_state(engine, "database is not open");
	if (backup->source->entered > 0 || backup->target->entered > 0)
		return sqlite_throw_state(engine, "database is currently in use");
	const int result = sqlite3_backup_step(backup->handle, engine_argument_int32(call, 0));
	const int kind = result & 0xFF;
	if (kind != SQLITE_OK && kind != SQLITE_DONE && kind != SQLITE_BUSY &&
		kind != SQLITE_LOCKED) {
		backup->target->thrown = false;
		return sqlite_throw_code(engine, backup->target, result);
	}
	engine_value *items[] = {
		engine_bool(engine, kind == SQLITE_DONE),
		engine_bool(engine, kind == SQLITE_BUSY || kind == SQLITE_LOCKED),
		engine_int32(engine, sqlite3_backup_remaining(backup->handle)),
		engine_int32(engine, sqlite3_backup_pagecount(backup->handle)),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static engine_value *finish(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	finish_backup(engine_call_state(call));
	return NULL;
}

static const struct engine_native methods[] = {
	{"step", step, 1},
	{"finish", finish, 0},
};

static const struct engine_class classes[] = {
	{"SqliteBackup", construct, methods, ARRAY_LENGTH(methods), NULL, 0, destroy},
};

const struct native_module sqlite_backup_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
