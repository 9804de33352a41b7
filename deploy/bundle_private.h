/* What the two ways to make JavaScript of a release's sources share: bundle.c, transform.c. */
#pragma once

#include "deploy/bundle.h"

#include <jansson.h>
#include <limits.h>

/* What is to be bundled. */
struct source {
	const char *shown;     /* the user's name for it, escaped */
	char folder[PATH_MAX]; /* real */
	int fd;                /* of the folder */
	bool is_file;          /* the entry alone was named */
	char entry[DEPLOY_PATH_MAX];
	json_t *manifest; /* tenant.json; NULL: there is none */
	bool has_packages;
};

bool bundle_ends_with(const char *text, const char *end);
/* Takes CONTENT, also on failure. */
int bundle_add(struct archive_overlay *overlay, const char *path, char *content, size_t size,
	struct error *error);
/* tenant.json, which names the overlay's entry. */
int bundle_add_manifest(
	struct archive_overlay *overlay, const struct source *source, struct error *error);
/* Sorts, and lets what was made win over what is left out. */
void bundle_sort(struct archive_overlay *overlay);

/* Each file of SOURCE that is TypeScript or has JSX, outside of node_modules, turned into
 * JavaScript under its own name. *RET_OVERLAY is NULL where there is no such file. */
int transform_make(
	struct source *source, struct archive_overlay **ret_overlay, struct error *error);
