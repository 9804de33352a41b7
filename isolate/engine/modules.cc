/* ES modules: finding, compiling and linking a graph. The graph is loaded with a list
 * of work, and linked from its far end, so that its depth costs no C stack. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

v8::Local<v8::Module> modules_module(const module_entry *entry)
{
	return view_of(entry->module);
}

const std::string &modules_url(const module_entry *entry)
{
	return entry->url;
}

module_entry *modules_find(struct engine *engine, v8::Local<v8::Module> module)
{
	auto range = engine->modules_by_hash.equal_range(module->GetIdentityHash());
	for (auto i = range.first; i != range.second; i++)
		if (view_of(i->second->module) == module)
			return i->second;
	return nullptr;
}

void modules_forget(struct engine *engine)
{
	for (auto &pair : engine->modules)
		delete pair.second;
	engine->modules.clear();
	engine->modules_by_hash.clear();
}

/* ---- attributes ---- */

static std::string request_key(const std::string &specifier, const std::string &type)
{
	std::string key = specifier;
	key += '\0';
	key += type;
	return key;
}

void modules_attributes(struct engine *engine, v8::Local<v8::FixedArray> attributes, int step,
	std::string *ret_type)
{
	v8::Local<v8::Context> context = context_of(engine);
	ret_type->clear();
	for (int i = 0; i + 1 < attributes->Length(); i += step) {
		std::string key = utf8_of(engine, attributes->Get(context, i).As<v8::String>());
		std::string value =
			utf8_of(engine, attributes->Get(context, i + 1).As<v8::String>());
		/* What the loader will refuse, it refuses with the module's URL. */
		if (key != "type") {
			*ret_type = key + "=" + value;
			return;
		}
		*ret_type = value;
	}
}

/* ---- one module ---- */

void modules_enter(struct engine *engine, module_entry *entry, v8::Local<v8::Module> module)
{
	entry->module.Reset(engine->isolate, module);
	engine->modules_by_hash.emplace(module->GetIdentityHash(), entry);
}

/* ---- modules of JavaScript ---- */

v8::MaybeLocal<v8::Module> modules_compile(
	struct engine *engine, const std::string &url, v8::Local<v8::String> text)
{
	v8::ScriptOrigin origin = source_origin(engine, url.c_str(), true);
	auto found = engine->code_caches.find(url);
	if (found == engine->code_caches.end()) {
		v8::ScriptCompiler::Source source(text, origin);
		return v8::ScriptCompiler::CompileModule(engine->isolate, &source);
	}
	struct code_cache cache = found->second;
	engine->code_caches.erase(found);
	/* The Source owns the CachedData, which does not own the bytes. */
	v8::ScriptCompiler::Source source(
		text, origin, new v8::ScriptCompiler::CachedData(cache.data, (int)cache.length));
	v8::MaybeLocal<v8::Module> module = v8::ScriptCompiler::CompileModule(
		engine->isolate, &source, v8::ScriptCompiler::kConsumeCodeCache);
	if (source.GetCachedData()->rejected)
		engine->code_caches_rejected++;
	else
		engine->code_caches_used++;
	free(cache.data);
	return module;
}

/* Takes the source out of SOURCE. */
static int make_script(
	struct engine *engine, module_entry *entry, struct engine_module_source *source)
{
	char *data = source->source;
	source->source = nullptr;
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::String> text;
	v8::Local<v8::Module> module;
	if (!source_string(engine->isolate, data, source->length).ToLocal(&text)) {
		engine_throw(engine, "RangeError", "ERR_STRING_TOO_LONG",
			"%s: %zu bytes are too long", entry->url.c_str(), source->length);
		return -ECANCELED;
	}
	if (!modules_compile(engine, entry->url, text).ToLocal(&module))
		return exceptions_keep(engine, try_catch);
	modules_enter(engine, entry, module);
	return 0;
}

static void throw_not_found(struct engine *engine, const char *code, const char *message,
	const std::string &specifier, const std::string &referrer)
{
	std::string text = message[0] ? message : "Cannot load module '" + specifier + "'";
	if (!referrer.empty() && text.find("imported from") == std::string::npos)
		text += " imported from " + referrer;
	engine_throw(engine, "Error", code ? code : "ERR_MODULE_NOT_FOUND", "%s", text.c_str());
}

static int make(struct engine *engine, module_entry *entry, struct engine_module_source *source)
{
	if (source->object)
		entry->object.Reset(engine->isolate, to_local<v8::Object>(source->object));
	if (source->exports)
		return synthetic_of_exports(engine, entry, to_local<v8::Object>(source->exports));
	if (source->names)
		return synthetic_of_names(engine, entry, to_local<v8::Array>(source->names),
			to_local<v8::Function>(source->evaluate));
	return make_script(engine, entry, source);
}

/* The entry of SOURCE, made now if it is new; NULL with an exception pending. */
static module_entry *enter_source(struct engine *engine, struct engine_module_source *source,
	const std::string &specifier, const std::string &referrer)
{
	std::string key = source->url;
	if (source->variant)
		key = request_key(key, source->variant);
	auto found = engine->modules.find(key);
	if (found != engine->modules.end()) {
		if (found->second->error.IsEmpty())
			return found->second;
		engine_throw_value(engine, from_local(found->second->error.Get(engine->isolate)));
		return nullptr;
	}
	if (!source->source && !source->exports && !source->names) {
		throw_not_found(engine, source->code, "", specifier, referrer);
		return nullptr;
	}
	module_entry *entry = new module_entry();
	entry->url = source->url;
	int result = make(engine, entry, source);
	if (result == -ETIMEDOUT) {
		delete entry;
		return nullptr;
	}
	engine->modules.emplace(key, entry);
	if (result == 0)
		return entry;
	entry->error.Reset(engine->isolate, view_of(engine->exception));
	return nullptr;
}

