/* What `deploy` and `run` send: a release, bundled where it has to be. */
#pragma once

#include "common/error.h"
#include "ctl/command.h"
#include "deploy/archive.h"

/* Bundles PATH as --bundle says, and archives it: see deploy/bundle.h, deploy/archive.h. */
int pack_release(const struct invocation *invocation, const char *path,
	struct archive_made *ret_made, struct error *error);
