/* Contexts of node:tls: certificates, keys, authorities, versions and ciphers of one side. */

#include "common/cleanup.h"
#include "isolate/ca_store.h"
#include "isolate/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdbool.h>
#include <string.h>

/* ---- errors ---- */

/* "ERR_SSL_WRONG_VERSION_NUMBER" of "wrong version number". */
static void code_of_reason(const char *library, const char *reason, char *code, size_t size)
{
	const bool ssl = strcmp(library, "SSL routines") == 0;
	size_t used = (size_t)snprintf(code, size, ssl ? "ERR_SSL_" : "ERR_OSSL_");
	for (const char *c = reason; *c && used + 1 < size; c++) {
		bool lower = *c >= 'a' && *c <= 'z';
		code[used++] = lower ? (char)(*c - 'a' + 'A') : *c == ' ' ? '_' : *c;
	}
	code[used] = '\0';
}

engine_value *tls_throw(struct engine *engine, const char *what)
{
	char text[512], code[128];
	const unsigned long number = ERR_get_error();
	if (number == 0)
		return engine_throw(engine, "Error", "ERR_SSL_ERROR", "%s", what);
	const char *library = ERR_lib_error_string(number);
	const char *reason = ERR_reason_error_string(number);
	/* As Node has it, without the function, whose name goes with its place in the queue. */
	snprintf(text, sizeof text, "error:%08lX:%s::%s", number, library ? library : "",
		reason ? reason : "");
	ERR_clear_error();
	code_of_reason(library ? library : "", reason ? reason : "ERROR", code, sizeof code);
	engine_value *error = engine_error_new(engine, "Error", code, text);
	if (!error)
		return NULL;
	engine_set(engine, error, "library", engine_string(engine, library ? library : ""));
	engine_set(engine, error, "reason", engine_string(engine, reason ? reason : ""));
	return engine_throw_value(engine, error);
}

/* ---- the life of a context ---- */

static int keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct tls_session *session = tls_session_of(ssl);
	if (!session || session->server)
		return 0;
	SSL_SESSION_free(session->ticket);
	session->ticket = ticket;
	return 1;
}

/* As Node: nothing is refused during the handshake, the library asks afterwards, before
 * it lets any data through. So that a program can see why. */
static int verify_later(int good, X509_STORE_CTX *store)
{
	(void)good;
	(void)store;
	return 1;
}

static int choose_alpn(SSL *ssl, const unsigned char **ret_protocol, unsigned char *ret_length,
	const unsigned char *offered, unsigned offered_length, void *arg)
{
	(void)arg;
	struct tls_session *session = tls_session_of(ssl);
	unsigned char *protocol;
	if (!session || !session->alpn)
		return SSL_TLSEXT_ERR_NOACK;
	int result = SSL_select_next_proto(&protocol, ret_length, session->alpn,
		session->alpn_length, offered, offered_length);
	*ret_protocol = protocol;
	return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Stops the server's handshake until the library has looked at the name. */
static int look_at_name(SSL *ssl, void *arg)
{
	(void)arg;
	struct tls_session *session = tls_session_of(ssl);
	if (!session || !session->server || session->sni_done)
		return 1;
	session->sni_wanted = true;
	return -1;
}

SSL_CTX *tls_context_new(void)
{
	SSL_CTX *ctx = tls_start() ? SSL_CTX_new(TLS_method()) : NULL;
	if (!ctx)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL);
	return ctx;
}

/* new TlsContext() */
engine_value *tls_context_construct(struct engine *engine, struct engine_call *call)
{
	static const unsigned char name[] = "tenantd";
	struct tls_context *context = calloc(1, sizeof *context);
	if (context)
		context->ctx = tls_context_new();
	if (!context || !context->ctx) {
		free(context);
		return tls_throw(engine, "cannot make a TLS context");
	}
	SSL_CTX_sess_set_new_cb(context->ctx, keep_ticket);
	SSL_CTX_set_session_id_context(context->ctx, name, sizeof name - 1);
	SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, verify_later);
	SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, NULL);
	SSL_CTX_set_cert_cb(context->ctx, look_at_name, NULL);
	engine_set_state(engine_call_this(engine, call), context);
	return NULL;
}

void tls_context_destroy(void *state)
{
	struct tls_context *context = state;
	SSL_CTX_free(context->ctx);
	free(context);
}

/* ---- reading what programs give ---- */

/* A copy of bytes or of a string's UTF-8. NULL when it is neither. */
static char *copy_input(struct engine *engine, engine_value *value, size_t *ret_length)
{
	void *data;
	if (engine_typeof(value) == ENGINE_STRING)
		return engine_to_utf8(engine, value, ret_length);
	if (!engine_bytes_get(value, &data, ret_length))
		return NULL;
	char *copy = malloc(*ret_length + 1);
	if (copy)
		memcpy(copy, data, *ret_length);
	return copy;
}

