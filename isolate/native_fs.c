/* Natives of isolate/js/node/fs_binding.js: arguments in, answers out, and why an answer
 * is no. isolate/native_fs.h has the plan. */
#include "isolate/native_fs.h"

#include "common/cleanup.h"
#include "isolate/natives.h"
#include "isolate/permission.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local union {
	double number;
	int64_t integer;
} *frame; /* hooks.fsFrame */
static _Thread_local engine_ref *done_hook;
static _Thread_local struct fs_request **running; /* by slot; NULL before the first */

/* Where relative paths begin. The process itself stays in "/": its threads share one
 * current folder, and no grant needs to cover it. */
static char current_folder[PATH_MAX] = "/app"; /* the first thread changes it */
static pthread_mutex_t folder_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- arguments ---- */

/* The text of a string or of bytes, malloc'ed, NUL-terminated. */
static int text_of(struct engine *engine, engine_value *value, char **ret_text, size_t *ret_length)
{
	void *bytes;
	size_t length;
	if (engine_typeof(value) == ENGINE_STRING) {
		char *text = engine_to_utf8(engine, value, ret_length);
		*ret_text = text;
		return text ? 0 : -ENOMEM;
	}
	if (!engine_bytes_get(value, &bytes, &length))
		return -EINVAL;
	char *text = malloc(length + 1);
	if (!text)
		return -ENOMEM;
	if (length > 0)
		memcpy(text, bytes, length);
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int checked_text(struct engine *engine, engine_value *value, char **ret_text)
{
	size_t length;
	cleanup_free char *text = NULL;
	int result = text_of(engine, value, &text, &length);
	if (result < 0)
		return result;
	/* What lies behind a NUL would be looked at by nobody (CVE-2020-8287's kind). */
	if (strlen(text) != length)
		return -EINVAL;
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	*ret_text = take_pointer(text);
	return 0;
}

int fs_path(struct engine *engine, engine_value *value, char **ret_path, size_t *ret_stripped)
{
	cleanup_free char *text = NULL;
	int result = checked_text(engine, value, &text);
	if (result < 0)
		return result;
	*ret_stripped = 0;
	if (text[0] == '/' || text[0] == '\0') {
		*ret_path = take_pointer(text);
		return 0;
	}
	char *path;
	pthread_mutex_lock(&folder_lock);
	const char *slash = strcmp(current_folder, "/") == 0 ? "" : "/";
	int length = asprintf(&path, "%s%s%s", current_folder, slash, text);
	*ret_stripped = strlen(current_folder) + strlen(slash);
	pthread_mutex_unlock(&folder_lock);
	if (length < 0)
		return -ENOMEM;
	*ret_path = path;
	return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Memory of our own for a buffer that may shrink under a thread; WRITE: with its bytes. */
static int make_copy(struct engine *engine, struct fs_part *part, engine_value *view, bool write)
{
	char *copy = malloc(part->length ? part->length : 1);
	if (!copy)
		return -ENOMEM;
	if (write && part->length > 0)
		memcpy(copy, part->data, part->length);
	part->pin = engine_pin_free(part->pin);
	part->data = copy;
	part->owned = true;
	part->view = write ? NULL : engine_ref_new(engine, view);
	return 0;
}

/* OFFSET and LENGTH of VIEW; LENGTH of SIZE_MAX: all of it. */
static int take_bytes(struct engine *engine, struct fs_request *request, engine_value *view,
	size_t offset, size_t length)
{
	struct fs_part *part = &request->parts[request->part_count];
	void *data;
	size_t size;
	bool fixed = true;
	if (!engine_bytes_get(view, &data, &size) || offset > size)
		return -EINVAL;
	if (length == SIZE_MAX)
		length = size - offset;
	if (length > size - offset || length > FS_BYTES_MAX)
		return -EINVAL;
	*part = (struct fs_part){
		.data = (char *)data + offset,
		.length = length,
		.offset = offset,
	};
	request->part_count++;
	if (request->slot < 0)
		return 0; /* JavaScript does not run before it is over. */
	part->pin = engine_pin_new(view, &fixed);
	if (!part->pin)
		return -EINVAL;
	const bool write = request->operation->name[0] != 'r';
	return fixed ? 0 : make_copy(engine, part, view, write);
}

static int take_list(struct engine *engine, struct fs_request *request, engine_value *list)
{
	if (!engine_is_array(list))
		return -EINVAL;
	const uint32_t count = engine_array_length(list);
	if (count > 1024 /* IOV_MAX */)
		return -EINVAL;
	request->parts = calloc(count ? count : 1, sizeof *request->parts);
	if (!request->parts)
		return -ENOMEM;
	int result = 0;
	for (uint32_t i = 0; result == 0 && i < count; i++) {
		engine_value *view = engine_get_index(engine, list, i);
		result = view ? take_bytes(engine, request, view, 0, SIZE_MAX) : -EINVAL;
	}
	return result;
}

static int take_string(struct engine *engine, struct fs_request *request, engine_value *string)
{
	struct fs_part *part = &request->parts[0];
	size_t length = engine_string_utf8_length(engine, string);
	if (length > FS_BYTES_MAX)
		return -EINVAL;
	part->data = malloc(length ? length : 1);
	if (!part->data)
		return -ENOMEM;
	part->owned = true;
	request->part_count = 1;
	part->length = engine_string_write_utf8(engine, string, part->data, length, NULL);
	return 0;
}

/* What an operation does with its descriptor. */
static enum fs_fd_use use_of(const struct fs_operation *operation)
{
	static const char *const reading[] = {"read", "fstat", "open"};
	static const char *const writing[] = {"write", "fstat", "fsync", "fdatasync", "open"};
	const bool writes = operation->key && strcmp(operation->key, "writeFile") == 0;
	for (size_t i = 0; !writes && i < ARRAY_LENGTH(reading); i++)
		if (strcmp(operation->name, reading[i]) == 0)
			return FS_FD_READ;
	for (size_t i = 0; i < ARRAY_LENGTH(writing); i++)
		if (strcmp(operation->name, writing[i]) == 0)
			return FS_FD_WRITE;
	return FS_FD_CHANGE;
}

static int take_fd_number(struct fs_request *request, engine_value *value, struct engine *engine)
{
	int fd = engine_to_int32(engine, value);
	const bool stat = request->operation->result == FS_STAT;
	if (!fs_fd_usable(fd, use_of(request->operation)) && !(stat && fd >= 0 && fd <= 2))
		return -EBADF;
	request->fd = fd;
	return 0;
}

/* Where the arguments stand in the call, and what was taken so far. */
struct cursor {
	struct engine *engine;
	const struct engine_call *call;
	int next, paths, numbers;
};

static engine_value *next_argument(struct cursor *at)
{
	return engine_call_argument(at->engine, at->call, at->next++);
}

static int take_path(struct cursor *at, struct fs_request *request, engine_value *value)
{
	int place = at->paths++;
	return fs_path(at->engine, value, &request->paths[place], &request->stripped[place]);
}

static int take_part(struct cursor *at, struct fs_request *request, engine_value *value)
{
	double offset = engine_to_number(at->engine, next_argument(at));
	double length = engine_to_number(at->engine, next_argument(at));
	if (!(offset >= 0 && offset <= 1e15 && length >= 0 && length <= FS_BYTES_MAX))
		return -EINVAL;
	request->parts = calloc(1, sizeof *request->parts);
	return request->parts
		       ? take_bytes(at->engine, request, value, (size_t)offset, (size_t)length)
		       : -ENOMEM;
}

static int take_data(struct cursor *at, struct fs_request *request, engine_value *value)
{
	request->parts = calloc(1, sizeof *request->parts);
	if (!request->parts)
		return -ENOMEM;
	return engine_typeof(value) == ENGINE_STRING
		       ? take_string(at->engine, request, value)
		       : take_bytes(at->engine, request, value, 0, SIZE_MAX);
}

static int take_argument(struct cursor *at, struct fs_request *request, char kind)
{
	engine_value *value = next_argument(at);
	switch (kind) {
	case 'p':
		return take_path(at, request, value);
	case 't':
		return checked_text(at->engine, value, &request->paths[at->paths++]);
	case 'f':
		return take_fd_number(request, value, at->engine);
	case 'P':
		return engine_typeof(value) == ENGINE_NUMBER
			       ? take_fd_number(request, value, at->engine)
			       : take_path(at, request, value);
	case 'n':
		request->numbers[at->numbers++] = engine_to_number(at->engine, value);
		return 0;
	case 'b':
		return take_part(at, request, value);
	case 'v':
		return take_list(at->engine, request, value);
	default:
		return take_data(at, request, value);
	}
}

/* ---- why not ---- */

/* How an operation uses its path number PLACE. False: it is nobody's. */
static bool access_of(
	const struct fs_request *request, int place, bool *ret_write, bool *ret_follow)
{
	const char *access = request->operation->access;
	const int flags = (int)request->numbers[0];
	if (place >= (int)strlen(access) || access[place] == '-')
		return false;
	*ret_follow = true;
	switch (access[place]) {
	case 'm':
		*ret_write = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
		*ret_follow =
			!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
		return true;
	case 'a':
		*ret_write = flags & W_OK;
		return true;
	default:
		*ret_follow = access[place] == 'r' || access[place] == 'w';
		*ret_write = access[place] == 'w' || access[place] == 'W';
		return true;
	}
}

/* Is a refusal with this code one that the policy may be the reason of? */
static bool may_be_policy(int code)
{
	return code == ENOENT || code == EACCES || code == EROFS || code == EPERM || code == EXDEV;
}

/* The path that no grant covers, in RESOLVED, with what was wanted of it. False when all
 * are covered: then the error is the file system's own. */
static bool find_denied(const struct fs_request *request, char resolved[PATH_MAX], bool *ret_write)
{
	for (int i = 0; i < FS_PATHS; i++) {
		bool follow;
		if (!access_of(request, i, ret_write, &follow))
			continue;
		const char *path = request->failed_path ? request->failed_path : request->paths[i];
		if (!path || path[0] != '/' || permission_resolve(path, follow, resolved) < 0)
			continue;
		if (!permission_file(resolved, *ret_write))
			return true;
	}
	return false;
}

static engine_value *text_or_undefined(struct engine *engine, const char *text)
{
	return text ? engine_string(engine, text) : engine_undefined(engine);
}

/* [which call failed, where, permission, resource, size]: what differs from the
 * operation's name and paths is there, the rest undefined. */
static engine_value *failure(struct engine *engine, const struct fs_request *request)
{
	char resolved[PATH_MAX];
	bool write = false;
	const int code = (int)-request->result;
	const char *permission = NULL;
	if (may_be_policy(code) && request->fd < 0 && find_denied(request, resolved, &write)) {
		permission = write ? "FileSystemWrite" : "FileSystemRead";
		permission_audit(write ? AUDIT_FS_WRITE : AUDIT_FS_READ,
			permission_file_layer(code), false, resolved);
	}
	if (!request->syscall && !request->failed_path && !permission)
		return engine_undefined(engine);
	engine_value *items[] = {
		text_or_undefined(engine, request->syscall),
		request->without_path ? engine_null(engine)
				      : text_or_undefined(engine, request->failed_path),
		text_or_undefined(engine, permission),
		text_or_undefined(engine, permission ? resolved : NULL),
		engine_number(engine, (double)request->status.st_size),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* With audit "all" what was allowed is told too. */
static void tell_allowed(const struct fs_request *request)
{
	char resolved[PATH_MAX];
	bool write, follow;
	if (!runtime.start || runtime.start->audit != POLICY_AUDIT_ALL)
		return;
	for (int i = 0; i < FS_PATHS; i++)
		if (request->paths[i] && access_of(request, i, &write, &follow) &&
			permission_resolve(request->paths[i], follow, resolved) == 0)
			permission_audit(write ? AUDIT_FS_WRITE : AUDIT_FS_READ, AUDIT_LAYER_MOUNT,
				true, resolved);
}

/* ---- answers ---- */

static void put(size_t at, bool bigint, uint64_t value)
{
	if (bigint)
		frame[at].integer = (int64_t)value;
	else
		frame[at].number = (double)value;
}

static void put_time(size_t at, bool bigint, const uv_timespec_t *time)
{
	put(at, bigint, (uint64_t)time->tv_sec);
	put(at + 1, bigint, (uint64_t)time->tv_nsec);
	if (!bigint)
		frame[at].number = (double)time->tv_sec; /* may lie before 1970 */
}

/* In the order of isolate/js/node/upstream/internal/fs/utils.js. */
void fs_put_stat(const uv_stat_t *status, size_t at, bool bigint)
{
	const uint64_t values[] = {status->st_dev, status->st_mode, status->st_nlink,
		status->st_uid, status->st_gid, status->st_rdev, status->st_blksize, status->st_ino,
		status->st_size, status->st_blocks};
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
		put(at + i, bigint, values[i]);
	put_time(at + 10, bigint, &status->st_atim);
	put_time(at + 12, bigint, &status->st_mtim);
	put_time(at + 14, bigint, &status->st_ctim);
	put_time(at + 16, bigint, &status->st_birthtim);
}

static void put_statfs(const uv_statfs_t *statfs, bool bigint)
{
	const uint64_t values[] = {statfs->f_type, statfs->f_bsize, statfs->f_frsize,
		statfs->f_blocks, statfs->f_bfree, statfs->f_bavail, statfs->f_files,
		statfs->f_ffree};
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
		put(i, bigint, values[i]);
}

static engine_value *name_value(
	struct engine *engine, const struct fs_request *request, const char *name, size_t length)
{
	return request->want & FS_WANT_BYTES ? engine_bytes_copy(engine, name, length)
					     : engine_string_utf8(engine, name, length);
}

/* [name, type, name, type, …] */
static engine_value *entries_value(struct engine *engine, const struct fs_request *request)
{
	engine_value *list = engine_array(engine, NULL, 0);
	uint32_t count = 0;
	for (size_t at = 0; at < request->data_length;) {
		struct engine_scope scope;
		const char *name = request->data + at + 1;
		size_t length = strlen(name);
		engine_scope_open(engine, &scope);
		engine_value *value = name_value(engine, request, name, length);
		if (value) {
			engine_set_index(engine, list, count++, value);
			engine_set_index(
				engine, list, count++, engine_int32(engine, request->data[at]));
		}
		engine_scope_close(engine, &scope);
		if (!value)
			return NULL;
		at += length + 2;
	}
	return list;
}

static engine_value *content_value(struct engine *engine, struct fs_request *request)
{
	if (!(request->want & FS_WANT_BYTES))
		return engine_string_utf8(
			engine, request->data ? request->data : "", request->data_length);
	return engine_bytes_take(engine, take_pointer(request->data), request->data_length);
}

static engine_value *answer(struct engine *engine, struct fs_request *request)
{
	const bool bigint = request->want & FS_WANT_BIGINT;
	switch (request->operation->result) {
	case FS_FD:
		fs_fd_add((int)request->result);
		return engine_int32(engine, (int32_t)request->result);
	case FS_NUMBER:
		return engine_number(engine, (double)request->result);
	case FS_STAT:
		fs_put_stat(&request->status, 0, bigint);
		return engine_undefined(engine);
	case FS_STATFS:
		put_statfs(&request->statfs, bigint);
		return engine_undefined(engine);
	case FS_NAME:
		return request->data
			       ? name_value(engine, request, request->data, request->data_length)
			       : engine_undefined(engine);
	case FS_ENTRIES:
		return entries_value(engine, request);
	case FS_CONTENT:
		return content_value(engine, request);
	default:
		return engine_undefined(engine);
	}
}

/* The value for the library, its errno in the frame. NULL with an exception pending. */
static engine_value *conclude(struct engine *engine, struct fs_request *request)
{
	frame[FS_FRAME_ERROR].number = request->result < 0 ? (double)request->result : 0;
	if (request->result < 0)
		return failure(engine, request);
	tell_allowed(request);
	return answer(engine, request);
}

/* What a thread has read for a buffer that can shrink: as much as is still there. */
static void copy_back(struct engine *engine, struct fs_request *request)
{
	size_t left = request->result > 0 ? (size_t)request->result : 0;
	for (size_t i = 0; i < request->part_count && left > 0; i++) {
		struct fs_part *part = &request->parts[i];
		size_t count = left < part->length ? left : part->length, size;
		void *data;
		left -= count;
		if (!part->view ||
			!engine_bytes_get(engine_ref_get(engine, part->view), &data, &size) ||
			size <= part->offset)
			continue;
		if (count > size - part->offset)
			count = size - part->offset;
		memcpy((char *)data + part->offset, part->data, count);
	}
}

static void clear(struct fs_request *request)
{
	for (size_t i = 0; i < request->part_count; i++) {
		engine_pin_free(request->parts[i].pin);
		engine_ref_free(request->parts[i].view);
		if (request->parts[i].owned)
			free(request->parts[i].data);
	}
	free(request->parts);
	for (int i = 0; i < FS_PATHS; i++)
		free(request->paths[i]);
	free(request->failed_path);
	free(request->data);
}

/* ---- on the thread pool ---- */

static void on_work(uv_work_t *work)
{
	struct fs_request *request = work->data;
	if (!request->skip)
		request->operation->run(request);
}

static void on_done(uv_work_t *work, int status)
{
	struct fs_request *request = work->data;
	struct engine *engine = runtime.engine;
	struct engine_scope scope;
	engine_scope_open(engine, &scope);
	if (status < 0)
		request->result = status;
	if (request->fd >= 0)
		fs_fd_release(request->fd);
	copy_back(engine, request);
	running[request->slot] = NULL;
	engine_value *value = conclude(engine, request);
	if (!value) { /* The answer is too large for V8. */
		value = engine_exception_take(engine);
		frame[FS_FRAME_ERROR].number = 1;
	}
	engine_value *arguments[] = {
		engine_int32(engine, request->slot),
		value ? value : engine_undefined(engine),
	};
	clear(request);
	free(request);
	runtime_call(engine_ref_get(engine, done_hook), engine_undefined(engine), arguments, 2);
	engine_scope_close(engine, &scope);
}

static int submit(struct fs_request *request)
{
	if (!running)
		running = calloc(FS_REQUESTS_MAX, sizeof(struct fs_request *));
	struct fs_request *copy = running ? malloc(sizeof *copy) : NULL;
	if (!copy)
		return -ENOMEM;
	*copy = *request;
	copy->work.data = copy;
	int result = uv_queue_work(&runtime.loop, &copy->work, on_work, on_done);
	if (result < 0) {
		free(copy);
		return result;
	}
	if (copy->fd >= 0)
		fs_fd_hold(copy->fd);
	running[copy->slot] = copy;
	return 0;
}

/* ---- natives ---- */

static int parse(struct cursor *at, struct fs_request *request)
{
	int result = 0;
	for (const char *kind = request->operation->arguments; result == 0 && *kind; kind++)
		result = take_argument(at, request, *kind);
	return result;
}

/* Descriptors that are closed are not the program's from now on, whatever close says. */
static void prepare_close(struct fs_request *request)
{
	if (strcmp(request->operation->name, "close") != 0)
		return;
	request->skip = !fs_fd_remove(request->fd);
	if (!request->skip)
		return;
	request->fd = -1; /* fs_fd_release of the last request closes it. */
}

/* fsCall(operation, slot, want, arguments…): the answer when SLOT is -1; else undefined,
 * and fsDone(slot, answer) later. The errno is in the frame: 0 or a negative one. */
static engine_value *fs_call(struct engine *engine, struct engine_call *call)
{
	const size_t index = (size_t)engine_argument_int32(call, 0);
	struct fs_request request = {
		.slot = engine_argument_int32(call, 1),
		.want = (unsigned)engine_argument_int32(call, 2),
		.fd = -1,
	};
	if (index >= fs_operation_count || request.slot >= FS_REQUESTS_MAX ||
		(request.slot >= 0 && running && running[request.slot]))
		return engine_throw(engine, "RangeError", NULL, "fsCall: no such operation");
	request.operation = &fs_operations[index];
	struct cursor at = {.engine = engine, .call = call, .next = 3};
	int result = parse(&at, &request);
	if (engine_exception_pending(engine)) {
		clear(&request);
		return NULL;
	}
	if (result == 0)
		prepare_close(&request);
	if (result == 0 && request.slot >= 0)
		result = submit(&request);
	if (result == 0 && request.slot >= 0) {
		frame[FS_FRAME_ERROR].number = 0;
		return NULL; /* The thread pool has it. */
	}
	if (result < 0)
		request.result = result;
	else if (!request.skip)
		request.operation->run(&request);
	engine_value *value = conclude(engine, &request);
	clear(&request);
	return value;
}

/* fsCancel(slot): ends it soon, with ECANCELED, unless it is done before. */
static engine_value *fs_cancel(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	int32_t slot = engine_argument_int32(call, 0);
	if (slot < 0 || slot >= FS_REQUESTS_MAX || !running || !running[slot])
		return NULL;
	atomic_store(&running[slot]->cancelled, true);
	uv_cancel((uv_req_t *)&running[slot]->work);
	return NULL;
}

/* fsOperations(): the names by which the library finds the numbers of operations. */
static engine_value *fs_names(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *list = engine_array(engine, NULL, 0);
	for (size_t i = 0; i < fs_operation_count; i++) {
		const struct fs_operation *operation = &fs_operations[i];
		const char *key = operation->key ? operation->key : operation->name;
		engine_value *pair[] = {
			engine_string(engine, key),
			engine_string(engine, operation->name),
		};
		engine_set_index(engine, list, (uint32_t)i, engine_array(engine, pair, 2));
	}
	return list;
}

/* fsFolder(): the current folder. */
static engine_value *fs_folder(struct engine *engine, struct engine_call *call)
{
	(void)call;
	pthread_mutex_lock(&folder_lock);
	engine_value *folder = engine_string(engine, current_folder);
	pthread_mutex_unlock(&folder_lock);
	return folder;
}

/* fsChangeFolder(path): 0 or a negative errno. */
static engine_value *fs_change_folder(struct engine *engine, struct engine_call *call)
{
	cleanup_free char *path = NULL;
	size_t stripped;
	char resolved[PATH_MAX];
	struct stat status;
	int result = fs_path(engine, engine_call_argument(engine, call, 0), &path, &stripped);
	if (result == 0 && *path == '\0')
		result = -ENOENT;
	if (result == 0)
		result = permission_resolve(path, true, resolved);
	if (result == 0 && stat(resolved, &status) < 0)
		result = -errno;
	if (result == 0 && !S_ISDIR(status.st_mode))
		result = -ENOTDIR;
	if (result == 0 && runtime.thread)
		result = -ENOTSUP; /* it is the process's: the first thread's to change */
	if (result == 0) {
		pthread_mutex_lock(&folder_lock);
		memcpy(current_folder, resolved, sizeof current_folder);
		pthread_mutex_unlock(&folder_lock);
	}
	return engine_int32(engine, result);
}

static void find_hooks(void)
{
	frame = runtime_shared("fsFrame", FS_FRAME * sizeof *frame);
	done_hook = runtime_hook("fsDone");
	fs_watch_bind();
}

static const struct engine_native natives[] = {
	{"fsCall", fs_call, 3},
	{"fsCancel", fs_cancel, 1},
	{"fsOperations", fs_names, 0},
	{"fsConstants", fs_constants, 0},
	{"fsFolder", fs_folder, 0},
	{"fsChangeFolder", fs_change_folder, 1},
	{"fsWatch", fs_watch, 5},
	{"fsWatchRef", fs_watch_ref, 2},
	{"fsUnwatch", fs_unwatch, 1},
};

static void start(void)
{
	if (!runtime.thread) /* Threads have the process's. */
		snprintf(current_folder, sizeof current_folder, "%s", runtime.start->root);
}

static void stop(void)
{
	fs_watch_stop();
	/* The thread pool finishes what it has; nobody hears of it any more. */
	while (runtime.loop.active_reqs.count > 0)
		uv_run(&runtime.loop, UV_RUN_ONCE);
	free(running);
	running = NULL;
}

const struct native_module fs_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = find_hooks,
	.start = start,
	.stop = stop,
};
