#include "sandbox/probe.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

static struct probe_item *add(struct probe_report *report, const char *group, const char *name,
	enum probe_state state, const char *value, const char *cost)
{
	if (report->count == PROBE_ITEMS_MAX)
		report->count--; /* a table that outgrew its bound shows in the test */
	struct probe_item *item = &report->items[report->count++];
	*item = (struct probe_item){.group = group, .name = name, .state = state};
	snprintf(item->value, sizeof item->value, "%s", value);
	snprintf(item->cost, sizeof item->cost, "%s", state == PROBE_FINE ? "" : cost);
	return item;
}

/* The first line of a small file, "" when there is none. */
static const char *read_line(const char *path, char *text, size_t size)
{
	cleanup_fclose FILE *file = fopen(path, "re");
	text[0] = '\0';
	if (file && fgets(text, (int)size, file))
		text[strcspn(text, "\n")] = '\0';
	return text;
}

/* ---- the kernel: system calls ---- */

/* With arguments that no kernel accepts: whatever it says, it knows the call. */
static const struct {
	const char *name;
	long number;
	long arguments[6];
	enum probe_state without;
	const char *since, *cost;
} calls[] = {
	{"clone3", SYS_clone3, {0, 0}, PROBE_WEAKER, "Linux 5.7",
		"a process is moved into its control group after its birth, not born there"},
	{"openat2", SYS_openat2, {-1, 0, 0, 0}, PROBE_WEAKER, "Linux 5.6",
		"paths are opened part by part, which takes longer"},
	{"pidfd_open", SYS_pidfd_open, {-1, 0}, PROBE_FATAL, "Linux 5.3",
		"processes cannot be watched without races: tenantd does not start"},
	{"open_tree", SYS_open_tree, {-1, 0, ~0u}, PROBE_MISSING, "Linux 5.2",
		"no mounts can be handed over: no tier full"},
	{"move_mount", SYS_move_mount, {-1, 0, -1, 0}, PROBE_MISSING, "Linux 5.2",
		"no mounts can be handed over: no tier full"},
	{"mount_setattr", SYS_mount_setattr, {-1, 0, ~0u, 0}, PROBE_MISSING, "Linux 5.12",
		"a mount cannot be made read-only as a whole: no tier full"},
	{"close_range", SYS_close_range, {1, 0, 0}, PROBE_WEAKER, "Linux 5.9",
		"descriptors are closed one by one"},
	{"memfd_create", SYS_memfd_create, {0, ~0u}, PROBE_FATAL, "Linux 3.17",
		"there is no page of statistics: tenantd does not start"},
};

static void probe_calls(struct probe_report *report)
{
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		char cost[256];
		const long *a = calls[i].arguments;
		errno = 0;
		long result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
		const int code = result < 0 ? errno : 0;
		if (result > 2)
			close((int)result);
		snprintf(cost, sizeof cost, "%s (needs %s, and a container that lets it through)",
			calls[i].cost, calls[i].since);
		const bool there = code != ENOSYS && code != EPERM;
		add(report, "kernel", calls[i].name, there ? PROBE_FINE : calls[i].without,
			there           ? "yes"
			: code == EPERM ? "forbidden"
					: "no",
			cost);
	}
}

/* ---- the kernel: Landlock, seccomp, namespaces ---- */

static const struct {
	int abi;
	const char *since, *cost;
} landlock_steps[] = {
	{2, "5.19", "files cannot be moved between granted folders"},
	{3, "6.2", "Landlock does not stop truncate"},
	{4, "6.7", "Landlock does not stop TCP"},
	{5, "6.10", "Landlock does not stop ioctl on devices"},
	{6, "6.12", "Landlock does not stop abstract unix sockets and signals"},
	{9, "7.1", "Landlock does not stop unix sockets by path"},
	{10, "7.2", "Landlock does not stop UDP"},
};

