/* What the supervisor says, and what members say on channels of their own. Whatever a
 * table does not allow closes the channel that it came from, and nothing else; so does
 * a member that does not read its answers. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define RULE_TEXT_MAX 512
#define AUDITS_PER_SECOND 1000 /* the supervisor writes fewer down, and counts the others */

/* message_check looks at the first four bytes only: both headers begin alike. */
_Static_assert(sizeof(struct egress_header) == sizeof(struct message_header), "one header");

enum { STATE_ANY = 1, STATE_PROXY = 2 };

#define TYPE(name) ((enum message_type)(name))

static const struct message_rule supervisor_rules[] = {
	{TYPE(EGRESS_ADD), STATE_ANY, sizeof(struct egress_header), MESSAGE_LENGTH_MAX, 1, 1},
	{TYPE(EGRESS_FORGET), STATE_ANY, sizeof(struct egress_header), sizeof(struct egress_header),
		0, 0},
	{TYPE(EGRESS_DROP), STATE_ANY, sizeof(struct egress_header) + 1,
		sizeof(struct egress_header) + RULE_TEXT_MAX, 0, 0},
};

static const struct message_rule member_rules[] = {
	{TYPE(EGRESS_CONNECT), STATE_ANY, offsetof(struct egress_connect, timeout_ms) + 4,
		sizeof(struct egress_connect) + EGRESS_HOST_MAX, 0, 0},
	{TYPE(EGRESS_RESOLVE), STATE_ANY, offsetof(struct egress_connect, timeout_ms) + 4,
		sizeof(struct egress_connect) + EGRESS_HOST_MAX, 0, 0},
	{TYPE(EGRESS_CANCEL), STATE_ANY, sizeof(struct egress_header), sizeof(struct egress_header),
		0, 0},
	{TYPE(EGRESS_DROP), STATE_ANY, sizeof(struct egress_header) + 1,
		sizeof(struct egress_header) + RULE_TEXT_MAX, 0, 0},
	{TYPE(EGRESS_PROXY), STATE_PROXY, sizeof(struct egress_header),
		sizeof(struct egress_header), 1, 1},
};

struct request {
	struct request *next;
	struct member *member;
	uint32_t id;
	bool resolve;
	struct attempt *attempt;
};

/* ---- answers ---- */

static void close_channel(struct member *member, const char *why)
{
	if (member->channel < 0)
		return;
	if (why)
		log_warn("event=egress-channel-closed tenant=%s instance=%u message=\"%s\"",
			member->tenant, member->instance, escape_for_log(why));
	while (member->requests) {
		struct request *request = member->requests;
		member->requests = request->next;
		attempt_cancel(request->attempt);
		free(request);
	}
	sd_event_source_disable_unref(take_pointer(member->channel_source));
	close_fd(&member->channel);
}

static void answer(struct member *member, const void *data, size_t length, const int *fd)
{
	int result = message_send(member->channel, data, length, fd, fd ? 1 : 0);
	if (result == -EAGAIN || result == -ETOOMANYREFS)
		close_channel(member, "it does not read its answers");
	else if (result < 0)
		close_channel(member, NULL); /* gone */
}

static void answer_refused(
	struct member *member, uint32_t id, enum egress_refusal refusal, int code, const char *text)
{
	struct {
		struct egress_refused refused;
		char text[768];
	} message = {.refused = {.header = {EGRESS_REFUSED, id}, .refusal = refusal, .code = code}};
	snprintf(message.text, sizeof message.text, "%s", text);
	answer(member, &message, sizeof message.refused + strlen(message.text) + 1, NULL);
}

static void answer_connected(struct member *member, uint32_t id, struct attempt_result *result)
{
	struct egress_connected connected = {.header = {EGRESS_CONNECTED, id},
		.port = result->port,
		.family = (uint16_t)result->peer.family};
	memcpy(connected.address, result->peer.address, sizeof connected.address);
	answer(member, &connected, sizeof connected, &result->socket);
	close_foreign(take_fd(&result->socket));
}

