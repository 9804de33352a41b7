#include "deploy/archive.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "deploy/archive_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A larger archive goes to the disk rather than into memory. */
#define MEMFD_MAX (64ull * 1024 * 1024)

/* ---- the list of what goes in ---- */

int archive_list_add(struct archive_list *list, const char *path, bool folder, uint64_t size,
	char *content, struct error *error)
{
	cleanup_free char *own_content = content;
	if (list->count == DEPLOY_FILES_MAX)
		return error_set(error, EFBIG, "more than %d files and folders", DEPLOY_FILES_MAX);
	if (size > DEPLOY_BYTES_MAX - list->bytes)
		return error_set(error, EFBIG, "more than %llu MiB", DEPLOY_BYTES_MAX >> 20);
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		void *larger = reallocarray(list->items, room, sizeof *list->items);
		if (!larger)
			return error_errno(error, ENOMEM, "cannot list the files");
		list->items = larger;
		list->room = room;
	}
	char *own_path = strdup(path);
	if (!own_path)
		return error_errno(error, ENOMEM, "cannot list the files");
	list->bytes += size;
	list->items[list->count++] = (struct archive_item){
		.path = own_path,
		.folder = folder,
		.size = size,
		.content = take_pointer(own_content),
	};
	return 0;
}

const struct archive_item *archive_list_find(const struct archive_list *list, const char *path)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].path, path) == 0)
			return &list->items[i];
	return NULL;
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(
		((const struct archive_item *)a)->path, ((const struct archive_item *)b)->path);
}

static void list_clear(struct archive_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].path);
		free(list->items[i].content);
	}
	free(list->items);
	close_fd(&list->root);
}

/* ---- what is instead of files on the disk ---- */

struct archive_overlay *archive_overlay_free(struct archive_overlay *overlay)
{
	if (!overlay)
		return NULL;
	for (size_t i = 0; i < overlay->count; i++) {
		free(overlay->files[i].path);
		free(overlay->files[i].content);
	}
	free(overlay->files);
	free(overlay);
	return NULL;
}

static int compare_paths(const void *path, const void *file)
{
	return strcmp(path, ((const struct archive_file *)file)->path);
}

static bool is_covered(const struct archive_overlay *overlay, const char *path)
{
	return overlay && overlay->count > 0 &&
	       bsearch(path, overlay->files, overlay->count, sizeof *overlay->files, compare_paths);
}

static int list_overlay(
	struct archive_list *list, const struct archive_overlay *overlay, struct error *error)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < overlay->count; i++) {
		const struct archive_file *file = &overlay->files[i];
		if (!file->content)
			continue;
		char *copy = malloc(file->size + 1);
		if (!copy)
			return error_errno(error, ENOMEM, "cannot list the files");
		memcpy(copy, file->content, file->size);
		result = archive_list_add(list, file->path, false, file->size, copy, error);
	}
	memcpy(list->entry, overlay->entry, sizeof list->entry);
	return result;
}

/* ---- the walk over a folder ---- */

/* A buffer that grows and shrinks with the walk. */
struct scan {
	struct archive_list *list;
	char path[DEPLOY_PATH_MAX];
	struct error *error;
};

static bool is_skipped(
	const struct archive_overlay *overlay, const char *path, const char *name, bool folder)
{
	if (strcmp(name, ".git") == 0)
		return true; /* a folder, or a file in a worktree */
	if (is_covered(overlay, path) ||
		(overlay && overlay->without_packages && strcmp(name, "node_modules") == 0))
		return true;
	if (!folder || strcmp(name, ".bin") != 0)
		return false;
	static const char tail[] = "node_modules/.bin";
	size_t length = strlen(path);
	if (length < sizeof tail - 1)
		return false;
	const char *start = path + length - (sizeof tail - 1);
	return strcmp(start, tail) == 0 && (start == path || start[-1] == '/');
}

/* The user's name of the file that is looked at. */
static int scan_failed(struct scan *scan, int code, const char *what)
{
	char shown[900], path[300];
	escape_line(path, sizeof path, scan->path, strlen(scan->path), 0);
	snprintf(shown, sizeof shown, "%s%s%s", scan->list->shown, path[0] ? "/" : "", path);
	return what ? error_set(scan->error, code, "%s %s", shown, what)
		    : error_errno(scan->error, code, "cannot read %s", shown);
}

static int scan_folder(struct scan *scan, int dir_fd, size_t length);

