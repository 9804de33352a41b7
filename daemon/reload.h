/* SIGHUP: all policies and certificates are read again. It is over, and the service manager told
 * so (`systemctl reload` waits for that), when each tenant runs under its new policy, or has been
 * found not to, and connections to shared ports go by it. */
#pragma once

struct supervisor;
struct reload;

/* How long that is waited for; what is under way then goes on. Less than TimeoutStartSec of
 * deploy/systemd, which bounds a reload, too. */
#define RELOAD_WAIT_MS (60 * 1000)

/* What is wrong with one policy leaves that tenant as it is. While another reload is under way,
 * both are over together. */
void reload_begin(struct supervisor *supervisor);
/* After the last tenant. Takes NULL; returns NULL. */
struct reload *reload_free(struct reload *reload);
