/* Terminals, processes, namespaces, privileges: E07-E12, E19, E21. */
#include "attack_acts.h"

#include <asm/ioctls.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* ---- E07 typing into the operator's terminal (CVE-2017-5226, CVE-2019-10063) ---- */

long type_ahead(target_t *target)
{
	(void)target;
	return CALL(SYS_ioctl, 0, TIOCSTI, "x");
}

long type_ahead_high_bit(target_t *target)
{
	(void)target;
	return CALL(SYS_ioctl, 0, TIOCSTI | HIGH_BIT, "x");
}

long paste_console(target_t *target)
{
	char command = 3; /* TIOCL_PASTESEL, CVE-2023-28100 */
	(void)target;
	return CALL(SYS_ioctl, 0, TIOCLINUX, &command);
}

long take_terminal(target_t *target)
{
	(void)target;
	(void)CALL(SYS_setsid);
	return CALL(SYS_ioctl, 0, TIOCSCTTY, 1);
}

/* ---- E08, E19 namespaces and processes ---- */

static long unshare_flags(unsigned long flags)
{
	return CALL(SYS_unshare, flags);
}

#define UNSHARES(function, flags)                                                                  \
	long function(target_t *target)                                                            \
	{                                                                                          \
		(void)target;                                                                      \
		return unshare_flags(flags);                                                       \
	}
UNSHARES(unshare_user, CLONE_NEWUSER)
UNSHARES(unshare_user_and_net, CLONE_NEWUSER | CLONE_NEWNET)
UNSHARES(unshare_mounts, CLONE_NEWNS)
UNSHARES(unshare_pid, CLONE_NEWPID)
UNSHARES(unshare_net, CLONE_NEWNET)
UNSHARES(unshare_ipc, CLONE_NEWIPC)
UNSHARES(unshare_uts, CLONE_NEWUTS)
UNSHARES(unshare_cgroup, CLONE_NEWCGROUP)
UNSHARES(unshare_time, CLONE_NEWTIME)

/* The child of whatever kind ends at once. */
static long reap(long pid)
{
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	if (pid > 0)
		(void)CALL(SYS_wait4, pid, NULL, __WALL, NULL);
	return pid;
}

long fork_process(target_t *target)
{
	(void)target;
#ifdef SYS_fork
	return reap(CALL(SYS_fork));
#else
	return reap(CALL(SYS_clone, SIGCHLD, 0, 0, 0, 0));
#endif
}

