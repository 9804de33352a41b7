/* ES modules seen from outside: importing from C, import(), import.meta, code caches. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An import() that was called and not begun. */
struct import_job {
	struct engine *engine;
	v8::Global<v8::Promise::Resolver> resolver;
	std::string specifier, referrer, type;
	bool source; /* import.source() */
	import_job *previous, *next;
};

void engine_modules_init(
	struct engine *engine, engine_module_loader loader, engine_module_meta meta, void *arg)
{
	engine->module_loader = loader;
	engine->module_meta = meta;
	engine->module_arg = arg;
}

int engine_module_import(struct engine *engine, const char *specifier, engine_value **ret_promise,
	engine_value **ret_namespace)
{
	module_entry *entry = modules_load(engine, specifier, "", "");
	if (!entry)
		return engine->pending ? -ECANCELED : -ETIMEDOUT;
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Value> promise;
	if (!modules_module(entry)->Evaluate(context_of(engine)).ToLocal(&promise))
		return exceptions_keep(engine, try_catch);
	if (ret_promise)
		*ret_promise = from_local(promise);
	if (ret_namespace)
		*ret_namespace = from_local(modules_module(entry)->GetModuleNamespace());
	return 0;
}

int engine_module_load(struct engine *engine, const char *url)
{
	v8::HandleScope scope(engine->isolate);
	if (modules_load(engine, url, "", ""))
		return 0;
	return engine->pending ? -ECANCELED : -ETIMEDOUT;
}

void engine_modules_each(struct engine *engine, void (*each)(void *arg, const char *url), void *arg)
{
	for (const auto &pair : engine->modules)
		each(arg, pair.second->url.c_str());
}

/* ---- import() ---- */

static void unlink_job(import_job *job)
{
	if (job->previous)
		job->previous->next = job->next;
	else
		job->engine->import_jobs = job->next;
	if (job->next)
		job->next->previous = job->previous;
}

static void return_data(const v8::FunctionCallbackInfo<v8::Value> &info)
{
	info.GetReturnValue().Set(info.Data());
}

/* A promise of the namespace, once the module has evaluated. */
static v8::MaybeLocal<v8::Promise> evaluate(struct engine *engine, module_entry *entry)
{
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Module> module = modules_module(entry);
	v8::Local<v8::Value> promise;
	v8::Local<v8::Function> then;
	if (!module->Evaluate(context).ToLocal(&promise) ||
		!v8::Function::New(context, return_data, module->GetModuleNamespace())
			.ToLocal(&then))
		return {};
	return promise.As<v8::Promise>()->Then(context, then);
}

static void settle_import(struct engine *engine, import_job *job)
{
	v8::Local<v8::Context> context = context_of(engine);
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Promise::Resolver> resolver = job->resolver.Get(engine->isolate);
	v8::Local<v8::Promise> done;
	v8::Local<v8::Object> object;
	if (job->source) {
		module_entry *entry =
			modules_source(engine, job->specifier, job->referrer, job->type);
		if (entry && modules_source_object(engine, entry).ToLocal(&object)) {
			ignore(resolver->Resolve(context, object));
			return;
		}
	} else {
		module_entry *entry =
			modules_load(engine, job->specifier, job->referrer, job->type);
		if (entry && evaluate(engine, entry).ToLocal(&done)) {
			ignore(resolver->Resolve(context, done));
			return;
		}
		if (entry)
			exceptions_keep(engine, try_catch);
	}
	if (!engine->pending)
		return; /* terminated */
	v8::Local<v8::Value> reason = engine->exception.Get(engine->isolate);
	exceptions_drop(engine);
	ignore(resolver->Reject(context, reason));
}

/* A job of its own, as the specification has it: the module's code must not run inside
 * of the expression that imports it. */
static void run_import(void *data)
{
	import_job *job = static_cast<import_job *>(data);
	struct engine *engine = job->engine;
	v8::HandleScope scope(engine->isolate);
	unlink_job(job);
	engine->native_depth++;
	settle_import(engine, job);
	engine->native_depth--;
	if (engine->terminated)
		exceptions_rethrow(engine);
	delete job;
}

static std::string referrer_of(
	struct engine *engine, v8::Local<v8::Data> options, v8::Local<v8::Value> resource_name)
{
	if (!options.IsEmpty() && options->IsFixedArray()) {
		v8::Local<v8::PrimitiveArray> array = options.As<v8::PrimitiveArray>();
		if (array->Length() > 0) {
			v8::Local<v8::Primitive> url = array->Get(engine->isolate, 0);
			if (url->IsString())
				return utf8_of(engine, url.As<v8::String>());
		}
	}
	if (resource_name->IsString())
		return utf8_of(engine, resource_name.As<v8::String>());
	return "";
}

