/* CommonJS: bodies of functions, and telling them from ES modules. Which of both a file
 * without further notice is, is decided as Node decides it: what is valid as the body of a
 * function is one; else it is a module, if what is wrong with it is syntax that only modules
 * have. */
#include "isolate/engine/internal.h"

#include <errno.h>
#include <string.h>
#include <string_view>

/* ---- compiling ---- */

static v8::MaybeLocal<v8::Function> compile(struct engine *engine, v8::Local<v8::String> source,
	v8::Local<v8::String> filename, v8::Local<v8::String> url)
{
	v8::Local<v8::String> parameters[] = {
		string_of(engine, "exports"),
		string_of(engine, "require"),
		string_of(engine, "module"),
		string_of(engine, "__filename"),
		string_of(engine, "__dirname"),
	};
	v8::ScriptCompiler::Source text(source, source_origin_of(engine, filename, url, false));
	return v8::ScriptCompiler::CompileFunction(
		context_of(engine), &text, 5, parameters, 0, nullptr);
}

/* Takes what was compiled last, if it was this. */
static v8::MaybeLocal<v8::Function> take_detected(
	struct engine *engine, v8::Local<v8::String> source)
{
	if (engine->detected_source.IsEmpty() ||
		engine->detected_source.Get(engine->isolate) != source)
		return {};
	v8::Local<v8::Function> function = engine->detected_function.Get(engine->isolate);
	engine->detected_source.Reset();
	engine->detected_function.Reset();
	return function;
}

/* ---- what only modules have ---- */

static bool is_one_of(
	const std::string &text, const std::initializer_list<std::string_view> &messages)
{
	for (std::string_view message : messages)
		if (text.find(message) != std::string::npos)
			return true;
	return false;
}

static bool is_module_syntax(const std::string &message)
{
	return is_one_of(message,
		{"Cannot use import statement outside a module", "Unexpected token 'export'",
			"Cannot use 'import.meta' outside a module"});
}

/* Wrong in a function of these parameters, and right at the top of a module. */
static bool may_be_module(const std::string &message)
{
	return is_one_of(message,
		{"Identifier '__filename' has already been declared",
			"Identifier '__dirname' has already been declared",
			"Identifier 'exports' has already been declared",
			"Identifier 'require' has already been declared",
			"Identifier 'module' has already been declared",
			"await is only valid in async functions and the top level bodies of "
			"modules",
			"Unexpected reserved word"});
}

static std::string message_of(struct engine *engine, const v8::TryCatch &try_catch)
{
	v8::Local<v8::Message> message = try_catch.Message();
	return message.IsEmpty() ? "" : utf8_of(engine, message->Get());
}

/* As a function it would be one if it had none of the parameters, and were asynchronous: else
 * what is wrong with it is wrong in a module, too. */
static bool parses_alone(struct engine *engine, v8::Local<v8::String> source)
{
	v8::Isolate *isolate = engine->isolate;
	v8::TryCatch try_catch(isolate);
	v8::Local<v8::String> text =
		v8::String::Concat(isolate, string_of(engine, "(async function() {"), source);
	text = v8::String::Concat(isolate, text, string_of(engine, "\n})();"));
	v8::ScriptCompiler::Source wrapped(text);
	v8::Local<v8::Function> function;
	if (v8::ScriptCompiler::CompileFunction(
		    context_of(engine), &wrapped, 0, nullptr, 0, nullptr)
			.ToLocal(&function))
		return true;
	return is_module_syntax(message_of(engine, try_catch));
}

/* What cannot be a function, for the reason MESSAGE: may it be a module? */
static bool would_be_module(
	struct engine *engine, const std::string &message, v8::Local<v8::String> source)
{
	if (is_module_syntax(message))
		return true;
	return may_be_module(message) && parses_alone(engine, source);
}

/* ---- which of both ---- */

/* The rest of a line after blanks begins with WORD, and `exports` is another word. */
static bool begins_with(std::string_view line, std::string_view word)
{
	size_t blank = line.find_first_not_of(" \t");
	return blank != std::string_view::npos && line.compare(blank, word.size(), word) == 0 &&
	       line.compare(blank + word.size(), 1, "s") != 0;
}

#define HINT_BYTES 4096

