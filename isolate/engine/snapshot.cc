/* Startup snapshots. V8 aborts on a blob that it does not like, so the head that the
 * engine puts before it tells first whether it will. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_MAGIC "tntsnap1"

struct snapshot_head {
	char magic[8];
	char version[64];       /* V8's */
	uint64_t tables;        /* hash of the native tables */
	uint64_t length;        /* of the blob, which follows */
	uint64_t checksum;      /* of the blob */
	uint64_t head_checksum; /* of what is before */
};

static_assert(sizeof(struct snapshot_head) % 8 == 0);

/* 64-bit FNV-1a over words. It finds damage, not malice: whoever can write the
 * snapshot can write the program beside it. */
uint64_t checksum(uint64_t hash, const void *data, size_t length)
{
	const char *bytes = static_cast<const char *>(data);
	uint64_t word = 0;
	for (; length >= sizeof word; length -= sizeof word, bytes += sizeof word) {
		memcpy(&word, bytes, sizeof word);
		hash = (hash ^ word) * 0x100000001b3u;
		hash ^= hash >> 29;
	}
	word = length;
	memcpy(reinterpret_cast<char *>(&word) + 1, bytes, length);
	hash = (hash ^ word) * 0x100000001b3u;
	return hash ^ hash >> 29;
}

static uint64_t string_hash(uint64_t hash, const char *text)
{
	return checksum(hash, text, strlen(text) + 1);
}

static uint64_t rows_hash(uint64_t hash, const struct engine_native *rows, size_t count)
{
	hash = checksum(hash, &count, sizeof count);
	for (size_t i = 0; i < count; i++) {
		hash = string_hash(hash, rows[i].name);
		hash = checksum(hash, &rows[i].length, sizeof rows[i].length);
	}
	return hash;
}

/* A function in a snapshot is a row number: with other tables it would be another. */
static uint64_t tables_hash(const struct engine_tables *tables)
{
	if (!tables)
		return CHECKSUM_START;
	uint64_t hash = rows_hash(CHECKSUM_START, tables->natives, tables->native_count);
	for (size_t i = 0; i < tables->class_count; i++) {
		const struct engine_class &type = tables->classes[i];
		hash = string_hash(hash, type.name);
		hash = rows_hash(hash, type.methods, type.method_count);
		hash = rows_hash(hash, type.getters, type.getter_count);
	}
	return hash;
}

int snapshot_check(const struct engine_tables *tables, const void *data, size_t length,
	v8::StartupData *ret_blob, struct error *error)
{
	struct snapshot_head head;
	if (length < sizeof head)
		return error_set(
			error, ESTALE, "the snapshot is cut off: it has only %zu bytes", length);
	memcpy(&head, data, sizeof head);
	if (memcmp(head.magic, SNAPSHOT_MAGIC, sizeof head.magic) != 0)
		return error_set(error, ESTALE, "not a snapshot of this program");
	if (head.head_checksum !=
		checksum(CHECKSUM_START, &head, offsetof(struct snapshot_head, head_checksum)))
		return error_set(error, ESTALE, "the snapshot is damaged: its head");
	head.version[sizeof head.version - 1] = '\0';
	if (strcmp(head.version, v8::V8::GetVersion()) != 0)
		return error_set(error, ESTALE,
			"the snapshot was made by V8 %s, and this is V8 %s: build it again",
			head.version, v8::V8::GetVersion());
	if (head.tables != tables_hash(tables))
		return error_set(error, ESTALE,
			"the snapshot was made with other native functions: build it again");
	const char *blob = static_cast<const char *>(data) + sizeof head;
	if (head.length != length - sizeof head || head.length > INT32_MAX)
		return error_set(error, ESTALE, "the snapshot is cut off: %zu bytes of %zu",
			length - sizeof head, (size_t)head.length);
	if (head.checksum != checksum(CHECKSUM_START, blob, head.length))
		return error_set(error, ESTALE, "the snapshot is damaged");
	v8::StartupData startup = {blob, (int)head.length};
	if (!startup.IsValid())
		return error_set(error, ESTALE, "V8 %s does not take the snapshot: build it again",
			v8::V8::GetVersion());
	*ret_blob = startup;
	return 0;
}

/* ---- building ---- */

/* All functions at once: what is compiled in the snapshot no worker has to compile, in
 * pages of its own. */
static v8::MaybeLocal<v8::Script> compile_whole(
	v8::Local<v8::Context> context, v8::Local<v8::String> text, const v8::ScriptOrigin &origin)
{
	v8::ScriptCompiler::Source source(text, origin);
	return v8::ScriptCompiler::Compile(context, &source, v8::ScriptCompiler::kEagerCompile);
}

