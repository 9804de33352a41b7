#include "isolate/natives.h"

#include "common/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define NATIVES_MAX 1024

#ifdef TENANTD_TEST_HOOKS
extern const struct native_module attack_natives;
#endif

/* A snapshot knows native functions by their number: appending is fine, and the
 * snapshot is rebuilt with every build. */
static const struct native_module *const modules[] = {
	&url_natives,
	&url_pattern_natives,
	&text_natives,
	&crypto_natives,
	&inspect_natives,
	&process_natives,
	&timer_natives,
	&http_natives,
	&permission_natives,
	&fs_natives,
	&buffer_natives,
	&system_natives,
	&stdin_natives,
	&fetch_natives,
	&dns_natives,
	&net_natives,
	&tls_natives,
	&child_natives,
	&zlib_natives,
	&sqlite_natives,
	&sqlite_statement_natives,
	&sqlite_session_natives,
	&sqlite_backup_natives,
	&service_natives,
	&crypto_job_natives,
	&crypto_key_natives,
	&crypto_keygen_natives,
	&crypto_hash_natives,
	&crypto_mac_natives,
	&crypto_kmac_natives,
	&crypto_derive_natives,
	&crypto_random_natives,
	&crypto_cipher_natives,
	&crypto_cipher_job_natives,
	&crypto_dh_natives,
	&crypto_ecdh_natives,
	&crypto_kem_natives,
	&crypto_rsa_natives,
	&crypto_sign_natives,
	&crypto_sign_job_natives,
	&crypto_turboshake_natives,
	&crypto_x509_natives,
	&messaging_natives,
	&thread_natives,
	&module_natives,
	&http_parser_natives,
	&websocket_natives,
#ifdef TENANTD_TEST_HOOKS
	&attack_natives, /* test/escape/native_attack.c; never installed */
#endif
};

const struct engine_tables *natives_tables(void)
{
	static struct engine_native natives[NATIVES_MAX];
	static struct engine_class classes[96];
	static struct engine_tables tables;
	if (tables.natives)
		return &tables;
	for (size_t i = 0; i < ARRAY_LENGTH(modules); i++) {
		const struct native_module *module = modules[i];
		if (tables.native_count + module->native_count > ARRAY_LENGTH(natives) ||
			tables.class_count + module->class_count > ARRAY_LENGTH(classes))
			abort();
		if (module->native_count)
			memcpy(natives + tables.native_count, module->natives,
				module->native_count * sizeof natives[0]);
		if (module->class_count)
			memcpy(classes + tables.class_count, module->classes,
				module->class_count * sizeof classes[0]);
		tables.native_count += module->native_count;
		tables.class_count += module->class_count;
	}
	tables.natives = natives;
	tables.classes = classes;
	return &tables;
}

static engine_value *refuse(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_throw(engine, "TypeError", "ERR_WORKER_UNSUPPORTED_OPERATION",
		"This is not supported in workers");
}

const struct engine_tables *natives_tables_for_threads(void)
{
	static struct engine_native natives[NATIVES_MAX];
	static struct engine_tables tables;
	if (tables.natives)
		return &tables;
	size_t next = 0;
	tables = *natives_tables();
	for (size_t i = 0; i < ARRAY_LENGTH(modules); i++)
		for (size_t j = 0; j < modules[i]->native_count; j++, next++) {
			natives[next] = tables.natives[next];
			if (modules[i]->first_thread_only)
				natives[next].function = refuse;
		}
	tables.natives = natives;
	return &tables;
}

static bool is_here(const struct native_module *module)
{
	return !runtime.thread || !module->first_thread_only;
}

void natives_bind(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(modules); i++)
		if (modules[i]->bind && is_here(modules[i]))
			modules[i]->bind();
}

void natives_start(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(modules); i++)
		if (modules[i]->start && is_here(modules[i]))
			modules[i]->start();
}

void natives_stop(void)
{
	for (size_t i = ARRAY_LENGTH(modules); i-- > 0;)
		if (modules[i]->stop && is_here(modules[i]))
			modules[i]->stop();
}
