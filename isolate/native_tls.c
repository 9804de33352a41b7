/* Sessions of node:tls: one TLS connection that sees bytes only. What arrives is given to
 * feed, what is to be sent is taken with pull; the library (isolate/js/node/tls) carries
 * both over any stream. */

#include "common/cleanup.h"
#include "isolate/ca_store.h"
#include "isolate/natives.h"
#include "isolate/server_tls.h"
#include "isolate/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#define READ_BYTES 65536
#define CHAIN_MAX 32

static size_t context_class;

struct tls_session *tls_session_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* ---- life ---- */

static void destroy(void *state)
{
	struct tls_session *session = state;
	tls_pipe_close(&session->pipe);
	SSL_SESSION_free(session->ticket);
	free(session->alpn);
	free(session);
}

/* new TlsSession(context, whether a server) */
static engine_value *construct(struct engine *engine, struct engine_call *call)
{
	struct tls_context *context =
		engine_get_state(engine, engine_call_argument(engine, call, 0), context_class);
	if (!context)
		return engine_throw(engine, "TypeError", "ERR_TLS_INVALID_CONTEXT",
			"context must be a SecureContext");
	struct tls_session *session = calloc(1, sizeof *session);
	if (!session)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	session->server = engine_argument_bool(call, 1);
	ERR_clear_error();
	if (!tls_pipe_open(&session->pipe, context->ctx, session->server)) {
		destroy(session);
		return tls_throw(engine, "cannot make a TLS session");
	}
	SSL_set_app_data(session->pipe.ssl, session);
	engine_set_state(engine_call_this(engine, call), session);
	return NULL;
}

/* ---- before the handshake ---- */

/* setServername(name): what the client asks for (SNI). */
static engine_value *set_servername(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	size_t length;
	cleanup_free char *name =
		engine_to_utf8(engine, engine_call_argument(engine, call, 0), &length);
	if (!name || SSL_set_tlsext_host_name(session->pipe.ssl, name) != 1)
		return tls_throw(engine, "the server name is too long");
	return NULL;
}

/* setAlpn(protocols as on the wire): offered by a client, spoken by a server. */
static engine_value *set_alpn(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	void *data;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length) ||
		length == 0 || length > UINT16_MAX)
		return NULL;
	if (!session->server) {
		if (SSL_set_alpn_protos(session->pipe.ssl, data, (unsigned)length) != 0)
			return tls_throw(engine, "the ALPN protocols are not valid");
		return NULL;
	}
	unsigned char *copy = malloc(length);
	if (!copy)
		return engine_throw(engine, "RangeError", NULL, "out of memory");
	memcpy(copy, data, length);
	free(session->alpn);
	session->alpn = copy;
	session->alpn_length = (unsigned)length;
	return NULL;
}

/* setVerify(whether the server asks for a certificate, whether it insists) */
static engine_value *set_verify(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct tls_session *session = engine_call_state(call);
	int mode = SSL_VERIFY_NONE;
	if (engine_argument_bool(call, 0))
		mode = engine_argument_bool(call, 1)
			       ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
			       : SSL_VERIFY_PEER;
	SSL_set_verify(session->pipe.ssl, mode, SSL_get_verify_callback(session->pipe.ssl));
	return NULL;
}

/* setSession(bytes of getSession): resumes that one if the server still knows it. */
static engine_value *set_session(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	void *data;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length))
		return NULL;
	const unsigned char *place = data;
	SSL_SESSION *old = d2i_SSL_SESSION(NULL, &place, (long)length);
	bool good = old && SSL_set_session(session->pipe.ssl, old) == 1;
	SSL_SESSION_free(old);
	return good ? NULL : tls_throw(engine, "the TLS session cannot be used");
}

/* setContext(context or undefined): the server's answer to the name; goes on. */
static engine_value *set_context(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	struct tls_context *context =
		engine_get_state(engine, engine_call_argument(engine, call, 0), context_class);
	session->sni_done = true;
	session->sni_wanted = false;
	if (context && !SSL_set_SSL_CTX(session->pipe.ssl, context->ctx))
		return tls_throw(engine, "cannot use the context for the server name");
	if (context)
		SSL_set1_verify_cert_store(session->pipe.ssl, SSL_CTX_get_cert_store(context->ctx));
	return NULL;
}

