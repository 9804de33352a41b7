/* Any bytes as a START message, which a worker reads before it is sealed, and as a
 * CHILD_START, which the supervisor reads from a worker that may be anybody's by then.
 * What is accepted encodes to the same bytes, so that no byte of it is without a meaning. */
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

static size_t total_grants(const struct worker_start *start)
{
	size_t total = 0;
	for (size_t i = 0; i < start->grant_count; i++)
		total += strlen(start->grants[i].path);
	return total;
}

static void require_same(
	const uint8_t *message, size_t size, const uint8_t *encoded, ssize_t length)
{
	require(length == (ssize_t)size);
	require(memcmp(encoded, message, size) == 0);
}

static uint32_t instance_of(const uint8_t *message)
{
	struct message_header header;
	memcpy(&header, message, sizeof header);
	return header.instance;
}

static uint8_t encoded[MESSAGE_LENGTH_MAX];

static void try_start(const uint8_t *message, size_t size)
{
	static struct worker_start start;
	struct error error = {0};
	if (worker_start_decode(message, size, &start, &error) < 0) {
		require(error.code != 0 && error.message[0] != '\0');
		return;
	}
	require(strlen(start.tenant) + strlen(start.entry) + strlen(start.root) +
			strlen(start.folder) +
			total_length(start.environment, start.environment_count) +
			total_length(start.arguments, start.argument_count) +
			total_length(start.listeners, start.listener_count) +
			total_length(start.listener_names, start.listener_count) +
			total_grants(&start) + total_length(start.connect, start.connect_count) +
			total_length(start.deny, start.deny_count) +
			total_length(start.exec, start.exec_count) +
			total_length(start.secrets, start.secret_count) <
		size);
	require_same(message, size, encoded,
		worker_start_encode(&start, instance_of(message), encoded, sizeof encoded));
}

static void try_child(const uint8_t *message, size_t size)
{
	static struct worker_child child;
	struct error error = {0};
	if (worker_child_decode(message, size, &child, &error) < 0) {
		require(error.code != 0 && error.message[0] != '\0');
		return;
	}
	require(strlen(child.path) + strlen(child.folder) +
			total_length(child.arguments, child.argument_count) +
			total_length(child.environment, child.environment_count) <
		size);
	require_same(message, size, encoded,
		worker_child_encode(&child, instance_of(message), encoded, sizeof encoded));
}

static void try_certificates(const uint8_t *message, size_t size)
{
	static struct worker_certificate list[CERTIFICATES_MAX];
	struct error error = {0};
	const ssize_t count = worker_certificates_decode(message, size, list, &error);
	if (count < 0) {
		require(error.code != 0 && error.message[0] != '\0');
		return;
	}
	require_same(message, size, encoded,
		worker_certificates_encode(list, (size_t)count, encoded, sizeof encoded));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MESSAGE_LENGTH_MAX)
		return 0;
	/* A copy on the heap, so that the sanitizer sees a read behind its end. */
	uint8_t *message = malloc(size ? size : 1);
	require(message != NULL);
	memcpy(message, data, size);
	message_report_text(message, size);
	try_start(message, size);
	try_child(message, size);
	try_certificates(message, size);
	free(message);
	return 0;
}
