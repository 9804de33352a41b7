#include "isolate/content_decoder.h"

#include "common/cleanup.h"

#include <brotli/decode.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#define BETWEEN_BYTES 16384   /* of a coding's output that is the next one's input */
#define BROTLI_SAFE 0x1002001 /* 1.2.1: before it, CVE-2026-111497, a write out of bounds */
#define ZSTD_WINDOW_LOG 23    /* 8 MiB: the most that RFC 9659 lets a server use */

enum coding { CODING_GZIP, CODING_DEFLATE, CODING_BROTLI, CODING_ZSTD };

static const struct {
	const char *name;
	enum coding coding;
} names[] = {
	{"gzip", CODING_GZIP},
	{"x-gzip", CODING_GZIP},
	{"deflate", CODING_DEFLATE},
	{"br", CODING_BROTLI},
	{"zstd", CODING_ZSTD},
};

/* One coding. It takes its input from SOURCE's output, or, the first one, from what was
 * fed. */
struct layer {
	enum coding coding;
	struct layer *source;
	const uint8_t *input;
	size_t length;
	bool last;    /* no input follows */
	bool ended;   /* its data came to their end */
	bool started; /* it has seen a first byte */
	bool full;    /* its last output had no room to spare: there may be more of it */
	union {
		z_stream zlib;
		BrotliDecoderState *brotli;
		ZSTD_DStream *zstd;
	} state;
	bool made;
	uint8_t between[]; /* BETWEEN_BYTES, if there is a SOURCE */
};

struct content_decoder {
	struct layer *layers[CONTENT_CODINGS_MAX]; /* in the order of decoding */
	size_t count;
};

/* ---- life ---- */

static bool make_state(struct layer *layer)
{
	switch (layer->coding) {
	case CODING_GZIP:
		layer->made = inflateInit2(&layer->state.zlib, 16 + MAX_WBITS) == Z_OK;
		break;
	case CODING_DEFLATE: /* with its first byte: see choose_deflate */
		layer->made = inflateInit2(&layer->state.zlib, MAX_WBITS) == Z_OK;
		break;
	case CODING_BROTLI:
		layer->state.brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
		layer->made = layer->state.brotli != NULL;
		break;
	case CODING_ZSTD:
		layer->state.zstd = ZSTD_createDStream();
		layer->made = layer->state.zstd != NULL;
		if (layer->made)
			ZSTD_DCtx_setParameter(
				layer->state.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
		break;
	}
	return layer->made;
}

static void free_layer(struct layer *layer)
{
	if (!layer)
		return;
	if (layer->made && layer->coding == CODING_BROTLI)
		BrotliDecoderDestroyInstance(layer->state.brotli);
	else if (layer->made && layer->coding == CODING_ZSTD)
		ZSTD_freeDStream(layer->state.zstd);
	else if (layer->made)
		inflateEnd(&layer->state.zlib);
	free(layer);
}

struct content_decoder *content_decoder_free(struct content_decoder *decoder)
{
	if (!decoder)
		return NULL;
	for (size_t i = 0; i < ARRAY_LENGTH(decoder->layers); i++)
		free_layer(decoder->layers[i]);
	free(decoder);
	return NULL;
}

/* Asked of the library that runs, not of the one that this was built with. */
static bool brotli_is_safe(void)
{
	return BrotliDecoderVersion() >= BROTLI_SAFE;
}

const char *content_decoder_offers(void)
{
	return brotli_is_safe() ? "gzip, deflate, br, zstd" : "gzip, deflate, zstd";
}

static int find_coding(const char *name, size_t length, enum coding *ret)
{
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strlen(names[i].name) == length &&
			strncasecmp(names[i].name, name, length) == 0) {
			*ret = names[i].coding;
			return *ret == CODING_BROTLI && !brotli_is_safe() ? -EPROTONOSUPPORT : 0;
		}
	return -EPROTONOSUPPORT;
}

/* The codings of a list, in its order: that of encoding. */
static int parse(const char *text, size_t length, enum coding codings[CONTENT_CODINGS_MAX],
	size_t *ret_count)
{
	const char *end = text + length;
	size_t count = 0;
	while (text < end) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		const char *next = comma ? comma : end;
		const char *stop = next;
		while (text < stop && (*text == ' ' || *text == '\t'))
			text++;
		while (stop > text && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		size_t name_length = (size_t)(stop - text);
		bool identity = name_length == 8 && strncasecmp(text, "identity", 8) == 0;
		if (name_length > 0 && !identity) {
			if (count == CONTENT_CODINGS_MAX ||
				find_coding(text, name_length, &codings[count]) < 0)
				return -EPROTONOSUPPORT;
			count++;
		}
		text = next + 1;
	}
	*ret_count = count;
	return 0;
}

int content_decoder_new(const char *text, size_t length, struct content_decoder **ret)
{
	enum coding codings[CONTENT_CODINGS_MAX];
	size_t count = 0;
	*ret = NULL;
	int result = parse(text, length, codings, &count);
	if (result < 0 || count == 0)
		return result;
	struct content_decoder *decoder = calloc(1, sizeof *decoder);
	if (!decoder)
		return -ENOMEM;
	decoder->count = count;
	for (size_t i = 0; i < count; i++) {
		struct layer *layer = calloc(1, sizeof *layer + (i > 0 ? BETWEEN_BYTES : 0));
		decoder->layers[i] = layer;
		if (layer)
			layer->coding = codings[count - 1 - i];
		if (!layer || !make_state(layer)) {
			content_decoder_free(decoder);
			return -ENOMEM;
		}
		layer->source = i > 0 ? decoder->layers[i - 1] : NULL;
	}
	*ret = decoder;
	return 0;
}

