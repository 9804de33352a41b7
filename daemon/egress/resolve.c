/* Names to addresses: c-ares, driven by the event loop. Names are looked up as they are
 * written, without the search list: what the policy names is what is asked for. Nothing is
 * cached here, because a tenant could fill any cache; the host's resolver does that.
 * resolv.conf is looked at before each query; when it changed, a new c-ares channel takes
 * over, and the old one ends with its last query. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define QUERIES_MAX 16384 /* under way, of all tenants */
#define TIMEOUT_MS 2000   /* for the first answer of one server; doubled for the second try */
#define TRIES 2

struct watch {
	struct watch *next;
	struct servers *servers;
	int fd;
	sd_event_source *source;
};

/* A c-ares channel, of one state of resolv.conf. */
struct servers {
	struct servers *next;
	struct resolver *resolver;
	ares_channel_t *channel;
	struct watch *watches;
	sd_event_source *timer;
	size_t queries;
};

struct resolver {
	sd_event *event;
	char *resolv_conf, *hosts;
	struct stat seen;
	struct servers *current, *retired;
	size_t queries;
	struct resolver_query *answered; /* to be delivered */
	sd_event_source *deliver;
};

struct resolver_query {
	struct resolver_query *next;
	struct servers *servers;
	resolver_done_fn *done; /* NULL: nobody waits any more */
	void *data;
	struct resolver_answer answer;
};

/* ---- c-ares and the loop ---- */