/* ---- bytes ---- */

/* feed(bytes that arrived) */
static engine_value *feed(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	void *data;
	size_t length;
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length))
		return NULL;
	tls_pipe_feed(&session->pipe, data, length);
	return tls_pipe_keep(&session->pipe) ? NULL : tls_throw(engine, "out of memory");
}

/* feedEnd(): nothing arrives any more. */
static engine_value *feed_end(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct tls_session *session = engine_call_state(call);
	tls_pipe_feed_end(&session->pipe);
	return NULL;
}

/* pull(): what is to be sent, undefined for nothing. */
static engine_value *pull(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	struct http_buffer *out = &session->pipe.out;
	if (out->length == 0)
		return NULL;
	engine_value *bytes = engine_bytes_copy(engine, out->data, out->length);
	if (bytes)
		http_buffer_release(out);
	return bytes;
}

/* advance(): the handshake as far as it goes: 0 it waits for the peer, 1 it is done, 2 it
 * waits for setContext. Throws when it has failed. */
static engine_value *advance(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	switch (tls_pipe_handshake(&session->pipe)) {
	case TLS_DONE:
		return engine_int32(engine, 1);
	case TLS_WAITS:
		return engine_int32(engine, 0);
	case TLS_ASKS:
		return engine_int32(engine, session->sni_wanted ? 2 : 0);
	default:
		return tls_throw(engine, "the TLS handshake failed");
	}
}

static _Thread_local char *buffer; /* of the next read, whichever session has it */

/* read(): decrypted bytes; undefined: none yet; null: the peer has ended (close_notify).
 * Throws at a damaged or cut stream. */
static engine_value *read_bytes(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	size_t length;
	if (!buffer && !(buffer = malloc(READ_BYTES)))
		return tls_throw(engine, "out of memory");
	switch (tls_pipe_read(&session->pipe, buffer, READ_BYTES, &length)) {
	case TLS_DONE:
		return engine_bytes_copy(engine, buffer, length);
	case TLS_WAITS:
	case TLS_ASKS:
		return NULL;
	case TLS_ENDED:
		return engine_null(engine);
	default:
		return tls_throw(engine, "the TLS connection failed");
	}
}

/* write(bytes, from): encrypts from there; how many bytes it took, 0 to wait. */
static engine_value *write_bytes(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	void *data;
	size_t length, written;
	double from = engine_argument_number(call, 1);
	if (!engine_bytes_get(engine_call_argument(engine, call, 0), &data, &length) || from < 0 ||
		from >= (double)length)
		return engine_int32(engine, 0);
	length -= (size_t)from;
	if (length > READ_BYTES)
		length = READ_BYTES;
	switch (tls_pipe_write(&session->pipe, (char *)data + (size_t)from, length, &written)) {
	case TLS_DONE:
	case TLS_WAITS:
		return engine_number(engine, (double)written);
	default:
		return tls_throw(engine, "cannot write to the TLS connection");
	}
}

/* shutdown(): says to the peer that our side has ended. */
static engine_value *shut_down(struct engine *engine, struct engine_call *call)
{
	(void)engine;
	struct tls_session *session = engine_call_state(call);
	tls_pipe_shutdown(&session->pipe);
	return NULL;
}

/* ---- what came of it ---- */

