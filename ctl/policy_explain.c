/* `policy explain`: a policy in words, each with the layers that hold it. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/units.h"
#include "ctl/output.h"
#include "ctl/policy.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The report as it grows: sections for people, the same as an array for programs. */
struct page {
	json_t *sections;
	json_t *items; /* of the last section */
};

static void begin(struct page *page, const char *title)
{
	page->items = json_array();
	json_array_append_new(
		page->sections, json_pack("{s:s, s:o}", "title", title, "items", page->items));
}

static void say(struct page *page, const char *layers, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* LAYERS: who enforces it. */
static void say(struct page *page, const char *layers, const char *format, ...)
{
	char text[1024], note[256] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (layers[0])
		snprintf(note, sizeof note, "by %s", layers);
	json_array_append_new(page->items, json_pack("{s:o, s:s, s:s}", "text", json_string(text),
						   "layers", layers, "note", note));
}

/* In the tier container nothing but Landlock stands in front of files, and owners. */
#define BY_OWNER "Landlock, alone; owners and modes of the files must let the tenant's user id, too"

static const char *no_network(const struct subject *subject)
{
	return subject->tier == TIER_FULL ? "empty network namespace, seccomp"
					  : "seccomp, Landlock (TCP)";
}

/* "a, b and 3 more" */
static const char *join(const struct policy_list *list, char *text, size_t size)
{
	enum { SHOWN = 8 };
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < list->count && i < SHOWN && used < size; i++)
		used += (size_t)snprintf(
			text + used, size - used, "%s%s", i ? ", " : "", list->items[i]);
	if (list->count > SHOWN && used < size)
		snprintf(text + used, size - used, " and %zu more", list->count - SHOWN);
	return text;
}

/* ---- files ---- */

static void explain_grants(struct page *page, const struct subject *subject)
{
	const struct policy *policy = subject->policy;
	const bool full = subject->tier == TIER_FULL;
	const char *what =
		full ? "with all below it" : "with all below it, also what is mounted there";
	for (size_t i = 0; i < policy->fs.read.count; i++)
		say(page, full ? "mount (read-only, nosuid, nodev, noexec) and Landlock" : BY_OWNER,
			"%s: may be read, %s", policy->fs.read.items[i], what);
	for (size_t i = 0; i < policy->fs.write.count; i++)
		say(page, full ? "mount (nosuid, nodev, noexec) and Landlock" : BY_OWNER,
			"%s: may be read and written, %s", policy->fs.write.items[i], what);
}

static void explain_files(struct page *page, const struct subject *subject)
{
	const uint64_t tmp_bytes = subject->policy->limits.tmp_bytes;
	char size[UNITS_TEXT_MAX];
	begin(page, "Files");
	say(page, "mount (read-only, nosuid, nodev, noexec) and Landlock",
		"its release, at /app: may be read");
	explain_grants(page, subject);
	units_format_size(tmp_bytes, size);
	if (tmp_bytes > 0)
		say(page, "mount (a tmpfs of that size, its own) and Landlock",
			"/tmp: %s, empty at the start, gone with the process", size);
	say(page, "mount (an empty root of its own) and Landlock",
		"nothing else of the host's files: no /etc, /proc, /sys, /home%s",
		tmp_bytes > 0 ? "" : ", /tmp");
}

/* There are no mounts: it sees the container's files where they are. */
static void explain_container_files(struct page *page, const struct subject *subject)
{
	begin(page, "Files");
	say(page, "Landlock, alone", "its release, where it lies%s%s: may be read",
		subject->release[0] ? ", at " : "", subject->release);
	explain_grants(page, subject);
	say(page, "Landlock, alone",
		"no other file can be opened, no other folder listed, nothing run; that a file is "
		"there, its size and its owner can be seen");
}

/* ---- network ---- */

