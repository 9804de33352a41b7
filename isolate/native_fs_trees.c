/* File operations of several steps in one go: no turn of the event loop lies between
 * opening a small file, reading it and closing it. */
#include "common/cleanup.h"
#include "isolate/native_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 512 * 1024, FIRST_CHUNK = 16 * 1024 };

static void fail(struct fs_request *request, const char *syscall, int code)
{
	request->result = -code;
	request->syscall = syscall;
}

static void fail_at(struct fs_request *request, const char *syscall, const char *path, int code)
{
	fail(request, syscall, code);
	if (!request->failed_path)
		request->failed_path = strdup(path);
}

static bool cancelled(struct fs_request *request)
{
	if (!atomic_load(&request->cancelled))
		return false;
	request->result = -ECANCELED;
	return true;
}

/* ---- whole files ---- */

/* A file must fit into what JavaScript may have. */
static uint64_t content_most(void)
{
	uint64_t memory = runtime.start ? runtime.start->memory_bytes : 0;
	return memory > 0 && memory < FS_BYTES_MAX ? memory : FS_BYTES_MAX;
}

static bool make_room(struct fs_request *request, size_t *size, size_t wanted)
{
	if (wanted > content_most()) {
		fail(request, "read", EFBIG);
		return false;
	}
	char *grown = realloc(request->data, wanted);
	if (!grown) {
		fail(request, "read", ENOMEM);
		return false;
	}
	request->data = grown;
	*size = wanted;
	return true;
}

/* Reads to the end: to that of a file that grows, or that has no size, too. EXPECTED is
 * what fstat says. */
static void read_content(struct fs_request *request, int fd, size_t expected)
{
	size_t size = 0;
	/* A byte more than it has: the read that fills less than it could was the last. */
	if (!make_room(request, &size, expected > 0 ? expected + 1 : FIRST_CHUNK))
		return;
	for (;;) {
		if (request->data_length == size && !make_room(request, &size, size * 2))
			return;
		size_t room = size - request->data_length;
		ssize_t count =
			read(fd, request->data + request->data_length, room < CHUNK ? room : CHUNK);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			fail(request, "read", errno);
			return;
		}
		request->data_length += (size_t)count;
		if (count == 0 || request->data_length == expected || cancelled(request))
			return;
	}
}

static int open_file(struct fs_request *request, mode_t mode)
{
	if (request->fd >= 0)
		return request->fd;
	int fd = open(request->paths[0], (int)request->numbers[0] | O_CLOEXEC, mode);
	if (fd < 0)
		fail(request, "open", errno);
	return fd;
}

static void close_file(const struct fs_request *request, int fd)
{
	if (request->fd < 0)
		close(fd);
}

void fs_run_read_file(struct fs_request *request)
{
	struct stat status;
	int fd = open_file(request, 0666);
	if (fd < 0)
		return;
	/* From here on it is the descriptor's error, not the path's. */
	request->without_path = true;
	if (fstat(fd, &status) < 0)
		fail(request, "fstat", errno);
	else if (S_ISREG(status.st_mode) && (uint64_t)status.st_size > content_most())
		fail(request, "read", EFBIG);
	else
		read_content(request, fd, S_ISREG(status.st_mode) ? (size_t)status.st_size : 0);
	if (request->result == -EFBIG)
		request->status.st_size = (uint64_t)status.st_size;
	close_file(request, fd);
}

void fs_run_write_file(struct fs_request *request)
{
	const struct fs_part *part = &request->parts[0];
	int fd = open_file(request, (mode_t)request->numbers[1]);
	if (fd < 0)
		return;
	request->without_path = true;
	for (size_t done = 0; done < part->length && !cancelled(request);) {
		size_t rest = part->length - done;
		ssize_t count = write(fd, part->data + done, rest < CHUNK ? rest : CHUNK);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			fail(request, "write", errno);
			break;
		}
		done += (size_t)count;
	}
	close_file(request, fd);
}

/* ---- making all folders of a path ---- */

