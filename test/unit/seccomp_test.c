/* The filter as a program: what it answers for every call, without loading it. Needs no
 * privileges. */
#include "common/cleanup.h"
#include "sandbox/steps.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define ALLOWED SECCOMP_RET_ALLOW
#define FAILS(code) (SECCOMP_RET_ERRNO | (code))
#define THREAD 0x3d0f00

static struct sandbox_filter *filter, *jitless;

/* Runs the program on DATA. *RET_LOOKED: it looked at an argument. */
static uint32_t run(
	const struct sandbox_filter *which, const struct seccomp_data *data, bool *ret_looked)
{
	const void *pointer;
	size_t count = filter_program(which, &pointer);
	const struct sock_filter *program = pointer;
	uint32_t a = 0;
	*ret_looked = false;
	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *at = &program[pc];
		switch (at->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(at->k + 4 <= sizeof *data && at->k % 4 == 0);
			memcpy(&a, (const char *)data + at->k, 4);
			*ret_looked |= at->k >= offsetof(struct seccomp_data, args);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= at->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += at->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == at->k ? at->jt : at->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > at->k ? at->jt : at->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= at->k ? at->jt : at->jf;
			break;
		case BPF_RET | BPF_K:
			return at->k;
		default:
			fail_msg("instruction %zu: code %x", pc, at->code);
		}
	}
	fail_msg("the program runs over its end");
	return 0;
}

static uint32_t ask_arch(
	const struct sandbox_filter *which, uint32_t arch, long number, const uint64_t *arguments)
{
	struct seccomp_data data = {.nr = (int)number, .arch = arch};
	bool looked;
	memcpy(data.args, arguments, sizeof data.args);
	return run(which, &data, &looked);
}

static uint32_t ask(const struct sandbox_filter *which, long number, const uint64_t *arguments)
{
	return ask_arch(which, AUDIT_ARCH_X86_64, number, arguments);
}

