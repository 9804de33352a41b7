#include "sandbox_grant_world.h"

#include "common/cleanup.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GRANTS_MAX 4

struct report report;
struct sandbox_grant grants[GRANTS_MAX];
size_t grant_count;
char warning[256];
bool used;

void need_sandbox(void)
{
	const char *why = confined_unavailable();
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
}

/* ---- the world ---- */

void put(const char *path, mode_t mode, uid_t user, gid_t group)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, "hello", 5) == 5);
	assert_int_equal(fchown(fd, user, group) | fchmod(fd, mode), 0);
}

void put_folder(const char *path, mode_t mode, uid_t user, gid_t group)
{
	assert_int_equal(mkdir(path, 0700) | chown(path, user, group) | chmod(path, mode), 0);
}

void put_link(const char *target, const char *path)
{
	assert_int_equal(symlink(target, path), 0);
}

int end_world(void **state)
{
	(void)state;
	while (grant_count > 0)
		close(grants[--grant_count].mount);
	used = false;
	return system("rm -rf " WORLD) == 0 ? 0 : -1;
}

/* The same things in a folder that is somebody's and in one that is everybody's. */
static void fill(const char *folder, mode_t mode, mode_t folder_mode, uid_t user, gid_t group)
{
	static const char *const files[] = {"file", "other", "program"};
	char path[256];
	put_folder(folder, folder_mode, user, group);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		put(path, mode, user, group);
	}
	snprintf(path, sizeof path, "%s/out", folder);
	put_folder(path, folder_mode, user, group);
	snprintf(path, sizeof path, "%s/out/inside", folder);
	put(path, mode, user, group);
	static const char *const links[][2] = {{WORLD "/secret/file", "absolute"},
		{"../secret/file", "relative"}, {"chain2", "chain1"},
		{"./out/../../secret/../secret/file", "chain2"}, {"/etc/passwd", "passwd"}};
	for (size_t i = 0; i < ARRAY_LENGTH(links); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, links[i][1]);
		put_link(links[i][0], path);
	}
}

int make_world(void **state)
{
	umask(0);
	(void)end_world(state);
	put_folder(WORLD, 0755, 0, 0);
	put_folder(WORLD "/secret", 0755, 0, 0);
	put(WORLD "/secret/file", 0644, 0, 0);
	fill(DATA, 0700, 0700, OWNER, GROUP);
	fill(OPEN, 0777, 0777, 0, 0);
	put_folder(OPEN "-more", 0777, 0, 0);
	put(OPEN "-more/file", 0666, 0, 0);
	put(DATA "/roots", 0600, 0, 0);
	put(DATA "/everybodys", 0644, 0, 0);
	return 0;
}

int try_grant(const char *path, unsigned flags, struct error *error)
{
	struct sandbox_grant *grant = &grants[grant_count];
	*grant = (struct sandbox_grant){.path = path, .mount = -1, .flags = flags};
	int result = sandbox_grant_mount(grant, TENANT, warning, error);
	if (result == 0)
		grant_count++;
	used = used && grant_count > 1;
	return result;
}

void grant(const char *path, unsigned flags)
{
	struct error error = {0};
	if (try_grant(path, flags, &error) < 0)
		fail_msg("%s", error.message);
	if (warning[0])
		print_message("%s\n", warning);
}

/* ---- acts ---- */

const char *in(const char *folder, const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

ACT(read_file, open(in(folder, "file"), O_RDONLY))
ACT(list_folder, open(folder, O_RDONLY | O_DIRECTORY))
ACT(read_below, open(in(folder, "out/inside"), O_RDONLY))
ACT(open_to_write, open(in(folder, "file"), O_WRONLY))

const struct act looks[LOOKS] = {
	{"read a file", read_file, true},
	{"list a folder", list_folder, true},
	{"read a file below", read_below, true},
	{"open for writing", open_to_write, false},
};

int *codes;

void run_acts(struct report *tell, void *argument)
{
	const struct trial *trial = argument;
	(void)tell;
	for (size_t i = 0; i < trial->count; i++) {
		errno = 0;
		codes[i] = trial->acts[i].act(trial->folder) < 0 ? errno : 0;
	}
}

bool is_wall(int code)
{
	return code == EACCES || code == EPERM || code == EROFS || code == ENOENT || code == EXDEV;
}

struct confine with_grants(void)
{
	return (struct confine){
		.prepare = true,
		.enter = true,
		.seal = true,
		.file_calls = SANDBOX_FILES_WRITE,
		.grants = grants,
		.grant_count = grant_count,
	};
}

struct confine mounts_alone(void)
{
	struct confine confine = with_grants();
	confine.skip = SANDBOX_STEP_LANDLOCK;
	return confine;
}

/* A mount can be put in place once: after that it is opened again. */
void renew_grants(void)
{
	struct error error = {0};
	for (size_t i = 0; used && i < grant_count; i++) {
		close(grants[i].mount);
		if (sandbox_grant_mount(&grants[i], TENANT, warning, &error) < 0)
			fail_msg("%s", error.message);
	}
	used = true;
}

void confined(const struct confine *confine, confined_body *body, void *argument)
{
	renew_grants();
	int status = confined_run(confine, body, argument, &report);
	if (status != 0 || !report.set)
		fail_msg("status %x: %s", status, report.error.message);
}

int share_codes(void **state)
{
	(void)state;
	codes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return codes == MAP_FAILED ? -1 : 0;
}
