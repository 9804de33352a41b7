/* Every attack, unconfined and against every arrangement of the walls. Prints the
 * matrix: which wall stops what. */
#include "common/cleanup.h"
#include "common/message.h"
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
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FOLDER "/tmp/tenantd-attack-test"
#define GRANTED FOLDER ".granted"
#define LISTENER_FD 50
#define CONNECTED_FD 51
#define ACCOMPLICE_FD 52
#define ATTACKS_MAX 384

/* ---- the columns: what stands in the attacker's way ---- */

enum column {
	CONTROL,
	FULL,
	JITLESS,
	GRANTS,
	NO_SECCOMP,
	NO_LANDLOCK,
	NO_MOUNTS,
	NO_IDENTITY,
	NO_USER,
	NO_PID,
	NO_NET,
	NO_IPC,
	CONTAINER,
	SINGLE,
	ALONE_SECCOMP,
	ALONE_LANDLOCK,
	ALONE_NAMESPACES,
	COLUMN_COUNT,
};

#define IDENTITY                                                                                   \
	(SANDBOX_STEP_BOUNDING | SANDBOX_STEP_SECUREBITS | SANDBOX_STEP_IDS |                      \
		SANDBOX_STEP_CAPABILITIES)
#define MOUNTS (SANDBOX_STEP_RELEASE | SANDBOX_STEP_MOUNTS | SANDBOX_STEP_FOLDER)
#define ALL .prepare = true, .enter = true, .network = true
/* Three grants, a /tmp, and all calls that go with them: the widest that a tenant gets. A
 * layer is taken away from this one. */
#define WIDE .enter = true, .seal = true, .network = true, .file_calls = SANDBOX_FILES_WRITE
#define WIDEST .prepare = true, WIDE, .tmp_bytes = 1 << 20
#define OUTER_NAMESPACES                                                                           \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |               \
		CLONE_NEWCGROUP)
/* The uid that the host sees, when there is no namespace to map it. */
#define HOST_UID (CONFINED_UID_BASE + CONFINED_UID)

#define JIT ATTACK_JITLESS
#define FILES ATTACK_FILES

static const struct column_setup {
	const char *name;
	struct confine confine;
	unsigned may_succeed; /* flags of attacks */
	bool strict;          /* the error must be a policy's */
	bool grants;
	bool probes; /* of the filter: the same everywhere where it is the same */
	bool layer;  /* one is taken away */
} columns[] = {
	[CONTROL] = {"free", .probes = true},
	[FULL] = {"full", {ALL, .seal = true}, JIT, .strict = true, .probes = true},
	[JITLESS] = {"jitless", {ALL, .seal = true, .jitless = true}, .strict = true},
	[GRANTS] = {"grants", {WIDEST}, JIT | FILES, true, true, true},
	[NO_SECCOMP] = {"-seccomp", {ALL, .tmp_bytes = 1 << 20},
		JIT | FILES | ATTACK_SECCOMP_ONLY | ATTACK_PROBE, .grants = true, .probes = true,
		.layer = true},
	[NO_LANDLOCK] = {"-landlock", {WIDEST, .skip = SANDBOX_STEP_LANDLOCK},
		JIT | FILES | ATTACK_LANDLOCK_ONLY, .grants = true, .layer = true},
	/* The host's files where they are, with modes that let everybody in. */
	[NO_MOUNTS] = {"-mounts", {WIDE, .skip = MOUNTS}, JIT | FILES | ATTACK_MOUNTS_ONLY,
		.grants = true, .layer = true},
	[NO_IDENTITY] = {"-ids", {WIDEST, .skip = IDENTITY}, JIT | FILES, .grants = true,
		.layer = true},
	[NO_USER] = {"-user", {WIDEST, .share = CLONE_NEWUSER, .uid = HOST_UID}, JIT | FILES,
		.grants = true, .layer = true},
	[NO_PID] = {"-pid", {WIDEST, .share = CLONE_NEWPID}, JIT | FILES, .grants = true,
		.layer = true},
	[NO_NET] = {"-net", {WIDEST, .share = CLONE_NEWNET}, JIT | FILES, .grants = true,
		.layer = true},
	[NO_IPC] = {"-ipc", {WIDEST, .share = CLONE_NEWIPC}, JIT | FILES, .grants = true,
		.layer = true},
	/* The other tier, as it is: no namespaces, no mounts. What it leaves open is what only
	 * mounts stop. */
	[CONTAINER] = {"container", {.tier = TIER_CONTAINER, .prepare = true, WIDE},
		JIT | FILES | ATTACK_MOUNTS_ONLY, .strict = true, .grants = true, .probes = true},
	/* The same without an id of its own, begun as who it is. */
	[SINGLE] = {"single", {.tier = TIER_SINGLE, .prepare = true, WIDE},
		JIT | FILES | ATTACK_MOUNTS_ONLY, .strict = true, .grants = true, .probes = true},
	/* One layer by itself, against root: which of them stops what. */
	[ALONE_SECCOMP] = {"seccomp", {.enter = true,
					      .seal = true,
					      .network = true,
					      .share = OUTER_NAMESPACES,
					      .skip = ~(uint32_t)SANDBOX_STEP_NO_NEW_PRIVILEGES}},
	[ALONE_LANDLOCK] = {"landlock", {.enter = true,
						.share = OUTER_NAMESPACES,
						.skip = ~(uint32_t)(SANDBOX_STEP_NO_NEW_PRIVILEGES |
								    SANDBOX_STEP_LANDLOCK)}},
	[ALONE_NAMESPACES] = {"ns+ids", {ALL, .skip = SANDBOX_STEP_LANDLOCK}},
};

