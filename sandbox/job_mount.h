/* How a job's root is put together: file systems, clones of what the host has, places for
 * them. By descriptors (mount_setattr(2), open_tree(2)); private to the job's files. */
#pragma once

#include "common/error.h"

#include <linux/mount.h>
#include <stddef.h>
#include <stdint.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

#define JOB_MOUNT_LIBRARY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define JOB_MOUNT_INERT (JOB_MOUNT_LIBRARY | MOUNT_ATTR_NOEXEC)
/* A device's node is written through a read-only mount: that is about the node itself. */
#define JOB_MOUNT_DEVICE (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
#define JOB_MOUNT_SCRATCH (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

struct job_setting {
	const char *key, *value;
};

/* A new file system that nothing refers to but the descriptor. */
int job_make_filesystem(const char *type, const struct job_setting *with, size_t count,
	unsigned attributes, struct error *error);

/* FLAGS: AT_RECURSIVE or 0. Returns -1 and errno. */
int job_set_attributes(int mount, unsigned flags, uint64_t set, uint64_t clear);

/* A copy of what the host has at PATH, mounts below it included. */
int job_clone_host(const char *path, uint64_t attributes, struct error *error);

/* PATH as the program will see it below ROOT: links are followed, and never lead out.
 * Returns -1 and errno. */
int job_open_inside(int root, const char *path, uint64_t flags);

/* Mounts MOUNT (which stays the caller's) at PATH, for which a place is made if need be. */
int job_attach(int root, int mount, const char *path, struct error *error);

/* A symbolic link at PATH, unless something is there already. */
int job_make_link(int root, const char *target, const char *path, struct error *error);
