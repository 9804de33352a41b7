/* Where the values of a JSON text stand. jansson keeps no places, so a second pass
 * over the same text notes them: one place for each value, in the order of the text,
 * which is also the order in which jansson iterates over a parsed object or array. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACES_DEPTH_MAX 32
#define PLACES_NO_KEY UINT32_MAX

struct place {
	uint32_t parent; /* its own index for the root */
	uint32_t next;   /* index of what follows the value and all inside it */
	uint32_t key;    /* offset of the quote that opens its key, or PLACES_NO_KEY */
	uint32_t value;  /* offset of its first byte */
};

struct places {
	const char *text; /* borrowed */
	size_t length;
	struct place *items;
	uint32_t count;
};

struct places_error {
	size_t offset;
	const char *message; /* static */
	bool out_of_memory;
};

/* Reads TEXT, whatever it holds (LENGTH below 2 GiB). Returns 0, or -EINVAL with what
 * is wrong at which byte: bad JSON, or nested deeper than PLACES_DEPTH_MAX; -ENOMEM.
 * Its strings are not checked for UTF-8 and surrogates, nor its keys for duplicates:
 * that is jansson's part. RET is to be cleared in every case. */
int places_read(const char *text, size_t length, struct places *ret, struct places_error *error);
void places_clear(struct places *places);

/* The first place inside PLACE, and the one after PLACE beside it; 0 for none. */
uint32_t places_child(const struct places *places, uint32_t place);
uint32_t places_sibling(const struct places *places, uint32_t place);

/* The last place whose key or value begins at or before OFFSET. */
uint32_t places_at(const struct places *places, size_t offset);

/* The JSON pointer (RFC 6901) of PLACE, escaped for a line of text; "" for the root. Cut
 * where TEXT is full. Returns its length. */
size_t places_pointer(const struct places *places, uint32_t place, char *text, size_t size);

/* Line and column of a byte, from 1; the column counts characters, not bytes. */
void places_line_column(
	const char *text, size_t length, size_t offset, size_t *ret_line, size_t *ret_column);
