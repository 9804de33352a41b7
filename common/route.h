/* Which addresses are this host's own: asked of the kernel's routing table, for each anew,
 * since a host gets and loses addresses while we run. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A socket to ask by (rtnetlink(7)), of the network namespace that we are in. It needs no
 * privilege, and gives none. */
int route_open(struct error *error);

/* Would a packet to ADDRESS (4 bytes of AF_INET, 16 of AF_INET6, which may be a mapped IPv4
 * address) stay on this host? Whatever interface or table the address is of. True also
 * when the kernel does not answer, so that whoever refuses such addresses errs to the safe
 * side. Does not wait. */
bool route_is_own(int route_fd, int family, const uint8_t address[16]);
