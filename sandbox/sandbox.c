/* The confinement of one process, in order. Each step says what it stops and why it
 * stands where it stands; the order is the consensus of bubblewrap, runc, minijail,
 * nsjail and systemd, and most of it is forced: a step needs what a later one takes
 * away. There is no way back and no way to go on without one of them: the caller of a
 * failed step exits.
 *
 * What the tiers have is the first column of the two lists here, and three more things
 * (tier single is container without what takes capabilities: ids, bounding set, securebits):
 *
 *                        full                            container, single
 *   spawn.c              seven new namespaces, id maps   a plain child
 *   seccomp.c            may signal its pid 1, watch     may signal its own pid; no inotify
 *                        granted files
 *   grant.c              a mount for each grant          a descriptor for each grant
 *   check.c              no file of the host is there    none can be opened
 */
#include "sandbox/sandbox.h"
#include "common/cleanup.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define KEEP_MAX 128

#define FULL (1u << TIER_FULL)
#define CONTAINER (1u << TIER_CONTAINER)
#define SINGLE (1u << TIER_SINGLE)
#define BARE (CONTAINER | SINGLE) /* no namespaces, no mounts */
#define ROOTED (FULL | CONTAINER) /* what takes capabilities */
#define ALL (FULL | CONTAINER | SINGLE)

static unsigned bit_of(unsigned tier)
{
	return tier_is_bare(tier) ? 1u << tier : FULL;
}

/* ---- all that needs no tenant: a stock worker waits behind it ---- */

static int keep_no_core(int channel, struct error *error)
{
	(void)channel;
	return limits_no_core(error);
}

static int become_undumpable(int channel, struct error *error)
{
	(void)channel;
	return identity_not_dumpable(error);
}

static int leave_session(int channel, struct error *error)
{
	(void)channel;
	return supervisor_leave_session(error);
}

static int make_mounts_private(int channel, struct error *error)
{
	(void)channel;
	return root_private(error);
}

static int replace_root(int channel, struct error *error)
{
	static const char *const folders[] = {"app", NULL};
	(void)channel;
	return root_replace(&(struct root_options){.folders = folders}, error);
}

static int hide_hostname(int channel, struct error *error)
{
	(void)channel;
	return root_hostname(error);
}

static const struct {
	unsigned tiers;
	int (*take)(int channel, struct error *error);
} preparing[] = {
	/* An orphan would run with nobody to limit or to stop it. First, so that a
	 * supervisor that dies during any later step takes us with it. */
	{ALL, supervisor_watch},

	/* Memory of the zygote and of tenants must not reach a core file or a core_pattern
	 * program. Before anything that could crash. */
	{ALL, keep_no_core},
	{ALL, become_undumpable},

	/* The session's terminal takes typed-ahead commands (TIOCSTI, CVE-2017-5226), its
	 * process group takes signals, its keyring holds keys. Before the tenant's
	 * descriptors, one of which may be that terminal, arrive. */
	{ALL, leave_session},

	/* A mount made here must not appear on the host. Before the first mount. */
	{FULL, make_mounts_private},

	/* Every path of the host, /proc, /sys and /dev included, ceases to exist. While
	 * capabilities over the own mount namespace are still there. In a container Landlock
	 * alone keeps them from being opened. */
	{FULL, replace_root},

	/* The host's name says who else may live here. Needs CAP_SYS_ADMIN over the own
	 * uts namespace, like the mounts. */
	{FULL, hide_hostname},
};

int sandbox_prepare(enum tier tier, int channel, struct error *error)
{
	int result = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(preparing) && result == 0; i++)
		if (preparing[i].tiers & bit_of(tier))
			result = preparing[i].take(channel, error);
	return result;
}

/* ---- becoming the tenant: each step by itself ---- */

/* What the steps hand on. */
struct entering {
	const struct sandbox_enter *as;
	int ruleset; /* Landlock's, from its making to its use */
};

static int mount_release(struct entering *entering, struct error *error)
{
	return entering->as->release < 0 ? 0 : root_mount_release(entering->as->release, error);
}

static int make_mounts(struct entering *entering, struct error *error)
{
	return mounts_make(entering->as, error);
}