struct outcome {
	bool ran, succeeded;
	int code;   /* errno */
	int status; /* wait status, when it did not come back */
};
static struct outcome outcomes[COLUMN_COUNT][ATTACKS_MAX];

static const int granted[] = {LISTENER_FD, CONNECTED_FD, ACCOMPLICE_FD, CONFINED_CHANNEL};
static struct attack_target target = {
	.outside_file = "/etc/passwd",
	.folder = FOLDER,
	.abstract_name = "tenantd-attack-test",
	.socket_path = FOLDER ".sock",
	.listener = LISTENER_FD,
	.connected = CONNECTED_FD,
	.accomplice = ACCOMPLICE_FD,
	.read_folder = GRANTED "/read",
	.write_folder = GRANTED "/write",
	.read_file = GRANTED "/single/one",
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
	write_file(FOLDER "/script", "#!/bin/sh\n", 0755);
}

/* Anew for each attack; what one has made or removed must not help the next. */
static void make_grants(void)
{
	static const char *const folders[] = {"", "/read", "/read/sub", "/write", "/single"};
	static const char *const made[] = {"/read/made", "/write/new", "/write/deep",
		"/write/moved", "/write/out", "/write/up", "/write/to-file", "/write/device"};
	for (size_t i = 0; i < ARRAY_LENGTH(made); i++) {
		char path[128];
		snprintf(path, sizeof path, GRANTED "%s", made[i]);
		(void)unlink(path);
		(void)rmdir(path);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
		char path[128];
		snprintf(path, sizeof path, GRANTED "%s", folders[i]);
		(void)mkdir(path, 0777);
		(void)chmod(path, 0777);
	}
	(void)unlink(GRANTED "/read/file"); /* may have become a link */
	(void)unlink(GRANTED "/write/own");
	write_file(GRANTED "/secret", "secret", 0666);
	write_file(GRANTED "/read/file", "to read", 0666);
	write_file(GRANTED "/write/own", "own", 0666);
	write_file(GRANTED "/write/program", "garbage garbage garbage", 0777);
	write_file(GRANTED "/single/one", "one", 0666);
	write_file(GRANTED "/single/sibling", "secret", 0666);
	(void)!symlink("/etc/passwd", GRANTED "/write/out");
	(void)!symlink("..", GRANTED "/write/up");
	(void)!symlink("../read/file", GRANTED "/write/to-file");
	if (mknod(GRANTED "/write/device", S_IFCHR | 0666, makedev(1, 3)) == 0)
		(void)chmod(GRANTED "/write/device", 0666);
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

static int connect_to(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -1 : fd;
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

/* One end of a pair in which a descriptor of "/" waits. */
static int accomplice(int *ret_other)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	cleanup_close int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)message_send(pair[0], "x", 1, &root, 1);
	*ret_other = pair[0];
	return pair[1];
}

