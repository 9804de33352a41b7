/* TurboSHAKE and KangarooTwelve of Web Cryptography (RFC 9861): Keccak with twelve rounds, which
 * OpenSSL does not have. */
#include "common/cleanup.h"
#include "isolate/crypto_job.h"

#include <string.h>

#define CHUNK 8192 /* a leaf of KangarooTwelve's tree */

/* ---- Keccak-p[1600, 12] ---- */

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return bits == 0 ? value : value << bits | value >> (64 - bits);
}

/* Rho and pi: each lane goes to the place of the next one in their cycle. */
static void move_lanes(uint64_t lanes[25])
{
	static const uint8_t rotations[] = {1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56,
		8, 25, 43, 62, 18, 39, 61, 20, 44};
	static const uint8_t places[] = {10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13,
		12, 2, 20, 14, 22, 9, 6, 1};
	uint64_t carried = lanes[1];
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		const uint64_t next = lanes[places[i]];
		lanes[places[i]] = rotate(carried, rotations[i]);
		carried = next;
	}
}

static void permute(uint64_t lanes[25])
{
	static const uint64_t constants[] = {0x000000008000808b, 0x800000000000008b,
		0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
		0x000000000000800a, 0x800000008000000a, 0x8000000080008081, 0x8000000000008080,
		0x0000000080000001, 0x8000000080008008};
	uint64_t columns[5], row[5];
	for (size_t round = 0; round < ARRAY_LENGTH(constants); round++) {
		for (size_t x = 0; x < 5; x++)
			columns[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^
				     lanes[x + 20];
		for (size_t i = 0; i < 25; i++)
			lanes[i] ^= columns[(i % 5 + 4) % 5] ^ rotate(columns[(i % 5 + 1) % 5], 1);
		move_lanes(lanes);
		for (size_t y = 0; y < 25; y += 5) {
			memcpy(row, lanes + y, sizeof row);
			for (size_t x = 0; x < 5; x++)
				lanes[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
		}
		lanes[0] ^= constants[round];
	}
}

/* ---- the sponge ---- */

struct sponge {
	uint64_t lanes[25]; /* little-endian, as all machines that this runs on */
	size_t rate, used;
};

static void absorb(struct sponge *sponge, const unsigned char *data, size_t length)
{
	unsigned char *state = (unsigned char *)sponge->lanes;
	for (size_t i = 0; i < length; i++) {
		state[sponge->used++] ^= data[i];
		if (sponge->used == sponge->rate) {
			permute(sponge->lanes);
			sponge->used = 0;
		}
	}
}

static void squeeze(struct sponge *sponge, unsigned char domain, unsigned char *out, size_t length)
{
	unsigned char *state = (unsigned char *)sponge->lanes;
	state[sponge->used] ^= domain;
	state[sponge->rate - 1] ^= 0x80;
	while (length > 0) {
		const size_t count = length < sponge->rate ? length : sponge->rate;
		permute(sponge->lanes);
		memcpy(out, state, count);
		out += count;
		length -= count;
	}
}

/* ---- the jobs ---- */

struct shake_job {
	struct crypto_job job;
	size_t rate;
	unsigned char domain;
	size_t length;
	struct crypto_bytes data, customization;
	size_t chunk_used, chunks; /* KangarooTwelve: of the leaf that is being read */
	struct sponge trunk, leaf;
};

static void clear(void *state)
{
	struct shake_job *job = state;
	crypto_bytes_clear(&job->data);
	crypto_bytes_clear(&job->customization);
}

static bool invalid(struct engine *engine, const char *what)
{
	engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "%s is out of range", what);
	return false;
}

static bool take_length(struct engine *engine, struct engine_call *call, struct shake_job *job)
{
	const double length = engine_argument_number(call, 3);
	if (!(length >= 0 && length <= INT32_MAX))
		return invalid(engine, "length");
	job->length = (size_t)length;
	return true;
}

static bool take_rate(struct engine *engine, struct engine_call *call, const char *narrow,
	const char *wide, struct shake_job *job)
{
	cleanup_free char *name = crypto_take_text(engine, call, 1, "algorithm");
	if (!name)
		return false;
	if (strcmp(name, narrow) != 0 && strcmp(name, wide) != 0)
		return invalid(engine, "algorithm");
	job->rate = strcmp(name, wide) == 0 ? 136 : 168;
	return take_length(engine, call, job) &&
	       crypto_take_bytes(engine, engine_call_argument(engine, call, 4), CRYPTO_COPY, "data",
		       &job->data);
}

/* TurboShakeJob(mode, algorithm, domain, bytes of output, data) */
static bool turbo_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct shake_job *job = state;
	const double domain = engine_argument_number(call, 2);
	if (!(domain >= 1 && domain <= 0x7f))
		return invalid(engine, "domainSeparation");
	job->domain = (unsigned char)domain;
	return take_rate(engine, call, "TurboSHAKE128", "TurboSHAKE256", job);
}