static void answer_resolved(struct member *member, uint32_t id, const struct attempt_result *result)
{
	struct egress_resolved resolved = {
		.header = {EGRESS_RESOLVED, id}, .count = (uint32_t)result->count};
	for (size_t i = 0; i < result->count; i++) {
		resolved.addresses[i].family = (uint32_t)result->addresses[i].family;
		memcpy(resolved.addresses[i].address, result->addresses[i].address, 16);
	}
	answer(member, &resolved, sizeof resolved, NULL);
}

static void attempt_done(void *data, struct attempt_result *result)
{
	struct request *request = data, **place = &request->member->requests;
	while (*place != request)
		place = &(*place)->next;
	*place = request->next;
	if (result->refusal)
		answer_refused(
			request->member, request->id, result->refusal, result->code, result->text);
	else if (request->resolve)
		answer_resolved(request->member, request->id, result);
	else
		answer_connected(request->member, request->id, result);
	free(request);
}

/* ---- what a member says ---- */

static struct request *find_request(struct member *member, uint32_t id)
{
	struct request *request = member->requests;
	while (request && request->id != id)
		request = request->next;
	return request;
}

static int take_connect(struct member *member, const void *data, size_t length, struct error *error)
{
	struct egress_connect connect;
	memcpy(&connect, data, sizeof connect);
	const bool resolve = connect.header.type == EGRESS_RESOLVE;
	if (connect.unix_socket > 1 || (connect.unix_socket && resolve) ||
		(connect.family != 0 && connect.family != 4 && connect.family != 6))
		return error_set(error, EBADMSG, "a malformed CONNECT message");
	if (find_request(member, connect.header.id))
		return error_set(
			error, EBADMSG, "request %u is under way already", connect.header.id);
	struct request *request = calloc(1, sizeof *request);
	if (request) {
		request->member = member;
		request->id = connect.header.id;
		request->resolve = resolve;
		request->attempt =
			attempt_start(member, &(struct attempt_options){
						      .host = (const char *)data + sizeof connect,
						      .host_length = length - sizeof connect,
						      .port = resolve ? 0 : connect.port,
						      .unix_socket = connect.unix_socket,
						      .resolve_only = resolve,
						      .family = connect.family,
						      .timeout_ms = connect.timeout_ms,
						      .done = attempt_done,
						      .data = request,
					      });
	}
	if (request == NULL || request->attempt == NULL) {
		free(request);
		answer_refused(member, connect.header.id, EGRESS_FAILED, ENOMEM,
			"connect failed: tenantd-egress has no memory");
		return 0;
	}
	request->next = member->requests;
	member->requests = request;
	return 0;
}

static void cancel(struct member *member, uint32_t id)
{
	for (struct request **place = &member->requests; *place; place = &(*place)->next) {
		struct request *request = *place;
		if (request->id != id)
			continue;
		*place = request->next;
		attempt_cancel(request->attempt);
		free(request);
		return;
	}
}

/* The text behind the header, which must end where the message does. */
static const char *text_of(const void *data, size_t length)
{
	const char *text = (const char *)data + sizeof(struct egress_header);
	const size_t most = length - sizeof(struct egress_header);
	return most > 0 && strnlen(text, most) == most - 1 ? text : NULL;
}

static int drop(struct member *member, const void *data, size_t length, struct error *error)
{
	const char *text = text_of(data, length);
	if (text == NULL)
		return error_set(error, EBADMSG, "a malformed DROP message");
	return rules_drop(&member->connect, &member->deny, text, error);
}

/* The supervisor remembers it, for the process that may follow this one. */
static void tell_dropped(struct member *member, const void *data, size_t length)
{
	char copy[sizeof(struct egress_header) + RULE_TEXT_MAX];
	const struct egress_header header = {EGRESS_DROP, member->instance};
	memcpy(copy, data, length);
	memcpy(copy, &header, sizeof header);
	if (message_send(member->world->supervisor, copy, length, NULL, 0) < 0)
		log_warn("event=egress-drop-lost tenant=%s instance=%u", member->tenant,
			member->instance);
}

static int take_proxy(struct member *member, int fd, struct error *error)
{
	if (!member->may_proxy || member->proxy || !is_listener(fd)) {
		close_foreign(fd);
		return error_set(error, EBADMSG, "a PROXY message that is not allowed");
	}
	return proxy_new(member, fd, &member->proxy, error);
}

