#include "daemon/fdstore.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "daemon/takeover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <systemd/sd-daemon.h>

#ifndef SIOCUNIXFILE /* linux/un.h, which does not go with sys/un.h */
#define SIOCUNIXFILE 0x89E0
#endif

#define NAME_BYTES 96 /* of ours; the service manager takes 255 */

struct passed {
	int fd;
	char *name;
	bool lent; /* by a socket unit */
	bool used;
};

static struct {
	struct passed *passed;
	size_t count;
	bool kept; /* the service manager has a store for us */
	bool frozen;
} store;

/* What the store calls a socket. Each is there once, and no colon may be in a name. */
static int name_of(int fd, char name[NAME_BYTES])
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	struct stat status;
	char text[INET6_ADDRSTRLEN];
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	if (address.ss_family == AF_UNIX) {
		if (fstat(fd, &status) < 0)
			return -errno;
		snprintf(name, NAME_BYTES, "unix-%ju", (uintmax_t)status.st_ino);
		return 0;
	}
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
	const bool old = address.ss_family == AF_INET;
	if (inet_ntop(address.ss_family, old ? (const void *)&v4->sin_addr : &v6->sin6_addr, text,
		    sizeof text) == NULL)
		return -errno;
	for (char *at = text; *at; at++)
		if (*at == ':')
			*at = '.';
	snprintf(name, NAME_BYTES, "tcp-%s-%u", text, ntohs(old ? v4->sin_port : v6->sin6_port));
	return 0;
}

static bool is_ours(const char *name)
{
	return strncmp(name, "tcp-", 4) == 0 || strncmp(name, "unix-", 5) == 0;
}

int fdstore_open(struct error *error)
{
	char **names = NULL;
	store.kept = getenv("FDSTORE") != NULL && getenv("NOTIFY_SOCKET") != NULL;
	const int count = sd_listen_fds_with_names(1, &names);
	if (count < 0)
		return error_errno(error, -count, "cannot take what the service manager passed");
	if (count == 0)
		return 0;
	store.passed = calloc((size_t)count, sizeof *store.passed);
	for (int i = 0; i < count; i++) {
		const int fd = SD_LISTEN_FDS_START + i;
		char *name = names[i];
		const bool listens = sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
		if (store.passed && listens) {
			store.passed[store.count++] =
				(struct passed){fd, name, !is_ours(name), false};
			continue;
		}
		log_warn("event=descriptor-refused name=\"%s\" message=\"it is no listening "
			 "stream socket\"",
			escape_for_log(name));
		close(fd);
		free(name);
	}
	free(names);
	return store.passed ? 0 : error_set(error, ENOMEM, "no memory for passed descriptors");
}

/* Somebody may have removed the socket's file, or bound another one at its path. */
static bool path_leads_to(const char *path, int fd)
{
	struct stat there, bound;
	cleanup_close int file = ioctl(fd, SIOCUNIXFILE);
	return file >= 0 && fstat(file, &bound) == 0 && lstat(path, &there) == 0 &&
	       there.st_ino == bound.st_ino && there.st_dev == bound.st_dev;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_UNIX)
		return strcmp(((const struct sockaddr_un *)a)->sun_path,
			       ((const struct sockaddr_un *)b)->sun_path) == 0;
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *x = (const struct sockaddr_in *)a;
		const struct sockaddr_in *y = (const struct sockaddr_in *)b;
		return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
	}
	const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)b;
	return x->sin6_port == y->sin6_port && x->sin6_scope_id == y->sin6_scope_id &&
	       memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

static bool listens_on(int fd, const struct sockaddr_storage *wanted)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	       same_address(&address, wanted) &&
	       (wanted->ss_family != AF_UNIX ||
		       path_leads_to(((const struct sockaddr_un *)wanted)->sun_path, fd));
}

/* What is lent stays here, too: its tenant may be stopped and started again. */
static int hand_out(struct passed *passed)
{
	passed->used = true;
	return passed->lent ? fcntl(passed->fd, F_DUPFD_CLOEXEC, 3) : take_fd(&passed->fd);
}

