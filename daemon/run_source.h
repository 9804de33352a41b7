/* The program of `tenantd run`: a folder is used where it lies; of a single file, which must
 * not bring along whatever lies beside it, a copy is made in a folder of its own, in memory
 * where that can be. The copy goes with run_source_close; what a killed daemon left is
 * removed by the next one of the same user. */
#pragma once

#include "common/error.h"

#define RUN_SOURCE_PATH_SIZE 96

struct run_source {
	int folder;                      /* descriptor */
	const char *entry;               /* NULL: what tenant.json says, or main.js, … */
	char name[256];                  /* of the file */
	char copy[RUN_SOURCE_PATH_SIZE]; /* path of the folder that was made; "" when none was */
	int lock; /* of the folder around that, to be held as long; -1 when none was */
};

/* -ENOENT when there is nothing at PATH; -EINVAL when it is neither folder nor file. */
int run_source_open(const char *path, struct run_source *ret, struct error *error);
/* The descriptor is the caller's to close. */
void run_source_close(struct run_source *source);
