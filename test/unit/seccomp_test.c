/* The filter as a program: what it answers for every call, without loading it. Needs no
 * privileges. */
#include "common/cleanup.h"
#include "common/clock.h"
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
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define ALLOWED SECCOMP_RET_ALLOW
#define FAILS(code) (SECCOMP_RET_ERRNO | (code))
#define THREAD 0x3d0f00

static struct sandbox_filter *filter, *jitless, *reader, *writer, *server;

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
		assert_int_equal(run(server, &data, &looked), ALLOWED);
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
	assert_int_equal(
		ask(server, SYS_setsockopt, ARGUMENTS(5, IPPROTO_TCP, TCP_NODELAY)), ALLOWED);
	assert_int_equal(
		ask(server, SYS_setsockopt, ARGUMENTS(5, SOL_SOCKET, SO_KEEPALIVE)), ALLOWED);
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

static void violations_are_signals_that_carry_the_error(void **state)
{
	(void)state;
	struct error error;
	struct sandbox_filter *loud = NULL;
	const struct sandbox_filter_options options = {.report = true, .jitless = true};
	assert_int_equal(sandbox_filter_build(&options, &loud, &error), 0);
	assert_int_equal(ask(loud, SYS_socket, ARGUMENTS(AF_INET)), SECCOMP_RET_TRAP | EPERM);
	assert_int_equal(ask(loud, 600, ARGUMENTS(0)), FAILS(ENOSYS));
	assert_int_equal(ask(loud, SYS_clone3, ARGUMENTS(0)), FAILS(ENOSYS));
	assert_int_equal(ask(loud, SYS_ioctl, ARGUMENTS(0, TCGETS)), FAILS(ENOTTY));
	/* What libraries ask for as a matter of course is none. */
	assert_int_equal(ask(loud, SYS_uname, ARGUMENTS(0)), FAILS(EPERM));
	assert_int_equal(
		ask(loud, SYS_mmap, ARGUMENTS(0, 4096, PROT_EXEC)), SECCOMP_RET_TRAP | EACCES);
	assert_int_equal(
		ask(loud, SYS_madvise, ARGUMENTS(0, 0, MADV_MERGEABLE)), SECCOMP_RET_TRAP | EPERM);
	/* Hushed, it is as forbidden; what is allowed or missing stays so. */
	for (long number = 0; number < 480; number++) {
		uint32_t plain = ask(loud, number, ARGUMENTS(9, 9, 9, 9, 9, 0));
		uint32_t hushed = ask(loud, number, ARGUMENTS(9, 9, 9, 9, 9, FILTER_HUSH));
		if ((plain & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRAP)
			assert_int_equal(hushed, FAILS(plain & SECCOMP_RET_DATA));
		else
			assert_int_equal(hushed, plain);
	}
	assert_int_equal(ask(loud, SYS_read, ARGUMENTS(0)), ALLOWED);
	assert_null(sandbox_filter_free(loud));
}

static void files_are_written_only_where_some_are_granted(void **state)
{
	(void)state;
	static const long writes[] = {SYS_pwrite64, SYS_pwritev, SYS_ftruncate, SYS_fallocate,
		SYS_fsync, SYS_fdatasync, SYS_copy_file_range, SYS_sendfile, SYS_unlink,
		SYS_unlinkat, SYS_rmdir, SYS_rename, SYS_renameat, SYS_renameat2, SYS_symlink,
		SYS_symlinkat, SYS_link, SYS_linkat, SYS_mkdir, SYS_mkdirat, SYS_chmod, SYS_fchmod,
		SYS_fchmodat, 452, SYS_utimensat, SYS_umask};
	static const long reads[] = {SYS_statfs, SYS_fstatfs, SYS_fadvise64, SYS_flock,
		SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch};
	static const long never[] = {SYS_chown, SYS_fchown, SYS_lchown, SYS_fchownat, SYS_mknod,
		SYS_mknodat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, 463 /* setxattrat */,
		SYS_removexattr, SYS_creat, SYS_open, SYS_truncate, SYS_splice, SYS_tee,
		SYS_vmsplice, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_chroot, SYS_chdir,
		SYS_fchdir, SYS_quotactl, SYS_fanotify_init, SYS_sync};
	const uint64_t *none = ARGUMENTS(0);
	for (size_t i = 0; i < ARRAY_LENGTH(writes); i++) {
		assert_int_equal(ask(filter, writes[i], none), FAILS(EPERM));
		assert_int_equal(ask(reader, writes[i], none), FAILS(EPERM));
		assert_int_equal(ask(writer, writes[i], none), ALLOWED);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(reads); i++) {
		assert_int_equal(ask(filter, reads[i], none), FAILS(EPERM));
		assert_int_equal(ask(reader, reads[i], none), ALLOWED);
		assert_int_equal(ask(writer, reads[i], none), ALLOWED);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
		assert_int_equal(ask(writer, never[i], none), FAILS(EPERM));
	/* What SQLite locks with; not what waits for a lock. */
	static const uint64_t locks[] = {F_GETLK, F_SETLK};
	for (size_t i = 0; i < ARRAY_LENGTH(locks); i++) {
		assert_int_equal(ask(filter, SYS_fcntl, ARGUMENTS(5, locks[i])), FAILS(EPERM));
		assert_int_equal(ask(reader, SYS_fcntl, ARGUMENTS(5, locks[i])), ALLOWED);
		assert_int_equal(ask(writer, SYS_fcntl, ARGUMENTS(5, locks[i])), ALLOWED);
	}
	assert_int_equal(ask(writer, SYS_fcntl, ARGUMENTS(5, F_SETLKW)), FAILS(EPERM));
	/* A name for a descriptor, a device file by way of a rename. */
	assert_int_equal(
		ask(writer, SYS_linkat, ARGUMENTS(5, 0, 5, 0, AT_EMPTY_PATH)), FAILS(EPERM));
	assert_int_equal(
		ask(writer, SYS_renameat2, ARGUMENTS(5, 0, 5, 0, RENAME_WHITEOUT)), FAILS(EPERM));
	assert_int_equal(
		ask(writer, SYS_renameat2, ARGUMENTS(5, 0, 5, 0, RENAME_NOREPLACE)), ALLOWED);
}

static void no_file_can_be_made_to_run_as_its_owner(void **state)
{
	(void)state;
	static const struct {
		long number;
		unsigned argument;
	} calls[] = {{SYS_mkdir, 1}, {SYS_mkdirat, 2}, {SYS_chmod, 1}, {SYS_fchmod, 1},
		{SYS_fchmodat, 2}, {452 /* fchmodat2 */, 2}, {SYS_openat, 3}};
	static const uint64_t bad[] = {
		04755, 02755, 06777, 04000, 02000, 1ull << 32 | 04755, S_IFREG | 04755, ~0ull};
	static const uint64_t good[] = {0, 0644, 0777, 01777, S_IFREG | 0644, 1ull << 32 | 0644};
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		uint64_t arguments[6] = {0, 0, O_CREAT | O_WRONLY};
		for (size_t j = 0; j < ARRAY_LENGTH(bad); j++) {
			arguments[calls[i].argument] = bad[j];
			assert_int_equal(ask(writer, calls[i].number, arguments), FAILS(EPERM));
		}
		for (size_t j = 0; j < ARRAY_LENGTH(good); j++) {
			arguments[calls[i].argument] = good[j];
			assert_int_equal(ask(writer, calls[i].number, arguments), ALLOWED);
		}
	}
	assert_int_equal(
		ask(writer, SYS_openat, ARGUMENTS(5, 0, O_TMPFILE | O_RDWR, 04755)), FAILS(EPERM));
	/* Without a file that is made the mode is whatever the register held. */
	assert_int_equal(ask(writer, SYS_openat, ARGUMENTS(5, 0, O_RDWR, ~0ull)), ALLOWED);
	assert_int_equal(ask(writer, SYS_openat, ARGUMENTS(5, 0, O_DIRECTORY, ~0ull)), ALLOWED);
}

static void sockets_are_served_only_where_some_are_handed_over(void **state)
{
	(void)state;
	assert_int_equal(ask(filter, SYS_accept4, ARGUMENTS(5)), FAILS(EPERM));
	assert_int_equal(ask(filter, SYS_listen, ARGUMENTS(5)), FAILS(EPERM));
	assert_int_equal(
		ask(filter, SYS_setsockopt, ARGUMENTS(5, IPPROTO_TCP, TCP_NODELAY)), FAILS(EPERM));
	assert_int_equal(ask(server, SYS_accept4, ARGUMENTS(5)), ALLOWED);
	/* Looks as if it worked, and does nothing: the supervisor listens already. */
	assert_int_equal(ask(server, SYS_listen, ARGUMENTS(5, 128)), SECCOMP_RET_ERRNO);
	static const int options[] = {TCP_REPAIR, TCP_ULP, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT,
		TCP_MD5SIG, TCP_DEFER_ACCEPT, TCP_CONGESTION, TCP_REPAIR_QUEUE, TCP_SAVE_SYN};
	for (size_t i = 0; i < ARRAY_LENGTH(options); i++)
		assert_int_equal(ask(server, SYS_setsockopt,
					 ARGUMENTS(5, IPPROTO_TCP, (uint64_t)options[i])),
			FAILS(EPERM));
	static const int levels[] = {SO_BINDTODEVICE, SO_MARK, SO_ATTACH_FILTER, SO_ATTACH_BPF,
		SO_REUSEPORT, SO_ZEROCOPY, SO_PRIORITY, SO_PASSCRED, SO_BUSY_POLL, SO_RCVBUFFORCE,
		SO_TXTIME, SO_PEEK_OFF};
	for (size_t i = 0; i < ARRAY_LENGTH(levels); i++)
		assert_int_equal(
			ask(server, SYS_setsockopt, ARGUMENTS(5, SOL_SOCKET, (uint64_t)levels[i])),
			FAILS(EPERM));
	for (uint64_t level = 0; level < 300; level++)
		if (level != SOL_SOCKET && level != IPPROTO_TCP)
			assert_int_equal(
				ask(server, SYS_setsockopt, ARGUMENTS(5, level, 1)), FAILS(EPERM));
	static const long never[] = {SYS_connect, SYS_bind, SYS_socket, SYS_socketpair, SYS_sendmsg,
		SYS_sendmmsg, SYS_splice, SYS_tee, SYS_vmsplice};
	for (size_t i = 0; i < ARRAY_LENGTH(never); i++)
		assert_int_equal(ask(server, never[i], ARGUMENTS(5, AF_UNSPEC)), FAILS(EPERM));
}

static void a_number_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(sandbox_syscall_name(SYS_mount), "mount");
	assert_string_equal(sandbox_syscall_name(SYS_socket), "socket");
	assert_string_equal(sandbox_syscall_name(9999), "syscall 9999");
	assert_string_equal(sandbox_syscall_name(-1), "syscall -1");
}

