/* Code that a program makes while it runs: from strings (eval, new Function), and
 * WebAssembly. Whether it may, and who is told of it. */
#include "isolate/engine/internal.h"

#define FRAMES_MOST 32

/* Where in the program it was asked for: the innermost frame of a file, not the library's and
 * not that of code from a string, whose name a program could choose. */
static std::string place_of_caller(struct engine *engine)
{
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::StackTrace> stack =
		v8::StackTrace::CurrentStackTrace(engine->isolate, FRAMES_MOST);
	for (int i = 0; i < stack->GetFrameCount(); i++) {
		v8::Local<v8::StackFrame> frame = stack->GetFrame(engine->isolate, (uint32_t)i);
		v8::Local<v8::String> name = frame->GetScriptName();
		if (name.IsEmpty() || frame->IsEval())
			continue;
		std::string text = utf8_of(engine, name);
		if (text.rfind("file:", 0) == 0 || text[0] == '/')
			return text + ":" + std::to_string(frame->GetLineNumber()) + ":" +
			       std::to_string(frame->GetColumn());
	}
	return "";
}

static void tell(struct engine *engine, enum engine_code code, bool allowed)
{
	if (engine->code_callback == nullptr || (allowed && !engine->code_all))
		return;
	std::string place = place_of_caller(engine);
	engine->code_callback(engine->code_arg, code, allowed, place.c_str());
}

/* Asked where the context does not simply allow it, and of what is no string, which eval
 * hands back as it is. */
static v8::ModifyCodeGenerationFromStringsResult may_make_from(
	v8::Local<v8::Context>, v8::Local<v8::Value> source, bool)
{
	struct engine *engine = engine_current;
	v8::ModifyCodeGenerationFromStringsResult result;
	result.codegen_allowed = engine->eval_allowed || !source->IsString();
	if (source->IsString())
		tell(engine, ENGINE_CODE_STRING, engine->eval_allowed);
	return result;
}

static bool may_compile_wasm(v8::Local<v8::Context>, v8::Local<v8::String>)
{
	tell(engine_current, ENGINE_CODE_WASM, engine_current->wasm_allowed);
	return engine_current->wasm_allowed;
}

void code_attach(struct engine *engine)
{
	engine->isolate->SetModifyCodeGenerationFromStringsCallback(may_make_from);
	engine->isolate->SetAllowWasmCodeGenerationCallback(may_compile_wasm);
}

/* V8 asks us about each string only where there is something to say. */
static void set_eval(struct engine *engine)
{
	context_of(engine)->AllowCodeGenerationFromStrings(
		engine->eval_allowed && !engine->code_all);
}

void engine_allow_eval(struct engine *engine, bool allow)
{
	v8::HandleScope scope(engine->isolate);
	engine->eval_allowed = allow;
	set_eval(engine);
	if (!allow)
		context_of(engine)->SetErrorMessageForCodeGenerationFromStrings(string_of(engine,
			"Code generation from strings disallowed for this context: "
			"\"eval\": true among the policy's permissions would allow it"));
}

void engine_allow_wasm(struct engine *engine, bool allow)
{
	v8::HandleScope scope(engine->isolate);
	engine->wasm_allowed = allow;
	if (!allow)
		context_of(engine)->SetErrorMessageForWasmCodeGeneration(string_of(engine,
			"Wasm code generation disallowed by embedder: "
			"\"wasm\": true among the policy's permissions would allow it"));
}

void engine_on_code(struct engine *engine, engine_code_callback callback, bool all, void *arg)
{
	engine->code_callback = callback;
	engine->code_arg = arg;
	engine->code_all = all && callback;
	set_eval(engine);
}