/* Does it look like a module, at one of its ends? Only a hint of what to try first. */
static bool looks_like_module(struct engine *engine, v8::Local<v8::String> source)
{
	char text[HINT_BYTES];
	const int length = source->Length();
	const int starts[] = {0, length > HINT_BYTES ? length - HINT_BYTES : 0};
	for (int start : starts) {
		uint16_t units[HINT_BYTES];
		uint32_t count =
			(uint32_t)(length - start < HINT_BYTES ? length - start : HINT_BYTES);
		source->WriteV2(engine->isolate, (uint32_t)start, count, units);
		for (uint32_t i = 0; i < count; i++)
			text[i] = units[i] < 0x80 ? (char)units[i] : 'x';
		std::string_view rest(text, count);
		while (!rest.empty()) {
			std::string_view line = rest.substr(0, rest.find('\n'));
			if (begins_with(line, "export") || begins_with(line, "import"))
				return true;
			rest.remove_prefix(
				line.size() < rest.size() ? line.size() + 1 : rest.size());
		}
	}
	return false;
}

static v8::MaybeLocal<v8::Module> never_asked(v8::Local<v8::Context>, v8::Local<v8::String>,
	v8::Local<v8::FixedArray>, v8::Local<v8::Module>)
{
	return {};
}

/* Whether MODULE imports or exports something, which no function can. One that imports
 * nothing is linked at once, and then its namespace tells. */
static bool has_module_syntax(struct engine *engine, v8::Local<v8::Module> module)
{
	if (module->GetModuleRequests()->Length() > 0)
		return true;
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Array> names;
	return module->InstantiateModule(context_of(engine), never_asked).FromMaybe(false) &&
	       module->GetModuleNamespace()
		       .As<v8::Object>()
		       ->GetPropertyNames(context_of(engine), v8::KeyCollectionMode::kOwnOnly,
			       v8::SKIP_SYMBOLS, v8::IndexFilter::kIncludeIndices)
		       .ToLocal(&names) &&
	       names->Length() > 0;
}

static void enter(struct engine *engine, v8::Local<v8::String> url, v8::Local<v8::Module> module)
{
	module_entry *entry = new module_entry();
	entry->url = utf8_of(engine, url);
	modules_enter(engine, entry, module);
	engine->modules.emplace(entry->url, entry);
}

/* A module that is there, or one that SOURCE makes. False: it makes none. */
static bool enter_module(
	struct engine *engine, v8::Local<v8::String> source, v8::Local<v8::String> url, bool surely)
{
	std::string key = utf8_of(engine, url);
	auto found = engine->modules.find(key);
	/* One without a source stands for CommonJS: it was found out before. */
	if (found != engine->modules.end())
		return found->second->module.IsEmpty() ||
		       modules_module(found->second)->IsSourceTextModule();
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Module> module;
	if (!modules_compile(engine, key, source).ToLocal(&module) ||
		(!surely && !has_module_syntax(engine, module)))
		return false;
	enter(engine, url, module);
	return true;
}

/* FUNCTION of SOURCE, or none where it is a module. -ECANCELED: it is neither. */
static int detect(struct engine *engine, v8::Local<v8::String> source,
	v8::Local<v8::String> filename, v8::Local<v8::String> url,
	v8::Local<v8::Function> *ret_function)
{
	*ret_function = v8::Local<v8::Function>();
	if (looks_like_module(engine, source) && enter_module(engine, source, url, false))
		return 0;
	v8::TryCatch try_catch(engine->isolate);
	if (compile(engine, source, filename, url).ToLocal(ret_function))
		return 0;
	if (try_catch.HasTerminated() ||
		!would_be_module(engine, message_of(engine, try_catch), source))
		return exceptions_keep(engine, try_catch);
	/* If it is none either, importing it says what is wrong. */
	enter_module(engine, source, url, true);
	return 0;
}

/* ---- for the embedder ---- */

int engine_commonjs_compile(struct engine *engine, engine_value *source, engine_value *filename,
	engine_value *url, bool is_detected, engine_value **ret_function)
{
	v8::EscapableHandleScope scope(engine->isolate);
	v8::Local<v8::String> text = text_of(engine->isolate, source);
	v8::Local<v8::Function> function;
	int result = 0;
	*ret_function = nullptr;
	if (!take_detected(engine, text).ToLocal(&function)) {
		v8::TryCatch try_catch(engine->isolate);
		if (is_detected)
			result = detect(engine, text, text_of(engine->isolate, filename),
				text_of(engine->isolate, url), &function);
		else if (!compile(engine, text, text_of(engine->isolate, filename),
				 text_of(engine->isolate, url))
				 .ToLocal(&function))
			result = exceptions_keep(engine, try_catch);
	}
	if (!function.IsEmpty())
		*ret_function = from_local(scope.Escape(function));
	return result;
}

bool engine_commonjs_is_module(
	struct engine *engine, engine_value *source, engine_value *filename, engine_value *url)
{
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::Function> function;
	v8::Local<v8::String> text = text_of(engine->isolate, source);
	if (detect(engine, text, text_of(engine->isolate, filename), text_of(engine->isolate, url),
		    &function) < 0) {
		/* Who runs it will see what is wrong. */
		exceptions_drop(engine);
		return false;
	}
	if (function.IsEmpty())
		return true;
	engine->detected_source.Reset(engine->isolate, text);
	engine->detected_function.Reset(engine->isolate, function);
	return false;
}

