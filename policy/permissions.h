/* The object "permissions", which stands in a policy and in a tenant.json. */
#pragma once

#include "policy/fields.h"

/* Reads FIELD into POLICY. */
void permissions_read(struct document *document, struct field field, struct policy *policy);

/* net.ingress: a struct policy_sites. */
field_reader sites_read;
json_t *sites_print(const struct policy_sites *sites);

/* As canonical JSON, every key present. NULL when out of memory. */
json_t *permissions_print(const struct policy *policy);
