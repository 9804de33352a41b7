#include "isolate/natives.h"

#include "common/cleanup.h"

#include <stdlib.h>
#include <string.h>

#ifdef TENANTD_TEST_HOOKS
extern const struct native_module attack_natives;
#endif

/* A snapshot knows native functions by their number: appending is fine, and the
 * snapshot is rebuilt with every build. */
static const struct native_module *const modules[] = {
	&url_natives,
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
	&service_natives,
#ifdef TENANTD_TEST_HOOKS
	&attack_natives, /* test/escape/native_attack.c; never installed */
#endif
};

const struct engine_tables *natives_tables(void)
{
	static struct engine_native natives[1024];
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

void natives_bind(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(modules); i++)
		if (modules[i]->bind)
			modules[i]->bind();
}

void natives_start(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(modules); i++)
		if (modules[i]->start)
			modules[i]->start();
}
