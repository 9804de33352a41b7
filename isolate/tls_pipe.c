#include "isolate/tls_pipe.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

/* ---- the BIO: memory on both sides ---- */

static size_t take(char *target, size_t size, const char *from, size_t length)
{
	const size_t count = size < length ? size : length;
	if (count > 0)
		memcpy(target, from, count);
	return count;
}

static int bio_read(BIO *bio, char *target, size_t size, size_t *ret_length)
{
	struct tls_pipe *pipe = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (pipe->kept.length > 0) {
		*ret_length = take(target, size, pipe->kept.data + pipe->kept_used,
			pipe->kept.length - pipe->kept_used);
		pipe->kept_used += *ret_length;
		if (pipe->kept_used == pipe->kept.length) {
			http_buffer_release(&pipe->kept);
			pipe->kept_used = 0;
		}
		return 1;
	}
	*ret_length = take(target, size, pipe->lent, pipe->lent_length);
	pipe->lent += *ret_length;
	pipe->lent_length -= *ret_length;
	if (*ret_length > 0)
		return 1;
	if (pipe->ended)
		return 0;
	BIO_set_retry_read(bio); /* "later" */
	return -1;
}

static int bio_write(BIO *bio, const char *data, size_t length, size_t *ret_length)
{
	struct tls_pipe *pipe = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	*ret_length = 0;
	if (!http_buffer_append(&pipe->out, data, length))
		return 0;
	*ret_length = length;
	return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	const struct tls_pipe *pipe = BIO_get_data(bio);
	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return pipe->ended && pipe->kept.length == 0 && pipe->lent_length == 0;
	case BIO_CTRL_PENDING:
		return (long)(pipe->kept.length - pipe->kept_used + pipe->lent_length);
	case BIO_CTRL_WPENDING:
		return (long)pipe->out.length;
	default:
		return 0;
	}
}

static BIO_METHOD *method; /* of all threads */

static void make_method(void)
{
	BIO_METHOD *fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pipe");
	if (fresh && BIO_meth_set_read_ex(fresh, bio_read) == 1 &&
		BIO_meth_set_write_ex(fresh, bio_write) == 1 &&
		BIO_meth_set_ctrl(fresh, bio_control) == 1)
		method = fresh;
	else
		BIO_meth_free(fresh);
}

static BIO_METHOD *bio_method(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_method);
	return method;
}

/* ---- life ---- */

static bool started;

static void start_library(void)
{
	/* The files that a configuration would name are not there behind the sandbox. And keys of
	 * parent and siblings must not be ours: all workers are process 1 of their namespace,
	 * which is how OpenSSL tells processes apart. */
	started = OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1 && RAND_poll() == 1;
}

bool tls_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, start_library);
	return started;
}

bool tls_pipe_open(struct tls_pipe *pipe, SSL_CTX *ctx, bool server)
{
	*pipe = (struct tls_pipe){0};
	BIO_METHOD *ours = bio_method();
	BIO *bio = ours ? BIO_new(ours) : NULL;
	pipe->ssl = bio ? SSL_new(ctx) : NULL;
	if (!pipe->ssl) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, pipe);
	BIO_set_init(bio, 1);
	SSL_set_bio(pipe->ssl, bio, bio);
	if (server)
		SSL_set_accept_state(pipe->ssl);
	else
		SSL_set_connect_state(pipe->ssl);
	return true;
}

void tls_pipe_close(struct tls_pipe *pipe)
{
	SSL_free(pipe->ssl); /* and its BIO */
	http_buffer_release(&pipe->out);
	http_buffer_release(&pipe->kept);
	*pipe = (struct tls_pipe){0};
}

void tls_pipe_move(const struct tls_pipe *from, struct tls_pipe *to)
{
	*to = *from;
	BIO_set_data(SSL_get_rbio(to->ssl), to);
}

/* ---- bytes ---- */

void tls_pipe_feed(struct tls_pipe *pipe, const char *data, size_t length)
{
	pipe->lent = data;
	pipe->lent_length = length;
}

bool tls_pipe_keep(struct tls_pipe *pipe)
{
	const size_t length = pipe->lent_length;
	pipe->lent_length = 0;
	return length == 0 || http_buffer_append(&pipe->kept, pipe->lent, length);
}

void tls_pipe_feed_end(struct tls_pipe *pipe)
{
	pipe->ended = true;
}

static enum tls_outcome outcome(const struct tls_pipe *pipe, int result)
{
	switch (SSL_get_error(pipe->ssl, result)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return TLS_WAITS;
	case SSL_ERROR_WANT_X509_LOOKUP:
		return TLS_ASKS;
	case SSL_ERROR_ZERO_RETURN:
		return TLS_ENDED;
	default:
		return TLS_FAILED;
	}
}

enum tls_outcome tls_pipe_handshake(struct tls_pipe *pipe)
{
	ERR_clear_error();
	return outcome(pipe, SSL_do_handshake(pipe->ssl));
}

enum tls_outcome tls_pipe_read(struct tls_pipe *pipe, char *buffer, size_t size, size_t *ret_length)
{
	size_t total = 0, length = 0;
	int result = 1;
	ERR_clear_error();
	while (total < size &&
		(result = SSL_read_ex(pipe->ssl, buffer + total, size - total, &length)) == 1)
		total += length;
	*ret_length = total;
	return total > 0 ? TLS_DONE : outcome(pipe, result);
}

enum tls_outcome tls_pipe_write(
	struct tls_pipe *pipe, const char *data, size_t length, size_t *ret_length)
{
	size_t total = 0, written = 0;
	int result = 1;
	ERR_clear_error();
	/* A record holds 16 KiB. */
	while (total < length &&
		(result = SSL_write_ex(pipe->ssl, data + total, length - total, &written)) == 1)
		total += written;
	*ret_length = total;
	return total > 0 || length == 0 ? TLS_DONE : outcome(pipe, result);
}

void tls_pipe_shutdown(struct tls_pipe *pipe)
{
	/* In the middle of a handshake there is nobody to say it to. */
	if (SSL_is_init_finished(pipe->ssl))
		SSL_shutdown(pipe->ssl);
	ERR_clear_error();
}
