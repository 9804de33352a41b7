/* What the WebSocket of isolate/js/websocket has of C: bytes that are masked, and the proof that
 * a server has read the handshake (RFC 6455). */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <stdint.h>
#include <string.h>

/* ---- SHA-1 (FIPS 180-4) ----
 *
 * Of public bytes, for a proof that needs no strength: OpenSSL, which costs a worker a megabyte
 * when it is first used, is not needed for it. */

static uint32_t rotate(uint32_t value, unsigned count)
{
	return value << count | value >> (32 - count);
}

static void sha1_block(uint32_t state[5], const unsigned char block[64])
{
	uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	for (size_t i = 0; i < 16; i++)
		words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
			   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (size_t i = 16; i < 80; i++)
		words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
	for (size_t i = 0; i < 80; i++) {
		uint32_t mixed, constant;
		if (i < 20) {
			mixed = (b & c) | (~b & d);
			constant = 0x5A827999;
		} else if (i < 40) {
			mixed = b ^ c ^ d;
			constant = 0x6ED9EBA1;
		} else if (i < 60) {
			mixed = (b & c) | (b & d) | (c & d);
			constant = 0x8F1BBCDC;
		} else {
			mixed = b ^ c ^ d;
			constant = 0xCA62C1D6;
		}
		const uint32_t next = rotate(a, 5) + mixed + e + constant + words[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

/* Of less than 119 bytes, two blocks. */
static void sha1(const char *data, size_t length, unsigned char digest[20])
{
	uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
	unsigned char blocks[128] = {0};
	const size_t size = length + 9 <= 64 ? 64 : 128;
	memcpy(blocks, data, length);
	blocks[length] = 0x80;
	blocks[size - 2] = (unsigned char)(length * 8 >> 8);
	blocks[size - 1] = (unsigned char)(length * 8);
	for (size_t at = 0; at < size; at += 64)
		sha1_block(state, blocks + at);
	for (size_t i = 0; i < 20; i++)
		digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- the natives ---- */

#define KEY_LENGTH 24

/* websocketAccept(key): what Sec-WebSocket-Accept is the base64 of, a character for each byte;
 * undefined when KEY is no Sec-WebSocket-Key. */
static engine_value *accept_key(struct engine *engine, struct engine_call *call)
{
	static const char secret[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_LENGTH + sizeof secret - 1];
	unsigned char digest[20];
	engine_value *key = engine_call_argument(engine, call, 0);
	if (engine_typeof(key) != ENGINE_STRING || engine_string_length(key) != KEY_LENGTH)
		return NULL;
	engine_string_write_latin1(engine, key, text, KEY_LENGTH);
	memcpy(text + KEY_LENGTH, secret, sizeof secret - 1);
	sha1(text, sizeof text, digest);
	return engine_string_latin1(engine, (const char *)digest, sizeof digest);
}

/* websocketMask(bytes, offset, length, key, phase): masks LENGTH bytes from OFFSET on in their
 * place, with the four bytes of KEY from PHASE on; what lies outside is left alone. */
static engine_value *mask(struct engine *engine, struct engine_call *call)
{
	void *bytes, *key_bytes;
	size_t size, key_size;
	const double offset = engine_argument_number(call, 1);
	const double count = engine_argument_number(call, 2);
	const unsigned phase = (unsigned)engine_argument_int32(call, 4);
	unsigned char key[8];
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &bytes, &size) ||
		!engine_bytes_get(engine_call_argument(engine, call, 3), &key_bytes, &key_size) ||
		key_size < 4 || !(offset >= 0) || !(count >= 0) || offset + count > (double)size)
		return NULL;
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = ((unsigned char *)key_bytes)[(phase + i) % 4];
	unsigned char *at = (unsigned char *)bytes + (size_t)offset;
	size_t left = (size_t)count;
	uint64_t wide, word;
	memcpy(&wide, key, sizeof wide);
	for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
		memcpy(&word, at, sizeof word);
		word ^= wide;
		memcpy(at, &word, sizeof word);
	}
	for (size_t i = 0; i < left; i++)
		at[i] ^= key[i];
	return NULL;
}

static const struct engine_native natives[] = {
	{"websocketAccept", accept_key, 1},
	{"websocketMask", mask, 5},
};

const struct native_module websocket_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
