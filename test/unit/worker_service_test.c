/* What the supervisor asks of a program that serves, and what the program sees of it: with a
 * real worker, confined as always. worker_service_test TENANT_ZYGOTE SNAPSHOT. */
#include "common/clock.h"
#include "test/unit/worker_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program, *snapshot;

static int set_up(void **unused)
{
	(void)unused;
	return harness_zygote_start(program, snapshot);
}

static int tear_down(void **unused)
{
	(void)unused;
	harness_zygote_stop();
	return 0;
}

/* ---- ready ---- */

static void test_ready_waits_for_the_signal(void **unused)
{
	(void)unused;
	const struct worker_options options = {.ready_signal = true};
	struct worker worker =
		worker_begin("let n = 0;"
			     "export default {"
			     " start(env, ctx) {"
			     "  setTimeout(() => { n = 1; ctx.ready(); ctx.ready(); }, 300);"
			     " },"
			     " fetch: () => new Response(`n ${n}`) };",
			&options);
	int client = client_connect(&worker);
	client_send(client, GET("/"));
	/* Neither READY nor an answer before the program says so. */
	assert_null(worker_message(&worker, MESSAGE_READY, 150));
	assert_null(client_response(client, 1));
	worker_expect(&worker, MESSAGE_READY);
	client_expect(client, "n 1");
	assert_null(worker_message(&worker, MESSAGE_READY, 50));
	close(client);
	worker_end(&worker);
}

static void test_a_program_without_ctx_signals_too(void **unused)
{
	(void)unused;
	const struct worker_options options = {.ready_signal = true};
	struct worker worker = worker_begin(
		"import { ready } from 'tenantd:lifecycle';"
		"import * as whole from 'tenantd:lifecycle';"
		"import net from 'node:net';"
		"console.log(Object.keys(whole).sort().join());"
		"for (const name of ['node:tenantd:lifecycle', 'tenantd:nothing'])"
		" await import(name).catch((error) => console.log(error.code, name));"
		"net.createServer((socket) => socket.end('hello')).listen(0, () => ready());",
		&options);
	worker_expect(&worker, MESSAGE_READY);
	worker_wait_log(&worker, "default,ready,waitUntil");
	worker_wait_log(&worker, "ERR_UNKNOWN_BUILTIN_MODULE node:tenantd:lifecycle");
	worker_wait_log(&worker, "ERR_UNKNOWN_BUILTIN_MODULE tenantd:nothing");
	worker_end(&worker);
}

static void test_without_the_wish_nobody_waits_for_the_signal(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch: () => new Response('x') };");
	worker_end(&worker);
}

static void test_start_is_awaited_before_requests(void **unused)
{
	(void)unused;
	struct worker worker = worker_begin(
		"export default {"
		" async start(env, ctx) {"
		"  this.steps = `${typeof env} ${typeof ctx.waitUntil}`;"
		"  await new Promise((done) => setTimeout(done, 200)); this.steps += ' started';"
		" },"
		" fetch() { return new Response(this.steps); } };",
		NULL);
	int client = client_connect(&worker);
	client_send(client, GET("/"));
	assert_null(worker_message(&worker, MESSAGE_READY, 100));
	worker_expect(&worker, MESSAGE_READY);
	client_expect(client, "object function started");
	close(client);
	worker_end(&worker);
}

static void test_a_start_that_fails_is_a_failed_boot(void **unused)
{
	(void)unused;
	static const char *const programs[] = {
		"process.on('uncaughtException', () => {});"
		"export default { start() { throw new Error('no database'); }, fetch() {} };",
		"process.on('unhandledRejection', () => {});"
		"export default { async start() { await 1; throw new Error('no database'); } };",
	};
	for (size_t i = 0; i < 2; i++) {
		struct worker worker = worker_begin(programs[i], NULL);
		assert_int_equal(worker_expect_end(&worker, MESSAGE_FAILED, WORKER_REASON_BOOT,
					 "Error: no database"),
			1);
		worker_wait_log(&worker, "main.js:1");
		worker_end(&worker);
	}
}

