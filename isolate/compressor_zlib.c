/* zlib's formats (RFC 1950 to 1952), as Node drives the library: the stream is opened with the
 * first bytes, and gzip members that follow each other are one. */
#include "isolate/compressor_private.h"

#include <limits.h>

#define GZIP_MAGIC_1 0x1F
#define GZIP_MAGIC_2 0x8B

static bool is_compressor(const struct compressor *compressor)
{
	return compressor->mode == COMPRESSOR_DEFLATE || compressor->mode == COMPRESSOR_GZIP ||
	       compressor->mode == COMPRESSOR_DEFLATERAW;
}

static voidpf allocate(voidpf arg, uInt items, uInt size)
{
	return compressor_allocate(arg, (size_t)items * size);
}

static const char *code_of(int result)
{
	switch (result) {
	case Z_NEED_DICT:
		return "Z_NEED_DICT";
	case Z_ERRNO:
		return "Z_ERRNO";
	case Z_STREAM_ERROR:
		return "Z_STREAM_ERROR";
	case Z_DATA_ERROR:
		return "Z_DATA_ERROR";
	case Z_MEM_ERROR:
		return "Z_MEM_ERROR";
	case Z_BUF_ERROR:
		return "Z_BUF_ERROR";
	case Z_VERSION_ERROR:
		return "Z_VERSION_ERROR";
	default:
		return "Z_OK";
	}
}

/* The library's own words where it has some. */
static bool fail(
	struct compressor *compressor, struct compressor_error *ret_error, const char *message)
{
	const int result = compressor->zlib.result;
	if (compressor->zlib.stream.msg)
		message = compressor->zlib.stream.msg;
	return compressor_error(ret_error, message, code_of(result), result);
}

/* ---- opening ---- */

static int window_bits(const struct compressor *compressor)
{
	const int bits = compressor->options.window_bits;
	switch (compressor->mode) {
	case COMPRESSOR_GZIP:
	case COMPRESSOR_GUNZIP:
		return bits + 16;
	case COMPRESSOR_UNZIP:
		return bits + 32;
	case COMPRESSOR_DEFLATERAW:
	case COMPRESSOR_INFLATERAW:
		return -bits;
	default:
		return bits;
	}
}

static void use_dictionary(struct compressor *compressor)
{
	const struct compressor_options *options = &compressor->options;
	z_stream *stream = &compressor->zlib.stream;
	if (!options->dictionary)
		return;
	if (compressor->mode == COMPRESSOR_DEFLATE || compressor->mode == COMPRESSOR_DEFLATERAW)
		compressor->zlib.result = deflateSetDictionary(
			stream, options->dictionary, (uInt)options->dictionary_length);
	else if (compressor->mode == COMPRESSOR_INFLATERAW)
		compressor->zlib.result = inflateSetDictionary(
			stream, options->dictionary, (uInt)options->dictionary_length);
}

/* With the first bytes: a stream that is never used costs nothing. False: it failed now. */
static bool open_stream(struct compressor *compressor)
{
	const struct compressor_options *options = &compressor->options;
	z_stream *stream = &compressor->zlib.stream;
	if (compressor->zlib.open)
		return true;
	stream->zalloc = allocate;
	stream->zfree = compressor_release;
	stream->opaque = compressor;
	compressor->zlib.result =
		is_compressor(compressor)
			? deflateInit2(stream, options->level, Z_DEFLATED, window_bits(compressor),
				  options->mem_level, options->strategy)
			: inflateInit2(stream, window_bits(compressor));
	if (compressor->zlib.result != Z_OK)
		return false;
	compressor->zlib.open = true;
	use_dictionary(compressor);
	return compressor->zlib.result == Z_OK;
}

static bool open_codec(struct compressor *compressor, struct compressor_error *ret_error)
{
	if (compressor->options.dictionary_length > UINT_MAX)
		return compressor_error(ret_error, "Failed to set dictionary", "Z_DATA_ERROR", -3);
	return true;
}

static void close_codec(struct compressor *compressor)
{
	if (!compressor->zlib.open)
		return;
	if (is_compressor(compressor))
		deflateEnd(&compressor->zlib.stream);
	else
		inflateEnd(&compressor->zlib.stream);
}

static void reset_stream(struct compressor *compressor)
{
	z_stream *stream = &compressor->zlib.stream;
	compressor->zlib.result =
		is_compressor(compressor) ? deflateReset(stream) : inflateReset(stream);
	if (compressor->zlib.result == Z_OK)
		use_dictionary(compressor);
}

static bool reset(struct compressor *compressor, struct compressor_error *ret_error)
{
	if (!compressor->zlib.open)
		return open_stream(compressor) ||
		       fail(compressor, ret_error, "Failed to init stream before reset");
	reset_stream(compressor);
	return compressor->zlib.result == Z_OK ||
	       fail(compressor, ret_error, "Failed to reset stream");
}

