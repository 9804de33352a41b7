#include "common/wire.h"

#include <string.h>

static void put(struct wire_writer *writer, const void *data, size_t length)
{
	if (writer->failed || writer->size - writer->length < length) {
		writer->failed = true;
		return;
	}
	memcpy(writer->data + writer->length, data, length);
	writer->length += length;
}

static const void *get(struct wire_reader *reader, size_t length)
{
	if (reader->failed || reader->length - reader->position < length) {
		reader->failed = true;
		return NULL;
	}
	const void *data = reader->data + reader->position;
	reader->position += length;
	return data;
}

void wire_put_u32(struct wire_writer *writer, uint32_t value)
{
	put(writer, &value, sizeof value);
}

void wire_put_u64(struct wire_writer *writer, uint64_t value)
{
	put(writer, &value, sizeof value);
}

void wire_put_string(struct wire_writer *writer, const char *string)
{
	size_t length = string ? strlen(string) : 0;
	if (length >= UINT32_MAX) {
		writer->failed = true;
		return;
	}
	wire_put_u32(writer, (uint32_t)length);
	put(writer, string ? string : "", length + 1);
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
	uint32_t value = 0;
	const void *data = get(reader, sizeof value);
	if (data)
		memcpy(&value, data, sizeof value);
	return value;
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
	uint64_t value = 0;
	const void *data = get(reader, sizeof value);
	if (data)
		memcpy(&value, data, sizeof value);
	return value;
}

const char *wire_get_string(struct wire_reader *reader, size_t most)
{
	size_t length = wire_get_u32(reader);
	if (length > most)
		reader->failed = true;
	const char *string = reader->failed ? NULL : get(reader, length + 1);
	if (string && (string[length] != '\0' || memchr(string, '\0', length)))
		reader->failed = true;
	return reader->failed ? "" : string;
}

bool wire_get_end(const struct wire_reader *reader)
{
	return !reader->failed && reader->position == reader->length;
}