static bool turbo_work(void *state)
{
	struct shake_job *job = state;
	struct sponge sponge = {.rate = job->rate};
	if (!crypto_bytes_new(&job->job.out, job->length))
		return false;
	absorb(&sponge, job->data.data, job->data.length);
	squeeze(&sponge, job->domain, job->job.out.data, job->length);
	return true;
}

/* KangarooTwelveJob(mode, algorithm, customization, bytes of output, data) */
static bool kangaroo_configure(struct engine *engine, struct engine_call *call, void *state)
{
	struct shake_job *job = state;
	return take_rate(engine, call, "KT128", "KT256", job) &&
	       crypto_take_optional(
		       engine, call, 2, CRYPTO_COPY, "customization", &job->customization);
}

static void end_leaf(struct shake_job *job)
{
	unsigned char value[64];
	const size_t length = job->rate == 168 ? 32 : 64;
	squeeze(&job->leaf, 0x0b, value, length);
	absorb(&job->trunk, value, length);
	job->leaf = (struct sponge){.rate = job->rate};
	job->chunk_used = 0;
	job->chunks++;
}

/* The first chunk goes into the trunk, each other one becomes a leaf. */
static void read_tree(struct shake_job *job, const unsigned char *data, size_t length)
{
	static const unsigned char mark[8] = {3};
	while (length > 0) {
		if (job->chunks > 0 && job->chunk_used == CHUNK)
			end_leaf(job);
		if (job->chunks == 0 && job->chunk_used == CHUNK) {
			absorb(&job->trunk, mark, sizeof mark);
			job->chunk_used = 0;
			job->chunks = 1;
		}
		const size_t room = CHUNK - job->chunk_used;
		const size_t count = length < room ? length : room;
		absorb(job->chunks == 0 ? &job->trunk : &job->leaf, data, count);
		job->chunk_used += count;
		data += count;
		length -= count;
	}
}

/* Big-endian, without zeros in front, then how many bytes that are. */
static size_t encode_length(size_t value, unsigned char *out)
{
	size_t count = 0, used = 0;
	while (count < sizeof value && value >> 8 * count)
		count++;
	for (size_t i = count; i > 0; i--)
		out[used++] = (unsigned char)(value >> 8 * (i - 1));
	out[used++] = (unsigned char)count;
	return used;
}

static bool kangaroo_work(void *state)
{
	struct shake_job *job = state;
	unsigned char length[sizeof(size_t) + 3];
	if (!crypto_bytes_new(&job->job.out, job->length))
		return false;
	job->trunk = job->leaf = (struct sponge){.rate = job->rate};
	read_tree(job, job->data.data, job->data.length);
	read_tree(job, job->customization.data, job->customization.length);
	read_tree(job, length, encode_length(job->customization.length, length));
	const bool single = job->chunks == 0;
	if (!single) {
		end_leaf(job);
		size_t used = encode_length(job->chunks - 1, length);
		length[used++] = 0xff;
		length[used++] = 0xff;
		absorb(&job->trunk, length, used);
	}
	squeeze(&job->trunk, single ? 0x07 : 0x06, job->job.out.data, job->length);
	return true;
}

static const struct crypto_job_type turbo_job = {
	.name = "TurboShakeJob",
	.size = sizeof(struct shake_job),
	.configure = turbo_configure,
	.work = turbo_work,
	.clear = clear,
};
CRYPTO_JOB(turbo_job)

static const struct crypto_job_type kangaroo_job = {
	.name = "KangarooTwelveJob",
	.size = sizeof(struct shake_job),
	.configure = kangaroo_configure,
	.work = kangaroo_work,
	.clear = clear,
};
CRYPTO_JOB(kangaroo_job)

static const struct engine_class classes[] = {
	CRYPTO_JOB_CLASS(turbo_job, "TurboShakeJob"),
	CRYPTO_JOB_CLASS(kangaroo_job, "KangarooTwelveJob"),
};

const struct native_module crypto_turboshake_natives = {
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
};
