/* Natives of isolate/js/permission.js, and isolate/permission.h. */
#include "isolate/permission.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/path.h"
#include "common/tier.h"
#include "isolate/channel.h"
#include "isolate/egress_client.h"
#include "isolate/natives.h"
#include "policy/match.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECENT = 256, /* decisions that are remembered, so as not to tell them again */
	RECENT_MS = 10000,
	TELL_RATE = 50, /* a second */
	LINKS_MAX = 40, /* as the kernel's */
	DROP_MS = 5000,
};

/* Rights on one grant that were given up, next to its place in START. */
static struct {
	bool read, write;
} dropped_grants[WORKER_GRANTS_MAX];
static bool dropped_rules[WORKER_RULES_MAX]; /* of net.connect */
static bool dropped_connect, dropped_child;

/* ---- telling ---- */

static uint64_t hash_of(unsigned kind, const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u ^ kind;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER; /* of what all threads tell */
static uint32_t untold; /* decisions that were too many; the next that is told tells of them */

/* Whether the decision is to be told: not told lately, and not too many. */
static bool worth_telling(uint64_t hash)
{
	static struct {
		uint64_t hash, until_ms;
	} recent[RECENT];
	static uint64_t second;
	static unsigned told;
	uint64_t now = clock_ms();
	if (recent[hash % RECENT].hash == hash && recent[hash % RECENT].until_ms > now)
		return false;
	if (now / 1000 != second) {
		second = now / 1000;
		told = 0;
	}
	if (told == TELL_RATE) {
		untold += untold < UINT32_MAX;
		return false;
	}
	told++;
	recent[hash % RECENT].hash = hash;
	recent[hash % RECENT].until_ms = now + RECENT_MS;
	return true;
}

static void tell(enum audit_permission permission, enum audit_layer layer, bool allowed,
	const char *resource)
{
	char message[sizeof(struct message_audit) + AUDIT_RESOURCE_MAX];
	const struct message_audit audit = {
		.header = {.type = MESSAGE_AUDIT, .instance = runtime.instance},
		.permission = permission,
		.layer = layer,
		.allowed = allowed,
		.dropped = untold,
		.syscall = -1,
	};
	memcpy(message, &audit, sizeof audit);
	size_t length = strnlen(resource, AUDIT_RESOURCE_MAX - 1);
	memcpy(message + sizeof audit, resource, length);
	message[sizeof audit + length] = '\0';
	/* A full channel loses it: a tenant must not wait for the book about it. */
	if (send(runtime.channel, message, sizeof audit + length + 1, MSG_NOSIGNAL | MSG_DONTWAIT) <
		0)
		untold += untold < UINT32_MAX;
	else
		untold = 0;
}

void permission_audit(enum audit_permission permission, enum audit_layer layer, bool allowed,
	const char *resource)
{
	const unsigned wanted = allowed ? POLICY_AUDIT_ALL : POLICY_AUDIT_DENIED;
	if (runtime.channel < 0 || !runtime.start || runtime.start->audit < wanted)
		return;
	pthread_mutex_lock(&telling);
	if (worth_telling(hash_of(permission * 2 + allowed, resource)))
		tell(permission, layer, allowed, resource);
	pthread_mutex_unlock(&telling);
}

enum audit_layer permission_file_layer(int error)
{
	switch (error) {
	case EACCES:
	case EXDEV: /* a rename or link that Landlock forbids */
		return AUDIT_LAYER_LANDLOCK;
	case EPERM:
		return AUDIT_LAYER_SECCOMP;
	default:
		return AUDIT_LAYER_MOUNT;
	}
}

/* ---- where a path leads ---- */

struct walk {
	char rest[PATH_MAX * 2]; /* what is still to be walked */
	char *resolved;
	size_t length; /* of RESOLVED; 0 at the root */
	int links;
};

static void go_up(struct walk *walk)
{
	while (walk->length > 0 && walk->resolved[--walk->length] != '/')
		;
}

/* Puts the target of the link RESOLVED, whose name began at BEFORE, before the rest. */
static int follow_link(struct walk *walk, size_t before, const char *rest)
{
	char target[PATH_MAX], joined[sizeof walk->rest];
	ssize_t length = readlink(walk->resolved, target, sizeof target - 1);
	if (length <= 0)
		return 0;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	target[length] = '\0';
	int size = snprintf(joined, sizeof joined, "%s/%s", target, rest);
	if (size < 0 || (size_t)size >= sizeof joined)
		return -ENAMETOOLONG;
	memcpy(walk->rest, joined, (size_t)size + 1);
	walk->length = target[0] == '/' ? 0 : before;
	return 1;
}

/* Takes one NAME; REST follows it. Returns 1 when walk->rest is new. */
static int step(struct walk *walk, struct path_name name, const char *rest, bool follow)
{
	const size_t before = walk->length;
	if (path_is_here(name))
		return 0;
	if (path_is_up(name)) {
		go_up(walk);
		return 0;
	}
	if (walk->length + 1 + name.length >= PATH_MAX)
		return -ENAMETOOLONG;
	walk->resolved[walk->length++] = '/';
	memcpy(walk->resolved + walk->length, name.text, name.length);
	walk->length += name.length;
	walk->resolved[walk->length] = '\0';
	return follow ? follow_link(walk, before, rest) : 0;
}

int permission_resolve(const char *path, bool follow, char resolved[PATH_MAX])
{
	struct walk walk = {.resolved = resolved};
	size_t length = strlen(path);
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(walk.rest, path, length + 1);
	struct path_name name;
	for (const char *at = walk.rest; path_next(&at, &name);) {
		/* "name/" means what the link NAME leads to. */
		int result = step(&walk, name, at, follow || *at == '/');
		if (result < 0)
			return result;
		if (result == 1)
			at = walk.rest;
	}
	if (walk.length == 0)
		resolved[walk.length++] = '/';
	resolved[walk.length] = '\0';
	return 0;
}

/* ---- grants ---- */

/* The last grant that covers it decides: its mount lies over the others. */
static const struct worker_grant *grant_of(const char *path, size_t *ret_index)
{
	const struct worker_start *start = runtime.start;
	for (size_t i = start->grant_count; i > 0; i--) {
		const struct worker_grant *grant = &start->grants[i - 1];
		if (grant->folder ? path_is_in(path, grant->path)
				  : strcmp(path, grant->path) == 0) {
			*ret_index = i - 1;
			return grant;
		}
	}
	return NULL;
}

bool permission_file(const char *resolved, bool write)
{
	size_t index;
	if (!runtime.start)
		return false;
	const struct worker_grant *grant = grant_of(resolved, &index);
	if (grant)
		return write ? grant->write && !dropped_grants[index].write
			     : !dropped_grants[index].read;
	if (path_is_in(resolved, runtime.start->root))
		return !write;
	return runtime.start->tmp_bytes > 0 && path_is_in(resolved, "/tmp");
}

/* REFERENCE absolute. A file with a slash behind it is no file. */
static bool has_file(const char *reference, bool write)
{
	char resolved[PATH_MAX];
	size_t length = strlen(reference), index;
	if (permission_resolve(reference, true, resolved) < 0 || !permission_file(resolved, write))
		return false;
	const struct worker_grant *grant = grant_of(resolved, &index);
	return !grant || grant->folder || reference[length - 1] != '/';
}

/* ---- the network ---- */

/* The rules, parsed when they are first asked for; by whichever thread. */
static pthread_mutex_t rules_lock = PTHREAD_MUTEX_INITIALIZER;
static struct policy_net_rules connect_rules, deny_rules;

static void parse_rules(
	const char *const *texts, size_t count, const bool *dropped, struct policy_net_rules *rules)
{
	free(rules->items);
	*rules = (struct policy_net_rules){
		.items = calloc(count ? count : 1, sizeof *rules->items),
	};
	for (size_t i = 0; rules->items && i < count; i++)
		if (!(dropped && dropped[i]) &&
			policy_net_rule_parse(texts[i], &rules->items[rules->count], NULL) == 0)
			rules->count++;
}

static void parse_all_rules(void)
{
	const struct worker_start *start = runtime.start;
	parse_rules(start->connect, start->connect_count, dropped_rules, &connect_rules);
	parse_rules(start->deny, start->deny_count, NULL, &deny_rules);
}

/* "host:port", "[address]:port", "unix:/path"; without a port: is some port granted? */
static bool parse_target(const char *text, struct policy_target *target)
{
	if (strncmp(text, "unix:", 5) == 0)
		return policy_target_parse(text + 5, strlen(text + 5), 0, true, target, NULL) == 0;
	const char *colon = strrchr(text, ':');
	if (colon && (strchr(colon, ']') || (text[0] != '[' && strchr(text, ':') != colon)))
		colon = NULL; /* an address of IPv6 alone */
	unsigned long port = 0;
	if (colon) {
		char *end;
		port = strtoul(colon + 1, &end, 10);
		if (*end || end == colon + 1 || port > 65535)
			return false;
	}
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	return policy_target_parse(text, length, (uint16_t)port, false, target, NULL) == 0;
}

static bool has_connect(const char *reference)
{
	struct policy_target target;
	struct policy_decision decision = {0};
	if (dropped_connect || !parse_target(reference, &target))
		return false;
	pthread_mutex_lock(&rules_lock);
	if (!connect_rules.items || !deny_rules.items)
		parse_all_rules();
	/* Which addresses are the host's own cannot be seen from here. */
	policy_match_target(&connect_rules, &deny_rules, &target, &decision);
	/* Without a rule it depends on what a name resolves to: nothing to promise. */
	const bool granted = decision.allowed && decision.rule;
	pthread_mutex_unlock(&rules_lock);
	return granted;
}

static bool has_listen(const char *reference)
{
	const struct worker_start *start = runtime.start;
	for (size_t i = 0; i < start->listener_count; i++) {
		const char *address = start->listeners[i];
		if (strncmp(address, "tcp:", 4) == 0)
			address += 4;
		if (strcmp(reference, address) == 0 ||
			(*start->listener_names[i] &&
				strcmp(reference, start->listener_names[i]) == 0))
			return true;
	}
	return false;
}

/* ---- the rest ---- */

static bool has_child(const char *reference)
{
	char resolved[PATH_MAX];
	const struct worker_start *start = runtime.start;
	if (dropped_child)
		return false;
	for (size_t i = 0; i < start->exec_count; i++)
		if (strcmp(reference, start->exec[i]) == 0)
			return true;
	/* Programs are named by absolute paths, which may be written in odd ways. */
	if (reference[0] != '/' || permission_resolve(reference, false, resolved) < 0)
		return false;
	for (size_t i = 0; i < start->exec_count; i++)
		if (path_is_in(resolved, start->exec[i])) /* a folder grants the programs in it */
			return true;
	return false;
}

static bool has_variable(const char *reference)
{
	const struct worker_start *start = runtime.start;
	const size_t length = strlen(reference);
	for (size_t i = 0; i < start->environment_count; i++)
		if (strncmp(start->environment[i], reference, length) == 0 &&
			start->environment[i][length] == '=')
			return true;
	return false;
}

/* Is all that there is granted? The scopes without a reference. */
static bool has_files(bool write)
{
	return has_file("/", write);
}

static bool has_all_files(void)
{
	return has_files(false) && has_files(true);
}

static bool has_file_both(const char *reference)
{
	return has_file(reference, false) && has_file(reference, true);
}

static bool has_read(const char *reference)
{
	return has_file(reference, false);
}

static bool has_write(const char *reference)
{
	return has_file(reference, true);
}

static bool has_all_read(void)
{
	return has_files(false);
}

static bool has_all_write(void)
{
	return has_files(true);
}

static bool has_any_connect(void)
{
	return !dropped_connect && runtime.start->connect_count > 0;
}

static bool has_any_listener(void)
{
	return runtime.start->listener_count > 0;
}

static bool has_any_net(void)
{
	return has_any_connect() || has_any_listener();
}

static bool has_net(const char *reference)
{
	return has_connect(reference) || has_listen(reference);
}

static bool has_any_child(void)
{
	return !dropped_child && runtime.start->exec_count > 0;
}

static bool has_any_variable(void)
{
	return runtime.start->environment_count > 0;
}

static bool eval_allowed, wasm_allowed;

static bool has_eval(void)
{
	return eval_allowed;
}

static bool has_wasm(void)
{
	return wasm_allowed;
}

/* ---- dropping ---- */

/* Asks the supervisor, and waits: afterwards the permission is gone. */
static int drop_by_supervisor(const char *scope, const char *reference)
{
	static _Alignas(8) char message[MESSAGE_DROP_MAX];
	const struct message_header header = {
		.type = MESSAGE_DROP,
		.instance = runtime.instance,
	};
	size_t scope_size = strlen(scope) + 1, reference_size = strlen(reference) + 1;
	size_t length = sizeof header + scope_size + reference_size;
	if (length > sizeof message)
		return -ENAMETOOLONG;
	if (runtime.channel < 0)
		return 0;
	memcpy(message, &header, sizeof header);
	memcpy(message + sizeof header, scope, scope_size);
	memcpy(message + sizeof header + scope_size, reference, reference_size);
	if (send(runtime.channel, message, length, MSG_NOSIGNAL) < 0)
		return -errno;
	static char answer[MESSAGE_DROP_MAX];
	ssize_t received = channel_wait(MESSAGE_DROPPED, answer, sizeof answer, DROP_MS);
	if (received < 0)
		return (int)received;
	/* It repeats what was asked; anything else is the answer to something else. */
	return (size_t)received == length && memcmp(answer + sizeof header, message + sizeof header,
						     length - sizeof header) == 0
		       ? 0
		       : -EPROTO;
}

/* Grants of REFERENCE ("" for all) lose READ and WRITE in the books. */
static int drop_files(const char *reference, bool read, bool write)
{
	const struct worker_start *start = runtime.start;
	int found = 0;
	for (size_t i = 0; i < start->grant_count; i++) {
		if (*reference && strcmp(reference, start->grants[i].path) != 0)
			continue;
		dropped_grants[i].read |= read;
		dropped_grants[i].write |= write || read;
		found++;
	}
	return found;
}

static bool is_grant(const char *path)
{
	for (size_t i = 0; i < runtime.start->grant_count; i++)
		if (strcmp(path, runtime.start->grants[i].path) == 0)
			return true;
	return false;
}

static int drop_file_scope(const char *scope, const char *reference, bool read, bool write)
{
	/* There the supervisor has no mounts to take away, and Landlock, which the process could
	 * make stricter itself, binds one thread at a time. */
	if (tier_is_bare(runtime.start->tier))
		return -ENOSYS;
	/* What was granted can be taken back, not a part of it, as in Node. */
	if (*reference && !is_grant(reference))
		return -ENOENT;
	int result = drop_by_supervisor(scope, reference);
	if (result == 0)
		drop_files(reference, read, write);
	return result;
}

static int drop_all_files(const char *scope, const char *reference)
{
	return drop_file_scope(scope, reference, true, true);
}

static int drop_read(const char *scope, const char *reference)
{
	return drop_file_scope(scope, reference, true, false);
}

static int drop_write(const char *scope, const char *reference)
{
	return drop_file_scope(scope, reference, false, true);
}

static int drop_child(const char *scope, const char *reference)
{
	if (*reference)
		return -ENOTSUP;
	int result = drop_by_supervisor(scope, reference);
	dropped_child |= result == 0;
	return result;
}

/* The egress process forgets the rule, or all of them. */
static int drop_connect(const char *scope, const char *reference)
{
	const struct worker_start *start = runtime.start;
	size_t index = 0;
	while (*reference && index < start->connect_count &&
		strcmp(reference, start->connect[index]) != 0)
		index++;
	if (*reference && index == start->connect_count)
		return -ENOENT;
	int result = start->egress ? egress_drop(reference) : 0;
	/* And so do the programs that it runs, which the supervisor knows. */
	if (result == 0)
		result = drop_by_supervisor(scope, reference);
	if (result < 0)
		return result;
	pthread_mutex_lock(&rules_lock);
	if (*reference)
		dropped_rules[index] = true;
	else
		dropped_connect = true;
	parse_all_rules();
	pthread_mutex_unlock(&rules_lock);
	return 0;
}

static int drop_eval(const char *scope, const char *reference)
{
	(void)scope;
	(void)reference;
	eval_allowed = false;
	engine_allow_eval(runtime.engine, false);
	return 0;
}

static int drop_wasm(const char *scope, const char *reference)
{
	(void)scope;
	(void)reference;
	wasm_allowed = false;
	engine_allow_wasm(runtime.engine, false);
	return 0;
}

/* ---- the scopes ---- */

static const struct scope {
	const char *name;
	bool (*has_all)(void);
	bool (*has)(const char *reference); /* NULL: a reference means nothing */
	int (*drop)(const char *scope, const char *reference);
	bool path; /* references are absolute paths */
} scopes[] = {
	{"fs", has_all_files, has_file_both, drop_all_files, true},
	{"fs.read", has_all_read, has_read, drop_read, true},
	{"fs.write", has_all_write, has_write, drop_write, true},
	{"net", has_any_net, has_net, drop_connect, false},
	{"net.connect", has_any_connect, has_connect, drop_connect, false},
	{"net.listen", has_any_listener, has_listen, NULL, false},
	{"child", has_any_child, has_child, drop_child, false},
	{"env", has_any_variable, has_variable, NULL, false},
	{"eval", has_eval, NULL, drop_eval, false},
	{"wasm", has_wasm, NULL, drop_wasm, false},
};

static const struct scope *scope_of(struct engine *engine, engine_value *value)
{
	cleanup_free char *name = engine_to_utf8(engine, value, NULL);
	for (size_t i = 0; name && i < ARRAY_LENGTH(scopes); i++)
		if (strcmp(name, scopes[i].name) == 0)
			return &scopes[i];
	return NULL;
}

/* permissionHas(scope, reference or undefined): what nobody knows is not granted. */
static engine_value *permission_has(struct engine *engine, struct engine_call *call)
{
	const struct scope *scope = scope_of(engine, engine_call_argument(engine, call, 0));
	engine_value *value = engine_call_argument(engine, call, 1);
	if (!scope || !runtime.start)
		return engine_bool(engine, false);
	if (engine_typeof(value) == ENGINE_UNDEFINED || !scope->has)
		return engine_bool(engine, scope->has_all());
	size_t length = 0;
	cleanup_free char *reference = engine_to_utf8(engine, value, &length);
	bool sound =
		reference && strlen(reference) == length && (!scope->path || reference[0] == '/');
	return engine_bool(engine, sound && scope->has(reference));
}

/* permissionDrop(scope, reference or undefined): 0, or a negative errno: ENOTSUP when
 * nobody can take it back, ENOENT when it was not granted. */
static engine_value *permission_drop(struct engine *engine, struct engine_call *call)
{
	const struct scope *scope = scope_of(engine, engine_call_argument(engine, call, 0));
	engine_value *value = engine_call_argument(engine, call, 1);
	cleanup_free char *reference = NULL;
	if (!scope || !scope->drop || !runtime.start || runtime.thread)
		return engine_int32(engine, -ENOTSUP);
	size_t length = 0;
	if (engine_typeof(value) != ENGINE_UNDEFINED) {
		reference = engine_to_utf8(engine, value, &length);
		if (!reference || strlen(reference) != length)
			return engine_int32(engine, -EINVAL);
	}
	return engine_int32(engine, scope->drop(scope->name, reference ? reference : ""));
}

/* permissionInfo(): [tenant, release]: for messages. */
static engine_value *permission_info(struct engine *engine, struct engine_call *call)
{
	(void)call;
	const struct worker_start *start = runtime.start;
	engine_value *items[] = {
		engine_string(engine, start && start->tenant ? start->tenant : ""),
		engine_string(engine, start && start->root ? start->root : "/app"),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* PLACE as the program's author knows it: "lib/x.js:3:7". */
static void tell_of_code(void *arg, enum engine_code code, bool allowed, const char *place)
{
	static const char scheme[] = "file://";
	const char *root = runtime.start->root;
	const size_t length = strlen(root);
	(void)arg;
	if (strncmp(place, scheme, sizeof scheme - 1) == 0)
		place += sizeof scheme - 1;
	if (strncmp(place, root, length) == 0 && place[length] == '/')
		place += length + 1;
	permission_audit(code == ENGINE_CODE_STRING ? AUDIT_EVAL : AUDIT_WASM, AUDIT_LAYER_ENGINE,
		allowed, place);
}

static void start(void)
{
	const uint32_t audit = runtime.start->audit;
	eval_allowed = runtime.start->allow_eval;
	wasm_allowed = runtime.start->allow_wasm && runtime.start->allow_jit;
	engine_on_code(runtime.engine, audit != POLICY_AUDIT_OFF ? tell_of_code : NULL,
		audit == POLICY_AUDIT_ALL, NULL);
}

static const struct engine_native natives[] = {
	{"permissionHas", permission_has, 2},
	{"permissionDrop", permission_drop, 2},
	{"permissionInfo", permission_info, 0},
};

const struct native_module permission_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.start = start,
};