static void test_what_never_becomes_ready_says_so(void **unused)
{
	(void)unused;
	const struct worker_options signal = {.ready_signal = true};
	struct worker worker =
		worker_begin("export default { fetch: () => new Response('x') };", &signal);
	assert_int_equal(worker_expect_end(&worker, MESSAGE_FAILED, WORKER_REASON_BOOT,
				 "has not called ctx.ready()"),
		13);
	worker_end(&worker);
	worker = worker_begin(
		"export default { start: () => new Promise(() => {}), fetch() {} };", NULL);
	assert_int_equal(worker_expect_end(&worker, MESSAGE_FAILED, WORKER_REASON_BOOT,
				 "start() waits for something that never comes"),
		13);
	worker_end(&worker);
}

static void test_a_program_without_fetch_fails_after_start(void **unused)
{
	(void)unused;
	struct worker worker = worker_begin("export default { start() {} };", NULL);
	worker_expect_end(
		&worker, MESSAGE_FAILED, WORKER_REASON_BOOT, "the default export has no fetch");
	worker_end(&worker);
	/* One that only has schedules, and no listener, is whole. */
	const struct worker_options lonely = {.no_listener = true};
	worker = worker_begin("export default { scheduled() {} };", &lonely);
	worker_expect(&worker, MESSAGE_READY);
	worker_end(&worker);
}

/* ---- draining ---- */

static void test_the_order_of_a_graceful_stop(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(
		"import { waitUntil } from 'tenantd:lifecycle';"
		"const sleep = (ms) => new Promise((done) => setTimeout(done, ms));"
		"process.on('SIGTERM', (...args) => { console.log('1', ...args);"
		" waitUntil(sleep(400).then(() => console.log('3'))); });"
		"addEventListener('shutdown', (event) => {"
		" console.log('4', event.constructor.name, event.isTrusted);"
		" event.waitUntil(sleep(50).then(() => console.log('6'))); });"
		"process.on('beforeExit', (code) => console.log('7', code));"
		"process.on('exit', (code) => console.log('8', code));"
		"export default {"
		" async fetch() { await sleep(200); console.log('2'); return new Response('late'); "
		"},"
		" async shutdown(env, ctx) { await 1; console.log('5', typeof env); } };");
	int busy = client_connect(&worker), idle = client_connect(&worker);
	client_send(idle, GET("/"));
	client_expect(idle, "late");
	sleep(1); /* longer than the next request may take to come */
	client_send(busy, GET("/"));
	usleep(50000);
	worker_drain(&worker, 5000);
	assert_true(client_closed(idle, 150));
	client_expect(busy, "connection: close");
	assert_true(client_closed(busy, 1000));
	assert_int_equal(
		worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained"), 0);
	const char *log = strstr(worker_log(&worker), "1 ");
	assert_string_equal(
		log, "1 SIGTERM 15\n2\n3\n4 ShutdownEvent true\n5 object\n6\n7 0\n8 0\n");
	close(busy);
	close(idle);
	worker_end(&worker);
}

static void test_a_connection_that_was_just_answered_may_send_once_more(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch: () => new Response('x') };");
	int client = client_connect(&worker), fresh = client_connect(&worker);
	client_send(client, GET("/"));
	client_expect(client, "200");
	worker_drain(&worker, 5000);
	usleep(150000); /* the race: its next request is on the way */
	client_send(client, GET("/"));
	client_expect(client, "connection: close");
	assert_true(client_closed(client, 1000));
	client_send(fresh, GET("/"));
	client_expect(fresh, "connection: close");
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	close(client);
	close(fresh);
	worker_end(&worker);
}

static void test_a_quiet_connection_does_not_hold_the_worker(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch: () => new Response('x') };");
	int client = client_connect(&worker);
	client_send(client, GET("/"));
	client_expect(client, "200");
	const uint64_t before = clock_ms();
	worker_drain(&worker, 10000);
	assert_true(client_closed(client, 2000));
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	assert_true(clock_ms() - before < 2000);
	close(client);
	worker_end(&worker);
}

