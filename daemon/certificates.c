#include "daemon/certificates.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "common/protocol.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct pair {
	char *host, *certificate, *key; /* as the policy names them */
	char *chain_text, *key_text;
};

struct certificates {
	size_t count;
	struct pair items[];
};

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void pair_clear(struct pair *pair)
{
	free(pair->host);
	free(pair->certificate);
	free(pair->key);
	free(pair->chain_text);
	wipe(pair->key_text);
	*pair = (struct pair){0};
}

struct certificates *certificates_free(struct certificates *certificates)
{
	for (size_t i = 0; certificates && i < certificates->count; i++)
		pair_clear(&certificates->items[i]);
	free(certificates);
	return NULL;
}

/* ---- files ---- */

/* Links are followed, as those that clients of ACME leave: who may change one may change the
 * policy, too. SECRET: nobody but its owner and group may read it. */
static int check_file(int fd, const char *path, bool secret, struct error *error)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "cannot look at %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s is not a regular file", path);
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return error_set(error, EPERM,
			"%s belongs to user %u, and must belong to tenantd's (%u): chown it", path,
			status.st_uid, geteuid());
	if (secret && (status.st_mode & (S_IRWXO | S_IWGRP)))
		return error_set(error, EPERM,
			"%s can be read or changed by others (mode %04o): chmod 0600 it", path,
			status.st_mode & 07777);
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(error, EPERM,
			"%s can be changed by others than its owner (mode %04o): chmod go-w it",
			path, status.st_mode & 07777);
	return 0;
}

static int read_text(
	const char *path, size_t most, bool secret, char **ret_text, struct error *error)
{
	size_t length = 0;
	ssize_t count = 1;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_errno(error, errno, "cannot open %s", path);
	int result = check_file(fd, path, secret, error);
	char *text = result == 0 ? malloc(most + 2) : NULL;
	if (result == 0 && text == NULL)
		result = error_set(error, ENOMEM, "no memory for %s", path);
	while (result == 0 && length <= most && count > 0) {
		count = read(fd, text + length, most + 1 - length);
		if (count > 0)
			length += (size_t)count;
		else if (count < 0)
			result = error_errno(error, errno, "cannot read %s", path);
	}
	if (result == 0 && length > most)
		result = error_set(error, EFBIG, "%s is larger than %zu bytes", path, most);
	if (result == 0 && memchr(text, '\0', length))
		result = error_set(error, EINVAL, "%s has a zero byte: it must be PEM", path);
	if (result == 0) {
		text[length] = '\0';
		*ret_text = strdup(text); /* of its own size */
		if (*ret_text == NULL)
			result = error_set(error, ENOMEM, "no memory for %s", path);
	}
	if (text)
		explicit_bzero(text, most + 2);
	free(text);
	return result;
}

/* ---- do they fit? ---- */

/* A daemon without a terminal asks nobody. */
static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)data;
	return -1;
}

static X509 *read_own(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));
	X509 *own = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return own;
}

static EVP_PKEY *read_key(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	return key;
}

/* What a client will not like; it may be meant so. */
static void warn(const char *tenant, const struct pair *pair, X509 *own)
{
	const char *name = pair->host[0] == '*' ? pair->host + 2 : pair->host;
	char below[512];
	snprintf(below, sizeof below, "%s%s", pair->host[0] == '*' ? "any." : "", name);
	if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
		log_warn("event=certificate-expired tenant=%s host=%s message=\"%s\"", tenant,
			pair->host, escape_for_log(pair->certificate));
	if (X509_check_host(own, below, 0, 0, NULL) != 1)
		log_warn("event=certificate-of-other tenant=%s host=%s message=\"%s is not for "
			 "this name\"",
			tenant, pair->host, escape_for_log(pair->certificate));
}

static int check_pair(const char *tenant, const struct pair *pair, struct error *error)
{
	int result = 0;
	X509 *own = read_own(pair->chain_text);
	EVP_PKEY *key = read_key(pair->key_text);
	if (own == NULL)
		result =
			error_set(error, EINVAL, "%s has no certificate in PEM", pair->certificate);
	else if (key == NULL)
		result = error_set(
			error, EINVAL, "%s has no key in PEM without a passphrase", pair->key);
	else if (X509_check_private_key(own, key) != 1)
		result =
			error_set(error, EINVAL, "the key %s does not belong to the certificate %s",
				pair->key, pair->certificate);
	else
		warn(tenant, pair, own);
	ERR_clear_error();
	X509_free(own);
	EVP_PKEY_free(key);
	return result;
}

/* ---- all of a tenant ---- */

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static int read_pair(
	const char *tenant, const struct policy_site *site, struct pair *pair, struct error *error)
{
	*pair = (struct pair){
		.host = strdup(site->host),
		.certificate = strdup(site->certificate),
		.key = strdup(site->key),
	};
	int result = pair->host && pair->certificate && pair->key
			     ? 0
			     : error_set(error, ENOMEM, "no memory for certificates");
	if (result == 0)
		result = read_text(
			site->certificate, CERTIFICATE_CHAIN_MAX, false, &pair->chain_text, error);
	if (result == 0)
		result = read_text(site->key, CERTIFICATE_KEY_MAX, true, &pair->key_text, error);
	return result < 0 ? result : check_pair(tenant, pair, error);
}