static bool is_folder(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Makes one folder; 0 also when it is there. */
static int make_one(const char *path, mode_t mode, bool *ret_made)
{
	*ret_made = mkdir(path, mode) == 0;
	if (*ret_made || (errno == EEXIST && is_folder(path)))
		return 0;
	int code = errno;
	/* What kind of refusal it is does not matter where the folder is there already: a
	 * path begins with folders that are not the program's. */
	return is_folder(path) ? 0 : -code;
}

/* The path whose folders are to be made, without slashes at its end. */
void fs_run_make_path(struct fs_request *request)
{
	char path[PATH_MAX];
	size_t length = strlen(request->paths[0]);
	if (length >= sizeof path) {
		fail(request, "mkdir", ENAMETOOLONG);
		return;
	}
	memcpy(path, request->paths[0], length + 1);
	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	for (char *at = path + 1;; at++) {
		if (*at && *at != '/')
			continue;
		const char end = *at;
		bool made = false;
		*at = '\0';
		int result =
			length > 0 ? make_one(path, (mode_t)request->numbers[0], &made) : -ENOENT;
		if (result < 0) {
			/* Node calls it so when a file is in the way. */
			fail(request, "mkdir", end && result == -EEXIST ? ENOTDIR : -result);
			return;
		}
		if (made && !request->data) {
			request->data = strdup(path);
			request->data_length = strlen(path);
		}
		if (!end)
			return;
		*at = end;
	}
}

/* ---- removing a tree ---- */

static int remove_tree(struct fs_request *request, const char *path, int depth);

/* In an own function, for the stack of each level. */
static int remove_entry(struct fs_request *request, const char *folder, const char *name, int depth)
{
	cleanup_free char *path = malloc(PATH_MAX);
	if (!path)
		return -ENOMEM;
	int length = snprintf(path, PATH_MAX, "%s/%s", folder, name);
	if (length < 0 || length >= PATH_MAX)
		return -ENAMETOOLONG;
	return remove_tree(request, path, depth + 1);
}

static int remove_entries(struct fs_request *request, const char *path, int depth)
{
	uv_fs_t fs;
	uv_dirent_t entry;
	int result = uv_fs_scandir(NULL, &fs, path, 0, NULL);
	while (result >= 0 && uv_fs_scandir_next(&fs, &entry) != UV_EOF)
		result = remove_entry(request, path, entry.name, depth);
	uv_fs_req_cleanup(&fs);
	return result < 0 ? result : 0;
}

/* Removes what is at PATH and below. What is gone already is fine. A link is removed and
 * never followed: unlink(2) comes first. */
static int remove_tree(struct fs_request *request, const char *path, int depth)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	const int code = errno;
	struct stat status;
	if (cancelled(request))
		return -ECANCELED;
	if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode)) {
		fail_at(request, "unlink", path, code);
		return -code;
	}
	if (depth >= FS_DEPTH_MAX) {
		fail_at(request, "rm", path, ELOOP);
		return -ELOOP;
	}
	int result = rmdir(path) == 0 ? 0 : -errno;
	if (result == -ENOTEMPTY || result == -EEXIST) {
		result = remove_entries(request, path, depth);
		if (result == 0 && rmdir(path) < 0 && errno != ENOENT)
			result = -errno;
	}
	if (result < 0 && !request->failed_path)
		fail_at(request, "rmdir", path, -result);
	return result;
}

/* Numbers: recursive, retries, delay between them in milliseconds. */
void fs_run_remove_tree(struct fs_request *request)
{
	struct stat status;
	const char *path = request->paths[0];
	const bool recursive = request->numbers[0] != 0;
	const int retries = recursive && request->numbers[1] < 10 ? (int)request->numbers[1] : 0;
	if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && !recursive) {
		fail(request, "rm", EISDIR);
		return;
	}
	for (int i = 0;; i++) {
		free(take_pointer(request->failed_path));
		request->result = 0;
		int result = remove_tree(request, path, 0);
		bool again = result == -EBUSY || result == -EMFILE || result == -ENFILE ||
			     result == -ENOTEMPTY;
		if (!again || i >= retries)
			return;
		unsigned delay_ms =
			request->numbers[2] < 1000 ? (unsigned)request->numbers[2] : 1000;
		usleep(delay_ms * 1000u * (unsigned)(i + 1));
	}
}

/* ---- listing ---- */

struct list {
	char *data;
	size_t length, size;
};

/* Type, name, NUL. */
static int list_add(struct list *list, uv_dirent_type_t type, const char *name)
{
	size_t name_size = strlen(name) + 1;
	size_t wanted = list->length + 1 + name_size;
	if (wanted > FS_NAMES_MAX)
		return -EOVERFLOW;
	if (wanted > list->size) {
		size_t size = wanted * 2;
		char *grown = realloc(list->data, size);
		if (!grown)
			return -ENOMEM;
		list->data = grown;
		list->size = size;
	}
	list->data[list->length] = (char)type;
	memcpy(list->data + list->length + 1, name, name_size);
	list->length = wanted;
	return 0;
}

void fs_run_list(struct fs_request *request)
{
	uv_fs_t fs;
	uv_dirent_t entry;
	struct list list = {0};
	int result = uv_fs_scandir(NULL, &fs, request->paths[0], 0, NULL);
	while (result >= 0 && uv_fs_scandir_next(&fs, &entry) != UV_EOF)
		result = list_add(&list, entry.type, entry.name);
	uv_fs_req_cleanup(&fs);
	request->result = result < 0 ? result : 0;
	request->data = list.data;
	request->data_length = list.length;
}
