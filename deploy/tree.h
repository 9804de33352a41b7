/* A whole folder, walked bounded and without following any link: what is in it, its id,
 * whether it changed. */
#pragma once

#include "common/error.h"
#include "deploy/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_HASH_SIZE 32
#define TREE_HEX_SIZE (2 * TREE_HASH_SIZE + 1)

struct tree_entry {
	char *path; /* below the folder */
	bool folder;
	uint64_t size;
	unsigned char hash[TREE_HASH_SIZE]; /* SHA-256 of a file's content */
};

struct tree {
	struct tree_entry *entries; /* ascending by path (strcmp) */
	size_t count, room, files;
	uint64_t bytes; /* of the files */
};

/* Loads what hashing needs, so that processes forked later have it. */
int tree_prepare(struct error *error);

/* Lists and hashes what is below DIR_FD. -EINVAL for what a release cannot hold (links,
 * devices, no file at all), -EFBIG over the bounds of limits.h. The tree is for tree_clear. */
int tree_read(int dir_fd, struct tree *ret_tree, struct error *error);
void tree_clear(struct tree *tree);

/* The id of a release: the SHA-256 over one line for each file and folder, in their order:
 * "f <size> <sha256> <path>\n" or "d <path>\n". */
int tree_id(const struct tree *tree, char ret_id[STORE_ID_SIZE], struct error *error);
/* Both at once. */
int tree_hash(int dir_fd, char ret_id[STORE_ID_SIZE], struct error *error);

/* Makes each file of TREE, which was read from DIR_FD, 0444, each folder 0555, and all of
 * it durable before the return. */
int tree_seal(int dir_fd, const struct tree *tree, struct error *error);

/* A hash of what stat(2) says of everything below DIR_FD: inode, size, times of change. No
 * file is read: some microseconds each. Whoever writes to a file or puts another in its
 * place changes it; nobody can set the time of change of a file (ctime) but by the clock. */
int tree_fingerprint(int dir_fd, unsigned char ret_print[TREE_HASH_SIZE], struct error *error);

/* BYTES as lower-case hexadecimal digits. */
void tree_hex(const unsigned char bytes[TREE_HASH_SIZE], char ret_text[TREE_HEX_SIZE]);

/* Removes NAME below DIR_FD, a folder with all in it. Returns 0, also when there is
 * none, or a negative errno. */
int tree_remove(int dir_fd, const char *name);
