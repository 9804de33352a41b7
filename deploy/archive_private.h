/* The parts of making an archive. */
#pragma once

#include "common/error.h"
#include "deploy/archive.h"
#include "deploy/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive_item {
	char *path; /* in the release */
	bool folder;
	uint64_t size;
	char *content; /* NULL, or instead of a file on the disk */
};

/* What will be in the archive. */
struct archive_list {
	const char *shown;                     /* the user's name for it, escaped */
	int root;                              /* the folder */
	const struct archive_overlay *overlay; /* NULL: none */
	struct archive_item *items;
	size_t count, room;
	uint64_t bytes;
	char entry[DEPLOY_PATH_MAX];
};

/* Takes PATH (copied) into the list. CONTENT (taken over, also on failure) is NULL for
 * what is on the disk. */
int archive_list_add(struct archive_list *list, const char *path, bool folder, uint64_t size,
	char *content, struct error *error);
const struct archive_item *archive_list_find(const struct archive_list *list, const char *path);

/* Finds the release's entry, and adds a tenant.json that names it if there is none. */
int archive_find_entry(struct archive_list *list, struct error *error);
/* Makes ENTRY the entry, with a tenant.json that says so. */
int archive_set_entry(struct archive_list *list, const char *entry, struct error *error);
/* Can PATH be the module that a release starts with? SHOWN is its
 * name in messages, already escaped. */
int archive_check_entry_type(const char *path, const char *shown, struct error *error);