static v8::MaybeLocal<v8::Promise> queue_import(v8::Local<v8::Context> context,
	v8::Local<v8::Data> options, v8::Local<v8::Value> resource_name,
	v8::Local<v8::String> specifier, v8::Local<v8::FixedArray> attributes, bool source)
{
	struct engine *engine = engine_current;
	v8::EscapableHandleScope scope(engine->isolate);
	v8::Local<v8::Promise::Resolver> resolver;
	if (!v8::Promise::Resolver::New(context).ToLocal(&resolver))
		return {};
	std::string type;
	modules_attributes(engine, attributes, 2, &type);
	import_job *job = new import_job();
	job->engine = engine;
	job->resolver.Reset(engine->isolate, resolver);
	job->specifier = utf8_of(engine, specifier);
	job->referrer = referrer_of(engine, options, resource_name);
	job->type = type;
	job->source = source;
	job->next = engine->import_jobs;
	if (engine->import_jobs)
		engine->import_jobs->previous = job;
	engine->import_jobs = job;
	engine->isolate->EnqueueMicrotask(run_import, job);
	return scope.Escape(resolver->GetPromise());
}

static v8::MaybeLocal<v8::Promise> on_import(v8::Local<v8::Context> context,
	v8::Local<v8::Data> options, v8::Local<v8::Value> resource_name,
	v8::Local<v8::String> specifier, v8::Local<v8::FixedArray> attributes)
{
	return queue_import(context, options, resource_name, specifier, attributes, false);
}

static v8::MaybeLocal<v8::Promise> on_import_phase(v8::Local<v8::Context> context,
	v8::Local<v8::Data> options, v8::Local<v8::Value> resource_name,
	v8::Local<v8::String> specifier, v8::ModuleImportPhase phase,
	v8::Local<v8::FixedArray> attributes)
{
	return queue_import(context, options, resource_name, specifier, attributes,
		phase == v8::ModuleImportPhase::kSource);
}

static void on_meta(
	v8::Local<v8::Context>, v8::Local<v8::Module> module, v8::Local<v8::Object> meta)
{
	struct engine *engine = engine_current;
	module_entry *entry = modules_find(engine, module);
	if (!entry || !engine->module_meta)
		return;
	v8::HandleScope scope(engine->isolate);
	engine->module_meta(
		engine, engine->module_arg, modules_url(entry).c_str(), from_local(meta));
	/* V8 takes no exception from here. */
	exceptions_drop(engine);
}

void imports_attach(struct engine *engine)
{
	engine->isolate->SetHostImportModuleDynamicallyCallback(on_import);
	engine->isolate->SetHostImportModuleWithPhaseDynamicallyCallback(on_import_phase);
	engine->isolate->SetHostInitializeImportMetaObjectCallback(on_meta);
}

void imports_forget(struct engine *engine)
{
	while (import_job *job = engine->import_jobs) {
		unlink_job(job);
		delete job;
	}
}

/* ---- code caches ---- */

/* V8 checks that a cache is of its version and of this source, but not its contents. */
struct cache_head {
	uint64_t length;
	uint64_t checksum;
};

int engine_code_cache_make(
	struct engine *engine, const char *url, void **ret_data, size_t *ret_length)
{
	v8::HandleScope scope(engine->isolate);
	auto found = engine->modules.find(url);
	if (found == engine->modules.end())
		return -ENOENT;
	v8::Local<v8::Module> module = modules_module(found->second);
	if (module.IsEmpty() || !module->IsSourceTextModule() ||
		module->GetStatus() == v8::Module::kErrored)
		return -EINVAL;
	std::unique_ptr<v8::ScriptCompiler::CachedData> cache(
		v8::ScriptCompiler::CreateCodeCache(module->GetUnboundModuleScript()));
	if (!cache)
		return -EINVAL;
	size_t length = (size_t)cache->length;
	struct cache_head head = {length, checksum(CHECKSUM_START, cache->data, length)};
	char *data = static_cast<char *>(malloc(sizeof head + length));
	if (!data)
		return -ENOMEM;
	memcpy(data, &head, sizeof head);
	memcpy(data + sizeof head, cache->data, length);
	*ret_data = data;
	*ret_length = sizeof head + length;
	return 0;
}

void engine_code_cache_offer(
	struct engine *engine, const char *url, const void *data, size_t length)
{
	struct cache_head head = {};
	if (length > sizeof head)
		memcpy(&head, data, sizeof head);
	const char *body = static_cast<const char *>(data) + sizeof head;
	if (length <= sizeof head || length > INT32_MAX || head.length != length - sizeof head ||
		head.checksum != checksum(CHECKSUM_START, body, head.length)) {
		engine->code_caches_rejected++;
		return;
	}
	uint8_t *copy = static_cast<uint8_t *>(malloc(head.length));
	if (!copy)
		return;
	memcpy(copy, body, head.length);
	struct code_cache &cache = engine->code_caches[url];
	free(cache.data);
	cache = {copy, head.length};
}

unsigned engine_code_cache_used(struct engine *engine)
{
	return engine->code_caches_used;
}

unsigned engine_code_cache_rejected(struct engine *engine)
{
	return engine->code_caches_rejected;
}
