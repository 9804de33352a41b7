/* What the daemon must know after a restart, in one file of the state folder: which
 * tenants exist, what release each is on, whether it should run, the ports that were
 * chosen for it and its user ids. Written as a whole and durably (common/file.h), so
 * that kill -9 at any moment leaves the old or the new file, never half of one. */
#pragma once

#include "common/control.h"
#include "common/error.h"
#include "daemon/listeners.h"
#include "daemon/policy_change.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_FILE "state.json"
#define STATE_TENANTS_MAX 4096
#define STATE_RELEASE_MAX 128

struct state_tenant {
	char name[CONTROL_NAME_MAX + 1];
	char release[STATE_RELEASE_MAX]; /* "" before the first deploy */
	bool running;                    /* what the operator wants */
	uint32_t uid_slot;               /* which range of user ids is its own */
	/* What is to be done to its policy file before RELEASE may run: daemon/policy_change.h. ""
	 * (and not in the file): nothing. */
	char policy_change[POLICY_CHANGE_SIZE];
	/* Chosen for it, and its own: state_set_ports. As few as there are, not as many as there
	 * could be: most tenants have none. */
	struct listener_port *ports;
	size_t port_count;
};

struct state {
	struct state_tenant *tenants;
	size_t count;
};

/* Reads the file below FOLDER_FD. No file is an empty state; a file that makes no sense
 * is -EINVAL with its line and column: the daemon must not guess what should run. */
int state_read(int folder_fd, struct state *ret_state, struct error *error);
void state_clear(struct state *state);

/* TENANT has copies of these instead of what it has. -ENOMEM, and then it has what it had. */
int state_set_ports(struct state_tenant *tenant, const struct listener_port *ports, size_t count);

/* Replaces the file. TENANTS are COUNT pointers. */
int state_write(int folder_fd, const struct state_tenant *const *tenants, size_t count,
	struct error *error);