static BIO *bio_of(struct engine *engine, engine_value *value, char **ret_copy)
{
	size_t length = 0;
	*ret_copy = copy_input(engine, value, &length);
	if (!*ret_copy || length > INT32_MAX)
		return NULL;
	return BIO_new_mem_buf(*ret_copy, (int)length);
}

/* No question is asked of anybody: there is no terminal. */
static int give_passphrase(char *buffer, int size, int writing, void *data)
{
	(void)writing;
	const char *passphrase = data;
	size_t length = passphrase ? strlen(passphrase) : 0;
	if (!passphrase || length > (size_t)size)
		return -1;
	memcpy(buffer, passphrase, length);
	return (int)length;
}

/* Whether reading PEM ended because there is no more of it. */
static bool at_end_of_pem(void)
{
	const unsigned long last = ERR_peek_last_error();
	const bool end =
		ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
	if (end)
		ERR_clear_error();
	return end;
}

/* useSystemCa(): trusts the system's authorities. */
static engine_value *use_system_ca(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct tls_context *context = engine_call_state(call);
	SSL_CTX_set1_cert_store(context->ctx, ca_store_get());
	return NULL;
}

/* useOwnCa(): trusts what addCa adds, nothing else. */
static engine_value *use_own_ca(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	X509_STORE *store = X509_STORE_new();
	if (!store)
		return tls_throw(engine, "out of memory");
	SSL_CTX_set_cert_store(context->ctx, store);
	return NULL;
}

/* addCa(PEM): all certificates in it. Behind useOwnCa only. */
static engine_value *add_ca(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	cleanup_free char *copy = NULL;
	BIO *bio = bio_of(engine, engine_call_argument(engine, call, 0), &copy);
	size_t count = 0;
	if (!bio)
		return tls_throw(engine, "the ca option is not PEM");
	X509_STORE *store = SSL_CTX_get_cert_store(context->ctx);
	for (X509 *one; (one = PEM_read_bio_X509_AUX(bio, NULL, give_passphrase, NULL)); count++) {
		X509_STORE_add_cert(store, one);
		SSL_CTX_add_client_CA(context->ctx, one);
		X509_free(one);
	}
	BIO_free(bio);
	/* As Node: text without certificates adds nothing. */
	if (!at_end_of_pem())
		return tls_throw(engine, "the ca option is damaged");
	return engine_number(engine, (double)count);
}

/* addCrl(PEM) */
static engine_value *add_crl(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	cleanup_free char *copy = NULL;
	BIO *bio = bio_of(engine, engine_call_argument(engine, call, 0), &copy);
	X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, give_passphrase, NULL) : NULL;
	BIO_free(bio);
	if (!crl)
		return tls_throw(engine, "Failed to parse CRL");
	X509_STORE *store = SSL_CTX_get_cert_store(context->ctx);
	X509_STORE_add_crl(store, crl);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	X509_CRL_free(crl);
	return NULL;
}

bool tls_read_chain(BIO *bio, X509 **ret_own, STACK_OF(X509) * *ret_chain)
{
	X509 *own = PEM_read_bio_X509_AUX(bio, NULL, give_passphrase, NULL), *next = NULL;
	STACK_OF(X509) *chain = own ? sk_X509_new_null() : NULL;
	bool good = chain != NULL;
	while (good && (next = PEM_read_bio_X509(bio, NULL, give_passphrase, NULL))) {
		good = sk_X509_push(chain, next) > 0;
		if (!good)
			X509_free(next);
	}
	if (good && at_end_of_pem()) {
		*ret_own = own;
		*ret_chain = chain;
		return true;
	}
	sk_X509_pop_free(chain, X509_free);
	X509_free(own);
	return false;
}

EVP_PKEY *tls_read_key(BIO *bio, const char *passphrase)
{
	return PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, (void *)passphrase);
}

/* setCertificate(PEM): the own one, and those that lead to its authority. */
static engine_value *set_certificate(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	cleanup_free char *copy = NULL;
	BIO *bio = bio_of(engine, engine_call_argument(engine, call, 0), &copy);
	X509 *own = NULL;
	STACK_OF(X509) *chain = NULL;
	bool good = bio && tls_read_chain(bio, &own, &chain) &&
		    SSL_CTX_use_certificate(context->ctx, own) == 1 &&
		    SSL_CTX_set1_chain(context->ctx, chain) == 1;
	X509_free(own);
	sk_X509_pop_free(chain, X509_free);
	BIO_free(bio);
	return good ? NULL : tls_throw(engine, "the cert option is not a PEM certificate");
}

