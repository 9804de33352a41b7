/* Who a process is and what that allows: ids, capabilities, securebits (capabilities(7),
 * credentials(7)). One function for each step; what is said to have happened is verified. */
#pragma once

#include "common/error.h"

#include <stdint.h>

/* All three user and group ids, and no supplementary groups. */
int identity_become_namespace_root(struct error *error);
/* The same as ID, which must not be 0. */
int identity_become(uint32_t id, struct error *error);
/* For who cannot become anybody: all three user ids are ID already, which must not be 0. */
int identity_is(uint32_t id, struct error *error);
/* Wants CAP_SETPCAP, as the next one. */
int identity_drop_bounding(struct error *error);
/* Ids mean nothing for capabilities any more: drop those after becoming another. */
int identity_lock_securebits(struct error *error);
/* Effective, permitted, inheritable, ambient. */
int identity_drop_capabilities(struct error *error);
/* A change of ids undoes it: call it after. */
int identity_not_dumpable(struct error *error);
int identity_no_new_privileges(struct error *error);
