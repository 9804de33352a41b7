/* Who asks: what the kernel says of the process at the other end of the control socket. It
 * was root or the daemon's own user when it connected, or it would not have been answered;
 * this is for the records, and decides nothing. */
#pragma once

#include "common/error.h"

#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#define WHO_NAME_MAX 64
#define WHO_TEXT_MAX 320

struct who {
	uint32_t uid;
	pid_t pid;                /* 0: tenantd itself */
	char user[WHO_NAME_MAX];  /* of /etc/passwd; "" for one that is not there */
	char login[WHO_NAME_MAX]; /* who logged in, before sudo or su; "": not known, or the same */
	char command[WHO_NAME_MAX]; /* the program's name; what it calls itself, and no more */
};

/* tenantd itself. */
extern const struct who who_daemon;

/* The peer of the unix socket FD (SO_PEERCRED, SO_PEERPIDFD). */
void who_of_socket(int fd, struct who *ret_who);
/* A process that sent a signal. */
void who_of_process(pid_t pid, uint32_t uid, struct who *ret_who);

/* {"uid", "user", "login", "pid", "command"}; null for tenantd itself. */
json_t *who_describe(const struct who *who);
/* "alice (uid 1000, pid 812, tenantctl)" */
const char *who_text(const struct who *who, char text[WHO_TEXT_MAX]);
