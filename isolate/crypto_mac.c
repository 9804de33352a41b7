/* HMAC: the class Hmac of node:crypto, HmacJob of Web Cryptography. */
#include "common/cleanup.h"
#include "isolate/crypto_job.h"
#include "isolate/crypto_key.h"
#include "isolate/runtime.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

/* ---- contexts ---- */

/* Naming a digest to a fresh context makes OpenSSL look for it again: one context for each
 * digest is kept, without a key, and copied. */
#define TEMPLATES_MAX 16
struct template {
	EVP_MD *digest;
	EVP_MAC_CTX *context;
};
static _Thread_local struct template *templates;
static _Thread_local size_t template_count;

static EVP_MAC_CTX *new_context(const EVP_MD *digest)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_MAC_PARAM_DIGEST, (char *)EVP_MD_get0_name(digest), 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac); /* the context has its own reference */
	if (context && EVP_MAC_CTX_set_params(context, params) == 1)
		return context;
	EVP_MAC_CTX_free(context);
	return NULL;
}

static EVP_MAC_CTX *context_for(EVP_MD *digest)
{
	for (size_t i = 0; i < template_count; i++)
		if (templates[i].digest == digest)
			return EVP_MAC_CTX_dup(templates[i].context);
	if (!templates)
		templates = calloc(TEMPLATES_MAX, sizeof *templates);
	EVP_MAC_CTX *context = new_context(digest);
	if (!context || !templates || template_count == TEMPLATES_MAX || EVP_MD_up_ref(digest) != 1)
		return context;
	templates[template_count++] = (struct template){digest, context};
	return EVP_MAC_CTX_dup(context);
}

static void drop_templates(void)
{
	for (size_t i = 0; i < template_count; i++) {
		EVP_MAC_CTX_free(templates[i].context);
		EVP_MD_free(templates[i].digest);
	}
	free(templates);
	templates = NULL;
	template_count = 0;
}

/* Ready for data. On the engine's thread. */
static EVP_MAC_CTX *hmac_begin(EVP_MD *digest, const struct crypto_bytes *key)
{
	EVP_MAC_CTX *context = context_for(digest);
	if (context && EVP_MAC_init(context, key->data ? key->data : (const unsigned char *)"",
			       key->length, NULL) == 1)
		return context;
	EVP_MAC_CTX_free(context);
	return NULL;
}

/* ---- the class Hmac ---- */

/* About what one takes outside of V8's heap. */
#define HMAC_BYTES 2048

struct hmac {
	EVP_MAC_CTX *context; /* between init and digest */
};

static void hmac_destroy(void *state)
{
	struct hmac *hmac = state;
	engine_external_memory(runtime.engine, -HMAC_BYTES);
	EVP_MAC_CTX_free(hmac->context);
	free(hmac);
}

static engine_value *hmac_construct(struct engine *engine, struct engine_call *call)
{
	struct hmac *hmac = calloc(1, sizeof *hmac);
	if (!hmac)
		return engine_throw(
			engine, "RangeError", "ERR_MEMORY_ALLOCATION_FAILED", "out of memory");
	engine_external_memory(engine, HMAC_BYTES);
	engine_set_state(engine_call_this(engine, call), hmac);
	return NULL;
}

/* init(digest, key) */
static engine_value *hmac_init(struct engine *engine, struct engine_call *call)
{
	struct hmac *hmac = engine_call_state(call);
	if (!hmac || hmac->context)
		return engine_throw(engine, "Error", "ERR_INVALID_STATE", "init is for once");
	EVP_MD *digest = crypto_take_digest(engine, call, 0);
	cleanup_key struct crypto_key *key =
		digest ? crypto_take_secret(engine, call, 1, "key") : NULL;
	if (key)
		hmac->context = hmac_begin(digest, &key->bytes);
	EVP_MD_free(digest);
	if (!key || hmac->context)
		return NULL;
	return crypto_throw(engine, "Failed to initialize HMAC");
}

