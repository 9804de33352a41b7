/* What a store is, for the parts of the deploy folder. */
#pragma once

struct store {
	int state, releases, staging; /* folders */
	int lock;
};
