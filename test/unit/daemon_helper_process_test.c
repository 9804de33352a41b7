/* What a helper process of the daemon gets, may say, and how its end is noticed. The helper
 * is this program itself, in the role that its first argument names. */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/message.h"
#include "daemon/helper_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAY_READY = 1, SAY_TEXT = 2, SAY_DESCRIPTOR = 3, SAY_UNKNOWN = 4 };

struct text {
	struct message_header header;
	char text[256];
};

/* ---- the helper ---- */

static void say(uint32_t type, const char *text, int fd)
{
	struct text message = {.header.type = (enum message_type)type};
	snprintf(message.text, sizeof message.text, "%s", text);
	size_t length = sizeof message.header + (text[0] ? strlen(text) : 0);
	(void)message_send(HELPER_CHANNEL_FD, &message, length, &fd, fd >= 0 ? 1 : 0);
}

_Noreturn static void wait_for_end(void)
{
	for (;;)
		pause();
}

/* What it was given, as text: the place, the descriptors, the environment. */
static void describe(void)
{
	char folder[PATH_MAX] = "", input[64] = "", output[64] = "", text[200];
	unsigned descriptors = 0;
	int signal_of_death = 0;
	struct sigaction action;
	DIR *dir = opendir("/proc/self/fd");
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			descriptors |= 1u << atoi(entry->d_name);
	if (dir)
		closedir(dir);
	if (readlink("/proc/self/fd/0", input, sizeof input - 1) < 0 ||
		readlink("/proc/self/fd/1", output, sizeof output - 1) < 0 ||
		getcwd(folder, sizeof folder) == NULL)
		_exit(9);
	prctl(PR_GET_PDEATHSIG, &signal_of_death);
	sigaction(SIGPIPE, NULL, &action);
	snprintf(text, sizeof text,
		"fds %x in %s out %s at %.60s secret %s zone %s session %d "
		"death %d pipe %s",
		descriptors, input, strcmp(output, "/dev/null") == 0 ? "null" : "kept", folder,
		getenv("SECRET") ? "seen" : "none", getenv("TZ") ? getenv("TZ") : "none",
		getsid(0) == getpid(), signal_of_death,
		action.sa_handler == SIG_IGN ? "ignored" : "default");
	say(SAY_TEXT, text, -1);
}

static void read_slowly(void)
{
	static char data[MESSAGE_LENGTH_MAX];
	usleep(300 * 1000);
	for (size_t none = 0;
		message_receive(HELPER_CHANNEL_FD, data, sizeof data, NULL, &none, 0) > 0;)
		none = 0;
}

static int be_helper(const char *role)
{
	if (strcmp(role, "late") == 0)
		wait_for_end();
	if (strcmp(role, "exit") == 0)
		return 7;
	if (strcmp(role, "early") == 0)
		say(SAY_TEXT, "too early", -1);
	else
		say(SAY_READY, "", -1);
	if (strcmp(role, "describe") == 0)
		describe();
	else if (strcmp(role, "unknown") == 0)
		say(SAY_UNKNOWN, "", -1);
	else if (strcmp(role, "smuggle") == 0)
		say(SAY_TEXT, "with a descriptor", STDIN_FILENO);
	else if (strcmp(role, "descriptor") == 0)
		say(SAY_DESCRIPTOR, "", STDIN_FILENO);
	else if (strcmp(role, "close") == 0)
		close(HELPER_CHANNEL_FD);
	else if (strcmp(role, "last-words") == 0) {
		say(SAY_TEXT, "farewell", -1);
		return 0;
	} else if (strcmp(role, "slow") == 0)
		read_slowly();
	wait_for_end();
}

/* ---- the daemon's side ---- */

#define TYPE(name) ((enum message_type)(name))
static const struct message_rule rules[] = {
	{TYPE(SAY_READY), HELPER_STARTING, sizeof(struct message_header),
		sizeof(struct message_header), 0, 0},
	{TYPE(SAY_TEXT), HELPER_SERVING, sizeof(struct message_header) + 1, sizeof(struct text), 0,
		0},
	{TYPE(SAY_DESCRIPTOR), HELPER_SERVING, sizeof(struct message_header),
		sizeof(struct message_header), 1, 1},
};

