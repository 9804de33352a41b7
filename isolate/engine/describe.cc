/* An exception as a text for people, much as Node prints one. Nothing of the tenant's
 * runs: V8 is told to refuse, and properties are read only where they are plain data. */
#include "isolate/engine/internal.h"

#include <cmath>
#include <stdlib.h>
#include <string.h>

#define TEXT_MOST (32 * 1024)
#define DEPTH_MOST 6
#define ITEMS_MOST 20
#define STRING_MOST 2000
#define SOURCE_MOST (8u << 20) /* of a file in which a line is looked for */
#define LINE_WIDTH 120
#define PROTOTYPES_MOST 16

namespace
{

class describer
{
      public:
	explicit describer(struct engine *owner)
	    : engine(owner), isolate(owner->isolate), context(context_of(owner))
	{
	}

	void place(v8::Local<v8::Message> message, v8::Local<v8::Value> exception);
	std::string headline_of(v8::Local<v8::Object> error);
	bool is_nodes(v8::Local<v8::Object> error);
	void value(v8::Local<v8::Value> value, int depth);

	std::string text;

      private:
	bool full() const
	{
		return text.size() > TEXT_MOST;
	}
	void new_line(int depth)
	{
		text += '\n';
		text.append((size_t)depth * 2, ' ');
	}
	v8::Local<v8::Value> field(v8::Local<v8::Object> descriptor, const char *name);
	v8::Local<v8::Value> data_property(v8::Local<v8::Object> object, const char *name);
	v8::Local<v8::Value> inherited(v8::Local<v8::Object> object, const char *name);
	std::string stack_of(v8::Local<v8::Object> error);
	v8::Local<v8::Value> hook(const char *name);
	std::string headline_of_librarys(v8::Local<v8::Object> error);
	bool place_in_sources(const std::string &url, int line, int column);
	bool place_of_caller(v8::Local<v8::Value> exception);
	void line_with_marks(v8::Local<v8::String> source, int start, int end);
	void error(v8::Local<v8::Object> error, int depth);
	void error_properties(v8::Local<v8::Object> error, int depth);
	void quoted(v8::Local<v8::String> string);
	void function(v8::Local<v8::Object> object);
	void array(v8::Local<v8::Array> array, int depth);
	void object(v8::Local<v8::Object> object, int depth);
	bool property(v8::Local<v8::Object> object, v8::Local<v8::Value> key, int depth,
		const char *before);
	void indented(const std::string &lines, int depth);

