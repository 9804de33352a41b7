/* File operations of the program: what the files of isolate/native_fs* share.
 *
 * Every operation is a function that runs to its end with blocking system calls: in
 * JavaScript's turn for the synchronous forms, on libuv's thread pool for the others. It
 * sees nothing of V8; its arguments were copied, or pinned, before. No permission is
 * checked before: the kernel refuses, and afterwards we say why. */
#pragma once

#include "isolate/runtime.h"

#include <limits.h>
#include <stdatomic.h>

enum {
	FS_PATHS = 2,
	FS_NUMBERS = 4,
	FS_REQUESTS_MAX = 2048,   /* on the thread pool or waiting for it */
	FS_BYTES_MAX = INT32_MAX, /* of one read or write, as in Node */
	FS_NAMES_MAX = 64 << 20,  /* bytes of the names in one answer */
	FS_DEPTH_MAX = 256,       /* of a tree that is walked */
	FS_FRAME = 64,            /* numbers in hooks.fsFrame */
	FS_FRAME_ERROR = 40,      /* which of them is the negative errno */
};

/* What the program wants to know of an answer. */
enum fs_want {
	FS_WANT_BYTES = 1, /* names and contents as bytes, not as text */
	FS_WANT_BIGINT = 2,
};

enum fs_result {
	FS_NOTHING,
	FS_NUMBER,  /* request->result */
	FS_FD,      /* a new descriptor */
	FS_STAT,    /* in hooks.fsFrame */
	FS_STATFS,  /* likewise */
	FS_NAME,    /* request->data is a path */
	FS_ENTRIES, /* request->data is a list: type, name, NUL, … */
	FS_CONTENT, /* request->data is what the file holds */
};

/* One piece of memory of a read or write. */
struct fs_part {
	engine_pin *pin;  /* NULL for memory of our own, and for synchronous calls */
	engine_ref *view; /* a resizable buffer: the bytes go through memory of our own */
	size_t offset;    /* of DATA in VIEW */
	char *data;
	size_t length;
	bool owned; /* DATA is malloc'ed */
};

struct fs_request {
	uv_work_t work;
	const struct fs_operation *operation;
	int32_t slot; /* the library's number for it; -1: synchronous */
	unsigned want;
	char *paths[FS_PATHS];     /* absolute; malloc'ed */
	size_t stripped[FS_PATHS]; /* length of what was put before a relative one */
	int fd;                    /* -1: none was given */
	double numbers[FS_NUMBERS];
	struct fs_part *parts;
	size_t part_count;
	bool skip;             /* the operation was done already, or is not needed */
	atomic_bool cancelled; /* long operations look at it */

	/* the answer */
	ssize_t result;      /* negative errno */
	const char *syscall; /* which failed; NULL: the operation's own */
	char *failed_path;   /* where, when it is none of PATHS; malloc'ed */
	bool without_path;   /* the error is of a descriptor, whatever PATHS are */
	uv_stat_t status;
	uv_statfs_t statfs;
	char *data; /* malloc'ed */
	size_t data_length;
};

/* ARGUMENTS, one letter each, in the order of the call: p path, t text that is no path of
 * ours (the target of a symbolic link), f descriptor, P path or descriptor, n number,
 * b bytes with offset and length as numbers behind them, v array of bytes, d bytes or a
 * string as UTF-8.
 *
 * ACCESS, one letter for each path: r read, w written; R, W: the link itself, if it is one;
 * m as the flags of open(2) say, the first number; a as the mode of access(2); - nothing of
 * ours. */
struct fs_operation {
	const char *name; /* as errors call it; and the library, with KEY if that is set */
	const char *arguments, *access;
	void (*run)(struct fs_request *request);
	enum fs_result result;
	const char *key;
	/* libuv's function, where RUN is one of several of the same shape */
	union {
		int (*fd)(uv_loop_t *, uv_fs_t *, uv_file, uv_fs_cb);
		int (*transfer)(uv_loop_t *, uv_fs_t *, uv_file, const uv_buf_t *, unsigned,
			int64_t, uv_fs_cb);
		int (*path)(uv_loop_t *, uv_fs_t *, const char *, uv_fs_cb);
		int (*path_number)(uv_loop_t *, uv_fs_t *, const char *, int, uv_fs_cb);
		int (*path_owner)(
			uv_loop_t *, uv_fs_t *, const char *, uv_uid_t, uv_gid_t, uv_fs_cb);
		int (*path_times)(uv_loop_t *, uv_fs_t *, const char *, double, double, uv_fs_cb);
		int (*paths)(uv_loop_t *, uv_fs_t *, const char *, const char *, uv_fs_cb);
		int (*paths_number)(
			uv_loop_t *, uv_fs_t *, const char *, const char *, int, uv_fs_cb);
	} call;
};

/* native_fs_ops.c, native_fs_trees.c */
extern const struct fs_operation fs_operations[];
extern const size_t fs_operation_count;
void fs_run_read_file(struct fs_request *request);
void fs_run_write_file(struct fs_request *request);
void fs_run_make_path(struct fs_request *request);
void fs_run_remove_tree(struct fs_request *request);
void fs_run_list(struct fs_request *request);

/* native_fs_fds.c: which descriptors are the program's. All others, those of the runtime
 * above all, do not exist for it. Main thread only. */
enum fs_fd_use { FS_FD_READ, FS_FD_WRITE, FS_FD_CHANGE };
void fs_fd_add(int fd);
/* May the program use FD so? Standard input may be read, output and error written. */
bool fs_fd_usable(int fd, enum fs_fd_use use);
/* A request on the thread pool uses FD, or no longer does: only then is it closed. */
void fs_fd_hold(int fd);
void fs_fd_release(int fd);
/* FD is no longer the program's. False: it is not to be closed now, fs_fd_release does it. */
bool fs_fd_remove(int fd);

/* native_fs_watch.c */
void fs_watch_bind(void);
void fs_watch_stop(void); /* in a thread that ends */
engine_value *fs_watch(struct engine *engine, struct engine_call *call);
engine_value *fs_watch_ref(struct engine *engine, struct engine_call *call);
engine_value *fs_unwatch(struct engine *engine, struct engine_call *call);

/* native_fs_constants.c: fsConstants(): [name, number] of each. */
engine_value *fs_constants(struct engine *engine, struct engine_call *call);

/* native_fs.c */
/* The absolute path of VALUE (string or bytes) for the kernel, malloc'ed. Returns 0, or
 * -EINVAL (NUL, no path), -ENAMETOOLONG, -ENOMEM. */
int fs_path(struct engine *engine, engine_value *value, char **ret_path, size_t *ret_stripped);
/* Writes STATUS into hooks.fsFrame from number AT on: 18 numbers, of 64 bits for BIGINT. */
void fs_put_stat(const uv_stat_t *status, size_t at, bool bigint);
