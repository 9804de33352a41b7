/* without WHAT… -- COMMAND [ARGUMENT…]: runs COMMAND on a host that lacks something, to see
 * what a program does there. WHAT is the name of a system call, which then fails with ENOSYS,
 * or one of the features below. Needs root; no_new_privs is not set, so that COMMAND is as
 * privileged as it was, but for what is taken away. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static scmp_filter_ctx filter;

_Noreturn static void die(const char *what, int code)
{
	fprintf(stderr, "without: %s: %s\n", what, strerror(code));
	exit(125);
}

/* A call that this architecture or this libseccomp has no name for is gone already. */
static void refuse(const char *name, int code)
{
	int number = seccomp_syscall_resolve_name(name);
	if (number < 0)
		return;
	int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)code), number, 0);
	if (result < 0)
		die(name, -result);
}

static void refuse_all(const char *const *names, int code)
{
	for (; *names; names++)
		refuse(*names, code);
}

/* ---- the kernel ---- */

static void take_landlock(void)
{
	static const char *const calls[] = {
		"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", NULL};
	refuse_all(calls, ENOSYS);
}

/* ---- control groups ---- */

static void own_mounts(void)
{
	static bool done;
	if (done)
		return;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("a mount namespace", errno);
	done = true;
}

struct hierarchy {
	bool v2;
	char path[256];
};

static size_t list_hierarchies(struct hierarchy *list, size_t most)
{
	size_t count = 0;
	char line[1024], path[256], type[64];
	FILE *file = fopen("/proc/self/mounts", "re");
	if (file == NULL)
		die("/proc/self/mounts", errno);
	while (count < most && fgets(line, sizeof line, file)) {
		if (sscanf(line, "%*s %255s %63s", path, type) != 2 ||
			strncmp(type, "cgroup", 6) != 0)
			continue;
		list[count].v2 = strcmp(type, "cgroup2") == 0;
		memcpy(list[count++].path, path, sizeof path);
	}
	fclose(file);
	return count;
}

static void unmount_hierarchies(bool v2)
{
	struct hierarchy list[32];
	own_mounts();
	for (size_t i = list_hierarchies(list, LENGTH(list)); i > 0; i--)
		if (list[i - 1].v2 == v2 && umount2(list[i - 1].path, MNT_DETACH) < 0)
			die(list[i - 1].path, errno);
}

static void take_cgroup_v1(void)
{
	unmount_hierarchies(false);
}

static void take_cgroup_v2(void)
{
	unmount_hierarchies(true);
}

static void freeze_cgroups(void)
{
	struct hierarchy list[32];
	const unsigned long inert = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	own_mounts();
	for (size_t i = list_hierarchies(list, LENGTH(list)); i > 0; i--)
		if (mount(NULL, list[i - 1].path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | inert,
			    NULL) < 0)
			die(list[i - 1].path, errno);
}

/* ---- a default container ---- */

/* What moby's default profile (profiles/seccomp/default.json) refuses to who has only docker's
 * default capabilities. There it is a list of what is allowed; this is what is left over. */
static const char *const docker_refuses[] = {"acct", "add_key", "bpf", "clock_adjtime",
	"clock_settime", "create_module", "delete_module", "fanotify_init", "finit_module",
	"fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy",
	"init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
	"kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "lsm_set_self_attr", "mbind",
	"mount", "mount_setattr", "move_mount", "move_pages", "nfsservctl", "open_by_handle_at",
	"open_tree", "perf_event_open", "pivot_root", "process_madvise", "query_module", "quotactl",
	"quotactl_fd", "reboot", "request_key", "set_mempolicy", "set_mempolicy_home_node",
	"setdomainname", "sethostname", "setns", "settimeofday", "stime", "swapoff", "swapon",
	"sysfs", "syslog", "umount", "umount2", "unshare", "uselib", "userfaultfd", "ustat",
	"vhangup", "vm86", "vm86old", NULL};

/* Of clone: its flags for new namespaces. clone3's are in memory, where no filter can look. */
#define NAMESPACES 0x7e020000u

static const unsigned docker_capabilities[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER,
	CAP_MKNOD, CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_SETPCAP,
	CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE};

static unsigned long long capabilities_left = ~0ull;

static void be_in_docker(void)
{
	freeze_cgroups();
	refuse_all(docker_refuses, EPERM);
	refuse("clone3", ENOSYS);
	/* Any of them: a rule for each. */
	for (unsigned bit = 1; bit; bit <<= 1)
		if (bit & NAMESPACES &&
			seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, bit, bit)) < 0)
			die("clone", EINVAL);
	static const int families[] = {AF_VSOCK, AF_ALG};
	for (size_t i = 0; i < LENGTH(families); i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
			    SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)families[i])) < 0)
			die("socket", EINVAL);
	capabilities_left = 0;
	for (size_t i = 0; i < LENGTH(docker_capabilities); i++)
		capabilities_left |= 1ull << docker_capabilities[i];
}

/* root without an own uid to give, as in `--cap-drop ALL`. */
static void take_setuid(void)
{
	capabilities_left &= ~(1ull << CAP_SETUID);
}

/* The exec makes root's set of what is left in the bounding set. */
static void drop_capabilities(void)
{
	for (unsigned number = 0; number < 64; number++)
		if (!(capabilities_left >> number & 1) &&
			prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 && errno != EINVAL)
			die("the bounding set", errno);
}

/* ---- all ---- */

static const struct {
	const char *name, *text;
	void (*take)(void);
} features[] = {
	{"landlock", "as a kernel that was built or booted without", take_landlock},
	{"cgroup-v1", "its hierarchies are not mounted", take_cgroup_v1},
	{"cgroup-v2", "its hierarchy is not mounted", take_cgroup_v2},
	{"writable-cgroups", "they can be seen and not be changed", freeze_cgroups},
	{"setuid", "the capability", take_setuid},
	{"what-docker-denies", "by its default seccomp profile and capabilities", be_in_docker},
};

static void take(const char *name)
{
	for (size_t i = 0; i < LENGTH(features); i++)
		if (strcmp(features[i].name, name) == 0) {
			features[i].take();
			return;
		}
	if (seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR)
		die(name, EINVAL);
	refuse(name, ENOSYS);
}

static void usage(void)
{
	fprintf(stderr, "usage: without WHAT... -- COMMAND [ARGUMENT...]\n"
			"WHAT is a system call, or:\n");
	for (size_t i = 0; i < LENGTH(features); i++)
		fprintf(stderr, "  %-18s %s\n", features[i].name, features[i].text);
	exit(125);
}

int main(int argc, char **argv)
{
	int next = 1;
	filter = seccomp_init(SCMP_ACT_ALLOW);
	if (filter == NULL)
		die("a filter", ENOMEM);
	/* Root may filter without giving up what setuid programs would give. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	/* Other ABIs are there as before: COMMAND must refuse them itself. */
	seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	while (next < argc && strcmp(argv[next], "--") != 0)
		take(argv[next++]);
	if (next + 1 >= argc)
		usage();
	/* The filter first, which takes CAP_SYS_ADMIN. */
	int result = seccomp_load(filter);
	if (result < 0)
		die("the filter", -result);
	drop_capabilities();
	execvp(argv[next + 1], argv + next + 1);
	die(argv[next + 1], errno);
}
