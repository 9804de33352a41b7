/* One connection that is being made: the target is checked before its name is looked up,
 * each address after; then the addresses race (RFC 8305): the families in turn, the next
 * one after 250 ms or as soon as one fails, and the first that is there wins. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define NEXT_ADDRESS_MS 250

struct racer {
	struct attempt *attempt;
	int fd; /* -1: not begun, or over */
	sd_event_source *source;
};

struct attempt {
	struct attempt *next, **place; /* in member->attempts */
	struct member *member;
	attempt_done_fn *done; /* NULL: over; the resolver still holds the query */
	void *data;
	struct policy_target target;
	char shown[300]; /* "example.com:443", for people */
	bool resolve_only;
	unsigned family;
	uint32_t timeout_ms;
	struct resolver_query *query;
	struct attempt_options *options; /* what was asked for */
	sd_event_source *start, *deadline, *next_timer;
	size_t count, begun, racing;
	struct resolver_address addresses[EGRESS_ADDRESSES_MAX];
	struct racer racers[EGRESS_ADDRESSES_MAX];
	int last_code;
	struct resolver_address last_failed;
	char rule[256]; /* why it is allowed */
};

/* ---- the end ---- */

static void stop(struct attempt *attempt)
{
	sd_event_source_disable_unref(take_pointer(attempt->start));
	sd_event_source_disable_unref(take_pointer(attempt->deadline));
	sd_event_source_disable_unref(take_pointer(attempt->next_timer));
	for (size_t i = 0; i < attempt->begun; i++) {
		sd_event_source_disable_unref(take_pointer(attempt->racers[i].source));
		close_fd(&attempt->racers[i].fd);
	}
}

static void attempt_free(struct attempt *attempt)
{
	stop(attempt);
	*attempt->place = attempt->next;
	if (attempt->next)
		attempt->next->place = attempt->place;
	attempt->member->under_way--;
	free(attempt->options);
	free(attempt);
}

/* Frees it, or leaves it to the end of its query: until then it counts. */
static void release(struct attempt *attempt)
{
	stop(attempt);
	attempt->done = NULL;
	if (attempt->query == NULL)
		attempt_free(attempt);
}

static void finish(struct attempt *attempt, struct attempt_result *result)
{
	attempt_done_fn *done = attempt->done;
	void *data = attempt->data;
	struct resolver_address addresses[EGRESS_ADDRESSES_MAX];
	if (result->addresses) {
		memcpy(addresses, result->addresses, result->count * sizeof *addresses);
		result->addresses = addresses;
	}
	release(attempt);
	done(data, result);
}

/* "connect to HOST:PORT refused: why", or "failed". */
__attribute__((format(printf, 4, 5))) static void refuse(
	struct attempt *attempt, enum egress_refusal refusal, int code, const char *format, ...)
{
	struct attempt_result result = {.refusal = refusal, .code = code, .socket = -1};
	const bool refused = refusal == EGRESS_DENIED || refusal == EGRESS_LIMIT;
	size_t length = (size_t)snprintf(result.text, sizeof result.text,
		"%s %s %s: ", attempt->resolve_only ? "look up" : "connect to", attempt->shown,
		refused ? "refused" : "failed");
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(result.text + length, sizeof result.text - length, format, arguments);
	va_end(arguments);
	finish(attempt, &result);
}

static void format_peer(const struct resolver_address *peer, char text[INET6_ADDRSTRLEN])
{
	inet_ntop(peer->family, peer->address, text, INET6_ADDRSTRLEN);
}

static void audit(const struct attempt *attempt, bool allowed, const struct resolver_address *peer,
	const char *reason)
{
	char address[INET6_ADDRSTRLEN], resource[400];
	if (peer && attempt->target.kind == POLICY_NET_HOST) {
		format_peer(peer, address);
		snprintf(resource, sizeof resource, "%s (%s)", attempt->shown, address);
	} else {
		snprintf(resource, sizeof resource, "%s", attempt->shown);
	}
	member_audit(attempt->member, allowed, resource, reason);
}

static void deny(struct attempt *attempt, const char *prefix,
	const struct resolver_address *address, const char *reason)
{
	audit(attempt, false, address, reason);
	refuse(attempt, EGRESS_DENIED, EACCES, "%s%s", prefix, reason);
}

