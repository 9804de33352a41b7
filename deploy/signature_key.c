/* Keys on the disk and in policies. */
#include "common/cleanup.h"
#include "common/file.h"
#include "deploy/signature.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE_MAX (16 * 1024)
#define BASE64_MAX 89 /* of SIGNATURE_BYTES, NUL included */

int signature_base64(const char *text, size_t length, unsigned char *ret_bytes, size_t size)
{
	unsigned char decoded[BASE64_MAX], again[BASE64_MAX];
	if (size > SIGNATURE_BYTES || length != (size + 2) / 3 * 4)
		return -EINVAL;
	if (EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)length) < 0)
		return -EINVAL;
	/* OpenSSL is lenient: spaces, and bits that belong to nothing. */
	EVP_EncodeBlock(again, decoded, (int)size);
	if (memcmp(again, text, length) != 0)
		return -EINVAL;
	memcpy(ret_bytes, decoded, size);
	return 0;
}

void signature_key_print(
	const unsigned char key[SIGNATURE_KEY_SIZE], char ret_text[SIGNATURE_KEY_TEXT_SIZE])
{
	EVP_EncodeBlock((unsigned char *)ret_text, key, SIGNATURE_KEY_SIZE);
}

/* ---- files ---- */

/* Reads a key's file, after a look at who may do what FORBIDDEN (mode bits) says. */
static int read_key_file(const char *path, mode_t forbidden, const char *advice, char **ret_text,
	size_t *ret_length, struct error *error)
{
	struct stat status;
	/* Opening a FIFO would wait for its writer. */
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot open the key %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "the key %s is not a regular file", path);
	if ((status.st_uid != 0 && status.st_uid != geteuid()) || (status.st_mode & forbidden))
		return error_set(error, EPERM, "the key %s %s", path, advice);
	if (status.st_size > KEY_FILE_MAX)
		return error_set(
			error, EFBIG, "the key %s has more than %d bytes", path, KEY_FILE_MAX);
	char *text = calloc(1, KEY_FILE_MAX + 1);
	ssize_t length = text ? pread(fd, text, KEY_FILE_MAX, 0) : -1;
	if (length < 0) {
		int code = text ? errno : ENOMEM;
		free(text);
		return error_errno(error, code, "cannot read the key %s", path);
	}
	*ret_text = text;
	*ret_length = (size_t)length;
	return 0;
}

static bool is_ed25519(const EVP_PKEY *key)
{
	return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
}

int signature_key_read(
	const char *where, unsigned char ret_key[SIGNATURE_KEY_SIZE], struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length, size = SIGNATURE_KEY_SIZE;
	/* A key may begin with a slash, too: it is one digit of 64. */
	if (signature_base64(where, strlen(where), ret_key, SIGNATURE_KEY_SIZE) == 0)
		return 0;
	if (where[0] != '/')
		return error_set(
			error, EINVAL, "a public key is 32 bytes in base64, or the path of a file");
	int result = read_key_file(where, S_IWGRP | S_IWOTH,
		"may be changed by others: it must be root's, and only root's to write", &text,
		&length, error);
	if (result < 0)
		return result;
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	bool good = is_ed25519(key) && EVP_PKEY_get_raw_public_key(key, ret_key, &size) == 1 &&
		    size == SIGNATURE_KEY_SIZE;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return good ? 0
		    : error_set(error, EINVAL,
			      "%s is no public key for Ed25519: `tenantctl keygen` makes them",
			      where);
}

static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)data;
	return -1;
}

EVP_PKEY *signature_private_key_read(const char *path, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length;
	if (read_key_file(path, S_IRWXG | S_IRWXO,
		    "may be read by others: it must be yours alone (chmod 600)", &text, &length,
		    error) < 0)
		return NULL;
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	explicit_bzero(text, length);
	if (is_ed25519(key))
		return key;
	EVP_PKEY_free(key);
	error_set(error, EINVAL,
		"%s is no private key for Ed25519 without a passphrase: `tenantctl keygen` makes "
		"them",
		path);
	return NULL;
}

/* ---- a new key ---- */

static int write_new(const char *path, mode_t mode, BIO *content, struct error *error)
{
	char *data;
	long length = BIO_get_mem_data(content, &data);
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 && errno == EEXIST)
		return error_set(error, EEXIST, "%s is there already: choose another name", path);
	if (fd < 0)
		return error_errno(error, errno, "cannot make %s", path);
	int result = file_write_all(fd, data, (size_t)length);
	if (result == 0 && fsync(fd) < 0)
		result = -errno;
	if (result < 0) {
		unlink(path);
		return error_errno(error, result, "cannot write %s", path);
	}
	return 0;
}

int signature_key_generate(
	const char *path, unsigned char ret_public[SIGNATURE_KEY_SIZE], struct error *error)
{
	char public_path[4096];
	size_t size = SIGNATURE_KEY_SIZE;
	if (snprintf(public_path, sizeof public_path, "%s.pub", path) >= (int)sizeof public_path)
		return error_set(error, ENAMETOOLONG, "the path is too long");
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *private_text = BIO_new(BIO_s_secmem()), *public_text = BIO_new(BIO_s_mem());
	bool good = key && private_text && public_text &&
		    EVP_PKEY_get_raw_public_key(key, ret_public, &size) == 1 &&
		    PEM_write_bio_PrivateKey(private_text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		    PEM_write_bio_PUBKEY(public_text, key) == 1;
	int result = good ? write_new(path, 0600, private_text, error)
			  : error_set(error, EIO, "OpenSSL could not make a key");
	if (result == 0) {
		result = write_new(public_path, 0644, public_text, error);
		if (result < 0)
			unlink(path);
	}
	BIO_free(private_text);
	BIO_free(public_text);
	EVP_PKEY_free(key);
	return result;
}