	struct engine *engine;
	v8::Isolate *isolate;
	v8::Local<v8::Context> context;
};

/* ---- where it was thrown ---- */

/* The same of the source that the code was made of. */
bool describer::place_in_sources(const std::string &url, int line, int column)
{
	struct engine_source_place found = {};
	if (!sources_find(engine, url, line, column, &found))
		return false;
	text += std::string(found.url) + ":" + std::to_string(found.line) + "\n";
	if (!found.text)
		return true;
	size_t length = strcspn(found.text, "\r\n");
	if (length > LINE_WIDTH || found.column < 1 || (size_t)found.column > length)
		return true;
	text.append(found.text, length);
	text += "\n";
	for (int i = 0; i + 1 < found.column; i++)
		if (((unsigned char)found.text[i] & 0xc0) != 0x80)
			text += found.text[i] == '\t' ? '\t' : ' ';
	text += "^\n\n";
	return true;
}

/* SOURCE with a mark under the place. Of a long line (bundles have lines of megabytes) only
 * what is around it. */
void describer::line_with_marks(v8::Local<v8::String> source, int start, int end)
{
	int length = source->Length();
	start = start < 0 ? 0 : start > length ? length : start;
	int first = start > LINE_WIDTH / 2 && length > LINE_WIDTH ? start - LINE_WIDTH / 2 : 0;
	int count = length - first > LINE_WIDTH ? LINE_WIDTH : length - first;
	int marks = end > start ? end - start : 1;
	marks = start - first + marks > count ? count - (start - first) : marks;
	std::vector<uint16_t> units((size_t)count);
	source->WriteV2(isolate, (uint32_t)first, (uint32_t)count, units.data());
	v8::Local<v8::String> part;
	if (!v8::String::NewFromTwoByte(isolate, units.data(), v8::NewStringType::kNormal, count)
			.ToLocal(&part))
		return;
	text += utf8_of(engine, part) + "\n";
	for (int i = 0; i < start - first; i++)
		text += units[(size_t)i] == '\t' ? '\t' : ' ';
	text.append((size_t)(marks > 0 ? marks : 1), '^');
	text += "\n\n";
}

/* Line NUMBER (from 1 on) of the file that URL names, as far as SOURCE_MOST; "" without one. */
std::string line_of_file(const std::string &url, int number)
{
	static const char scheme[] = "file://";
	const size_t skip = url.compare(0, sizeof scheme - 1, scheme) == 0 ? sizeof scheme - 1 : 0;
	FILE *file = url[skip] == '/' ? fopen(url.c_str() + skip, "re") : nullptr;
	std::string line;
	int character = 0;
	for (size_t at = 0; file && at < SOURCE_MOST && (character = getc(file)) != EOF; at++) {
		if (character == '\n' && --number == 0)
			break;
		if (number == 1 && character != '\r' && character != '\n')
			line += static_cast<char>(character);
	}
	if (file)
		fclose(file);
	return line;
}

/* "    at name (URL:LINE:COLUMN)", with or without a name. */
bool parse_frame(const std::string &line, std::string *ret_url, int *ret_line, int *ret_column)
{
	const size_t begin = line.compare(0, 7, "    at ") == 0 ? 7 : std::string::npos;
	size_t end = line.size();
	if (begin == std::string::npos)
		return false;
	if (line[end - 1] == ')')
		end--;
	const size_t column = line.rfind(':', end - 1);
	const size_t number = column == std::string::npos || column == 0
				      ? std::string::npos
				      : line.rfind(':', column - 1);
	if (number == std::string::npos)
		return false;
	const size_t open = line.rfind('(', number);
	const size_t start = open == std::string::npos || open < begin ? begin : open + 1;
	*ret_url = line.substr(start, number - start);
	*ret_line = atoi(line.c_str() + number + 1);
	*ret_column = atoi(line.c_str() + column + 1);
	return *ret_line > 0 && *ret_column > 0;
}

/* What the library threw, the program asked for: there is what has to be changed. */
bool describer::place_of_caller(v8::Local<v8::Value> exception)
{
	if (!exception->IsObject())
		return false;
	const std::string stack = stack_of(exception.As<v8::Object>());
	for (size_t at = 0, end; at < stack.size(); at = end + 1) {
		std::string url;
		int line, column;
		end = stack.find('\n', at);
		end = end == std::string::npos ? stack.size() : end;
		if (!parse_frame(stack.substr(at, end - at), &url, &line, &column) ||
			url == ENGINE_LIBRARY_NAME)
			continue;
		text += url + ":" + std::to_string(line) + "\n";
		const std::string source = line_of_file(url, line);
		v8::Local<v8::String> shown;
		if (!source.empty() &&
			v8::String::NewFromUtf8(isolate, source.data(), v8::NewStringType::kNormal,
				static_cast<int>(source.size()))
				.ToLocal(&shown))
			line_with_marks(shown, column - 1, column);
		return true;
	}
	return false;
}

/* Where it was thrown, the source line with a mark under the place. */
void describer::place(v8::Local<v8::Message> message, v8::Local<v8::Value> exception)
{
	v8::Local<v8::Value> name = message->GetScriptResourceName();
	int line = message->GetLineNumber(context).FromMaybe(0);
	v8::Local<v8::String> source;
	if (!name->IsString() || name.As<v8::String>()->Length() == 0 || line <= 0)
		return;
	std::string url = utf8_of(engine, name.As<v8::String>());
	if (url == ENGINE_LIBRARY_NAME && place_of_caller(exception))
		return;
	if (place_in_sources(url, line, message->GetStartColumn(context).FromMaybe(0) + 1))
		return;
	text += url + ":" + std::to_string(line) + "\n";
	if (!message->GetSourceLine(context).ToLocal(&source))
		return;
	int start = message->GetStartColumn(context).FromMaybe(0);
	line_with_marks(source, start, message->GetEndColumn(context).FromMaybe(start + 1));
}

/* ---- reading without running anything ---- */

/* A property descriptor inherits from Object.prototype, which the tenant can change. */
v8::Local<v8::Value> describer::field(v8::Local<v8::Object> descriptor, const char *name)
{
	v8::Local<v8::String> key = string_of(engine, name);
	v8::Local<v8::Value> value;
	if (!descriptor->HasOwnProperty(context, key).FromMaybe(false) ||
		!descriptor->Get(context, key).ToLocal(&value))
		return {};
	return value;
}

/* The own property NAME if it is plain data, else empty. */
v8::Local<v8::Value> describer::data_property(v8::Local<v8::Object> object, const char *name)
{
	v8::Local<v8::Value> descriptor;
	if (object->IsProxy() ||
		!object->GetOwnPropertyDescriptor(context, string_of(engine, name))
			.ToLocal(&descriptor) ||
		!descriptor->IsObject())
		return {};
	return field(descriptor.As<v8::Object>(), "value");
}

v8::Local<v8::Value> describer::inherited(v8::Local<v8::Object> object, const char *name)
{
	for (int i = 0; i < PROTOTYPES_MOST; i++) {
		v8::Local<v8::Value> value = data_property(object, name);
		if (!value.IsEmpty())
			return value;
		v8::Local<v8::Value> prototype = object->GetPrototypeV2();
		if (!prototype->IsObject() || prototype->IsProxy())
			return {};
		object = prototype.As<v8::Object>();
	}
	return {};
}

/* What the library has put on native.hooks; empty without it. */
v8::Local<v8::Value> describer::hook(const char *name)
{
	v8::Local<v8::Object> native = view_of(engine->native);
	v8::Local<v8::Value> hooks, found;
	if (native.IsEmpty() || !native->Get(context, string_of(engine, "hooks")).ToLocal(&hooks) ||
		!hooks->IsObject() ||
		!hooks.As<v8::Object>()->Get(context, string_of(engine, name)).ToLocal(&found))
		return {};
	return found;
}

/* What the library calls one of its own classes, whose names are accessors: "" for others. */
std::string describer::headline_of_librarys(v8::Local<v8::Object> error)
{
	v8::Local<v8::Value> function = hook("headline"), result, argument = error;
	v8::Isolate::AllowJavascriptExecutionScope allow(isolate);
	if (function.IsEmpty() || !function->IsFunction() ||
		!function.As<v8::Function>()
			->Call(context, v8::Undefined(isolate), 1, &argument)
			.ToLocal(&result) ||
		!result->IsString())
		return "";
	return utf8_of(engine, result.As<v8::String>());
}

/* One of Node's own errors, whose code is a part of what it is called: its class has a property
 * that is named by a symbol of the library. */
bool describer::is_nodes(v8::Local<v8::Object> error)
{
	v8::Local<v8::Value> symbol = hook("isNodeError"), prototype = error;
	if (symbol.IsEmpty() || !symbol->IsSymbol())
		return false;
	for (int i = 0; i < PROTOTYPES_MOST && prototype->IsObject() && !prototype->IsProxy();
		i++) {
		v8::Local<v8::Object> object = prototype.As<v8::Object>();
		if (object->HasOwnProperty(context, symbol.As<v8::Name>()).FromMaybe(false))
			return true;
		prototype = object->GetPrototypeV2();
	}
	return false;
}

std::string describer::headline_of(v8::Local<v8::Object> error)
{
	std::string result = headline_of_librarys(error);
	if (!result.empty())
		return result;
	v8::Local<v8::Value> name = inherited(error, "name");
	v8::Local<v8::Value> message = inherited(error, "message");
	result = !name.IsEmpty() && name->IsString() ? utf8_of(engine, name.As<v8::String>())
						     : "Error";
	v8::Local<v8::Value> code = data_property(error, "code");
	if (!code.IsEmpty() && code->IsString() && is_nodes(error))
		result += " [" + utf8_of(engine, code.As<v8::String>()) + "]";
	if (!message.IsEmpty() && message->IsString() && message.As<v8::String>()->Length() > 0)
		result += ": " + utf8_of(engine, message.As<v8::String>());
	return result;
}

std::string describer::stack_of(v8::Local<v8::Object> error)
{
	v8::Local<v8::Value> stack, descriptor;
	v8::Local<v8::String> name = string_of(engine, "stack");
	if (error->GetOwnPropertyDescriptor(context, name).ToLocal(&descriptor) &&
		descriptor->IsObject()) {
		/* V8 gives each error an own accessor; a getter of the tenant's is left. */
		v8::Local<v8::Value> getter = field(descriptor.As<v8::Object>(), "get");
		if (getter.IsEmpty())
			stack = field(descriptor.As<v8::Object>(), "value");
		else if (getter == view_of(engine->stack_getter))
			ignore(v8::Just(error->Get(context, name).ToLocal(&stack)));
	}
	if (!stack.IsEmpty() && stack->IsString() && stack.As<v8::String>()->Length() > 0)
		return utf8_of(engine, stack.As<v8::String>());
	return headline_of(error);
}

/* ---- values ---- */

/* LINES as they are, but every line after the first further in. */
void describer::indented(const std::string &lines, int depth)
{
	for (char c : lines) {
		if (c == '\n')
			new_line(depth);
		else
			text += c;
		if (full())
			return;
	}
}

void describer::error(v8::Local<v8::Object> error, int depth)
{
	indented(stack_of(error), depth);
	error_properties(error, depth);
}

/* The properties that a program gave to its error, and what it was caused by. */
void describer::error_properties(v8::Local<v8::Object> error, int depth)
{
	v8::LocalVector<v8::Value> keys(isolate);
	v8::Local<v8::Array> names;
	if (depth >= DEPTH_MOST || !error->GetOwnPropertyNames(context,
						 static_cast<v8::PropertyFilter>(
							 v8::ONLY_ENUMERABLE | v8::SKIP_SYMBOLS),
						 v8::KeyConversionMode::kConvertToString)
					   .ToLocal(&names))
		return;
	for (uint32_t i = 0; i < names->Length() && keys.size() < ITEMS_MOST; i++) {
		v8::Local<v8::Value> key;
		if (!names->Get(context, i).ToLocal(&key) || !key->IsString())
			continue;
		std::string name = utf8_of(engine, key.As<v8::String>());
		if (name != "stack" && name != "message" && name != "cause" && name != "errors")
			keys.push_back(key);
	}
	for (const char *name : {"cause", "errors"})
		if (!data_property(error, name).IsEmpty())
			keys.push_back(string_of(engine, name));
	if (keys.empty())
		return;
	text += " {";
	const char *before = "";
	for (const v8::Local<v8::Value> key : keys) {
		text += before;
		new_line(depth + 1);
		property(error, key, depth + 1, "");
		before = ",";
	}
	new_line(depth);
	text += "}";
}

void describer::quoted(v8::Local<v8::String> string)
{
	std::string whole = utf8_of(engine, string);
	const char quote =
		whole.find('\'') != std::string::npos && whole.find('"') == std::string::npos
			? '"'
			: '\'';
	text += quote;
	size_t length = whole.size() > STRING_MOST ? STRING_MOST : whole.size();
	/* Not in the middle of a character. */
	while (length < whole.size() && length > 0 && (whole[length] & 0xc0) == 0x80)
		length--;
	for (size_t i = 0; i < length; i++) {
		char c = whole[i];
		if (c == quote || c == '\\')
			(text += '\\') += c;
		else if (c == '\n')
			text += "\\n";
		else if (c == '\t')
			text += "\\t";
		else if (c == '\r')
			text += "\\r";
		else if ((unsigned char)c < 0x20 || c == 0x7f) {
			const char *digits = "0123456789ABCDEF";
			text += "\\x";
			text += digits[(unsigned char)c >> 4];
			text += digits[c & 15];
		} else
			text += c;
	}
	text += quote;
	if (length < whole.size())
		text += "... " + std::to_string(whole.size() - length) + " more bytes";
}

void describer::function(v8::Local<v8::Object> object)
{
	v8::Local<v8::Value> name = data_property(object, "name");
	bool named = !name.IsEmpty() && name->IsString() && name.As<v8::String>()->Length() > 0;
	text += named ? "[Function: " + utf8_of(engine, name.As<v8::String>()) + "]"
		      : "[Function (anonymous)]";
}

/* Returns false when nothing was written. */
bool describer::property(
	v8::Local<v8::Object> object, v8::Local<v8::Value> key, int depth, const char *before)
{
	std::string name = utf8_of(engine, key.As<v8::String>());
	bool bracket = object->IsNativeError() && (name == "cause" || name == "errors");
	v8::Local<v8::Value> descriptor;
	if (!object->GetOwnPropertyDescriptor(context, key.As<v8::Name>()).ToLocal(&descriptor) ||
		!descriptor->IsObject())
		return false;
	text += before;
	text += bracket ? "[" + name + "]: " : name + ": ";
	v8::Local<v8::Value> content = field(descriptor.As<v8::Object>(), "value");
	if (!content.IsEmpty())
		value(content, depth);
	else
		text += "[Getter/Setter]";
	return true;
}

void describer::array(v8::Local<v8::Array> array, int depth)
{
	uint32_t length = array->Length();
	if (length == 0 || depth >= DEPTH_MOST) {
		text += length == 0 ? "[]" : "[Array]";
		return;
	}
	text += "[ ";
	uint32_t shown = 0;
	for (; shown < length && shown < ITEMS_MOST && !full(); shown++) {
		v8::Local<v8::Value> element = data_property(array, std::to_string(shown).c_str());
		text += shown ? ", " : "";
		if (element.IsEmpty())
			text += "<empty or getter>";
		else
			value(element, depth + 1);
	}
	if (shown < length)
		text += ", ... " + std::to_string(length - shown) + " more";
	text += " ]";
}

void describer::object(v8::Local<v8::Object> object, int depth)
{
	std::string kind = engine_kind(from_local(object));
	v8::Local<v8::Array> names;
	if (kind.empty()) {
		std::string name = utf8_of(engine, object->GetConstructorName());
		kind = name == "Object" ? "" : name;
	}
	text += kind.empty() ? "" : kind + " ";
	if (depth >= DEPTH_MOST || object->IsProxy() || object->IsArrayBufferView() ||
		!object->GetOwnPropertyNames(context,
			       static_cast<v8::PropertyFilter>(
				       v8::ONLY_ENUMERABLE | v8::SKIP_SYMBOLS),
			       v8::KeyConversionMode::kConvertToString)
			.ToLocal(&names) ||
		names->Length() == 0) {
		text += "{}";
		return;
	}
	text += "{";
	uint32_t shown = 0;
	for (; shown < names->Length() && shown < ITEMS_MOST && !full(); shown++) {
		v8::Local<v8::Value> key;
		if (names->Get(context, shown).ToLocal(&key) && key->IsString())
			property(object, key, depth + 1, shown ? ", " : " ");
	}
	if (shown < names->Length())
		text += ", ... " + std::to_string(names->Length() - shown) + " more";
	text += " }";
}

void describer::value(v8::Local<v8::Value> value, int depth)
{
	v8::Local<v8::String> string;
	if (full())
		text += "...";
	else if (value->IsString())
		quoted(value.As<v8::String>());
	else if (value->IsNumber() && value.As<v8::Number>()->Value() == 0 &&
		 std::signbit(value.As<v8::Number>()->Value()))
		text += "-0";
	else if (!value->IsObject() && value->ToDetailString(context).ToLocal(&string))
		text += utf8_of(engine, string) + (value->IsBigInt() ? "n" : "");
	else if (!value->IsObject())
		text += "?";
	else if (value->IsNativeError())
		error(value.As<v8::Object>(), depth);
	else if (value->IsProxy())
		text += "[Proxy]";
	else if (value->IsFunction())
		function(value.As<v8::Object>());
	else if (value->IsArray())
		array(value.As<v8::Array>(), depth);
	else
		object(value.As<v8::Object>(), depth);
}

/* While it lives, V8 formats a stack without Error.prepareStackTrace, which is the
 * tenant's function. */
class plain_stacks
{
      public:
	explicit plain_stacks(struct engine *owner) : engine(owner)
	{
		engine->describing = true;
		v8::Local<v8::Object> error = view_of(engine->error_constructor);
		v8::Local<v8::Context> context = context_of(engine);
		v8::Local<v8::String> name = string_of(engine, "prepareStackTrace");
		v8::Local<v8::Value> found;
		if (error.IsEmpty() || !error->HasOwnProperty(context, name).FromMaybe(false) ||
			!error->GetOwnPropertyDescriptor(context, name).ToLocal(&found) ||
			!found->IsObject())
			return;
		if (error->Delete(context, name).FromMaybe(false))
			descriptor = found.As<v8::Object>();
	}
	~plain_stacks()
	{
		engine->describing = false;
		if (!descriptor.IsEmpty())
			restore();
	}

