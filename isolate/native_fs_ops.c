/* The plain file operations: one of libuv's each, which does what the platform needs. */
#include "common/cleanup.h"
#include "isolate/native_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

/* Ends a synchronous uv_fs_t. */
static void finish(struct fs_request *request, uv_fs_t *fs)
{
	request->result = fs->result;
	uv_fs_req_cleanup(fs);
}

static void finish_stat(struct fs_request *request, uv_fs_t *fs)
{
	if (fs->result == 0)
		request->status = fs->statbuf;
	finish(request, fs);
}

/* The answer is a text that libuv has allocated. */
static void finish_text(struct fs_request *request, uv_fs_t *fs, const char *text)
{
	if (fs->result >= 0) {
		request->data_length = strlen(text);
		request->data = strdup(text);
		if (!request->data)
			fs->result = -ENOMEM;
	}
	finish(request, fs);
}

static int integer(const struct fs_request *request, int index)
{
	return (int)request->numbers[index];
}

/* -1: the descriptor's own position. */
static int64_t position(const struct fs_request *request)
{
	double number = request->numbers[0];
	return number >= 0 && number <= (double)INT64_MAX ? (int64_t)number : -1;
}

/* ---- descriptors ---- */

static void run_open(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_open(NULL, &fs, request->paths[0], integer(request, 0), integer(request, 1), NULL);
	finish(request, &fs);
}

static void run_close(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_close(NULL, &fs, request->fd, NULL);
	finish(request, &fs);
}

static uv_buf_t *buffers_of(const struct fs_request *request)
{
	uv_buf_t *buffers = malloc((request->part_count + 1) * sizeof *buffers);
	for (size_t i = 0; buffers && i < request->part_count; i++)
		buffers[i] = (uv_buf_t){
			.base = request->parts[i].data,
			.len = request->parts[i].length,
		};
	return buffers;
}

static void run_read(struct fs_request *request)
{
	uv_fs_t fs;
	cleanup_free uv_buf_t *buffers = buffers_of(request);
	if (!buffers) {
		request->result = -ENOMEM;
		return;
	}
	if (request->part_count == 0)
		return;
	uv_fs_read(NULL, &fs, request->fd, buffers, (unsigned)request->part_count,
		position(request), NULL);
	finish(request, &fs);
}

static void run_write(struct fs_request *request)
{
	uv_fs_t fs;
	cleanup_free uv_buf_t *buffers = buffers_of(request);
	if (!buffers) {
		request->result = -ENOMEM;
		return;
	}
	if (request->part_count == 0)
		return;
	uv_fs_write(NULL, &fs, request->fd, buffers, (unsigned)request->part_count,
		position(request), NULL);
	finish(request, &fs);
}

static void run_fstat(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_fstat(NULL, &fs, request->fd, NULL);
	finish_stat(request, &fs);
}

static void run_ftruncate(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_ftruncate(NULL, &fs, request->fd, (int64_t)request->numbers[0], NULL);
	finish(request, &fs);
}

static void run_fsync(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_fsync(NULL, &fs, request->fd, NULL);
	finish(request, &fs);
}

static void run_fdatasync(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_fdatasync(NULL, &fs, request->fd, NULL);
	finish(request, &fs);
}