/* update(data, encoding): whether it was possible. */
static engine_value *hmac_update(struct engine *engine, struct engine_call *call)
{
	struct hmac *hmac = engine_call_state(call);
	cleanup_bytes struct crypto_bytes data = {0};
	if (!hmac || !hmac->context)
		return engine_bool(engine, false);
	if (!crypto_take_encoded(engine, call, 0, 1, "data", &data))
		return NULL;
	const bool good = hmac->context && /* decoding may have run JavaScript */
			  EVP_MAC_update(hmac->context, data.data, data.length) == 1;
	ERR_clear_error();
	return engine_bool(engine, good);
}

/* digest(encoding): nothing the second time. */
static engine_value *hmac_digest(struct engine *engine, struct engine_call *call)
{
	struct hmac *hmac = engine_call_state(call);
	unsigned char data[EVP_MAX_MD_SIZE];
	struct crypto_bytes out = {.data = data};
	if (!hmac)
		return engine_throw(engine, "Error", "ERR_INVALID_STATE", "not an HMAC");
	if (hmac->context) {
		const bool good = EVP_MAC_final(hmac->context, data, &out.length, sizeof data) == 1;
		EVP_MAC_CTX_free(hmac->context);
		hmac->context = NULL;
		if (!good)
			return crypto_throw(engine, "Failed to finalize HMAC");
	}
	return crypto_encoded_of(engine, &out, engine_call_argument(engine, call, 0));
}

/* ---- HmacJob(mode, sign or verify, digest, key, data[, signature]) ---- */

struct hmac_job {
	struct crypto_job job;
	bool verify;
	EVP_MAC_CTX *context;
	struct crypto_bytes data, signature;
};

static bool configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct hmac_job *job = state;
	job->verify = engine_argument_int32(call, 1) == 1;
	struct crypto_key *key = crypto_take_key(
		engine, engine_call_argument(engine, call, 3), CRYPTO_KEY_SECRET, "key");
	EVP_MD *digest = key ? crypto_take_digest(engine, call, 2) : NULL;
	if (!digest)
		return false;
	job->context = hmac_begin(digest, &key->bytes);
	EVP_MD_free(digest);
	if (!job->context) {
		crypto_throw(engine, "Failed to initialize HMAC");
		return false;
	}
	if (!crypto_take_bytes(engine, engine_call_argument(engine, call, 4),
		    crypto_job_take(&job->job), "data", &job->data))
		return false;
	job->job.quick = job->data.length <= CRYPTO_QUICK_BYTES;
	return crypto_take_optional(engine, call, 5, CRYPTO_COPY, "signature", &job->signature);
}

static bool work(void *state)
{
	struct hmac_job *job = state;
	struct crypto_bytes *out = &job->job.out;
	return crypto_bytes_new(out, EVP_MAX_MD_SIZE) &&
	       EVP_MAC_update(job->context, job->data.data, job->data.length) == 1 &&
	       EVP_MAC_final(job->context, out->data, &out->length, EVP_MAX_MD_SIZE) == 1;
}

static engine_value *result(struct engine *engine, void *state)
{
	struct hmac_job *job = state;
	struct crypto_bytes *out = &job->job.out;
	if (!job->verify)
		return crypto_buffer_of(engine, out);
	return engine_bool(
		engine, out->length > 0 && out->length == job->signature.length &&
				CRYPTO_memcmp(out->data, job->signature.data, out->length) == 0);
}

static void clear(void *state)
{
	struct hmac_job *job = state;
	EVP_MAC_CTX_free(job->context);
	crypto_bytes_clear(&job->data);
	crypto_bytes_clear(&job->signature);
}

static const struct crypto_job_type hmac_job = {
	.name = "HmacJob",
	.size = sizeof(struct hmac_job),
	.configure = configure,
	.work = work,
	.result = result,
	.clear = clear,
};
CRYPTO_JOB(hmac_job)

static const struct engine_native methods[] = {
	{"init", hmac_init, 2},
	{"update", hmac_update, 2},
	{"digest", hmac_digest, 1},
};

static const struct engine_class classes[] = {
	{
		.name = "Hmac",
		.construct = hmac_construct,
		.methods = methods,
		.method_count = ARRAY_LENGTH(methods),
		.destroy = hmac_destroy,
	},
	CRYPTO_JOB_CLASS(hmac_job, "HmacJob"),
};

const struct native_module crypto_mac_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.stop = drop_templates,
};
