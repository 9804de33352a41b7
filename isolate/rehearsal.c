#include "isolate/rehearsal.h"

#include "common/cleanup.h"
#include "isolate/http_server.h"
#include "isolate/runtime.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURNS_MAX 100

static const char program[] =
	"export default { fetch(request) {"
	" request.headers.get('host'); new URL(request.url);"
	" return new Response('rehearsal', { headers: { 'content-type': 'text/plain' } });"
	" } };";

static const struct worker_start start = {
	.tenant = "rehearsal",
	.entry = "main.js",
	.mode = WORKER_MODE_SERVE,
	.root = "/app",
	.folder = "",
	.uid = 1,
	.allow_eval = false,
	.allow_wasm = true,
	.allow_jit = true,
	.memory_bytes = 128u << 20,
	.files = 256,
	.request_ms = 30000,
	.body_bytes = 10u << 20,
	.concurrent = 100,
	.idle_ms = 60000,
	.listener_count = 1,
	.listeners = {"unix:rehearsal"},
};

static int load(void *arg, const char *specifier, const char *referrer, const char *type,
	struct engine_module_source *ret_source, struct error *error)
{
	(void)arg;
	(void)specifier;
	(void)referrer;
	(void)type;
	(void)error;
	*ret_source = (struct engine_module_source){
		.url = strdup("file:///app/main.js"),
		.source = strdup(program),
		.length = sizeof program - 1,
	};
	return 0;
}

static void set_meta(struct engine *engine, void *arg, const char *url, engine_value *meta)
{
	(void)arg;
	(void)url;
	engine_set(engine, meta, "url", engine_string(engine, url));
}

/* A listening socket that nobody else can find, and a connection to it. */
static int make_listener(int *ret_client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof address;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || client < 0 ||
		bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
		listen(listener, 1) < 0 ||
		getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
		connect(client, (struct sockaddr *)&address, length) < 0)
		return -1;
	*ret_client = client;
	return listener;
}

static engine_value *call_hook(const char *name, engine_value *const *arguments, int count)
{
	engine_value *result = NULL;
	(void)engine_call_function(runtime.engine,
		engine_ref_get(runtime.engine, runtime_hook(name)),
		engine_undefined(runtime.engine), arguments, count, &result);
	return result ? result : engine_undefined(runtime.engine);
}

static void serve_one_request(int listener, int client)
{
	static const char request[] = "GET /path?query HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char answer[1024];
	struct error error;
	if (http_server_start(&listener, 1, &error) < 0 ||
		write(client, request, sizeof request - 1) < 0)
		return;
	for (int i = 0; i < TURNS_MAX && read(client, answer, sizeof answer) <= 0; i++)
		uv_run(&runtime.loop, UV_RUN_ONCE);
}

void rehearse_worker(void)
{
	struct error error;
	struct engine_scope scope;
	engine_value *promise, *namespace;
	int client = -1;
	int listener = make_listener(&client);
	if (listener < 0 || runtime_start(&start, &error) < 0)
		return;
	engine_scope_open(runtime.engine, &scope);
	engine_modules_init(runtime.engine, load, set_meta, NULL);
	engine_value *environment = call_hook("startProcess", NULL, 0);
	if (engine_module_import(runtime.engine, "./main.js", &promise, &namespace) == 0) {
		runtime_tick();
		engine_value *handler = engine_get(runtime.engine, namespace, "default");
		engine_value *arguments[] = {handler, environment};
		call_hook("startServer", arguments, 2);
		runtime_tick();
		serve_one_request(listener, client);
	}
	engine_scope_close(runtime.engine, &scope);
}