static void run_fchmod(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_fchmod(NULL, &fs, request->fd, integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_fchown(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_fchown(NULL, &fs, request->fd, (uv_uid_t)request->numbers[0],
		(uv_gid_t)request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_futimes(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_futime(NULL, &fs, request->fd, request->numbers[0], request->numbers[1], NULL);
	finish(request, &fs);
}

/* ---- paths ---- */

static void run_stat(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_stat(NULL, &fs, request->paths[0], NULL);
	finish_stat(request, &fs);
}

static void run_lstat(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_lstat(NULL, &fs, request->paths[0], NULL);
	finish_stat(request, &fs);
}

static void run_statfs(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_statfs(NULL, &fs, request->paths[0], NULL);
	if (fs.result == 0)
		memcpy(&request->statfs, fs.ptr, sizeof request->statfs);
	finish(request, &fs);
}

static void run_access(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_access(NULL, &fs, request->paths[0], integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_mkdir(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_mkdir(NULL, &fs, request->paths[0], integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_rmdir(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_rmdir(NULL, &fs, request->paths[0], NULL);
	finish(request, &fs);
}

static void run_unlink(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_unlink(NULL, &fs, request->paths[0], NULL);
	finish(request, &fs);
}

static void run_rename(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_rename(NULL, &fs, request->paths[0], request->paths[1], NULL);
	finish(request, &fs);
}

static void run_copy(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_copyfile(NULL, &fs, request->paths[0], request->paths[1], integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_link(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_link(NULL, &fs, request->paths[0], request->paths[1], NULL);
	finish(request, &fs);
}

static void run_symlink(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_symlink(NULL, &fs, request->paths[0], request->paths[1], 0, NULL);
	finish(request, &fs);
}

static void run_readlink(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_readlink(NULL, &fs, request->paths[0], NULL);
	finish_text(request, &fs, fs.ptr);
}

static void run_realpath(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_realpath(NULL, &fs, request->paths[0], NULL);
	finish_text(request, &fs, fs.ptr);
}

static void run_chmod(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_chmod(NULL, &fs, request->paths[0], integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_chown(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_chown(NULL, &fs, request->paths[0], (uv_uid_t)request->numbers[0],
		(uv_gid_t)request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_lchown(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_lchown(NULL, &fs, request->paths[0], (uv_uid_t)request->numbers[0],
		(uv_gid_t)request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_utimes(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_utime(NULL, &fs, request->paths[0], request->numbers[0], request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_lutimes(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_lutime(NULL, &fs, request->paths[0], request->numbers[0], request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_mkdtemp(struct fs_request *request)
{
	char template[PATH_MAX + sizeof "XXXXXX"];
	uv_fs_t fs;
	snprintf(template, sizeof template, "%sXXXXXX", request->paths[0]);
	uv_fs_mkdtemp(NULL, &fs, template, NULL);
	if (fs.result >= 0)
		finish_text(request, &fs, fs.path + request->stripped[0]);
	else
		finish(request, &fs);
}

/* ---- all of them ---- */

/* The names are those that Node's errors have for them. */
const struct fs_operation fs_operations[] = {
	{"open", "pnn", "m", run_open, FS_FD, NULL},
	{"close", "f", "", run_close, FS_NOTHING, NULL},
	{"read", "fbn", "", run_read, FS_NUMBER, NULL},
	{"read", "fvn", "", run_read, FS_NUMBER, "readv"},
	{"write", "fbn", "", run_write, FS_NUMBER, NULL},
	{"write", "fvn", "", run_write, FS_NUMBER, "writev"},
	{"write", "fdn", "", run_write, FS_NUMBER, "writeString"},
	{"fstat", "f", "", run_fstat, FS_STAT, NULL},
	{"ftruncate", "fn", "", run_ftruncate, FS_NOTHING, NULL},
	{"fsync", "f", "", run_fsync, FS_NOTHING, NULL},
	{"fdatasync", "f", "", run_fdatasync, FS_NOTHING, NULL},
	{"fchmod", "fn", "", run_fchmod, FS_NOTHING, NULL},
	{"fchown", "fnn", "", run_fchown, FS_NOTHING, NULL},
	{"futime", "fnn", "", run_futimes, FS_NOTHING, NULL},

	{"stat", "p", "r", run_stat, FS_STAT, NULL},
	{"lstat", "p", "R", run_lstat, FS_STAT, NULL},
	{"statfs", "p", "r", run_statfs, FS_STATFS, NULL},
	{"access", "pn", "a", run_access, FS_NOTHING, NULL},
	{"mkdir", "pn", "W", run_mkdir, FS_NOTHING, NULL},
	{"mkdir", "pn", "W", fs_run_make_path, FS_NAME, "makePath"},
	{"rmdir", "p", "W", run_rmdir, FS_NOTHING, NULL},
	{"rm", "pnnn", "W", fs_run_remove_tree, FS_NOTHING, NULL},
	{"unlink", "p", "W", run_unlink, FS_NOTHING, NULL},
	{"rename", "pp", "WW", run_rename, FS_NOTHING, NULL},
	{"copyfile", "ppn", "rw", run_copy, FS_NOTHING, NULL},
	{"link", "pp", "RW", run_link, FS_NOTHING, NULL},
	{"symlink", "tp", "-W", run_symlink, FS_NOTHING, NULL},
	{"readlink", "p", "R", run_readlink, FS_NAME, NULL},
	{"realpath", "p", "r", run_realpath, FS_NAME, NULL},
	{"chmod", "pn", "w", run_chmod, FS_NOTHING, NULL},
	{"chown", "pnn", "w", run_chown, FS_NOTHING, NULL},
	{"lchown", "pnn", "W", run_lchown, FS_NOTHING, NULL},
	{"utime", "pnn", "w", run_utimes, FS_NOTHING, NULL},
	{"lutime", "pnn", "W", run_lutimes, FS_NOTHING, NULL},
	{"mkdtemp", "p", "W", run_mkdtemp, FS_NAME, NULL},

	{"scandir", "p", "r", fs_run_list, FS_ENTRIES, NULL},
	{"opendir", "p", "r", fs_run_list, FS_ENTRIES, NULL},
	{"open", "Pn", "m", fs_run_read_file, FS_CONTENT, "readFile"},
	{"open", "Pdnn", "m", fs_run_write_file, FS_NOTHING, "writeFile"},
};
const size_t fs_operation_count = ARRAY_LENGTH(fs_operations);
