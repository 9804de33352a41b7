/* Canonical JSON. */
#pragma once

#include <jansson.h>
#include <stdint.h>

/* ROOT, which it takes over (NULL: out of memory before), as indented text with a
 * newline at the end. NULL when out of memory. */
char *print_json(json_t *root);

/* A new string for a duration, and for a size. */
json_t *print_duration(uint64_t ms);
json_t *print_size(uint64_t bytes);