static void probe_landlock(struct probe_report *report)
{
	char value[64], cost[320] = "";
	const int abi = sandbox_landlock_abi();
	if (abi < 1) {
		add(report, "kernel", "Landlock", PROBE_FATAL,
			abi == -EOPNOTSUPP ? "switched off at boot" : "no",
			"tenantd does not start: it needs Linux 5.13 with "
			"CONFIG_SECURITY_LANDLOCK and landlock in the lsm= boot parameter");
		return;
	}
	snprintf(value, sizeof value, "ABI %d", abi);
	for (size_t i = 0; i < ARRAY_LENGTH(landlock_steps); i++) {
		size_t used = strlen(cost);
		if (landlock_steps[i].abi > abi)
			snprintf(cost + used, sizeof cost - used, "%s%s (Linux %s)",
				used ? "; " : "", landlock_steps[i].cost, landlock_steps[i].since);
	}
	size_t used = strlen(cost);
	if (used > 0)
		snprintf(cost + used, sizeof cost - used, ": other layers alone do");
	/* Before ABI 4 something is lost that a tenant could use if a mount failed. */
	enum probe_state state = cost[0] == '\0' ? PROBE_FINE : abi < 4 ? PROBE_WEAKER : PROBE_NOTE;
	add(report, "kernel", "Landlock", state, value, cost);
}

static bool has_action(uint32_t action)
{
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static void probe_seccomp(struct probe_report *report)
{
	const bool kill = has_action(SECCOMP_RET_KILL_PROCESS), trap = has_action(SECCOMP_RET_TRAP);
	add(report, "kernel", "seccomp", kill ? PROBE_FINE : PROBE_FATAL, kill ? "filters" : "no",
		"tenantd does not start: it needs CONFIG_SECCOMP_FILTER");
	add(report, "kernel", "seccomp actions", trap ? PROBE_FINE : PROBE_WEAKER,
		has_action(SECCOMP_RET_USER_NOTIF) && has_action(SECCOMP_RET_LOG)
			? "kill, trap, log, notify"
		: trap ? "kill, trap"
		       : "kill",
		"a forbidden system call ends a worker without its name being known");
}

static void probe_namespaces(struct probe_report *report)
{
	static const char *const names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
	char value[128] = "", path[64], text[64];
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		size_t used = strlen(value);
		if (access(path, F_OK) < 0)
			snprintf(value + used, sizeof value - used, "%s%s", used ? ", " : "no ",
				names[i]);
	}
	add(report, "kernel", "namespaces", value[0] ? PROBE_MISSING : PROBE_FINE,
		value[0] ? value : "user, mnt, pid, net, ipc, uts, cgroup",
		"no tier full: a worker would see what is not its own");
	read_line("/proc/sys/user/max_user_namespaces", text, sizeof text);
	const bool off = strcmp(text, "0") == 0;
	snprintf(value, sizeof value, "at most %s", text[0] ? text : "unknown");
	add(report, "kernel", "user namespaces", off ? PROBE_MISSING : PROBE_FINE, value,
		"set the sysctl user.max_user_namespaces to more than 0: no tier full without");
}

/* A child in a user namespace of its own, whose map is written; it waits to be killed. */
static pid_t user_namespace_child(void)
{
	char path[64];
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (child < 0)
		return -errno;
	static const char *const maps[] = {"uid_map", "gid_map"};
	for (size_t i = 0; i < ARRAY_LENGTH(maps); i++) {
		snprintf(path, sizeof path, "/proc/%d/%s", child, maps[i]);
		cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			(void)!write(fd, "0 1 1\n", 6);
	}
	return child;
}

static int try_id_mapped(const char *folder)
{
	char path[64];
	pid_t child = user_namespace_child();
	if (child < 0)
		return child;
	int result = 0;
	snprintf(path, sizeof path, "/proc/%d/ns/user", child);
	cleanup_close int space = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_close int tree =
		(int)syscall(SYS_open_tree, AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (uint64_t)(space < 0 ? 0 : space),
	};
	if (space < 0 || tree < 0 ||
		syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes,
			sizeof attributes) < 0)
		result = -errno;
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return result;
}

static void probe_state_folder(struct probe_report *report, const char *folder)
{
	char value[192];
	if (folder == NULL || geteuid() != 0)
		return;
	if (access(folder, F_OK) < 0)
		folder = "/";
	int result = try_id_mapped(folder);
	snprintf(value, sizeof value, "%s on %s%s%s", result == 0 ? "yes" : "no", folder,
		result < 0 ? ": " : "", result < 0 ? strerror(-result) : "");
	add(report, "kernel", "id-mapped mounts", result == 0 ? PROBE_FINE : PROBE_WEAKER, value,
		"a tenant cannot own what it writes into a granted folder of the operator's: give "
		"it folders on another filesystem (ext4, xfs, btrfs, tmpfs)");
}

