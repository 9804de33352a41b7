/* Any bytes as messages on the control socket of a daemon without tenants, through the real
 * socket, connection and handlers. Messages are separated by the byte 0xff, which JSON
 * cannot hold. Each connection must be answered once or closed. Verbs that act on the host
 * (doctor) or need descriptors (deploy, run) or end the daemon are left out. */
#include "common/cleanup.h"
#include "common/control.h"
#include "common/message.h"
#include "daemon/supervisor.h"
#include "daemon/verbs.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGES_MAX 4
#define TURNS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct supervisor supervisor;
static char path[64];

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool is_left_out(const char *name)
{
	static const char *const names[] = {"deploy", "run", "doctor", "shutdown"};
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void remove_socket(void)
{
	control_close(supervisor.control);
}

static void start(void)
{
	static struct control_verb allowed[64];
	static const struct options options = {0};
	struct error error;
	size_t count = 0;
	for (size_t i = 0; i < verbs_count; i++)
		if (!is_left_out(verbs[i].name))
			allowed[count++] = verbs[i];
	supervisor.options = &options;
	supervisor.policy_fd = supervisor.state_fd = supervisor.log_fd = -1;
	snprintf(path, sizeof path, "/tmp/tenantd-control-fuzz-%d", getpid());
	require(sd_event_default(&supervisor.event) >= 0);
	require(control_open(supervisor.event, path, allowed, count, &supervisor,
			&supervisor.control, &error) == 0);
	atexit(remove_socket);
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path, path, strlen(path));
	require(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

/* Sends DATA message by message. */
static void send_all(int fd, const uint8_t *data, size_t size)
{
	for (int i = 0; i < MESSAGES_MAX && size > 0; i++) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t length = end ? (size_t)(end - data) : size;
		if (length > 0)
			(void)!send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (!end)
			return;
		size -= length + 1;
		data = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answer[CONTROL_LENGTH_MAX + 1];
	if (!supervisor.event)
		start();
	cleanup_close int fd = connect_client();
	send_all(fd, data, size);
	shutdown(fd, SHUT_WR);
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		require(sd_event_run(supervisor.event, 0) >= 0);
		ssize_t length = recv(fd, answer, sizeof answer - 1, 0);
		if (length == 0 || (length < 0 && errno != EAGAIN))
			return 0;
		if (length < 0)
			continue;
		json_t *json = json_loadb(answer, (size_t)length, 0, NULL);
		require(json_is_object(json) && json_object_size(json) == 1);
		json_decref(json);
	}
	abort(); /* neither answered nor closed */
}
