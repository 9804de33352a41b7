/* TLS for node:tls, between the natives that make it: a context (what one side trusts and
 * shows), a session (one connection, which sees bytes only: memory goes in and comes
 * out), certificates as objects. Nothing of OpenSSL is touched before a program asks. */
#pragma once

#include "isolate/runtime.h"
#include "isolate/tls_pipe.h"

/* Rows of the class table of isolate/native_tls.c. */
struct tls_context {
	SSL_CTX *ctx;
};

struct tls_session {
	struct tls_pipe pipe;
	unsigned char *alpn; /* server: the protocols it speaks, as on the wire */
	unsigned alpn_length;
	SSL_SESSION *ticket; /* the newest that JavaScript has not taken */
	bool server;
	bool sni_wanted; /* the server name must be looked at before going on */
	bool sni_done;
	bool alpn_required;
};

/* native_tls_context.c */
#define TLS_CONTEXT_METHODS 12
extern const struct engine_native tls_context_methods[TLS_CONTEXT_METHODS];
engine_value *tls_context_construct(struct engine *engine, struct engine_call *call);
void tls_context_destroy(void *state);
/* What every context of a worker has: versions 1.2 and 1.3, no renegotiation, no compression,
 * no sessions kept inside. NULL without memory. */
SSL_CTX *tls_context_new(void);
/* The certificate that the PEM text in BIO begins with, and those that lead from it to its
 * authority. False when it is none, with nothing to free. */
bool tls_read_chain(BIO *bio, X509 **ret_own, STACK_OF(X509) * *ret_chain);
/* A key without a question: PASSPHRASE, or NULL. NULL when it cannot be read. */
EVP_PKEY *tls_read_key(BIO *bio, const char *passphrase);

/* native_tls_cert.c: { subject, issuer, subjectaltname, … } as tls.getPeerCertificate has
 * it, without issuerCertificate. NULL with an exception pending. */
engine_value *tls_certificate_object(struct engine *engine, X509 *certificate);
engine_value *tls_certificate_pem(struct engine *engine, X509 *certificate);

/* Throws the oldest error of OpenSSL's queue, which is empty then, in Node's form: `code`
 * ERR_SSL_…, `library`, `reason`; WHAT when the queue is empty. Returns NULL. */
engine_value *tls_throw(struct engine *engine, const char *what);

/* A TlsSession that goes on with PIPE, whose handshake is done; it becomes the session's in any
 * case. NULL with an exception pending. */
engine_value *tls_session_adopt(struct tls_pipe *pipe);

/* The session of SSL. */
struct tls_session *tls_session_of(const SSL *ssl);
