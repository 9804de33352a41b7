/* Compression and decompression in steps: deflate, zlib and gzip (zlib), brotli and zstd. What
 * node:zlib and the web's CompressionStream stand on; knows nothing of the engine.
 *
 * A compressor is used by one thread at a time, which may be one of libuv's. What it reads
 * may be changed by the tenant meanwhile: it copies each piece before it looks at it, since
 * decoders check a byte and read it again. Its memory counts against one limit for all of
 * them: a decoder that is told to keep 2 GB at hand fails with Z_MEM_ERROR or the like, it
 * does not end the tenant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As node:zlib numbers them. */
enum compressor_mode {
	COMPRESSOR_NONE,
	COMPRESSOR_DEFLATE,
	COMPRESSOR_INFLATE,
	COMPRESSOR_GZIP,
	COMPRESSOR_GUNZIP,
	COMPRESSOR_DEFLATERAW,
	COMPRESSOR_INFLATERAW,
	COMPRESSOR_UNZIP,
	COMPRESSOR_BROTLI_DECODE,
	COMPRESSOR_BROTLI_ENCODE,
	COMPRESSOR_ZSTD_COMPRESS,
	COMPRESSOR_ZSTD_DECOMPRESS,
};

#define COMPRESSOR_PARAMETERS_MAX 512
#define COMPRESSOR_NO_PARAMETER UINT32_MAX

struct compressor_options {
	int window_bits, level, mem_level, strategy; /* zlib's */
	bool single_member;         /* gzip: what follows the first member is not read */
	const uint32_t *parameters; /* brotli's and zstd's, by number */
	size_t parameter_count;
	bool has_source_size; /* zstd: how much will be compressed */
	uint64_t source_size;
	const void *dictionary; /* copied; NULL: none */
	size_t dictionary_length;
};

/* What Node's error has. */
struct compressor_error {
	const char *message; /* NULL: no error */
	const char *code;
	int number;
};

struct compressor;

/* How many bytes all compressors of the process may hold; 0: no limit. */
void compressor_limit(size_t bytes);

/* NULL: out of memory. False: *ret_error says why; its strings are the compressor's. */
struct compressor *compressor_new(enum compressor_mode mode);
bool compressor_open(struct compressor *compressor, const struct compressor_options *options,
	struct compressor_error *ret_error);
struct compressor *compressor_free(struct compressor *compressor); /* takes NULL */

/* Reads at most IN_LENGTH bytes and makes at most OUT_LENGTH. FLUSH is the library's own number
 * (Z_FINISH, BROTLI_OPERATION_FLUSH, …). Whether that failed tells compressor_failed. */
void compressor_run(struct compressor *compressor, int flush, const void *in, size_t in_length,
	void *out, size_t out_length, size_t *ret_read, size_t *ret_made);
bool compressor_failed(struct compressor *compressor, struct compressor_error *ret_error);
/* Of a decoder: the end of what was compressed was read. */
bool compressor_ended(const struct compressor *compressor);

/* From now on (zlib's compressors; others ignore it). */
bool compressor_change(
	struct compressor *compressor, int level, int strategy, struct compressor_error *ret_error);
/* As new. */
bool compressor_reset(struct compressor *compressor, struct compressor_error *ret_error);

/* What it holds now. */
size_t compressor_memory(const struct compressor *compressor);