      private:
	v8::Local<v8::Value> field(const char *name)
	{
		v8::Local<v8::Context> context = context_of(engine);
		v8::Local<v8::String> key = string_of(engine, name);
		v8::Local<v8::Value> value;
		if (!descriptor->HasOwnProperty(context, key).FromMaybe(false) ||
			!descriptor->Get(context, key).ToLocal(&value))
			return v8::Undefined(engine->isolate);
		return value;
	}
	void restore()
	{
		v8::Local<v8::Object> error = view_of(engine->error_constructor);
		v8::Local<v8::String> name = string_of(engine, "prepareStackTrace");
		bool accessor = field("get")->IsFunction() || field("set")->IsFunction();
		v8::PropertyDescriptor with_value(field("value"), field("writable")->IsTrue());
		v8::PropertyDescriptor with_functions(field("get"), field("set"));
		v8::PropertyDescriptor &restored = accessor ? with_functions : with_value;
		restored.set_enumerable(field("enumerable")->IsTrue());
		restored.set_configurable(true);
		ignore(error->DefineProperty(context_of(engine), name, restored));
	}

	struct engine *engine;
	v8::Local<v8::Object> descriptor;
};

} // namespace

void describe_attach(struct engine *engine)
{
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Value> constructor, descriptor, getter;
	v8::Local<v8::Object> error =
		v8::Exception::Error(v8::String::Empty(engine->isolate)).As<v8::Object>();
	if (context->Global()->Get(context, string_of(engine, "Error")).ToLocal(&constructor) &&
		constructor->IsObject())
		engine->error_constructor.Reset(engine->isolate, constructor.As<v8::Object>());
	if (error->GetOwnPropertyDescriptor(context, string_of(engine, "stack"))
			.ToLocal(&descriptor) &&
		descriptor->IsObject() &&
		descriptor.As<v8::Object>()
			->Get(context, string_of(engine, "get"))
			.ToLocal(&getter) &&
		getter->IsFunction())
		engine->stack_getter.Reset(engine->isolate, getter);
}

