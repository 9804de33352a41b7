/* Encoding of message bodies: integers in the machine's order (both ends are one
 * machine), strings and lists with a length before them. Every read is checked;
 * after the first failure all further calls fail too, so that a caller may check
 * once, at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_writer {
	unsigned char *data;
	size_t size;
	size_t length;
	bool failed; /* the buffer was too small */
};

struct wire_reader {
	const unsigned char *data;
	size_t length;
	size_t position;
	bool failed; /* the message was too short, or a string not as promised */
};

void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
/* NULL is written like "". */
void wire_put_string(struct wire_writer *writer, const char *string);

uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
/* Returns a pointer into the message, NUL-terminated; "" after a failure. A string
 * with a NUL inside, or longer than MOST bytes, fails. */
const char *wire_get_string(struct wire_reader *reader, size_t most);
/* True when nothing failed and nothing is left over. */
bool wire_get_end(const struct wire_reader *reader);