static void set_timer(struct servers *servers)
{
	struct timeval wait;
	if (ares_timeout(servers->channel, NULL, &wait) == NULL) {
		sd_event_source_set_enabled(servers->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(
		servers->timer, (uint64_t)wait.tv_sec * 1000000 + (uint64_t)wait.tv_usec + 1000);
	sd_event_source_set_enabled(servers->timer, SD_EVENT_ONESHOT);
}

static int time_passed(sd_event_source *source, uint64_t usec, void *data)
{
	struct servers *servers = data;
	(void)source;
	(void)usec;
	ares_process_fd(servers->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(servers);
	return 0;
}

static int socket_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct servers *servers = ((struct watch *)data)->servers;
	(void)source;
	const bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
	const bool out = events & (EPOLLOUT | EPOLLERR | EPOLLHUP);
	/* The watch may be gone afterwards. */
	ares_process_fd(servers->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
	set_timer(servers);
	return 0;
}

/* c-ares says what it waits for. */
static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct servers *servers = data;
	struct watch **place = &servers->watches;
	const uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
	while (*place && (*place)->fd != fd)
		place = &(*place)->next;
	struct watch *watch = *place;
	if (events == 0) {
		if (watch == NULL)
			return;
		*place = watch->next;
		sd_event_source_disable_unref(watch->source);
		free(watch);
		return;
	}
	if (watch) {
		sd_event_source_set_io_events(watch->source, events);
		return;
	}
	watch = calloc(1, sizeof *watch);
	if (watch == NULL)
		return; /* its timeout ends the query */
	watch->servers = servers;
	watch->fd = fd;
	if (sd_event_add_io(servers->resolver->event, &watch->source, fd, events, socket_ready,
		    watch) < 0) {
		free(watch);
		return;
	}
	watch->next = servers->watches;
	servers->watches = watch;
}

static struct servers *servers_free(struct servers *servers)
{
	if (servers == NULL)
		return NULL;
	if (servers->channel)
		ares_destroy(servers->channel); /* ends its queries, closes its sockets */
	while (servers->watches)
		socket_state(servers, servers->watches->fd, 0, 0);
	sd_event_source_disable_unref(servers->timer);
	free(servers);
	return NULL;
}

static int servers_new(struct resolver *resolver, struct servers **ret_servers, struct error *error)
{
	struct servers *servers = calloc(1, sizeof *servers);
	if (servers == NULL)
		return error_set(error, ENOMEM, "no memory for the resolver");
	servers->resolver = resolver;
	char lookups[] = "fb";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_EDNS,
		.timeout = TIMEOUT_MS,
		.tries = TRIES,
		.lookups = lookups,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = servers,
		.resolvconf_path = resolver->resolv_conf,
		.hosts_path = resolver->hosts,
		.qcache_max_ttl = 0,
	};
	int status = ares_init_options(&servers->channel, &options,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
			ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF | ARES_OPT_HOSTS_FILE |
			ARES_OPT_QUERY_CACHE);
	if (status != ARES_SUCCESS) {
		servers->channel = NULL;
		servers_free(servers);
		return error_set(
			error, EINVAL, "cannot set up the resolver: %s", ares_strerror(status));
	}
	int result = sd_event_add_time_relative(
		resolver->event, &servers->timer, CLOCK_MONOTONIC, 0, 1000, time_passed, servers);
	if (result < 0) {
		servers_free(servers);
		return error_errno(error, -result, "cannot make the resolver's timer");
	}
	sd_event_source_set_enabled(servers->timer, SD_EVENT_OFF);
	*ret_servers = servers;
	return 0;
}

/* ---- resolv.conf ---- */

static void free_retired(struct resolver *resolver)
{
	for (struct servers **place = &resolver->retired; *place;) {
		struct servers *servers = *place;
		if (servers->queries > 0) {
			place = &servers->next;
			continue;
		}
		*place = servers->next;
		servers_free(servers);
	}
}

static void look_at_resolv_conf(struct resolver *resolver)
{
	struct stat now = {0};
	struct servers *fresh;
	struct error error;
	if (stat(resolver->resolv_conf, &now) < 0)
		return; /* it is being replaced, or gone: what was read holds */
	if (now.st_ino == resolver->seen.st_ino && now.st_size == resolver->seen.st_size &&
		now.st_mtim.tv_sec == resolver->seen.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == resolver->seen.st_mtim.tv_nsec)
		return;
	resolver->seen = now;
	if (servers_new(resolver, &fresh, &error) < 0)
		return;
	resolver->current->next = resolver->retired;
	resolver->retired = resolver->current;
	resolver->current = fresh;
	free_retired(resolver);
}

/* ---- queries ---- */

static int deliver(sd_event_source *source, void *data)
{
	struct resolver *resolver = data;
	struct resolver_query *query = resolver->answered;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	resolver->answered = NULL;
	while (query) {
		struct resolver_query *next = query->next;
		if (query->done)
			query->done(query->data, &query->answer);
		free(query);
		query = next;
	}
	free_retired(resolver);
	return 0;
}

/* An address twice would be tried twice. */
static void take_address(struct resolver_answer *answer, int family, const void *address)
{
	const size_t length = family == AF_INET ? 4 : 16;
	if (answer->count == EGRESS_ADDRESSES_MAX)
		return;
	for (size_t i = 0; i < answer->count; i++)
		if (answer->addresses[i].family == family &&
			memcmp(answer->addresses[i].address, address, length) == 0)
			return;
	struct resolver_address *next = &answer->addresses[answer->count++];
	next->family = family;
	memcpy(next->address, address, length);
}

/* Some of each family, however many there are of the other. */
static void take_addresses(struct resolver_answer *answer, const struct ares_addrinfo *info)
{
	const struct ares_addrinfo_node *six = info->nodes, *four = info->nodes;
	while ((six || four) && answer->count < EGRESS_ADDRESSES_MAX) {
		while (six && six->ai_family != AF_INET6)
			six = six->ai_next;
		while (four && four->ai_family != AF_INET)
			four = four->ai_next;
		if (six) {
			const struct sockaddr_in6 *address = (const void *)six->ai_addr;
			take_address(answer, AF_INET6, &address->sin6_addr);
			six = six->ai_next;
		}
		if (four) {
			const struct sockaddr_in *address = (const void *)four->ai_addr;
			take_address(answer, AF_INET, &address->sin_addr);
			four = four->ai_next;
		}
	}
}

static void answered(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolver_query *query = data;
	struct resolver *resolver = query->servers->resolver;
	struct resolver_answer *answer = &query->answer;
	(void)timeouts;
	if (status == ARES_SUCCESS && info)
		take_addresses(answer, info);
	ares_freeaddrinfo(info);
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
		if (answer->count == 0) {
			answer->refusal = EGRESS_NOT_FOUND;
			answer->why = "the name has no address";
		}
		break;
	case ARES_ENOTFOUND:
		answer->refusal = EGRESS_NOT_FOUND;
		answer->why = "the name does not exist";
		break;
	case ARES_ETIMEOUT:
		answer->refusal = EGRESS_DNS_FAILED;
		answer->why = "no DNS server answers";
		break;
	case ARES_ECONNREFUSED:
		answer->refusal = EGRESS_DNS_FAILED;
		answer->why = "no DNS server can be reached";
		break;
	case ARES_ESERVFAIL:
		answer->refusal = EGRESS_DNS_FAILED;
		answer->why = "the DNS server failed (SERVFAIL)";
		break;
	case ARES_EREFUSED:
		answer->refusal = EGRESS_DNS_FAILED;
		answer->why = "the DNS server refuses to answer (REFUSED)";
		break;
	default:
		answer->refusal = EGRESS_DNS_FAILED;
		answer->why = ares_strerror(status);
		break;
	}
	query->servers->queries--;
	resolver->queries--;
	query->next = resolver->answered;
	resolver->answered = query;
	sd_event_source_set_enabled(resolver->deliver, SD_EVENT_ONESHOT);
}

