/* A worker gives up a permission (process.permission.drop). */
#pragma once

#include "daemon/grants.h"
#include "daemon/instance.h"

#include <stdbool.h>
#include <stddef.h>

/* Keeps in mind what files the instance has, for the day it gives some of them up. */
int drop_remember(struct instance *instance, const struct grants *grants, struct error *error);
void drop_forget(struct instance *instance);

/* DROP (LENGTH bytes, checked by the table of daemon/instance.c): takes it away, and
 * answers DROPPED. False when no worker would say that. */
bool instance_drop(struct instance *instance, const void *message, size_t length);
