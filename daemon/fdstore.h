/* Listening sockets outlive the daemon. The service manager keeps a copy of each one (FDSTORE,
 * see sd_pid_notify_with_fds(3)) and passes all of them to the next daemon, also after kill -9:
 * while it starts, clients wait in the kernel's queue, and none is refused.
 *
 * Sockets of socket units (systemd.socket(5)) come the same way. Those stay the unit's: they
 * are lent, and never go into the store.
 *
 * Without a service manager that keeps descriptors ($FDSTORE, systemd 254) nothing is kept; what
 * was passed is used all the same. */
#pragma once

#include "common/error.h"

#include <stdbool.h>

#include <jansson.h>
#include <sys/socket.h>

/* Takes what was passed ($LISTEN_FDS), and the variables out of the environment. Once, before
 * anything else is started. */
int fdstore_open(struct error *error);

/* One that listens on ADDRESS and was passed: the caller's own from now on. LENT says that a
 * socket unit has it. -ENOENT when there is none. A unix socket counts only while its path
 * leads to it. */
int fdstore_take(const struct sockaddr_storage *address, socklen_t length, bool *ret_lent);
/* The next one that a socket unit names NAME (FileDescriptorName=); as fdstore_take. */
int fdstore_take_named(const char *name);

/* The service manager gets a copy of FD, which is bound and listens. */
void fdstore_keep(int fd);
/* It lets go of it: call before FD is closed for good. Nothing after fdstore_freeze. */
void fdstore_forget(int fd);
/* The daemon ends, but its sockets may be wanted by the next one. */
void fdstore_freeze(void);
/* It was frozen, and somebody keeps the sockets: their paths must stay, too. */
bool fdstore_outlives(void);
/* Everybody has what they want: the store lets go of the rest, and what socket units lend in
 * vain is reported. */
void fdstore_sweep(void);

/* For a daemon that takes over in this process (daemon/reexec.h): what was passed and is still
 * here. And back, with PORTS, which are taken by their address as if they had been passed. */
struct takeover;
json_t *fdstore_pack(struct takeover *takeover);
int fdstore_restore(
	const json_t *packed, const json_t *ports, struct takeover *takeover, struct error *error);