static void connected(struct attempt *attempt, int fd, const struct resolver_address *peer)
{
	struct attempt_result result = {.socket = fd, .peer = *peer, .port = attempt->target.port};
	audit(attempt, true, peer, attempt->rule);
	finish(attempt, &result);
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct attempt *attempt = data;
	(void)source;
	(void)usec;
	if (attempt->query)
		refuse(attempt, EGRESS_TIMED_OUT, ETIMEDOUT, "no DNS server answered within %u ms",
			attempt->timeout_ms);
	else
		refuse(attempt, EGRESS_TIMED_OUT, ETIMEDOUT,
			"not connected within %u ms (%zu addresses tried)", attempt->timeout_ms,
			attempt->begun);
	return 0;
}

/* ---- the race ---- */

static void race_on(struct attempt *attempt);

static void race_lost(struct attempt *attempt)
{
	char address[INET6_ADDRSTRLEN], why[128];
	format_peer(&attempt->last_failed, address);
	snprintf(why, sizeof why, "%s", strerror(attempt->last_code));
	audit(attempt, true, &attempt->last_failed, attempt->rule);
	if (attempt->target.kind == POLICY_NET_ADDRESS)
		refuse(attempt, EGRESS_CONNECT_FAILED, attempt->last_code, "%s", why);
	else if (attempt->count == 1)
		refuse(attempt, EGRESS_CONNECT_FAILED, attempt->last_code, "%s: %s", address, why);
	else
		refuse(attempt, EGRESS_CONNECT_FAILED, attempt->last_code,
			"none of %zu addresses, the last one %s: %s", attempt->count, address, why);
}

static int racer_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct racer *racer = data;
	struct attempt *attempt = racer->attempt;
	const size_t i = (size_t)(racer - attempt->racers);
	int code = 0;
	socklen_t length = sizeof code;
	(void)source;
	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		code = errno;
	sd_event_source_disable_unref(take_pointer(racer->source));
	if (code == 0) {
		connected(attempt, take_fd(&racer->fd), &attempt->addresses[i]);
		return 0;
	}
	close_fd(&racer->fd);
	attempt->racing--;
	attempt->last_code = code;
	attempt->last_failed = attempt->addresses[i];
	race_on(attempt);
	return 0;
}

static int next_due(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	race_on(data);
	return 0;
}

/* Begins the next address that can be begun. */
static bool begin_next(struct attempt *attempt)
{
	while (attempt->begun < attempt->count) {
		const size_t i = attempt->begun++;
		struct racer *racer = &attempt->racers[i];
		const struct resolver_address *address = &attempt->addresses[i];
		racer->attempt = attempt;
		racer->fd = connect_begin(address->family, address->address, attempt->target.port);
		int result = racer->fd < 0 ? racer->fd
					   : sd_event_add_io(attempt->member->world->event,
						     &racer->source, racer->fd, EPOLLOUT,
						     racer_ready, racer);
		if (result >= 0) {
			attempt->racing++;
			return true;
		}
		attempt->last_code = -result;
		attempt->last_failed = *address;
		if (racer->fd >= 0)
			close(racer->fd);
		racer->fd = -1;
	}
	return false;
}

static void race_on(struct attempt *attempt)
{
	if (!begin_next(attempt) && attempt->racing == 0) {
		race_lost(attempt);
		return;
	}
	if (attempt->begun == attempt->count)
		return;
	if (attempt->next_timer == NULL) {
		sd_event_add_time_relative(attempt->member->world->event, &attempt->next_timer,
			CLOCK_MONOTONIC, NEXT_ADDRESS_MS * 1000, 1000, next_due, attempt);
		return;
	}
	sd_event_source_set_time_relative(attempt->next_timer, NEXT_ADDRESS_MS * 1000);
	sd_event_source_set_enabled(attempt->next_timer, SD_EVENT_ONESHOT);
}

/* ---- the name's addresses ---- */

/* May it be reached at ADDRESS, of the host or of others? Asked right before it is. */
static void judge(const struct attempt *attempt, int family, const uint8_t address[16],
	struct policy_decision *ret)
{
	const struct member *member = attempt->member;
	policy_match_address(&member->connect, &member->deny, &attempt->target, family, address,
		route_is_own(member->world->route, family, address), ret);
}

