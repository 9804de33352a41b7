/* Zstandard (RFC 8878). */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createCCtx_advanced: our own allocator */
#include "isolate/compressor_private.h"

#include <zstd.h>
#include <zstd_errors.h>

#define CODE(name)                                                                                 \
	case ZSTD_error_##name:                                                                    \
		return "ZSTD_error_" #name

static const char *code_of(ZSTD_ErrorCode code)
{
	switch (code) {
		CODE(no_error);
		CODE(GENERIC);
		CODE(prefix_unknown);
		CODE(version_unsupported);
		CODE(frameParameter_unsupported);
		CODE(frameParameter_windowTooLarge);
		CODE(corruption_detected);
		CODE(checksum_wrong);
		CODE(literals_headerWrong);
		CODE(dictionary_corrupted);
		CODE(dictionary_wrong);
		CODE(dictionaryCreation_failed);
		CODE(parameter_unsupported);
		CODE(parameter_combination_unsupported);
		CODE(parameter_outOfBound);
		CODE(tableLog_tooLarge);
		CODE(maxSymbolValue_tooLarge);
		CODE(maxSymbolValue_tooSmall);
		CODE(stabilityCondition_notRespected);
		CODE(stage_wrong);
		CODE(init_missing);
		CODE(memory_allocation);
		CODE(workSpace_tooSmall);
		CODE(dstSize_tooSmall);
		CODE(srcSize_wrong);
		CODE(dstBuffer_null);
		CODE(noForwardProgress_destFull);
		CODE(noForwardProgress_inputEmpty);
	default:
		return "ZSTD_error_GENERIC";
	}
}

static ZSTD_customMem memory_of(struct compressor *compressor)
{
	return (ZSTD_customMem){compressor_allocate, compressor_release, compressor};
}

static bool fail(struct compressor_error *ret_error, const char *message, const char *code)
{
	return compressor_error(ret_error, message, code, -1);
}

static bool cannot_open(struct compressor_error *ret_error, const char *message)
{
	return fail(ret_error, message, "ERR_ZLIB_INITIALIZATION_FAILED");
}

static bool bad_dictionary(struct compressor_error *ret_error)
{
	return fail(ret_error, "Failed to load zstd dictionary", "ERR_ZLIB_DICTIONARY_LOAD_FAILED");
}

static bool bad_parameter(struct compressor_error *ret_error)
{
	return fail(ret_error, "Setting parameter failed", "ERR_ZSTD_PARAM_SET_FAILED");
}

static void failure(struct compressor *compressor, struct compressor_error *ret_error)
{
	const ZSTD_ErrorCode number = ZSTD_getErrorCode(compressor->zstd.result);
	if (compressor->out_of_memory)
		compressor_error(ret_error, ZSTD_getErrorString(ZSTD_error_memory_allocation),
			code_of(ZSTD_error_memory_allocation), ZSTD_error_memory_allocation);
	else if (number != ZSTD_error_no_error)
		compressor_error(
			ret_error, ZSTD_getErrorString(number), code_of(number), (int)number);
}

/* ---- compressor ---- */

/* A tenant has one processor: threads for compression would only cost it memory. */
static bool is_about_threads(size_t parameter)
{
	return parameter == ZSTD_c_nbWorkers || parameter == ZSTD_c_jobSize ||
	       parameter == ZSTD_c_overlapLog;
}

static void close_compressor(struct compressor *compressor)
{
	ZSTD_freeCCtx(compressor->zstd.compressor);
	compressor->zstd.compressor = NULL;
}

static bool compressor_parameters(ZSTD_CCtx *zstd, const struct compressor_options *options)
{
	for (size_t i = 0; i < options->parameter_count; i++)
		if (options->parameters[i] != COMPRESSOR_NO_PARAMETER && !is_about_threads(i) &&
			ZSTD_isError(ZSTD_CCtx_setParameter(
				zstd, (ZSTD_cParameter)i, (int)options->parameters[i])))
			return false;
	return true;
}

static bool open_compressor(struct compressor *compressor, struct compressor_error *ret_error)
{
	const struct compressor_options *options = &compressor->options;
	ZSTD_CCtx *zstd = ZSTD_createCCtx_advanced(memory_of(compressor));
	compressor->zstd.compressor = zstd;
	compressor->zstd.result = 0;
	if (!zstd)
		return cannot_open(ret_error, "Could not initialize zstd instance");
	if (options->has_source_size &&
		ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, options->source_size)))
		return cannot_open(ret_error, "Could not set pledged src size");
	if (options->dictionary && ZSTD_isError(ZSTD_CCtx_loadDictionary(
					   zstd, options->dictionary, options->dictionary_length)))
		return bad_dictionary(ret_error);
	return compressor_parameters(zstd, options) || bad_parameter(ret_error);
}

