#include "daemon/takeover.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* ---- writing ---- */

int takeover_new(struct takeover *takeover, struct error *error)
{
	*takeover = (struct takeover){.root = json_object()};
	takeover->bytes_fd = memfd_create("handover-bytes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (takeover->root == NULL || takeover->bytes_fd < 0) {
		takeover_clear(takeover);
		return error_set(error, ENOMEM, "no memory for a handover");
	}
	return 0;
}

static bool remember_fd(struct takeover *takeover, int fd)
{
	if (takeover->fd_count == takeover->fd_places) {
		const size_t places = takeover->fd_places ? 2 * takeover->fd_places : 64;
		int *fds = reallocarray(takeover->fds, places, sizeof *fds);
		if (fds == NULL)
			return false;
		takeover->fds = fds;
		takeover->fd_places = places;
	}
	takeover->fds[takeover->fd_count++] = fd;
	return true;
}

json_t *takeover_put_fd(struct takeover *takeover, int fd)
{
	if (fd < 0)
		return json_null();
	if (!remember_fd(takeover, fd))
		takeover->failed = true;
	return json_integer(fd);
}

json_t *takeover_put_bytes(struct takeover *takeover, const void *data, size_t length)
{
	const uint64_t at = takeover->bytes_length;
	if (at + length > TAKEOVER_BYTES_MAX ||
		file_write_all(takeover->bytes_fd, data, length) < 0)
		takeover->failed = true;
	else
		takeover->bytes_length += length;
	return json_pack("[I, I]", (json_int_t)at, (json_int_t)length);
}

json_t *takeover_text(const char *text)
{
	json_t *value = json_string(text);
	if (value)
		return value;
	const size_t size = strlen(text) * 4 + 16;
	cleanup_free char *escaped = malloc(size);
	if (escaped == NULL)
		return NULL;
	escape_line(escaped, size, text, strlen(text), 1);
	return json_string(escaped);
}

static json_t *list_fds(const struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; i < takeover->fd_count; i++)
		json_array_append_new(list, json_integer(takeover->fds[i]));
	return list;
}

int takeover_seal(struct takeover *takeover, struct error *error)
{
	json_object_set_new(takeover->root, "version", json_integer(TAKEOVER_VERSION));
	json_object_set_new(takeover->root, "from", json_string(TENANTD_VERSION));
	json_object_set_new(takeover->root, "bytes", takeover_put_fd(takeover, takeover->bytes_fd));
	json_object_set_new(takeover->root, "fds", list_fds(takeover));
	cleanup_free char *text = json_dumps(takeover->root, JSON_COMPACT);
	cleanup_close int fd = memfd_create("handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (text == NULL || takeover->failed)
		return error_set(error, ENOMEM, "no memory for the handover");
	int result = fd < 0 ? -errno : file_write_all(fd, text, strlen(text));
	if (result == 0 && (fcntl(fd, F_ADD_SEALS, SEALS) < 0 ||
				   fcntl(takeover->bytes_fd, F_ADD_SEALS, SEALS) < 0))
		result = -errno;
	if (result == 0 && !remember_fd(takeover, fd))
		result = -ENOMEM;
	return result < 0 ? error_errno(error, -result, "cannot write the handover") : take_fd(&fd);
}

void takeover_keep(const struct takeover *takeover, bool keep)
{
	for (size_t i = 0; i < takeover->fd_count; i++)
		fcntl(takeover->fds[i], F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* ---- reading ---- */

/* Nothing that this process starts later may inherit them. */
static void take_list(struct takeover *takeover, const json_t *list)
{
	const json_t *value;
	size_t i;
	json_array_foreach(list, i, value)
	{
		const int fd = (int)json_integer_value(value);
		if (fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			remember_fd(takeover, fd);
	}
}

static int map_text(int fd, char **ret_text, size_t *ret_length)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	char *text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	*ret_text = text;
	*ret_length = (size_t)status.st_size;
	return 0;
}

int takeover_read(int taken, struct takeover *takeover, struct error *error)
{
	cleanup_close int fd = taken;
	char *text = NULL;
	size_t length = 0;
	*takeover = (struct takeover){.bytes_fd = -1, .reads = true};
	/* Else it is no memfd of ours: somebody gave the option by hand. */
	const int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return error_set(error, EINVAL, "descriptor %d is no handover", taken);
	int result = map_text(fd, &text, &length);
	if (result < 0)
		return error_errno(error, -result, "cannot read the handover");
	takeover->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	munmap(text, length);
	const uint64_t version = takeover_number(takeover->root, "version");
	take_list(takeover, json_object_get(takeover->root, "fds"));
	if (version != TAKEOVER_VERSION)
		result = error_set(error, ENOTSUP,
			"the handover is of version %llu, and this tenantd understands %d",
			(unsigned long long)version, TAKEOVER_VERSION);
	if (result == 0)
		takeover->bytes_fd =
			takeover_take_fd(takeover, json_object_get(takeover->root, "bytes"));
	if (result == 0 && takeover->bytes_fd < 0)
		result = error_set(error, EBADF, "the handover is not whole");
	if (result < 0)
		takeover_clear(takeover);
	return result;
}

int takeover_take_fd(struct takeover *takeover, const json_t *value)
{
	if (!json_is_integer(value))
		return -EBADF;
	for (size_t i = 0; i < takeover->fd_count; i++)
		if (takeover->fds[i] == json_integer_value(value))
			return take_fd(&takeover->fds[i]);
	return -EBADF;
}

int takeover_take_bytes(
	struct takeover *takeover, const json_t *value, char **ret_data, size_t *ret_length)
{
	const uint64_t at = (uint64_t)json_integer_value(json_array_get(value, 0));
	const uint64_t length = (uint64_t)json_integer_value(json_array_get(value, 1));
	if (!json_is_array(value) || length > TAKEOVER_BYTES_MAX)
		return -EINVAL;
	char *data = malloc(length + 1);
	if (data == NULL)
		return -ENOMEM;
	if (pread(takeover->bytes_fd, data, length, (off_t)at) != (ssize_t)length) {
		free(data);
		return -EINVAL;
	}
	data[length] = '\0';
	*ret_data = data;
	*ret_length = length;
	return 0;
}

uint64_t takeover_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

bool takeover_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

const char *takeover_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

void takeover_clear(struct takeover *takeover)
{
	for (size_t i = 0; takeover->reads && i < takeover->fd_count; i++)
		close_fd(&takeover->fds[i]);
	json_decref(takeover->root);
	close_fd(&takeover->bytes_fd);
	free(takeover->fds);
	*takeover = (struct takeover){.bytes_fd = -1};
}