static int go_to_release(struct entering *entering, struct error *error)
{
	return shared_root_enter(entering->as->release, error);
}

static int make_ruleset(struct entering *entering, struct error *error)
{
	entering->ruleset = worker_landlock_prepare(entering->as, error);
	return entering->ruleset < 0 ? entering->ruleset : 0;
}

/* All but the tenant's descriptors and the ruleset, which becomes the last of them. */
static int close_others(struct entering *entering, struct error *error)
{
	int keep[KEEP_MAX];
	size_t count = entering->as->keep_count;
	if (count >= KEEP_MAX)
		return error_set(error, E2BIG, "%zu descriptors to keep", count);
	memcpy(keep, entering->as->keep, count * sizeof *keep);
	if (entering->ruleset >= 0) {
		int last =
			fcntl(entering->ruleset, F_DUPFD_CLOEXEC, count ? keep[count - 1] + 1 : 3);
		if (last < 0)
			return error_errno(error, errno, "cannot keep the Landlock ruleset");
		close_fd(&entering->ruleset);
		entering->ruleset = last;
		keep[count++] = last;
	}
	return fds_close_others(keep, count, error);
}

static int limit_resources(struct entering *entering, struct error *error)
{
	return limits_apply(entering->as->files, error);
}

static int limit_without_cgroups(struct entering *entering, struct error *error)
{
	/* In tier single its user has other processes: ours, and those of other containers. */
	const uint32_t threads = entering->as->tier == TIER_SINGLE ? 0 : entering->as->threads;
	return limits_without_cgroups(entering->as->memory_bytes, threads, error);
}

static int drop_bounding(struct entering *entering, struct error *error)
{
	(void)entering;
	return identity_drop_bounding(error);
}

static int lock_securebits(struct entering *entering, struct error *error)
{
	(void)entering;
	return identity_lock_securebits(error);
}

static int change_ids(struct entering *entering, struct error *error)
{
	return identity_become(entering->as->uid, error);
}

static int stay_unprivileged(struct entering *entering, struct error *error)
{
	return identity_is(entering->as->uid, error);
}

static int drop_capabilities(struct entering *entering, struct error *error)
{
	(void)entering;
	return identity_drop_capabilities(error);
}

static int become_undumpable_again(struct entering *entering, struct error *error)
{
	(void)entering;
	return identity_not_dumpable(error);
}

static int watch_supervisor_again(struct entering *entering, struct error *error)
{
	return supervisor_watch(entering->as->channel > 0 ? entering->as->channel : -1, error);
}

static int forbid_new_privileges(struct entering *entering, struct error *error)
{
	(void)entering;
	return identity_no_new_privileges(error);
}

static int verify_folder(struct entering *entering, struct error *error)
{
	(void)entering;
	return root_verify_folder(error);
}

static int verify_release(struct entering *entering, struct error *error)
{
	return shared_root_verify(entering->as->release < 0 ? NULL : entering->as->root, error);
}

static int enter_landlock(struct entering *entering, struct error *error)
{
	return landlock_restrict(entering->ruleset, error);
}

/* ---- becoming the tenant: all of them ---- */