int fdstore_take(const struct sockaddr_storage *address, socklen_t length, bool *ret_lent)
{
	struct sockaddr_storage wanted = {0};
	memcpy(&wanted, address, length);
	for (size_t i = 0; i < store.count; i++) {
		struct passed *passed = &store.passed[i];
		if (passed->fd < 0 || !listens_on(passed->fd, &wanted))
			continue;
		const int fd = hand_out(passed);
		if (fd < 0)
			return -errno;
		*ret_lent = passed->lent;
		return fd;
	}
	return -ENOENT;
}

int fdstore_take_named(const char *name)
{
	for (size_t i = 0; i < store.count; i++) {
		struct passed *passed = &store.passed[i];
		if (!passed->lent || passed->used || strcmp(passed->name, name) != 0)
			continue;
		const int fd = hand_out(passed);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

void fdstore_keep(int fd)
{
	char name[NAME_BYTES], message[NAME_BYTES + 32];
	if (!store.kept)
		return;
	int result = name_of(fd, name);
	/* Not polled: the end of a listening socket is nothing that somebody else sees first. */
	snprintf(message, sizeof message, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	if (result == 0)
		result = sd_pid_notify_with_fds(0, 0, message, &fd, 1);
	if (result < 0)
		log_warn("event=fdstore-failed message=\"%s; a restart of the daemon closes this "
			 "listener for a moment\"",
			strerror(-result));
}

static void let_go(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void fdstore_forget(int fd)
{
	char name[NAME_BYTES];
	if (store.kept && !store.frozen && fd >= 0 && name_of(fd, name) == 0)
		let_go(name);
}

void fdstore_freeze(void)
{
	store.frozen = true;
}

bool fdstore_outlives(void)
{
	return store.frozen && store.kept;
}

void fdstore_sweep(void)
{
	size_t left = 0;
	for (size_t i = 0; i < store.count; i++) {
		struct passed *passed = &store.passed[i];
		if (passed->lent && !passed->used)
			log_warn(
				"event=descriptor-unused name=\"%s\" message=\"a socket unit "
				"listens, and no policy (net.listen) and no shared port wants it\"",
				escape_for_log(passed->name));
		if (passed->lent) {
			store.passed[left++] = *passed;
			continue;
		}
		if (passed->fd >= 0) {
			log_info("event=descriptor-dropped name=%s", passed->name);
			let_go(passed->name);
		}
		close_fd(&passed->fd);
		free(passed->name);
	}
	store.count = left;
}

/* ---- for the next daemon ---- */

json_t *fdstore_pack(struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; i < store.count; i++) {
		const struct passed *passed = &store.passed[i];
		if (passed->fd >= 0)
			json_array_append_new(
				list, json_pack("{s:o, s:o, s:b}", "fd",
					      takeover_put_fd(takeover, passed->fd), "name",
					      takeover_text(passed->name), "lent", passed->lent));
	}
	return list;
}

static int restore(int fd, const char *name, bool lent, struct error *error)
{
	struct passed *larger = reallocarray(store.passed, store.count + 1, sizeof *store.passed);
	char *copy = strdup(name);
	if (larger)
		store.passed = larger;
	if (larger == NULL || copy == NULL) {
		free(copy);
		close(fd);
		return error_set(error, ENOMEM, "no memory for passed descriptors");
	}
	store.passed[store.count++] = (struct passed){fd, copy, lent, false};
	return 0;
}

int fdstore_restore(
	const json_t *packed, const json_t *ports, struct takeover *takeover, struct error *error)
{
	const json_t *from;
	int result = 0;
	size_t i;
	json_array_foreach(packed, i, from)
	{
		const int fd = takeover_take_fd(takeover, json_object_get(from, "fd"));
		if (result == 0 && fd >= 0)
			result = restore(fd, takeover_string(from, "name"),
				takeover_flag(from, "lent"), error);
	}
	json_array_foreach(ports, i, from)
	{
		char name[NAME_BYTES] = "";
		const int fd = takeover_take_fd(takeover, from);
		if (result == 0 && fd >= 0 && name_of(fd, name) == 0)
			result = restore(fd, name, false, error);
	}
	return result;
}