struct world {
	sd_event *event;
	struct helper_process process;
	struct helper_restart restart;
	const char *role;
	char text[256], why[256];
	struct helper_end end;
	unsigned deaths, starts, rooms;
	bool failing;
	int fd;
};

static void heard(void *data, const char *message, size_t length, int *fds)
{
	struct world *world = data;
	const struct message_header *header = (const void *)message;
	assert_int_equal(message[length], '\0');
	if ((uint32_t)header->type == SAY_READY)
		helper_process_ready(&world->process, "");
	else if ((uint32_t)header->type == SAY_DESCRIPTOR)
		world->fd = fds[0];
	else
		snprintf(world->text, sizeof world->text, "%s", message + sizeof *header);
}

static void room(void *data)
{
	struct world *world = data;
	world->rooms++;
	helper_process_want_room(&world->process, false);
}

static void died(void *data, const char *why)
{
	struct world *world = data;
	world->deaths++;
	snprintf(world->why, sizeof world->why, "%s", why);
	helper_process_end(&world->process, &world->end);
}

static const struct helper_kind plain = {.name = "test",
	.label = "the test's helper",
	.rules = rules,
	.rule_count = ARRAY_LENGTH(rules),
	.message = heard,
	.room = room,
	.died = died,
	.channel_bytes = 256 * 1024};
static struct helper_kind forking;

static int start(void *data, struct error *error)
{
	struct world *world = data;
	const char *arguments[] = {"helper", world->role, NULL};
	const struct helper_start what = {
		.program = "/proc/self/exe", .arguments = arguments, .ready_ms = 500};
	world->starts++;
	if (world->failing)
		return error_set(error, EAGAIN, "not now");
	return helper_process_start(&world->process, &what, error);
}

static void begin(struct world *world, const struct helper_kind *kind, const char *role)
{
	struct error error = {0};
	world->role = role;
	helper_process_init(&world->process, kind, world->event, world);
	assert_int_equal(start(world, &error), 0);
}

/* Runs the loop until CONDITION holds, for at most ten seconds. */
#define RUN_UNTIL(world, condition)                                                                \
	do {                                                                                       \
		const uint64_t until_ = clock_ms() + 10000;                                        \
		while (!(condition) && clock_ms() < until_)                                        \
			sd_event_run((world)->event, 50000);                                       \
		assert_true(condition);                                                            \
	} while (0)

static int open_world(void **state)
{
	static struct world world;
	world = (struct world){.fd = -1};
	forking = plain;
	forking.forks = true;
	*state = &world;
	return sd_event_new(&world.event);
}

static int close_world(void **state)
{
	struct world *world = *state;
	helper_process_end(&world->process, NULL);
	helper_restart_clear(&world->restart);
	close_fd(&world->fd);
	sd_event_unref(world->event);
	return 0;
}

static void gets_nothing_of_the_daemons_but_its_channel(void **state)
{
	struct world *world = *state;
	cleanup_close int leak = open("/dev/zero", O_RDONLY); /* not close-on-exec */
	assert_true(leak >= 0);
	setenv("SECRET", "1", 1);
	setenv("TZ", "UTC", 1);
	begin(world, &plain, "describe");
	RUN_UNTIL(world, world->text[0]);
	assert_string_equal(world->text, "fds f in /dev/null out null at / secret none zone UTC "
					 "session 1 death 9 pipe default");
}

static void what_forks_keeps_the_place_and_sigpipe(void **state)
{
	struct world *world = *state;
	char expected[256], place[PATH_MAX], output[64] = "";
	assert_non_null(getcwd(place, sizeof place));
	assert_true(readlink("/proc/self/fd/1", output, sizeof output - 1) > 0);
	snprintf(expected, sizeof expected,
		"fds f in /dev/null out %s at %.60s secret none zone UTC session 1 death 9 pipe "
		"ignored",
		strcmp(output, "/dev/null") == 0 ? "null" : "kept", place);
	begin(world, &forking, "describe");
	RUN_UNTIL(world, world->text[0]);
	assert_string_equal(world->text, expected);
}