static int handle_member(
	struct member *member, const void *data, size_t length, int fd, struct error *error)
{
	struct egress_header header;
	memcpy(&header, data, sizeof header);
	int result = 0;
	switch ((enum egress_type)header.type) {
	case EGRESS_CONNECT:
	case EGRESS_RESOLVE:
		return take_connect(member, data, length, error);
	case EGRESS_CANCEL:
		cancel(member, header.id);
		return 0;
	case EGRESS_DROP:
		result = drop(member, data, length, error);
		if (result > 0)
			tell_dropped(member, data, length);
		return result;
	default:
		return take_proxy(member, fd, error);
	}
}

/* Descriptors that nobody wanted. */
static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close_foreign(fds[i]);
}

static int member_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	static _Alignas(8) char message[sizeof(struct egress_connect) + EGRESS_HOST_MAX + 1];
	static int fds[MESSAGE_FDS_MAX];
	struct member *member = data;
	struct error error = {0};
	size_t fd_count = MESSAGE_FDS_MAX;
	(void)source;
	(void)events;
	ssize_t length = message_receive(fd, message, sizeof message, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return 0;
	if (length == 0 || length == -ECONNRESET) {
		close_channel(member, NULL);
		return 0;
	}
	if (length < 0) {
		close_channel(member, strerror((int)-length));
		return 0;
	}
	const uint32_t state = STATE_ANY | (member->may_proxy ? STATE_PROXY : 0);
	int result = -EBADMSG;
	if (message_check(member_rules, ARRAY_LENGTH(member_rules), state, message, (size_t)length,
		    fd_count, &error))
		result = handle_member(
			member, message, (size_t)length, fd_count ? fds[0] : -1, &error);
	else
		close_all(fds, fd_count);
	if (result < 0)
		close_channel(member, error.message);
	return 0;
}

/* ---- members ---- */

static struct member *member_free(struct member *member)
{
	if (member == NULL)
		return NULL;
	close_channel(member, NULL);
	proxy_free(member->proxy);
	attempts_end(member);
	rules_free(&member->connect);
	rules_free(&member->deny);
	free(member);
	return NULL;
}

static struct member **find_member(struct world *world, uint32_t instance)
{
	struct member **place = &world->members;
	while (*place && (*place)->instance != instance)
		place = &(*place)->next;
	return place;
}

/* CHANNEL is taken. */
static int add_member(struct world *world, const struct egress_add *add, uint32_t instance,
	int channel, struct error *error)
{
	struct member *member = calloc(1, sizeof *member);
	if (member == NULL) {
		close(channel);
		return error_set(error, ENOMEM, "no memory for instance %u", instance);
	}
	*member = (struct member){
		.world = world,
		.instance = instance,
		.audit = add->audit,
		.may_proxy = add->proxy,
		.concurrent = add->concurrent,
		.timeout_ms = add->timeout_ms,
		.channel = channel,
	};
	snprintf(member->tenant, sizeof member->tenant, "%s", add->tenant);
	bucket_init(&member->bucket, add->rate_per_second, clock_ms());
	bucket_init(&member->audits, AUDITS_PER_SECOND, clock_ms());
	int result = rules_parse(&member->connect, add->connect, add->connect_count, error);
	if (result == 0)
		result = rules_parse(&member->deny, add->deny, add->deny_count, error);
	if (result == 0 && (fcntl(channel, F_SETFL, O_NONBLOCK) < 0 ||
				   sd_event_add_io(world->event, &member->channel_source, channel,
					   EPOLLIN, member_readable, member) < 0))
		result = error_set(error, ENOMEM, "cannot watch the channel");
	if (result < 0) {
		member_free(member);
		return result;
	}
	member->next = world->members;
	world->members = member;
	return 0;
}

static int take_add(
	struct world *world, const void *data, size_t length, int channel, struct error *error)
{
	static struct egress_add add;
	struct egress_header header;
	memcpy(&header, data, sizeof header);
	int result = egress_add_decode(data, length, &add, error);
	if (result == 0 && *find_member(world, header.id))
		result = error_set(error, EEXIST, "instance %u is there already", header.id);
	if (result < 0) {
		close(channel);
		return result;
	}
	return add_member(world, &add, header.id, channel, error);
}

