/* Any bytes as an archive: whatever comes out must be a tree that the store takes,
 * unless the archive was refused, and nothing may appear beside it. The names are
 * checked on what is really on the disk (tree_hash refuses links, devices and bad names). */
#include "deploy/tree.h"
#include "deploy/unpack_private.h"

#include "common/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int outer = -1; /* holds the staging folder, and must hold nothing else */

static char path[] = "/dev/shm/archive_fuzz.XXXXXX";

static void tear_down(void)
{
	rmdir(path);
}

static void set_up(void)
{
	unpack_locale();
	if (!mkdtemp(path))
		abort();
	outer = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	umask(0);
	if (outer < 0 || atexit(tear_down) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpack_report report = {0};
	struct error error = {0};
	char id[STORE_ID_SIZE];
	if (outer < 0)
		set_up();
	int archive = memfd_create("archive", MFD_CLOEXEC);
	if (archive < 0 || file_write_all(archive, data, size) < 0 ||
		mkdirat(outer, "staging", 0700) < 0)
		abort();
	int staging = openat(outer, "staging", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = unpack_extract(archive, staging, &report, &error);
	if (result < 0 && (error.code != -result || error.message[0] == '\0'))
		abort(); /* an error without a reason */
	/* Also what a refused archive has left must be harmless. */
	int hashed = tree_hash(staging, id, &error);
	if (hashed < 0 && strcmp(error.message, "the release holds no file") != 0) {
		fprintf(stderr, "%s\n", error.message);
		abort();
	}
	if (result == 0 && hashed < 0)
		abort();
	close(staging);
	close(archive);
	if (tree_remove(outer, "staging") < 0)
		abort();
	return 0;
}
