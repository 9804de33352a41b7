/* What a tenant's process does when its filter raises SIGSYS: the call fails, as it would
 * without a handler, and the supervisor is told its number. A process that blocked the
 * signal or replaced the handler is killed by the kernel: it is no tenant's program that
 * does so. Everything here is async-signal-safe and takes no lock: several threads may be
 * in it. */
#include "common/protocol.h"
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define REPORTS_A_SECOND 10
#define SAME_AGAIN_SECONDS 10
#define NUMBERS_MAX 512 /* of calls; whatever is above shares the last place */

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif

static atomic_int report_channel = -1;
static uint32_t report_instance;
static atomic_uint told[NUMBERS_MAX]; /* the second of the last report; 0: never */
static atomic_uint window_second, window_count;
static atomic_uint untold; /* too many: the next that is told tells of them */

/* ---- telling ---- */

static bool take_from_window(unsigned second)
{
	if (atomic_exchange(&window_second, second) != second)
		atomic_store(&window_count, 0);
	return atomic_fetch_add(&window_count, 1) < REPORTS_A_SECOND;
}

static bool is_news(int number)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	unsigned second = (unsigned)now.tv_sec + 1;
	atomic_uint *place = &told[(unsigned)number < NUMBERS_MAX ? number : NUMBERS_MAX - 1];
	unsigned before = atomic_load(place);
	if (before && second - before < SAME_AGAIN_SECONDS)
		return false;
	if (!take_from_window(second)) {
		atomic_fetch_add(&untold, 1);
		return false;
	}
	atomic_store(place, second);
	return true;
}

static void tell(int number)
{
	struct {
		struct message_audit audit;
		char resource[4]; /* "", and no byte that nobody set */
	} message = {
		.audit =
			{
				.header = {.type = MESSAGE_AUDIT, .instance = report_instance},
				.permission = AUDIT_SYSCALL,
				.layer = AUDIT_LAYER_SECCOMP,
				.dropped = atomic_exchange(&untold, 0),
				.syscall = number,
			},
	};
	/* Never waits: a supervisor that is busy misses one. */
	(void)syscall(SYS_sendto, atomic_load(&report_channel), &message, sizeof message.audit + 1,
		MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
}

void sandbox_report_violations(int channel, uint32_t instance)
{
	report_instance = instance;
	atomic_store(&report_channel, channel);
}

/* ---- answering ---- */

static void set_result(ucontext_t *context, int code)
{
#if defined __x86_64__
	context->uc_mcontext.gregs[REG_RAX] = -code;
#elif defined __aarch64__
	context->uc_mcontext.regs[0] = (unsigned long)-code;
#endif
}

static void answer(int signal_number, siginfo_t *info, void *context)
{
	(void)signal_number;
	/* From kill(2): nothing was refused. */
	if (info->si_code != SYS_SECCOMP)
		return;
	int saved = errno;
	if (atomic_load(&report_channel) >= 0 && is_news(info->si_syscall))
		tell(info->si_syscall);
	errno = saved;
	/* The filter says which error it would have been. */
	set_result(context, info->si_errno ? info->si_errno : EPERM);
}

int violation_answer(struct error *error)
{
	struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGSYS, &action, NULL) < 0)
		return error_errno(error, errno, "cannot install the handler of violations");
	return 0;
}
