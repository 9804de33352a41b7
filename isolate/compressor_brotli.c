/* Brotli (RFC 7932), with raw shared dictionaries. */
#include "isolate/compressor_private.h"

#include <brotli/shared_dictionary.h>
#include <stdio.h>

static bool fail(struct compressor_error *ret_error, const char *message, const char *code)
{
	return compressor_error(ret_error, message, code, -1);
}

static bool cannot_open(struct compressor_error *ret_error)
{
	return fail(ret_error, "Could not initialize Brotli instance",
		"ERR_ZLIB_INITIALIZATION_FAILED");
}

/* ---- encoder ---- */

static void close_encoder(struct compressor *compressor)
{
	BrotliEncoderDestroyInstance(compressor->brotli.encoder);
	if (compressor->brotli.dictionary)
		BrotliEncoderDestroyPreparedDictionary(compressor->brotli.dictionary);
	compressor->brotli.encoder = NULL;
	compressor->brotli.dictionary = NULL;
}

static bool encoder_dictionary(struct compressor *compressor)
{
	const struct compressor_options *options = &compressor->options;
	if (!options->dictionary)
		return true;
	compressor->brotli.dictionary = BrotliEncoderPrepareDictionary(BROTLI_SHARED_DICTIONARY_RAW,
		options->dictionary_length, options->dictionary, BROTLI_MAX_QUALITY,
		compressor_allocate, compressor_release, compressor);
	return compressor->brotli.dictionary &&
	       BrotliEncoderAttachPreparedDictionary(
		       compressor->brotli.encoder, compressor->brotli.dictionary);
}

static bool open_encoder(struct compressor *compressor, struct compressor_error *ret_error)
{
	const struct compressor_options *options = &compressor->options;
	compressor->brotli.encoder =
		BrotliEncoderCreateInstance(compressor_allocate, compressor_release, compressor);
	compressor->brotli.failed = false;
	if (!compressor->brotli.encoder)
		return cannot_open(ret_error);
	if (!encoder_dictionary(compressor))
		return fail(ret_error, "Failed to load brotli dictionary",
			"ERR_ZLIB_DICTIONARY_LOAD_FAILED");
	for (size_t i = 0; i < options->parameter_count; i++)
		if (options->parameters[i] != COMPRESSOR_NO_PARAMETER &&
			!BrotliEncoderSetParameter(compressor->brotli.encoder,
				(BrotliEncoderParameter)i, options->parameters[i]))
			return fail(ret_error, "Setting parameter failed",
				"ERR_BROTLI_PARAM_SET_FAILED");
	return true;
}

static bool reset_encoder(struct compressor *compressor, struct compressor_error *ret_error)
{
	close_encoder(compressor);
	return open_encoder(compressor, ret_error);
}

static void encode(struct compressor *compressor, struct step *step)
{
	if (!compressor->brotli.encoder)
		return;
	/* Of an operation that it does not know the encoder never comes to an end. */
	if (step->flush < 0 || step->flush > BROTLI_OPERATION_EMIT_METADATA) {
		compressor->brotli.failed = true;
		return;
	}
	compressor->brotli.failed = !BrotliEncoderCompressStream(compressor->brotli.encoder,
		(BrotliEncoderOperation)step->flush, &step->in_left, &step->in, &step->out_left,
		&step->out, NULL);
}

static void encoder_failure(struct compressor *compressor, struct compressor_error *ret_error)
{
	if (compressor->brotli.failed || compressor->out_of_memory || !compressor->brotli.encoder)
		fail(ret_error, "Compression failed", "ERR_BROTLI_COMPRESSION_FAILED");
}

/* What is compressed in one piece is compressed better. */
static void expect(struct compressor *compressor, int flush, size_t length)
{
	const struct compressor_options *options = &compressor->options;
	const bool given = options->parameter_count > BROTLI_PARAM_SIZE_HINT &&
			   options->parameters[BROTLI_PARAM_SIZE_HINT] != COMPRESSOR_NO_PARAMETER;
	(void)flush;
	if (!given && compressor->brotli.encoder)
		BrotliEncoderSetParameter(compressor->brotli.encoder, BROTLI_PARAM_SIZE_HINT,
			length < (1u << 30) ? (uint32_t)length : 1u << 30);
}