static bool copy_pair(
	const struct certificates *from, const struct policy_site *site, struct pair *pair)
{
	pair_clear(pair);
	for (size_t i = 0; from && i < from->count; i++) {
		const struct pair *old = &from->items[i];
		if (!same(old->host, site->host) || !same(old->certificate, site->certificate) ||
			!same(old->key, site->key))
			continue;
		*pair = (struct pair){strdup(old->host), strdup(old->certificate), strdup(old->key),
			strdup(old->chain_text), strdup(old->key_text)};
		if (pair->host && pair->certificate && pair->key && pair->chain_text &&
			pair->key_text)
			return true;
		pair_clear(pair);
	}
	return false;
}

/* One of them. 1: it is there; 0: it is left out. */
static int take(const char *tenant, const struct policy_sites *sites, size_t index,
	const struct certificates *before, bool strict, struct pair *pair, struct error *error)
{
	const struct policy_site *site = &sites->items[index];
	struct error problem = {0};
	if (read_pair(tenant, site, pair, &problem) == 0)
		return 1;
	const bool kept = copy_pair(before, site, pair);
	if (!kept && strict) {
		*error = problem;
		return error_prefix(error, "/permissions/net/ingress/%zu", index);
	}
	log_error("event=certificate-%s tenant=%s host=%s message=\"%s\"",
		kept ? "kept" : "missing", tenant, site->host, escape_for_log(problem.message));
	return kept;
}

int certificates_read(const char *tenant, const struct policy_sites *sites,
	const struct certificates *before, bool strict, struct certificates **ret,
	struct error *error)
{
	size_t wanted = 0;
	int result = 0;
	*ret = NULL;
	for (size_t i = 0; i < sites->count; i++)
		wanted += sites->items[i].certificate != NULL;
	if (wanted == 0)
		return 0;
	struct certificates *all = calloc(1, sizeof *all + wanted * sizeof all->items[0]);
	if (all == NULL)
		return error_set(error, ENOMEM, "no memory for certificates");
	for (size_t i = 0; result >= 0 && i < sites->count; i++) {
		if (sites->items[i].certificate == NULL)
			continue;
		struct pair *pair = &all->items[all->count];
		result = take(tenant, sites, i, before, strict, pair, error);
		if (result == 1)
			all->count++;
		else
			pair_clear(pair);
	}
	if (result < 0) {
		certificates_free(all);
		return result;
	}
	*ret = all;
	return 0;
}

bool certificates_equal(const struct certificates *a, const struct certificates *b)
{
	const size_t count = a ? a->count : 0;
	if (count != (b ? b->count : 0))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!same(a->items[i].host, b->items[i].host) ||
			!same(a->items[i].chain_text, b->items[i].chain_text) ||
			!same(a->items[i].key_text, b->items[i].key_text))
			return false;
	return true;
}

int certificates_memory(const struct certificates *certificates)
{
	static struct worker_certificate list[CERTIFICATES_MAX];
	_Static_assert(CERTIFICATES_MAX >= POLICY_LIST_MAX, "a tenant's certificates fit");
	const size_t count = certificates ? certificates->count : 0;
	size_t size = 64;
	for (size_t i = 0; i < count; i++) {
		const struct pair *pair = &certificates->items[i];
		list[i] = (struct worker_certificate){pair->host, pair->chain_text, pair->key_text};
		size += strlen(pair->host) + strlen(pair->chain_text) + strlen(pair->key_text) + 64;
	}
	if (size > CERTIFICATES_BYTES_MAX)
		return -EFBIG;
	cleanup_close int fd = memfd_create("certificates", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* Linux before 6.3 */
		fd = memfd_create("certificates", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	char *data = malloc(size);
	if (data == NULL)
		return -ENOMEM;
	ssize_t length = worker_certificates_encode(list, count, data, size);
	int result = length < 0 ? (int)length : file_write_all(fd, data, (size_t)length);
	explicit_bzero(data, size);
	free(data);
	return result < 0 ? result : take_fd(&fd);
}

/* ---- for the next daemon ---- */

json_t *certificates_pack(const struct certificates *certificates, struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; certificates && i < certificates->count; i++) {
		const struct pair *pair = &certificates->items[i];
		json_array_append_new(list,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "host", takeover_text(pair->host),
				"certificate", takeover_text(pair->certificate), "key",
				takeover_text(pair->key), "chain_text",
				takeover_put_bytes(
					takeover, pair->chain_text, strlen(pair->chain_text)),
				"key_text",
				takeover_put_bytes(
					takeover, pair->key_text, strlen(pair->key_text))));
	}
	return list;
}

static bool restore_pair(struct pair *pair, const json_t *packed, struct takeover *takeover)
{
	size_t length;
	pair->host = strdup(takeover_string(packed, "host"));
	pair->certificate = strdup(takeover_string(packed, "certificate"));
	pair->key = strdup(takeover_string(packed, "key"));
	return pair->host && pair->certificate && pair->key &&
	       takeover_take_bytes(takeover, json_object_get(packed, "chain_text"),
		       &pair->chain_text, &length) == 0 &&
	       takeover_take_bytes(takeover, json_object_get(packed, "key_text"), &pair->key_text,
		       &length) == 0;
}

struct certificates *certificates_restore(const json_t *packed, struct takeover *takeover)
{
	const size_t count = json_array_size(packed);
	struct certificates *certificates =
		count ? calloc(1, sizeof *certificates + count * sizeof(struct pair)) : NULL;
	for (size_t i = 0; certificates && i < count; i++) {
		certificates->count++;
		if (!restore_pair(&certificates->items[i], json_array_get(packed, i), takeover))
			return certificates_free(certificates);
	}
	return certificates;
}
