/* latency PORT RATE MS: asks an HTTP server on 127.0.0.1 RATE times a second for MS
 * milliseconds, over one kept-alive connection, and prints one line of JSON: requests, errors,
 * and the median, 99th percentile and maximum of the time from when a request was due to the
 * end of its response, in microseconds. Due, not sent: a server that stalls is charged for all
 * that waited. It runs at real-time priority where it may, so that what waits for a core is
 * the server, not the stopwatch. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RESPONSE_MS 5000
#define STALL_NS 1000000000u
#define REQUESTS_MAX 1000000

static uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec time = {
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0)
		;
}

static int open_connection(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd;
}

/* Reads one response with a Content-Length. */
static bool read_response(int fd)
{
	char text[8192];
	size_t length = 0;
	while (length < sizeof text - 1) {
		struct pollfd waiting = {.fd = fd, .events = POLLIN};
		if (poll(&waiting, 1, RESPONSE_MS) <= 0)
			return false;
		ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
		if (got <= 0)
			return false;
		length += (size_t)got;
		text[length] = '\0';
		const char *body = strstr(text, "\r\n\r\n");
		const char *field = strcasestr(text, "\r\ncontent-length:");
		if (!body || !field)
			continue;
		size_t whole = (size_t)(body + 4 - text) + strtoul(field + 17, NULL, 10);
		if (length >= whole)
			return strncmp(text, "HTTP/1.1 200", 12) == 0;
	}
	return false;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	static uint32_t times_us[REQUESTS_MAX];
	size_t count = 0, errors = 0;
	if (argc != 4)
		return 2;
	const int port = atoi(argv[1]);
	const uint64_t step_ns = 1000000000u / strtoul(argv[2], NULL, 10);
	const uint64_t begin = now_ns();
	const uint64_t end = begin + strtoul(argv[3], NULL, 10) * 1000000u;
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
	int fd = open_connection(port);
	for (uint64_t due = begin + step_ns; due < end && count < REQUESTS_MAX; due += step_ns) {
		sleep_until(due);
		/* Far behind: the rest would wait for as long as this one at least. */
		if (now_ns() > end + STALL_NS) {
			times_us[count++] = (uint32_t)((now_ns() - due) / 1000);
			continue;
		}
		if (fd < 0)
			fd = open_connection(port);
		if (fd < 0 || send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0 ||
			!read_response(fd)) {
			errors++;
			close(fd);
			fd = -1;
		}
		times_us[count++] = (uint32_t)((now_ns() - due) / 1000);
	}
	if (count == 0)
		return 1;
	qsort(times_us, count, sizeof times_us[0], compare);
	printf("{\"requests\": %zu, \"errors\": %zu, \"p50\": %u, \"p99\": %u, \"max\": %u}\n",
		count, errors, times_us[count / 2], times_us[count * 99 / 100],
		times_us[count - 1]);
	return 0;
}
