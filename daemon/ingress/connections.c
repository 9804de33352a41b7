/* Connections, from accept to the worker:
 *
 *   accepted -> head -> handed over
 *                    -> waiting (its tenant has no instance yet) -> handed over
 *                    -> answered (an error of ours) -> closed
 *
 * Whoever sends slowly costs a place of a fixed number, and a fixed amount of looking: when
 * places run out, who has waited longest goes. Bytes are looked at where they are, and stay
 * there for the worker. */
#include "daemon/ingress/private.h"

#include "common/clock.h"
#include "common/protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096 /* that are not handed over yet */
#define WAITING_MAX 512      /* of one tenant, at most: see may_wait */
#define ACCEPTS_MAX 64       /* in one turn from one listener */
#define EVICTIONS_MAX 64     /* likewise, when places run out */

#define HEAD_MS 10000 /* the worker's HTTP_HEAD_MS */
#define WAIT_MS 30000
#define LINGER_MS 1000 /* for the client to read our answer */
#define SAFE_MS 1000   /* a head that is younger is not given up for another */
#define PAUSE_MS 100   /* when there are no descriptors */

/* Bytes that are looked at in all: a head that comes byte by byte is looked at from its
 * beginning each time. */
#define LOOKED_MAX (512 * 1024)
#define DRAINED_MAX (256 * 1024) /* thrown away while the client reads our answer */

struct connection {
	struct watch watch;
	struct world *world;
	struct connection *next, *previous;
	struct connection_list *list;
	struct tenant *tenant; /* that it waits for */
	uint64_t deadline_ms;
	uint32_t looked, drained;
	uint32_t flags; /* enum handover_flag */
	bool tls, watched;
};

static char peeked[HEAD_BYTES_MAX]; /* one thread */
_Static_assert(HELLO_BYTES_MAX <= HEAD_BYTES_MAX, "one buffer for both");

static void set_accepting(struct world *world, bool on)
{
	if (world->accepting == on)
		return;
	world->accepting = on;
	for (size_t i = 0; i < world->listener_count; i++)
		if (world->listeners[i].watch.fd >= 0)
			loop_change(world, &world->listeners[i].watch, on ? EPOLLIN : 0);
}

/* ---- lists: each in the order of its deadlines, which all are equally long ---- */

static void leave(struct connection *connection)
{
	struct connection_list *list = connection->list;
	if (list == NULL)
		return;
	*(connection->previous ? &connection->previous->next : &list->first) = connection->next;
	*(connection->next ? &connection->next->previous : &list->last) = connection->previous;
	connection->next = connection->previous = NULL;
	connection->list = NULL;
}

static void enter(struct connection *connection, struct connection_list *list, uint32_t ms)
{
	struct world *world = connection->world;
	leave(connection);
	connection->deadline_ms = ms ? clock_ms() + ms : 0;
	connection->previous = list->last;
	connection->list = list;
	*(list->last ? &list->last->next : &list->first) = connection;
	list->last = connection;
	world->counts->pending = world->connection_used;
}

/* ---- places ---- */

