/* The table of attacks. Each act is a few lines in one of the other files: the shortest
 * way to the thing that must not happen. What only shows that the kernel's code can be
 * reached is in the table alone (PROBE). */
#include "attack_acts.h"

#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/shm.h>
#include <sys/socket.h>

/* ---- the table ---- */

#define ONLY ATTACK_SECCOMP_ONLY
#define NONE ATTACK_NO_CONTROL
#define ACT(id, name, function, flags) {id, name, function, flags, 0, {0}}
#define SOCKET(name, family, type, protocol)                                                       \
	{                                                                                          \
		"E14", "socket " name, NULL, ONLY, SYS_socket,                                     \
		{                                                                                  \
			family, type, protocol                                                     \
		}                                                                                  \
	}
#define PROBE(name, ...)                                                                           \
	{                                                                                          \
		"E16", #name, NULL, ATTACK_PROBE, SYS_##name,                                      \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

const struct attack attacks[] = {
	ACT("E01", "open /proc/self/exe", open_own_program, 0),
	ACT("E01", "open /proc/PID/exe", open_parents_program, 0),
	ACT("E02", "a leaked descriptor", find_leaked_descriptor, 0),
	ACT("E02", "open through a descriptor", open_through_descriptors, 0),
	ACT("E03", "open a file of the host", open_outside, 0),
	ACT("E03", "stat a file of the host", stat_outside, 0),
	ACT("E03", "../../... to a file of the host", walk_up, 0),
	ACT("E03", "openat(.., 64 times)", walk_up_from_own_folder, 0),
	ACT("E04", "chroot", change_root, 0),
	ACT("E04", "mount tmpfs", mount_tmpfs, 0),
	ACT("E04", "mount proc", mount_proc, 0),
	ACT("E04", "remount read-write", remount_writable, 0),
	ACT("E04", "mount_setattr read-write", set_mount_writable, 0),
	ACT("E04", "open_tree clone", clone_mount, 0),
	ACT("E04", "umount", unmount_root, 0),
	ACT("E04", "fsopen", make_filesystem, 0),
	/* Not in every kernel. */
	ACT("E06", "open /proc/sysrq-trigger", open_sysrq, NONE),
	ACT("E06", "open core_pattern", open_core_pattern, 0),
	ACT("E06", "open /proc/kcore", open_kcore, NONE),
	ACT("E06", "open /sys", open_sys, 0),
	ACT("E06", "open the cgroup tree", open_cgroups, 0),
	ACT("E06", "open /dev/kmsg", open_memory_device, 0),
	ACT("E06", "open /dev/null", open_null, 0),
	ACT("E07", "TIOCSTI", type_ahead, 0),
	ACT("E07", "TIOCSTI, bit 32 set", type_ahead_high_bit, 0),
	ACT("E07", "TIOCLINUX", paste_console, NONE),
	ACT("E07", "TIOCSCTTY", take_terminal, 0),
	ACT("E08", "unshare user", unshare_user, 0),
	ACT("E08", "unshare user and net", unshare_user_and_net, 0),
	ACT("E08", "unshare mounts", unshare_mounts, 0),
	ACT("E08", "unshare pid", unshare_pid, 0),
	ACT("E08", "unshare net", unshare_net, 0),
	ACT("E08", "unshare ipc", unshare_ipc, 0),
	ACT("E08", "unshare uts", unshare_uts, 0),
	ACT("E08", "unshare cgroup", unshare_cgroup, 0),
	ACT("E08", "clone a user namespace", clone_user_namespace, 0),
	ACT("E09", "setresuid 0", become_root, 0),
	ACT("E09", "setresgid 0", become_root_group, 0),
	ACT("E09", "setgroups", join_groups, 0),
	ACT("E09", "capset", raise_capabilities, 0),
	ACT("E09", "clear securebits", clear_securebits, 0),
	ACT("E09", "PR_SET_DUMPABLE", become_dumpable, ONLY),
	ACT("E09", "clear the parent-death signal", outlive_supervisor, ONLY),
	ACT("E10", "ptrace", trace_victim, 0),
	ACT("E10", "process_vm_readv", read_victim, 0),
	ACT("E10", "process_vm_writev", write_victim, 0),
	ACT("E10", "open /proc/PID/mem", open_victims_memory, 0),
	ACT("E10", "pidfd_open", hold_victim, 0),
	ACT("E10", "pidfd_getfd", steal_descriptor, 0),
	ACT("E10", "kcmp", compare_victim, 0),
	ACT("E11", "kill a process", signal_victim, 0),
	ACT("E11", "kill -1", signal_everybody, 0),
	ACT("E11", "kill any pid", signal_any_process, 0),
	ACT("E11", "tgkill", signal_victims_thread, 0),
	ACT("E11", "rt_sigqueueinfo", queue_signal, 0),
	ACT("E11", "F_SETOWN", send_signals_by_descriptor, 0),
	ACT("E12", "sched_setaffinity of another", pin_victim, 0),
	ACT("E12", "setpriority of another", slow_victim, 0),
	/* Needs CAP_SYS_RESOURCE, which root in a container or VM often lacks. */
	ACT("E12", "prlimit of another", limit_victim, NONE),
	ACT("E12", "ioprio_set of another", slow_victims_disk, 0),
	ACT("E12", "raise own priority", become_urgent, 0),
	ACT("E12", "real-time priority", become_realtime, 0),
	ACT("E13", "connect to an abstract unix socket", connect_abstract, 0),
	ACT("E13", "connect to a unix socket by path", connect_path, 0),
	ACT("E14", "connect by TCP", connect_tcp, 0),
	ACT("E14", "connect by MPTCP", connect_mptcp, 0),
	ACT("E14", "bind TCP", bind_tcp, 0),
	/* Reaches nobody: it listens in a network namespace of its own. */
	ACT("E14", "listen without bind", listen_unbound, ONLY),
	ACT("E14", "send by UDP", send_udp, 0),
	ACT("E14", "connect by MSG_FASTOPEN", send_fastopen, 0),
	ACT("E14", "reuse the listener: connect", reuse_listener_connect, 0),
	/* Linux before 7.2: Landlock does not see MSG_FASTOPEN. */
	ACT("E14", "reuse the listener: sendto", reuse_listener_sendto, ONLY),
	ACT("E14", "reuse the listener: sendmsg", reuse_listener_sendmsg, ONLY),
	ACT("E14", "reuse the listener: sendmmsg", reuse_listener_sendmmsg, ONLY),
	ACT("E14", "reuse the listener: unbind", reuse_listener_bind, ONLY),
	ACT("E14", "TCP_FASTOPEN_CONNECT", connect_on_first_write, ONLY),
	ACT("E14", "SO_MARK", mark_socket, 0),
	SOCKET("inet stream", AF_INET, SOCK_STREAM, 0),
	SOCKET("inet datagram", AF_INET, SOCK_DGRAM, 0),
	{"E14", "socket inet raw", NULL, 0, SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_TCP}},
	SOCKET("inet MPTCP", AF_INET, SOCK_STREAM, 262),
	SOCKET("inet SCTP", AF_INET, SOCK_STREAM, 132),
	SOCKET("inet UDP-Lite", AF_INET, SOCK_DGRAM, 136),
	SOCKET("inet DCCP", AF_INET, 6, 33),
	SOCKET("inet6 stream", AF_INET6, SOCK_STREAM, 0),
	SOCKET("inet6 datagram", AF_INET6, SOCK_DGRAM, 0),
	SOCKET("unix", AF_UNIX, SOCK_STREAM, 0),
	SOCKET("netlink", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
	{"E14", "socket packet", NULL, 0, SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
	SOCKET("vsock", AF_VSOCK, SOCK_STREAM, 0),
	SOCKET("alg", AF_ALG, SOCK_SEQPACKET, 0),
	SOCKET("xdp", AF_XDP, SOCK_RAW, 0),
	SOCKET("key", AF_KEY, SOCK_RAW, 2),
	SOCKET("smc", AF_SMC, SOCK_STREAM, 0),
	SOCKET("bluetooth", AF_BLUETOOTH, SOCK_RAW, 1),
	{"E14", "socketpair", NULL, ATTACK_PROBE, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 1}},
	ACT("E15", "io_uring", make_ring, ONLY),
	ACT("E16", "memfd", make_anonymous_file, ONLY),
	ACT("E16", "userfaultfd", make_user_fault_descriptor, ONLY),
	ACT("E16", "add_key", add_key, ONLY),
	ACT("E16", "personality", weaken_layout, ONLY),
	ACT("E16", "shmget", share_memory, ONLY),
	ACT("E16", "seccomp", nest_filter, ONLY),
	PROBE(bpf, 0, 1, 64),
	PROBE(perf_event_open, 1, 0, -1, -1, 0),
	PROBE(keyctl, KEYCTL_READ, -1, 1, 1),
	PROBE(request_key, 1, 1, 1, 0),
	PROBE(io_uring_enter, -1, 1, 0, 0, 0, 0),
	PROBE(io_uring_register, -1, 0, 1, 1),
	PROBE(memfd_secret, -1),
	PROBE(open_by_handle_at, -1, 1, 0),
	PROBE(name_to_handle_at, -1, 1, 1, 1, 0),
	PROBE(fanotify_mark, -1, 0, 0, -1, 1),
	PROBE(quotactl, 0, 1, 0, 1),
	PROBE(swapon, 1, 0),
	PROBE(acct, 1),
	PROBE(init_module, 1, 1, 1),
	PROBE(finit_module, -1, 1, 0),
	PROBE(delete_module, 1, 0),
	PROBE(kexec_load, 0, 1, 1, 0),
	PROBE(process_madvise, -1, 1, 1, 4, 0),
	PROBE(move_pages, 0, 1, 1, 1, 1, 0),
	PROBE(mbind, 1, 4096, 0, 1, 64, 0),
	PROBE(set_mempolicy, -1, 1, 64),
	PROBE(migrate_pages, -1, 64, 1, 1),
	PROBE(vmsplice, -1, 1, 1, 0),
	PROBE(splice, -1, 0, -1, 0, 1, 0),
	PROBE(tee, -1, -1, 1, 0),
	PROBE(sendfile, -1, -1, 1, 1),
	PROBE(copy_file_range, -1, 1, -1, 1, 1, 0),
	PROBE(move_mount, -1, 1, -1, 1, 0),
	PROBE(fsconfig, -1, 0, 1, 1, 0),
	PROBE(fsmount, -1, 0, 0),
	PROBE(fspick, -1, 1, 0),
	PROBE(pivot_root, 1, 1),
	PROBE(setns, -1, 0),
	PROBE(landlock_create_ruleset, 1, 8, 0),
	PROBE(landlock_add_rule, -1, 1, 1, 0),
	PROBE(landlock_restrict_self, -1, 0),
	PROBE(openat2, AT_FDCWD, 1, 1, 24),
	PROBE(clone3, 1, 88),
	PROBE(pidfd_send_signal, -1, 0, 0, 0),
	PROBE(pidfd_getfd, -1, 0, 0),
	PROBE(futex_waitv, 1, 1, 0, 0, 0),
	PROBE(mincore, 1, 1, 1),
	PROBE(remap_file_pages, 1, 1, 1, 1, 1),
	PROBE(shmat, -1, 0, SHM_EXEC),
	PROBE(msgget, -2, 0),
	PROBE(semget, -2, -1, 0),
	PROBE(mq_open, 1, 0, 0, 0),
	PROBE(timer_create, -1, 1, 1),
	PROBE(timerfd_create, -1, 0),
	PROBE(signalfd4, -1, 1, 8, 0),
	PROBE(inotify_add_watch, -1, 1, 1),
	PROBE(getsockopt, -1, SOL_SOCKET, SO_PEERCRED, 1, 1),
	PROBE(sendmmsg, -1, 1, 1, 0),
	PROBE(recvmmsg, -1, 1, 1, 0, 1),
	PROBE(capget, 1, 1),
	PROBE(sched_setattr, 0, 1, 0),
	PROBE(uname, 1),
	PROBE(statfs, 1, 1),
	PROBE(sysfs, 1, 1),
	PROBE(ustat, 0, 1),
	PROBE(getpgid, -1),
	PROBE(fallocate, -1, 0, 0, 1),
	PROBE(ftruncate, -1, 0),
	PROBE(sync_file_range, -1, 0, 1, 0),
	PROBE(readahead, -1, 0, 1),
	PROBE(fchdir, -1),
	PROBE(chdir, 1),
	PROBE(dup2, -1, 5),
	PROBE(kill, 0x7fffffff, 0),
	PROBE(wait4, -1, 1, 0, 0),
	PROBE(waitid, 3 /* P_PIDFD */, -1, 1, 4, 0),
#ifdef __x86_64__
	PROBE(modify_ldt, 0, 1, 8),
	PROBE(arch_prctl, 0x1003 /* ARCH_GET_FS */, 1),
	PROBE(ioperm, -1, -1, 1),
	PROBE(iopl, 4),
#endif
	ACT("E17", "int 0x80", call_i386, ONLY),
	/* Most kernels are built without x32. */
	ACT("E17", "x32", call_x32, NONE),
	ACT("E17", "a number with high bits", call_with_high_number, ONLY),
	{"E17", "call -1", NULL, NONE, -1, {0}},
	{"E17", "call 0xffffffff", NULL, NONE, 0xffffffff, {0}},
	{"E17", "call 600", NULL, NONE, 600, {0}},
	ACT("E18", "execve", execute_file, 0),
	ACT("E18", "execveat of a memfd", execute_anonymous_file, 0),
	ACT("E18", "map a file as code", map_file_executable, 0),
	ACT("E19", "fork", fork_process, ONLY),
	ACT("E19", "vfork", vfork_process, ONLY),
	ACT("E19", "clone", clone_process, ONLY),
	ACT("E19", "clone3", clone3_process, ONLY),
	ACT("E20", "mmap writable code", map_writable_code, ATTACK_JITLESS | ONLY),
	ACT("E20", "mprotect to code", make_executable, ATTACK_JITLESS | ONLY),
	ACT("E20", "pkey_mprotect to code", make_executable_by_key, ATTACK_JITLESS | ONLY),
	ACT("E21", "mlock", lock_memory, 0),
	ACT("E21", "raise the limit of descriptors", raise_file_limit, NONE),
	ACT("E22", "create a file", create_file, 0),
	ACT("E22", "create a file in /", create_in_root, 0),
	ACT("E22", "create an unnamed file", create_unnamed_file, 0),
	ACT("E22", "open for writing", open_for_writing, 0),
	ACT("E22", "O_TRUNC", truncate_on_open, 0),
	ACT("E22", "truncate", truncate_file, 0),
	ACT("E22", "mkdir", make_folder, 0),
	ACT("E22", "link", make_link, 0),
	ACT("E22", "symlink", make_symlink, 0),
	ACT("E22", "mknod", make_device, 0),
	ACT("E22", "rename", rename_file, 0),
	ACT("E22", "unlink", remove_file, 0),
	ACT("E22", "chmod u+s", change_mode, 0),
	ACT("E22", "chown", change_owner, 0),
	ACT("E22", "utimes", change_times, 0),
	ACT("E22", "setxattr", set_attribute, 0),
	ACT("E22", "inotify", watch_file, ONLY),
	ACT("E22", "name_to_handle_at", make_handle, ONLY),
	ACT("E23", "open /proc/self/environ", open_environment, 0),
	ACT("E23", "open /proc/self/maps", open_maps, 0),
	ACT("E23", "raise the core limit", raise_core_limit, 0),
};
const size_t attack_count = sizeof attacks / sizeof attacks[0];

bool attack_is_policy_error(int code)
{
	return code == EPERM || code == EACCES || code == ENOSYS || code == ENOENT ||
	       code == EROFS || code == ENOTTY;
}

int attack_run(const struct attack *attack, const struct attack_target *target, int *ret_code)
{
	errno = 0;
	const long *arguments = attack->arguments;
	long result = attack->act ? attack->act(target)
				  : syscall(attack->number, arguments[0], arguments[1],
					    arguments[2], arguments[3], arguments[4], arguments[5]);
	*ret_code = result < 0 ? errno : 0;
	if (result >= 0)
		return 1;
	/* It reached the kernel's code, which then did not like the arguments. */
	return (attack->flags & ATTACK_PROBE) && errno != EPERM && errno != ENOSYS;
}