static void test_shutdown_gets_its_part_of_the_grace_time(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(
		"export default {"
		" fetch: () => new Promise(() => {}),"
		" async shutdown() { await new Promise((done) => setTimeout(done, 300));"
		"  console.log('saved'); } };");
	int client = client_connect(&worker);
	client_send(client, GET("/"));
	usleep(50000);
	const uint64_t before = clock_ms();
	worker_drain(&worker, 2000);
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	assert_true(clock_ms() - before < 2000);
	worker_wait_log(&worker, "saved");
	close(client);
	worker_end(&worker);
}

static void test_a_shutdown_that_hangs_is_cut_off(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch() {},"
					    " shutdown: () => new Promise(() => {}) };");
	const uint64_t before = clock_ms();
	worker_drain(&worker, 1000);
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "but for its shutdown");
	assert_true(clock_ms() - before < 1000);
	worker_wait_log(&worker, "shutdown took longer than the grace time allows");
	worker_end(&worker);
}

static void test_a_shutdown_that_fails_is_in_the_log(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch() {}, async shutdown() { throw "
					    "new Error('disk full'); } };");
	worker_drain(&worker, 1000);
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	worker_wait_log(&worker, "Error: disk full");
	worker_end(&worker);
}

static void test_a_script_that_listens_to_sigterm_decides(void **unused)
{
	(void)unused;
	const struct worker_options script = {.mode = WORKER_MODE_SCRIPT, .no_listener = true};
	struct worker worker = worker_begin("process.on('SIGTERM', () => {"
					    " setTimeout(() => process.exit(7), 100); });"
					    "setInterval(() => {}, 1000); console.log('up');",
		&script);
	worker_wait_log(&worker, "up");
	worker_drain(&worker, 5000);
	assert_int_equal(
		worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_EXIT, "exit(7)"), 7);
	worker_end(&worker);
	worker = worker_begin("setInterval(() => {}, 1000); console.log('up');", &script);
	worker_wait_log(&worker, "up");
	worker_drain(&worker, 5000);
	assert_int_equal(
		worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "stopped"), 143);
	worker_end(&worker);
}

/* ---- probes ---- */

static void test_probes(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(
		"const states = [undefined, true, false, () => Promise.resolve(false),"
		" () => Promise.reject(new Error('database gone'))];"
		"export default { async fetch(request, env, ctx) {"
		" const { pathname } = new URL(request.url);"
		" ctx.waitUntil(Promise.resolve());"
		" if (pathname === '/throw') throw new Error('broken');"
		" if (pathname === '/nothing') return;"
		" if (pathname === '/stream') return new Response(new ReadableStream("
		"  { pull(c) { c.enqueue(new Uint8Array(9)) }, cancel() { "
		"console.log('cancelled'); } }));"
		" console.log(request.method, request.url, request.headers.get('user-agent'));"
		" return new Response('x', { status: +pathname.slice(1) }); },"
		" health(env, ctx) { const state = states.shift();"
		"  return typeof state === 'function' ? state() : state; } };");
	static const struct {
		enum probe_kind kind;
		const char *path;
		bool ok;
		const char *text;
	} cases[] = {
		{PROBE_TCP, "", true, NULL},
		{PROBE_HTTP, "/200", true, NULL},
		{PROBE_HTTP, "/399", true, NULL},
		{PROBE_HTTP, "/400", false, "/400 gave status 400"},
		{PROBE_HTTP, "/503", false, "/503 gave status 503"},
		{PROBE_HTTP, "/throw", false, "Error: broken"},
		{PROBE_HTTP, "/nothing", false, "must return a Response"},
		{PROBE_HTTP, "/stream", true, NULL},
		{PROBE_HEALTH, "", true, NULL},
		{PROBE_HEALTH, "", true, NULL},
		{PROBE_HEALTH, "", false, "health() returned false"},
		{PROBE_HEALTH, "", false, "health() returned false"},
		{PROBE_HEALTH, "", false, "Error: database gone"},
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		worker_probe(&worker, i, cases[i].kind, cases[i].path);
		worker_expect_outcome(&worker, MESSAGE_PROBED, i, cases[i].ok, cases[i].text);
	}
	worker_wait_log(&worker, "GET http://localhost/200 tenantd-probe/1");
	worker_wait_log(&worker, "cancelled");
	assert_int_equal(worker.stats->requests, 0);
	worker_end(&worker);
}

