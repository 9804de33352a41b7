/* What a fork of the zygote costs is pages: their tables are copied by fork, and each page
 * that a worker then touches first is a fault. These functions move both out of the way of
 * a start. All are optional: a host that lacks what they need has slower starts. */
#pragma once

#include "common/error.h"

/* Puts the engine's machine code on huge pages (transparent ones, Linux's THP), so that a
 * fork copies a few entries for it and a worker has no faults on it; and lets forks inherit
 * the page tables of other libraries' code, which the kernel otherwise leaves to be faulted
 * in. Once, in the zygote, when everything is loaded and warm; needs /proc. */
int fork_pages_share_code(struct error *error);

/* Takes every free piece inside the C library's heap and keeps it, so that what workers
 * allocate lies together at the heap's end, and not in holes all over pages that they
 * would otherwise share. The pieces are lost: a few hundred kilobytes, once. */
void fork_pages_fill_holes(void);

/* Finds out which pages a worker writes before it serves: REHEARSE runs in a child of
 * fork(2) that then looks which pages became its own. Needs /proc. */
int fork_pages_learn(void (*rehearse)(void), struct error *error);

/* In a worker: makes the pages that were learned its own, all at once. */
void fork_pages_take(void);

/* In a worker that has started: gives back what only the start used, of the stack below
 * the caller and at the end of the C library's heap. */
void fork_pages_give_back(void);