int connections_open(struct world *world, struct error *error)
{
	struct rlimit files = {.rlim_cur = 1024};
	getrlimit(RLIMIT_NOFILE, &files);
	world->connection_max =
		files.rlim_cur / 2 < CONNECTIONS_MAX ? files.rlim_cur / 2 : CONNECTIONS_MAX;
	world->connections = mmap(NULL, world->connection_max * sizeof(struct connection),
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (world->connections == MAP_FAILED)
		return error_errno(error, errno, "no memory for connections");
	world->accepting = true;
	return 0;
}

/* NULL: there is no place. */
static struct connection *take_place(struct world *world)
{
	struct connection *connection = world->spare.first;
	if (connection)
		leave(connection);
	else if (world->connection_made < world->connection_max)
		connection = &world->connections[world->connection_made++];
	if (connection == NULL)
		return NULL;
	*connection = (struct connection){.world = world, .watch.fd = -1};
	world->connection_used++;
	return connection;
}

static void stop_waiting(struct connection *connection)
{
	if (connection->tenant == NULL)
		return;
	connection->tenant->waiting--;
	connection->world->waiting_count--;
	connection->world->counts->tenants[connection->tenant->id].waiting =
		connection->tenant->waiting;
	connection->tenant = NULL;
}

/* The place is free when the turn is over: an event for it may still be on its way. */
static void end(struct connection *connection)
{
	struct world *world = connection->world;
	if (connection->watch.fd >= 0) {
		if (connection->watched)
			loop_remove(world, &connection->watch);
		close_shared(connection->watch.fd);
	}
	connection->watch.fd = -1;
	stop_waiting(connection);
	world->connection_used--;
	enter(connection, &world->ending, 0);
}

void connections_settle(struct world *world)
{
	while (world->ending.first) {
		struct connection *connection = world->ending.first;
		enter(connection, &world->spare, 0);
	}
	if (!world->accepting && world->paused_until_ms == 0 &&
		(world->spare.first || world->connection_made < world->connection_max))
		set_accepting(world, true);
}

static bool watch(struct connection *connection, uint32_t events)
{
	struct world *world = connection->world;
	const int result = connection->watched ? loop_change(world, &connection->watch, events)
					       : loop_add(world, &connection->watch, events);
	connection->watched |= result == 0;
	return result == 0;
}

/* ---- our own answers ---- */

enum answer {
	ANSWER_BAD,
	ANSWER_FOREIGN,
	ANSWER_UNKNOWN,
	ANSWER_LATE,
	ANSWER_TOO_LARGE,
	ANSWER_BUSY,
	ANSWER_VERSION,
	ANSWER_PROTOCOL,
	ANSWER_COUNT,
};

#define TEXT(status, fields, text)                                                                 \
	"HTTP/1.1 " status "\r\nContent-Type: text/plain;charset=UTF-8\r\n" fields                 \
	"Connection: close\r\n\r\n" text "\n"
/* A fatal alert of TLS 1.2, which all versions understand. */
#define ALERT(description) "\x15\x03\x03\x00\x02\x02" description

static const struct {
	const char *http;
	const char *tls; /* 7 bytes */
} answers[ANSWER_COUNT] = {
	[ANSWER_BAD] = {TEXT("400 Bad Request", "", "Bad Request"),
		ALERT("\x32")}, /* decode_error */
	[ANSWER_FOREIGN] = {TEXT("400 Bad Request", "", "This port speaks another protocol"), NULL},
	[ANSWER_UNKNOWN] = {TEXT("404 Not Found", "", "There is no site of that name here"),
		ALERT("\x70")}, /* unrecognized_name */
	[ANSWER_LATE] = {TEXT("408 Request Timeout", "", "Request Timeout"), NULL},
	[ANSWER_TOO_LARGE] = {TEXT("431 Request Header Fields Too Large", "",
				      "Request Header Fields Too Large"),
		ALERT("\x32")},
	[ANSWER_BUSY] = {TEXT("503 Service Unavailable", "Retry-After: 1\r\n",
				 "Service Unavailable"),
		ALERT("\x50")}, /* internal_error */
	[ANSWER_VERSION] = {TEXT("505 HTTP Version Not Supported", "",
				    "HTTP Version Not Supported"),
		NULL},
	[ANSWER_PROTOCOL] = {NULL, ALERT("\x78")}, /* no_application_protocol */
};

/* Tells the client, and lets it read that: to close with unread bytes would reset the
 * connection under the answer. */
static void answer(struct connection *connection, enum answer which)
{
	struct world *world = connection->world;
	/* Who speaks HTTP on a TLS port reads HTTP. */
	const bool alert = connection->tls && which != ANSWER_FOREIGN;
	const char *text = alert ? answers[which].tls : answers[which].http;
	const size_t length = text == NULL ? 0 : alert ? 7 : strlen(text);
	stop_waiting(connection);
	if (which == ANSWER_UNKNOWN)
		world->counts->unknown++;
	else if (which == ANSWER_LATE)
		world->counts->late++;
	else if (which != ANSWER_BUSY)
		world->counts->malformed++;
	const int fd = connection->watch.fd;
	if (length == 0 || send(fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ||
		shutdown(fd, SHUT_WR) < 0 || !watch(connection, EPOLLIN | EPOLLRDHUP | EPOLLET)) {
		end(connection);
		return;
	}
	enter(connection, &world->answered, LINGER_MS);
}

static void refuse_busy(struct connection *connection, struct tenant *tenant)
{
	connection->world->counts->tenants[tenant->id].refused++;
	answer(connection, ANSWER_BUSY);
}

static void drain(struct connection *connection)
{
	for (;;) {
		const ssize_t length =
			recv(connection->watch.fd, peeked, sizeof peeked, MSG_DONTWAIT);
		if (length < 0 && errno == EAGAIN)
			return;
		if (length > 0)
			connection->drained += (uint32_t)length;
		if (length <= 0 || connection->drained > DRAINED_MAX) {
			end(connection);
			return;
		}
	}
}

/* ---- to the worker ---- */

static void connection_ready(struct watch *ready, uint32_t events);

static void handed(struct connection *connection, struct tenant *tenant)
{
	connection->world->counts->tenants[tenant->id].handed++;
	end(connection);
}

/* Who has most waiting. */
static struct tenant *most_waiting(const struct world *world)
{
	struct tenant *most = NULL;
	for (size_t i = 0; i < INGRESS_TENANTS_MAX; i++) {
		struct tenant *tenant = world->tenants[i];
		if (tenant && tenant->waiting > (most ? most->waiting : 0))
			most = tenant;
	}
	return most;
}

/* Half of the places are for those whose tenant is not known yet: a few tenants that never
 * come must not be the end of everybody. In the other half, when it is full, who has most
 * gives way. */
static bool may_wait(struct world *world, const struct tenant *tenant)
{
	if (!tenant->wait || tenant->waiting >= WAITING_MAX)
		return false;
	if (world->waiting_count < world->connection_max / 2)
		return true;
	struct tenant *most = most_waiting(world);
	if (most == NULL || tenant->waiting + 1 >= most->waiting)
		return false;
	struct connection *oldest = world->waiting.first;
	while (oldest->tenant != most)
		oldest = oldest->next;
	refuse_busy(oldest, most);
	return true;
}

static void wait_for(struct connection *connection, struct tenant *tenant)
{
	struct world *world = connection->world;
	/* A client that gives up is noticed by HUP; one that has closed its side may still
	 * want to read. */
	if (!may_wait(world, tenant) || !watch(connection, EPOLLET)) {
		refuse_busy(connection, tenant);
		return;
	}
	connection->tenant = tenant;
	world->waiting_count++;
	world->counts->tenants[tenant->id].waiting = ++tenant->waiting;
	enter(connection, &world->waiting, WAIT_MS);
	channel_want(world, tenant);
}

static void pass_on(struct connection *connection, struct tenant *tenant)
{
	switch (tenant_hand_over(tenant, connection->watch.fd, connection->flags)) {
	case CHOICE_HANDED:
		handed(connection, tenant);
		break;
	case CHOICE_FULL:
		refuse_busy(connection, tenant);
		break;
	default:
		wait_for(connection, tenant);
		break;
	}
}

void connections_retry(struct world *world, struct tenant *tenant)
{
	for (struct connection *connection = world->waiting.first, *next; connection;
		connection = next) {
		next = connection->next;
		if (connection->tenant != tenant)
			continue;
		switch (tenant_hand_over(tenant, connection->watch.fd, connection->flags)) {
		case CHOICE_HANDED:
			handed(connection, tenant);
			break;
		case CHOICE_FULL: /* more wait than it takes at once */
			refuse_busy(connection, tenant);
			break;
		default:
			if (!tenant->wait)
				refuse_busy(connection, tenant);
			break;
		}
	}
}

void connection_return(struct world *world, struct tenant *tenant, int fd, uint32_t flags)
{
	struct connection *connection = take_place(world);
	if (connection == NULL) {
		world->counts->tenants[tenant->id].refused++;
		if (tenant_hand_over(tenant, fd, flags) == CHOICE_HANDED)
			world->counts->tenants[tenant->id].refused--;
		close_shared(fd);
		return;
	}
	world->counts->tenants[tenant->id].handed--;
	connection->watch = (struct watch){connection_ready, fd};
	connection->flags = flags;
	connection->tls = flags & HANDOVER_TLS;
	pass_on(connection, tenant);
}

/* ---- heads ---- */

static enum parse_result parse(
	struct connection *connection, size_t length, const struct site **ret_site)
{
	static struct http_head head;
	static struct client_hello hello;
	const struct site_table *table = &connection->world->table;
	*ret_site = NULL;
	if (connection->tls) {
		const enum parse_result result =
			client_hello_parse((const uint8_t *)peeked, length, &hello);
		if (result == PARSE_DONE && hello.host[0])
			*ret_site = sites_find(table, hello.host, NULL);
		return result;
	}
	const enum parse_result result = http_head_parse(peeked, length, &head);
	if (result == PARSE_DONE && head.host[0])
		*ret_site = sites_find(table, head.host, head.path);
	return result;
}

static void decide(struct connection *connection, enum parse_result result, const struct site *site)
{
	static const enum answer refusals[] = {
		[PARSE_BAD] = ANSWER_BAD,
		[PARSE_VERSION] = ANSWER_VERSION,
		[PARSE_FOREIGN] = ANSWER_FOREIGN,
		[PARSE_PROTOCOL] = ANSWER_PROTOCOL,
	};
	connection->flags = connection->tls ? HANDOVER_TLS : 0;
	if (result != PARSE_DONE)
		answer(connection, refusals[result]);
	else if (site == NULL)
		answer(connection, ANSWER_UNKNOWN);
	else
		pass_on(connection, site->tenant);
}

/* Looks at what has come. Returns false when the connection is on its way. */
static bool look(struct connection *connection)
{
	const struct site *site;
	const ssize_t length =
		recv(connection->watch.fd, peeked, sizeof peeked, MSG_PEEK | MSG_DONTWAIT);
	if (length < 0 && errno == EAGAIN)
		return true;
	if (length <= 0) {
		end(connection);
		return false;
	}
	connection->looked += (uint32_t)length;
	const enum parse_result result = parse(connection, (size_t)length, &site);
	if (result != PARSE_MORE)
		decide(connection, result, site);
	else if (length == sizeof peeked)
		answer(connection, ANSWER_TOO_LARGE);
	else if (connection->looked > LOOKED_MAX)
		answer(connection, ANSWER_LATE);
	else
		return true;
	return false;
}

static void connection_ready(struct watch *ready, uint32_t events)
{
	struct connection *connection = (struct connection *)ready;
	struct world *world = connection->world;
	if (connection->list == &world->answered) {
		drain(connection);
	} else if (connection->list == &world->waiting) {
		if (events & (EPOLLHUP | EPOLLERR))
			end(connection);
	} else if (connection->list == &world->heads) {
		if (look(connection) && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			end(connection); /* half a head, and no more will come */
	}
}

/* ---- accepting ---- */

static void accepted(struct world *world, struct connection *connection, int fd, bool tls)
{
	connection->watch = (struct watch){connection_ready, fd};
	connection->tls = tls;
	world->counts->accepted++;
	/* Most have their head with them, or close behind: the kernel waits for it. */
	if (!look(connection))
		return;
	/* Edge by edge: what was looked at stays in the socket. */
	if (!watch(connection, EPOLLIN | EPOLLRDHUP | EPOLLET))
		end(connection);
	else
		enter(connection, &world->heads, HEAD_MS);
}

/* Makes room for the next turn: first who has its answer, then the oldest heads. */
static void evict(struct world *world)
{
	const uint64_t now = clock_ms();
	for (int i = 0; i < EVICTIONS_MAX; i++) {
		struct connection *connection = world->answered.first;
		if (connection == NULL) {
			connection = world->heads.first;
			if (connection == NULL || connection->deadline_ms + SAFE_MS > now + HEAD_MS)
				return;
			world->counts->late++;
		}
		end(connection);
	}
}

/* Returns false when no more can be accepted now. */
static bool accept_one(struct world *world, struct listener *listener)
{
	struct connection *connection = take_place(world);
	if (connection == NULL) {
		evict(world);
		set_accepting(world, false);
		return false;
	}
	const int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		accepted(world, connection, fd, listener->tls);
		return true;
	}
	const int code = errno;
	end(connection);
	if (code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS) {
		evict(world);
		set_accepting(world, false);
		world->paused_until_ms = clock_ms() + PAUSE_MS;
		return false;
	}
	/* Others are of a connection that broke before it was accepted: accept(2). */
	return code != EAGAIN;
}

static void listener_ready(struct watch *ready, uint32_t events)
{
	struct listener *listener = (struct listener *)ready;
	struct world *world = listener->world;
	(void)events;
	for (int i = 0; i < ACCEPTS_MAX && world->accepting && listener->watch.fd >= 0; i++)
		if (!accept_one(world, listener))
			return;
}

int listener_add(struct world *world, int fd, bool tls, struct error *error)
{
	if (world->listener_count == INGRESS_LISTENERS_MAX) {
		close(fd);
		return error_set(error, E2BIG, "more than %d listeners", INGRESS_LISTENERS_MAX);
	}
	struct listener *listener = &world->listeners[world->listener_count++];
	*listener = (struct listener){{listener_ready, fd}, world, tls};
	const int result = loop_add(world, &listener->watch, world->accepting ? EPOLLIN : 0);
	return result < 0 ? error_errno(error, -result, "cannot watch a listener") : 0;
}

void listeners_close(struct world *world)
{
	for (size_t i = 0; i < world->listener_count; i++) {
		struct listener *listener = &world->listeners[i];
		if (listener->watch.fd < 0)
			continue;
		loop_remove(world, &listener->watch);
		close(listener->watch.fd);
		listener->watch.fd = -1;
	}
}

/* ---- deadlines ---- */

static void expire(struct world *world, struct connection *connection)
{
	if (connection->list == &world->waiting)
		refuse_busy(connection, connection->tenant);
	else if (connection->list == &world->heads && connection->looked > 0)
		answer(connection, ANSWER_LATE);
	else
		end(connection); /* has its answer, or never said a word */
}

int connections_tick(struct world *world)
{
	struct connection_list *const lists[] = {&world->heads, &world->waiting, &world->answered};
	const uint64_t now = clock_ms();
	uint64_t next = UINT64_MAX;
	if (world->paused_until_ms && world->paused_until_ms <= now)
		world->paused_until_ms = 0; /* connections_settle goes on */
	if (world->paused_until_ms)
		next = world->paused_until_ms;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		struct connection *connection;
		while ((connection = lists[i]->first) && connection->deadline_ms <= now)
			expire(world, connection);
		if (connection && connection->deadline_ms < next)
			next = connection->deadline_ms;
	}
	/* Full of heads that are too young to be given up: they grow older. */
	if (!world->accepting && !world->paused_until_ms && !world->ending.first) {
		evict(world);
		if (next > now + PAUSE_MS)
			next = now + PAUSE_MS;
	}
	return next == UINT64_MAX ? -1 : next <= now ? 0 : (int)(next - now);
}
