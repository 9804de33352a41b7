#include "isolate/compressor_private.h"

#include "common/cleanup.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory: of all compressors in the process, whatever thread they are in ---- */

static atomic_size_t held;
static atomic_size_t held_max;

struct block {
	_Alignas(16) size_t size;
};

void compressor_limit(size_t bytes)
{
	atomic_store(&held_max, bytes);
}

void *compressor_allocate(void *arg, size_t size)
{
	struct compressor *compressor = arg;
	const size_t most = atomic_load(&held_max);
	if (size > SIZE_MAX - sizeof(struct block))
		return NULL;
	size += sizeof(struct block);
	if (atomic_fetch_add(&held, size) + size > (most ? most : SIZE_MAX)) {
		atomic_fetch_sub(&held, size);
		return NULL;
	}
	struct block *block = malloc(size);
	if (!block) {
		atomic_fetch_sub(&held, size);
		return NULL;
	}
	block->size = size;
	compressor->memory += size;
	return block + 1;
}

void compressor_release(void *arg, void *memory)
{
	struct compressor *compressor = arg;
	if (!memory)
		return;
	struct block *block = (struct block *)memory - 1;
	compressor->memory -= block->size;
	atomic_fetch_sub(&held, block->size);
	free(block);
}

size_t compressor_memory(const struct compressor *compressor)
{
	return compressor->memory + sizeof *compressor;
}

/* ---- life ---- */

static const struct codec *const codecs[] = {
	[COMPRESSOR_NONE] = NULL,
	[COMPRESSOR_DEFLATE] = &codec_deflate,
	[COMPRESSOR_INFLATE] = &codec_inflate,
	[COMPRESSOR_GZIP] = &codec_deflate,
	[COMPRESSOR_GUNZIP] = &codec_inflate,
	[COMPRESSOR_DEFLATERAW] = &codec_deflate,
	[COMPRESSOR_INFLATERAW] = &codec_inflate,
	[COMPRESSOR_UNZIP] = &codec_inflate,
	[COMPRESSOR_BROTLI_DECODE] = &codec_brotli_decoder,
	[COMPRESSOR_BROTLI_ENCODE] = &codec_brotli_encoder,
	[COMPRESSOR_ZSTD_COMPRESS] = &codec_zstd_compressor,
	[COMPRESSOR_ZSTD_DECOMPRESS] = &codec_zstd_decompressor,
};

bool compressor_error(
	struct compressor_error *ret_error, const char *message, const char *code, int number)
{
	*ret_error = (struct compressor_error){.message = message, .code = code, .number = number};
	return false;
}

struct compressor *compressor_new(enum compressor_mode mode)
{
	if (mode <= COMPRESSOR_NONE || mode >= ARRAY_LENGTH(codecs))
		return NULL;
	struct compressor *compressor = calloc(1, sizeof *compressor);
	if (!compressor)
		return NULL;
	compressor->mode = mode;
	compressor->codec = codecs[mode];
	return compressor;
}

static bool keep_options(struct compressor *compressor, const struct compressor_options *options)
{
	struct compressor_options *own = &compressor->options;
	*own = *options;
	own->parameters = NULL;
	own->parameter_count = 0;
	own->dictionary = NULL;
	own->dictionary_length = 0;
	if (options->parameter_count > 0) {
		const size_t size = options->parameter_count * sizeof(uint32_t);
		compressor->parameters = compressor_allocate(compressor, size);
		if (!compressor->parameters)
			return false;
		memcpy(compressor->parameters, options->parameters, size);
		own->parameters = compressor->parameters;
		own->parameter_count = options->parameter_count;
	}
	if (options->dictionary_length > 0) {
		compressor->dictionary =
			compressor_allocate(compressor, options->dictionary_length);
		if (!compressor->dictionary)
			return false;
		memcpy(compressor->dictionary, options->dictionary, options->dictionary_length);
		own->dictionary = compressor->dictionary;
		own->dictionary_length = options->dictionary_length;
	}
	return true;
}

bool compressor_open(struct compressor *compressor, const struct compressor_options *options,
	struct compressor_error *ret_error)
{
	if (options->parameter_count > COMPRESSOR_PARAMETERS_MAX || compressor->dictionary ||
		compressor->parameters)
		return compressor_error(
			ret_error, "Initialization failed", "ERR_ZLIB_INITIALIZATION_FAILED", -1);
	if (!keep_options(compressor, options))
		return compressor_error(ret_error, "out of memory", "Z_MEM_ERROR", -4);
	return compressor->codec->open(compressor, ret_error);
}

struct compressor *compressor_free(struct compressor *compressor)
{
	if (!compressor)
		return NULL;
	compressor->codec->close(compressor);
	compressor_release(compressor, compressor->dictionary);
	compressor_release(compressor, compressor->parameters);
	free(compressor);
	return NULL;
}

bool compressor_reset(struct compressor *compressor, struct compressor_error *ret_error)
{
	compressor->started = false;
	compressor->ended = false;
	return compressor->codec->reset(compressor, ret_error);
}

bool compressor_change(
	struct compressor *compressor, int level, int strategy, struct compressor_error *ret_error)
{
	return !compressor->codec->change ||
	       compressor->codec->change(compressor, level, strategy, ret_error);
}

bool compressor_failed(struct compressor *compressor, struct compressor_error *ret_error)
{
	*ret_error = (struct compressor_error){0};
	compressor->codec->failure(compressor, ret_error);
	return ret_error->message != NULL;
}

bool compressor_ended(const struct compressor *compressor)
{
	return compressor->ended;
}

/* ---- work ---- */

void compressor_run(struct compressor *compressor, int flush, const void *in, size_t in_length,
	void *out, size_t out_length, size_t *ret_read, size_t *ret_made)
{
	const struct codec *codec = compressor->codec;
	const size_t piece = in_length < codec->piece ? in_length : codec->piece;
	cleanup_free unsigned char *copy = malloc(piece ? piece : 1);
	struct compressor_error error;
	*ret_read = *ret_made = 0;
	if (!copy) {
		compressor->out_of_memory = true;
		return;
	}
	/* zstd writes down how much there is, when it sees all of it. */
	if (codec->expect && !compressor->started && in_length > piece)
		codec->expect(compressor, flush, in_length);
	compressor->started = true;
	for (;;) {
		const size_t left = in_length - *ret_read;
		struct step step = {
			.in = copy,
			.in_left = left < piece ? left : piece,
			.out = (unsigned char *)out + *ret_made,
			.out_left = out_length - *ret_made,
			.flush = left <= piece ? flush : codec->no_flush,
		};
		const size_t given = step.in_left;
		if (given > 0)
			memcpy(copy, (const char *)in + *ret_read, given);
		codec->step(compressor, &step);
		*ret_read += given - step.in_left;
		*ret_made = out_length - step.out_left;
		if (left <= piece || step.in_left > 0 || step.out_left == 0 ||
			compressor_failed(compressor, &error))
			return;
	}
}
