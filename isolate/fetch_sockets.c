/* The sockets that curl holds. It looks whether a kept connection is still alive only now
 * and then; a request that is sent on a dead one cannot always be sent again. */
#include "isolate/fetch.h"

#include "common/cleanup.h"

#include <poll.h>
#include <string.h>

#define LOOKED_AT_MAX 64

struct entry {
	int fd;
	char *place;
};

static _Thread_local struct entry *entries;
static _Thread_local size_t count, capacity;

static char *place_of(const struct fetch_transfer *transfer)
{
	char *place;
	if (asprintf(&place, "%d %s %u %s", transfer->secure, transfer->host,
		    (unsigned)transfer->port, transfer->unix_path ? transfer->unix_path : "") < 0)
		return NULL;
	return place;
}

void fetch_sockets_add(int fd, const struct fetch_transfer *transfer)
{
	if (count == capacity) {
		size_t larger = capacity ? capacity * 2 : 16;
		struct entry *grown = realloc(entries, larger * sizeof *grown);
		if (!grown)
			return; /* Not known, not looked at. */
		entries = grown;
		capacity = larger;
	}
	char *place = place_of(transfer);
	if (place)
		entries[count++] = (struct entry){.fd = fd, .place = place};
}

int fetch_on_close_socket(void *data, curl_socket_t fd)
{
	(void)data;
	for (size_t i = 0; i < count; i++)
		if (entries[i].fd == fd) {
			free(entries[i].place);
			entries[i] = entries[--count];
			break;
		}
	return close(fd);
}

bool fetch_sockets_stale(const struct fetch_transfer *transfer)
{
	struct pollfd looked_at[LOOKED_AT_MAX];
	nfds_t length = 0;
	cleanup_free char *place = count > 0 ? place_of(transfer) : NULL;
	for (size_t i = 0; place && i < count && length < LOOKED_AT_MAX; i++)
		if (strcmp(entries[i].place, place) == 0)
			looked_at[length++] =
				(struct pollfd){.fd = entries[i].fd, .events = POLLRDHUP};
	return length > 0 && poll(looked_at, length, 0) > 0;
}
