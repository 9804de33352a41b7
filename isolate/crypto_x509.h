/* What node:crypto and node:tls show of certificates. */
#pragma once

#include "isolate/crypto.h"

#include <openssl/x509.h>

/* Extensions as texts, in a form that has one meaning only: NULL when the certificate has none,
 * or none that can be read. */
engine_value *crypto_x509_alt_names(struct engine *engine, const X509 *certificate);
engine_value *crypto_x509_info_access(struct engine *engine, const X509 *certificate);
/* "AB:CD:…" of the certificate's digest. */
engine_value *crypto_x509_fingerprint(
	struct engine *engine, const X509 *certificate, const EVP_MD *digest);
/* The numbers of the purposes (extended key usage), an array; NULL without the extension. */
engine_value *crypto_x509_purposes(struct engine *engine, const X509 *certificate);
engine_value *crypto_x509_serial_number(struct engine *engine, const X509 *certificate);
engine_value *crypto_x509_time(struct engine *engine, const ASN1_TIME *time);
/* What a memory BIO holds. */
engine_value *crypto_bio_string(struct engine *engine, BIO *bio);
