/* Every attack, unconfined and against every arrangement of the walls. Prints the
 * matrix: which wall stops what. */
#include "common/cleanup.h"
#include "sandbox/steps.h"
#include "sandbox_harness.h"
#include "test/escape/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FOLDER "/tmp/tenantd-attack-test"
#define LISTENER_FD 50
#define ATTACKS_MAX 256

enum column {
	CONTROL,
	FULL,
	JITLESS,
	NO_SECCOMP,
	NO_LANDLOCK,
	NO_IDENTITY,
	ONLY_NAMESPACES,
	COLUMN_COUNT,
};

static const char *const column_names[] = {
	"free", "full", "jitless", "-seccomp", "-landlock", "-identity", "ns+ids"};

#define IDENTITY                                                                                   \
	(SANDBOX_STEP_BOUNDING | SANDBOX_STEP_SECUREBITS | SANDBOX_STEP_IDS |                      \
		SANDBOX_STEP_CAPABILITIES)

static const struct confine columns[] = {
	[FULL] = {.prepare = true, .enter = true, .seal = true},
	[JITLESS] = {.prepare = true, .enter = true, .seal = true, .jitless = true},
	[NO_SECCOMP] = {.prepare = true, .enter = true},
	[NO_LANDLOCK] = {.prepare = true,
		.enter = true,
		.seal = true,
		.skip = SANDBOX_STEP_LANDLOCK},
	[NO_IDENTITY] = {.prepare = true, .enter = true, .seal = true, .skip = IDENTITY},
	[ONLY_NAMESPACES] = {.prepare = true, .enter = true, .skip = SANDBOX_STEP_LANDLOCK},
};

struct outcome {
	bool ran, succeeded;
	int code;   /* errno */
	int status; /* wait status, when it did not come back */
};
static struct outcome outcomes[COLUMN_COUNT][ATTACKS_MAX];

static const int granted[] = {LISTENER_FD, CONFINED_CHANNEL};
static struct attack_target target = {
	.outside_file = "/etc/passwd",
	.folder = FOLDER,
	.abstract_name = "tenantd-attack-test",
	.socket_path = FOLDER ".sock",
	.listener = LISTENER_FD,
	.granted = granted,
	.granted_count = ARRAY_LENGTH(granted),
};
static int terminal = -1, terminal_owner = -1;

/* ---- the world around ---- */

static void write_file(const char *path, const char *text, mode_t mode)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		(void)fchmod(fd, mode);
	}
}

static void make_folder(void)
{
	(void)mkdir(FOLDER, 0755);
	/* Open to everybody, so that it is the mount that keeps a tenant from writing. */
	(void)chmod(FOLDER, 0777);
	(void)unlink(FOLDER "/new");
	(void)unlink(FOLDER "/other");
	(void)rmdir(FOLDER "/other");
	write_file(FOLDER "/file", "own", 0666);
	write_file(FOLDER "/program", "garbage garbage garbage", 0755);
}

static int listen_tcp(int *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1024) < 0)
		return -1;
	getsockname(fd, (struct sockaddr *)&address, &length);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int listen_unix(const char *name, bool abstract)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path + abstract, name, strlen(name));
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract +
				       strlen(name));
	if (!abstract)
		(void)unlink(name);
	if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 128) < 0)
		return -1;
	if (!abstract)
		(void)chmod(name, 0666);
	return fd;
}

/* A process outside with the tenant's own host uid, whose terminal is the one that the
 * tenant gets as its standard input. */