static module_entry *fetch(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type)
{
	struct engine_module_source source = {};
	struct error error = {};
	int result = -ENOSYS;
	if (engine->module_loader)
		result = engine->module_loader(engine->module_arg, specifier.c_str(),
			referrer.c_str(), type.c_str(), &source, &error);
	module_entry *entry = nullptr;
	if (result < 0 || !source.url) {
		/* The loader may have thrown itself, or was terminated. */
		if (!engine->pending && result != -ETIMEDOUT)
			throw_not_found(engine, source.code, error.message, specifier, referrer);
	} else {
		entry = enter_source(engine, &source, specifier, referrer);
	}
	free(source.url);
	free(source.source);
	return entry;
}

/* ---- the graph ---- */

/* Finds the modules that ENTRY itself asks for. */
static int resolve_requests(struct engine *engine, module_entry *entry)
{
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::FixedArray> requests = modules_module(entry)->GetModuleRequests();
	for (int i = 0; i < requests->Length(); i++) {
		v8::Local<v8::ModuleRequest> request =
			requests->Get(context_of(engine), i).As<v8::ModuleRequest>();
		std::string type;
		modules_attributes(engine, request->GetImportAttributes(), 3, &type);
		std::string specifier = utf8_of(engine, request->GetSpecifier());
		std::string key = request_key(specifier, type);
		/* What is only asked for as a source is neither linked nor evaluated. */
		auto &wanted = request->GetPhase() == v8::ModuleImportPhase::kSource
				       ? entry->source_requests
				       : entry->requests;
		if (wanted.count(key))
			continue;
		module_entry *child = fetch(engine, specifier, entry->url, type);
		if (!child)
			return engine->pending ? -ECANCELED : -ETIMEDOUT;
		wanted.emplace(key, child);
	}
	entry->resolved = true;
	return 0;
}

static bool is_linked(const module_entry *entry)
{
	return modules_module(entry)->GetStatus() >= v8::Module::kInstantiated;
}

/* Puts ROOT and all below it that is not linked yet into GRAPH, near ones first. */
static int load_graph(struct engine *engine, module_entry *root, std::vector<module_entry *> *graph)
{
	int result = 0;
	root->visited = true;
	graph->push_back(root);
	for (size_t i = 0; i < graph->size() && result == 0; i++) {
		module_entry *entry = (*graph)[i];
		if (!entry->resolved)
			result = resolve_requests(engine, entry);
		if (result < 0 || is_linked(entry))
			continue;
		for (auto &pair : entry->requests) {
			if (pair.second->visited)
				continue;
			pair.second->visited = true;
			graph->push_back(pair.second);
		}
	}
	for (module_entry *entry : *graph)
		entry->visited = false;
	return result;
}

static v8::MaybeLocal<v8::Module> on_resolve(v8::Local<v8::Context>,
	v8::Local<v8::String> specifier, v8::Local<v8::FixedArray> attributes,
	v8::Local<v8::Module> referrer)
{
	struct engine *engine = engine_current;
	module_entry *entry = modules_find(engine, referrer);
	std::string type;
	modules_attributes(engine, attributes, 3, &type);
	if (entry) {
		auto found = entry->requests.find(request_key(utf8_of(engine, specifier), type));
		if (found != entry->requests.end())
			return modules_module(found->second);
	}
	exceptions_drop(engine);
	engine->isolate->ThrowError("a module was asked for that was not loaded");
	return {};
}

static v8::MaybeLocal<v8::Object> on_resolve_source(v8::Local<v8::Context>,
	v8::Local<v8::String> specifier, v8::Local<v8::FixedArray> attributes,
	v8::Local<v8::Module> referrer)
{
	struct engine *engine = engine_current;
	module_entry *entry = modules_find(engine, referrer);
	v8::Local<v8::Object> object;
	std::string type;
	modules_attributes(engine, attributes, 3, &type);
	if (entry) {
		auto found =
			entry->source_requests.find(request_key(utf8_of(engine, specifier), type));
		if (found != entry->source_requests.end() &&
			modules_source_object(engine, found->second).ToLocal(&object))
			return object;
	}
	exceptions_rethrow(engine);
	return {};
}

v8::MaybeLocal<v8::Object> modules_source_object(struct engine *engine, const module_entry *entry)
{
	if (!entry->object.IsEmpty())
		return entry->object.Get(engine->isolate);
	engine_throw(engine, "SyntaxError", "ERR_SOURCE_PHASE_NOT_DEFINED",
		"Source phase import object is not defined for module '%s'", entry->url.c_str());
	return {};
}

/* V8 links a module after what it imports, by recursion. Begun at the far end, most of
 * a chain is linked already when its head comes. */
static int link_graph(struct engine *engine, const std::vector<module_entry *> &graph)
{
	v8::TryCatch try_catch(engine->isolate);
	for (size_t i = graph.size(); i-- > 0;) {
		v8::HandleScope scope(engine->isolate);
		if (!is_linked(graph[i]) && !modules_module(graph[i])
						    ->InstantiateModule(context_of(engine),
							    on_resolve, on_resolve_source)
						    .FromMaybe(false))
			return exceptions_keep(engine, try_catch);
	}
	return 0;
}

module_entry *modules_load(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type)
{
	v8::HandleScope scope(engine->isolate);
	std::vector<module_entry *> graph;
	module_entry *root = fetch(engine, specifier, referrer, type);
	if (!root || load_graph(engine, root, &graph) < 0 || link_graph(engine, graph) < 0)
		return nullptr;
	return root;
}

module_entry *modules_source(struct engine *engine, const std::string &specifier,
	const std::string &referrer, const std::string &type)
{
	return fetch(engine, specifier, referrer, type);
}