/* The mounts of the grants; they are the caller's to close. */
static void mount_grants(enum tier tier, struct sandbox_grant grants[3], uint32_t id)
{
	static const struct sandbox_grant wanted[3] = {
		{.path = GRANTED "/read", .mount = -1},
		{.path = GRANTED "/single/one", .mount = -1},
		{.path = GRANTED "/write", .mount = -1, .flags = SANDBOX_GRANT_WRITE},
	};
	struct error error = {0};
	char warning[256];
	memcpy(grants, wanted, sizeof wanted);
	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++)
		if ((tier_is_bare(tier) ? sandbox_grant_place(&grants[i], id, warning, &error)
					: sandbox_grant_mount(&grants[i], id, warning, &error)) < 0)
			fail_msg("%s", error.message);
}

static void run_confined(
	enum column column, size_t index, struct outcome *outcome, struct report *report)
{
	const struct column_setup *setup = &columns[column];
	cleanup_close int folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int release = sandbox_release_mount(folder, NULL);
	/* Not close-on-exec, and a folder: what CVE-2024-21626 was. */
	cleanup_close int leak = open("/", O_RDONLY | O_DIRECTORY);
	struct confine confine = setup->confine;
	const bool in_place = tier_is_bare(confine.tier) || confine.skip & SANDBOX_STEP_RELEASE;
	confine.release = tier_is_bare(confine.tier) ? folder : release;
	confine.root = FOLDER;
	confine.keep = granted;
	confine.keep_count = 3;
	struct sandbox_grant grants[3];
	if (setup->grants) {
		mount_grants(confine.tier, grants, HOST_UID);
		confine.grants = grants;
		confine.grant_count = ARRAY_LENGTH(grants);
	}
	confine.standard_input = terminal;
	target.folder = in_place ? FOLDER : "/app";
	outcome->status = confined_run(&confine, run_attack, (void *)&attacks[index], report);
	for (size_t i = 0; setup->grants && i < ARRAY_LENGTH(grants); i++)
		close(grants[i].mount);
	if (report->error.code)
		fail_msg("%s: %s", setup->name, report->error.message);
}

static void run_one(enum column column, size_t index)
{
	struct outcome *outcome = &outcomes[column][index];
	struct report report;
	int port, peer_port, other = -1;
	/* A new listener each time: attacks spoil it. */
	cleanup_close int listener = listen_tcp(&port);
	cleanup_close int placed = dup2(listener, LISTENER_FD);
	cleanup_close int peer = listen_tcp(&peer_port);
	cleanup_close int connected = connect_to(peer_port);
	cleanup_close int connected_placed = dup2(connected, CONNECTED_FD);
	cleanup_close int friend = accomplice(&other);
	cleanup_close int friend_placed = dup2(friend, ACCOMPLICE_FD);
	cleanup_close int owned = other;
	make_folder();
	make_grants();
	if (column == CONTROL) {
		target.folder = FOLDER;
		cleanup_close int leak = open("/", O_RDONLY | O_DIRECTORY);
		outcome->status = unconfined_run(run_free_attack, (void *)&attacks[index], &report);
	} else {
		run_confined(column, index, outcome, &report);
	}
	outcome->ran = report.set;
	outcome->succeeded = report.value;
	outcome->code = report.code;
}

/* With sanitizers each column takes many times as long; in an emulated machine (run.py vm)
 * too: there only those whose outcome depends most on the kernel's version. */
static bool is_left_out(enum column column)
{
#ifdef __SANITIZE_ADDRESS__
	return column >= NO_IDENTITY && column <= NO_IPC;
#else
	return getenv("TENANTD_TEST_SLOW") && column != CONTROL && column != FULL &&
	       column != NO_SECCOMP && column != NO_LANDLOCK && column != NO_MOUNTS &&
	       column != CONTAINER;
#endif
}

static bool is_tried(enum column column, size_t index)
{
	if (is_left_out(column))
		return false;
	if (column == CONTROL && attacks[index].flags & ATTACK_NO_CONTROL)
		return false;
	return columns[column].probes || !(attacks[index].flags & ATTACK_PROBE);
}

