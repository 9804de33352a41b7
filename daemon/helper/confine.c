#include "daemon/helper/helper.h"

#include "common/cleanup.h"
#include "sandbox/filter.h"
#include "sandbox/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_MAX 1048576 /* what is on its way to others counts, too: unix(7), ETOOMANYREFS */

/* All tenants need it: another process goes first. */
#define OOM_SCORE "-500"

/* Not allowed in some containers: it is then like others. */
static void go_last(void)
{
	char text[16] = "";
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && atoi(text) > atoi(OOM_SCORE) &&
		write(fd, OOM_SCORE, strlen(OOM_SCORE)) < 0)
		errno = 0;
}

int helper_limits(struct error *error)
{
	struct rlimit files;
	const struct rlimit none = {0, 0}, core = {1, 1}; /* 1: see sandbox/limits.c */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(error, errno, "cannot read the limits");
	if (files.rlim_max > FILES_MAX)
		files.rlim_max = FILES_MAX;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &core) < 0 ||
		setrlimit(RLIMIT_MEMLOCK, &none) < 0 || setrlimit(RLIMIT_MSGQUEUE, &none) < 0)
		return error_errno(error, errno, "cannot set the limits");
	go_last();
	return 0;
}

int helper_become(uint32_t id, struct error *error)
{
	const pid_t parent = getppid();
	int result = 0;
	/* In tier single the supervisor is no other, and could not change that. */
	if (getuid() == id && id != 0) {
		result = identity_is(id, error);
	} else {
		result = identity_drop_bounding(error);
		if (result == 0)
			result = identity_lock_securebits(error);
		if (result == 0)
			result = identity_become(id, error);
	}
	if (result == 0)
		result = identity_drop_capabilities(error);
	if (result < 0)
		return result;
	/* A change of ids takes this and the next away. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return error_set(error, ESRCH, "the supervisor is gone");
	result = identity_not_dumpable(error);
	return result < 0 ? result : identity_no_new_privileges(error);
}

int helper_filter(const int *calls, size_t call_count, const struct filter_rule *rules,
	size_t rule_count, struct error *error)
{
	scmp_filter_ctx filter = filter_new(SCMP_ACT_ERRNO(EPERM), SCMP_ACT_KILL, error);
	if (!filter)
		return -ENOMEM;
	int result = filter_allow(filter, calls, call_count, error);
	if (result == 0)
		result = filter_add(filter, rules, rule_count, error);
	return filter_load(filter, result, error);
}