static int scan_name(struct scan *scan, int dir_fd, const char *name, size_t length)
{
	int added = snprintf(
		scan->path + length, sizeof scan->path - length, "%s%s", length ? "/" : "", name);
	if ((size_t)added >= sizeof scan->path - length)
		return scan_failed(scan, EINVAL, "has too long a path");
	struct stat status;
	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return scan_failed(scan, errno, NULL);
	if (is_skipped(scan->list->overlay, scan->path, name, S_ISDIR(status.st_mode)))
		return 0;
	if (S_ISLNK(status.st_mode))
		return scan_failed(scan, EINVAL,
			"is a symbolic link, which a release cannot hold: put a copy of what it "
			"points to in its place");
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return scan_failed(scan, EINVAL, "is neither a file nor a folder");
	int result = deploy_path_check(scan->path, length + (size_t)added, scan->error);
	bool folder = S_ISDIR(status.st_mode);
	if (result == 0)
		result = archive_list_add(scan->list, scan->path, folder,
			folder ? 0 : (uint64_t)status.st_size, NULL, scan->error);
	if (result < 0)
		return error_prefix(scan->error, "%s", scan->list->shown);
	if (!folder)
		return 0;
	cleanup_close int fd =
		openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? scan_failed(scan, errno, NULL)
		      : scan_folder(scan, fd, length + (size_t)added);
}

static int scan_folder(struct scan *scan, int dir_fd, size_t length)
{
	int own = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_closedir DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (!dir)
		return scan_failed(scan, errno, NULL);
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry)
			return errno ? scan_failed(scan, errno, NULL) : 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int result = scan_name(scan, dir_fd, entry->d_name, length);
		scan->path[length] = '\0';
		if (result < 0)
			return result;
	}
}

/* ---- writing ---- */

/* What went wrong with the archive itself, e.g. a full disk. */
static int write_failed(struct archive *archive, struct error *error)
{
	int code = archive_errno(archive);
	return error_set(error, code > 0 ? code : EIO, "cannot write the archive: %s",
		archive_error_string(archive) ? archive_error_string(archive) : "unknown reason");
}

