#include "isolate/server_tls.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/protocol.h"
#include "common/site.h"
#include "isolate/channel.h"
#include "isolate/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only those that HTTP/2 allows (RFC 9113 section 9.2.2), for HTTP/1.1 too. */
#define CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TICKET_MS (60 * 60 * 1000) /* a key seals tickets that long, and opens them twice */

struct certificate {
	struct certificate *next;
	char *host;
	X509 *own;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};

static SSL_CTX *ctx;             /* made with the first certificate */
static struct certificate *list; /* in use */

static void free_list(struct certificate **from)
{
	while (*from) {
		struct certificate *one = *from;
		*from = one->next;
		X509_free(one->own);
		EVP_PKEY_free(one->key);
		sk_X509_pop_free(one->chain, X509_free);
		free(one->host);
		free(one);
	}
}

/* ---- which one ---- */

static const struct certificate *find(const char *host)
{
	const struct certificate *best = NULL;
	for (const struct certificate *one = list; one; one = one->next)
		if (site_host_matches(one->host, host) &&
			(!best || site_compare(one->host, "/", best->host, "/") > 0))
			best = one;
	return best;
}

static int on_name(SSL *ssl, int *ret_alert, void *arg)
{
	char host[SITE_HOST_MAX + 1];
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct certificate *one = NULL;
	(void)arg;
	if (name && site_host(name, strlen(name), host) == 0)
		one = find(host);
	*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
	if (!one)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	if (SSL_use_cert_and_key(ssl, one->own, one->key, one->chain, 1) == 1)
		return SSL_TLSEXT_ERR_OK;
	*ret_alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_protocols(SSL *ssl, const unsigned char **ret_protocol, unsigned char *ret_length,
	const unsigned char *offered, unsigned offered_length, void *arg)
{
	static const unsigned char spoken[] = "\x02h2\x08http/1.1";
	/* A session of node:tls is for a program's own server. */
	const size_t skipped = SSL_get_app_data(ssl) ? sizeof "\x02h2" - 1 : 0;
	unsigned char *protocol;
	(void)arg;
	if (SSL_select_next_proto(&protocol, ret_length, spoken + skipped,
		    (unsigned)(sizeof spoken - 1 - skipped), offered,
		    offered_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
	*ret_protocol = protocol;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- tickets ---- */

/* What a client keeps to resume with: sealed with keys of this process, that nobody else has
 * and that do not stay, so that what was recorded can soon be read by nobody. */
static struct ticket_key {
	unsigned char name[16], cipher[32], mac[32];
	uint64_t made_ms;
} keys[2]; /* now, before */

static bool renew_keys(void)
{
	struct ticket_key fresh = {.made_ms = clock_ms()};
	if (keys[0].made_ms && fresh.made_ms - keys[0].made_ms < TICKET_MS)
		return true;
	if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 ||
		RAND_priv_bytes(fresh.cipher, sizeof fresh.cipher) != 1 ||
		RAND_priv_bytes(fresh.mac, sizeof fresh.mac) != 1)
		return false;
	const bool idle = keys[0].made_ms && fresh.made_ms - keys[0].made_ms >= 2 * TICKET_MS;
	keys[1] = idle ? (struct ticket_key){0} : keys[0];
	keys[0] = fresh;
	explicit_bzero(&fresh, sizeof fresh);
	return true;
}

static const struct ticket_key *key_of(const unsigned char name[16])
{
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
		if (keys[i].made_ms && memcmp(keys[i].name, name, sizeof keys[i].name) == 0)
			return &keys[i];
	return NULL;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seal)
{
	static char digest[] = "SHA256";
	(void)ssl;
	if (!renew_keys())
		return -1;
	const struct ticket_key *key = seal ? &keys[0] : key_of(name);
	if (!key)
		return 0; /* a whole handshake, then */
	if (seal) {
		memcpy(name, key->name, sizeof key->name);
		if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1)
			return -1;
	}
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, seal) != 1 ||
		EVP_MAC_CTX_set_params(mac, parameters) != 1)
		return -1;
	return key == &keys[0] ? 1 : 2; /* 2: and a new one */
}

/* ---- the context ---- */

