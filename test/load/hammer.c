/* hammer PORT CONNECTIONS REUSE BODY: asks 127.0.0.1:PORT for / over CONNECTIONS connections
 * at once, as fast as the answers come, until standard input ends; then finishes what is
 * under way and prints the counts as JSON. Each connection carries REUSE requests.
 *
 * Every answer must be whole: status 200, its Content-Length, a body that begins with BODY.
 *   answers   right ones
 *   wrong     others, and those that break off
 *   lost      requests on a new connection that got no answer: refused, reset, closed, late
 *   retried   requests on a connection that had carried answers before, and that the server
 *             had closed meanwhile: nothing of an answer came, and it was asked again on a
 *             new one (RFC 9112, 9.3.1) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define LATE_MS 20000

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct connection {
	int fd;
	unsigned carried; /* answers */
	bool asked;       /* a request is under way */
	uint64_t since_ms;
	size_t length;
	char text[16384];
};

static struct connection connections[CONNECTIONS_MAX];
static struct sockaddr_in address;
static size_t count;
static unsigned reuse;
static const char *body;
static int epoll;
static bool ending;
static uint64_t answers, wrong, lost, retried, closed_by_server;
static char first_wrong[512];

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void complain(const char *what, const struct connection *connection)
{
	if (!first_wrong[0])
		snprintf(first_wrong, sizeof first_wrong, "%s (%s) after %u answers: %.200s", what,
			strerror(errno), connection->carried, connection->text);
}

static void drop(struct connection *connection)
{
	close(connection->fd);
	connection->fd = -1;
	connection->asked = false;
	connection->length = 0;
}

static bool ask(struct connection *connection);

static void open_connection(struct connection *connection)
{
	connection->carried = 0;
	connection->text[0] = '\0';
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
		connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0) {
		lost++;
		complain("cannot connect", connection);
		drop(connection);
		return;
	}
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	fcntl(connection->fd, F_SETFL, O_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event);
	ask(connection);
}

/* A request that got nothing back. */
static void unanswered(struct connection *connection, const char *what)
{
	if (connection->carried > 0 && connection->length == 0) {
		retried++;
	} else if (connection->length > 0) {
		wrong++;
		complain(what, connection);
	} else {
		lost++;
		complain(what, connection);
	}
	drop(connection);
}

static bool ask(struct connection *connection)
{
	if (connection->fd < 0)
		return false;
	connection->asked = true;
	connection->length = 0;
	connection->text[0] = '\0';
	connection->since_ms = now_ms();
	if (send(connection->fd, request, sizeof request - 1, MSG_NOSIGNAL) ==
		(ssize_t)sizeof request - 1)
		return true;
	unanswered(connection, "cannot send");
	return false;
}

/* Takes one answer out of the text. 1: whole; 0: more must come; -1: wrong. */
static int take_answer(struct connection *connection, bool *ret_close)
{
	const char *head_end = strstr(connection->text, "\r\n\r\n");
	if (!head_end)
		return 0;
	const char *field = strcasestr(connection->text, "\r\ncontent-length:");
	if (strncmp(connection->text, "HTTP/1.1 200 ", 13) != 0 || !field || field > head_end)
		return -1;
	size_t whole = (size_t)(head_end + 4 - connection->text) + strtoul(field + 17, NULL, 10);
	if (connection->length < whole)
		return 0;
	const char *close = strcasestr(connection->text, "\r\nconnection: close");
	*ret_close = close && close < head_end;
	return connection->length == whole && strncmp(head_end + 4, body, strlen(body)) == 0 ? 1
											     : -1;
}

static void receive(struct connection *connection)
{
	size_t room = sizeof connection->text - 1 - connection->length;
	ssize_t got = recv(connection->fd, connection->text + connection->length, room, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		if (connection->asked)
			unanswered(connection, got < 0 ? "reset" : "closed");
		else
			drop(connection);
		return;
	}
	connection->length += (size_t)got;
	connection->text[connection->length] = '\0';
	bool close = false;
	int result = take_answer(connection, &close);
	if (result == 0)
		return;
	connection->asked = false;
	connection->carried++;
	if (result < 0) {
		wrong++;
		complain("wrong answer", connection);
		drop(connection);
		return;
	}
	answers++;
	closed_by_server += close;
	if (close || connection->carried >= reuse || ending)
		drop(connection);
	else
		ask(connection);
}

static void look_for_late_ones(void)
{
	uint64_t now = now_ms();
	for (size_t i = 0; i < count; i++)
		if (connections[i].asked && now - connections[i].since_ms > LATE_MS) {
			connections[i].carried = 0; /* it may have been taken: no retry */
			unanswered(&connections[i], "late");
		}
}

static bool anything_under_way(void)
{
	for (size_t i = 0; i < count; i++)
		if (connections[i].asked)
			return true;
	return false;
}

static void turn(void)
{
	struct epoll_event events[256];
	for (size_t i = 0; !ending && i < count; i++)
		if (connections[i].fd < 0)
			open_connection(&connections[i]);
	int ready = epoll_wait(epoll, events, 256, 100);
	for (int i = 0; i < ready; i++) {
		struct connection *connection = events[i].data.ptr;
		if (connection)
			receive(connection);
		else if (read(STDIN_FILENO, (char[64]){0}, 64) <= 0)
			ending = true;
	}
	if (ending)
		epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	look_for_late_ones();
}

int main(int argument_count, char **arguments)
{
	if (argument_count != 5)
		return 2;
	address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(arguments[1])),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	count = strtoul(arguments[2], NULL, 10);
	reuse = (unsigned)strtoul(arguments[3], NULL, 10);
	body = arguments[4];
	if (count == 0 || count > CONNECTIONS_MAX || reuse == 0)
		return 2;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		return 1;
	for (size_t i = 0; i < count; i++)
		connections[i].fd = -1;
	while (!ending || anything_under_way())
		turn();
	printf("{\"answers\": %llu, \"wrong\": %llu, \"lost\": %llu, \"retried\": %llu, "
	       "\"closed_by_server\": %llu}\n",
		(unsigned long long)answers, (unsigned long long)wrong, (unsigned long long)lost,
		(unsigned long long)retried, (unsigned long long)closed_by_server);
	if (first_wrong[0])
		fprintf(stderr, "hammer: the first: %s\n", first_wrong);
	return 0;
}
