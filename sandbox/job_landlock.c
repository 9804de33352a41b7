/* Landlock for a job: the second wall around its files. The rules name what is mounted,
 * after it is mounted: the kernel walks from a file up through mount points, and a rule on
 * a folder that a mount covers is never met. TCP is not handled: the network namespace has
 * nothing but loopback, and a job may serve and connect there. */
#include "common/cleanup.h"
#include "sandbox/job_steps.h"
#include "sandbox/landlock.h"

#define READ LANDLOCK_READ
#define CHANGE                                                                                     \
	(LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_REMOVE | LANDLOCK_FS_MAKE_DIR |                      \
		LANDLOCK_FS_MAKE_REG | LANDLOCK_FS_MAKE_SOCK | LANDLOCK_FS_MAKE_FIFO |             \
		LANDLOCK_FS_MAKE_SYM | LANDLOCK_FS_REFER | LANDLOCK_FS_TRUNCATE)
#define OPEN_DEVICE (LANDLOCK_FS_READ_FILE | LANDLOCK_FS_IOCTL_DEV)
#define WRITE_DEVICE (OPEN_DEVICE | LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE)

static int allow_root(int ruleset, struct error *error)
{
	static const struct {
		const char *path;
		uint64_t rights;
	} rules[] = {
		{"/usr", READ},
		{"/lib", READ},
		{"/lib32", READ},
		{"/lib64", READ},
		{"/etc", READ},
		{"/dev", READ},
		{"/proc", READ},
		{"/app", READ},
		{"/run", READ},
		/* Not LANDLOCK_FS_RESOLVE_UNIX: the job's own sockets need no right, and a folder
		 * that is granted below /tmp would inherit it. */
		{"/tmp", READ | CHANGE},
		{"/dev/null", WRITE_DEVICE},
		{"/dev/zero", WRITE_DEVICE},
		{"/dev/full", WRITE_DEVICE},
		{"/dev/random", OPEN_DEVICE},
		{"/dev/urandom", OPEN_DEVICE},
	};
	int result = 0;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(rules); i++)
		result = landlock_allow_path(ruleset, rules[i].path, rules[i].rights, error);
	return result;
}

static int allow_granted(int ruleset, const struct worker_start *start,
	const struct job_programs *programs, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < programs->count; i++)
		result = landlock_allow_path(
			ruleset, programs->items[i].real, READ | LANDLOCK_FS_EXECUTE, error);
	for (size_t i = 0; result == 0 && i < start->grant_count; i++)
		result = landlock_allow_path(ruleset, start->grants[i].path,
			READ | (start->grants[i].write ? CHANGE : 0), error);
	return result;
}

int job_landlock_restrict(
	const struct worker_start *start, const struct job_programs *programs, struct error *error)
{
	cleanup_close int ruleset = landlock_open(LANDLOCK_NET_NOTHING, error);
	if (ruleset < 0)
		return ruleset;
	int result = allow_root(ruleset, error);
	if (result == 0)
		result = allow_granted(ruleset, start, programs, error);
	return result < 0 ? result : landlock_restrict(ruleset, error);
}
