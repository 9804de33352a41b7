/* Makes one ES module of a release's entry and all that it imports: TypeScript, JSX,
 * CommonJS and npm packages, by esbuild (a program of its own, found in PATH), with a source
 * map beside it, so that stacks show the sources. Runs on the client's side, as the client,
 * and none of the release's code runs in it.
 *
 * The bundle lies where the entry does, under its name with .js: src/main.ts becomes
 * src/main.js, so that import.meta.url still leads to files beside it. The sources that went
 * into it are left out of the release, and node_modules is. */
#pragma once

#include "common/error.h"
#include "deploy/archive.h"

enum bundle_when {
	BUNDLE_AUTO, /* where the entry is no .js or .mjs, or package.json has dependencies */
	BUNDLE_ALWAYS,
	BUNDLE_NEVER,
};

/* Bundles PATH, a file or a folder as archive_make takes it. *RET_OVERLAY is what to give to
 * archive_make, NULL where WHEN says that PATH is to be taken as it is; the caller's, for
 * archive_overlay_free. -EINVAL with esbuild's messages, which name file, line and column;
 * -ENOENT when there is no esbuild. */
int bundle_make(const char *path, enum bundle_when when, struct archive_overlay **ret_overlay,
	struct error *error);
