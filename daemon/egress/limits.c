#include "daemon/egress/private.h"

void bucket_init(struct bucket *bucket, uint32_t rate, uint64_t now_ms)
{
	*bucket = (struct bucket){
		.rate = rate, .tokens_milli = (uint64_t)rate * 1000, .filled_ms = now_ms};
}

bool bucket_take(struct bucket *bucket, uint64_t now_ms)
{
	const uint64_t most = (uint64_t)bucket->rate * 1000;
	uint64_t passed_ms = now_ms - bucket->filled_ms;
	if (passed_ms > 1000)
		passed_ms = 1000; /* it is full after a second */
	bucket->tokens_milli += passed_ms * bucket->rate;
	if (bucket->tokens_milli > most)
		bucket->tokens_milli = most;
	bucket->filled_ms = now_ms;
	if (bucket->tokens_milli < 1000)
		return false;
	bucket->tokens_milli -= 1000;
	return true;
}
