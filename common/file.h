/* Files that survive kill -9 and a power cut. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads the whole file PATH (below DIR_FD, AT_FDCWD for the current folder) into
 * memory that the caller frees; a NUL is put after it. A file over MOST bytes is
 * -EFBIG. */
int file_read(int dir_fd, const char *path, size_t most, char **ret_data, size_t *ret_length,
	struct error *error);

/* Replaces PATH below DIR_FD as a whole: temporary file, write, fsync, rename,
 * fsync of the folder. After a failure the old content is there, also when it was the last
 * of these that failed; but for -ENOTRECOVERABLE, which says that it could not be put back: what a
 * restart would read is not known until it is written again. PATH may hold folders, all of which
 * must exist. */
int file_write_atomic(int dir_fd, const char *path, const void *data, size_t length, mode_t mode,
	struct error *error);

/* Writes all of DATA, going on after short writes. Returns 0 or a negative errno. */
int file_write_all(int fd, const void *data, size_t length);

/* Opens PATH, relative, below the folder DIR_FD: through no symbolic link and to nothing
 * outside. With openat2(2), or where that is missing part by part. FLAGS as of openat(2),
 * close-on-exec always. -1 and errno. */
int file_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);
/* Does the kernel, or who filters its calls, have openat2? */
bool file_has_openat2(void);

/* fsync of the folder that holds PATH, so that a rename in it is durable. */
int file_sync_folder_of(int dir_fd, const char *path);
