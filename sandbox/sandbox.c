/* The confinement of one process, in order. Each step says what it stops and why it
 * stands where it stands; the order is the consensus of bubblewrap, runc, minijail,
 * nsjail and systemd, and most of it is forced: a step needs what a later one takes
 * away. There is no way back and no way to go on without one of them: the caller of a
 * failed step exits. */
#include "sandbox/sandbox.h"
#include "sandbox/steps.h"

/* ---- all that needs no tenant: a stock worker waits behind it ---- */

static int prepare_root(struct error *error)
{
	static const char *const folders[] = {"app", NULL};
	return root_replace(&(struct root_options){.folders = folders}, error);
}

int sandbox_prepare(int channel, struct error *error)
{
	int result;

	/* An orphan would run with nobody to limit or to stop it. First, so that a
	 * supervisor that dies during any later step takes us with it. */
	if ((result = supervisor_watch(channel, error)) < 0)
		return result;

	/* Memory of the zygote and of tenants must not reach a core file or a core_pattern
	 * program. Before anything that could crash. */
	if ((result = limits_no_core(error)) < 0)
		return result;
	if ((result = identity_not_dumpable(error)) < 0)
		return result;

	/* The session's terminal takes typed-ahead commands (TIOCSTI, CVE-2017-5226), its
	 * process group takes signals, its keyring holds keys. Before the tenant's
	 * descriptors, one of which may be that terminal, arrive. */
	if ((result = supervisor_leave_session(error)) < 0)
		return result;

	/* A mount made here must not appear on the host. Before the first mount. */
	if ((result = root_private(error)) < 0)
		return result;

	/* Every path of the host, /proc, /sys and /dev included, ceases to exist. While
	 * capabilities over the own mount namespace are still there. */
	if ((result = prepare_root(error)) < 0)
		return result;

	/* The host's name says who else may live here. Needs CAP_SYS_ADMIN over the own
	 * uts namespace, like the mounts. */
	return root_hostname(error);
}

/* ---- becoming the tenant ---- */

/* Runs STEP unless a test left it out. */
#define STEP(bit, step)                                                                            \
	do {                                                                                       \
		if (!(enter->skip & (bit)) && (result = (step)) < 0)                               \
			return result;                                                             \
	} while (0)

/* What needs the capabilities of the namespace's root. */
static int enter_as_root(const struct sandbox_enter *enter, struct error *error)
{
	int result;

	/* The one folder that a tenant sees. Needs CAP_SYS_ADMIN, so before they go. */
	if (enter->release >= 0)
		STEP(SANDBOX_STEP_RELEASE, root_mount_release(enter->release, error));

	/* What was inherited or received and not granted: a descriptor is a permission that
	 * no later step revokes (CVE-2024-21626). After the last one that we need ourselves,
	 * the release's, and before any limit on their number. */
	STEP(SANDBOX_STEP_DESCRIPTORS, fds_close_others(enter->keep, enter->keep_count, error));

	/* Descriptors, locked memory, priority: what cgroups do not count. Lowering needs no
	 * capability; before the ids, so that no moment is the tenant's and unlimited. */
	STEP(SANDBOX_STEP_LIMITS, limits_apply(enter->files, error));

	/* A setuid or file-capability program could give back what is dropped below. Needs
	 * CAP_SETPCAP, so before the capabilities go. */
	STEP(SANDBOX_STEP_BOUNDING, identity_drop_bounding(error));

	/* Uid 0 must mean nothing, and no uid change may move capabilities about. Needs
	 * CAP_SETPCAP; after this, changing ids no longer drops capabilities by itself,
	 * which is why that is a step of its own. */
	STEP(SANDBOX_STEP_SECUREBITS, identity_lock_securebits(error));

	/* The tenant's own ids: files, signals and /proc of other users are closed to it
	 * even where a namespace would leak. Needs CAP_SETUID and CAP_SETGID. */
	STEP(SANDBOX_STEP_IDS, identity_become(enter->uid, error));

	/* Mounting, tracing, chroot, raw sockets, all inside of the own namespaces but
	 * against kernel code that few have read. The last step that needs any was above. */
	STEP(SANDBOX_STEP_CAPABILITIES, identity_drop_capabilities(error));
	return 0;
}

/* What the change of ids undid, and what needs no capability. */
static int enter_as_tenant(const struct sandbox_enter *enter, struct error *error)
{
	int result;

	/* Core dumps, ptrace and /proc/PID of the same user. Again, because a change of ids
	 * sets it to fs.suid_dumpable. */
	STEP(SANDBOX_STEP_DUMPABLE, identity_not_dumpable(error));

	/* Again, because a change of ids clears the parent-death signal; and the supervisor
	 * may have died in between. */
	STEP(SANDBOX_STEP_SUPERVISOR,
		supervisor_watch(enter->channel > 0 ? enter->channel : -1, error));

	/* No program may ever give privileges again. What Landlock and seccomp ask for from
	 * the unprivileged, which is what we are now. */
	STEP(SANDBOX_STEP_NO_NEW_PRIVILEGES, identity_no_new_privileges(error));

	/* A current folder outside of the root is a way out (CVE-2024-21626). After the last
	 * thing that could have moved it, and before Landlock makes looking harder. */
	STEP(SANDBOX_STEP_FOLDER, root_verify_folder(error));

	/* Writing, making, executing, binding, connecting, signalling: even on objects that
	 * a mistake above left reachable. After the mounts, which it would forbid, and
	 * before any thread exists, as it binds only the one that calls. */
	STEP(SANDBOX_STEP_LANDLOCK, landlock_restrict(error));
	return 0;
}

int sandbox_enter(const struct sandbox_enter *enter, struct error *error)
{
	int result = enter_as_root(enter, error);
	return result < 0 ? result : enter_as_tenant(enter, error);
}
