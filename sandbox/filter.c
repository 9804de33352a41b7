#include "sandbox/filter.h"

#include "common/cleanup.h"

#include <string.h>

/* Their users fall back on ENOSYS only. */
static const int missing[] = {
	SCMP_SYS(clone3),  /* its flags are in memory */
	SCMP_SYS(openat2), /* its mode too */
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	451 /* cachestat */,
	453 /* map_shadow_stack */,
	454 /* futex_wake */,
	455 /* futex_wait */,
	456 /* futex_requeue */,
	FILTER_NEWEST_CALL,
};

scmp_filter_ctx filter_new(uint32_t otherwise, uint32_t foreign, struct error *error)
{
	scmp_filter_ctx context = seccomp_init(otherwise);
	if (!context) {
		error_set(error, ENOMEM, "cannot make a seccomp filter");
		return NULL;
	}
	/* A binary tree over the numbers. */
	int result = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (result == 0)
		result = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, foreign);
	if (result < 0) {
		error_errno(error, -result, "cannot configure the seccomp filter");
		seccomp_release(context);
		return NULL;
	}
	return context;
}

static int add(scmp_filter_ctx context, uint32_t action, int call, unsigned count,
	const struct scmp_arg_cmp *compare, struct error *error)
{
	int result = seccomp_rule_add_array(context, action, call, count, compare);
	if (result < 0)
		return error_errno(error, -result, "cannot add a seccomp rule for call %d", call);
	return 0;
}

static int add_calls(scmp_filter_ctx context, uint32_t action, const int *calls, size_t count,
	struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < count; i++)
		result = add(context, action, calls[i], 0, NULL, error);
	return result;
}

int filter_allow(scmp_filter_ctx context, const int *calls, size_t count, struct error *error)
{
	return add_calls(context, SCMP_ACT_ALLOW, calls, count, error);
}

static uint32_t action_of(const struct filter_rule *rule)
{
	if (rule->code == FILTER_PRETEND_DONE)
		return SCMP_ACT_ERRNO(0);
	return rule->code ? SCMP_ACT_ERRNO(rule->code & 0xffffu) : SCMP_ACT_ALLOW;
}

int filter_add(
	scmp_filter_ctx context, const struct filter_rule *rules, size_t count, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < count; i++)
		result = add(context, action_of(&rules[i]), rules[i].call, rules[i].count,
			rules[i].compare, error);
	return result;
}

int filter_pretend_missing(
	scmp_filter_ctx context, const int *calls, size_t count, struct error *error)
{
	const uint32_t action = SCMP_ACT_ERRNO(ENOSYS);
	int result = add_calls(context, action, missing, ARRAY_LENGTH(missing), error);
	return result < 0 ? result : add_calls(context, action, calls, count, error);
}

int filter_export(scmp_filter_ctx context, struct filter_part before, struct filter_part after,
	struct sock_fprog *ret_program, struct error *error)
{
	size_t length = 0;
	int result = seccomp_export_bpf_mem(context, NULL, &length);
	if (result < 0)
		return error_errno(error, -result, "cannot export the seccomp filter");
	const size_t count = before.count + length / sizeof(struct sock_filter) + after.count;
	if (count > BPF_MAXINSNS)
		return error_set(error, E2BIG, "the seccomp filter has %zu instructions", count);
	cleanup_free struct sock_filter *program = malloc(count * sizeof *program);
	if (program == NULL)
		return error_set(error, ENOMEM, "no memory for the seccomp filter");
	result = seccomp_export_bpf_mem(context, program + before.count, &length);
	if (result < 0)
		return error_errno(error, -result, "cannot export the seccomp filter");
	memcpy(program, before.instructions, before.count * sizeof *program);
	if (after.count > 0)
		memcpy(program + count - after.count, after.instructions,
			after.count * sizeof *program);
	*ret_program = (struct sock_fprog){
		.len = (unsigned short)count,
		.filter = take_pointer(program),
	};
	return 0;
}

int filter_load(scmp_filter_ctx context, int result, struct error *error)
{
	if (result == 0) {
		result = seccomp_load(context);
		if (result < 0)
			error_errno(error, -result, "cannot load the seccomp filter");
	}
	seccomp_release(context);
	return result;
}