const struct codec codec_brotli_encoder = {
	.piece = 1u << 20,
	.no_flush = BROTLI_OPERATION_PROCESS,
	.open = open_encoder,
	.close = close_encoder,
	.step = encode,
	.failure = encoder_failure,
	.reset = reset_encoder,
	.expect = expect,
};

/* ---- decoder ---- */

static void close_decoder(struct compressor *compressor)
{
	BrotliDecoderDestroyInstance(compressor->brotli.decoder);
	compressor->brotli.decoder = NULL;
}

static bool open_decoder(struct compressor *compressor, struct compressor_error *ret_error)
{
	const struct compressor_options *options = &compressor->options;
	compressor->brotli.decoder =
		BrotliDecoderCreateInstance(compressor_allocate, compressor_release, compressor);
	compressor->brotli.result = BROTLI_DECODER_RESULT_SUCCESS;
	compressor->flush = BROTLI_OPERATION_PROCESS;
	if (!compressor->brotli.decoder)
		return cannot_open(ret_error);
	if (options->dictionary && !BrotliDecoderAttachDictionary(compressor->brotli.decoder,
					   BROTLI_SHARED_DICTIONARY_RAW, options->dictionary_length,
					   options->dictionary))
		return fail(ret_error, "Failed to attach brotli dictionary",
			"ERR_ZLIB_DICTIONARY_LOAD_FAILED");
	for (size_t i = 0; i < options->parameter_count; i++)
		if (options->parameters[i] != COMPRESSOR_NO_PARAMETER &&
			!BrotliDecoderSetParameter(compressor->brotli.decoder,
				(BrotliDecoderParameter)i, options->parameters[i]))
			return fail(ret_error, "Setting parameter failed",
				"ERR_BROTLI_PARAM_SET_FAILED");
	return true;
}

static bool reset_decoder(struct compressor *compressor, struct compressor_error *ret_error)
{
	close_decoder(compressor);
	return open_decoder(compressor, ret_error);
}

static void decode(struct compressor *compressor, struct step *step)
{
	compressor->flush = step->flush;
	if (!compressor->brotli.decoder)
		return;
	compressor->brotli.result = BrotliDecoderDecompressStream(compressor->brotli.decoder,
		&step->in_left, &step->in, &step->out_left, &step->out, NULL);
	compressor->ended = compressor->brotli.result == BROTLI_DECODER_RESULT_SUCCESS;
}

static void decoder_failure(struct compressor *compressor, struct compressor_error *ret_error)
{
	if (compressor->out_of_memory || !compressor->brotli.decoder) {
		fail(ret_error, "Decompression failed", "ERR_OUT_OF_MEMORY");
	} else if (compressor->brotli.result == BROTLI_DECODER_RESULT_ERROR) {
		const BrotliDecoderErrorCode number =
			BrotliDecoderGetErrorCode(compressor->brotli.decoder);
		snprintf(compressor->brotli.code, sizeof compressor->brotli.code, "ERR_%s",
			BrotliDecoderErrorString(number));
		compressor_error(
			ret_error, "Decompression failed", compressor->brotli.code, (int)number);
	} else if (compressor->flush == BROTLI_OPERATION_FINISH &&
		   compressor->brotli.result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) {
		compressor_error(ret_error, "unexpected end of file", "Z_BUF_ERROR", Z_BUF_ERROR);
	}
}

const struct codec codec_brotli_decoder = {
	.piece = 16384,
	.no_flush = BROTLI_OPERATION_PROCESS,
	.open = open_decoder,
	.close = close_decoder,
	.step = decode,
	.failure = decoder_failure,
	.reset = reset_decoder,
};