static void forget(struct world *world, uint32_t instance)
{
	struct member **place = find_member(world, instance), *member = *place;
	if (member == NULL)
		return;
	*place = member->next;
	member_free(member);
}

static int handle_supervisor(
	struct world *world, const void *data, size_t length, int fd, struct error *error)
{
	struct egress_header header;
	memcpy(&header, data, sizeof header);
	if (header.type == EGRESS_ADD)
		return take_add(world, data, length, fd, error);
	if (header.type == EGRESS_FORGET) {
		forget(world, header.id);
		return 0;
	}
	struct member *member = *find_member(world, header.id);
	return member ? drop(member, data, length, error) : 0;
}

/* The supervisor is trusted; what is wrong with its messages is a fault of ours, and the
 * end: it starts another. */
static int supervisor_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	static _Alignas(8) char message[MESSAGE_LENGTH_MAX];
	struct world *world = data;
	struct error error = {0};
	int fds[2];
	size_t fd_count = ARRAY_LENGTH(fds);
	(void)source;
	(void)events;
	ssize_t length = message_receive(fd, message, sizeof message, fds, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return 0;
	if (length == 0 || length == -ECONNRESET)
		return sd_event_exit(world->event, 0);
	int result = (int)length;
	if (length < 0)
		error_errno(&error, (int)-length, "cannot receive");
	else if (!message_check(supervisor_rules, ARRAY_LENGTH(supervisor_rules), STATE_ANY,
			 message, (size_t)length, fd_count, &error))
		result = -EBADMSG;
	else
		result = handle_supervisor(
			world, message, (size_t)length, fd_count ? fds[0] : -1, &error);
	if (result >= 0)
		return 0;
	log_error("event=egress-bad-message message=\"%s\"", escape_for_log(error.message));
	return sd_event_exit(world->event, result);
}

/* ---- decisions ---- */

void member_audit(struct member *member, bool allowed, const char *resource, const char *reason)
{
	struct {
		struct egress_audit audit;
		char texts[1024];
	} message = {.audit = {.header = {EGRESS_AUDIT, member->instance}, .allowed = allowed}};
	struct world *world = member->world;
	if (member->audit == POLICY_AUDIT_OFF || (allowed && member->audit != POLICY_AUDIT_ALL) ||
		!bucket_take(&member->audits, clock_ms()))
		return;
	size_t length = (size_t)snprintf(message.texts, 450, "%s", resource);
	length = (length < 449 ? length : 449) + 1;
	const size_t room = sizeof message.texts - length;
	size_t more = (size_t)snprintf(message.texts + length, room, "%s", reason);
	length += (more < room - 1 ? more : room - 1) + 1;
	if (message_send(world->supervisor, &message, sizeof message.audit + length, NULL, 0) < 0) {
		if (world->audits_lost++ == 0)
			log_warn("event=egress-audit-lost message=\"tenantd does not read\"");
	} else if (world->audits_lost > 0) {
		log_warn("event=egress-audit-lost count=%llu",
			(unsigned long long)world->audits_lost);
		world->audits_lost = 0;
	}
}

/* ---- beginning and end ---- */

int world_start(struct world *world, struct error *error)
{
	const struct egress_header ready = {EGRESS_READY, 0};
	int result = sd_event_add_io(world->event, &world->supervisor_source, world->supervisor,
		EPOLLIN, supervisor_readable, world);
	if (result < 0)
		return error_errno(error, -result, "cannot watch tenantd's channel");
	/* What is gone must not be served before what is new. */
	sd_event_source_set_priority(world->supervisor_source, -10);
	result = message_send(world->supervisor, &ready, sizeof ready, NULL, 0);
	return result < 0 ? error_errno(error, -result, "cannot tell tenantd") : 0;
}

void world_finish(struct world *world)
{
	while (world->members) {
		struct member *next = world->members->next;
		member_free(world->members);
		world->members = next;
	}
	resolver_free(world->resolver);
	sd_event_source_disable_unref(world->supervisor_source);
	sd_event_unref(world->event);
}
