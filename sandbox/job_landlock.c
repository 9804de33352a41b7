/* Landlock for a job: the second wall around its files. The rules name what is mounted,
 * after it is mounted: the kernel walks from a file up through mount points, and a rule on
 * a folder that a mount covers is never met. TCP is not handled: the network namespace has
 * nothing but loopback, and a job may serve and connect there. */
#include "common/cleanup.h"
#include "sandbox/job_steps.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Spelled out, because the headers of the build machine may be older than the kernel. */
#define RULE_PATH_BENEATH 1
#define RESTRICT_LOG_SAME_EXEC_OFF 1u /* ABI 7 */
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE (3ull << 4)
#define FS_MAKE_CHAR (1ull << 6)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SOCK (1ull << 9)
#define FS_MAKE_FIFO (1ull << 10)
#define FS_MAKE_SYM (1ull << 12)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)

#define READ (FS_READ_FILE | FS_READ_DIR)
#define CHANGE                                                                                     \
	(FS_WRITE_FILE | FS_REMOVE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO |     \
		FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)
/* The rights that a rule on a file, not a folder, may name. */
#define OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

struct path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

static uint64_t handled(int abi)
{
	static const struct {
		int abi, bits;
	} versions[] = {{1, 13}, {2, 14}, {3, 15}, {5, 16}, {9, 17}};
	uint64_t rights = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(versions) && versions[i].abi <= abi; i++)
		rights = (1ull << versions[i].bits) - 1;
	return rights;
}

/* A rule for PATH, if that is there. */
static int allow(
	int ruleset, uint64_t known, const char *path, uint64_t rights, struct error *error)
{
	struct stat status;
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == EACCES
			       ? 0
			       : error_errno(error, errno, "cannot open %s", path);
	if (fstatat(fd, "", &status, AT_EMPTY_PATH) < 0)
		return error_errno(error, errno, "cannot look at %s", path);
	if (!S_ISDIR(status.st_mode))
		rights &= OF_FILES;
	struct path_beneath rule = {.allowed_access = rights & known, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(error, errno, "cannot add a Landlock rule for %s", path);
	return 0;
}

static int allow_root(int ruleset, uint64_t known, struct error *error)
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
		/* Not FS_RESOLVE_UNIX: the job's own sockets need no right, and a folder that is
		 * granted below /tmp would inherit it. */
		{"/tmp", READ | CHANGE},
		{"/dev/null", FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV},
		{"/dev/zero", FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV},
		{"/dev/full", FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV},
		{"/dev/random", FS_READ_FILE | FS_IOCTL_DEV},
		{"/dev/urandom", FS_READ_FILE | FS_IOCTL_DEV},
	};
	int result = 0;
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(rules); i++)
		result = allow(ruleset, known, rules[i].path, rules[i].rights, error);
	return result;
}

static int allow_granted(int ruleset, uint64_t known, const struct worker_start *start,
	const struct job_programs *programs, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < programs->count; i++)
		result = allow(ruleset, known, programs->items[i].real, READ | FS_EXECUTE, error);
	for (size_t i = 0; result == 0 && i < start->grant_count; i++)
		result = allow(ruleset, known, start->grants[i].path,
			READ | (start->grants[i].write ? CHANGE : 0), error);
	return result;
}

int job_landlock_restrict(
	const struct worker_start *start, const struct job_programs *programs, struct error *error)
{
	int abi = sandbox_landlock_abi();
	if (abi <= 0)
		return error_errno(error, -abi,
			"Landlock is not there (Linux 5.13 and `landlock` in the lsm= list are "
			"needed)");
	const struct ruleset wanted = {
		.handled_access_fs = handled(abi),
		/* Abstract unix sockets and signals: nobody outside of the job. */
		.scoped = abi >= 6 ? 3 : 0,
	};
	cleanup_close int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0);
	if (ruleset < 0)
		return error_errno(error, errno, "cannot make a Landlock ruleset");
	int result = allow_root(ruleset, wanted.handled_access_fs, error);
	if (result == 0)
		result = allow_granted(ruleset, wanted.handled_access_fs, start, programs, error);
	if (result < 0)
		return result;
	unsigned flags = abi >= 7 ? RESTRICT_LOG_SAME_EXEC_OFF : 0;
	if (syscall(SYS_landlock_restrict_self, ruleset, flags) < 0)
		return error_errno(error, errno, "cannot enter the Landlock domain");
	return 0;
}
