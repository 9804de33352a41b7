/* The confinement of tenantd-ingress. It speaks with whoever can reach the shared ports;
 * taken over, it must be no more than a process that can accept there and pass connections
 * on. The order: ids before capabilities, whose loss would forbid changing them;
 * no_new_privs before Landlock and seccomp, which want it; seccomp last, because it forbids
 * the rest. */
#include "daemon/ingress/private.h"

#include "common/cleanup.h"
#include "daemon/helper/helper.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* No file at all, no binding and connecting, no signals and no abstract sockets of others. */
static int step_landlock(struct error *error)
{
	if (sandbox_landlock_abi() < 0)
		return 0; /* the supervisor's tier knows; seccomp and the id still hold */
	cleanup_close int ruleset = landlock_open(LANDLOCK_NET_EVERYTHING, error);
	return ruleset < 0 ? ruleset : landlock_restrict(ruleset, error);
}

/* No call that takes a path, and none that makes a socket: it has those that it is handed. */
static const int allowed[] = {
	/* memory */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	/* descriptors */
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	/* sockets */
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	/* time, signals, itself */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(setitimer),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
};

static const struct filter_rule conditional[] = {
	{SCMP_SYS(mmap), 1, {WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), 1, {WITHOUT(2, PROT_EXEC)}},
	/* Without an address: a datagram socket that it might be handed leads nowhere else. */
	{SCMP_SYS(sendto), 1, {EXACTLY(4, 0)}},
	{SCMP_SYS(setsockopt), 2, {LOW(1, SOL_SOCKET), LOW(2, SO_LINGER)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_GETFL)}},
	{SCMP_SYS(fcntl), 1, {LOW(1, F_SETFL)}},
	{SCMP_SYS(prlimit64), 2, {LOW(0, 0), EXACTLY(2, 0)}},
	/* abort(3) */
	{SCMP_SYS(tgkill), 1, {LOW(2, SIGABRT)}},
};

/* Tries what must fail now. */
static int check(struct error *error)
{
	const char *what = NULL;
	cleanup_close int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (file >= 0)
		what = "open a file";
	else if (fork() >= 0)
		what = "fork";
	else if (setuid(0) == 0)
		what = "become root";
	else if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		what = "make a socket";
	else if (syscall(SYS_connect, 0, NULL, 0) == 0 || errno != EPERM)
		what = "connect";
	else if (syscall(SYS_bind, 0, NULL, 0) == 0 || errno != EPERM)
		what = "bind";
	else if (syscall(SYS_execve, NULL, NULL, NULL) == 0 || errno != EPERM)
		what = "exec";
	return what ? error_set(error, EPERM, "the confinement does not hold: it could %s", what)
		    : 0;
}

int confine(uint32_t uid, struct error *error)
{
	int result = helper_limits(error);
	if (result == 0)
		result = helper_become(uid, error);
	if (result == 0)
		result = step_landlock(error);
	if (result == 0)
		result = helper_filter(allowed, ARRAY_LENGTH(allowed), conditional,
			ARRAY_LENGTH(conditional), error);
	if (result == 0)
		result = check(error);
	return result;
}