/* As Error.prototype.toString: getters of the program run. "" when one of them throws. */
static std::string headline_by_running(struct engine *engine, v8::Local<v8::Object> error)
{
	v8::TryCatch try_catch(engine->isolate);
	v8::Local<v8::Context> context = context_of(engine);
	v8::Local<v8::Value> name, message;
	v8::Local<v8::String> text;
	std::string parts[2] = {"Error", ""};
	if (!error->Get(context, string_of(engine, "name")).ToLocal(&name) ||
		!error->Get(context, string_of(engine, "message")).ToLocal(&message))
		return "";
	if (!name->IsUndefined()) {
		if (!name->ToString(context).ToLocal(&text))
			return "";
		parts[0] = utf8_of(engine, text);
	}
	if (!message->IsUndefined()) {
		if (!message->ToString(context).ToLocal(&text))
			return "";
		parts[1] = utf8_of(engine, text);
	}
	return parts[0] + (parts[0].empty() || parts[1].empty() ? "" : ": ") + parts[1];
}

std::string describe_headline(struct engine *engine, v8::Local<v8::Value> error)
{
	if (!engine->describing && error->IsObject() &&
		!describer(engine).is_nodes(error.As<v8::Object>())) {
		const std::string result = headline_by_running(engine, error.As<v8::Object>());
		if (!result.empty())
			return result;
	}
	describer reader(engine);
	return error->IsObject() ? reader.headline_of(error.As<v8::Object>()) : "Error";
}

