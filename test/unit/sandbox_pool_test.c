/* libuv behind the walls: its threads start there, its functions of files work on what was
 * granted and on nothing else, and what the filter refuses in any thread is answered and
 * told. */
#include "common/cleanup.h"
#include "common/protocol.h"
#include "sandbox/steps.h"
#include "sandbox_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <uv.h>

#include <cmocka.h>

#define WORLD "/srv/tenantd-pool-test"
#define IN(name) WORLD "/" name
#define TENANT (CONFINED_UID_BASE + CONFINED_UID)

static struct report report;
static struct sandbox_grant granted;

static void need_sandbox(void)
{
	const char *why = confined_unavailable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
}

static void grant(unsigned flags)
{
	char warning[256];
	struct error error = {0};
	assert_int_equal(system("rm -rf " WORLD " && mkdir " WORLD " && chmod 700 " WORLD
				" && chown 1234:1235 " WORLD " && cd " WORLD
				" && umask 077 && echo hello > file && "
				"mkdir folder && chown -R 1234:1235 ."),
		0);
	granted = (struct sandbox_grant){.path = WORLD, .flags = flags};
	if (sandbox_grant_mount(&granted, TENANT, warning, &error) < 0)
		fail_msg("%s", error.message);
}

static struct confine sealed(enum sandbox_files files)
{
	return (struct confine){
		.prepare = true,
		.enter = true,
		.seal = true,
		.violations = true,
		.grants = &granted,
		.grant_count = granted.path ? 1 : 0,
		.file_calls = files,
		.network = true,
		.tmp_bytes = files == SANDBOX_FILES_WRITE ? 1 << 20 : 0,
	};
}

static void confined(const struct confine *confine, confined_body *body)
{
	int status = confined_run(confine, body, NULL, &report);
	if (status != 0 || !report.set)
		fail_msg("status %x: %s", status, report.error.message);
	if (report.text[0])
		fail_msg("%s", report.text);
}

static int end_world(void **state)
{
	(void)state;
	if (granted.path)
		close(granted.mount);
	granted.path = NULL;
	return system("rm -rf " WORLD) == 0 ? 0 : -1;
}

/* ---- every function of files, by the pool ---- */

static uv_loop_t loop;
static struct report *telling;
static int waiting;

static void on_done(uv_fs_t *request)
{
	(void)request;
	waiting--;
}

static long finish(const char *name, int started, uv_fs_t *request, long wanted)
{
	waiting++;
	while (started == 0 && waiting > 0)
		uv_run(&loop, UV_RUN_ONCE);
	waiting = 0;
	long result = started < 0 ? started : request->result;
	if (wanted < 0 ? result != wanted : result < 0) {
		size_t used = strlen(telling->text);
		snprintf(telling->text + used, sizeof telling->text - used, "%s: %s; ", name,
			result < 0 ? uv_strerror((int)result) : "was not stopped");
	}
	uv_fs_req_cleanup(request);
	return result;
}

