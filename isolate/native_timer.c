/* Natives of isolate/js/timers.js: one libuv timer for all timers of the program, and
 * the check phase for setImmediate. The library keeps the timers themselves. */

#include "common/cleanup.h"
#include "isolate/natives.h"

static _Thread_local uv_timer_t timer;
static _Thread_local uv_check_t check;
static _Thread_local uv_idle_t idle; /* keeps the loop from waiting while an immediate is due */
static _Thread_local bool started;
static _Thread_local engine_ref *run_timers, *run_immediates;

/* Calls HOOK until it does not throw: what remains of its list must still run after an
 * exception that the program's own listener handled. */
static double call_hook(engine_ref *hook, double now)
{
	struct engine_scope scope;
	double next = 0;
	engine_scope_open(runtime.engine, &scope);
	for (;;) {
		engine_value *argument = engine_number(runtime.engine, now);
		engine_value *result = NULL;
		if (engine_call_function(runtime.engine, engine_ref_get(runtime.engine, hook),
			    engine_undefined(runtime.engine), &argument, 1, &result) == 0) {
			next = engine_to_number(runtime.engine, result);
			break;
		}
		runtime_uncaught();
		if (engine_stopped(runtime.engine))
			break;
	}
	runtime_tick();
	engine_scope_close(runtime.engine, &scope);
	return next;
}

static void on_timer(uv_timer_t *handle)
{
	call_hook(run_timers, (double)uv_now(handle->loop));
}

static void on_check(uv_check_t *handle)
{
	call_hook(run_immediates, (double)uv_now(handle->loop));
}

static void on_idle(uv_idle_t *handle)
{
	(void)handle;
}

/* timerStart(milliseconds from now) */
static engine_value *timer_start(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	double delay = engine_argument_number(call, 0);
	if (started)
		uv_timer_start(&timer, on_timer, delay > 0 ? (uint64_t)delay : 0, 0);
	return NULL;
}

/* timerRef(whether timers keep the program alive) */
static engine_value *timer_ref(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (!started)
		return NULL;
	if (engine_argument_bool(call, 0))
		uv_ref((uv_handle_t *)&timer);
	else
		uv_unref((uv_handle_t *)&timer);
	return NULL;
}

/* immediateStart(whether there are immediates, whether they keep the program alive) */
static engine_value *immediate_start(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	if (!started)
		return NULL;
	if (engine_argument_bool(call, 0))
		uv_check_start(&check, on_check);
	else
		uv_check_stop(&check);
	if (engine_argument_bool(call, 1))
		uv_idle_start(&idle, on_idle);
	else
		uv_idle_stop(&idle);
	return NULL;
}

/* loopNow(): the loop's time in milliseconds. Brought up to date, or a timer that is set
 * after a long computation would fire too early. */
static engine_value *loop_now(struct engine *engine, struct engine_call *call)
{
	(void)call;
	if (started)
		uv_update_time(&runtime.loop);
	return engine_number(engine, started ? (double)uv_now(&runtime.loop) : 0);
}

/* loopMetrics(): milliseconds without work, turns of the loop, events, events that had to wait */
static engine_value *loop_metrics(struct engine *engine, struct engine_call *call)
{
	(void)call;
	uv_metrics_t metrics = {0};
	if (started)
		uv_metrics_info(&runtime.loop, &metrics);
	engine_value *items[] = {
		engine_number(
			engine, started ? (double)uv_metrics_idle_time(&runtime.loop) / 1e6 : 0),
		engine_number(engine, (double)metrics.loop_count),
		engine_number(engine, (double)metrics.events),
		engine_number(engine, (double)metrics.events_waiting),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static void find_hooks(void)
{
	run_timers = runtime_hook("runTimers");
	run_immediates = runtime_hook("runImmediates");
}

static void start(void)
{
	uv_timer_init(&runtime.loop, &timer);
	uv_unref((uv_handle_t *)&timer);
	uv_check_init(&runtime.loop, &check);
	uv_unref((uv_handle_t *)&check);
	uv_idle_init(&runtime.loop, &idle);
	started = true;
}

static const struct engine_native natives[] = {
	{"timerStart", timer_start, 1},
	{"timerRef", timer_ref, 1},
	{"immediateStart", immediate_start, 2},
	{"loopNow", loop_now, 0},
	{"loopMetrics", loop_metrics, 0},
};

const struct native_module timer_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = find_hooks,
	.start = start,
};