/* setKey(PEM, passphrase or undefined) */
static engine_value *set_key(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	cleanup_free char *copy = NULL, *passphrase = NULL;
	size_t length;
	engine_value *given = engine_call_argument(engine, call, 1);
	if (engine_typeof(given) == ENGINE_STRING)
		passphrase = engine_to_utf8(engine, given, &length);
	BIO *bio = bio_of(engine, engine_call_argument(engine, call, 0), &copy);
	EVP_PKEY *key = bio ? tls_read_key(bio, passphrase) : NULL;
	BIO_free(bio);
	if (!key)
		return tls_throw(engine, "the key option is not a PEM key");
	bool good = SSL_CTX_use_PrivateKey(context->ctx, key) == 1;
	EVP_PKEY_free(key);
	return good ? NULL : tls_throw(engine, "the key does not belong to the certificate");
}

static bool use_pfx(SSL_CTX *ctx, PKCS12 *pfx, const char *passphrase, bool own_ca)
{
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	STACK_OF(X509) *others = NULL;
	bool good = PKCS12_parse(pfx, passphrase, &key, &certificate, &others) == 1 && key &&
		    certificate && SSL_CTX_use_certificate(ctx, certificate) == 1 &&
		    SSL_CTX_use_PrivateKey(ctx, key) == 1;
	for (int i = 0; good && i < sk_X509_num(others); i++) {
		X509 *one = sk_X509_value(others, i);
		good = SSL_CTX_add1_chain_cert(ctx, one) == 1;
		/* Never into the system's store, which all contexts share. */
		if (own_ca)
			X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), one);
	}
	EVP_PKEY_free(key);
	X509_free(certificate);
	sk_X509_pop_free(others, X509_free);
	return good;
}

/* setPfx(bytes, passphrase or undefined, whether the authorities are the context's own) */
static engine_value *set_pfx(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	cleanup_free char *copy = NULL, *passphrase = NULL;
	size_t length;
	engine_value *given = engine_call_argument(engine, call, 1);
	if (engine_typeof(given) == ENGINE_STRING)
		passphrase = engine_to_utf8(engine, given, &length);
	BIO *bio = bio_of(engine, engine_call_argument(engine, call, 0), &copy);
	PKCS12 *pfx = bio ? d2i_PKCS12_bio(bio, NULL) : NULL;
	bool good = pfx && use_pfx(context->ctx, pfx, passphrase, engine_argument_bool(call, 2));
	PKCS12_free(pfx);
	BIO_free(bio);
	return good ? NULL : tls_throw(engine, "the pfx option cannot be read");
}

/* ---- versions and ciphers ---- */

/* setVersions(least, most): 0x0303 is TLS 1.2, 0x0304 1.3; 0 leaves one as it is. */
static engine_value *set_versions(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	int32_t least = engine_argument_int32(call, 0), most = engine_argument_int32(call, 1);
	if ((least && SSL_CTX_set_min_proto_version(context->ctx, least) != 1) ||
		(most && SSL_CTX_set_max_proto_version(context->ctx, most) != 1))
		return tls_throw(engine, "unsupported TLS version");
	return NULL;
}

/* setCiphers(list for TLS 1.2, list for TLS 1.3): "" leaves one as it is. */
static engine_value *set_ciphers(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	size_t length;
	cleanup_free char *list =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	cleanup_free char *suites =
		engine_to_utf8(engine, engine_call_argument(engine, call, 1), &length);
	if (!list || !suites || (*suites && SSL_CTX_set_ciphersuites(context->ctx, suites) != 1) ||
		(*list && SSL_CTX_set_cipher_list(context->ctx, list) != 1))
		return tls_throw(engine, "no cipher match");
	return NULL;
}

/* setGroups("X25519:P-256"), setSigalgs("…") */
static engine_value *set_groups(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	size_t length;
	cleanup_free char *list =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!list || SSL_CTX_set1_groups_list(context->ctx, list) != 1)
		return tls_throw(engine, "Failed to set ECDH curve");
	return NULL;
}

static engine_value *set_sigalgs(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context = engine_call_state(call);
	size_t length;
	cleanup_free char *list =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!list || SSL_CTX_set1_sigalgs_list(context->ctx, list) != 1)
		return tls_throw(engine, "Failed to set signature algorithms");
	return NULL;
}

/* preferServer(): the server's order of ciphers wins. */
static engine_value *prefer_server(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct tls_context *context = engine_call_state(call);
	SSL_CTX_set_options(context->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	return NULL;
}

const struct engine_native tls_context_methods[TLS_CONTEXT_METHODS] = {
	{"useSystemCa", use_system_ca, 0},
	{"useOwnCa", use_own_ca, 0},
	{"addCa", add_ca, 1},
	{"addCrl", add_crl, 1},
	{"setCertificate", set_certificate, 1},
	{"setKey", set_key, 2},
	{"setPfx", set_pfx, 3},
	{"setVersions", set_versions, 2},
	{"setCiphers", set_ciphers, 2},
	{"setGroups", set_groups, 1},
	{"setSigalgs", set_sigalgs, 1},
	{"preferServer", prefer_server, 0},
};