static bool reset_compressor(struct compressor *compressor, struct compressor_error *ret_error)
{
	close_compressor(compressor);
	return open_compressor(compressor, ret_error);
}

static void expect(struct compressor *compressor, int flush, size_t length)
{
	if (flush == ZSTD_e_end && !compressor->options.has_source_size &&
		compressor->zstd.compressor)
		ZSTD_CCtx_setPledgedSrcSize(compressor->zstd.compressor, length);
}

static void compress_with(struct compressor *compressor, struct step *step, int flush)
{
	ZSTD_inBuffer in = {step->in, step->in_left, 0};
	ZSTD_outBuffer out = {step->out, step->out_left, 0};
	compressor->zstd.result = ZSTD_compressStream2(
		compressor->zstd.compressor, &out, &in, (ZSTD_EndDirective)flush);
	step->in += in.pos;
	step->in_left -= in.pos;
	step->out += out.pos;
	step->out_left -= out.pos;
}

static void compress_step(struct compressor *compressor, struct step *step)
{
	if (!compressor->zstd.compressor)
		return;
	/* Who begins with the end overrides the size that was promised: it must hold. */
	if (compressor->options.has_source_size && step->flush == ZSTD_e_end) {
		compress_with(compressor, step, ZSTD_e_continue);
		if (ZSTD_isError(compressor->zstd.result) || step->in_left > 0 ||
			step->out_left == 0)
			return;
	}
	compress_with(compressor, step, step->flush);
}

const struct codec codec_zstd_compressor = {
	.piece = 1u << 20,
	.no_flush = ZSTD_e_continue,
	.open = open_compressor,
	.close = close_compressor,
	.step = compress_step,
	.failure = failure,
	.reset = reset_compressor,
	.expect = expect,
};

/* ---- decompressor ---- */

static void close_decompressor(struct compressor *compressor)
{
	ZSTD_freeDCtx(compressor->zstd.decompressor);
	compressor->zstd.decompressor = NULL;
}

static bool open_decompressor(struct compressor *compressor, struct compressor_error *ret_error)
{
	const struct compressor_options *options = &compressor->options;
	ZSTD_DCtx *zstd = ZSTD_createDCtx_advanced(memory_of(compressor));
	compressor->zstd.decompressor = zstd;
	compressor->zstd.result = 0;
	if (!zstd)
		return cannot_open(ret_error, "Could not initialize zstd instance");
	if (options->dictionary && ZSTD_isError(ZSTD_DCtx_loadDictionary(
					   zstd, options->dictionary, options->dictionary_length)))
		return bad_dictionary(ret_error);
	for (size_t i = 0; i < options->parameter_count; i++)
		if (options->parameters[i] != COMPRESSOR_NO_PARAMETER &&
			ZSTD_isError(ZSTD_DCtx_setParameter(
				zstd, (ZSTD_dParameter)i, (int)options->parameters[i])))
			return bad_parameter(ret_error);
	return true;
}

static bool reset_decompressor(struct compressor *compressor, struct compressor_error *ret_error)
{
	close_decompressor(compressor);
	return open_decompressor(compressor, ret_error);
}

static void decompressor_failure(struct compressor *compressor, struct compressor_error *ret_error)
{
	failure(compressor, ret_error);
	if (!ret_error->message && compressor->zstd.hungry && compressor->flush == ZSTD_e_end)
		compressor_error(ret_error, "unexpected end of file", "Z_BUF_ERROR", Z_BUF_ERROR);
}

static void decompress_step(struct compressor *compressor, struct step *step)
{
	ZSTD_inBuffer in = {step->in, step->in_left, 0};
	ZSTD_outBuffer out = {step->out, step->out_left, 0};
	/* After the end it would wait for another frame. */
	compressor->zstd.hungry = false;
	if (!compressor->zstd.decompressor || (compressor->ended && step->in_left == 0))
		return;
	compressor->zstd.result = ZSTD_decompressStream(compressor->zstd.decompressor, &out, &in);
	compressor->ended = compressor->zstd.result == 0;
	compressor->flush = step->flush;
	step->in_left -= in.pos;
	step->out_left -= out.pos;
	compressor->zstd.hungry = !compressor->ended && step->in_left == 0 && step->out_left > 0;
}

const struct codec codec_zstd_decompressor = {
	.piece = 16384,
	.no_flush = ZSTD_e_continue,
	.open = open_decompressor,
	.close = close_decompressor,
	.step = decompress_step,
	.failure = decompressor_failure,
	.reset = reset_decompressor,
};
