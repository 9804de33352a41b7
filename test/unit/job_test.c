/* The steps of a job's sandbox, one at a time. The whole of it runs in
 * test/integration/job_test.py. */
#include "common/cleanup.h"
#include "common/file.h"
#include "common/message.h"
#include "sandbox/job_steps.h"
#include "sandbox_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/srv/job_test-XXXXXX"; /* where only root may make links */

static const char *write_program(const char *name, const char *text)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
	close(fd);
	return path;
}

static const struct job_program *find_program(const struct job_programs *programs, const char *path)
{
	for (size_t i = 0; i < programs->count; i++)
		if (strcmp(programs->items[i].path, path) == 0)
			return &programs->items[i];
	return NULL;
}

/* As the supervisor answers. */
static int find_on_host(
	void *data, const char *path, struct job_found *ret_found, struct error *error)
{
	struct error plain = {0};
	(void)data;
	(void)error;
	ret_found->mount = sandbox_program_mount(
		path, CONFINED_UID_BASE + CONFINED_UID, ret_found->real, &plain);
	return ret_found->mount >= 0;
}

/* ---- programs ---- */

static void the_first_line_names_an_interpreter(void **state)
{
	static const struct {
		const char *head;
		bool found;
		const char *program, *argument;
	} cases[] = {
		{"#!/bin/sh\nrest", true, "/bin/sh", ""},
		{"#! /usr/bin/env node\r\n", true, "/usr/bin/env", "node"},
		{"#!/usr/bin/env -S A=b deno run\n", true, "/usr/bin/env", "-S A=b deno run"},
		{"#!/bin/sh", true, "/bin/sh", ""}, /* the file ends here */
		{"#!sh\n", false, "", ""},
		{"#!\n", false, "", ""},
		{"\x7f"
		 "ELF",
			false, "", ""},
		{"", false, "", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char program[256], argument[256];
		assert_int_equal(job_interpreter_of_script(
					 cases[i].head, strlen(cases[i].head), program, argument),
			cases[i].found);
		if (!cases[i].found)
			continue;
		assert_string_equal(program, cases[i].program);
		assert_string_equal(argument, cases[i].argument);
	}
}

static void programs_come_with_their_interpreters(void **state)
{
	static struct job_programs programs;
	static struct worker_start start;
	struct error error = {0};
	char link[256];
	(void)state;
	const char *script = write_program("script", "#!/usr/bin/env -S A=b sh\n");
	snprintf(link, sizeof link, "%s/link", folder);
	assert_int_equal(symlink(script, link), 0);
	start = (struct worker_start){
		.entry = link,
		.exec_count = 2,
		.exec = {"/no/such/program", "/usr/lib"},
	};
	assert_int_equal(job_programs_find(&start, find_on_host, NULL, &programs, &error), 0);
	const struct job_program *program = find_program(&programs, link);
	assert_non_null(program);
	assert_string_equal(program->real, script);
	assert_false(program->folder);
	assert_non_null(find_program(&programs, "/usr/bin/env"));
	assert_true(find_program(&programs, "/usr/bin/sh") || find_program(&programs, "/bin/sh"));
	assert_null(find_program(&programs, "/no/such/program"));
	assert_true(find_program(&programs, "/usr/lib")->folder);
	bool loader = false;
	for (size_t i = 0; i < programs.count; i++)
		loader |= strstr(programs.items[i].path, "/ld-") != NULL;
	assert_true(loader);
	job_programs_clear(&programs);
	assert_int_equal(programs.count, 0);
}

static void scripts_that_name_each_other_come_to_an_end(void **state)
{
	static struct job_programs programs;
	static struct worker_start start;
	struct error error = {0};
	char text[300], one[256];
	(void)state;
	snprintf(text, sizeof text, "#!%s/two\n", folder);
	snprintf(one, sizeof one, "%s", write_program("one", text));
	snprintf(text, sizeof text, "#!%s/one\n", folder);
	write_program("two", text);
	start = (struct worker_start){.entry = one};
	assert_int_equal(job_programs_find(&start, find_on_host, NULL, &programs, &error), 0);
	assert_non_null(find_program(&programs, one));
	job_programs_clear(&programs);
}

static void without_an_answer_only_what_is_granted_is_a_program(void **state)
{
	static struct job_programs programs;
	static struct worker_start start;
	struct error error = {0};
	char open[256], link[300], script[256];
	(void)state;
	/* Whoever may write there may put a link there, too. */
	snprintf(open, sizeof open, "%s/open", folder);
	assert_int_equal(mkdir(open, 0777) | chmod(open, 0777), 0);
	snprintf(script, sizeof script, "%s", write_program("script", "#!/bin/sh\n"));
	snprintf(link, sizeof link, "%s/link", open);
	assert_int_equal(symlink(script, link), 0);
	start = (struct worker_start){.entry = link};
	assert_int_equal(job_programs_find(&start, find_on_host, NULL, &programs, &error), 0);
	assert_null(find_program(&programs, link));
	job_programs_clear(&programs);
	start.grant_count = 1;
	start.grants[0] = (struct worker_grant){.path = folder, .folder = true};
	assert_int_equal(job_programs_find(&start, find_on_host, NULL, &programs, &error), 0);
	const struct job_program *program = find_program(&programs, link);
	assert_non_null(program);
	assert_string_equal(program->real, script);
	/* Its grant brings it, and whoever changes the link now changes nothing. */
	assert_int_equal(program->mount, -1);
	job_programs_clear(&programs);
	assert_int_equal(unlink(link) | rmdir(open), 0);
}

/* ---- asking the supervisor ---- */

static void send_to_job(int channel, const void *message, size_t length, const int *fd)
{
	assert_int_equal(message_send(channel, message, length, fd, fd ? 1 : 0), 0);
}

static void what_comes_before_the_answer_is_kept(void **state)
{
	struct {
		struct message_program is;
		char real[16];
	} answer = {
		.is.header = {.type = MESSAGE_PROGRAM_IS},
		.real = "/real/path",
	};
	const struct message_child_signal signal = {
		.header = {.type = MESSAGE_SIGNAL}, .number = SIGUSR1};
	const struct message_drain drain = {.header = {.type = MESSAGE_DRAIN}};
	const struct message_header egress = {.type = MESSAGE_EGRESS};
	const size_t length = sizeof answer.is + strlen(answer.real) + 1;
	int channel[2], ends[2];
	struct job_found found;
	struct error error = {0};
	(void)state;
	assert_int_equal(message_pair(channel) | pipe2(ends, O_CLOEXEC), 0);
	struct job job = {.instance = 7, .channel = channel[1], .egress = dup(0)};
	send_to_job(channel[0], &signal, sizeof signal, NULL);
	send_to_job(channel[0], &egress, sizeof egress, &ends[1]);
	send_to_job(channel[0], &drain, sizeof drain, NULL);
	send_to_job(channel[0], &answer, length, &ends[0]);
	assert_int_equal(job_ask(&job, "/some/path", &found, &error), 1);
	assert_string_equal(found.real, "/real/path");
	/* Above the places of others, which would overwrite it. */
	assert_true(found.mount >= 64);
	assert_int_equal(job.signals, 1ull << (SIGUSR1 - 1) | 1ull << (SIGTERM - 1));
	assert_int_equal(write(job.egress, "x", 1), 1);
	struct {
		struct message_header header;
		char path[64];
	} asked;
	assert_int_equal(recv(channel[0], &asked, sizeof asked, 0),
		sizeof asked.header + sizeof "/some/path");
	assert_int_equal(asked.header.type, MESSAGE_PROGRAM);
	assert_int_equal(asked.header.instance, 7);
	assert_string_equal(asked.path, "/some/path");
	close(found.mount);
	/* Refused, and then what no supervisor would say. */
	answer.is.code = ELOOP;
	send_to_job(channel[0], &answer, sizeof answer.is + 1, NULL);
	assert_int_equal(job_ask(&job, "/some/path", &found, &error), 0);
	answer.is.code = 0;
	send_to_job(channel[0], &answer, length, NULL);
	assert_int_equal(job_ask(&job, "/some/path", &found, &error), -EBADMSG);
	send_to_job(channel[0], &answer, length - 1, &ends[0]);
	assert_int_equal(job_ask(&job, "/some/path", &found, &error), -EBADMSG);
	for (int i = 0; i < 2; i++) {
		close(channel[i]);
		close(ends[i]);
	}
	close(job.egress);
}

/* ---- environment ---- */

static const char *variable(char **environment, const char *name)
{
	size_t length = strlen(name);
	for (; *environment; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static void the_policy_wins_over_what_is_usual(void **state)
{
	static struct worker_start start;
	struct error error = {0};
	(void)state;
	start = (struct worker_start){
		.environment_count = 2,
		.environment = {"HOME=/srv", "https_proxy=http://other"},
	};
	cleanup_free char **environment = job_environment(&start, 4711, &error);
	assert_non_null(environment);
	assert_string_equal(variable(environment, "HOME"), "/srv");
	assert_string_equal(variable(environment, "PATH"), JOB_PATH);
	assert_string_equal(variable(environment, "USER"), "tenant");
	assert_string_equal(variable(environment, "https_proxy"), "http://other");
	assert_string_equal(variable(environment, "HTTPS_PROXY"), "http://127.0.0.1:4711");
	assert_string_equal(variable(environment, "ALL_PROXY"), "socks5h://127.0.0.1:4711");
	cleanup_free char **none = job_environment(&start, 0, &error);
	assert_null(variable(none, "HTTP_PROXY"));
	assert_null(variable(none, "no_proxy"));
}

/* ---- seccomp ---- */

/* In a process of its own, with the filter and no listener: the errno of a call, 0 for
 * success. */
static int code_of(const struct job_filter *filter, long call, long a, long b, long c, long d)
{
	int pair[2], code = -1;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct error error = {0};
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (job_filter_load(filter, false, &error) != -1)
			_exit(1);
		code = syscall(call, a, b, c, d, 0, 0) < 0 ? errno : 0;
		_exit(write(pair[1], &code, sizeof code) == sizeof code ? 0 : 1);
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &code, sizeof code), sizeof code);
	close(pair[0]);
	waitpid(pid, NULL, 0);
	return code;
}

static void the_filter_lets_programs_work_and_nothing_else(void **state)
{
	static const struct {
		long call, a, b, c, d;
		int code;
	} cases[] = {
		{SYS_getpid, 0, 0, 0, 0, 0},
		{SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0},
		{SYS_socket, AF_UNIX, SOCK_DGRAM, 0, 0, 0},
		{SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0, 0},
		{SYS_socket, AF_NETLINK, SOCK_RAW, 9, 0, EPERM},
		{SYS_socket, AF_INET, SOCK_RAW, 1, 0, EPERM},
		{SYS_socket, AF_INET, SOCK_STREAM, 262 /* MPTCP */, 0, EPERM},
		{SYS_socket, AF_PACKET, SOCK_RAW, 0, 0, EPERM},
		{SYS_socket, 38 /* AF_ALG */, SOCK_SEQPACKET, 0, 0, EPERM},
		{SYS_clone, 0x10000000 /* NEWUSER */ | 17, 0, 0, 0, EPERM},
		{SYS_clone3, 1, 88, 0, 0, ENOSYS},
		{SYS_unshare, 0x20000, 0, 0, 0, EPERM},
		{SYS_mount, 1, 1, 1, 0, EPERM},
		{SYS_ptrace, 16, 0, 0, 0, EPERM},
		{SYS_keyctl, 0, 0, 0, 0, EPERM},
		{SYS_bpf, 0, 1, 1, 0, EPERM},
		{SYS_io_uring_setup, 1, 1, 0, 0, ENOSYS},
		{SYS_openat2, AT_FDCWD, 1, 1, 24, ENOSYS},
		{SYS_memfd_create, (long)"x", 1, 0, 0, EPERM},
		{SYS_fchmod, 0, 04755, 0, 0, EPERM},
		{SYS_fchmod, 0, 02755, 0, 0, EPERM},
		{SYS_mkdirat, AT_FDCWD, (long)"/tmp/never", 04755, 0, EPERM},
		{SYS_ioctl, 0, 0x5412 /* TIOCSTI */, 1, 0, EPERM},
		{SYS_ioctl, 0, 0x541c /* TIOCLINUX */, 1, 0, EPERM},
		/* The kernel looks at the lower half only. */
		{SYS_ioctl, 0, 0x100005412, 1, 0, EPERM},
		{SYS_personality, 0x0040000, 0, 0, 0, EPERM},
		{SYS_madvise, 0, 0, 12 /* MERGEABLE */, 0, EPERM},
		{SYS_madvise, 0, 0, 4 /* DONTNEED */, 0, 0},
		{SYS_fcntl, 0, 1024 /* F_SETLEASE */, 0, 0, EPERM},
		{SYS_fcntl, 0, 0x100000400, 0, 0, EPERM},
		{SYS_fcntl, 0, 1026 /* F_NOTIFY */, 2, 0, EPERM},
		{SYS_fcntl, 0, 1 /* F_GETFD */, 0, 0, 0},
		{SYS_seccomp, 1, 0, 1, 0, EPERM},
		{SYS_pidfd_getfd, 0, 0, 0, 0, EPERM},
		{0x3fffffff, 0, 0, 0, 0, ENOSYS},
		{SYS_getpid | 0x40000000 /* x32 */, 0, 0, 0, 0, ENOSYS},
	};
	struct job_filter *filter = NULL;
	struct error error = {0};
	(void)state;
	assert_int_equal(job_filter_build(&filter, &error), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int code = code_of(
			filter, cases[i].call, cases[i].a, cases[i].b, cases[i].c, cases[i].d);
		if (code != cases[i].code)
			fail_msg("case %zu, call %ld: %d and not %d", i, cases[i].call, code,
				cases[i].code);
	}
	job_filter_free(filter);
}

static void a_forbidden_call_is_told_and_refused(void **state)
{
	int pair[2], channel[2];
	struct job_filter *filter = NULL;
	struct error error = {0};
	(void)state;
	assert_int_equal(job_filter_build(&filter, &error), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		int listener = job_filter_load(filter, true, &error);
		int number = listener;
		if (write(pair[1], &number, sizeof number) != sizeof number)
			_exit(90);
		_exit(syscall(SYS_mount, 1, 1, 1, 0, 0) < 0 ? errno : 91);
	}
	int number = -1;
	assert_int_equal(read(pair[0], &number, sizeof number), sizeof number);
	if (number < 0) {
		waitpid(pid, NULL, 0);
		skip(); /* a kernel without listeners */
	}
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	assert_true(listener >= 0);
	static struct worker_start start = {.audit = 1};
	struct job job = {.instance = 7, .channel = channel[1], .start = &start};
	assert_true(job_notify_answer(&job, listener));
	struct {
		struct message_audit audit;
		char resource[64];
	} told;
	assert_true(recv(channel[0], &told, sizeof told, 0) > (ssize_t)sizeof told.audit);
	assert_int_equal(told.audit.header.type, MESSAGE_AUDIT);
	assert_int_equal(told.audit.header.instance, 7);
	assert_int_equal(told.audit.syscall, SYS_mount);
	assert_int_equal(told.audit.allowed, 0);
	assert_string_equal(told.resource, "mount");
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), EPERM);
	close(listener);
	close(pidfd);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(channel[i]);
	}
	job_filter_free(filter);
}

