/* What isolate/compressor.c and the codecs (compressor_zlib.c, compressor_brotli.c,
 * compressor_zstd.c) share. */
#pragma once

#include "isolate/compressor.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <zlib.h>

struct step {
	const unsigned char *in;
	size_t in_left;
	unsigned char *out;
	size_t out_left;
	int flush;
};

struct codec {
	size_t piece; /* how much of the input is copied at a time */
	int no_flush; /* for all pieces but the last */
	bool (*open)(struct compressor *, struct compressor_error *ret_error);
	void (*close)(struct compressor *);
	void (*step)(struct compressor *, struct step *);
	void (*failure)(struct compressor *, struct compressor_error *ret_error);
	bool (*reset)(struct compressor *, struct compressor_error *ret_error);
	/* May be NULL, both. */
	bool (*change)(struct compressor *, int level, int strategy, struct compressor_error *);
	void (*expect)(struct compressor *, int flush, size_t length);
};
extern const struct codec codec_deflate, codec_inflate, codec_brotli_encoder, codec_brotli_decoder,
	codec_zstd_compressor, codec_zstd_decompressor;

struct compressor {
	enum compressor_mode mode;
	const struct codec *codec;
	struct compressor_options options;
	uint32_t *parameters;
	void *dictionary;
	size_t memory;
	bool started, ended, out_of_memory;
	int flush; /* of the last step */

	struct {
		z_stream stream;
		int result;
		bool open;
		unsigned char magic_read; /* COMPRESSOR_UNZIP: of gzip's two bytes */
	} zlib;
	struct {
		BrotliEncoderState *encoder;
		BrotliEncoderPreparedDictionary *dictionary;
		BrotliDecoderState *decoder;
		BrotliDecoderResult result;
		bool failed;
		char code[64];
	} brotli;
	struct {
		struct ZSTD_CCtx_s *compressor;
		struct ZSTD_DCtx_s *decompressor;
		size_t result;
		bool hungry; /* it needs more input to go on */
	} zstd;
};

void *compressor_allocate(void *compressor, size_t size);
void compressor_release(void *compressor, void *memory);
/* Returns false. */
bool compressor_error(
	struct compressor_error *ret_error, const char *message, const char *code, int number);