static void explain_connect(struct page *page, const struct subject *subject)
{
	const struct policy *policy = subject->policy;
	const bool full = subject->tier == TIER_FULL;
	const struct policy_limits *limits = &policy->limits;
	char text[POLICY_NET_TEXT_MAX], time[UNITS_TEXT_MAX];
	for (size_t i = 0; i < policy->net.connect.count; i++) {
		const struct policy_net_rule *rule = &policy->net.connect.items[i];
		policy_net_rule_format(rule, text);
		say(page,
			full ? "empty network namespace, seccomp, and egress, which connects for it"
			     : "seccomp, Landlock (TCP), and egress, which connects for it",
			"may connect to %s%s%s", text,
			rule->kind == POLICY_NET_SUFFIX ? " (names below it, not itself)" : "",
			rule->kind != POLICY_NET_UNIX && rule->port_first == 0 ? ", at any port"
									       : "");
	}
	for (size_t i = 0; i < policy->net.deny.count; i++) {
		policy_net_rule_format(&policy->net.deny.items[i], text);
		say(page, "egress", "never %s, whatever is granted above", text);
	}
	if (policy->net.connect.count == 0) {
		say(page, no_network(subject), "no connections to anywhere, no name is resolved");
		return;
	}
	say(page, "egress, at each address that a name resolves to",
		"no private, loopback, link-local or metadata address, and none of this host's "
		"own, but by an entry that is an address");
	units_format_duration(limits->connect.time_ms, time);
	say(page, "egress", "at most %llu connections begun at a time, %llu a second, %s for one",
		(unsigned long long)limits->connect.concurrent,
		(unsigned long long)limits->connect.rate, time);
}

static void explain_network(struct page *page, const struct subject *subject)
{
	const struct policy *policy = subject->policy;
	begin(page, "Network");
	explain_connect(page, subject);
	for (size_t i = 0; i < policy->net.listen.count; i++) {
		char text[POLICY_NET_TEXT_MAX];
		const struct policy_listen *listen = &policy->net.listen.items[i];
		policy_listen_format(listen, text);
		say(page,
			"the supervisor, which binds it and hands it over; seccomp forbids any "
			"other",
			"listens on %s%s", text,
			listen->family != AF_UNIX && listen->port == 0 ? " (a free port)" : "");
	}
	if (policy->net.listen.count == 0)
		say(page, no_network(subject), "listens nowhere");
	for (size_t i = 0; i < policy->net.ingress.count; i++) {
		char text[POLICY_NET_TEXT_MAX * 2];
		const struct policy_site *site = &policy->net.ingress.items[i];
		policy_site_format(site, text);
		say(page,
			"tenantd-ingress, which accepts on the shared ports and hands the "
			"connection over",
			"answers for %s%s, but for what is more exactly another tenant's", text,
			site->certificate ? ", by TLS, too" : "");
	}
}

/* ---- programs, environment, engine ---- */

static void explain_programs(struct page *page, const struct subject *subject)
{
	const struct policy *policy = subject->policy;
	begin(page, "Programs");
	if (subject->tier == TIER_CONTAINER) {
		say(page, "seccomp (no fork, no exec), Landlock", "no program at all");
		return;
	}
	for (size_t i = 0; i < policy->child_exec.count; i++)
		say(page,
			"the supervisor, which starts it in a sandbox of its own, with the same "
			"grants, "
			"ids "
			"and limits",
			"may run %s", policy->child_exec.items[i]);
	say(page, "seccomp (no fork, no exec), noexec mounts",
		policy->child_exec.count ? "no other program" : "no program at all");
}

static void explain_environment(struct page *page, const struct policy *policy)
{
	char text[768];
	struct policy_list names = {0};
	begin(page, "Environment");
	if (policy->env.pass.count)
		say(page, "START, the only message that names any", "taken over from tenantd: %s",
			join(&policy->env.pass, text, sizeof text));
	char *items[POLICY_LIST_MAX];
	names.items = items;
	for (size_t i = 0; i < policy->env.set.count && i < POLICY_LIST_MAX; i++)
		items[names.count++] = policy->env.set.items[i].name;
	if (names.count)
		say(page, "START, the only message that names any", "set here: %s",
			join(&names, text, sizeof text));
	if (policy->env.secrets.count)
		say(page,
			"START, over the worker's socket: not in argv, environ, status or core "
			"files; "
			"replaced by *** in logs",
			"secrets: %s", join(&policy->env.secrets, text, sizeof text));
	say(page, "", "no other variable");
}

static void explain_engine(struct page *page, const struct policy *policy)
{
	char text[UNITS_TEXT_MAX];
	begin(page, "Engine");
	say(page, "V8", "%s",
		policy->allow_eval ? "code from strings may be run (eval)"
				   : "no code from strings: eval, new Function");
	say(page, "V8", "%s",
		policy->allow_wasm ? "WebAssembly may be compiled" : "no WebAssembly");
	if (policy->allow_jit)
		say(page, "", "JavaScript is compiled to machine code (jit)");
	else
		say(page, "V8 and seccomp", "no machine code is made: no executable memory");
	units_format_size(policy->limits.stack_bytes, text);
	say(page, "V8", "a stack of %s", text);
}

/* ---- limits, tier, record ---- */

