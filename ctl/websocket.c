#include "ctl/websocket.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define MASK_BYTES 4
#define CONTROL_MAX 125 /* bytes of a control frame (section 5.5) */

void websocket_accept(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE])
{
	char text[128];
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	snprintf(text, sizeof text, "%.64s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	EVP_Digest(text, strlen(text), hash, &length, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)ret, hash, (int)length);
}

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
	uint64_t value = 0;
	for (size_t i = 0; i < count; i++)
		value = value << 8 | bytes[i];
	return value;
}

static bool is_legal(uint8_t first, uint8_t second, uint64_t length)
{
	const unsigned opcode = first & 15;
	const bool control = opcode >= WEBSOCKET_CLOSE;
	if ((first & 0x70) || !(second & 0x80)) /* extensions; not masked */
		return false;
	if (opcode > WEBSOCKET_PONG || (opcode > WEBSOCKET_BINARY && !control))
		return false;
	return !control || ((first & 0x80) && length <= CONTROL_MAX);
}

ssize_t websocket_parse(char *data, size_t length, size_t most, struct websocket_frame *ret)
{
	const uint8_t *head = (const uint8_t *)data;
	if (length < 2)
		return 0;
	const size_t more = (head[1] & 127) == 126 ? 2 : (head[1] & 127) == 127 ? 8 : 0;
	const size_t head_length = 2 + more + MASK_BYTES;
	if (length < 2 + more)
		return 0;
	const uint64_t payload = more ? big_endian(head + 2, more) : head[1] & 127;
	if (!is_legal(head[0], head[1], payload))
		return -EBADMSG;
	if (payload > most)
		return -EMSGSIZE;
	if (length < head_length + payload)
		return 0;
	const uint8_t *mask = head + 2 + more;
	char *start = data + head_length;
	for (size_t i = 0; i < payload; i++)
		start[i] = (char)((uint8_t)start[i] ^ mask[i % MASK_BYTES]);
	*ret = (struct websocket_frame){
		.final = head[0] & 0x80,
		.opcode = head[0] & 15,
		.payload = start,
		.length = payload,
	};
	return (ssize_t)(head_length + payload);
}

size_t websocket_head(
	uint8_t head[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode, uint64_t length)
{
	const size_t more = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
	head[0] = (uint8_t)(0x80 | opcode);
	head[1] = more == 0 ? (uint8_t)length : more == 2 ? 126 : 127;
	for (size_t i = 0; i < more; i++)
		head[2 + i] = (uint8_t)(length >> 8 * (more - 1 - i));
	return 2 + more;
}
