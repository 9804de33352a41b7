/* The plain file operations: one of libuv's each, which does what the platform needs. */
#include "common/cleanup.h"
#include "isolate/native_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

/* The answer is a text that libuv has allocated, or part of one. */
static void take_text(struct fs_request *request, uv_fs_t *fs, const char *text)
{
	request->data_length = strlen(text);
	request->data = strdup(text);
	if (!request->data)
		fs->result = -ENOMEM;
}

/* Ends a synchronous uv_fs_t. */
static void finish(struct fs_request *request, uv_fs_t *fs)
{
	const enum fs_result result = request->operation->result;
	if (fs->result == 0 && result == FS_STAT)
		request->status = fs->statbuf;
	else if (fs->result == 0 && result == FS_STATFS)
		memcpy(&request->statfs, fs->ptr, sizeof request->statfs);
	else if (fs->result >= 0 && result == FS_NAME)
		take_text(request, fs,
			fs->fs_type == UV_FS_MKDTEMP ? fs->path + request->stripped[0] : fs->ptr);
	request->result = fs->result;
	uv_fs_req_cleanup(fs);
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

static void run_fd(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.fd(NULL, &fs, request->fd, NULL);
	finish(request, &fs);
}

/* Reads or writes, as many buffers as there are. */
static void run_transfer(struct fs_request *request)
{
	uv_fs_t fs;
	cleanup_free uv_buf_t *buffers = malloc((request->part_count + 1) * sizeof *buffers);
	if (!buffers) {
		request->result = -ENOMEM;
		return;
	}
	if (request->part_count == 0)
		return;
	for (size_t i = 0; i < request->part_count; i++)
		buffers[i] = (uv_buf_t){
			.base = request->parts[i].data,
			.len = request->parts[i].length,
		};
	request->operation->call.transfer(NULL, &fs, request->fd, buffers,
		(unsigned)request->part_count, position(request), NULL);
	finish(request, &fs);
}

static void run_ftruncate(struct fs_request *request)
{
	uv_fs_t fs;
	uv_fs_ftruncate(NULL, &fs, request->fd, (int64_t)request->numbers[0], NULL);
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

static void run_path(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.path(NULL, &fs, request->paths[0], NULL);
	finish(request, &fs);
}

static void run_path_number(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.path_number(
		NULL, &fs, request->paths[0], integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_path_owner(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.path_owner(NULL, &fs, request->paths[0],
		(uv_uid_t)request->numbers[0], (uv_gid_t)request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_path_times(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.path_times(
		NULL, &fs, request->paths[0], request->numbers[0], request->numbers[1], NULL);
	finish(request, &fs);
}

static void run_paths(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.paths(NULL, &fs, request->paths[0], request->paths[1], NULL);
	finish(request, &fs);
}

/* The number is 0 where none is given. */
static void run_paths_number(struct fs_request *request)
{
	uv_fs_t fs;
	request->operation->call.paths_number(
		NULL, &fs, request->paths[0], request->paths[1], integer(request, 0), NULL);
	finish(request, &fs);
}

static void run_mkdtemp(struct fs_request *request)
{
	char template[PATH_MAX + sizeof "XXXXXX"];
	uv_fs_t fs;
	snprintf(template, sizeof template, "%sXXXXXX", request->paths[0]);
	uv_fs_mkdtemp(NULL, &fs, template, NULL);
	finish(request, &fs);
}

/* ---- all of them ---- */

/* The names are those that Node's errors have for them. */
const struct fs_operation fs_operations[] = {
	{"open", "pnn", "m", run_open, FS_FD, NULL},
	{"close", "f", "", run_fd, FS_NOTHING, NULL, {.fd = uv_fs_close}},
	{"read", "fbn", "", run_transfer, FS_NUMBER, NULL, {.transfer = uv_fs_read}},
	{"read", "fvn", "", run_transfer, FS_NUMBER, "readv", {.transfer = uv_fs_read}},
	{"write", "fbn", "", run_transfer, FS_NUMBER, NULL, {.transfer = uv_fs_write}},
	{"write", "fvn", "", run_transfer, FS_NUMBER, "writev", {.transfer = uv_fs_write}},
	{"write", "fdn", "", run_transfer, FS_NUMBER, "writeString", {.transfer = uv_fs_write}},
	{"fstat", "f", "", run_fd, FS_STAT, NULL, {.fd = uv_fs_fstat}},
	{"ftruncate", "fn", "", run_ftruncate, FS_NOTHING, NULL},
	{"fsync", "f", "", run_fd, FS_NOTHING, NULL, {.fd = uv_fs_fsync}},
	{"fdatasync", "f", "", run_fd, FS_NOTHING, NULL, {.fd = uv_fs_fdatasync}},
	{"fchmod", "fn", "", run_fchmod, FS_NOTHING, NULL},
	{"fchown", "fnn", "", run_fchown, FS_NOTHING, NULL},
	{"futime", "fnn", "", run_futimes, FS_NOTHING, NULL},

	{"stat", "p", "r", run_path, FS_STAT, NULL, {.path = uv_fs_stat}},
	{"lstat", "p", "R", run_path, FS_STAT, NULL, {.path = uv_fs_lstat}},
	{"statfs", "p", "r", run_path, FS_STATFS, NULL, {.path = uv_fs_statfs}},
	{"access", "pn", "a", run_path_number, FS_NOTHING, NULL, {.path_number = uv_fs_access}},
	{"mkdir", "pn", "W", run_path_number, FS_NOTHING, NULL, {.path_number = uv_fs_mkdir}},
	{"mkdir", "pn", "W", fs_run_make_path, FS_NAME, "makePath"},
	{"rmdir", "p", "W", run_path, FS_NOTHING, NULL, {.path = uv_fs_rmdir}},
	{"rm", "pnnn", "W", fs_run_remove_tree, FS_NOTHING, NULL},
	{"unlink", "p", "W", run_path, FS_NOTHING, NULL, {.path = uv_fs_unlink}},
	{"rename", "pp", "WW", run_paths, FS_NOTHING, NULL, {.paths = uv_fs_rename}},
	{"copyfile", "ppn", "rw", run_paths_number, FS_NOTHING, NULL,
		{.paths_number = uv_fs_copyfile}},
	{"link", "pp", "RW", run_paths, FS_NOTHING, NULL, {.paths = uv_fs_link}},
	{"symlink", "tp", "-W", run_paths_number, FS_NOTHING, NULL,
		{.paths_number = uv_fs_symlink}},
	{"readlink", "p", "R", run_path, FS_NAME, NULL, {.path = uv_fs_readlink}},
	{"realpath", "p", "r", run_path, FS_NAME, NULL, {.path = uv_fs_realpath}},
	{"chmod", "pn", "w", run_path_number, FS_NOTHING, NULL, {.path_number = uv_fs_chmod}},
	{"chown", "pnn", "w", run_path_owner, FS_NOTHING, NULL, {.path_owner = uv_fs_chown}},
	{"lchown", "pnn", "W", run_path_owner, FS_NOTHING, NULL, {.path_owner = uv_fs_lchown}},
	{"utime", "pnn", "w", run_path_times, FS_NOTHING, NULL, {.path_times = uv_fs_utime}},
	{"lutime", "pnn", "W", run_path_times, FS_NOTHING, NULL, {.path_times = uv_fs_lutime}},
	{"mkdtemp", "p", "W", run_mkdtemp, FS_NAME, NULL},

	{"scandir", "p", "r", fs_run_list, FS_ENTRIES, NULL},
	{"opendir", "p", "r", fs_run_list, FS_ENTRIES, NULL},
	{"open", "Pn", "m", fs_run_read_file, FS_CONTENT, "readFile"},
	{"open", "Pdnn", "m", fs_run_write_file, FS_NOTHING, "writeFile"},
};
const size_t fs_operation_count = ARRAY_LENGTH(fs_operations);
