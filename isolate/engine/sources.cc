/* Stacks that name the places of sources, not of the bundle that was made of them. */
#include "isolate/engine/internal.h"

#include <stdlib.h>
#include <string.h>

namespace
{

#define URL_MOST 4096

/* "…:LINE" before END: takes the number, and END moves before the colon. */
bool take_number(const std::string &text, size_t *end, int *ret)
{
	size_t colon = text.rfind(':', *end - 1);
	if (colon == std::string::npos || colon + 1 == *end || *end - colon > 10)
		return false;
	int number = 0;
	for (size_t i = colon + 1; i < *end; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (text[i] - '0');
	}
	*ret = number;
	*end = colon;
	return number > 0;
}

/* A frame as V8 prints it, "name (URL:LINE:COLUMN)" or "URL:LINE:COLUMN". */
std::string map_frame(struct engine *engine, const std::string &frame)
{
	/* Modules have URLs, what was required has paths. */
	size_t start = frame.rfind("file://");
	if (start == std::string::npos && frame[0] == '/')
		start = 0;
	if (start == std::string::npos && frame.back() == ')')
		start = frame.rfind("(/") + 1;
	if (start == std::string::npos || (start == 0 && frame[0] != '/' && frame[0] != 'f'))
		return frame;
	size_t end = frame.size() - (frame.back() == ')' ? 1 : 0), rest = end;
	struct engine_source_place place = {};
	int line, column;
	if (!take_number(frame, &end, &column) || !take_number(frame, &end, &line) ||
		end <= start || end - start > URL_MOST ||
		!sources_find(engine, frame.substr(start, end - start), line, column, &place))
		return frame;
	return frame.substr(0, start) + place.url + ":" + std::to_string(place.line) + ":" +
	       std::to_string(place.column) + frame.substr(rest);
}

bool is_v8s_own(v8::Local<v8::Value> value)
{
	if (value.IsEmpty() || !value->IsFunction() || value->IsProxy())
		return false;
	v8::Local<v8::Function> function = value.As<v8::Function>();
	return function->ScriptId() == v8::Message::kNoScriptIdInfo &&
	       function->GetBoundFunction()->IsUndefined();
}

/* toString of call sites, found once; a tenant's own is not called. */
v8::Local<v8::Function> site_printer(struct engine *engine, v8::Local<v8::Value> site)
{
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Value> found;
	if (!engine->site_to_string.IsEmpty())
		return engine->site_to_string.Get(engine->isolate);
	if (!site->IsObject() ||
		!site.As<v8::Object>()
			->Get(context, string_of(engine, "toString"))
			.ToLocal(&found) ||
		!is_v8s_own(found))
		return {};
	engine->site_to_string.Reset(engine->isolate, found.As<v8::Function>());
	return found.As<v8::Function>();
}

v8::MaybeLocal<v8::Value> call_tenants(struct engine *engine, v8::Local<v8::Value> error,
	v8::Local<v8::Array> sites, bool *ret_called)
{
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Object> constructor = view_of(engine->error_constructor);
	v8::Local<v8::Value> prepare;
	*ret_called = true; /* or what it was asked for with threw */
	if (!constructor->Get(context, string_of(engine, "prepareStackTrace")).ToLocal(&prepare))
		return {};
	*ret_called = prepare->IsFunction();
	if (!*ret_called)
		return {};
	v8::Local<v8::Value> arguments[] = {error, sites};
	return prepare.As<v8::Function>()->Call(context, constructor, 2, arguments);
}

v8::MaybeLocal<v8::Value> format(
	struct engine *engine, v8::Local<v8::Value> error, v8::Local<v8::Array> sites)
{
	v8::Local<v8::Context> context = context_of(engine);
	std::string text = describe_headline(engine, error);
	v8::Isolate::AllowJavascriptExecutionScope allow(engine->isolate);
	for (uint32_t i = 0; i < sites->Length(); i++) {
		v8::Local<v8::Value> site, frame;
		v8::Local<v8::Function> printer;
		if (!sites->Get(context, i).ToLocal(&site))
			return {};
		printer = site_printer(engine, site);
		if (printer.IsEmpty() ||
			!printer->Call(context, site, 0, nullptr).ToLocal(&frame) ||
			!frame->IsString())
			continue;
		text += "\n    at ";
		text += map_frame(engine, utf8_of(engine, frame.As<v8::String>()));
	}
	v8::Local<v8::String> result;
	if (!v8::String::NewFromUtf8(
		    engine->isolate, text.data(), v8::NewStringType::kNormal, (int)text.size())
			.ToLocal(&result))
		return {};
	return result;
}

v8::MaybeLocal<v8::Value> prepare_stack(
	v8::Local<v8::Context>, v8::Local<v8::Value> error, v8::Local<v8::Array> sites)
{
	struct engine *engine = engine_current;
	bool called = false;
	if (!engine->describing) {
		v8::MaybeLocal<v8::Value> result = call_tenants(engine, error, sites, &called);
		if (called)
			return result;
	}
	return format(engine, error, sites);
}

} // namespace

bool sources_find(struct engine *engine, const std::string &name, int line, int column,
	struct engine_source_place *ret_place)
{
	static const char scheme[] = "file://";
	const bool is_path = name[0] == '/';
	if (!engine->source_finder ||
		!engine->source_finder(engine->source_finder_arg,
			(is_path ? scheme + name : name).c_str(), line, column, ret_place))
		return false;
	if (is_path && strncmp(ret_place->url, scheme, strlen(scheme)) == 0)
		ret_place->url += strlen(scheme);
	return true;
}

void engine_set_source_finder(struct engine *engine, engine_source_finder finder, void *arg)
{
	engine->source_finder = finder;
	engine->source_finder_arg = arg;
}

/* V8's own stack begins with what an error was called when it was made; Node's are told their
 * message later. */
void sources_attach(struct engine *engine)
{
	engine->isolate->SetPrepareStackTraceCallback(prepare_stack);
}
