/* first_response: how long it takes from the request to start a server until its first
 * HTTP response, in milliseconds, one line a run.
 *
 *   first_response RUNS PORT -- COMMAND ARG…        starts a process and ends it
 *   first_response RUNS PORT @SOCKET TENANT         `start` and `stop` through tenantd
 *
 * The client polls without sleeping, so run it on another core than the server: a command
 * is started on the core that SERVER_CORE in the environment names. */

#include "common/clock.h"
#include "common/control.h"
#include "common/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 20000

_Noreturn static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Connects as soon as something listens, asks, and waits for the whole answer. */
static void await_response(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	static const char request[] =
		"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	uint64_t deadline = clock_ms() + DEADLINE_MS;
	while (clock_ms() < deadline) {
		char answer[2048] = "";
		size_t length = 0;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			die("socket");
		if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
			send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
			ssize_t got;
			while (length < sizeof answer - 1 && !strstr(answer, "Hello World") &&
				(got = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
				length += (size_t)got;
		}
		close(fd);
		if (strncmp(answer, "HTTP/1.1 200", 12) == 0)
			return;
	}
	fprintf(stderr, "first_response: no answer on port %d\n", port);
	exit(1);
}

/* Nothing must listen any more before the next run. */
static void await_silence(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int result = connect(fd, (struct sockaddr *)&address, sizeof address);
		close(fd);
		if (result < 0 && errno == ECONNREFUSED)
			return;
		usleep(1000);
	}
}

static uint64_t run_command(int port, char **command)
{
	uint64_t started = clock_ns();
	pid_t pid = vfork();
	if (pid == 0) {
		const char *core = getenv("SERVER_CORE");
		if (core) {
			cpu_set_t set;
			CPU_ZERO(&set);
			CPU_SET((size_t)atoi(core), &set);
			sched_setaffinity(0, sizeof set, &set);
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(command[0], command);
		_exit(127);
	}
	await_response(port);
	uint64_t ended = clock_ns();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ended - started;
}

static int connect_control(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die(path);
	return fd;
}

static void request(int fd, const char *verb, const char *tenant)
{
	char text[256];
	int length = snprintf(text, sizeof text, "{\"verb\":\"%s\",\"name\":\"%s\"}", verb, tenant);
	if (message_send(fd, text, (size_t)length, NULL, 0) < 0)
		die(verb);
}

static void await_done(int fd)
{
	static char text[CONTROL_LENGTH_MAX + 1];
	ssize_t length;
	do {
		length = message_receive(fd, text, sizeof text - 1, NULL, NULL, 0);
		if (length <= 0)
			die("the control socket");
		text[length] = '\0';
	} while (!strstr(text, "\"done\"") && !strstr(text, "\"error\""));
	if (strstr(text, "\"error\"")) {
		fprintf(stderr, "%s\n", text);
		exit(1);
	}
	close(fd);
}

static uint64_t run_tenant(int port, const char *socket_path, const char *tenant)
{
	int fd = connect_control(socket_path);
	uint64_t started = clock_ns();
	request(fd, "start", tenant);
	await_response(port);
	uint64_t ended = clock_ns();
	await_done(fd);
	fd = connect_control(socket_path);
	request(fd, "stop", tenant);
	await_done(fd);
	return ended - started;
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: first_response RUNS PORT -- COMMAND… | @SOCKET TENANT\n");
		return 2;
	}
	int runs = atoi(argv[1]), port = atoi(argv[2]);
	for (int i = 0; i < runs; i++) {
		uint64_t ns = argv[3][0] == '@' ? run_tenant(port, argv[3] + 1, argv[4])
						: run_command(port, argv + 4);
		printf("%.3f\n", (double)ns / 1e6);
		await_silence(port);
		/* Let a stock be refilled, and a dead process's memory be freed. */
		usleep(50000);
	}
	return 0;
}