static bool change(
	struct compressor *compressor, int level, int strategy, struct compressor_error *ret_error)
{
	compressor->options.level = level;
	compressor->options.strategy = strategy;
	if (!compressor->zlib.open)
		return open_stream(compressor) ||
		       fail(compressor, ret_error, "Failed to init stream before set parameters");
	if (!is_compressor(compressor))
		return true;
	/* What is pending was flushed before; without room nothing can be written. */
	Bytef none;
	compressor->zlib.stream.next_out = &none;
	compressor->zlib.stream.avail_out = 0;
	const int result = deflateParams(&compressor->zlib.stream, level, strategy);
	compressor->zlib.stream.next_out = NULL;
	compressor->zlib.result = result;
	return result == Z_OK || result == Z_BUF_ERROR ||
	       fail(compressor, ret_error, "Failed to set parameters");
}

/* ---- work ---- */

/* COMPRESSOR_UNZIP becomes what the first two bytes say. False: they are not there yet. */
static bool choose_format(struct compressor *compressor, const struct step *step)
{
	size_t at = 0;
	if (compressor->mode != COMPRESSOR_UNZIP)
		return true;
	if (compressor->zlib.magic_read == 0) {
		if (step->in_left == 0)
			return false;
		if (step->in[at++] != GZIP_MAGIC_1) {
			compressor->mode = COMPRESSOR_INFLATE;
			return true;
		}
		compressor->zlib.magic_read = 1;
	}
	if (at == step->in_left)
		return false;
	compressor->mode = step->in[at] == GZIP_MAGIC_2 ? COMPRESSOR_GUNZIP : COMPRESSOR_INFLATE;
	return true;
}

static bool another_member(const struct compressor *compressor)
{
	const z_stream *stream = &compressor->zlib.stream;
	/* Zeros at the end are padding (of tapes, once). */
	return compressor->mode == COMPRESSOR_GUNZIP && compressor->zlib.result == Z_STREAM_END &&
	       !compressor->options.single_member && stream->avail_in > 0 &&
	       stream->next_in[0] != 0;
}

static void decompress(struct compressor *compressor, int flush)
{
	z_stream *stream = &compressor->zlib.stream;
	int *result = &compressor->zlib.result;
	const struct compressor_options *options = &compressor->options;
	*result = inflate(stream, flush);
	if (*result == Z_NEED_DICT && compressor->mode != COMPRESSOR_INFLATERAW &&
		options->dictionary) {
		*result = inflateSetDictionary(
			stream, options->dictionary, (uInt)options->dictionary_length);
		if (*result == Z_OK)
			*result = inflate(stream, flush);
		else if (*result == Z_DATA_ERROR)
			*result = Z_NEED_DICT; /* of another dictionary */
	}
	while (another_member(compressor)) {
		reset_stream(compressor);
		*result = inflate(stream, flush);
	}
	compressor->ended = *result == Z_STREAM_END;
}

static void step(struct compressor *compressor, struct step *step)
{
	z_stream *stream = &compressor->zlib.stream;
	const size_t room = step->out_left < UINT_MAX ? step->out_left : UINT_MAX;
	compressor->flush = step->flush;
	if (!open_stream(compressor))
		return;
	choose_format(compressor, step);
	stream->next_in = (unsigned char *)step->in;
	stream->avail_in = (uInt)step->in_left;
	stream->next_out = step->out;
	stream->avail_out = (uInt)room;
	if (is_compressor(compressor))
		compressor->zlib.result = deflate(stream, step->flush);
	else
		decompress(compressor, step->flush);
	step->in_left = stream->avail_in;
	step->out_left -= room - stream->avail_out;
	/* What it points to is not ours for long. */
	stream->next_in = NULL;
	stream->next_out = NULL;
}

static void failure(struct compressor *compressor, struct compressor_error *ret_error)
{
	const z_stream *stream = &compressor->zlib.stream;
	if (compressor->out_of_memory)
		compressor->zlib.result = Z_MEM_ERROR;
	switch (compressor->zlib.result) {
	case Z_OK:
	case Z_BUF_ERROR:
		if (stream->avail_out != 0 && compressor->flush == Z_FINISH)
			fail(compressor, ret_error, "unexpected end of file");
		break;
	case Z_STREAM_END:
		break;
	case Z_NEED_DICT:
		fail(compressor, ret_error,
			compressor->options.dictionary ? "Bad dictionary" : "Missing dictionary");
		break;
	default:
		fail(compressor, ret_error, "Zlib error");
	}
}

/* What is stored and not compressed comes in blocks as large as the pieces. */
const struct codec codec_deflate = {
	.piece = 131072,
	.no_flush = Z_NO_FLUSH,
	.open = open_codec,
	.close = close_codec,
	.step = step,
	.failure = failure,
	.reset = reset,
	.change = change,
};

const struct codec codec_inflate = {
	.piece = 16384,
	.no_flush = Z_NO_FLUSH,
	.open = open_codec,
	.close = close_codec,
	.step = step,
	.failure = failure,
	.reset = reset,
	.change = change,
};
