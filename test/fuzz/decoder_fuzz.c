/* What a server sends as an encoded body (isolate/content_decoder.c). The first byte says
 * which codings and how large the pieces are; the output is bounded as fetch's is. */
#include "common/cleanup.h"
#include "isolate/content_decoder.h"

#include <stdint.h>
#include <string.h>

#define OUTPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const codings[] = {
	"gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip", "br, br", "identity"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char output[4096];
	struct content_decoder *decoder;
	if (size < 1)
		return 0;
	const char *coding = codings[data[0] % ARRAY_LENGTH(codings)], *bad;
	size_t piece = (size_t)(data[0] >> 3) * 7 + 1, room = data[0] & 0x80 ? 1 : sizeof output;
	if (content_decoder_new(coding, strlen(coding), &decoder) < 0 || !decoder)
		return 0;
	size_t total = 0, at = 1, fed = 1;
	while (total < OUTPUT_MAX && !content_decoder_done(decoder)) {
		/* As fetch_body.c: what was not used up is fed again, with more behind it. */
		fed = fed + piece < size ? fed + piece : size;
		content_decoder_feed(decoder, data + at, fed - at);
		if (fed == size)
			content_decoder_end(decoder);
		ssize_t length = content_decoder_read(decoder, output, room, &bad);
		if (length < 0 || (length == 0 && fed == size))
			break;
		total += (size_t)length;
		at = fed - content_decoder_left(decoder);
	}
	content_decoder_free(decoder);
	return 0;
}