/* Keeps those that the policy allows. Returns false, having ended it, when it allows none. */
static bool keep_allowed(struct attempt *attempt, const struct resolver_answer *answer)
{
	struct policy_decision decision, denial = {0};
	struct resolver_address denied = {0};
	for (size_t i = 0; i < answer->count; i++) {
		const struct resolver_address *address = &answer->addresses[i];
		judge(attempt, address->family, address->address, &decision);
		if (decision.allowed) {
			if (attempt->count == 0)
				memcpy(attempt->rule, decision.reason, sizeof attempt->rule);
			attempt->addresses[attempt->count++] = *address;
		} else if (denial.reason[0] == '\0') {
			denial = decision;
			denied = *address;
		}
	}
	if (attempt->count > 0)
		return true;
	char text[INET6_ADDRSTRLEN], prefix[400];
	format_peer(&denied, text);
	snprintf(prefix, sizeof prefix, "%s resolved to %s: ", attempt->target.name, text);
	deny(attempt, prefix, &denied, denial.reason);
	return false;
}

static void resolved(void *data, const struct resolver_answer *answer)
{
	struct attempt *attempt = data;
	attempt->query = NULL;
	if (attempt->done == NULL) { /* over before */
		attempt_free(attempt);
		return;
	}
	if (answer->refusal) {
		refuse(attempt, answer->refusal, 0, "%s", answer->why);
		return;
	}
	if (!keep_allowed(attempt, answer))
		return;
	if (attempt->resolve_only) {
		struct attempt_result result = {
			.socket = -1, .count = attempt->count, .addresses = attempt->addresses};
		finish(attempt, &result);
		return;
	}
	race_on(attempt);
}

/* ---- the beginning ---- */

static void show_target(struct attempt *attempt)
{
	const struct policy_target *target = &attempt->target;
	char address[INET6_ADDRSTRLEN], name[280];
	switch (target->kind) {
	case POLICY_NET_UNIX:
		escape_line(name, sizeof name, target->name, strlen(target->name), 0);
		snprintf(attempt->shown, sizeof attempt->shown, "unix:%s", name);
		return;
	case POLICY_NET_ADDRESS:
		inet_ntop(target->family, target->address, address, sizeof address);
		snprintf(name, sizeof name, target->family == AF_INET6 ? "[%s]" : "%s", address);
		break;
	default:
		snprintf(name, sizeof name, "%s", target->name);
		break;
	}
	if (target->port)
		snprintf(attempt->shown, sizeof attempt->shown, "%s:%u", name, target->port);
	else
		snprintf(attempt->shown, sizeof attempt->shown, "%s", name);
}

static void begin_unix(struct attempt *attempt)
{
	struct error error = {0};
	struct resolver_address peer = {.family = AF_UNIX};
	int fd = -1;
	if (connect_unix(attempt->target.name, &fd, &error) < 0) {
		audit(attempt, true, NULL, attempt->rule);
		refuse(attempt, EGRESS_CONNECT_FAILED, error.code, "%s", error.message);
		return;
	}
	connected(attempt, fd, &peer);
}

static void begin_address(struct attempt *attempt)
{
	const struct policy_target *target = &attempt->target;
	struct resolver_address *only = &attempt->addresses[0];
	if ((attempt->family == 4 && target->family != AF_INET) ||
		(attempt->family == 6 && target->family != AF_INET6)) {
		refuse(attempt, EGRESS_NOT_FOUND, 0, "it is no IPv%u address", attempt->family);
		return;
	}
	only->family = target->family;
	memcpy(only->address, target->address, sizeof only->address);
	attempt->count = 1;
	if (attempt->resolve_only) {
		struct attempt_result result = {
			.socket = -1, .count = 1, .addresses = attempt->addresses};
		finish(attempt, &result);
		return;
	}
	race_on(attempt);
}

/* The target is known; the policy decides. */
static void begin(struct attempt *attempt)
{
	const struct member *member = attempt->member;
	const struct policy_target *target = &attempt->target;
	struct policy_decision decision;
	if (target->kind == POLICY_NET_ADDRESS)
		judge(attempt, target->family, target->address, &decision);
	else
		policy_match_target(&member->connect, &member->deny, target, &decision);
	if (!decision.allowed) {
		deny(attempt, "", NULL, decision.reason);
		return;
	}
	memcpy(attempt->rule, decision.reason, sizeof attempt->rule);
	if (target->kind == POLICY_NET_UNIX) {
		begin_unix(attempt);
		return;
	}
	if (target->kind == POLICY_NET_ADDRESS) {
		begin_address(attempt);
		return;
	}
	attempt->query = resolver_start(
		member->world->resolver, target->name, attempt->family, resolved, attempt);
	if (attempt->query == NULL)
		refuse(attempt, EGRESS_FAILED, EAGAIN, "too many names are being looked up");
}

