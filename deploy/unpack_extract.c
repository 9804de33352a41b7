/* From an archive to files, in the process that trusts the archive least. libarchive
 * only parses; every name is checked and every file written here, so that none of the
 * writer's features (links, ownership, times, extended attributes, sparse files)
 * exists at all. */
#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "deploy/limits.h"
#include "deploy/unpack_private.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct extract {
	struct archive *archive;
	int staging;
	char path[DEPLOY_PATH_MAX];      /* of the member, without "./" and the last "/" */
	char shown[2 * DEPLOY_PATH_MAX]; /* the same, escaped */
	uint64_t bytes;
	size_t entries, files;
	struct error *error;
};

void unpack_locale(void)
{
	/* Without it (a minimal system) names outside ASCII are taken only from archives
	 * that say that they need no conversion, as archive_make's do. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* Opens below the staging folder. There are no links in it that could be followed, for
 * nobody made any; RESOLVE_BENEATH holds even if this were wrong. */
static int open_beneath(int staging, const char *path, int flags, mode_t mode)
{
	return file_open_beneath(staging, path, flags, mode);
}

static int count_entry(struct extract *extract)
{
	if (extract->entries == DEPLOY_FILES_MAX)
		return error_set(extract->error, EFBIG,
			"%s: the archive holds more than %d files and folders", extract->shown,
			DEPLOY_FILES_MAX);
	extract->entries++;
	return 0;
}

/* Makes the first LENGTH bytes of the path, a folder, if it is not there. */
static int make_folder(struct extract *extract, size_t length)
{
	char path[DEPLOY_PATH_MAX];
	memcpy(path, extract->path, length);
	path[length] = '\0';
	char *slash = strrchr(path, '/');
	cleanup_close int parent = -1;
	if (slash) {
		*slash = '\0';
		parent = open_beneath(extract->staging, path, O_PATH | O_DIRECTORY, 0);
		if (parent < 0)
			return error_errno(extract->error, errno, "cannot make the folder of %s",
				extract->shown);
	}
	const char *name = slash ? slash + 1 : path;
	if (mkdirat(slash ? parent : extract->staging, name, 0755) == 0)
		return count_entry(extract);
	if (errno != EEXIST)
		return error_errno(
			extract->error, errno, "cannot make the folder of %s", extract->shown);
	return 0;
}

/* Makes the folders above the member. */
static int make_parents(struct extract *extract)
{
	for (const char *slash = strchr(extract->path, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		int result = make_folder(extract, (size_t)(slash - extract->path));
		if (result < 0)
			return result;
	}
	return 0;
}

static int create_file(struct extract *extract, int *ret_fd)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
	int fd = open_beneath(extract->staging, extract->path, flags, 0444);
	if (fd < 0 && errno == ENOENT) {
		int result = make_parents(extract);
		if (result < 0)
			return result;
		fd = open_beneath(extract->staging, extract->path, flags, 0444);
	}
	if (fd < 0 && errno == EEXIST)
		return error_set(
			extract->error, EINVAL, "%s is in the archive twice", extract->shown);
	if (fd < 0 && errno == ENOTDIR)
		return error_set(extract->error, EINVAL,
			"%s: one of its folders is in the archive as a file", extract->shown);
	if (fd < 0)
		return error_errno(extract->error, errno, "cannot create %s", extract->shown);
	*ret_fd = fd;
	return 0;
}

/* Counts SIZE more bytes against the bounds. */
static int count_bytes(struct extract *extract, uint64_t size)
{
	if (size > DEPLOY_BYTES_MAX - extract->bytes)
		return error_set(extract->error, EFBIG,
			"%s: the archive unpacks to more than %llu MiB", extract->shown,
			DEPLOY_BYTES_MAX >> 20);
	extract->bytes += size;
	int64_t raw = archive_filter_bytes(extract->archive, -1);
	if (extract->bytes > DEPLOY_RATIO_FREE &&
		extract->bytes / DEPLOY_RATIO_MAX > (raw > 0 ? (uint64_t)raw : 0))
		return error_set(extract->error, EFBIG,
			"%s: the archive unpacks to more than %d times its size: a "
			"decompression bomb",
			extract->shown, DEPLOY_RATIO_MAX);
	return 0;
}

static int refuse_archive(struct extract *extract)
{
	char reason[512] = "it is malformed";
	const char *text = archive_error_string(extract->archive);
	if (text)
		escape_line(reason, sizeof reason, text, strlen(text), 0);
	/* Reading a file can only fail for the disk's reasons. */
	int code = archive_errno(extract->archive) == EIO ? EIO : EINVAL;
	if (extract->path[0])
		return error_set(extract->error, code, "cannot read the archive at %s: %s",
			extract->shown, reason);
	return error_set(extract->error, code, "cannot read the archive: %s", reason);
}

static int write_content(struct extract *extract, int fd, int64_t promised)
{
	int64_t written = 0;
	for (;;) {
		const void *data;
		size_t size;
		int64_t offset;
		int result = archive_read_data_block(extract->archive, &data, &size, &offset);
		if (result == ARCHIVE_EOF)
			break;
		if (result != ARCHIVE_OK)
			return refuse_archive(extract);
		/* A sparse file is gigabytes in a few bytes of archive. */
		if (size > 0 && offset != written)
			return error_set(
				extract->error, EINVAL, "%s is a sparse file", extract->shown);
		result = count_bytes(extract, size);
		if (result < 0)
			return result;
		result = file_write_all(fd, data, size);
		if (result < 0)
			return error_errno(
				extract->error, result, "cannot write %s", extract->shown);
		written += (int64_t)size;
	}
	if (written != promised)
		return error_set(extract->error, EINVAL,
			"%s: the archive promises %lld bytes and holds %lld", extract->shown,
			(long long)promised, (long long)written);
	return 0;
}

static int extract_file(struct extract *extract, struct archive_entry *entry)
{
	if (archive_entry_mode(entry) & (S_ISUID | S_ISGID))
		return error_set(extract->error, EINVAL, "%s has a set-user-id or set-group-id bit",
			extract->shown);
	int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
	if (size < 0 || (uint64_t)size > DEPLOY_BYTES_MAX - extract->bytes)
		return error_set(extract->error, EFBIG,
			"%s: the archive unpacks to more than %llu MiB", extract->shown,
			DEPLOY_BYTES_MAX >> 20);
	cleanup_close int fd = -1;
	int result = count_entry(extract);
	if (result == 0)
		result = create_file(extract, &fd);
	if (result == 0)
		result = write_content(extract, fd, size);
	/* Some file systems tell of a full disk no earlier than here. */
	if (result == 0 && close(take_fd(&fd)) < 0)
		result = error_errno(extract->error, errno, "cannot write %s", extract->shown);
	extract->files += result == 0;
	return result;
}

static const char *type_name(mode_t type)
{
	switch (type) {
	case AE_IFLNK:
		return "a symbolic link";
	case AE_IFIFO:
		return "a FIFO";
	case AE_IFSOCK:
		return "a socket";
	case AE_IFCHR:
	case AE_IFBLK:
		return "a device";
	default:
		return "of an unknown type";
	}
}

/* Takes the member's name over, without "./" before and "/" after it. Returns 1 for a
 * name to go on with, 0 for the root folder itself. */
static int take_name(struct extract *extract, struct archive_entry *entry)
{
	extract->path[0] = extract->shown[0] = '\0';
	const char *name = archive_entry_pathname(entry);
	if (!name)
		return error_set(extract->error, EINVAL,
			"member %zu of the archive has a name that is not UTF-8",
			extract->entries + 1);
	bool folder = archive_entry_filetype(entry) == AE_IFDIR;
	while (name[0] == '.' && name[1] == '/')
		name += 2;
	size_t length = strlen(name);
	if (folder && length > 0 && name[length - 1] == '/')
		length--;
	escape_line(extract->shown, sizeof extract->shown, name, length, 0);
	if (folder && (length == 0 || (length == 1 && name[0] == '.')))
		return 0;
	int result = deploy_path_check(name, length, extract->error);
	if (result < 0)
		return result;
	memcpy(extract->path, name, length);
	extract->path[length] = '\0';
	return 1;
}

static int extract_member(struct extract *extract, struct archive_entry *entry)
{
	int result = take_name(extract, entry);
	if (result <= 0)
		return result;
	if (archive_entry_hardlink(entry))
		return error_set(extract->error, EINVAL,
			"%s is a hard link, which a release cannot hold", extract->shown);
	mode_t type = archive_entry_filetype(entry);
	if (type == AE_IFREG)
		return extract_file(extract, entry);
	if (type != AE_IFDIR)
		return error_set(extract->error, EINVAL, "%s is %s, which a release cannot hold",
			extract->shown, type_name(type));
	result = make_parents(extract);
	if (result == 0)
		result = make_folder(extract, strlen(extract->path));
	if (result < 0)
		return result;
	/* A file of that name would let the mkdir succeed as "exists". */
	cleanup_close int fd =
		open_beneath(extract->staging, extract->path, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return error_set(
			extract->error, EINVAL, "%s is in the archive twice", extract->shown);
	return 0;
}

static int extract_all(struct extract *extract)
{
	/* Folders may come many times over: bound the members, not only what they make. */
	for (size_t members = 0;; members++) {
		struct archive_entry *entry;
		int result = archive_read_next_header(extract->archive, &entry);
		if (result == ARCHIVE_EOF)
			break;
		if (result != ARCHIVE_OK)
			return refuse_archive(extract);
		if (members == 2 * DEPLOY_FILES_MAX)
			return error_set(extract->error, EFBIG,
				"the archive has more than %d members", 2 * DEPLOY_FILES_MAX);
		result = extract_member(extract, entry);
		if (result < 0)
			return result;
	}
	if (extract->files == 0)
		return error_set(extract->error, EINVAL, "the archive holds no file");
	return 0;
}

static int open_archive(struct extract *extract, int archive_fd)
{
	if (lseek(archive_fd, 0, SEEK_SET) < 0)
		return error_errno(extract->error, errno, "cannot read the archive");
	/* One format and one compression: each parser less is a risk less. */
	archive_read_support_format_tar(extract->archive);
	archive_read_support_filter_zstd(extract->archive);
	if (archive_read_open_fd(extract->archive, archive_fd, 65536) != ARCHIVE_OK)
		return refuse_archive(extract);
	return 0;
}

int unpack_extract(
	int archive_fd, int staging_fd, struct unpack_report *report, struct error *error)
{
	struct error local = {0};
	struct extract extract = {.staging = staging_fd, .error = &local};
	extract.archive = archive_read_new();
	if (!extract.archive)
		return error_errno(error, ENOMEM, "cannot read the archive");
	int result = open_archive(&extract, archive_fd);
	if (result == 0)
		result = extract_all(&extract);
	report->entries = (uint32_t)extract.entries;
	report->bytes = extract.bytes;
	archive_read_free(extract.archive);
	if (result < 0 && error)
		*error = local;
	return result;
}