/* ---- root, network, Landlock: in namespaces ---- */

static struct worker_start confined_start;
static struct job_programs confined_programs;

static int make_root(struct error *error)
{
	return job_root_enter(&confined_start, &confined_programs, -1, NULL, error);
}

/* The supervisor's part, before there is a sandbox. */
static int find_programs(void **state)
{
	struct error error = {0};
	(void)state;
	confined_start = (struct worker_start){
		.entry = "/bin/sh",
		.uid = CONFINED_UID,
		.exec_count = 1,
		.exec = {"/usr/bin/env"},
	};
	return job_programs_find(&confined_start, find_on_host, NULL, &confined_programs, &error);
}

static int clear_programs(void **state)
{
	(void)state;
	job_programs_clear(&confined_programs);
	return 0;
}

static void look_around(struct report *report, void *argument)
{
	(void)argument;
	report->value = make_root(&report->error);
	report->more[0] = access("/bin/sh", X_OK);
	report->more[1] = access("/usr/bin/env", X_OK);
	report->more[2] = access("/usr/bin/cat", F_OK);
	report->more[3] = access("/etc/shadow", F_OK);
	report->more[4] = open("/made", O_CREAT | O_WRONLY, 0600);
	report->more[5] = open("/tmp/made", O_CREAT | O_WRONLY, 0600);
	report->more[6] = access("/proc/self/status", R_OK);
	report->more[7] = access("/proc/sys/kernel", F_OK);
	int fd = open("/etc/passwd", O_RDONLY);
	ssize_t length = read(fd, report->text, sizeof report->text - 1);
	report->text[length > 0 ? length : 0] = '\0';
}

