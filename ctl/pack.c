#include "ctl/pack.h"

#include "common/cleanup.h"
#include "deploy/bundle.h"

#include <errno.h>
#include <string.h>

static int read_when(
	const struct invocation *invocation, enum bundle_when *ret, struct error *error)
{
	static const char *const names[] = {
		[BUNDLE_AUTO] = "auto", [BUNDLE_ALWAYS] = "always", [BUNDLE_NEVER] = "never"};
	const char *wanted = invocation->options[OPTION_BUNDLE];
	*ret = BUNDLE_AUTO;
	if (!wanted)
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		if (strcmp(wanted, names[i]) == 0) {
			*ret = (enum bundle_when)i;
			return 0;
		}
	}
	return error_set(error, EINVAL, "--bundle is auto, always or never");
}

int pack_release(const struct invocation *invocation, const char *path,
	struct archive_made *ret_made, struct error *error)
{
	struct archive_overlay *overlay = NULL;
	enum bundle_when when;
	int result = read_when(invocation, &when, error);
	if (result == 0)
		result = bundle_make(path, when, &overlay, error);
	if (result == 0)
		result = archive_make(path, overlay, ret_made, error);
	archive_overlay_free(overlay);
	return result;
}
