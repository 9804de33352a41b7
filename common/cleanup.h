/* Cleanup by attribute: a resource is released when its variable goes out of
 * scope, unless its ownership was passed on with take_fd or take_pointer. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_function(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close_function(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_fclose_function(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cleanup_closedir_function(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_function)))
#define cleanup_close __attribute__((cleanup(cleanup_close_function)))
#define cleanup_fclose __attribute__((cleanup(cleanup_fclose_function)))
#define cleanup_closedir __attribute__((cleanup(cleanup_closedir_function)))

/* Closes *FD if it is open, and marks it closed. */
static inline void close_fd(int *fd)
{
	cleanup_close_function(fd);
	*fd = -1;
}

/* Passes the ownership of a descriptor to the caller. */
static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define take_pointer(pointer)                                                                      \
	({                                                                                         \
		__typeof__(pointer) *place_ = &(pointer);                                          \
		__typeof__(pointer) taken_ = *place_;                                              \
		*place_ = NULL;                                                                    \
		taken_;                                                                            \
	})

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
