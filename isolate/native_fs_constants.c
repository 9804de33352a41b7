/* fs.constants, with the numbers of this machine. */
#include "common/cleanup.h"
#include "isolate/native_fs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW(name) {#name, name}
static const struct {
	const char *name;
	int value;
} constants[] = {
	ROW(UV_FS_SYMLINK_DIR),
	ROW(UV_FS_SYMLINK_JUNCTION),
	ROW(O_RDONLY),
	ROW(O_WRONLY),
	ROW(O_RDWR),
	ROW(UV_DIRENT_UNKNOWN),
	ROW(UV_DIRENT_FILE),
	ROW(UV_DIRENT_DIR),
	ROW(UV_DIRENT_LINK),
	ROW(UV_DIRENT_FIFO),
	ROW(UV_DIRENT_SOCKET),
	ROW(UV_DIRENT_CHAR),
	ROW(UV_DIRENT_BLOCK),
	{"EXTENSIONLESS_FORMAT_JAVASCRIPT", 0},
	{"EXTENSIONLESS_FORMAT_WASM", 1},
	ROW(S_IFMT),
	ROW(S_IFREG),
	ROW(S_IFDIR),
	ROW(S_IFCHR),
	ROW(S_IFBLK),
	ROW(S_IFIFO),
	ROW(S_IFLNK),
	ROW(S_IFSOCK),
	ROW(O_CREAT),
	ROW(O_EXCL),
	ROW(UV_FS_O_FILEMAP),
	ROW(O_NOCTTY),
	ROW(O_TRUNC),
	ROW(O_APPEND),
	ROW(O_DIRECTORY),
	ROW(O_NOATIME),
	ROW(O_NOFOLLOW),
	ROW(O_SYNC),
	ROW(O_DSYNC),
	ROW(O_DIRECT),
	ROW(O_NONBLOCK),
	ROW(S_IRWXU),
	ROW(S_IRUSR),
	ROW(S_IWUSR),
	ROW(S_IXUSR),
	ROW(S_IRWXG),
	ROW(S_IRGRP),
	ROW(S_IWGRP),
	ROW(S_IXGRP),
	ROW(S_IRWXO),
	ROW(S_IROTH),
	ROW(S_IWOTH),
	ROW(S_IXOTH),
	ROW(F_OK),
	ROW(R_OK),
	ROW(W_OK),
	ROW(X_OK),
	ROW(UV_FS_COPYFILE_EXCL),
	{"COPYFILE_EXCL", UV_FS_COPYFILE_EXCL},
	ROW(UV_FS_COPYFILE_FICLONE),
	{"COPYFILE_FICLONE", UV_FS_COPYFILE_FICLONE},
	ROW(UV_FS_COPYFILE_FICLONE_FORCE),
	{"COPYFILE_FICLONE_FORCE", UV_FS_COPYFILE_FICLONE_FORCE},
};

engine_value *fs_constants(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *list = engine_array(engine, NULL, 0);
	for (uint32_t i = 0; i < ARRAY_LENGTH(constants); i++) {
		engine_value *pair[] = {
			engine_string(engine, constants[i].name),
			engine_int32(engine, constants[i].value),
		};
		engine_set_index(engine, list, i, engine_array(engine, pair, 2));
	}
	return list;
}
