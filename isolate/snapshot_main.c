/* tenant-snapshot SCRIPT OUTPUT: runs the JavaScript library in a new isolate and
 * writes its startup snapshot. Part of the build. */

#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "isolate/natives.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
	struct error error = {0};
	cleanup_free char *source = NULL;
	cleanup_free void *snapshot = NULL;
	size_t length, snapshot_length;

	log_init("tenant-snapshot");
	if (argc != 3) {
		fprintf(stderr, "usage: tenant-snapshot SCRIPT OUTPUT\n");
		return 2;
	}
	if (file_read(AT_FDCWD, argv[1], 64u << 20, &source, &length, &error) < 0 ||
		engine_process_init(&(struct engine_flags){0}, &error) < 0 ||
		engine_snapshot_build(natives_tables(), source, length, ENGINE_LIBRARY_NAME,
			&snapshot, &snapshot_length, &error) < 0 ||
		file_write_atomic(AT_FDCWD, argv[2], snapshot, snapshot_length, 0644, &error) < 0) {
		log_error("%s", error.message);
		return 1;
	}
	return 0;
}