#define DO(name, wanted, ...)                                                                      \
	finish(#name, uv_fs_##name(&loop, &request, __VA_ARGS__, on_done), &request, wanted)

static void use_file(uv_fs_t *again, uv_file file)
{
	uv_fs_t request;
	char bytes[8];
	uv_buf_t parts[2] = {uv_buf_init(bytes, 4), uv_buf_init(bytes + 4, 4)};
	(void)again;
	memcpy(bytes, "abcdefgh", 8);
	DO(write, 0, file, parts, 1, -1);
	DO(write, 0, file, parts, 2, -1);
	DO(write, 0, file, parts, 1, 2);
	DO(write, 0, file, parts, 2, 2);
	DO(read, 0, file, parts, 1, 0);
	DO(read, 0, file, parts, 2, 0);
	DO(fstat, 0, file);
	DO(fsync, 0, file);
	DO(fdatasync, 0, file);
	DO(ftruncate, 0, file, 3);
	DO(futime, 0, file, 1, 2);
	DO(fchmod, 0, file, 0640);
	DO(fchmod, UV_EPERM, file, 04755);
	DO(fchown, UV_EPERM, file, 0, 0);
}

static void use_folder(void)
{
	uv_fs_t request;
	uv_dirent_t entries[4];
	DO(scandir, 0, WORLD, 0);
	waiting++;
	assert_int_equal(uv_fs_opendir(&loop, &request, WORLD, on_done), 0);
	while (waiting > 0)
		uv_run(&loop, UV_RUN_ONCE);
	uv_dir_t *dir = request.ptr;
	uv_fs_req_cleanup(&request);
	if (!dir)
		return;
	dir->dirents = entries;
	dir->nentries = 4;
	DO(readdir, 0, dir);
	DO(closedir, 0, dir);
}

static void use_everything(struct report *tell, void *argument)
{
	uv_fs_t request;
	(void)argument;
	telling = tell;
	uv_loop_init(&loop);
	uv_file file = (uv_file)DO(open, 0, IN("new"), O_RDWR | O_CREAT, 0644);
	uv_file from = (uv_file)DO(open, 0, IN("file"), O_RDONLY, 0);
	use_file(&request, file);
	use_folder();
	DO(sendfile, 0, file, from, 0, 5);
	DO(close, 0, file);
	DO(close, 0, from);
	DO(stat, 0, IN("file"));
	DO(lstat, 0, IN("file"));
	DO(statfs, 0, WORLD);
	DO(access, 0, IN("file"), R_OK | W_OK);
	DO(chmod, 0, IN("file"), 0600);
	DO(chmod, UV_EPERM, IN("file"), 02755);
	DO(chown, UV_EPERM, IN("file"), 0, 0);
	DO(lchown, UV_EPERM, IN("file"), 0, 0);
	DO(utime, 0, IN("file"), 1, 2);
	DO(lutime, 0, IN("file"), 1, 2);
	DO(copyfile, 0, IN("file"), IN("copy"), 0);
	DO(copyfile, 0, IN("file"), IN("copy2"), UV_FS_COPYFILE_FICLONE);
	DO(mkdir, 0, IN("made"), 0755);
	DO(mkdtemp, 0, IN("tmp-XXXXXX"));
	DO(mkstemp, 0, IN("file-XXXXXX"));
	DO(symlink, 0, "file", IN("link"), 0);
	DO(readlink, 0, IN("link"));
	DO(realpath, 0, IN("link"));
	DO(link, 0, IN("file"), IN("hard"));
	DO(rename, 0, IN("hard"), IN("folder/hard"));
	DO(unlink, 0, IN("folder/hard"));
	DO(rmdir, 0, IN("made"));
	DO(open, UV_EPERM, IN("suid"), O_WRONLY | O_CREAT, 04755);
	DO(mkdir, 0, "/tmp/folder", 0755);
	/* The pool's threads are as confined as the first. */
	DO(open, UV_ENOENT, "/etc/passwd", O_RDONLY, 0);
	DO(open, UV_EROFS, "/new", O_WRONLY | O_CREAT, 0644);
	DO(mkdir, UV_EROFS, "/folder", 0755);
	DO(scandir, UV_EACCES, "/", 0);
	DO(copyfile, UV_EROFS, IN("file"), "/copy", 0);
	DO(rename, UV_EXDEV, IN("file"), "/tmp/file");
	tell->value = umask(077);
}

static void the_pool_works_on_what_is_granted_and_on_nothing_else(void **state)
{
	(void)state;
	need_sandbox();
	grant(SANDBOX_GRANT_WRITE);
	struct confine confine = sealed(SANDBOX_FILES_WRITE);
	confined(&confine, use_everything);
	assert_int_equal(report.value, 022);
	assert_int_equal(system("test -z \"$(find " WORLD " -perm /6000)\" && "
				"test -z \"$(find " WORLD " -not -user 1234)\""),
		0);
	/* What it was refused was told, once for each call. */
	static const int refused[] = {
		SYS_fchmod, SYS_fchown, SYS_chmod, SYS_chown, SYS_lchown, SYS_openat};
	assert_int_equal(report.audit_count, ARRAY_LENGTH(refused));
	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
		assert_int_equal(report.audits[i].syscall, refused[i]);
}

static void read_and_watch(struct report *tell, void *argument)
{
	uv_fs_t request;
	uv_fs_event_t watcher;
	(void)argument;
	telling = tell;
	uv_loop_init(&loop);
	uv_file file = (uv_file)DO(open, 0, IN("file"), O_RDONLY, 0);
	char bytes[8];
	uv_buf_t part = uv_buf_init(bytes, 8);
	DO(read, 0, file, &part, 1, 0);
	DO(statfs, 0, WORLD);
	use_folder();
	tell->value = uv_fs_event_init(&loop, &watcher) |
		      uv_fs_event_start(&watcher, NULL, WORLD, 0) | uv_fs_event_stop(&watcher);
	DO(open, UV_EROFS, IN("file"), O_WRONLY, 0);
	DO(mkdir, UV_EPERM, IN("made"), 0755);
	DO(chmod, UV_EPERM, IN("file"), 0600);
}

static void readers_can_list_and_watch(void **state)
{
	(void)state;
	need_sandbox();
	grant(0);
	struct confine confine = sealed(SANDBOX_FILES_READ);
	confined(&confine, read_and_watch);
	assert_int_equal(report.value, 0);
}

/* ---- violations ---- */

static void violate(struct report *tell, void *argument)
{
	(void)argument;
	for (int i = 0; i < 1000; i++) {
		tell->more[0] +=
			syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM;
		tell->more[1] += syscall(SYS_clone3, 0, 0) == -1 && errno == ENOSYS;
	}
	errno = ERANGE;
	tell->more[2] = syscall(SYS_mount, 0, 0, 0, 0, 0) == -1 ? errno : 0;
	tell->more[3] = kill(1, SIGSYS); /* no refusal: nothing happens */
	tell->value = syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

static void a_violation_fails_and_is_told_once(void **state)
{
	(void)state;
	need_sandbox();
	struct confine confine = sealed(SANDBOX_FILES_NONE);
	confined(&confine, violate);
	assert_int_equal(report.more[0], 1000);
	assert_int_equal(report.more[1], 1000);
	assert_int_equal(report.more[2], EPERM);
	assert_int_equal(report.more[3], 0);
	assert_int_equal(report.value, -1);
	static const int numbers[] = {SYS_socket, SYS_mount, SYS_ptrace};
	assert_int_equal(report.audit_count, ARRAY_LENGTH(numbers));
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		const struct message_audit *audit = &report.audits[i];
		assert_int_equal(audit->header.type, MESSAGE_AUDIT);
		assert_int_equal(audit->header.instance, 42);
		assert_int_equal(audit->permission, AUDIT_SYSCALL);
		assert_int_equal(audit->layer, AUDIT_LAYER_SECCOMP);
		assert_int_equal(audit->allowed, 0);
		assert_int_equal(audit->syscall, numbers[i]);
	}
}

static void violate_a_lot(struct report *tell, void *argument)
{
	(void)tell;
	(void)argument;
	static const int numbers[] = {SYS_socket, SYS_connect, SYS_bind, SYS_fork, SYS_vfork,
		SYS_execve, SYS_ptrace, SYS_mount, SYS_umount2, SYS_chroot, SYS_pivot_root,
		SYS_setns, SYS_unshare, SYS_bpf, SYS_keyctl, SYS_add_key, SYS_personality,
		SYS_swapon, SYS_reboot, SYS_sethostname, SYS_init_module, SYS_quotactl, SYS_setuid,
		SYS_setgid, SYS_capset, SYS_acct, SYS_settimeofday, SYS_iopl, SYS_ioperm,
		SYS_userfaultfd, SYS_memfd_create, SYS_fanotify_init};
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
			(void)syscall(numbers[i], -1, -1, -1, -1, -1, -1);
}

static void violations_are_few_messages(void **state)
{
	(void)state;
	need_sandbox();
	struct confine confine = sealed(SANDBOX_FILES_NONE);
	confined(&confine, violate_a_lot);
	/* Ten in each second that it took. */
	assert_uint_in_range(report.audit_count, 10, 20);
}

static void block_and_violate(struct report *tell, void *argument)
{
	(void)argument;
	sigset_t all;
	sigfillset(&all);
	tell->value = sigprocmask(SIG_BLOCK, &all, NULL);
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	tell->more[0] = 1;
}

static void who_blocks_the_signal_dies(void **state)
{
	(void)state;
	need_sandbox();
	struct confine confine = sealed(SANDBOX_FILES_NONE);
	int status = confined_run(&confine, block_and_violate, NULL, &report);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	assert_int_equal(report.more[0], 0);
}

int main(void)
{
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			the_pool_works_on_what_is_granted_and_on_nothing_else, end_world),
		cmocka_unit_test_teardown(readers_can_list_and_watch, end_world),
		cmocka_unit_test(a_violation_fails_and_is_told_once),
		cmocka_unit_test(violations_are_few_messages),
		cmocka_unit_test(who_blocks_the_signal_dies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