long clone_process(target_t *target)
{
	(void)target;
	return reap(CALL(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

long clone_user_namespace(target_t *target)
{
	(void)target;
	return reap(CALL(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

#define CLONES(function, flags)                                                                    \
	long function(target_t *target)                                                            \
	{                                                                                          \
		(void)target;                                                                      \
		return reap(CALL(SYS_clone, (flags) | SIGCHLD, 0, 0, 0, 0));                       \
	}
CLONES(clone_mounts, CLONE_NEWNS)
CLONES(clone_pid, CLONE_NEWPID)
CLONES(clone_net, CLONE_NEWNET)
CLONES(clone_ipc, CLONE_NEWIPC)
CLONES(clone_uts, CLONE_NEWUTS)
CLONES(clone_cgroup, CLONE_NEWCGROUP)

long clone3_user_namespace(target_t *target)
{
	struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	(void)target;
	return reap(CALL(SYS_clone3, &arguments, sizeof arguments));
}

long join_victims_namespaces(target_t *target)
{
	return CALL(SYS_setns, CALL(SYS_pidfd_open, target->victim, 0), CLONE_NEWNET);
}

long clone3_process(target_t *target)
{
	struct clone_args arguments = {.exit_signal = SIGCHLD};
	(void)target;
	return reap(CALL(SYS_clone3, &arguments, sizeof arguments));
}

#ifdef __x86_64__
/* The child shares our stack: it must end without touching it. */
static long call_and_end_child(long call, unsigned long first)
{
	long result = call;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %[exit], %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n"
			 "1:"
		: "+a"(result), "+D"(first)
		: [exit] "i"(SYS_exit_group), "S"(0), "d"(0)
		: "rcx", "r8", "r10", "r11", "memory");
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return reap(result);
}
#endif

long vfork_process(target_t *target)
{
	(void)target;
#ifdef __x86_64__
	return call_and_end_child(SYS_vfork, 0);
#else
	return fork_process(NULL);
#endif
}

/* As posix_spawn(3) does. */
long clone_vm_process(target_t *target)
{
	(void)target;
#ifdef __x86_64__
	return call_and_end_child(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD);
#else
	return fork_process(NULL);
#endif
}

/* ---- E09 privileges ---- */

long become_root(target_t *target)
{
	(void)target;
	return CALL(SYS_setresuid, 0, 0, 0);
}

long become_root_group(target_t *target)
{
	(void)target;
	return CALL(SYS_setresgid, 0, 0, 0);
}

long join_groups(target_t *target)
{
	gid_t group = 0;
	(void)target;
	return CALL(SYS_setgroups, 1, &group);
}

long raise_capabilities(target_t *target)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = 1u << CAP_CHOWN, .permitted = 1u << CAP_CHOWN}};
	(void)target;
	return CALL(SYS_capset, &header, data);
}

long clear_securebits(target_t *target)
{
	(void)target;
	return CALL(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0);
}

/* The kernel never takes it back; a filter refuses before that. */
long clear_no_new_privileges(target_t *target)
{
	(void)target;
	return CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

long raise_ambient(target_t *target)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	(void)target;
	if (CALL(SYS_capget, &header, data) < 0)
		return -1;
	data[0].inheritable |= 1u << CAP_CHOWN;
	(void)CALL(SYS_capset, &header, data);
	return CALL(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0);
}

long keep_capabilities(target_t *target)
{
	(void)target;
	return CALL(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
}

long become_dumpable(target_t *target)
{
	(void)target;
	return CALL(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

long outlive_supervisor(target_t *target)
{
	(void)target;
	return CALL(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

long raise_core_limit(target_t *target)
{
	const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	(void)target;
	return CALL(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL);
}

long raise_file_limit(target_t *target)
{
	const struct rlimit limit = {65536, 65536};
	(void)target;
	return CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
}

long lock_memory(target_t *target)
{
	static char page[8192];
	(void)target;
	return CALL(SYS_mlock, page, sizeof page);
}

/* ---- E10, E11, E12 other processes ---- */

long trace_victim(target_t *target)
{
	long result = CALL(SYS_ptrace, PTRACE_SEIZE, target->victim, 0, 0);
	if (result == 0)
		(void)CALL(SYS_ptrace, PTRACE_DETACH, target->victim, 0, 0);
	return result;
}

long ask_to_be_traced(target_t *target)
{
	(void)target;
	return CALL(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

long read_victim(target_t *target)
{
	char byte;
	/* The victim is a fork of the test: the same address is good in it. */
	static char there = 'x';
	struct iovec local = {&byte, 1}, remote = {&there, 1};
	return CALL(SYS_process_vm_readv, target->victim, &local, 1, &remote, 1, 0);
}

long write_victim(target_t *target)
{
	char byte = 'y';
	static char there = 'x';
	struct iovec local = {&byte, 1}, remote = {&there, 1};
	return CALL(SYS_process_vm_writev, target->victim, &local, 1, &remote, 1, 0);
}

long open_victims_memory(target_t *target)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", target->victim);
	return open_path(path, O_RDWR);
}

long hold_victim(target_t *target)
{
	return CALL(SYS_pidfd_open, target->victim, 0);
}

long steal_descriptor(target_t *target)
{
	long pidfd = CALL(SYS_pidfd_open, target->victim, 0);
	return pidfd < 0 ? -1 : CALL(SYS_pidfd_getfd, pidfd, 0, 0);
}

long compare_victim(target_t *target)
{
	return CALL(SYS_kcmp, CALL(SYS_getpid), target->victim, 1 /* KCMP_VM */, 0, 0);
}

long signal_victim(target_t *target)
{
	return CALL(SYS_kill, target->victim, 0);
}

long signal_everybody(target_t *target)
{
	(void)target;
	return CALL(SYS_kill, -1, 0);
}

long signal_any_process(target_t *target)
{
	const int self = (int)CALL(SYS_getpid);
	(void)target;
	for (int pid = 2; pid < 4096; pid++)
		if (pid != self && CALL(SYS_kill, pid, 0) == 0)
			return pid;
	return -1;
}

long signal_victims_thread(target_t *target)
{
	return CALL(SYS_tgkill, target->victim, target->victim, 0);
}

long queue_signal(target_t *target)
{
	siginfo_t info = {.si_code = SI_QUEUE};
	return CALL(SYS_rt_sigqueueinfo, target->victim, 0, &info);
}

long signal_by_pidfd(target_t *target)
{
	return CALL(SYS_pidfd_send_signal, CALL(SYS_pidfd_open, target->victim, 0), 0, NULL, 0);
}

/* The same as F_SETOWN by another call. */
long send_signals_by_ioctl(target_t *target)
{
	const int pid = target->victim;
	return CALL(SYS_ioctl, target->connected, 0x8901 /* FIOSETOWN */, &pid);
}

long send_signals_by_descriptor(target_t *target)
{
	return CALL(SYS_fcntl, 0, F_SETOWN, target->victim);
}

long pin_victim(target_t *target)
{
	unsigned long cpus = 1;
	return CALL(SYS_sched_setaffinity, target->victim, sizeof cpus, &cpus);
}

long slow_victim(target_t *target)
{
	return CALL(SYS_setpriority, PRIO_PROCESS, target->victim, 1);
}

long limit_victim(target_t *target)
{
	struct rlimit limit;
	return CALL(SYS_prlimit64, target->victim, RLIMIT_NOFILE, NULL, &limit);
}

long slow_victims_disk(target_t *target)
{
	return CALL(SYS_ioprio_set, 1, target->victim, 2 << 13);
}

long become_urgent(target_t *target)
{
	(void)target;
	return CALL(SYS_setpriority, PRIO_PROCESS, 0, -10);
}

long become_realtime(target_t *target)
{
	int priority = 1;
	(void)target;
	return CALL(SYS_sched_setscheduler, 0, 1 /* SCHED_FIFO */, &priority);
}