/* Returns false, having ended it, when there are too many or they come too fast. */
static bool within_limits(struct attempt *attempt)
{
	struct member *member = attempt->member;
	/* It counts itself. */
	if (member->under_way > member->concurrent) {
		refuse(attempt, EGRESS_LIMIT, EAGAIN,
			"%u connections are being made already (limits.connect.concurrent)",
			member->concurrent);
		return false;
	}
	if (!bucket_take(&member->bucket, clock_ms())) {
		refuse(attempt, EGRESS_LIMIT, EAGAIN,
			"more than %u connections in a second (limits.connect.rate)",
			member->bucket.rate);
		return false;
	}
	return true;
}

static bool parse_target(struct attempt *attempt, const struct attempt_options *options)
{
	struct error error = {0};
	int result = policy_target_parse(options->host, options->host_length, options->port,
		options->unix_socket, &attempt->target, &error);
	if (result == 0 && !options->unix_socket && options->port == 0 && !options->resolve_only)
		result = error_set(&error, EINVAL, "port 0 is none to connect to");
	if (result == 0) {
		show_target(attempt);
		return true;
	}
	escape_line(attempt->shown, sizeof attempt->shown / 2, options->host,
		options->host_length < 100 ? options->host_length : 100, 0);
	member_audit(attempt->member, false, attempt->shown, error.message);
	refuse(attempt, EGRESS_BAD_HOST, EINVAL, "%s", error.message);
	return false;
}

/* From the loop, so that DONE never comes before attempt_start has returned. */
static int start_now(sd_event_source *source, void *data)
{
	struct attempt *attempt = data;
	struct attempt_options *options = attempt->options;
	(void)source;
	sd_event_source_disable_unref(take_pointer(attempt->start));
	if (!parse_target(attempt, options) || !within_limits(attempt))
		return 0;
	int result = sd_event_add_time_relative(attempt->member->world->event, &attempt->deadline,
		CLOCK_MONOTONIC, (uint64_t)attempt->timeout_ms * 1000, 1000, deadline_passed,
		attempt);
	if (result < 0)
		refuse(attempt, EGRESS_FAILED, -result, "%s", strerror(-result));
	else
		begin(attempt);
	return 0;
}

struct attempt *attempt_start(struct member *member, const struct attempt_options *options)
{
	const size_t length =
		options->host_length <= EGRESS_HOST_MAX ? options->host_length : EGRESS_HOST_MAX;
	struct attempt *attempt = calloc(1, sizeof *attempt);
	struct attempt_options *copy = attempt ? malloc(sizeof *copy + length) : NULL;
	if (copy == NULL ||
		sd_event_add_defer(member->world->event, &attempt->start, start_now, attempt) < 0) {
		free(copy);
		free(attempt);
		return NULL;
	}
	*copy = *options;
	copy->host = memcpy(copy + 1, options->host, length);
	copy->host_length = length;
	attempt->options = copy;
	attempt->member = member;
	attempt->done = options->done;
	attempt->data = options->data;
	attempt->resolve_only = options->resolve_only;
	attempt->family = options->family;
	attempt->timeout_ms = member->timeout_ms;
	if (options->timeout_ms > 0 && options->timeout_ms < attempt->timeout_ms)
		attempt->timeout_ms = options->timeout_ms;
	attempt->next = member->attempts;
	attempt->place = &member->attempts;
	if (attempt->next)
		attempt->next->place = &attempt->next;
	member->attempts = attempt;
	member->under_way++;
	return attempt;
}

void attempt_cancel(struct attempt *attempt)
{
	release(attempt);
}

void attempts_end(struct member *member)
{
	while (member->attempts) {
		struct attempt *attempt = member->attempts;
		if (attempt->query)
			resolver_detach(attempt->query);
		attempt->query = NULL;
		attempt_free(attempt);
	}
}
