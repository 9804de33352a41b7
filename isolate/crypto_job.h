/* Jobs: what node:crypto may do on a thread. `new XJob(mode, …).run()`:
 *
 *   CRYPTO_SYNC   runs at once and returns [error or undefined, result]
 *   CRYPTO_ASYNC  runs on libuv's thread pool, then calls job.ondone(error, result)
 *   CRYPTO_WEB    returns a promise of the result; errors become OperationError with the
 *                 cause (isolate/js/node/crypto/jobs.js)
 *
 * A job that is QUICK runs on the engine's thread in CRYPTO_WEB too: handing a kilobyte to
 * another thread costs more than hashing it.
 *
 * To add one: a struct that begins with struct crypto_job, a crypto_job_type, CRYPTO_JOB and a
 * row CRYPTO_JOB_CLASS in the module's class table; and in isolate/js/node/crypto/jobs.js the
 * name. */
#pragma once

#include "common/cleanup.h"
#include "isolate/crypto.h"
#include "isolate/natives.h"

#include <uv.h>

enum crypto_mode { CRYPTO_ASYNC, CRYPTO_SYNC, CRYPTO_WEB, CRYPTO_MODES };

/* QUICK jobs touch no more bytes than this. */
#define CRYPTO_QUICK_BYTES 16384

struct crypto_job_type {
	const char *name;
	size_t size; /* of the job's struct */
	/* Takes the arguments from index 1 on (index 0 is the mode). Everything that work reads
	 * must be owned, or referenced. False with an exception pending; clear is called then,
	 * too. */
	bool (*configure)(struct engine *engine, struct engine_call *call, void *job);
	/* On any thread: touches nothing of the engine. False: it failed, OpenSSL's queue of
	 * this thread (or job->failure) says why. */
	bool (*work)(void *job);
	/* On the engine's thread after work succeeded: a value, NULL with an exception pending,
	 * which then is the job's error. NULL here: job->out as an ArrayBuffer. */
	engine_value *(*result)(struct engine *engine, void *job);
	/* In CRYPTO_SYNC, when work failed and OpenSSL's queue still says why: throws, and returns
	 * NULL. NULL: the error is given to JavaScript as run()'s first result. */
	engine_value *(*throw_sync)(struct engine *engine, void *job);
	/* Frees what configure and work took, except OUT. May be NULL. */
	void (*clear)(void *job);
};

struct crypto_job {
	const struct crypto_job_type *type;
	enum crypto_mode mode;
	bool quick;              /* configure may set it */
	struct crypto_bytes out; /* work may fill it */
	const char *failure;     /* a static text: the message when OpenSSL has none */
	/* the machinery's */
	bool worked, started, finished, counted;
	struct crypto_errors *errors;
	engine_ref *object; /* while it is on a thread */
	uv_work_t request;
};

/* How a job takes its bytes: see crypto_job.c. */
enum crypto_take crypto_job_take(const struct crypto_job *job);

/* ---- making classes ---- */

engine_value *crypto_job_construct(
	struct engine *engine, struct engine_call *call, const struct crypto_job_type *type);
void crypto_job_destroy(void *job);
#define CRYPTO_JOB_METHODS 1
extern const struct engine_native crypto_job_methods[CRYPTO_JOB_METHODS];

/* static const struct crypto_job_type sign_job = {…}; CRYPTO_JOB(sign_job) */
#define CRYPTO_JOB(type_)                                                                          \
	static engine_value *type_##_construct(struct engine *engine, struct engine_call *call)    \
	{                                                                                          \
		return crypto_job_construct(engine, call, &type_);                                 \
	}
#define CRYPTO_JOB_CLASS(type_, name_)                                                             \
	{                                                                                          \
		.name = name_,                                                                     \
		.construct = type_##_construct,                                                    \
		.methods = crypto_job_methods,                                                     \
		.method_count = CRYPTO_JOB_METHODS,                                                \
		.destroy = crypto_job_destroy,                                                     \
	}