static bool make_context(void)
{
	static const unsigned char name[] = "tenantd-http";
	if (ctx)
		return true;
	SSL_CTX *fresh = tls_context_new();
	if (!fresh)
		return false;
	SSL_CTX_set_options(fresh, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(fresh, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(fresh, name, sizeof name - 1);
	SSL_CTX_set_timeout(fresh, TICKET_MS / 1000);
	SSL_CTX_set_num_tickets(fresh, 1);
	SSL_CTX_set_verify(fresh, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_tlsext_servername_callback(fresh, on_name);
	SSL_CTX_set_alpn_select_cb(fresh, on_protocols, NULL);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(fresh, on_ticket);
	if (SSL_CTX_set_cipher_list(fresh, CIPHERS_TLS12) != 1) {
		SSL_CTX_free(fresh);
		return false;
	}
	ctx = fresh;
	return true;
}

bool server_tls_ready(void)
{
	return list != NULL;
}

bool server_tls_open(struct tls_pipe *pipe)
{
	return list && tls_pipe_open(pipe, ctx, true);
}

SSL_CTX *server_tls_context(void)
{
	if (list == NULL || SSL_CTX_up_ref(ctx) != 1)
		return NULL;
	return ctx;
}

bool server_tls_speaks_http2(const struct tls_pipe *pipe)
{
	const unsigned char *protocol;
	unsigned length;
	SSL_get0_alpn_selected(pipe->ssl, &protocol, &length);
	return length == 2 && memcmp(protocol, "h2", 2) == 0;
}

/* ---- CERTIFICATES ---- */

static BIO *bio_of(const char *text)
{
	return BIO_new_mem_buf(text, (int)strlen(text));
}

/* Whether a client can be shown it, which is when OpenSSL would say no. */
static bool usable(const struct certificate *one)
{
	SSL *ssl = SSL_new(ctx);
	const bool good = ssl && SSL_use_cert_and_key(ssl, one->own, one->key, one->chain, 1) == 1;
	SSL_free(ssl);
	return good;
}

/* NULL, with OpenSSL's reason in its queue. */
static struct certificate *read_certificate(const struct worker_certificate *from)
{
	struct certificate *one = calloc(1, sizeof *one);
	BIO *chain = bio_of(from->chain), *key = bio_of(from->key);
	ERR_clear_error();
	bool good = one && chain && key && make_context();
	if (good) {
		one->host = strdup(from->host);
		good = one->host && tls_read_chain(chain, &one->own, &one->chain) &&
		       (one->key = tls_read_key(key, NULL)) != NULL && usable(one);
	}
	BIO_free(chain);
	BIO_free(key);
	if (!good && one)
		free_list(&one);
	return good ? one : NULL;
}

static void say_why(const char *host)
{
	char reason[256];
	const unsigned long number = ERR_peek_error();
	ERR_error_string_n(number, reason, sizeof reason);
	log_error("worker: the certificate of %s cannot be used (%s): those from before stay", host,
		number ? reason : "no memory");
	ERR_clear_error();
}

/* All change at once, or none. */
static void replace(const struct worker_certificate *from, size_t count)
{
	struct certificate *fresh = NULL;
	for (size_t i = 0; i < count; i++) {
		struct certificate *one = read_certificate(&from[i]);
		if (!one) {
			say_why(from[i].host);
			free_list(&fresh);
			return;
		}
		one->next = fresh;
		fresh = one;
	}
	free_list(&list); /* connections under way hold what they were shown */
	list = fresh;
}

/* The whole memfd in memory that the caller wipes and frees. NULL: it is not as it must be. */
static char *read_memory(int fd, size_t *ret_length)
{
	struct stat status;
	if (fstat(fd, &status) < 0 || status.st_size <= 0 ||
		status.st_size > CERTIFICATES_BYTES_MAX)
		return NULL;
	const size_t size = (size_t)status.st_size;
	char *data = malloc(size);
	size_t length = 0;
	ssize_t count = 1;
	while (data && length < size && count > 0) {
		count = pread(fd, data + length, size - length, (off_t)length);
		if (count > 0)
			length += (size_t)count;
	}
	*ret_length = length;
	return data;
}

static void on_certificates(const void *message, size_t length, int *fds, size_t fd_count)
{
	static struct worker_certificate certificates[CERTIFICATES_MAX];
	struct error error;
	size_t size = 0;
	(void)message;
	(void)length;
	(void)fd_count; /* 1: the rules say so */
	char *data = read_memory(fds[0], &size);
	close(fds[0]);
	ssize_t count = data ? worker_certificates_decode(data, size, certificates, &error) : -1;
	if (count >= 0)
		replace(certificates, (size_t)count);
	else
		log_error("worker: certificates that cannot be read: those from before stay");
	/* The keys are in OpenSSL's memory now, and nowhere else in this process. */
	if (data)
		explicit_bzero(data, size);
	free(data);
}

void server_tls_watch(void)
{
	channel_on(MESSAGE_CERTIFICATES, on_certificates);
}
