/* Ports that tenants share (net.ingress) and that a socket unit has: those that it names http
 * and https (FileDescriptorName=) are used as if --http and --https named their addresses. */
#pragma once

#include "daemon/ingress.h"

/* Adds them to PORTS, which has *COUNT of MOST. One that an option names, too, is there once. The
 * addresses and descriptors that it adds stay for the daemon's whole life. */
int shared_ports_add(struct ingress_port *ports, size_t *count, size_t most, struct error *error);