/* ---- limits ---- */

/* Is CONTROLLER in some hierarchy of the host? */
static bool has_controller(const char *v2_list, const char *controller)
{
	char path[64];
	const size_t length = strlen(controller);
	for (const char *word = v2_list; *word; word += strspn(word, " ")) {
		const size_t word_length = strcspn(word, " ");
		if (word_length == length && strncmp(word, controller, length) == 0)
			return true;
		word += word_length;
	}
	snprintf(path, sizeof path, "/sys/fs/cgroup/%s/cgroup.procs", controller);
	return access(path, F_OK) == 0;
}

/* Looks at the files only: whether a group may be made shows when a daemon makes one. */
static void probe_cgroups(struct probe_report *report, const char *described, bool lacking)
{
	static const char *const names[] = {"memory", "cpu", "pids"};
	char list[160], value[192], missing[64] = "";
	if (described) {
		add(report, "limits", "control groups", lacking ? PROBE_MISSING : PROBE_FINE,
			described,
			"in the tier container these limits are not enforced; what stays is a "
			"bound on each process's memory (RLIMIT_DATA), on threads "
			"(RLIMIT_NPROC) and on CPU time (limits.request.cpu)");
		return;
	}
	const bool v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	read_line("/sys/fs/cgroup/cgroup.controllers", list, sizeof list);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (!has_controller(list, names[i]))
			snprintf(missing + strlen(missing), sizeof missing - strlen(missing),
				"%s%s", missing[0] ? ", " : "", names[i]);
	snprintf(value, sizeof value, "%s%s%s",
		v2                                                         ? "v2"
		: access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 ? "v1 with v2 beside it"
									   : "v1",
		missing[0] ? ", without " : "", missing);
	add(report, "limits", "control groups", missing[0] ? PROBE_MISSING : PROBE_FINE, value,
		"a tenant has no limits of what is missing: no tier full");
	const bool writable = access("/sys/fs/cgroup", W_OK) == 0;
	if (geteuid() == 0 && !writable)
		add(report, "limits", "groups of our own", PROBE_MISSING,
			"/sys/fs/cgroup is read-only",
			"no limits at all: mount it writable, or delegate a group (Delegate=yes)");
}

static void probe_rlimits(struct probe_report *report)
{
	struct rlimit files = {0}, stack = {0};
	char value[64];
	getrlimit(RLIMIT_NOFILE, &files);
	snprintf(value, sizeof value, "%llu", (unsigned long long)files.rlim_max);
	add(report, "limits", "descriptors", files.rlim_max >= 4096 ? PROBE_FINE : PROBE_WEAKER,
		value, "few tenants can run: about twenty descriptors each (LimitNOFILE=)");
	getrlimit(RLIMIT_STACK, &stack);
	const bool enough = stack.rlim_max >= (65ul << 20);
	if (stack.rlim_max == RLIM_INFINITY)
		snprintf(value, sizeof value, "unlimited");
	else
		snprintf(value, sizeof value, "%llu KiB", (unsigned long long)stack.rlim_max >> 10);
	add(report, "limits", "stack", enough ? PROBE_FINE : PROBE_NOTE, value,
		"limits.stack can be no larger (LimitSTACK=)");
}

/* ---- what this process may ---- */