static void test_probes_of_a_program_that_lacks_the_function(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch: () => new Response('x') };");
	worker_probe(&worker, 1, PROBE_HEALTH, "");
	worker_expect_outcome(
		&worker, MESSAGE_PROBED, 1, false, "the default export has no health function");
	worker_end(&worker);
}

static void test_probes_before_it_is_ready(void **unused)
{
	(void)unused;
	const struct worker_options options = {.ready_signal = true};
	struct worker worker = worker_begin(
		"export default { async start(env, ctx) { console.log('up');"
		" await new Promise((done) => setTimeout(done, 300)); console.log('started');"
		" setTimeout(() => ctx.ready(), 300); },"
		" health: () => true, fetch: () => new Response('x') };",
		&options);
	worker_wait_log(&worker, "up");
	worker_probe(&worker, 1, PROBE_HEALTH, "");
	worker_expect_outcome(&worker, MESSAGE_PROBED, 1, false, "has not started yet");
	worker_wait_log(&worker, "started");
	worker_probe(&worker, 2, PROBE_HTTP, "/");
	worker_expect_outcome(&worker, MESSAGE_PROBED, 2, true, NULL);
	worker_probe(&worker, 3, PROBE_TCP, "");
	worker_expect_outcome(&worker, MESSAGE_PROBED, 3, false, "it takes no connections now");
	worker_expect(&worker, MESSAGE_READY);
	worker_end(&worker);
}