static bool is_of_library(struct engine *engine, v8::Local<v8::Message> message)
{
	v8::Local<v8::Value> name = message->GetScriptResourceName();
	return name->IsString() && utf8_of(engine, name.As<v8::String>()) == ENGINE_LIBRARY_NAME;
}

char *engine_exception_describe(struct engine *engine, engine_value *exception)
{
	v8::HandleScope scope(engine->isolate);
	v8::TryCatch try_catch(engine->isolate);
	v8::Isolate::DisallowJavascriptExecutionScope no_javascript(
		engine->isolate, v8::Isolate::DisallowJavascriptExecutionScope::THROW_ON_FAILURE);
	plain_stacks plain(engine);
	describer result(engine);
	v8::Local<v8::Value> value = to_local(exception);
	v8::Local<v8::Message> message;
	if (!engine->taken_message.IsEmpty() && !engine->taken_exception.IsEmpty() &&
		view_of(engine->taken_exception)->SameValue(value))
		message = engine->taken_message.Get(engine->isolate);
	/* A SyntaxError knows its place, wherever it was thrown again. */
	if (value->IsNativeError() && (message.IsEmpty() || is_of_library(engine, message)))
		message = v8::Exception::CreateMessage(engine->isolate, value);
	if (!message.IsEmpty())
		result.place(message, value);
	result.value(value, 0);
	return strdup(result.text.c_str());
}