static void run_column(enum column column)
{
	/* Anew for each: an attack may have taken its terminal away. */
	target.victim = start_victim();
	assert_true(target.victim > 0);
	for (size_t i = 0; i < attack_count; i++)
		if (is_tried(column, i))
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

static void expect_blocked(enum column column)
{
	const struct column_setup *setup = &columns[column];
	size_t bad = 0;
	need_sandbox();
	if (is_left_out(column)) {
		print_message("skipped: too slow here\n");
		skip();
	}
	run_column(column);
	for (size_t i = 0; i < attack_count; i++) {
		const struct outcome *outcome = &outcomes[column][i];
		if (attacks[i].flags & setup->may_succeed || !is_tried(column, i))
			continue;
		if (outcome->ran && !outcome->succeeded &&
			(!setup->strict || attack_is_policy_error(outcome->code)))
			continue;
		print_error("%s: %s %s: %s (%s, status %x)\n", setup->name, attacks[i].id,
			attacks[i].name,
			!outcome->ran        ? "ended the process"
			: outcome->succeeded ? "SUCCEEDED"
					     : "was not stopped by a policy",
			strerror(outcome->code), outcome->status);
		bad++;
	}
	assert_int_equal(bad, 0);
}

#define EXPECT_BLOCKED(test, column)                                                               \
	static void test(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		expect_blocked(column);                                                            \
	}
EXPECT_BLOCKED(all_walls_stop_every_attack, FULL)
/* A folder to write gives that folder: /app, the host and the rest of the kernel stay. */
EXPECT_BLOCKED(with_files_granted_the_rest_is_as_before, GRANTS)
EXPECT_BLOCKED(without_jit_no_code_can_be_made, JITLESS)
EXPECT_BLOCKED(without_seccomp_the_other_walls_hold, NO_SECCOMP)
EXPECT_BLOCKED(without_landlock_the_other_walls_hold, NO_LANDLOCK)
EXPECT_BLOCKED(without_mounts_the_other_walls_hold, NO_MOUNTS)
EXPECT_BLOCKED(as_namespace_root_the_other_walls_hold, NO_IDENTITY)
EXPECT_BLOCKED(without_a_user_namespace_the_other_walls_hold, NO_USER)
EXPECT_BLOCKED(without_a_pid_namespace_the_other_walls_hold, NO_PID)
EXPECT_BLOCKED(without_a_net_namespace_the_other_walls_hold, NO_NET)
EXPECT_BLOCKED(without_an_ipc_namespace_the_other_walls_hold, NO_IPC)
EXPECT_BLOCKED(without_namespaces_and_mounts_the_other_walls_hold, CONTAINER)
EXPECT_BLOCKED(without_an_id_of_its_own_the_other_walls_hold, SINGLE)

/* Landlock is not decoration: a socket that was handed over lives in the host's network,
 * where no namespace stops it. */
static void without_seccomp_and_landlock_a_listener_is_a_way_out(void **state)
{
	(void)state;
	need_sandbox();
	if (is_left_out(ALONE_NAMESPACES)) {
		print_message("skipped: too slow here\n");
		skip();
	}
	run_column(ALONE_SECCOMP);
	run_column(ALONE_LANDLOCK);
	run_column(ALONE_NAMESPACES);
	bool found = false;
	for (size_t i = 0; i < attack_count; i++)
		if (strcmp(attacks[i].name, "reuse the listener: connect") == 0) {
			found = true;
			assert_true(outcomes[ALONE_NAMESPACES][i].succeeded);
			assert_false(outcomes[NO_SECCOMP][i].succeeded);
			assert_false(outcomes[ALONE_LANDLOCK][i].succeeded);
		}
	assert_true(found);
}

/* ---- the matrix ---- */

static const char *word(enum column column, size_t index)
{
	const struct outcome *outcome = &outcomes[column][index];
	if (!is_tried(column, index))
		return "";
	if (!outcome->ran)
		return outcome->status ? "died" : "-";
	return outcome->succeeded ? "OPEN" : strerrorname_np(outcome->code);
}

static bool is_blocked_everywhere(size_t index)
{
	return !outcomes[FULL][index].succeeded && !outcomes[GRANTS][index].succeeded;
}

/* The one layer without which it succeeds; NULL: there are more, or none is needed. */
static const char *only_layer(size_t index)
{
	if (!is_blocked_everywhere(index))
		return NULL;
	for (int column = 0; column < COLUMN_COUNT; column++)
		if (columns[column].layer && is_tried((enum column)column, index) &&
			outcomes[column][index].succeeded)
			return columns[column].name + 1;
	return NULL;
}

static void print_line(size_t index)
{
	const char *only = only_layer(index);
	print_message("%-4s %-36s", attacks[index].id, attacks[index].name);
	for (int column = 0; column < COLUMN_COUNT; column++)
		print_message(" %-9.9s", word((enum column)column, index));
	print_message(" %s%s\n", only ? "only " : "", only ? only : "");
}

static void print_matrix(void **state)
{
	(void)state;
	need_sandbox();
	size_t tried = 0, single = 0, open = 0;
	print_message("%-41s", "");
	for (int column = 0; column < COLUMN_COUNT; column++)
		print_message(" %-9s", columns[column].name);
	print_message("\n");
	for (size_t i = 0; i < attack_count; i++) {
		print_line(i);
		single += only_layer(i) != NULL;
		open += !is_blocked_everywhere(i);
		for (int column = 0; column < COLUMN_COUNT; column++)
			tried += is_tried((enum column)column, i);
	}
	print_message("MATRIX %zu attacks, %d arrangements, %zu attempts: %zu blocked, "
		      "%zu allowed by design (jit, granted files), %zu by a single layer\n",
		attack_count, COLUMN_COUNT, tried, attack_count - open, open, single);
}

/* By name, so that nobody need look for it: what a tenant can do there and not here. */
static void print_container(void **state)
{
	(void)state;
	need_sandbox();
	size_t open = 0, blocked = 0;
	for (size_t i = 0; i < attack_count; i++) {
		if (!is_tried(CONTAINER, i))
			continue;
		blocked += !outcomes[CONTAINER][i].succeeded;
		if (!outcomes[CONTAINER][i].succeeded || outcomes[GRANTS][i].succeeded)
			continue;
		print_message(
			"not stopped in tier container: %s %s\n", attacks[i].id, attacks[i].name);
		open++;
	}
	print_message(
		"CONTAINER %zu blocked, %zu not stopped that the tier full stops\n", blocked, open);
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

static void remove_grants(void)
{
	static const char *const left[] = {"/secret", "/read/file", "/read/sub", "/read",
		"/write/own", "/write/program", "/write/out", "/write/up", "/write/to-file",
		"/write/device", "/write", "/single/one", "/single/sibling", "/single", ""};
	make_grants();
	for (size_t i = 0; i < ARRAY_LENGTH(left); i++) {
		char path[128];
		snprintf(path, sizeof path, GRANTED "%s", left[i]);
		(void)remove(path);
	}
}

static int stop_world(void **state)
{
	(void)state;
	(void)unlink(target.socket_path);
	make_folder();
	(void)unlink(FOLDER "/script");
	remove_grants();
	(void)unlink(FOLDER "/file");
	(void)unlink(FOLDER "/program");
	return rmdir(FOLDER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unconfined_attacks_succeed),
		cmocka_unit_test(all_walls_stop_every_attack),
		cmocka_unit_test(with_files_granted_the_rest_is_as_before),
		cmocka_unit_test(without_jit_no_code_can_be_made),
		cmocka_unit_test(without_seccomp_the_other_walls_hold),
		cmocka_unit_test(without_landlock_the_other_walls_hold),
		cmocka_unit_test(without_mounts_the_other_walls_hold),
		cmocka_unit_test(as_namespace_root_the_other_walls_hold),
		cmocka_unit_test(without_a_user_namespace_the_other_walls_hold),
		cmocka_unit_test(without_a_pid_namespace_the_other_walls_hold),
		cmocka_unit_test(without_a_net_namespace_the_other_walls_hold),
		cmocka_unit_test(without_an_ipc_namespace_the_other_walls_hold),
		cmocka_unit_test(without_namespaces_and_mounts_the_other_walls_hold),
		cmocka_unit_test(without_an_id_of_its_own_the_other_walls_hold),
		cmocka_unit_test(without_seccomp_and_landlock_a_listener_is_a_way_out),
		cmocka_unit_test(print_matrix),
		cmocka_unit_test(print_container),
	};
	return cmocka_run_group_tests(tests, start_world, stop_world);
}
