#include "daemon/listeners.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "daemon/fdstore.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* The one after SKIP others with the same spec. */
static const struct listener *find(const struct listeners *listeners, const char *spec, size_t skip)
{
	for (size_t i = 0; listeners && i < listeners->count; i++)
		if (strcmp(listeners->items[i].spec, spec) == 0 && skip-- == 0)
			return &listeners->items[i];
	return NULL;
}

static size_t count(const struct listeners *listeners, const char *spec)
{
	size_t found = 0;
	while (find(listeners, spec, found))
		found++;
	return found;
}

/* What makes an entry the same one in another version of the policy: its address, whatever
 * its name; where any port will do, its name, if it has one. */
static void identify(const struct policy_listen *listen_on, char spec[POLICY_NET_TEXT_MAX])
{
	struct policy_listen key = *listen_on;
	if (key.family == AF_UNIX || key.port != 0)
		key.name[0] = '\0';
	policy_listen_format(&key, spec);
}

static struct listener_port *find_port(struct listener_ports *ports, const char *spec)
{
	for (size_t i = 0; i < ports->count; i++)
		if (strcmp(ports->items[i].spec, spec) == 0)
			return &ports->items[i];
	return NULL;
}

static void remember_port(struct listener_ports *ports, const char *spec, uint16_t port)
{
	struct listener_port *place = find_port(ports, spec);
	if (strlen(spec) >= sizeof place->spec)
		return;
	if (place == NULL) {
		/* When full, the oldest goes: it is one that no policy names any more. */
		if (ports->count == WORKER_LISTENERS_MAX)
			memmove(ports->items, ports->items + 1,
				--ports->count * sizeof ports->items[0]);
		place = &ports->items[ports->count++];
		memcpy(place->spec, spec, strlen(spec) + 1);
	}
	place->port = port;
}

/* What to do about an address that bind(2) refused. */
static int bind_failed(struct error *error, int code, const char *address)
{
	const char *advice = "";
	switch (code) {
	case EADDRINUSE:
		advice = "; stop whatever listens there (ss -lptnx shows it) or change "
			 "net.listen in the policy";
		break;
	case EADDRNOTAVAIL:
		advice = "; this machine has no such address (ip address lists them): change "
			 "net.listen in the policy";
		break;
	case EACCES:
	case EPERM:
		advice = "; tenantd may not bind there: does it run as root, with "
			 "CAP_NET_BIND_SERVICE?";
		break;
	case ENOENT:
		advice = "; its folder does not exist: create it";
		break;
	}
	return error_set(error, code, "cannot listen on %s: %s%s", escape_for_log(address),
		strerror(code), advice);
}

/* A socket file that nobody listens on was left by a process that died: it may go. */
static int remove_stale(const struct sockaddr_storage *address, socklen_t length)
{
	const char *path = ((const struct sockaddr_un *)address)->sun_path;
	struct stat status;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EADDRINUSE;
	cleanup_close int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return -errno;
	if (connect(probe, (const struct sockaddr *)address, length) == 0 || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) < 0 ? -errno : 0;
}

static int set_option(int fd, int level, int option)
{
	return setsockopt(fd, level, option, &(int){1}, sizeof(int)) < 0 ? -errno : 0;
}

static int bind_tcp(int fd, int family, const struct sockaddr_storage *address, socklen_t length)
{
	int result = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
	if (result == 0)
		result = set_option(fd, IPPROTO_TCP, TCP_NODELAY); /* accepted ones inherit it */
	/* One entry is one address: [::]:80 is not also 0.0.0.0:80. */
	if (result == 0 && family == AF_INET6)
		result = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (result == 0 && bind(fd, (const struct sockaddr *)address, length) < 0)
		result = -errno;
	return result;
}

static int bind_unix(int fd, const struct sockaddr_storage *address, socklen_t length)
{
	int result = remove_stale(address, length);
	if (result < 0)
		return result;
	mode_t before = umask(0117); /* created 0660: no moment with another mode */
	if (bind(fd, (const struct sockaddr *)address, length) < 0)
		result = -errno;
	umask(before);
	return result;
}

/* One that was passed to the daemon, made as bind_socket makes it. It may have been a shared
 * port before. */
static int take_socket(
	int family, const struct sockaddr_storage *address, socklen_t length, bool *ret_lent)
{
	cleanup_close int fd = fdstore_take(address, length, ret_lent);
	if (fd < 0)
		return fd;
	if (family != AF_UNIX) {
		(void)set_option(fd, IPPROTO_TCP, TCP_NODELAY);
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){0}, sizeof(int));
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || listen(fd, LISTENER_BACKLOG) < 0)
		return -errno;
	return take_fd(&fd);
}

