/* Any bytes as a START message: a worker reads it before it is sealed. What is
 * accepted encodes to the same bytes, so that no byte of it is without a meaning. */
#include "common/message.h"
#include "common/protocol.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static size_t total_length(const char *const *list, size_t count)
{
	size_t total = 0;
	for (size_t i = 0; i < count; i++)
		total += strlen(list[i]);
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct worker_start start;
	static uint8_t encoded[MESSAGE_LENGTH_MAX];
	struct error error = {0};
	if (size > MESSAGE_LENGTH_MAX)
		return 0;
	/* A copy on the heap, so that the sanitizer sees a read behind its end. */
	uint8_t *message = malloc(size ? size : 1);
	require(message != NULL);
	memcpy(message, data, size);
	message_report_text(message, size);
	if (worker_start_decode(message, size, &start, &error) < 0) {
		require(error.code != 0 && error.message[0] != '\0');
		free(message);
		return 0;
	}
	require(strlen(start.tenant) + strlen(start.entry) +
			total_length(start.environment, start.environment_count) +
			total_length(start.arguments, start.argument_count) +
			total_length(start.listeners, start.listener_count) <
		size);
	struct message_header header;
	memcpy(&header, message, sizeof header);
	require(worker_start_encode(&start, header.instance, encoded, sizeof encoded) ==
		(ssize_t)size);
	require(memcmp(encoded, message, size) == 0);
	free(message);
	return 0;
}