/* ---- one coding ---- */

/* "deflate" is zlib's format (RFC 1950), but some servers send a bare deflate stream. */
static void choose_deflate(struct layer *layer)
{
	if (layer->coding == CODING_DEFLATE && (layer->input[0] & 0x0f) != Z_DEFLATED)
		inflateReset2(&layer->state.zlib, -MAX_WBITS);
}

static ssize_t read_zlib(struct layer *layer, uint8_t *data, size_t size)
{
	z_stream *stream = &layer->state.zlib;
	stream->next_in = (Bytef *)layer->input;
	stream->avail_in = (uInt)layer->length;
	stream->next_out = data;
	stream->avail_out = (uInt)size;
	int result = inflate(stream, Z_NO_FLUSH);
	layer->input = stream->next_in;
	layer->length = stream->avail_in;
	if (result == Z_STREAM_END)
		layer->ended = true;
	else if (result != Z_OK && result != Z_BUF_ERROR)
		return -EBADMSG;
	return (ssize_t)(size - stream->avail_out);
}

static ssize_t read_brotli(struct layer *layer, uint8_t *data, size_t size)
{
	size_t room = size;
	BrotliDecoderResult result = BrotliDecoderDecompressStream(
		layer->state.brotli, &layer->length, &layer->input, &room, &data, NULL);
	if (result == BROTLI_DECODER_RESULT_ERROR)
		return -EBADMSG;
	layer->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
	return (ssize_t)(size - room);
}

static ssize_t read_zstd(struct layer *layer, uint8_t *data, size_t size)
{
	ZSTD_inBuffer in = {.src = layer->input, .size = layer->length};
	ZSTD_outBuffer out = {.dst = data, .size = size};
	size_t result = ZSTD_decompressStream(layer->state.zstd, &out, &in);
	layer->input += in.pos;
	layer->length -= in.pos;
	if (ZSTD_isError(result))
		return -EBADMSG;
	layer->ended = result == 0;
	return (ssize_t)out.pos;
}

/* Behind the end of gzip's and zstd's data may come more of the same: members, frames.
 * Padding of zeros behind gzip is ignored, as others do. */
static void look_behind_end(struct layer *layer)
{
	if (!layer->ended || layer->length == 0)
		return;
	if (layer->coding == CODING_GZIP && layer->input[0] == 0x1f) {
		inflateReset(&layer->state.zlib);
		layer->ended = false;
	} else if (layer->coding == CODING_ZSTD) {
		layer->ended = false;
	} else {
		layer->input += layer->length;
		layer->length = 0;
	}
}

/* Room of at most what zlib counts in. */
static ssize_t decode(struct layer *layer, uint8_t *data, size_t size)
{
	if (size > UINT32_MAX / 2)
		size = UINT32_MAX / 2;
	look_behind_end(layer);
	/* zstd takes it for an error to be asked again and again for nothing. */
	if (layer->ended || (layer->length == 0 && !layer->full))
		return 0;
	if (!layer->started && layer->length > 0) {
		layer->started = true;
		choose_deflate(layer);
	}
	ssize_t length = layer->coding == CODING_BROTLI ? read_brotli(layer, data, size)
			 : layer->coding == CODING_ZSTD ? read_zstd(layer, data, size)
							: read_zlib(layer, data, size);
	layer->full = length == (ssize_t)size;
	return length;
}

static bool layer_done(const struct layer *layer)
{
	/* A body of no bytes at all is an empty one in any coding (HEAD, some 200s). */
	return layer->last && layer->length == 0 && (layer->ended || !layer->started);
}

static ssize_t read_layer(struct layer *layer, uint8_t *data, size_t size, struct layer **ret_bad)
{
	for (;;) {
		ssize_t length = decode(layer, data, size);
		if (length < 0)
			*ret_bad = layer;
		if (length != 0)
			return length;
		if (layer->length > 0)
			continue; /* not all used up, or more behind the end */
		if (layer->source && !layer->last) {
			struct layer *source = layer->source;
			ssize_t more = read_layer(source, layer->between, BETWEEN_BYTES, ret_bad);
			if (more < 0)
				return more;
			layer->input = layer->between;
			layer->length = (size_t)more;
			layer->last = more == 0 && layer_done(source);
			if (more > 0)
				continue;
		}
		if (layer->last && !layer_done(layer)) {
			*ret_bad = layer; /* cut off */
			return -EBADMSG;
		}
		return 0;
	}
}

/* ---- all of them ---- */

void content_decoder_feed(struct content_decoder *decoder, const void *data, size_t length)
{
	decoder->layers[0]->input = data;
	decoder->layers[0]->length = length;
}

void content_decoder_end(struct content_decoder *decoder)
{
	decoder->layers[0]->last = true;
}

size_t content_decoder_left(const struct content_decoder *decoder)
{
	return decoder->layers[0]->length;
}

ssize_t content_decoder_read(
	struct content_decoder *decoder, void *data, size_t size, const char **ret_coding)
{
	struct layer *bad = NULL;
	ssize_t length = read_layer(decoder->layers[decoder->count - 1], data, size, &bad);
	for (size_t i = 0; bad && i < ARRAY_LENGTH(names); i++)
		if (names[i].coding == bad->coding) {
			*ret_coding = names[i].name;
			break;
		}
	return length;
}

bool content_decoder_done(const struct content_decoder *decoder)
{
	return layer_done(decoder->layers[decoder->count - 1]);
}
