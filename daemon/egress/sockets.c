/* Sockets: of others, that must not make us wait, and our own. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"
#include "common/path.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

void close_foreign(int fd)
{
	/* close(2) of the last reference waits as long as SO_LINGER says, whatever
	 * O_NONBLOCK says. */
	const struct linger off = {0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	close(fd);
}

static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof value;
	return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

bool is_listener(int fd)
{
	const int domain = socket_option(fd, SO_DOMAIN);
	return socket_option(fd, SO_ACCEPTCONN) == 1 && socket_option(fd, SO_TYPE) == SOCK_STREAM &&
	       (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX);
}

/* Opens PATH one name at a time, none of which may be a symbolic link: whoever may write
 * to a folder on the way could lead us to any other socket (O_NOFOLLOW alone looks at the
 * last name only). Not openat2: old kernels and containers lack it. */
static int open_socket_file(const char *path, struct error *error)
{
	char name[256];
	struct path_name part;
	struct stat status = {0};
	cleanup_close int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return error_errno(error, errno, "cannot open /");
	while (path_next(&path, &part)) {
		if (part.length >= sizeof name)
			return error_set(error, ENAMETOOLONG, "a part of the path is too long");
		memcpy(name, part.text, part.length);
		name[part.length] = '\0';
		cleanup_close int next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return error_errno(error, errno, "%s", name);
		if (fstat(next, &status) < 0 || S_ISLNK(status.st_mode))
			return error_set(error, ELOOP,
				"%s is a symbolic link: grant the path that it leads to", name);
		close_fd(&at);
		at = take_fd(&next);
	}
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, ENOTSOCK, "it is not a socket");
	return take_fd(&at);
}

int connect_unix(const char *path, int *ret_socket, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_close int file = open_socket_file(path, error);
	if (file < 0)
		return file;
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "cannot make a socket");
	/* Done at once or not at all: a full queue is EAGAIN. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		if (errno == EACCES)
			return error_set(error, EACCES,
				"its permissions do not let tenantd-egress (user id %u) write to "
				"it",
				getuid());
		return error_set(error, errno, "%s",
			errno == EAGAIN ? "its queue is full" : strerror(errno));
	}
	*ret_socket = take_fd(&fd);
	return 0;
}

int connect_begin(int family, const uint8_t address[16], uint16_t port)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const struct sockaddr *to = family == AF_INET ? (const void *)&four : (const void *)&six;
	const int on = 1;
	memcpy(&four.sin_addr, address, 4);
	memcpy(&six.sin6_addr, address, 16);
	cleanup_close int fd =
		socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, to, family == AF_INET ? sizeof four : sizeof six) < 0 &&
		errno != EINPROGRESS)
		return -errno;
	return take_fd(&fd);
}