static void variants_are_built_in_no_time(void **state)
{
	(void)state;
	struct sandbox_filters filters;
	struct error error;
	uint64_t before = clock_ns();
	assert_int_equal(sandbox_filters_build(TIER_FULL, false, &filters, &error), 0);
	print_message("all variants in %.1f ms\n", (double)(clock_ns() - before) / 1e6);
	for (int i = 0; i < 6; i++) {
		const void *program;
		print_message("files %d, network %d: %zu instructions\n", i / 2, i % 2,
			filter_program(filters.of[i / 2][i % 2], &program));
		sandbox_filter_free(filters.of[i / 2][i % 2]);
	}
}

static int build(void **state)
{
	(void)state;
	struct error error;
	const struct {
		struct sandbox_filter_options options;
		struct sandbox_filter **filter;
	} wanted[] = {
		{{0}, &filter},
		{{.jitless = true}, &jitless},
		{{.files = SANDBOX_FILES_READ}, &reader},
		{{.files = SANDBOX_FILES_WRITE}, &writer},
		{{.network = true}, &server},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++)
		if (sandbox_filter_build(&wanted[i].options, wanted[i].filter, &error) < 0) {
			print_error("%s\n", error.message);
			return -1;
		}
	return 0;
}

static int release(void **state)
{
	(void)state;
	filter = sandbox_filter_free(filter);
	jitless = sandbox_filter_free(jitless);
	reader = sandbox_filter_free(reader);
	writer = sandbox_filter_free(writer);
	server = sandbox_filter_free(server);
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
		cmocka_unit_test(violations_are_signals_that_carry_the_error),
		cmocka_unit_test(files_are_written_only_where_some_are_granted),
		cmocka_unit_test(no_file_can_be_made_to_run_as_its_owner),
		cmocka_unit_test(sockets_are_served_only_where_some_are_handed_over),
		cmocka_unit_test(a_number_has_a_name),
		cmocka_unit_test(variants_are_built_in_no_time),
	};
	return cmocka_run_group_tests(tests, build, release);
}