static const char *verify_code(long code)
{
	switch (code) {
#define CODE(name)                                                                                 \
	case X509_V_ERR_##name:                                                                    \
		return #name;
		CODE(UNABLE_TO_GET_ISSUER_CERT)
		CODE(UNABLE_TO_GET_CRL)
		CODE(UNABLE_TO_DECRYPT_CERT_SIGNATURE)
		CODE(UNABLE_TO_DECRYPT_CRL_SIGNATURE)
		CODE(UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY)
		CODE(CERT_SIGNATURE_FAILURE)
		CODE(CRL_SIGNATURE_FAILURE)
		CODE(CERT_NOT_YET_VALID)
		CODE(CERT_HAS_EXPIRED)
		CODE(CRL_NOT_YET_VALID)
		CODE(CRL_HAS_EXPIRED)
		CODE(ERROR_IN_CERT_NOT_BEFORE_FIELD)
		CODE(ERROR_IN_CERT_NOT_AFTER_FIELD)
		CODE(ERROR_IN_CRL_LAST_UPDATE_FIELD)
		CODE(ERROR_IN_CRL_NEXT_UPDATE_FIELD)
		CODE(OUT_OF_MEM)
		CODE(DEPTH_ZERO_SELF_SIGNED_CERT)
		CODE(SELF_SIGNED_CERT_IN_CHAIN)
		CODE(UNABLE_TO_GET_ISSUER_CERT_LOCALLY)
		CODE(UNABLE_TO_VERIFY_LEAF_SIGNATURE)
		CODE(CERT_CHAIN_TOO_LONG)
		CODE(CERT_REVOKED)
		CODE(INVALID_CA)
		CODE(PATH_LENGTH_EXCEEDED)
		CODE(INVALID_PURPOSE)
		CODE(CERT_UNTRUSTED)
		CODE(CERT_REJECTED)
		CODE(HOSTNAME_MISMATCH)
#undef CODE
	}
	return "UNSPECIFIED";
}

/* verifyError(): undefined when the peer's certificate is good, else [code, message]. */
static engine_value *verify_error(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	long code = SSL_get_verify_result(session->pipe.ssl);
	X509 *peer = SSL_get0_peer_certificate(session->pipe.ssl);
	/* A resumed session has the one that it began with. */
	if (!peer)
		code = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT;
	if (code == X509_V_OK)
		return NULL;
	engine_value *items[] = {
		engine_string(engine, verify_code(code)),
		engine_string(engine, X509_verify_cert_error_string(code)),
	};
	return engine_array(engine, items, 2);
}