static void is_starting_until_it_says_that_it_serves(void **state)
{
	struct world *world = *state;
	begin(world, &plain, "ready");
	assert_int_equal(world->process.state, HELPER_STARTING);
	RUN_UNTIL(world, world->process.state == HELPER_SERVING);
	/* And the deadline of its start is over. */
	for (const uint64_t until = clock_ms() + 700; clock_ms() < until;)
		sd_event_run(world->event, 100000);
	assert_int_equal(world->deaths, 0);
}

static void expect_death(struct world *world, const char *role, const char *why)
{
	begin(world, &plain, role);
	const pid_t pid = world->process.pid;
	RUN_UNTIL(world, world->deaths > 0);
	if (strstr(world->why, why) == NULL)
		fail_msg("%s: it died because \"%s\", not \"%s\"", role, world->why, why);
	assert_int_equal(world->end.pid, pid);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(world->process.pid, 0);
	assert_int_equal(world->process.state, 0);
	assert_int_equal(world->process.channel, -1);
}

static void one_that_is_late_is_killed(void **state)
{
	struct world *world = *state;
	expect_death(world, "late", "it was not ready in time");
	assert_true(world->end.killed);
	assert_int_equal(world->end.status, SIGKILL);
	assert_true(world->end.served_ms >= 500);
}

static void one_that_misses_its_deadline_is_killed(void **state)
{
	struct world *world = *state;
	begin(world, &plain, "ready");
	RUN_UNTIL(world, world->process.state == HELPER_SERVING);
	helper_process_set_deadline(&world->process, 100);
	RUN_UNTIL(world, world->deaths > 0);
	assert_string_equal(world->why, "it did not answer in time");
}

static void an_exit_code_is_told(void **state)
{
	struct world *world = *state;
	expect_death(world, "exit", "it "); /* its end, or that of its channel */
	assert_false(world->end.killed);
	assert_int_equal(world->end.status, 7);
}

static void a_closed_channel_is_the_end(void **state)
{
	expect_death(*state, "close", "it closed its channel");
}

static void what_the_rules_do_not_know_is_the_end(void **state)
{
	expect_death(*state, "unknown", "");
	assert_string_not_equal(((struct world *)*state)->why, "it closed its channel");
}

static void a_message_in_the_wrong_state_is_the_end(void **state)
{
	struct world *world = *state;
	expect_death(world, "early", "");
	assert_string_not_equal(world->why, "it was not ready in time");
	assert_string_equal(world->text, "");
}

/* Of those that the helper sends: its input is /dev/null. */
static unsigned nulls(void)
{
	unsigned count = 0;
	char path[64], target[64];
	for (int fd = 0; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof target - 1);
		if (length > 0) {
			target[length] = '\0';
			count += strcmp(target, "/dev/null") == 0;
		}
	}
	return count;
}

static void a_descriptor_that_no_rule_expects_is_closed(void **state)
{
	struct world *world = *state;
	const unsigned before = nulls();
	expect_death(world, "smuggle", "");
	assert_string_equal(world->text, "");
	assert_int_equal(nulls(), before);
}

static void a_descriptor_that_a_rule_expects_arrives(void **state)
{
	struct world *world = *state;
	begin(world, &plain, "descriptor");
	RUN_UNTIL(world, world->fd >= 0);
	assert_int_equal(world->deaths, 0);
}

static void its_last_words_are_heard(void **state)
{
	struct world *world = *state;
	begin(world, &plain, "last-words");
	RUN_UNTIL(world, world->deaths > 0);
	assert_string_equal(world->text, "farewell");
}

static void room_is_told_once_it_reads(void **state)
{
	static const char block[8192];
	struct world *world = *state;
	int result;
	begin(world, &plain, "slow");
	do
		result = message_send(world->process.channel, block, sizeof block, NULL, 0);
	while (result == 0);
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(world->rooms, 0);
	helper_process_want_room(&world->process, true);
	RUN_UNTIL(world, world->rooms == 1);
}