static const struct {
	unsigned number;
	const char *name;
	enum probe_state without;
	const char *cost;
} capabilities[] = {
	{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", PROBE_MISSING, "no namespaces, no mounts: no tier full"},
	{CAP_SETUID, "CAP_SETUID", PROBE_FATAL, "tenants cannot have ids of their own"},
	{CAP_SETGID, "CAP_SETGID", PROBE_FATAL, "tenants cannot have ids of their own"},
	{CAP_SETPCAP, "CAP_SETPCAP", PROBE_FATAL, "tenants cannot give up all capabilities"},
	{CAP_KILL, "CAP_KILL", PROBE_WEAKER,
		"where cgroup.kill is missing, processes of a tenant cannot be killed"},
	{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", PROBE_WEAKER,
		"grants of files that root alone may not read fail"},
	{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", PROBE_NOTE,
		"tenants cannot listen on ports below 1024"},
	{CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", PROBE_NOTE,
		"limits.files and limits.stack can be no larger than tenantd's own hard limits"},
};

static void probe_capabilities(struct probe_report *report)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {0};
	char value[192];
	unsigned lacking = 0;
	const bool root = geteuid() == 0;
	if (syscall(SYS_capget, &header, sets) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(capabilities); i++) {
		const unsigned number = capabilities[i].number;
		if (sets[number / 32].effective >> (number % 32) & 1)
			continue;
		lacking++;
		/* Another user can still run one program, which is then that user. */
		const bool ids = capabilities[i].without == PROBE_FATAL;
		report->no_ids |= ids;
		snprintf(value, sizeof value, "%s%s", capabilities[i].cost,
			ids && !root ? ": only `tenantd run`, tier single" : "");
		add(report, "daemon", capabilities[i].name,
			ids && !root ? PROBE_MISSING : capabilities[i].without, "no", value);
	}
	snprintf(value, sizeof value, "%zu of the %zu that are used",
		ARRAY_LENGTH(capabilities) - lacking, ARRAY_LENGTH(capabilities));
	add(report, "daemon", "capabilities", PROBE_FINE, value, "");
}

static void probe_uids(struct probe_report *report, uint32_t base, uint32_t count)
{
	unsigned long inside, outside, number;
	bool covered = false;
	char value[96];
	cleanup_fclose FILE *file = fopen("/proc/self/uid_map", "re");
	if (file == NULL || count == 0)
		return;
	while (fscanf(file, "%lu %lu %lu", &inside, &outside, &number) == 3)
		covered |= base >= inside && (unsigned long)base + count <= inside + number;
	snprintf(value, sizeof value, "%u-%u", base, base + count - 1);
	add(report, "daemon", "user ids", covered ? PROBE_FINE : PROBE_MISSING, value,
		"they are not mapped into this user namespace: choose others with --uid-base and "
		"--uid-count");
}

/* ---- the host ---- */

static void probe_core(struct probe_report *report)
{
	char text[128];
	read_line("/proc/sys/kernel/core_pattern", text, sizeof text);
	add(report, "host", "core dumps", text[0] == '|' ? PROBE_NOTE : PROBE_FINE,
		text[0] ? text : "none",
		"a program gets them on the host; workers have none of their own (RLIMIT_CORE 1)");
}

static void probe_swap(struct probe_report *report)
{
	char text[256];
	cleanup_fclose FILE *file = fopen("/proc/swaps", "re");
	const bool some = file && fgets(text, sizeof text, file) && fgets(text, sizeof text, file);
	add(report, "host", "swap", some ? PROBE_NOTE : PROBE_FINE, some ? "yes" : "none",
		"secrets in memory may reach the disk: encrypt it");
}

static void probe_pointers(struct probe_report *report)
{
	char text[64];
	read_line("/proc/sys/kernel/kptr_restrict", text, sizeof text);
	add(report, "host", "kernel addresses", strcmp(text, "0") == 0 ? PROBE_NOTE : PROBE_FINE,
		strcmp(text, "0") == 0 ? "shown (kernel.kptr_restrict=0)" : "hidden",
		"workers have no /proc to read them from; other programs of the host do");
}

/* Is it one that every byte waits for? Not a screen's, nor one that throws away. */
static bool is_serial(const char *console)
{
	if (strncmp(console, "hvc", 3) == 0)
		return true;
	return strncmp(console, "tty", 3) == 0 && strcmp(console, "ttynull0") != 0 &&
	       !(console[3] >= '0' && console[3] <= '9');
}

/* The names of the serial consoles that kernel messages go to: "ttyS0, ttyS1" (console
 * drivers' flags: E is enabled; Documentation/filesystems/proc.rst). */
static void find_serial(const char *folder, char *names, size_t size)
{
	char path[PATH_MAX], line[256], name[32], ways[8], flags[16];
	snprintf(path, sizeof path, "%s/consoles", folder);
	cleanup_fclose FILE *file = fopen(path, "re");
	names[0] = '\0';
	while (file && fgets(line, sizeof line, file)) {
		const char *open = strchr(line, '(');
		if (open == NULL || sscanf(line, "%31s %7s", name, ways) != 2 ||
			sscanf(open, "(%15[^)])", flags) != 1)
			continue;
		if (!strchr(ways, 'W') || !strchr(flags, 'E') || !is_serial(name))
			continue;
		const size_t used = strlen(names);
		snprintf(names + used, size - used, "%s%s", used ? ", " : "", name);
	}
}