struct resolver_query *resolver_start(struct resolver *resolver, const char *name, unsigned family,
	resolver_done_fn *done, void *data)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = family == 4   ? AF_INET
			     : family == 6 ? AF_INET6
					   : AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	if (resolver->queries >= QUERIES_MAX)
		return NULL;
	struct resolver_query *query = calloc(1, sizeof *query);
	if (query == NULL)
		return NULL;
	look_at_resolv_conf(resolver);
	query->servers = resolver->current;
	query->done = done;
	query->data = data;
	resolver->queries++;
	query->servers->queries++;
	struct servers *servers = query->servers;
	ares_getaddrinfo(servers->channel, name, NULL, &hints, answered, query);
	set_timer(servers);
	return query;
}

void resolver_detach(struct resolver_query *query)
{
	query->done = NULL;
}

int resolver_new(sd_event *event, const char *resolv_conf, const char *hosts,
	struct resolver **ret_resolver, struct error *error)
{
	int status = ares_library_init(ARES_LIB_INIT_ALL);
	struct resolver *resolver = status == ARES_SUCCESS ? calloc(1, sizeof *resolver) : NULL;
	if (resolver == NULL)
		return error_set(error, ENOMEM, "no memory for the resolver");
	resolver->event = event;
	resolver->resolv_conf = strdup(resolv_conf);
	resolver->hosts = strdup(hosts);
	if (stat(resolv_conf, &resolver->seen) < 0)
		memset(&resolver->seen, 0, sizeof resolver->seen);
	int result = sd_event_add_defer(event, &resolver->deliver, deliver, resolver);
	if (result < 0 || !resolver->resolv_conf || !resolver->hosts) {
		resolver_free(resolver);
		return error_set(error, ENOMEM, "no memory for the resolver");
	}
	sd_event_source_set_enabled(resolver->deliver, SD_EVENT_OFF);
	result = servers_new(resolver, &resolver->current, error);
	if (result < 0) {
		resolver_free(resolver);
		return result;
	}
	*ret_resolver = resolver;
	return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return NULL;
	servers_free(resolver->current);
	while (resolver->retired) {
		struct servers *next = resolver->retired->next;
		servers_free(resolver->retired);
		resolver->retired = next;
	}
	while (resolver->answered) {
		struct resolver_query *next = resolver->answered->next;
		free(resolver->answered);
		resolver->answered = next;
	}
	sd_event_source_disable_unref(resolver->deliver);
	free(resolver->resolv_conf);
	free(resolver->hosts);
	free(resolver);
	return NULL;
}