/* Copies a file into the archive. It must be what the walk saw. */
static int write_file(struct archive *archive, const struct archive_list *list,
	const struct archive_item *item, struct error *error)
{
	char shown[512], buffer[65536];
	escape_line(shown, sizeof shown, item->path, strlen(item->path), 0);
	cleanup_close int fd = file_open_beneath(
		list->root, item->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot read %s", shown);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EAGAIN, "%s changed while it was being read", shown);
	uint64_t left = item->size;
	for (;;) {
		ssize_t got = read(fd, buffer, sizeof buffer);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(error, errno, "cannot read %s", shown);
		if (got == 0)
			break;
		if ((uint64_t)got > left)
			return error_set(error, EAGAIN, "%s grew while it was being read", shown);
		if (archive_write_data(archive, buffer, (size_t)got) != got)
			return write_failed(archive, error);
		left -= (uint64_t)got;
	}
	if (left > 0)
		return error_set(error, EAGAIN, "%s shrank while it was being read", shown);
	return 0;
}

static int write_item(struct archive *archive, struct archive_entry *entry,
	const struct archive_list *list, const struct archive_item *item, struct error *error)
{
	/* Nothing but names, sizes and contents: the same release is the same bytes,
	 * whoever makes it, and whenever. */
	archive_entry_clear(entry);
	archive_entry_set_pathname(entry, item->path);
	archive_entry_set_filetype(entry, item->folder ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(entry, item->folder ? 0755 : 0644);
	archive_entry_set_size(entry, (int64_t)item->size);
	archive_entry_set_mtime(entry, 0, 0);
	if (archive_write_header(archive, entry) != ARCHIVE_OK)
		return write_failed(archive, error);
	if (item->folder)
		return 0;
	if (!item->content)
		return write_file(archive, list, item, error);
	if (archive_write_data(archive, item->content, item->size) != (la_ssize_t)item->size)
		return write_failed(archive, error);
	return 0;
}

static int write_all(
	struct archive *archive, const struct archive_list *list, int fd, struct error *error)
{
	struct archive_entry *entry = archive_entry_new();
	if (!entry)
		return error_errno(error, ENOMEM, "cannot write the archive");
	int result = 0;
	archive_write_set_bytes_in_last_block(archive, 1);
	/* BINARY: names are bytes, as on the disk. Otherwise libarchive converts them from
	 * the locale's character set and normalises them, and two files may become one. */
	if (archive_write_set_format_pax_restricted(archive) != ARCHIVE_OK ||
		archive_write_set_options(archive, "hdrcharset=BINARY") != ARCHIVE_OK ||
		archive_write_add_filter_none(archive) != ARCHIVE_OK ||
		archive_write_open_fd(archive, fd) != ARCHIVE_OK)
		result = write_failed(archive, error);
	for (size_t i = 0; result == 0 && i < list->count; i++)
		result = write_item(archive, entry, list, &list->items[i], error);
	archive_entry_free(entry);
	if (result == 0 && archive_write_close(archive) != ARCHIVE_OK)
		result = write_failed(archive, error);
	return result;
}

/* Where the archive goes. */
static int open_target(uint64_t bytes, int *ret_fd, struct error *error)
{
	if (bytes <= MEMFD_MAX) {
		*ret_fd = memfd_create("release", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (*ret_fd >= 0)
			return 0;
	}
	const char *folder = getenv("TMPDIR");
	if (!folder || folder[0] != '/')
		folder = "/var/tmp";
	*ret_fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return error_errno(error, errno, "cannot make a temporary file in %s", folder);
	return 0;
}

static int write_archive(struct archive_list *list, int *ret_fd, struct error *error)
{
	cleanup_close int fd = -1;
	int result = open_target(list->bytes, &fd, error);
	if (result < 0)
		return result;
	struct archive *archive = archive_write_new();
	if (!archive)
		return error_errno(error, ENOMEM, "cannot write the archive");
	qsort(list->items, list->count, sizeof *list->items, compare_items);
	result = write_all(archive, list, fd, error);
	archive_write_free(archive);
	if (result < 0)
		return result;
	/* Nobody changes it under the reader's hands; a file on the disk has no seals. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(error, errno, "cannot rewind the archive");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* ---- a file or a folder ---- */

/* Lists the single file PATH, open as FD, with a tenant.json of its own. */
static int list_file(
	struct archive_list *list, const char *path, const struct stat *status, struct error *error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	cleanup_free char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int result = archive_check_entry_type(name, list->shown, error);
	if (result == 0)
		result = deploy_path_check(name, strlen(name), error);
	if (result < 0)
		return result;
	list->root = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (list->root < 0)
		return error_errno(error, errno, "cannot open the folder of %s", list->shown);
	result = archive_list_add(list, name, false, (uint64_t)status->st_size, NULL, error);
	if (result < 0)
		return error_prefix(error, "%s", list->shown);
	return archive_set_entry(list, name, error);
}

static int list_folder(struct archive_list *list, const char *path, struct error *error)
{
	list->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (list->root < 0)
		return error_errno(error, errno, "cannot open %s", list->shown);
	struct scan scan = {.list = list, .error = error};
	int result = scan_folder(&scan, list->root, 0);
	if (result < 0)
		return result;
	return list->overlay ? list_overlay(list, list->overlay, error)
			     : archive_find_entry(list, error);
}

static int list_and_write(
	struct archive_list *list, const char *given, int *ret_fd, struct error *error)
{
	/* A link that the user names himself is followed. */
	cleanup_free char *path = realpath(given, NULL);
	struct stat status;
	int result;
	if (!path || stat(path, &status) < 0)
		return error_errno(error, errno, "cannot open %s", list->shown);
	if (S_ISDIR(status.st_mode))
		result = list_folder(list, path, error);
	else if (S_ISREG(status.st_mode) && list->overlay)
		result = list_overlay(list, list->overlay, error);
	else if (S_ISREG(status.st_mode))
		result = list_file(list, path, &status, error);
	else
		result = error_set(error, EINVAL, "%s is neither a file nor a folder", list->shown);
	return result < 0 ? result : write_archive(list, ret_fd, error);
}

int archive_make(const char *path, const struct archive_overlay *overlay,
	struct archive_made *ret_made, struct error *error)
{
	struct error local = {0};
	char shown[512];
	size_t length = strlen(path);
	while (length > 1 && path[length - 1] == '/')
		length--;
	escape_line(shown, sizeof shown, path, length, 0);
	struct archive_list list = {.shown = shown, .root = -1, .overlay = overlay};

	int fd = -1;
	int result = list_and_write(&list, path, &fd, &local);
	if (result == 0) {
		*ret_made =
			(struct archive_made){.fd = fd, .entries = list.count, .bytes = list.bytes};
		memcpy(ret_made->entry, list.entry, sizeof ret_made->entry);
	} else if (error) {
		*error = local;
	}
	list_clear(&list);
	return result;
}