/* Each kill over a memory limit is worth a message of level 3 (KERN_ERR), which the kernel
 * writes out byte by byte, with interrupts off, before it does anything else. Measured: the
 * p99 of the neighbours of a tenant that is killed in a loop goes from 0.5 to 2 ms. */
static void probe_console(struct probe_report *report, const char *proc)
{
	char path[PATH_MAX], text[64], names[96], value[192];
	find_serial(proc, names, sizeof names);
	snprintf(path, sizeof path, "%s/sys/kernel/printk", proc);
	read_line(path, text, sizeof text);
	const int level = atoi(text);
	const bool loud = names[0] && level > LOG_ERR;
	if (text[0] == '\0')
		snprintf(value, sizeof value, "unknown");
	else
		snprintf(value, sizeof value, "to %s, below level %d",
			names[0] ? names : "no serial console", level);
	add(report, "host", "kernel messages", loud ? PROBE_WEAKER : PROBE_FINE, value,
		"each kill of a tenant over its memory limit stops all cores while the kernel "
		"writes of it to the serial console: milliseconds for all tenants. Set the sysctl "
		"kernel.printk=3, or boot without that console=");
}

static void probe_lsm(struct probe_report *report)
{
	char text[160];
	read_line("/sys/kernel/security/lsm", text, sizeof text);
	add(report, "host", "security modules", PROBE_FINE, text[0] ? text : "unknown", "");
	read_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", text, sizeof text);
	if (strcmp(text, "1") == 0)
		add(report, "host", "AppArmor", geteuid() == 0 ? PROBE_FINE : PROBE_MISSING,
			"restricts user namespaces of unprivileged programs",
			"tenantd must be started as root");
}

static void probe_machine(struct probe_report *report)
{
	char text[64];
	struct utsname names;
	unsigned major = 0, minor = 0;
	uname(&names);
	(void)sscanf(names.release, "%u.%u", &major, &minor);
	add(report, "kernel", "Linux", major * 1000 + minor >= 5013 ? PROBE_FINE : PROBE_FATAL,
		names.release, "tenantd needs Linux 5.13");
	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", text,
		sizeof text);
	const bool fast = strcmp(text, "tsc") == 0 || strcmp(text, "kvm-clock") == 0 ||
			  strcmp(text, "arch_sys_counter") == 0 || text[0] == '\0';
	add(report, "host", "clock", fast ? PROBE_FINE : PROBE_NOTE, text[0] ? text : "unknown",
		"reading the time is a system call: slower requests");
	int key = (int)syscall(SYS_pkey_alloc, 0, 0);
	if (key >= 0)
		syscall(SYS_pkey_free, key);
	add(report, "host", "memory protection keys", PROBE_FINE,
		key >= 0 ? "yes, not used" : "none, not used", "");
}

/* ---- all ---- */

void probe_run(const struct probe_options *options, struct probe_report *ret_report)
{
	struct probe_report *report = ret_report;
	report->count = 0;
	report->no_ids = false;
	probe_machine(report);
	probe_namespaces(report);
	probe_landlock(report);
	probe_seccomp(report);
	probe_calls(report);
	probe_state_folder(report, options->state_folder);
	probe_cgroups(report, options->cgroups, options->limits_missing);
	probe_rlimits(report);
	probe_capabilities(report);
	probe_uids(report, options->uid_base, options->uid_count);
	probe_lsm(report);
	probe_core(report);
	probe_swap(report);
	probe_pointers(report);
	probe_console(report, options->proc ? options->proc : "/proc");
}

enum tier probe_tier(const struct probe_report *report)
{
	enum tier tier = TIER_FULL;
	for (size_t i = 0; i < report->count; i++) {
		if (report->items[i].state == PROBE_FATAL)
			return TIER_NONE;
		if (report->items[i].state == PROBE_MISSING)
			tier = TIER_CONTAINER;
	}
	return report->no_ids ? TIER_SINGLE : tier;
}

const char *probe_state_name(enum probe_state state)
{
	static const char *const names[] = {
		[PROBE_FINE] = "fine",
		[PROBE_NOTE] = "note",
		[PROBE_WEAKER] = "weaker",
		[PROBE_MISSING] = "missing",
		[PROBE_FATAL] = "fatal",
	};
	return names[state];
}
