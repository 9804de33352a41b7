#include "common/tier.h"

#include "common/cleanup.h"

#include <string.h>

static const char *const names[] = {
	[TIER_NONE] = "",
	[TIER_SINGLE] = "single",
	[TIER_CONTAINER] = "container",
	[TIER_FULL] = "full",
};

const char *tier_name(enum tier tier)
{
	return (unsigned)tier < ARRAY_LENGTH(names) ? names[tier] : "";
}

int tier_find(const char *name)
{
	for (int i = TIER_SINGLE; i < (int)ARRAY_LENGTH(names); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}