static void a_killed_one_is_noticed_by_the_loop(void **state)
{
	struct world *world = *state;
	begin(world, &plain, "ready");
	RUN_UNTIL(world, world->process.state == HELPER_SERVING);
	helper_process_kill(&world->process, "the test wants it");
	assert_int_equal(world->deaths, 0);
	RUN_UNTIL(world, world->deaths == 1);
	assert_true(world->end.killed);
}

static void a_program_that_is_not_there_is_the_end(void **state)
{
	struct world *world = *state;
	struct error error = {0};
	const char *arguments[] = {"helper", NULL};
	helper_process_init(&world->process, &plain, world->event, world);
	assert_int_equal(
		helper_process_start(&world->process,
			&(struct helper_start){
				.program = "/nonexistent", .arguments = arguments, .ready_ms = 500},
			&error),
		0);
	RUN_UNTIL(world, world->deaths == 1);
	assert_int_equal(world->end.status, 127);
}

static void new_starts_come_from_the_loop(void **state)
{
	struct world *world = *state;
	world->role = "ready";
	helper_process_init(&world->process, &plain, world->event, world);
	helper_restart_init(&world->restart, "test", world->event, start, world);
	assert_false(helper_restart_is_pending(&world->restart));
	helper_restart_schedule(&world->restart, 0);
	assert_true(helper_restart_is_pending(&world->restart));
	assert_int_equal(world->starts, 0); /* by the loop, never from here */
	RUN_UNTIL(world, world->starts == 1);
	assert_false(helper_restart_is_pending(&world->restart));
	helper_process_end(&world->process, NULL);
	helper_restart_schedule(&world->restart, 0);
	assert_true(helper_restart_is_pending(&world->restart));
	assert_int_equal(world->starts, 1);
	RUN_UNTIL(world, world->starts == 2);
}

static void a_start_that_fails_is_tried_again(void **state)
{
	struct world *world = *state;
	world->role = "ready";
	world->failing = true;
	helper_process_init(&world->process, &plain, world->event, world);
	helper_restart_init(&world->restart, "test", world->event, start, world);
	helper_restart_schedule(&world->restart, 0);
	RUN_UNTIL(world, world->starts == 1);
	assert_true(helper_restart_is_pending(&world->restart));
	world->failing = false;
	RUN_UNTIL(world, world->process.pid > 0);
	assert_int_equal(world->starts, 2);
}

static void a_cleared_start_does_not_come(void **state)
{
	struct world *world = *state;
	helper_restart_init(&world->restart, "test", world->event, start, world);
	helper_restart_schedule(&world->restart, 0);
	helper_restart_clear(&world->restart);
	for (const uint64_t until = clock_ms() + 200; clock_ms() < until;)
		sd_event_run(world->event, 50000);
	assert_int_equal(world->starts, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(int argc, char **argv)
{
	if (argc > 1)
		return be_helper(argv[1]);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	const struct CMUnitTest tests[] = {
		TEST(gets_nothing_of_the_daemons_but_its_channel),
		TEST(what_forks_keeps_the_place_and_sigpipe),
		TEST(is_starting_until_it_says_that_it_serves),
		TEST(one_that_is_late_is_killed),
		TEST(one_that_misses_its_deadline_is_killed),
		TEST(an_exit_code_is_told),
		TEST(a_closed_channel_is_the_end),
		TEST(what_the_rules_do_not_know_is_the_end),
		TEST(a_message_in_the_wrong_state_is_the_end),
		TEST(a_descriptor_that_no_rule_expects_is_closed),
		TEST(a_descriptor_that_a_rule_expects_arrives),
		TEST(its_last_words_are_heard),
		TEST(room_is_told_once_it_reads),
		TEST(a_killed_one_is_noticed_by_the_loop),
		TEST(a_program_that_is_not_there_is_the_end),
		TEST(new_starts_come_from_the_loop),
		TEST(a_start_that_fails_is_tried_again),
		TEST(a_cleared_start_does_not_come),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
