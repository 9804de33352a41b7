/* Programs that a tenant's worker runs (child.exec): each is a job of its own, an instance
 * that shares the worker's ids, grants and control group and dies with it. */
#pragma once

#include "common/error.h"
#include "daemon/instance.h"

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/* What the worker INSTANCE, started with SPEC, may run: NULL when that is nothing. */
int children_new(struct instance *instance, const struct instance_spec *spec,
	struct children **ret_children, struct error *error);
/* Kills all that still run. No message is sent any more. Takes NULL; returns NULL. */
struct children *children_free(struct children *children);

/* CHILD_START and CHILD_SIGNAL (LENGTH bytes, checked by the table of daemon/instance.c).
 * False when no worker would say that. */
bool children_start(struct instance *instance, const void *message, size_t length);
bool children_signal(struct instance *instance, const void *message);
/* The worker gives up SCOPE ("child", "fs", "fs.read", "fs.write", "net"), of RESOURCE or ("")
 * altogether: programs that start from now on have not got it either. Those that run keep the
 * files with which they were started, and lose the network. Takes NULL. */
int children_drop(struct children *children, const char *scope, const char *resource);

/* Does one run, or wait for its turn? Takes NULL. */
bool children_busy(const struct children *children);
/* For a daemon that takes over, while none runs: what the worker may still run. null for NULL. */
json_t *children_pack(const struct children *children);
/* Into what children_new has made. Takes NULL. */
int children_restore(struct children *children, const json_t *packed, struct error *error);
