/* Signatures of releases: a text of six lines that says who vouches for what, Ed25519
 * (RFC 8032) over all of it but the last line.
 *
 *   tenantd-signature-1
 *   release 64 hexadecimal digits: the id, i.e. the hash of every file
 *   tenant NAME, or - for any tenant
 *   time 2026-11-21T17:00:00Z
 *   key BASE64 of the public key
 *   signature BASE64
 *
 * The first line keeps a signature from being taken for one over anything else that the key
 * may have signed. There is one way to write a signature: whatever differs is refused.
 *
 * Public keys are either 32 bytes in base64 or a file, as `openssl pkey -pubout` writes it. */
#pragma once

#include "common/error.h"
#include "deploy/store.h"

#include <stddef.h>

#define SIGNATURE_KEY_SIZE 32
#define SIGNATURE_BYTES 64
#define SIGNATURE_TEXT_MAX 512
#define SIGNATURE_KEY_TEXT_SIZE 45 /* base64 of a key, NUL included */
#define SIGNATURE_TIME_SIZE 21
#define SIGNATURE_TENANT_SIZE 64
#define SIGNATURE_SUFFIX ".sig" /* of the file beside what it signs */

struct signature {
	char release[STORE_ID_SIZE];
	char tenant[SIGNATURE_TENANT_SIZE]; /* "": any */
	char time[SIGNATURE_TIME_SIZE];
	unsigned char key[SIGNATURE_KEY_SIZE];
	unsigned char bytes[SIGNATURE_BYTES];
};

/* Reads LENGTH bytes of TEXT. -EINVAL says in which line what is wrong. Nothing is verified. */
int signature_parse(
	const char *text, size_t length, struct signature *ret_signature, struct error *error);
void signature_print(const struct signature *signature, char ret_text[SIGNATURE_TEXT_MAX]);

/* Has the holder of signature->key signed this? -EBADMSG if not. */
int signature_verify(const struct signature *signature, struct error *error);

/* Is TEXT the signature of one of COUNT KEYS (base64, or paths of files) over RELEASE for
 * TENANT? 0 and, where RET_KEY is not NULL, the key in base64. -EKEYREJECTED with what is
 * wrong; other errors when a key cannot be read. */
int signature_check(const char *text, const char *const *keys, size_t count, const char *release,
	const char *tenant, char ret_key[SIGNATURE_KEY_TEXT_SIZE], struct error *error);

/* Signs RELEASE for TENANT (NULL: any) with the private key in the file KEY_PATH. */
int signature_make(const char *key_path, const char *release, const char *tenant,
	struct signature *ret_signature, struct error *error);

/* ---- keys: signature_key.c ---- */

/* Writes a new private key to PATH (mode 0600) and its public key to PATH.pub; neither may
 * exist. */
int signature_key_generate(
	const char *path, unsigned char ret_public[SIGNATURE_KEY_SIZE], struct error *error);
/* A public key: base64, or the absolute path of a file that root alone (or the caller) may
 * write. */
int signature_key_read(
	const char *where, unsigned char ret_key[SIGNATURE_KEY_SIZE], struct error *error);
/* The private key in the file PATH, which nobody else may read. An EVP_PKEY. */
struct evp_pkey_st *signature_private_key_read(const char *path, struct error *error);
void signature_key_print(
	const unsigned char key[SIGNATURE_KEY_SIZE], char ret_text[SIGNATURE_KEY_TEXT_SIZE]);
/* Base64 of exactly SIZE bytes, at most SIGNATURE_BYTES of them, in the one way that they are
 * written. */
int signature_base64(const char *text, size_t length, unsigned char *ret_bytes, size_t size);