static void explain_request(struct page *page, const struct policy_limits *limits)
{
	char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX];
	units_format_duration(limits->request.cpu_ms, a);
	units_format_duration(limits->request.time_ms, b);
	say(page, "a watchdog in the worker, and the supervisor",
		"%s of CPU time for one turn, %s for a request", a, b);
	units_format_size(limits->request.body_bytes, a);
	say(page, "the HTTP server", "%s for the body of a request, %llu requests at a time", a,
		(unsigned long long)limits->request.concurrent);
	units_format_duration(limits->time_ms, a);
	if (limits->time_ms > 0)
		say(page, "the supervisor", "%s for a run or job as a whole", a);
}

/* Whether a container lets groups be made `tenantctl doctor` tells. */
static void explain_limits(struct page *page, const struct subject *subject)
{
	const bool full = subject->tier == TIER_FULL;
	const struct policy_limits *limits = &subject->policy->limits;
	char text[UNITS_TEXT_MAX];
	begin(page, "Limits");
	units_format_size(limits->memory_bytes, text);
	say(page,
		full ? "cgroup, and V8 for three quarters of it"
		     : "cgroup where one can be made, else RLIMIT_DATA of each process; V8 for "
		       "three quarters of it",
		"memory %s%s", text, full ? ", no swap" : "");
	say(page,
		full ? "cgroup"
		     : "cgroup where one can be made, else not at all but for the time of a turn",
		"%.2f CPU cores", (double)limits->cpu_percent / 100);
	say(page,
		full ? "cgroup"
		     : "cgroup where one can be made, else RLIMIT_NPROC, of eight times "
		       "as many",
		"%llu threads and processes", (unsigned long long)limits->pids);
	say(page, "rlimit", "%llu open descriptors", (unsigned long long)limits->files);
	explain_request(page, limits);
}

static void explain_never(struct page *page, const struct subject *subject)
{
	const bool full = subject->tier == TIER_FULL;
	begin(page, "Never, whatever a policy says");
	if (full)
		say(page, "pid namespace, seccomp, Landlock",
			"no other process can be seen, signalled or traced");
	else
		say(page, "its own uid, seccomp, Landlock",
			"no other process can be signalled or traced; which there are can be seen");
	say(page,
		full ? "user namespace, empty capability sets, no_new_privs, own uid"
		     : "empty capability sets, no_new_privs, own uid",
		"no privilege can be gained");
	say(page, "seccomp",
		"no mounts, namespaces, kernel modules, io_uring, bpf, perf, keyrings");
}

/* What keeps it from being started in this tier. */
static void explain_tier(struct page *page, const struct subject *subject)
{
	const struct policy *policy = subject->policy;
	const bool full = subject->tier == TIER_FULL;
	begin(page, "Tier");
	say(page, "", "this is how the tier %s confines it", tier_name(subject->tier));
	if (policy->tier != TIER_NONE)
		say(page, "the supervisor", "starts only where the tier is at least %s",
			tier_name(policy->tier));
	if (!full && policy->tier == TIER_FULL)
		say(page, "the supervisor", "not started here: it demands the tier full");
	if (!full && policy->limits.tmp_bytes > 0)
		say(page, "the supervisor", "not started here: limits.tmp needs the tier full");
	if (!full && policy->child_exec.count > 0)
		say(page, "the supervisor", "not started here: child.exec needs the tier full");
}

static void explain_record(struct page *page, const struct policy *policy)
{
	static const char *const audits[] = {
		[POLICY_AUDIT_OFF] = "nothing is recorded",
		[POLICY_AUDIT_DENIED] = "denials are recorded (tenantctl audit)",
		[POLICY_AUDIT_ALL] = "denials and uses of grants are recorded (tenantctl audit)",
	};
	begin(page, "Record");
	say(page, "", "%s", audits[policy->audit]);
}

int policy_explain_run(const struct invocation *invocation)
{
	struct subject subject;
	int code = subject_read(invocation, invocation->arguments[1], &subject);
	if (code)
		return code;
	struct page page = {.sections = json_array()};
	if (subject.tier == TIER_FULL)
		explain_files(&page, &subject);
	else
		explain_container_files(&page, &subject);
	explain_network(&page, &subject);
	explain_programs(&page, &subject);
	explain_environment(&page, subject.policy);
	explain_engine(&page, subject.policy);
	explain_limits(&page, &subject);
	explain_never(&page, &subject);
	explain_tier(&page, &subject);
	explain_record(&page, subject.policy);
	json_t *result = json_pack("{s:s, s:s, s:O}", "policy", subject.source, "tier",
		tier_name(subject.tier), "sections", page.sections);
	output->report(result, page.sections);
	json_decref(result);
	json_decref(page.sections);
	subject_clear(&subject);
	return CONTROL_EXIT_OK;
}