static pid_t start_victim(void)
{
	if (openpty(&terminal_owner, &terminal, NULL, NULL, NULL) < 0)
		return -1;
	int ready[2];
	if (pipe(ready) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid();
		ioctl(terminal, TIOCSCTTY, 0);
		if (setresgid(CONFINED_UID_BASE + CONFINED_UID, CONFINED_UID_BASE + CONFINED_UID,
			    CONFINED_UID_BASE + CONFINED_UID) < 0 ||
			setresuid(CONFINED_UID_BASE + CONFINED_UID,
				CONFINED_UID_BASE + CONFINED_UID,
				CONFINED_UID_BASE + CONFINED_UID) < 0)
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	char byte;
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* ---- one attack in one column ---- */

static void run_attack(struct report *report, void *argument)
{
	int code;
	report->value = attack_run(argument, &target, &code);
	report->code = code;
}

static void run_free_attack(struct report *report, void *argument)
{
	/* What it mounts must not stay. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(98);
	dup2(terminal, 0);
	run_attack(report, argument);
}

static void run_one(enum column column, size_t index)
{
	struct outcome *outcome = &outcomes[column][index];
	struct report report;
	int port;
	/* A new listener each time: attacks spoil it. */
	cleanup_close int listener = listen_tcp(&port);
	cleanup_close int placed = dup2(listener, LISTENER_FD);
	make_folder();
	if (column == CONTROL) {
		target.folder = FOLDER;
		cleanup_close int leak = open("/", O_RDONLY | O_DIRECTORY);
		outcome->status = unconfined_run(run_free_attack, (void *)&attacks[index], &report);
	} else {
		cleanup_close int folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cleanup_close int release = sandbox_release_mount(folder, NULL);
		/* Not close-on-exec, and a folder: what CVE-2024-21626 was. */
		cleanup_close int leak = open("/", O_RDONLY | O_DIRECTORY);
		struct confine confine = columns[column];
		confine.release = release;
		confine.keep = granted;
		confine.keep_count = 1;
		confine.standard_input = terminal;
		target.folder = "/app";
		outcome->status =
			confined_run(&confine, run_attack, (void *)&attacks[index], &report);
		if (report.error.code)
			fail_msg("%s: %s", column_names[column], report.error.message);
	}
	outcome->ran = report.set;
	outcome->succeeded = report.value;
	outcome->code = report.code;
}

static void run_column(enum column column)
{
	/* Anew for each: an attack may have taken its terminal away. */
	target.victim = start_victim();
	assert_true(target.victim > 0);
	for (size_t i = 0; i < attack_count; i++)
		if (column != CONTROL || !(attacks[i].flags & ATTACK_NO_CONTROL))
			run_one(column, i);
	kill(target.victim, SIGKILL);
	waitpid(target.victim, NULL, 0);
	close_fd(&terminal);
	close_fd(&terminal_owner);
}

static void need_sandbox(void)
{
	const char *why = confined_unavailable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
}

/* What this kernel was built without cannot be attacked, with or without a sandbox. */
static bool is_unsupported(int code)
{
	return code == ENOSYS || code == EAFNOSUPPORT || code == EPROTONOSUPPORT ||
	       code == ESOCKTNOSUPPORT || code == EOPNOTSUPP || code == ENODEV;
}

static void unconfined_attacks_succeed(void **state)
{
	(void)state;
	need_sandbox();
	size_t unsupported = 0, bad = 0;
	run_column(CONTROL);
	for (size_t i = 0; i < attack_count; i++) {
		const struct outcome *outcome = &outcomes[CONTROL][i];
		if (attacks[i].flags & ATTACK_NO_CONTROL || (outcome->ran && outcome->succeeded))
			continue;
		if (outcome->ran && is_unsupported(outcome->code)) {
			unsupported++;
			continue;
		}
		print_error("%s %s: does not even work unconfined (%s, status %x)\n", attacks[i].id,
			attacks[i].name, strerror(outcome->code), outcome->status);
		bad++;
	}
	print_message("%zu attacks, %zu not supported by this kernel\n", attack_count, unsupported);
	assert_int_equal(bad, 0);
}

/* ALLOWED are flags of attacks that may succeed in this column. STRICT: the error must
 * be a policy's. */
static void expect_blocked(enum column column, unsigned allowed, bool strict)
{
	size_t bad = 0;
	run_column(column);
	for (size_t i = 0; i < attack_count; i++) {
		const struct outcome *outcome = &outcomes[column][i];
		if (attacks[i].flags & allowed)
			continue;
		if (outcome->ran && !outcome->succeeded &&
			(!strict || attack_is_policy_error(outcome->code)))
			continue;
		print_error("%s: %s %s: %s (%s, status %x)\n", column_names[column], attacks[i].id,
			attacks[i].name,
			!outcome->ran        ? "ended the process"
			: outcome->succeeded ? "SUCCEEDED"
					     : "was not stopped by a policy",
			strerror(outcome->code), outcome->status);
		bad++;
	}
	assert_int_equal(bad, 0);
}

static void all_walls_stop_every_attack(void **state)
{
	(void)state;
	need_sandbox();
	expect_blocked(FULL, ATTACK_JITLESS, true);
}

static void without_jit_no_code_can_be_made(void **state)
{
	(void)state;
	need_sandbox();
	expect_blocked(JITLESS, 0, true);
}

static void without_seccomp_the_other_walls_hold(void **state)
{
	(void)state;
	need_sandbox();
	expect_blocked(NO_SECCOMP, ATTACK_SECCOMP_ONLY | ATTACK_PROBE | ATTACK_JITLESS, false);
}

static void without_landlock_the_other_walls_hold(void **state)
{
	(void)state;
	need_sandbox();
	expect_blocked(NO_LANDLOCK, ATTACK_JITLESS, true);
}

static void as_namespace_root_the_other_walls_hold(void **state)
{
	(void)state;
	need_sandbox();
	expect_blocked(NO_IDENTITY, ATTACK_JITLESS, true);
}

static const char *word(const struct outcome *outcome)
{
	if (!outcome->ran)
		return outcome->status ? "died" : "-";
	return outcome->succeeded ? "OPEN" : strerrorname_np(outcome->code);
}

/* Landlock is not decoration: a socket that was handed over lives in the host's network,
 * where no namespace stops it. */
static void without_seccomp_and_landlock_a_listener_is_a_way_out(void **state)
{
	(void)state;
	need_sandbox();
	run_column(ONLY_NAMESPACES);
	bool found = false;
	for (size_t i = 0; i < attack_count; i++)
		if (strcmp(attacks[i].name, "reuse the listener: connect") == 0) {
			found = true;
			assert_true(outcomes[ONLY_NAMESPACES][i].succeeded);
			assert_false(outcomes[NO_SECCOMP][i].succeeded);
		}
	assert_true(found);
}

static void print_matrix(void **state)
{
	(void)state;
	need_sandbox();
	print_message("%-4s %-36s", "", "");
	for (int column = 0; column < COLUMN_COUNT; column++)
		print_message(" %-12s", column_names[column]);
	print_message("\n");
	for (size_t i = 0; i < attack_count; i++) {
		print_message("%-4s %-36s", attacks[i].id, attacks[i].name);
		for (int column = 0; column < COLUMN_COUNT; column++)
			print_message(" %-12s", word(&outcomes[column][i]));
		print_message("\n");
	}
}

static int start_world(void **state)
{
	(void)state;
	assert_true(attack_count <= ATTACKS_MAX);
	if (listen_tcp(&target.tcp_port) < 0 || listen_unix(target.abstract_name, true) < 0 ||
		listen_unix(target.socket_path, false) < 0)
		return -1;
	return 0;
}

static int stop_world(void **state)
{
	(void)state;
	(void)unlink(target.socket_path);
	make_folder();
	(void)unlink(FOLDER "/file");
	(void)unlink(FOLDER "/program");
	return rmdir(FOLDER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unconfined_attacks_succeed),
		cmocka_unit_test(all_walls_stop_every_attack),
		cmocka_unit_test(without_jit_no_code_can_be_made),
		cmocka_unit_test(without_seccomp_the_other_walls_hold),
		cmocka_unit_test(without_landlock_the_other_walls_hold),
		cmocka_unit_test(as_namespace_root_the_other_walls_hold),
		cmocka_unit_test(without_seccomp_and_landlock_a_listener_is_a_way_out),
		cmocka_unit_test(print_matrix),
	};
	return cmocka_run_group_tests(tests, start_world, stop_world);
}
