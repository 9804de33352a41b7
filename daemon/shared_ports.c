#include "daemon/shared_ports.h"

#include "common/cleanup.h"
#include "daemon/fdstore.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>

/* As an entry of net.listen. */
static int address_of(int fd, char text[POLICY_NET_TEXT_MAX])
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	struct policy_listen listen_on = {0};
	char host[INET6_ADDRSTRLEN];
	struct error unused;
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
	if (address.ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host))
		snprintf(text, POLICY_NET_TEXT_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
	else if (address.ss_family == AF_INET &&
		 inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host))
		snprintf(text, POLICY_NET_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
	else
		return -EAFNOSUPPORT;
	return policy_listen_parse(text, &listen_on, &unused);
}

/* The one that names the same address in its own way, or NULL. */
static struct ingress_port *find(struct ingress_port *ports, size_t count, const char *address)
{
	struct policy_listen wanted, have;
	char wanted_text[POLICY_NET_TEXT_MAX], text[POLICY_NET_TEXT_MAX];
	struct error unused;
	if (policy_listen_parse(address, &wanted, &unused) < 0)
		return NULL;
	policy_listen_format(&wanted, wanted_text);
	for (size_t i = 0; i < count; i++) {
		if (policy_listen_parse(ports[i].address, &have, &unused) < 0)
			continue;
		policy_listen_format(&have, text);
		if (strcmp(text, wanted_text) == 0)
			return &ports[i];
	}
	return NULL;
}

static int add(struct ingress_port *ports, size_t *count, size_t most, int passed, bool tls,
	struct error *error)
{
	const char *name = tls ? "https" : "http";
	cleanup_close int fd = passed;
	char text[POLICY_NET_TEXT_MAX];
	if (address_of(fd, text) < 0)
		return error_set(error, EAFNOSUPPORT,
			"the socket unit that names its descriptor \"%s\" must listen on a TCP "
			"address, not on anything else",
			name);
	struct ingress_port *port = find(ports, *count, text);
	if (port && port->tls != tls)
		return error_set(error, EADDRINUSE,
			"%s is a shared port of both kinds: a socket unit names it \"%s\", an "
			"option the other",
			text, name);
	if (port == NULL) {
		char *address = *count < most ? strdup(text) : NULL;
		if (address == NULL)
			return error_set(
				error, E2BIG, "at most %zu shared ports are possible", most);
		port = &ports[(*count)++];
		port->address = address;
	}
	port->tls = tls;
	port->fd = take_fd(&fd);
	return 0;
}

int shared_ports_add(struct ingress_port *ports, size_t *count, size_t most, struct error *error)
{
	static const char *const names[] = {"http", "https"};
	for (int tls = 0; tls < 2; tls++)
		for (;;) {
			const int fd = fdstore_take_named(names[tls]);
			if (fd == -ENOENT)
				break;
			if (fd < 0)
				return error_errno(error, -fd, "cannot take a shared port");
			int result = add(ports, count, most, fd, tls, error);
			if (result < 0)
				return result;
		}
	return 0;
}