static int run_source(struct engine *engine, const char *source, size_t length, const char *name,
	struct error *error)
{
	v8::HandleScope scope(engine->isolate);
	v8::Isolate *isolate = engine->isolate;
	v8::Local<v8::Context> context = context_of(engine);
	v8::TryCatch try_catch(isolate);
	v8::Local<v8::String> text;
	v8::Local<v8::Script> script;
	v8::ScriptOrigin origin(string_of(engine, name));
	/* In the heap, unlike engine_run_script's: the blob must hold it. */
	if (length <= (size_t)v8::String::kMaxLength &&
		v8::String::NewFromUtf8(isolate, source, v8::NewStringType::kNormal, (int)length)
			.ToLocal(&text) &&
		compile_whole(context, text, origin).ToLocal(&script) &&
		!script->Run(context).IsEmpty()) {
		isolate->PerformMicrotaskCheckpoint();
		return 0;
	}
	exceptions_keep(engine, try_catch);
	engine_value *exception = engine_exception_take(engine);
	char *description = exception ? engine_exception_describe(engine, exception) : nullptr;
	error_set(error, EINVAL, "%s", description ? description : "it was terminated");
	free(description);
	return error_prefix(error, "the script of the snapshot failed");
}

static int check_instances(struct engine *engine, struct error *error)
{
	engine_collect_garbage(engine);
	const char *name = tables_class_alive(engine);
	if (!name)
		return 0;
	return error_set(error, EINVAL,
		"an object of the native class %s cannot be in a snapshot: make it after start",
		name);
}

static int pack(const struct engine_tables *tables, const v8::StartupData &blob, void **ret_data,
	size_t *ret_length, struct error *error)
{
	struct snapshot_head head = {};
	if (!blob.data || blob.raw_size <= 0)
		return error_set(error, EINVAL, "V8 made no snapshot");
	/* With fixed hashes in it, every process would have the same (hash flooding). */
	if (!blob.CanBeRehashed())
		return error_set(
			error, EINVAL, "the snapshot cannot get a new hash seed when it is loaded");
	memcpy(head.magic, SNAPSHOT_MAGIC, sizeof head.magic);
	strncpy(head.version, v8::V8::GetVersion(), sizeof head.version - 1);
	head.tables = tables_hash(tables);
	head.length = (uint64_t)blob.raw_size;
	head.checksum = checksum(CHECKSUM_START, blob.data, head.length);
	head.head_checksum =
		checksum(CHECKSUM_START, &head, offsetof(struct snapshot_head, head_checksum));
	char *data = static_cast<char *>(malloc(sizeof head + head.length));
	if (!data)
		return error_set(error, ENOMEM, "no memory for the snapshot");
	memcpy(data, &head, sizeof head);
	memcpy(data + sizeof head, blob.data, head.length);
	*ret_data = data;
	*ret_length = sizeof head + head.length;
	return 0;
}

/* Fills CREATOR's default context. */
static int fill(struct engine *engine, v8::SnapshotCreator *creator, const char *source,
	size_t length, const char *name, struct error *error)
{
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::Context> context = v8::Context::New(engine->isolate);
	int result;
	{
		v8::Context::Scope entered(context);
		isolate_attach(engine, context);
		for (const auto &type : engine->class_templates)
			creator->AddData(view_of(type));
		result = run_source(engine, source, length, name, error);
		if (result == 0)
			result = check_instances(engine, error);
		isolate_detach(engine);
	}
	creator->SetDefaultContext(context);
	return result;
}

int engine_snapshot_build(const struct engine_tables *tables, const char *source, size_t length,
	const char *name, void **ret_data, size_t *ret_length, struct error *error)
{
	if (!process_is_initialized())
		return error_set(error, EINVAL, "engine_process_init was not called");
	if (engine_current)
		return error_set(error, EBUSY, "an engine is open already");
	struct engine *engine = isolate_allocate(tables, 0);
	engine->tasks = process_queue_first();
	v8::Isolate::CreateParams params;
	limits_configure(&params, engine);
	params.array_buffer_allocator_shared = engine->bytes;
	params.external_references = engine->external_references.data();
	int result;
	{
		v8::SnapshotCreator creator(params);
		engine->isolate = creator.GetIsolate();
		result = fill(engine, &creator, source, length, name, error);
		/* Compiled functions stay compiled: the library's first calls are faster. */
		v8::StartupData blob =
			creator.CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
		if (result == 0)
			result = pack(tables, blob, ret_data, ret_length, error);
		delete[] blob.data;
		process_clear_tasks(engine->tasks.get());
	}
	engine_current = nullptr;
	delete engine;
	return result;
}