static const struct {
	unsigned tiers;
	enum sandbox_step bit; /* a test can leave it out */
	int (*take)(struct entering *entering, struct error *error);
} entry[] = {
	/* The one folder that a tenant sees. Needs CAP_SYS_ADMIN, so before they go. */
	{FULL, SANDBOX_STEP_RELEASE, mount_release},

	/* What the policy grants of the host's files, and nothing beside it (`..`, other
	 * names of the same file, what a link points to). After the release, which they must
	 * not cover. */
	{FULL, SANDBOX_STEP_MOUNTS, make_mounts},

	/* A current folder of the supervisor's is a way to relative paths that are none of the
	 * tenant's (CVE-2024-21626). While the release's descriptor is open, and as root, who
	 * gets there whatever is above. */
	{BARE, SANDBOX_STEP_RELEASE, go_to_release},

	/* Entered as the last but one step, made here: its rules are made of the mounts' or
	 * files' descriptors, so that no path is looked up twice. */
	{ALL, SANDBOX_STEP_LANDLOCK, make_ruleset},

	/* What was inherited or received and not granted: a descriptor is a permission that
	 * no later step revokes (CVE-2024-21626). After the last ones that we need ourselves,
	 * the grants', and before any limit on their number. */
	{ALL, SANDBOX_STEP_DESCRIPTORS, close_others},

	/* Descriptors, locked memory, priority: what cgroups do not count. Lowering needs no
	 * capability; before the ids, so that no moment is the tenant's and unlimited. */
	{ALL, SANDBOX_STEP_LIMITS, limit_resources},

	/* Memory and threads, which no cgroup may count here. As root, who is not bound by a
	 * number of threads that others of that id have used up, and while /proc is there. */
	{BARE, SANDBOX_STEP_LIMITS, limit_without_cgroups},

	/* A setuid or file-capability program could give back what is dropped below. Needs
	 * CAP_SETPCAP, so before the capabilities go. */
	{ROOTED, SANDBOX_STEP_BOUNDING, drop_bounding},

	/* Uid 0 must mean nothing, and no uid change may move capabilities about. Needs
	 * CAP_SETPCAP; after this, changing ids no longer drops capabilities by itself,
	 * which is why that is a step of its own. */
	{ROOTED, SANDBOX_STEP_SECUREBITS, lock_securebits},

	/* The tenant's own ids: files, signals and /proc of other users are closed to it
	 * even where a namespace would leak, or where there is none. Needs CAP_SETUID and
	 * CAP_SETGID. */
	{ROOTED, SANDBOX_STEP_IDS, change_ids},

	/* Where the ids stay, root must not be among them: it owns the container's files. */
	{SINGLE, SANDBOX_STEP_IDS, stay_unprivileged},

	/* Mounting, tracing, chroot, raw sockets, all inside of the own namespaces but
	 * against kernel code that few have read. The last step that needs any was above. */
	{ALL, SANDBOX_STEP_CAPABILITIES, drop_capabilities},

	/* Core dumps, ptrace and /proc/PID of the same user. Again, because a change of ids
	 * sets it to fs.suid_dumpable. From here on what the change of ids undid, and what
	 * needs no capability. */
	{ALL, SANDBOX_STEP_DUMPABLE, become_undumpable_again},

	/* Again, because a change of ids clears the parent-death signal; and the supervisor
	 * may have died in between. */
	{ALL, SANDBOX_STEP_SUPERVISOR, watch_supervisor_again},

	/* No program may ever give privileges again. What Landlock and seccomp ask for from
	 * the unprivileged, which is what we are now. */
	{ALL, SANDBOX_STEP_NO_NEW_PRIVILEGES, forbid_new_privileges},

	/* A current folder outside of the root is a way out (CVE-2024-21626). After the last
	 * thing that could have moved it, and before Landlock makes looking harder. */
	{FULL, SANDBOX_STEP_FOLDER, verify_folder},

	/* Modules are read by path: what is there must be the release, and not hidden behind
	 * a folder that the tenant's id may not pass. As that id, before Landlock. */
	{BARE, SANDBOX_STEP_FOLDER, verify_release},

	/* Writing, making, executing, binding, connecting, signalling: even on objects that
	 * a mistake above left reachable. In a container it is the wall around the files. After
	 * the mounts, which it would forbid, and before any thread exists, as it binds only the
	 * one that calls. */
	{ALL, SANDBOX_STEP_LANDLOCK, enter_landlock},
};

int sandbox_enter(const struct sandbox_enter *enter, struct error *error)
{
	struct entering entering = {.as = enter, .ruleset = -1};
	int result = 0;
	if (tier_is_bare(enter->tier) && enter->tmp_bytes > 0)
		return error_set(error, ENOTSUP, "there is no /tmp (limits.tmp) in the tier %s",
			tier_name(enter->tier));
	for (size_t i = 0; i < ARRAY_LENGTH(entry) && result == 0; i++)
		if (entry[i].tiers & bit_of(enter->tier) && !(enter->skip & entry[i].bit))
			result = entry[i].take(&entering, error);
	close_fd(&entering.ruleset);
	return result;
}
