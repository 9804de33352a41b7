/* Which descriptors are the program's. A number is all that JavaScript has of a
 * descriptor, and it may try any: those of the runtime (the channel to the supervisor,
 * listeners, connections) must not be read, written or closed by it. */
#include "common/cleanup.h"
#include "isolate/native_fs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Zeroed: not the program's. */
struct entry {
	bool owned;
	bool closing; /* when no request uses it any more */
	unsigned busy;
};

/* Descriptors are the process's: what one thread opened, another may use. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;
static size_t entry_count;

static struct entry *entry_of(int fd)
{
	return fd >= 0 && (size_t)fd < entry_count ? &entries[fd] : NULL;
}

void fs_fd_add(int fd)
{
	pthread_mutex_lock(&lock);
	if ((size_t)fd >= entry_count) {
		size_t count = ((size_t)fd + 64) & ~(size_t)63; /* bounded by RLIMIT_NOFILE */
		struct entry *grown = realloc(entries, count * sizeof *grown);
		if (!grown)
			runtime_exit(WORKER_REASON_HEAP_LIMIT, 134,
				"no memory for the table of descriptors");
		memset(grown + entry_count, 0, (count - entry_count) * sizeof *grown);
		entries = grown;
		entry_count = count;
	}
	entries[fd] = (struct entry){.owned = true};
	pthread_mutex_unlock(&lock);
}

bool fs_fd_usable(int fd, enum fs_fd_use use)
{
	if (fd == STDIN_FILENO)
		return use == FS_FD_READ;
	if (fd == STDOUT_FILENO || fd == STDERR_FILENO)
		return use == FS_FD_WRITE;
	pthread_mutex_lock(&lock);
	const struct entry *entry = entry_of(fd);
	const bool owned = entry && entry->owned;
	pthread_mutex_unlock(&lock);
	return owned;
}

void fs_fd_hold(int fd)
{
	pthread_mutex_lock(&lock);
	struct entry *entry = entry_of(fd);
	if (entry)
		entry->busy++;
	pthread_mutex_unlock(&lock);
}

void fs_fd_release(int fd)
{
	pthread_mutex_lock(&lock);
	struct entry *entry = entry_of(fd);
	const bool last = entry && --entry->busy == 0 && entry->closing;
	if (last)
		entry->closing = false;
	pthread_mutex_unlock(&lock);
	if (last)
		close(fd);
}

bool fs_fd_remove(int fd)
{
	bool now = true;
	pthread_mutex_lock(&lock);
	struct entry *entry = entry_of(fd);
	if (entry) {
		entry->owned = false;
		/* Closed now, its number could become another file's under a thread that is
		 * about to use it. */
		entry->closing = entry->busy > 0;
		now = !entry->closing;
	}
	pthread_mutex_unlock(&lock);
	return now;
}
