#include "isolate/engine/internal.h"

#include "isolate/engine/inspector.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <sys/random.h>
#include <v8-inspector.h>

using v8_inspector::StringBuffer;
using v8_inspector::StringView;

#define CONTEXT_GROUP 1 /* there is one context */

static StringView view_of_ascii(const char *text)
{
	return StringView(reinterpret_cast<const uint8_t *>(text), strlen(text));
}

struct engine_inspector final : v8_inspector::V8InspectorClient,
				v8_inspector::V8Inspector::Channel {
	struct engine *engine;
	struct engine_inspector_client client;
	std::unique_ptr<v8_inspector::V8Inspector> inspector;
	std::unique_ptr<v8_inspector::V8InspectorSession> session;
	bool paused = false;    /* JavaScript stands still */
	bool wait_over = false; /* of paused: it may go on */
	bool may_begin = false;
	bool over = false; /* the client has no more messages */

	engine_inspector(
		struct engine *its, const struct engine_inspector_client *whose, const char *name)
	    : engine(its), client(*whose),
	      inspector(v8_inspector::V8Inspector::create(its->isolate, this))
	{
		v8::HandleScope scope(engine->isolate);
		inspector->contextCreated(v8_inspector::V8ContextInfo(
			context_of(engine), CONTEXT_GROUP, view_of_ascii(name)));
	}

	void begin_session()
	{
		session = inspector->connect(CONTEXT_GROUP, this, StringView(),
			v8_inspector::V8Inspector::kFullyTrusted);
	}

	/* ---- V8InspectorClient ---- */

	void runMessageLoopOnPause(int) override
	{
		if (paused)
			return;
		paused = true;
		wait_over = false;
		while (!wait_over && !over)
			over = !client.wait(client.arg);
		paused = false;
		/* Nobody is there who could let it go on. */
		if (over && session)
			session->resume();
	}

	void quitMessageLoopOnPause() override
	{
		wait_over = true;
	}

	void runIfWaitingForDebugger(int) override
	{
		may_begin = true;
	}

	v8::Local<v8::Context> ensureDefaultContextInGroup(int) override
	{
		return context_of(engine);
	}

	/* The engine's own random numbers would be those of all forks. */
	int64_t generateUniqueId() override
	{
		int64_t id = 0;
		return getrandom(&id, sizeof id, 0) == sizeof id && id != 0 ? id : 1;
	}

	double currentTimeMS() override
	{
		timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		return static_cast<double>(now.tv_sec) * 1e3 +
		       static_cast<double>(now.tv_nsec) / 1e6;
	}

	/* ---- Channel ---- */

	void send(const StringView &message)
	{
		std::string utf8;
		if (message.is8Bit()) {
			for (size_t i = 0; i < message.length(); i++)
				append_latin1(&utf8, message.characters8()[i]);
		} else {
			v8::HandleScope scope(engine->isolate);
			v8::Local<v8::String> text;
			if (!v8::String::NewFromTwoByte(engine->isolate, message.characters16(),
				    v8::NewStringType::kNormal, static_cast<int>(message.length()))
					.ToLocal(&text))
				return;
			v8::String::Utf8Value value(engine->isolate, text);
			utf8.assign(*value, static_cast<size_t>(value.length()));
		}
		client.send(client.arg, utf8.data(), utf8.size());
	}

	static void append_latin1(std::string *utf8, uint8_t byte)
	{
		if (byte < 0x80) {
			utf8->push_back(static_cast<char>(byte));
			return;
		}
		utf8->push_back(static_cast<char>(0xc0 | byte >> 6));
		utf8->push_back(static_cast<char>(0x80 | (byte & 0x3f)));
	}

	void sendResponse(int call, std::unique_ptr<StringBuffer> message) override
	{
		if (call != ENGINE_INSPECTOR_OWN_CALL)
			send(message->string());
	}

	void sendNotification(std::unique_ptr<StringBuffer> message) override
	{
		send(message->string());
	}

	void flushProtocolNotifications() override
	{
	}
};

/* V8 puts a method into the console that is the inspector's, and would outlive it. */
class kept_create_task
{
	v8::Local<v8::Context> context;
	v8::Local<v8::String> name;
	v8::Local<v8::Value> console, method;

      public:
	explicit kept_create_task(struct engine *engine)
	    : context(context_of(engine)), name(string_of(engine, "createTask"))
	{
		if (!context->Global()
				->Get(context, string_of(engine, "console"))
				.ToLocal(&console) ||
			!console->IsObject() ||
			!console.As<v8::Object>()->Get(context, name).ToLocal(&method))
			abort();
	}

	~kept_create_task()
	{
		if (!console.As<v8::Object>()->Set(context, name, method).FromMaybe(false))
			abort();
	}
};

void engine_inspector_prepare(struct engine *engine)
{
	const struct engine_inspector_client nobody = {};
	v8::HandleScope scope(engine->isolate);
	kept_create_task kept(engine);
	/* Its first context is number 1, as that of the next one will be. */
	engine_inspector inspector(engine, &nobody, "");
}

struct engine_inspector *engine_inspector_open(
	struct engine *engine, const struct engine_inspector_client *client, const char *name)
{
	return new (std::nothrow) engine_inspector(engine, client, name);
}

/* Not between bytes of a sequence: UTF-16 is what the inspector takes beside Latin-1. */
static std::vector<uint16_t> utf16_of(struct engine *engine, const char *message, size_t length)
{
	v8::HandleScope scope(engine->isolate);
	v8::Local<v8::String> text;
	if (!v8::String::NewFromUtf8(
		    engine->isolate, message, v8::NewStringType::kNormal, static_cast<int>(length))
			.ToLocal(&text))
		return {};
	std::vector<uint16_t> units(static_cast<size_t>(text->Length()));
	text->WriteV2(engine->isolate, 0, static_cast<uint32_t>(units.size()), units.data());
	return units;
}

void engine_inspector_dispatch(
	struct engine_inspector *inspector, const char *message, size_t length)
{
	if (!inspector->session)
		inspector->begin_session();
	v8::HandleScope scope(inspector->engine->isolate);
	const std::vector<uint16_t> text = utf16_of(inspector->engine, message, length);
	inspector->session->dispatchProtocolMessage(StringView(text.data(), text.size()));
}

void engine_inspector_reset(struct engine_inspector *inspector)
{
	inspector->over = false;
	inspector->may_begin = true;
	if (!inspector->session)
		return;
	inspector->session->stop();
	/* While JavaScript stands still in it, it is in use: V8 has been told to go on. */
	if (inspector->paused)
		inspector->wait_over = true;
	inspector->session.reset();
}

bool engine_inspector_wait_for_debugger(struct engine_inspector *inspector, const char *breakpoint)
{
	while (!inspector->may_begin && !inspector->over)
		inspector->over = !inspector->client.wait(inspector->client.arg);
	if (inspector->over || !inspector->session)
		return !inspector->over;
	/* Not simply at the next statement: that is one of what loads the program. */
	engine_inspector_dispatch(inspector, breakpoint, strlen(breakpoint));
	return true;
}

struct interruption {
	void (*callback)(void *arg);
	void *arg;
};

void engine_interrupt(struct engine *engine, void (*callback)(void *arg), void *arg)
{
	engine->isolate->RequestInterrupt(
		[](v8::Isolate *, void *data) {
			std::unique_ptr<interruption> it(static_cast<interruption *>(data));
			it->callback(it->arg);
		},
		new interruption{callback, arg});
}
