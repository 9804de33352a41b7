/* What a store is, for the parts of the deploy folder. */
#pragma once

struct store {
	int state, releases, staging, objects, signatures; /* folders */
	int lock;
};

/* Removes the signatures of releases that are not there. */
void store_signatures_sweep(struct store *store);
