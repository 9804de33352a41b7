/* What a store is, for the parts of the deploy folder. */
#pragma once

struct store {
	int state, releases, staging, objects; /* folders */
	int lock;
};
