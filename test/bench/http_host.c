/* The HTTP server of a worker without the worker: no sandbox, no supervisor. For the
 * tests (test/integration/http_test.py) and for measuring.
 *
 *     http_host [OPTION…] SNAPSHOT SCRIPT    SCRIPT is a classic script that sets
 *                                            globalThis.handler = { fetch … }
 *     http_host [OPTION…] --floor            the same sockets, libuv and llhttp, and one
 *                                            constant answer without JavaScript
 *
 * Prints "listening PORT" (or the path) once it accepts. SIGTERM drains; SIGUSR1 prints
 * "stats REQUESTS ACTIVE CONNECTIONS CPU_MICROSECONDS". */

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/http_server.h"
#include "isolate/natives.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <llhttp.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct worker_start start = {.entry = "http_host", .tenant = "http_host"};
static uint32_t grace_ms = 5000;
static uv_signal_t terminate, report;

static uint64_t cpu_us(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

_Noreturn static void die(const char *what, const char *why)
{
	fprintf(stderr, "http_host: %s: %s\n", what, why);
	exit(1);
}

/* ---- sockets ---- */

static int listen_tcp(unsigned short port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof address;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(fd, 511) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		die("cannot listen", strerror(errno));
	printf("listening %u\n", (unsigned)ntohs(address.sin_port));
	return fd;
}

static int listen_unix(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(fd, 511) < 0)
		die("cannot listen", strerror(errno));
	printf("listening %s\n", path);
	return fd;
}

/* ---- the floor ---- */

struct floor_connection {
	uv_tcp_t tcp;
	llhttp_t parser;
	char buffer[16384], out[16384];
	size_t out_length;
};

static const char answer[] =
	"HTTP/1.1 200 OK\r\ncontent-type: text/plain;charset=UTF-8\r\ncontent-length: 11\r\n"
	"date: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\nHello World";
static uint64_t floor_requests;

static int floor_complete(llhttp_t *parser)
{
	struct floor_connection *connection = parser->data;
	if (connection->out_length + sizeof answer <= sizeof connection->out) {
		memcpy(connection->out + connection->out_length, answer, sizeof answer - 1);
		connection->out_length += sizeof answer - 1;
	}
	floor_requests++;
	return 0;
}

static void floor_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void floor_allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	struct floor_connection *connection = handle->data;
	(void)size;
	*buffer = uv_buf_init(connection->buffer, sizeof connection->buffer);
}

static void floor_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct floor_connection *connection = stream->data;
	if (length == 0)
		return;
	if (length < 0 || llhttp_execute(&connection->parser, buffer->base, (size_t)length)) {
		uv_close((uv_handle_t *)stream, floor_closed);
		return;
	}
	uv_buf_t out = uv_buf_init(connection->out, (unsigned)connection->out_length);
	connection->out_length = 0;
	if (out.len)
		uv_try_write(stream, &out, 1);
}

static void floor_connected(uv_stream_t *listener, int status)
{
	static llhttp_settings_t settings = {.on_message_complete = floor_complete};
	struct floor_connection *connection = calloc(1, sizeof *connection);
	if (status < 0 || !connection)
		abort();
	uv_tcp_init(listener->loop, &connection->tcp);
	connection->tcp.data = connection;
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp) < 0)
		abort();
	uv_tcp_nodelay(&connection->tcp, 1);
	llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
	connection->parser.data = connection;
	uv_read_start((uv_stream_t *)&connection->tcp, floor_allocate, floor_read);
}

static void start_floor(int fd)
{
	static uv_tcp_t listener;
	static struct worker_stats stats;
	runtime.stats = &stats;
	uv_loop_init(&runtime.loop);
	uv_tcp_init(&runtime.loop, &listener);
	if (uv_tcp_open(&listener, fd) || uv_listen((uv_stream_t *)&listener, 511, floor_connected))
		die("cannot listen", "libuv");
}

/* ---- signals ---- */