/* One socket, bound to LISTEN's address. Returns the descriptor or a negative errno. */
static int open_socket(const struct policy_listen *listen_on, bool *ret_lent)
{
	struct sockaddr_storage address;
	socklen_t length = policy_listen_address(listen_on, &address);
	const int passed = take_socket(listen_on->family, &address, length, ret_lent);
	if (passed != -ENOENT)
		return passed;
	cleanup_close int fd =
		socket(listen_on->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int result = listen_on->family == AF_UNIX
			     ? bind_unix(fd, &address, length)
			     : bind_tcp(fd, listen_on->family, &address, length);
	if (result == 0 && listen(fd, LISTENER_BACKLOG) < 0)
		result = -errno;
	if (result < 0)
		return result;
	fdstore_keep(fd);
	return take_fd(&fd);
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	return 0;
}

static void describe(struct listener *listener, const struct policy_listen *listen_on)
{
	struct policy_listen real = *listen_on;
	char text[POLICY_NET_TEXT_MAX];
	real.port = listener->port;
	real.name[0] = '\0';
	policy_listen_format(&real, text);
	if (listen_on->family == AF_UNIX) {
		snprintf(listener->address, sizeof listener->address, "%s", text);
		snprintf(listener->url, sizeof listener->url, "%s", text);
	} else {
		snprintf(listener->address, sizeof listener->address, "tcp:%s", text);
		snprintf(listener->url, sizeof listener->url, "http://%s/", text);
	}
}

static int share(
	const struct listener *same, const char *name, struct listener *ret, struct error *error)
{
	*ret = *same;
	snprintf(ret->name, sizeof ret->name, "%s", name);
	ret->fd = fcntl(same->fd, F_DUPFD_CLOEXEC, 3);
	if (ret->fd < 0)
		return error_errno(error, errno, "cannot share the listener %s", same->address);
	return 0;
}

/* Opens one, with the remembered port first where any port will do. ALIKE entries before it
 * look the same. */
static int open_one(const struct policy_listen *wanted, size_t alike, const struct listeners *have,
	struct listener_ports *ports, struct listener *ret, struct error *error)
{
	struct listener listener = {.fd = -1};
	struct policy_listen listen_on = *wanted;
	identify(wanted, listener.spec);
	snprintf(listener.name, sizeof listener.name, "%s", wanted->name);
	const struct listener *same = find(have, listener.spec, alike);
	if (same)
		return share(same, wanted->name, ret, error);
	const bool any = wanted->family != AF_UNIX && wanted->port == 0;
	/* The second of two that look alike takes what is free. */
	const bool kept = any && alike == 0;
	const struct listener_port *last = kept ? find_port(ports, listener.spec) : NULL;
	if (last) {
		listen_on.port = last->port;
		listener.fd = open_socket(&listen_on, &listener.lent);
	}
	if (listener.fd < 0)
		listener.fd = open_socket(wanted, &listener.lent);
	if (listener.fd < 0)
		return bind_failed(error, -listener.fd, listener.spec);
	listener.port = bound_port(listener.fd);
	if (kept)
		remember_port(ports, listener.spec, listener.port);
	describe(&listener, wanted);
	*ret = listener;
	return 0;
}

struct listener *listeners_reserve(struct listeners *listeners)
{
	if (listeners->count == WORKER_LISTENERS_MAX)
		return NULL;
	struct listener *items =
		reallocarray(listeners->items, listeners->count + 1, sizeof *listeners->items);
	if (items == NULL)
		return NULL;
	listeners->items = items;
	items[listeners->count] = (struct listener){.fd = -1};
	return &items[listeners->count];
}

int listeners_open(const struct policy_listeners *wanted, const struct listeners *have,
	struct listener_ports *ports, struct listeners *ret_listeners, struct error *error)
{
	struct listeners opened = {0};
	if (wanted->count > WORKER_LISTENERS_MAX)
		return error_set(error, E2BIG,
			"net.listen has %zu entries, at most %d are possible", wanted->count,
			WORKER_LISTENERS_MAX);
	for (size_t i = 0; i < wanted->count; i++) {
		char spec[POLICY_NET_TEXT_MAX];
		identify(&wanted->items[i], spec);
		struct listener *next = listeners_reserve(&opened);
		int result = next ? open_one(&wanted->items[i], count(&opened, spec), have, ports,
					    next, error)
				  : error_set(error, ENOMEM, "no memory for listeners");
		if (result < 0) {
			listeners_close(&opened, have);
			return result;
		}
		opened.count++;
	}
	*ret_listeners = opened;
	return 0;
}

/* Two that look alike differ in their ports. */
static bool has(const struct listeners *listeners, const struct listener *wanted)
{
	const struct listener *next;
	for (size_t i = 0; (next = find(listeners, wanted->spec, i)); i++)
		if (next->port == wanted->port)
			return true;
	return false;
}

void listeners_close(struct listeners *listeners, const struct listeners *keep)
{
	for (size_t i = 0; i < listeners->count; i++) {
		struct listener *listener = &listeners->items[i];
		if (!has(keep, listener)) {
			fdstore_forget(listener->fd);
			if (strncmp(listener->spec, "unix:", 5) == 0 && !listener->lent &&
				!fdstore_outlives())
				unlink(listener->spec + 5);
		}
		close_fd(&listener->fd);
	}
	listeners->count = 0;
	free(listeners->items);
	listeners->items = NULL;
}