#define ARGUMENTS(...) ((const uint64_t[6]){__VA_ARGS__})
#define EXPECT(answer, number, ...)                                                                \
	assert_int_equal(ask(filter, SYS_##number, ARGUMENTS(__VA_ARGS__)), answer)

static void hot_calls_are_allowed_by_number_alone(void **state)
{
	(void)state;
	static const int hot[] = {SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_epoll_wait,
		SYS_epoll_pwait, SYS_epoll_pwait2, SYS_epoll_ctl, SYS_recvmsg, SYS_accept4,
		SYS_accept, SYS_clock_gettime, SYS_futex, SYS_mmap, SYS_munmap, SYS_mprotect,
		SYS_close, SYS_shutdown, SYS_getpid, SYS_setitimer, SYS_recvfrom};
	for (size_t i = 0; i < ARRAY_LENGTH(hot); i++) {
		/* Whatever is in the arguments. */
		const struct seccomp_data data = {.nr = hot[i],
			.arch = AUDIT_ARCH_X86_64,
			.args = {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull}};
		bool looked;
		assert_int_equal(run(filter, &data, &looked), ALLOWED);
		assert_false(looked);
	}
}

static void every_number_is_answered_at_once(void **state)
{
	(void)state;
	size_t allowed = 0, refused = 0, missing = 0;
	for (long number = 0; number <= 471; number++) {
		uint32_t answer = ask(filter, number, ARGUMENTS(~0ull, ~0ull, ~0ull, ~0ull, ~0ull));
		allowed += answer == ALLOWED;
		refused += answer == FAILS(EPERM);
		missing += answer == FAILS(ENOSYS);
		assert_true(answer == ALLOWED || answer == FAILS(EPERM) || answer == FAILS(ENOSYS));
	}
	print_message("%zu allowed whatever the arguments, %zu EPERM, %zu ENOSYS\n", allowed,
		refused, missing);
	assert_true(allowed < 90);
}

static void unknown_calls_and_other_abis_are_missing(void **state)
{
	(void)state;
	const uint64_t *none = ARGUMENTS(0);
	static const long numbers[] = {472, 600, 1024, 0x3fffffff, 0x40000000, 0x40000027,
		0x40000000 | 520, 0x7fffffff, -1, -2};
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
		assert_int_equal(ask(filter, numbers[i], none), FAILS(ENOSYS));
	static const uint32_t arches[] = {
		AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0, ~0u};
	for (size_t i = 0; i < ARRAY_LENGTH(arches); i++)
		for (long number = 0; number < 480; number++)
			assert_int_equal(ask_arch(filter, arches[i], number, none), FAILS(ENOSYS));
}

static void threads_and_nothing_else_can_be_cloned(void **state)
{
	(void)state;
	EXPECT(ALLOWED, clone, THREAD);
	EXPECT(FAILS(EPERM), clone, SIGCHLD);
	EXPECT(FAILS(EPERM), clone, THREAD | CLONE_NEWUSER);
	EXPECT(FAILS(EPERM), clone, THREAD | (1ull << 32));
	EXPECT(FAILS(EPERM), clone, THREAD & ~(uint64_t)CLONE_THREAD);
	EXPECT(FAILS(EPERM), clone, CLONE_VM | CLONE_VFORK | SIGCHLD);
	EXPECT(FAILS(ENOSYS), clone3, 0, 0);
	EXPECT(FAILS(EPERM), fork, 0);
	EXPECT(FAILS(EPERM), vfork, 0);
}

static void signals_go_to_itself_only(void **state)
{
	(void)state;
	EXPECT(ALLOWED, kill, 1, SIGTERM);
	EXPECT(ALLOWED, tgkill, 1, 5, SIGABRT);
	EXPECT(FAILS(EPERM), kill, 0, SIGTERM);
	EXPECT(FAILS(EPERM), kill, (uint64_t)-1, SIGTERM);
	EXPECT(FAILS(EPERM), kill, 0xffffffffu, SIGTERM);
	EXPECT(FAILS(EPERM), kill, 2, SIGTERM);
	/* The kernel looks at 32 bits, so must the filter. */
	EXPECT(FAILS(EPERM), tgkill, 1ull << 32 | 2, 2, SIGTERM);
	EXPECT(FAILS(EPERM), tkill, 1, SIGTERM);
}

static void sending_cannot_connect(void **state)
{
	(void)state;
	EXPECT(FAILS(EPERM), sendmsg, 5, 0, 0);
	EXPECT(FAILS(EPERM), sendmsg, 5, 0, MSG_NOSIGNAL);
	EXPECT(FAILS(EPERM), sendmsg, 5, 0, MSG_FASTOPEN);
	EXPECT(FAILS(EPERM), sendto, 5, 0, 1, MSG_OOB, 0);
	EXPECT(FAILS(EPERM), sendto, 5, 0, 1, MSG_ZEROCOPY, 0);
	EXPECT(ALLOWED, sendto, 5, 0, 1, MSG_NOSIGNAL, 0);
	EXPECT(FAILS(EPERM), sendto, 5, 0, 1, MSG_NOSIGNAL, 0x1000);
	EXPECT(FAILS(EPERM), sendto, 5, 0, 1, MSG_NOSIGNAL, 1ull << 32);
	EXPECT(FAILS(EPERM), sendto, 5, 0, 1, MSG_FASTOPEN, 0);
	EXPECT(FAILS(EPERM), sendmmsg, 5, 0, 1, 0);
	EXPECT(FAILS(EPERM), socket, AF_UNIX, SOCK_STREAM, 0);
	EXPECT(FAILS(EPERM), connect, 5, 0, 16);
	EXPECT(FAILS(EPERM), bind, 5, 0, 16);
}

static void options_are_the_harmless_few(void **state)
{
	(void)state;
	EXPECT(ALLOWED, setsockopt, 5, IPPROTO_TCP, TCP_NODELAY);
	EXPECT(ALLOWED, setsockopt, 5, SOL_SOCKET, SO_KEEPALIVE);
	EXPECT(FAILS(EPERM), setsockopt, 5, SOL_SOCKET, SO_ATTACH_FILTER);
	EXPECT(FAILS(EPERM), setsockopt, 5, IPPROTO_TCP, TCP_ULP);
	EXPECT(FAILS(EPERM), setsockopt, 5, IPPROTO_TCP, TCP_FASTOPEN_CONNECT);
	EXPECT(FAILS(EPERM), setsockopt, 5, IPPROTO_IP, TCP_NODELAY);
	EXPECT(ALLOWED, getsockopt, 5, SOL_SOCKET, SO_ERROR);
	EXPECT(FAILS(EPERM), getsockopt, 5, SOL_SOCKET, SO_PEERCRED);
	EXPECT(ALLOWED, ioctl, 5, FIONBIO);
	EXPECT(FAILS(ENOTTY), ioctl, 0, TCGETS);
	EXPECT(FAILS(EPERM), ioctl, 0, TIOCSTI);
	EXPECT(FAILS(EPERM), ioctl, 0, 1ull << 32 | TIOCSTI);
	EXPECT(FAILS(EPERM), ioctl, 0, TIOCLINUX);
	EXPECT(ALLOWED, fcntl, 5, F_SETFL);
	EXPECT(FAILS(EPERM), fcntl, 5, F_SETOWN);
	EXPECT(FAILS(EPERM), fcntl, 5, F_SETSIG);
	EXPECT(ALLOWED, prctl, PR_SET_NAME);
	EXPECT(FAILS(EPERM), prctl, PR_SET_DUMPABLE, 1);
	EXPECT(FAILS(EPERM), prctl, PR_SET_PDEATHSIG, 0);
	EXPECT(ALLOWED, prlimit64, 0, 7, 0, 0x1000);
	EXPECT(FAILS(EPERM), prlimit64, 0, 7, 0x1000, 0);
	EXPECT(FAILS(EPERM), prlimit64, 2, 7, 0, 0x1000);
	EXPECT(ALLOWED, pkey_alloc, 0, 2);
	EXPECT(FAILS(EPERM), pkey_alloc, 1, 2);
}

static void memory_is_not_shared_with_other_tenants(void **state)
{
	(void)state;
	/* Every advice of today but the one. */
	for (uint64_t advice = 0; advice < 128; advice++)
		EXPECT(advice == MADV_MERGEABLE ? FAILS(EPERM) : ALLOWED, madvise, 0, 4096, advice);
	EXPECT(FAILS(EPERM), madvise, 0, 4096, 1ull << 32 | MADV_MERGEABLE);
}

static void pipes_are_plain(void **state)
{
	(void)state;
	EXPECT(ALLOWED, pipe2, 0, 0);
	EXPECT(ALLOWED, pipe2, 0, O_CLOEXEC | O_NONBLOCK);
	EXPECT(FAILS(EPERM), pipe2, 0, O_EXCL /* O_NOTIFICATION_PIPE */);
	EXPECT(FAILS(EPERM), pipe2, 0, O_CLOEXEC | O_DIRECT);
}

static void callers_that_fall_back_are_told_so(void **state)
{
	(void)state;
	EXPECT(FAILS(ENOSYS), io_uring_setup, 8, 0);
	EXPECT(FAILS(ENOSYS), io_uring_enter, 8, 0);
	EXPECT(FAILS(ENOSYS), openat2, 0);
	EXPECT(FAILS(ENOSYS), pidfd_open, 1);
	EXPECT(ALLOWED, statx, 0);
	EXPECT(ALLOWED, openat, 0);
}

static void without_jit_no_code_is_made(void **state)
{
	(void)state;
	static const int calls[] = {SYS_mmap, SYS_mprotect, SYS_pkey_mprotect};
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		const uint64_t *data = ARGUMENTS(0, 4096, PROT_READ | PROT_WRITE);
		const uint64_t *code = ARGUMENTS(0, 4096, PROT_READ | PROT_EXEC);
		const uint64_t *high = ARGUMENTS(0, 4096, 1ull << 32 | PROT_EXEC);
		assert_int_equal(ask(jitless, calls[i], data), ALLOWED);
		assert_int_equal(ask(jitless, calls[i], code), FAILS(EACCES));
		assert_int_equal(ask(jitless, calls[i], high), FAILS(EACCES));
		assert_int_equal(ask(filter, calls[i], code), ALLOWED);
	}
}

static void a_developer_can_see_what_is_missing(void **state)
{
	(void)state;
	struct error error;
	struct sandbox_filter *loud = NULL;
	const struct sandbox_filter_options options = {.test_hooks = true};
	assert_int_equal(sandbox_filter_build(&options, &loud, &error), 0);
	assert_int_equal(ask(loud, SYS_socket, ARGUMENTS(AF_INET)), SECCOMP_RET_TRAP);
	assert_int_equal(ask(loud, SYS_read, ARGUMENTS(0)), ALLOWED);
	assert_null(sandbox_filter_free(loud));
}

static int build(void **state)
{
	(void)state;
	struct error error;
	const struct sandbox_filter_options with = {0}, without = {.jitless = true};
	return sandbox_filter_build(&with, &filter, &error) < 0 ||
			       sandbox_filter_build(&without, &jitless, &error) < 0
		       ? -1
		       : 0;
}

static int release(void **state)
{
	(void)state;
	filter = sandbox_filter_free(filter);
	jitless = sandbox_filter_free(jitless);
	return 0;
}

int main(void)
{
#ifndef __x86_64__
	print_message("skipped: the numbers here are x86-64's\n");
	return 77;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hot_calls_are_allowed_by_number_alone),
		cmocka_unit_test(every_number_is_answered_at_once),
		cmocka_unit_test(unknown_calls_and_other_abis_are_missing),
		cmocka_unit_test(threads_and_nothing_else_can_be_cloned),
		cmocka_unit_test(signals_go_to_itself_only),
		cmocka_unit_test(sending_cannot_connect),
		cmocka_unit_test(options_are_the_harmless_few),
		cmocka_unit_test(memory_is_not_shared_with_other_tenants),
		cmocka_unit_test(pipes_are_plain),
		cmocka_unit_test(callers_that_fall_back_are_told_so),
		cmocka_unit_test(without_jit_no_code_is_made),
		cmocka_unit_test(a_developer_can_see_what_is_missing),
	};
	return cmocka_run_group_tests(tests, build, release);
}