static void the_root_holds_what_is_granted_and_nothing_else(void **state)
{
	const struct confine confine = {0};
	struct report report;
	(void)state;
	assert_int_equal(confined_run(&confine, look_around, NULL, &report), 0);
	if (report.value != 0)
		fail_msg("%s", report.error.message);
	assert_int_equal(report.more[0], 0);
	assert_int_equal(report.more[1], 0);
	assert_int_equal(report.more[2], -1);
	assert_int_equal(report.more[3], -1);
	assert_int_equal(report.more[4], -1);
	assert_true(report.more[5] >= 0);
	assert_int_equal(report.more[6], 0);
	assert_int_equal(report.more[7], -1);
	assert_non_null(strstr(report.text, "tenant:x:7:7:"));
	assert_null(strstr(report.text, "root"));
}

/* The code with which executing PATH fails, 0 when it runs. */
static int try_to_run(const char *path)
{
	int pair[2], code = 0;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		char *arguments[] = {(char *)path, (char *)"-c", (char *)"exit 0", NULL};
		execv(path, arguments);
		code = errno;
		_exit(write(pair[1], &code, sizeof code) == sizeof code ? 1 : 2);
	}
	close(pair[1]);
	if (read(pair[0], &code, sizeof code) != sizeof code)
		code = 0;
	close(pair[0]);
	waitpid(pid, NULL, 0);
	return code;
}