/* The certificates from the peer's own on to its authority. */
static engine_value *chain_of(struct engine *engine, struct tls_session *session)
{
	engine_value *list = engine_array(engine, NULL, 0);
	STACK_OF(X509) *verified = SSL_get0_verified_chain(session->pipe.ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(session->pipe.ssl);
	X509 *own = SSL_get0_peer_certificate(session->pipe.ssl);
	if (own)
		engine_set_index(engine, list, 0, tls_certificate_object(engine, own));
	STACK_OF(X509) *chain = verified ? verified : sent;
	for (int i = 0; own && i < sk_X509_num(chain) && i < CHAIN_MAX; i++) {
		X509 *one = sk_X509_value(chain, i);
		if (X509_cmp(one, own) != 0)
			engine_set_index(engine, list, engine_array_length(list),
				tls_certificate_object(engine, one));
	}
	return list;
}

/* peerCertificate(whether the whole chain): an array, the peer's own first. */
static engine_value *peer_certificate(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	if (engine_argument_bool(call, 0))
		return chain_of(engine, session);
	X509 *own = SSL_get0_peer_certificate(session->pipe.ssl);
	engine_value *object = own ? tls_certificate_object(engine, own) : NULL;
	return engine_array(engine, &object, object ? 1 : 0);
}

/* certificate(): the own one, or undefined. */
static engine_value *own_certificate(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	X509 *own = SSL_get_certificate(session->pipe.ssl);
	return own ? tls_certificate_object(engine, own) : NULL;
}

/* describe(): [protocol, cipher's name, its standard name, its version, ALPN protocol or
 * false, server name or false, whether a session was resumed]. */
static engine_value *describe(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	const SSL_CIPHER *cipher = SSL_get_current_cipher(session->pipe.ssl);
	const char *name = SSL_get_servername(session->pipe.ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn;
	unsigned length;
	SSL_get0_alpn_selected(session->pipe.ssl, &alpn, &length);
	engine_value *items[] = {
		engine_string(engine, SSL_get_version(session->pipe.ssl)),
		engine_string(engine, cipher ? SSL_CIPHER_get_name(cipher) : ""),
		engine_string(engine, cipher ? SSL_CIPHER_standard_name(cipher) : ""),
		engine_string(engine, cipher ? SSL_CIPHER_get_version(cipher) : ""),
		length ? engine_string_latin1(engine, (const char *)alpn, length)
		       : engine_bool(engine, false),
		name ? engine_string(engine, name) : engine_bool(engine, false),
		engine_bool(engine, SSL_session_reused(session->pipe.ssl) == 1),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* ephemeralKey(): [type, name, bits] of the peer's; "" for what there is not. */
static engine_value *ephemeral_key(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	EVP_PKEY *key = NULL;
	char name[64] = "";
	const char *type = "";
	int bits = 0;
	size_t length;
	if (SSL_get_peer_tmp_key(session->pipe.ssl, &key) == 1 && key) {
		int id = EVP_PKEY_get_base_id(key);
		type = id == EVP_PKEY_DH ? "DH" : "ECDH";
		bits = EVP_PKEY_get_bits(key);
		if (id == EVP_PKEY_EC)
			EVP_PKEY_get_group_name(key, name, sizeof name, &length);
		else if (id != EVP_PKEY_DH)
			snprintf(name, sizeof name, "%s", EVP_PKEY_get0_type_name(key));
	}
	EVP_PKEY_free(key);
	const char *group = *type ? NULL : SSL_get0_group_name(session->pipe.ssl);
	if (group) { /* a key encapsulation, such as X25519MLKEM768 */
		type = "TLSGroup";
		snprintf(name, sizeof name, "%s", group);
	}
	engine_value *items[] = {
		engine_string(engine, type),
		engine_string(engine, name),
		engine_int32(engine, bits),
	};
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

static engine_value *session_bytes(struct engine *engine, SSL_SESSION *from)
{
	unsigned char *der = NULL;
	int length = from ? i2d_SSL_SESSION(from, &der) : 0;
	engine_value *bytes = length > 0 ? engine_bytes_copy(engine, der, (size_t)length) : NULL;
	OPENSSL_free(der);
	return bytes;
}

/* session(): what setSession takes, or undefined. */
static engine_value *get_session(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	return session_bytes(engine, SSL_get_session(session->pipe.ssl));
}

/* ticket(): as session, once for each that the server gave. */
static engine_value *take_ticket(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	SSL_SESSION *ticket = take_pointer(session->ticket);
	engine_value *bytes = session_bytes(engine, ticket);
	SSL_SESSION_free(ticket);
	return bytes;
}

/* finished(whether the peer's): the handshake's last message, for channel bindings. */
static engine_value *finished(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	unsigned char data[EVP_MAX_MD_SIZE];
	size_t length = engine_argument_bool(call, 0)
				? SSL_get_peer_finished(session->pipe.ssl, data, sizeof data)
				: SSL_get_finished(session->pipe.ssl, data, sizeof data);
	return length ? engine_bytes_copy(engine, data, length) : NULL;
}

/* exportKeys(length, label, context bytes or undefined) (RFC 5705) */
static engine_value *export_keys(struct engine *engine, struct engine_call *call)
{
	struct tls_session *session = engine_call_state(call);
	int32_t length = engine_argument_int32(call, 0);
	size_t label_length, context_length = 0;
	void *data, *context = NULL;
	cleanup_free char *label =
		engine_to_utf8(engine, engine_call_argument(engine, call, 1), &label_length);
	bool with =
		engine_bytes_get(engine_call_argument(engine, call, 2), &context, &context_length);
	if (!label || length <= 0 || length > 65536)
		return engine_throw(engine, "RangeError", "ERR_OUT_OF_RANGE", "length");
	engine_value *bytes = engine_bytes_new(engine, (size_t)length, &data);
	if (bytes && SSL_export_keying_material(session->pipe.ssl, data, (size_t)length, label,
			     label_length, context, context_length, with) != 1)
		return tls_throw(engine, "cannot export keying material");
	return bytes;
}

/* ---- without a session ---- */

/* tlsRootCertificates(): those of the system, PEM. */
static engine_value *root_certificates(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *list = engine_array(engine, NULL, 0);
	STACK_OF(X509) *all = X509_STORE_get1_all_certs(ca_store_get());
	for (int i = 0; i < sk_X509_num(all); i++) {
		engine_value *pem = tls_certificate_pem(engine, sk_X509_value(all, i));
		if (pem)
			engine_set_index(engine, list, (uint32_t)i, pem);
	}
	sk_X509_pop_free(all, X509_free);
	return list;
}

/* tlsCiphers(): names of all that TLS 1.2 and later can use here. */
static engine_value *cipher_names(struct engine *engine, struct engine_call *call)
{
	(void)call;
	engine_value *list = engine_array(engine, NULL, 0);
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	const STACK_OF(SSL_CIPHER) *ciphers = ssl ? SSL_get_ciphers(ssl) : NULL;
	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
		engine_set_index(engine, list, (uint32_t)i,
			engine_string(
				engine, SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i))));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return list;
}

/* ---- the module ---- */

static void find_hooks(void)
{
	const struct engine_tables *tables = natives_tables();
	while (strcmp(tables->classes[context_class].name, "TlsContext") != 0)
		context_class++;
}

static const struct engine_native methods[] = {
	{"setServername", set_servername, 1},
	{"setAlpn", set_alpn, 1},
	{"setVerify", set_verify, 2},
	{"setSession", set_session, 1},
	{"setContext", set_context, 1},
	{"feed", feed, 1},
	{"feedEnd", feed_end, 0},
	{"pull", pull, 0},
	{"advance", advance, 0},
	{"read", read_bytes, 0},
	{"write", write_bytes, 2},
	{"shutdown", shut_down, 0},
	{"verifyError", verify_error, 0},
	{"peerCertificate", peer_certificate, 1},
	{"certificate", own_certificate, 0},
	{"describe", describe, 0},
	{"ephemeralKey", ephemeral_key, 0},
	{"session", get_session, 0},
	{"ticket", take_ticket, 0},
	{"finished", finished, 1},
	{"exportKeys", export_keys, 3},
};

static const struct engine_class classes[] = {
	{
		.name = "TlsContext",
		.construct = tls_context_construct,
		.methods = tls_context_methods,
		.method_count = TLS_CONTEXT_METHODS,
		.destroy = tls_context_destroy,
	},
	{
		.name = "TlsSession",
		.construct = construct,
		.methods = methods,
		.method_count = ARRAY_LENGTH(methods),
		.destroy = destroy,
	},
};

engine_value *tls_session_adopt(struct tls_pipe *pipe)
{
	struct tls_session *session = calloc(1, sizeof *session);
	if (!session) {
		tls_pipe_close(pipe);
		return engine_throw(runtime.engine, "RangeError", NULL, "out of memory");
	}
	session->server = true;
	tls_pipe_move(pipe, &session->pipe);
	SSL_set_app_data(session->pipe.ssl, session);
	engine_value *instance = engine_instance_new(runtime.engine, context_class + 1, session);
	if (!instance)
		destroy(session);
	return instance;
}

/* tlsServerContext(): a TlsContext of the tenant's own certificates, for what comes to the ports
 * that tenants share. undefined without one. */
static engine_value *server_context(struct engine *engine, struct engine_call *call)
{
	SSL_CTX *ctx = server_tls_context();
	struct tls_context *context = ctx ? calloc(1, sizeof *context) : NULL;
	(void)call;
	if (!context) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	context->ctx = ctx;
	engine_value *instance = engine_instance_new(engine, context_class, context);
	if (!instance)
		tls_context_destroy(context);
	return instance;
}

static const struct engine_native natives[] = {
	{"tlsServerContext", server_context, 0},
	{"tlsRootCertificates", root_certificates, 0},
	{"tlsCiphers", cipher_names, 0},
};

static void stop(void)
{
	free(buffer);
	buffer = NULL;
}

const struct native_module tls_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.classes = classes,
	.class_count = ARRAY_LENGTH(classes),
	.bind = find_hooks,
	.stop = stop,
};