static void test_at_the_limit_of_requests_others_are_shed_and_probes_work(void **unused)
{
	(void)unused;
	const struct worker_options options = {.concurrent = 1};
	struct worker worker = worker_begin(
		"let release; export default { health: () => true, fetch(request) {"
		" if (request.headers.get('user-agent') === 'tenantd-probe/1')"
		"  { release(new Response('free')); return new Response('x'); }"
		" console.log('entered'); return new Promise((done) => { release = done; }); } };",
		&options);
	worker_expect(&worker, MESSAGE_READY);
	int busy = client_connect(&worker), late = client_connect(&worker);
	client_send(busy, GET("/"));
	worker_wait_log(&worker, "entered");
	/* A body that comes along is read away, and the connection can be used again. */
	client_send(late, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel");
	const char *response = client_response(late, 1000);
	assert_non_null(response);
	assert_non_null(strstr(response, "503"));
	assert_non_null(strstr(response, "retry-after: 1"));
	assert_null(strstr(response, "connection: close"));
	client_send(late, "lo" GET("/"));
	client_expect(late, "503");
	/* A client that waits to be told is not told: it may send the body, or not. */
	client_send(late, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
			  "Expect: 100-continue\r\n\r\n");
	response = client_response(late, 1000);
	assert_non_null(strstr(response, "503"));
	assert_non_null(strstr(response, "connection: close"));
	/* Nor does anybody read a long body for nothing. */
	close(late);
	late = client_connect(&worker);
	client_send(late, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
	response = client_response(late, 1000);
	assert_non_null(strstr(response, "503"));
	assert_non_null(strstr(response, "connection: close"));
	assert_int_equal(worker.stats->requests_active, 1);
	worker_probe(&worker, 1, PROBE_HEALTH, "");
	worker_expect_outcome(&worker, MESSAGE_PROBED, 1, true, NULL);
	worker_probe(&worker, 2, PROBE_HTTP, "/");
	worker_expect_outcome(&worker, MESSAGE_PROBED, 2, true, NULL);
	client_expect(busy, "free");
	close(busy);
	close(late);
	worker_end(&worker);
}

/* ---- schedules ---- */

static void test_scheduled_runs(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve(
		"export default { fetch() {}, scheduled(event, env, ctx) {"
		" console.log(JSON.stringify(event), typeof env);"
		" if (event.missed === 1) throw new Error('no luck');"
		" if (event.missed === 2) ctx.waitUntil(Promise.reject(new Error('later')));"
		" if (event.missed === 3) return new Promise((done) => setTimeout(done, 300)); } "
		"};");
	worker_schedule(&worker, 11, "0 3 * * *", 0);
	worker_expect_outcome(&worker, MESSAGE_SCHEDULED_DONE, 11, true, NULL);
	worker_wait_log(&worker, "{\"type\":\"scheduled\",\"cron\":\"0 3 * * *\","
				 "\"scheduledTime\":1795262400000,\"missed\":0} object");
	worker_schedule(&worker, 12, "0 3 * * *", 1);
	worker_expect_outcome(&worker, MESSAGE_SCHEDULED_DONE, 12, false, "Error: no luck");
	worker_wait_log(&worker, "scheduled (0 3 * * *) failed");
	worker_schedule(&worker, 13, "0 3 * * *", 2);
	worker_expect_outcome(&worker, MESSAGE_SCHEDULED_DONE, 13, false, "Error: later");
	/* One that is under way counts as work, and a drain waits for it. */
	worker_schedule(&worker, 14, "0 3 * * *", 3);
	worker_wait_log(&worker, "\"missed\":3");
	assert_int_equal(worker.stats->requests_active, 1);
	worker_drain(&worker, 5000);
	worker_schedule(&worker, 15, "0 3 * * *", 0);
	worker_expect_outcome(&worker, MESSAGE_SCHEDULED_DONE, 15, false, "the worker is stopping");
	worker_expect_outcome(&worker, MESSAGE_SCHEDULED_DONE, 14, true, NULL);
	assert_int_equal(worker.stats->requests_active, 0);
	worker_expect_end(&worker, MESSAGE_EXITING, WORKER_REASON_DRAINED, "drained");
	worker_end(&worker);
}

static void test_scheduled_without_the_function(void **unused)
{
	(void)unused;
	struct worker worker = worker_serve("export default { fetch() {} };");
	worker_schedule(&worker, 1, "@hourly", 0);
	worker_expect_outcome(&worker, MESSAGE_SCHEDULED_DONE, 1, false,
		"the default export has no scheduled function");
	worker_end(&worker);
}

int main(int argc, char **argv)
{
	if (argc != 3 || geteuid() != 0)
		return 77;
	program = argv[1];
	snapshot = argv[2];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_waits_for_the_signal),
		cmocka_unit_test(test_a_program_without_ctx_signals_too),
		cmocka_unit_test(test_without_the_wish_nobody_waits_for_the_signal),
		cmocka_unit_test(test_start_is_awaited_before_requests),
		cmocka_unit_test(test_a_start_that_fails_is_a_failed_boot),
		cmocka_unit_test(test_what_never_becomes_ready_says_so),
		cmocka_unit_test(test_a_program_without_fetch_fails_after_start),
		cmocka_unit_test(test_the_order_of_a_graceful_stop),
		cmocka_unit_test(test_a_connection_that_was_just_answered_may_send_once_more),
		cmocka_unit_test(test_a_quiet_connection_does_not_hold_the_worker),
		cmocka_unit_test(test_shutdown_gets_its_part_of_the_grace_time),
		cmocka_unit_test(test_a_shutdown_that_hangs_is_cut_off),
		cmocka_unit_test(test_a_shutdown_that_fails_is_in_the_log),
		cmocka_unit_test(test_a_script_that_listens_to_sigterm_decides),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_probes_of_a_program_that_lacks_the_function),
		cmocka_unit_test(test_probes_before_it_is_ready),
		cmocka_unit_test(test_at_the_limit_of_requests_others_are_shed_and_probes_work),
		cmocka_unit_test(test_scheduled_runs),
		cmocka_unit_test(test_scheduled_without_the_function),
	};
	return cmocka_run_group_tests_name("worker_service", tests, set_up, tear_down);
}