static void run_things(struct report *report, void *argument)
{
	(void)argument;
	report->value = make_root(&report->error);
	if (report->value == 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (report->value == 0)
		report->value =
			job_landlock_restrict(&confined_start, &confined_programs, &report->error);
	report->more[0] = try_to_run("/bin/sh");
	/* There, readable, executable, and not granted. */
	report->more[1] = access("/usr/lib/git-core/git", X_OK) == 0
				  ? try_to_run("/usr/lib/git-core/git")
				  : EACCES;
	report->more[2] = open("/tmp/made", O_CREAT | O_WRONLY, 0600);
	report->more[3] = open("/dev/null", O_WRONLY);
	report->more[4] = open("/", O_RDONLY | O_DIRECTORY) < 0 ? errno : 0;
	report->more[5] = open("/proc/self/comm", O_WRONLY) < 0 ? errno : 0;
	report->more[6] = open("/usr/share", O_RDONLY | O_DIRECTORY);
}

static void landlock_runs_what_is_granted_and_nothing_else(void **state)
{
	const struct confine confine = {0};
	struct report report;
	(void)state;
	assert_int_equal(confined_run(&confine, run_things, NULL, &report), 0);
	if (report.value != 0)
		fail_msg("%s", report.error.message);
	assert_int_equal(report.more[0], 0);
	assert_int_equal(report.more[1], EACCES);
	assert_true(report.more[2] >= 0);
	assert_true(report.more[3] >= 0);
	assert_int_equal(report.more[4], EACCES);
	assert_int_equal(report.more[5], EACCES);
	assert_true(report.more[6] >= 0);
}

static void use_network(struct report *report, void *argument)
{
	uint16_t port = 0;
	(void)argument;
	report->value = job_network_up(&report->error);
	int fd = report->value == 0 ? job_proxy_listen(&port, &report->error) : -1;
	report->more[0] = fd;
	report->more[1] = port;
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	getsockname(fd, (struct sockaddr *)&address, &length);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	report->more[2] = connect(client, (struct sockaddr *)&address, length);
}

static void loopback_is_up_and_the_proxy_listens(void **state)
{
	const struct confine confine = {0};
	struct report report;
	(void)state;
	assert_int_equal(confined_run(&confine, use_network, NULL, &report), 0);
	if (report.value != 0)
		fail_msg("%s", report.error.message);
	assert_true(report.more[0] >= 0);
	assert_true(report.more[1] > 0);
	assert_int_equal(report.more[2], 0);
}

static void egress_that_is_gone_is_no_failure(void **state)
{
	int pair[2];
	struct error error = {0};
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	assert_int_equal(job_proxy_send(pair[0], 0, &error), 0);
	close(pair[0]);
}

/* ---- all ---- */

static int make_folder(void **state)
{
	(void)state;
	umask(022);
	return mkdtemp(folder) && chmod(folder, 0755) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"script", "link", "one", "two"};
	char path[256];
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(the_first_line_names_an_interpreter),
		cmocka_unit_test(programs_come_with_their_interpreters),
		cmocka_unit_test(scripts_that_name_each_other_come_to_an_end),
		cmocka_unit_test(without_an_answer_only_what_is_granted_is_a_program),
		cmocka_unit_test(what_comes_before_the_answer_is_kept),
		cmocka_unit_test(the_policy_wins_over_what_is_usual),
		cmocka_unit_test(the_filter_lets_programs_work_and_nothing_else),
		cmocka_unit_test(a_forbidden_call_is_told_and_refused),
		cmocka_unit_test(egress_that_is_gone_is_no_failure),
	};
	const struct CMUnitTest confined[] = {
		cmocka_unit_test_setup_teardown(the_root_holds_what_is_granted_and_nothing_else,
			find_programs, clear_programs),
		cmocka_unit_test_setup_teardown(landlock_runs_what_is_granted_and_nothing_else,
			find_programs, clear_programs),
		cmocka_unit_test(loopback_is_up_and_the_proxy_listens),
	};
	int failed = cmocka_run_group_tests(plain, make_folder, remove_folder);
	const char *why = confined_unavailable();
	if (why) {
		printf("skipped: %zu tests in namespaces: %s\n", ARRAY_LENGTH(confined), why);
		return failed;
	}
	return failed + cmocka_run_group_tests(confined, NULL, NULL);
}