engine_value *engine_string_source(struct engine *engine, char *source, size_t length)
{
	v8::Local<v8::String> text;
	if (source_string(engine->isolate, source, length).ToLocal(&text))
		return from_local(text);
	return engine_throw(engine, "RangeError", "ERR_STRING_TOO_LONG",
		"a source of %zu bytes is too long", length);
}

/* ---- require() of a module ---- */

static engine_value *throw_async(struct engine *engine)
{
	return engine_throw(engine, "Error", "ERR_REQUIRE_ASYNC_MODULE",
		"require() cannot be used on an ESM graph with top-level await. Use import() "
		"instead. To see where the top-level await comes from, use "
		"--experimental-print-required-tla.");
}

static void do_nothing(const v8::FunctionCallbackInfo<v8::Value> &)
{
}

engine_value *engine_module_require(struct engine *engine, const char *url)
{
	v8::EscapableHandleScope scope(engine->isolate);
	module_entry *entry = modules_load(engine, url, "", "");
	if (!entry)
		return nullptr;
	v8::Local<v8::Module> module = modules_module(entry);
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Value> promise;
	if (module->GetStatus() == v8::Module::kEvaluating)
		return engine_throw(engine, "Error", "ERR_REQUIRE_CYCLE_MODULE",
			"Cannot require() ES Module %s in a cycle. A cycle involving require(esm) "
			"is not allowed to maintain invariants mandated by the ECMAScript "
			"specification. Try making at least part of the dependency in the graph "
			"lazily loaded.",
			url + (strncmp(url, "file://", 7) == 0 ? 7 : 0));
	if (module->IsGraphAsync())
		return throw_async(engine);
	if (!module->Evaluate(context_of(engine)).ToLocal(&promise)) {
		exceptions_keep(engine, try_catch);
		return nullptr;
	}
	v8::Local<v8::Promise> done = promise.As<v8::Promise>();
	if (done->State() == v8::Promise::kRejected) {
		/* Whoever counts rejections learns that somebody has it. */
		v8::Local<v8::Function> handler;
		v8::Local<v8::Promise> handled;
		if (v8::Function::New(context_of(engine), do_nothing).ToLocal(&handler) &&
			!done->Catch(context_of(engine), handler).ToLocal(&handled))
			return nullptr;
		return engine_throw_value(engine, from_local(done->Result()));
	}
	if (done->State() == v8::Promise::kPending)
		return throw_async(engine);
	return from_local(scope.Escape(module->GetModuleNamespace()));
}

enum engine_module_state engine_module_state(struct engine *engine, const char *url)
{
	auto found = engine->modules.find(url);
	if (found == engine->modules.end() || found->second->module.IsEmpty())
		return ENGINE_MODULE_NONE;
	v8::HandleScope scope(engine->isolate);
	v8::Module::Status status = modules_module(found->second)->GetStatus();
	return status == v8::Module::kEvaluated || status == v8::Module::kErrored
		       ? ENGINE_MODULE_EVALUATED
		       : ENGINE_MODULE_LOADED;
}

/* The module whose facade is being linked. */
static thread_local module_entry *original;

static v8::MaybeLocal<v8::Module> give_original(v8::Local<v8::Context>, v8::Local<v8::String>,
	v8::Local<v8::FixedArray>, v8::Local<v8::Module>)
{
	return modules_module(original);
}

engine_value *engine_module_facade(struct engine *engine, const char *url)
{
	v8::EscapableHandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	auto found = engine->modules.find(url);
	v8::Local<v8::Module> module;
	v8::ScriptOrigin origin =
		source_origin(engine, "node:internal/require_module_default_facade", true);
	v8::ScriptCompiler::Source source(
		string_of(engine, "export * from 'original'; export { default } from 'original'; "
				  "export const __esModule = true;"),
		origin);
	if (found == engine->modules.end() || found->second->module.IsEmpty())
		return engine_throw(engine, "Error", nullptr, "no module %s is loaded", url);
	original = found->second;
	if (!v8::ScriptCompiler::CompileModule(engine->isolate, &source).ToLocal(&module) ||
		!module->InstantiateModule(context_of(engine), give_original).FromMaybe(false) ||
		module->Evaluate(context_of(engine)).IsEmpty()) {
		exceptions_keep(engine, try_catch);
		return nullptr;
	}
	return from_local(scope.Escape(module->GetModuleNamespace()));
}