static void on_report(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	printf("stats %llu %llu %llu %llu\n",
		(unsigned long long)(floor_requests ? floor_requests : runtime.stats->requests),
		(unsigned long long)runtime.stats->requests_active,
		(unsigned long long)runtime.stats->connections, (unsigned long long)cpu_us());
	fflush(stdout);
}

static void on_drained(void)
{
	printf("drained\n");
	exit(0);
}

static void on_terminate(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	if (!runtime.engine)
		exit(0);
	runtime.stopping = true;
	http_server_drain(grace_ms, on_drained);
}

static void watch_signals(void)
{
	uv_signal_init(&runtime.loop, &terminate);
	uv_signal_init(&runtime.loop, &report);
	uv_signal_start(&terminate, on_terminate, SIGTERM);
	uv_signal_start(&report, on_report, SIGUSR1);
}

/* ---- JavaScript ---- */

static void load(const char *snapshot, const char *script)
{
	struct error error = {0};
	cleanup_free char *source = NULL;
	size_t length;
	if (runtime_open(snapshot, false, &error) < 0 || runtime_start(&start, &error) < 0 ||
		file_read(AT_FDCWD, script, 16u << 20, &source, &length, &error) < 0)
		die("cannot start", error.message);
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	if (engine_run_script(runtime.engine, source, length, script, NULL) < 0)
		runtime_uncaught();
	engine_value *arguments[] = {
		engine_get(runtime.engine, engine_global(runtime.engine), "handler"),
		engine_object(runtime.engine),
	};
	engine_set(runtime.engine, arguments[1], "MODE", engine_string(runtime.engine, "test"));
	engine_ref *hook = runtime_hook("startServer");
	runtime_call(engine_ref_get(runtime.engine, hook), engine_undefined(runtime.engine),
		arguments, 2);
	engine_ref_free(hook);
	engine_scope_close(runtime.engine, &scope);
}

int main(int argc, char **argv)
{
	enum { PORT = 1, UNIX, REQUEST, BODY, CONCURRENT, IDLE, FILES, GRACE, FLOOR };
	static const struct option options[] = {
		{"port", required_argument, NULL, PORT},
		{"unix", required_argument, NULL, UNIX},
		{"request-ms", required_argument, NULL, REQUEST},
		{"body-bytes", required_argument, NULL, BODY},
		{"concurrent", required_argument, NULL, CONCURRENT},
		{"idle-ms", required_argument, NULL, IDLE},
		{"files", required_argument, NULL, FILES},
		{"grace-ms", required_argument, NULL, GRACE},
		{"floor", no_argument, NULL, FLOOR},
		{0},
	};
	unsigned short port = 0;
	const char *path = NULL;
	bool floor = false;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		unsigned long value = optarg ? strtoul(optarg, NULL, 10) : 0;
		switch (option) {
		case PORT:
			port = (unsigned short)value;
			break;
		case UNIX:
			path = optarg;
			break;
		case REQUEST:
			start.request_ms = (uint32_t)value;
			break;
		case BODY:
			start.body_bytes = value;
			break;
		case CONCURRENT:
			start.concurrent = (uint32_t)value;
			break;
		case IDLE:
			start.idle_ms = (uint32_t)value;
			break;
		case FILES:
			start.files = (uint32_t)value;
			break;
		case GRACE:
			grace_ms = (uint32_t)value;
			break;
		case FLOOR:
			floor = true;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != (floor ? 0 : 2)) {
		fprintf(stderr, "usage: http_host [OPTION…] SNAPSHOT SCRIPT | --floor\n");
		return 2;
	}
	if (!floor)
		load(argv[optind], argv[optind + 1]);
	int fd = path ? listen_unix(path) : listen_tcp(port);
	struct error error = {0};
	if (floor)
		start_floor(fd);
	else if (http_server_start(&fd, 1, &error) < 0)
		die("cannot start", error.message);
	watch_signals();
	fflush(stdout);
	return uv_run(&runtime.loop, UV_RUN_DEFAULT);
}
