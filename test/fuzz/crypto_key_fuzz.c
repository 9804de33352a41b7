/* Keys that programs give as PEM or DER: whatever is read can be written again, and what was
 * written is the same key. The first byte: bit 0 DER, bits 1 and 2 the structure, bit 3 any key
 * instead of a private one. */
#include "isolate/crypto_key_format.h"

#include <openssl/err.h>
#include <stdlib.h>

static void write_again(EVP_PKEY *pkey, bool private)
{
	struct crypto_encoding encoding = {
		.format = CRYPTO_DER,
		.structure = private ? CRYPTO_PKCS8 : CRYPTO_SPKI,
	};
	cleanup_bytes struct crypto_bytes bytes = {0};
	bool is_private, locked;
	if (private ? !crypto_write_private(pkey, &encoding, &bytes)
		    : !crypto_write_public(pkey, &encoding, &bytes))
		return; /* a key of parts that OpenSSL takes, but has no form for */
	EVP_PKEY *again =
		crypto_read_any(&encoding, bytes.data, bytes.length, &is_private, &locked);
	if (!again || is_private != private || EVP_PKEY_eq(pkey, again) == 0)
		abort();
	EVP_PKEY_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 8192)
		return 0;
	const struct crypto_encoding encoding = {
		.format = data[0] & 1 ? CRYPTO_DER : CRYPTO_PEM,
		.structure = (enum crypto_key_structure)(data[0] >> 1 & 3),
		.has_passphrase = true,
		.passphrase = {.data = (unsigned char *)"secret", .length = 6},
	};
	bool private = true, locked;
	EVP_PKEY *pkey = data[0] & 8
				 ? crypto_read_any(&encoding, data + 1, size - 1, &private, &locked)
				 : crypto_read_private(&encoding, data + 1, size - 1, &locked);
	if (pkey) {
		(void)crypto_family_of(pkey);
		(void)crypto_order_bytes(pkey);
		write_again(pkey, private);
	}
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return 0;
}
