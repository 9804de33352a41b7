/* The life of jobs: see crypto_job.h. */
#include "isolate/crypto_job.h"

#include "isolate/runtime.h"

#include <openssl/err.h>

/* About what one takes outside of V8's heap, so that garbage is collected in time. */
#define JOB_BYTES 2048

static _Thread_local engine_ref *job_done;

static void find_hooks(void)
{
	crypto_bind();
	job_done = runtime_hook("onCryptoJob");
}

/* Between making a job and running it JavaScript has room to collect or detach what was
 * given: a copy is always the job's own. */
enum crypto_take crypto_job_take(const struct crypto_job *job)
{
	(void)job;
	return CRYPTO_COPY;
}

void crypto_job_destroy(void *state)
{
	struct crypto_job *job = state;
	if (job->counted)
		engine_external_memory(runtime.engine, -JOB_BYTES);
	if (job->type->clear)
		job->type->clear(job);
	crypto_bytes_clear(&job->out);
	crypto_errors_free(job->errors);
	free(job);
}

/* new XJob(mode, …) */
engine_value *crypto_job_construct(
	struct engine *engine, struct engine_call *call, const struct crypto_job_type *type)
{
	const double mode = engine_argument_number(call, 0);
	if (engine_typeof(engine_call_argument(engine, call, 0)) != ENGINE_NUMBER ||
		!(mode >= 0 && mode < CRYPTO_MODES))
		return engine_throw(
			engine, "TypeError", "ERR_INVALID_ARG_VALUE", "not a mode of a job");
	struct crypto_job *job = calloc(1, type->size);
	if (!job)
		return engine_throw(
			engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	job->type = type;
	job->mode = (enum crypto_mode)mode;
	if (!crypto_start()) {
		crypto_job_destroy(job);
		return crypto_throw(engine, "OpenSSL cannot be used");
	}
	ERR_clear_error();
	if (!type->configure(engine, call, job)) {
		crypto_job_destroy(job);
		return NULL;
	}
	job->counted = true;
	engine_external_memory(engine, JOB_BYTES);
	engine_set_state(engine_call_this(engine, call), job);
	return NULL;
}

static void work(struct crypto_job *job)
{
	ERR_clear_error();
	job->worked = job->type->work(job);
	if (!job->worked)
		job->errors =
			crypto_errors_capture(job->failure ? job->failure : "Deriving bits failed");
	ERR_clear_error();
}

/* [error or undefined, result or undefined]. False with an exception pending. */
static bool conclude(struct engine *engine, struct crypto_job *job, engine_value *ret[2])
{
	ret[0] = ret[1] = engine_undefined(engine);
	if (!job->worked)
		return (ret[0] = crypto_errors_value(engine, job->errors)) != NULL;
	ret[1] = job->type->result ? job->type->result(engine, job)
				   : crypto_buffer_of(engine, &job->out);
	return ret[1] != NULL;
}

/* ---- on a thread ---- */

static void on_work(uv_work_t *request)
{
	work(request->data);
}

static void tell(struct crypto_job *job)
{
	struct engine *engine = runtime.engine;
	engine_value *arguments[3] = {engine_ref_get(engine, job->object)};
	if (!conclude(engine, job, arguments + 1)) {
		arguments[1] = engine_exception_take(engine);
		arguments[2] = engine_undefined(engine);
	}
	job->object = engine_ref_free(job->object); /* the handle keeps it until we return */
	if (arguments[1])
		runtime_call(
			engine_ref_get(engine, job_done), engine_undefined(engine), arguments, 3);
}

static void on_done(uv_work_t *request, int status)
{
	struct crypto_job *job = request->data;
	struct engine_scope scope;
	job->finished = true;
	if (status < 0 || engine_stopped(runtime.engine)) { /* the thread ends */
		job->object = engine_ref_free(job->object);
		return;
	}
	engine_scope_open(runtime.engine, &scope);
	tell(job);
	engine_scope_close(runtime.engine, &scope);
}

static engine_value *start(struct engine *engine, struct engine_call *call, struct crypto_job *job)
{
	job->object = engine_ref_new(engine, engine_call_this(engine, call));
	job->request.data = job;
	int result = uv_queue_work(&runtime.loop, &job->request, on_work, on_done);
	if (result < 0) {
		job->object = engine_ref_free(job->object);
		return engine_throw(engine, "Error", "ERR_CRYPTO_OPERATION_FAILED",
			"the job cannot be started: %s", uv_strerror(result));
	}
	return engine_int32(engine, (int32_t)job->mode);
}

static engine_value *run_or_throw(struct engine *engine, struct crypto_job *job)
{
	engine_value *results[3];
	ERR_clear_error();
	job->worked = job->type->work(job);
	job->finished = true;
	if (!job->worked)
		return job->type->throw_sync(engine, job);
	ERR_clear_error();
	results[2] = engine_bool(engine, job->mode == CRYPTO_WEB);
	return conclude(engine, job, results) ? engine_array(engine, results, 3) : NULL;
}

/* start(): [error, result, whether a promise is expected] of one that has run; its mode when it
 * runs on a thread, which hooks.onCryptoJob(job, error, result) follows. */
static engine_value *run(struct engine *engine, struct engine_call *call)
{
	struct crypto_job *job = engine_call_state(call);
	engine_value *results[3];
	if (!job || job->started)
		return engine_throw(engine, "Error", "ERR_INVALID_STATE", "a job runs once");
	job->started = true;
	if (job->mode == CRYPTO_ASYNC || (job->mode == CRYPTO_WEB && !job->quick))
		return start(engine, call, job);
	if (job->mode == CRYPTO_SYNC && job->type->throw_sync)
		return run_or_throw(engine, job);
	work(job);
	job->finished = true;
	results[2] = engine_bool(engine, job->mode == CRYPTO_WEB);
	return conclude(engine, job, results) ? engine_array(engine, results, 3) : NULL;
}

const struct engine_native crypto_job_methods[CRYPTO_JOB_METHODS] = {
	{"start", run, 0},
};

const struct native_module crypto_job_natives = {
	.bind = find_hooks,
	.stop = crypto_unbind,
};
