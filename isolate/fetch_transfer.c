/* One request and its response as curl sees it: options, its socket, its end. */
#include "isolate/fetch.h"

#include "common/cleanup.h"
#include "isolate/ca_store.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#define HANDSHAKE_MS 30000  /* TLS; egress counts the connection's own time */
#define SILENCE_SECONDS 300 /* without a byte either way, while nobody here is slow */
#define IDLE_SECONDS 60     /* a connection is reused within */

/* No name is ever looked up here: every host is this one, as far as curl's own resolver
 * goes. Its port stays, so that connections are told apart. */
static struct curl_slist nowhere = {.data = (char[]){"::127.0.0.1:"}};

/* ---- sockets ---- */

static curl_socket_t on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct fetch_transfer *transfer = data;
	(void)address;
	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (transfer->socket < 0)
		transfer->socket_wanted = true;
	else
		fetch_sockets_add(transfer->socket, transfer);
	return take_fd(&transfer->socket);
}

static int on_socket_options(void *data, curl_socket_t fd, curlsocktype purpose)
{
	(void)data;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* ---- TLS ---- */

/* The name in the certificate is checked by OpenSSL, too, with stricter rules than curl's:
 * never the subject's common name, and an address only as an address. HOST is canonical. */
static bool require_identity(SSL_CTX *context, const char *host)
{
	unsigned char binary[16];
	char name[256];
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
	size_t length = strlen(host);
	if (host[0] == '[' && length > 2 && length - 2 < sizeof name) {
		snprintf(name, sizeof name, "%.*s", (int)(length - 2), host + 1);
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	}
	if (inet_pton(AF_INET, host, binary) == 1)
		return X509_VERIFY_PARAM_set1_ip(param, binary, 4) == 1;
	if (length > 0 && host[length - 1] == '.')
		length--;
	X509_VERIFY_PARAM_set_hostflags(
		param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, host, length) == 1;
}

static CURLcode on_tls_context(CURL *easy, void *context, void *data)
{
	struct fetch_transfer *transfer = data;
	X509_STORE *store = ca_store_get();
	(void)easy;
	/* Shared by all workers since before they were forked: they have no files. */
	if (X509_STORE_up_ref(store) != 1)
		return CURLE_OUT_OF_MEMORY;
	SSL_CTX_set_cert_store(context, store);
	/* In the handshake, not after it as curl has it: the server gets nothing but an alert. */
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return require_identity(context, transfer->host) ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

/* curl reads the bundle that it was built with, unless it is given certificates; a worker has
 * no files. One is enough: on_tls_context puts the shared store in their place. NULL when
 * nobody is trusted. */
static const struct curl_blob *one_authority(void)
{
	static _Thread_local struct curl_blob blob;
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(ca_store_get());
	if (blob.data || sk_X509_OBJECT_num(objects) < 1)
		return blob.data ? &blob : NULL;
	BIO *text = BIO_new(BIO_s_mem());
	X509 *first = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, 0));
	char *data;
	if (text && first && PEM_write_bio_X509(text, first) == 1) {
		blob.len = (size_t)BIO_get_mem_data(text, &data);
		blob.data = malloc(blob.len);
		if (blob.data)
			memcpy(blob.data, data, blob.len);
	}
	BIO_free(text);
	return blob.data ? &blob : NULL;
}

/* ---- options ---- */

#define SET(option, value)                                                                         \
	do {                                                                                       \
		CURLcode result_ = curl_easy_setopt(easy, option, value);                          \
		if (result_ == CURLE_OUT_OF_MEMORY)                                                \
			return -ENOMEM;                                                            \
		if (result_ != CURLE_OK)                                                           \
			return -EINVAL;                                                            \
	} while (0)

static int set_network(struct fetch_transfer *transfer, CURL *easy)
{
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_CONNECT_TO, &nowhere);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket_options);
	SET(CURLOPT_CLOSESOCKETFUNCTION, fetch_on_close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, NULL);
	if (transfer->unix_path)
		SET(CURLOPT_UNIX_SOCKET_PATH, transfer->unix_path);
	SET(CURLOPT_PROXY, ""); /* nor one of the environment */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)HANDSHAKE_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS);
	SET(CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
	SET(CURLOPT_BUFFERSIZE, (long)FETCH_BUFFER);
	return 0;
}

static int set_tls(struct fetch_transfer *transfer, CURL *easy)
{
	SET(CURLOPT_HTTP_VERSION,
		(long)(transfer->secure ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	if (!transfer->secure)
		return 0;
	SET(CURLOPT_PIPEWAIT, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CAINFO_BLOB, one_authority());
	SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
	SET(CURLOPT_SSL_CTX_DATA, transfer);
	return 0;
}

static int set_method(struct fetch_transfer *transfer, CURL *easy)
{
	bool empty_upload =
		transfer->upload == FETCH_UPLOAD_NONE &&
		(strcmp(transfer->method, "POST") == 0 || strcmp(transfer->method, "PUT") == 0);
	if (strcmp(transfer->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (transfer->upload != FETCH_UPLOAD_NONE || empty_upload) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE,
			(curl_off_t)(empty_upload ? 0 : transfer->upload_length));
		SET(CURLOPT_READFUNCTION, fetch_on_read);
		SET(CURLOPT_READDATA, transfer);
		SET(CURLOPT_SEEKFUNCTION, fetch_on_seek);
		SET(CURLOPT_SEEKDATA, transfer);
		SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)FETCH_BUFFER);
		SET(CURLOPT_CUSTOMREQUEST, transfer->method);
	} else if (strcmp(transfer->method, "GET") != 0) {
		SET(CURLOPT_CUSTOMREQUEST, transfer->method);
	}
	return 0;
}

int fetch_transfer_configure(struct fetch_transfer *transfer)
{
	CURL *easy = transfer->easy;
	int result = set_network(transfer, easy);
	if (result == 0)
		result = set_tls(transfer, easy);
	if (result == 0)
		result = set_method(transfer, easy);
	if (result < 0)
		return result;
	SET(CURLOPT_URL, transfer->url);
	SET(CURLOPT_PATH_AS_IS, 1L); /* isolate/js/url.js has parsed it already */
	SET(CURLOPT_HTTPHEADER, transfer->fields);
	SET(CURLOPT_FOLLOWLOCATION, 0L); /* each hop asks egress: isolate/js/fetch_client.js */
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_HEADERFUNCTION, fetch_on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, fetch_on_write);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->curl_error);
	SET(CURLOPT_PRIVATE, transfer);
	return 0;
}

/* ---- the end ---- */

void fetch_transfer_fail(
	struct fetch_transfer *transfer, const char *code, bool denied, const char *text)
{
	if (transfer->failure.code)
		return;
	transfer->failure.code = code;
	transfer->failure.denied = denied;
	transfer->failure.text = strdup(text);
	fetch_multi_mark(transfer, FETCH_EVENT_FAILED);
}

static void finish(struct fetch_transfer *transfer)
{
	fetch_multi_remove(transfer);
	fetch_multi_give_back(take_pointer(transfer->easy));
	close_fd(&transfer->socket);
	/* Removing it took its mark off. */
	unsigned events = transfer->failure.code ? FETCH_EVENT_FAILED : 0;
	if (!transfer->failure.code) {
		transfer->body_ended = true;
		events |= FETCH_EVENT_BODY;
	}
	fetch_multi_mark(transfer, transfer->events | events);
}

void fetch_transfer_free(struct fetch_transfer *transfer)
{
	transfer->request = egress_cancel(transfer->request);
	fetch_multi_remove(transfer);
	fetch_multi_give_back(transfer->easy);
	close_fd(&transfer->socket);
	curl_slist_free_all(transfer->fields);
	engine_ref_free(transfer->upload_bytes);
	content_decoder_free(transfer->decoder);
	fetch_buffer_free(&transfer->upload_buffer);
	fetch_buffer_free(&transfer->head);
	fetch_buffer_free(&transfer->raw);
	fetch_buffer_free(&transfer->whole);
	free(transfer->failure.text);
	free(transfer->url);
	free(transfer->host);
	free(transfer->unix_path);
	free(transfer->method);
	free(transfer);
}

/* ---- its connection ---- */

static bool same_place(const struct fetch_transfer *one, const struct fetch_transfer *other)
{
	return one->secure == other->secure && one->port == other->port &&
	       strcmp(one->host, other->host) == 0 && !one->unix_path && !other->unix_path;
}

/* The ones that waited whether LEADER's connection can be shared go on: curl knows of it
 * now and lets them wait for its handshake, or it has failed and each asks for itself. */
static void release_followers(const struct fetch_transfer *leader)
{
	struct fetch_transfer *other = NULL;
	while ((other = fetch_next(other)))
		if (other->state == FETCH_FOLLOWING && same_place(leader, other)) {
			other->no_follow = true;
			fetch_multi_restart(other);
		}
}

static void on_connected(void *data, const struct egress_result *result)
{
	struct fetch_transfer *transfer = data;
	transfer->request = NULL;
	if (result->refusal) {
		fetch_transfer_fail(transfer, egress_result_code(result),
			result->refusal == EGRESS_DENIED, result->text);
		finish(transfer);
	} else {
		transfer->socket = result->fd;
		fetch_multi_restart(transfer);
		fetch_multi_proceed();
	}
	if (transfer->secure)
		release_followers(transfer);
}

/* HTTP/2 needs one connection for them all: the first asks, the others follow it. */
static bool follow(struct fetch_transfer *transfer)
{
	struct fetch_transfer *other = NULL;
	if (!transfer->secure || transfer->no_follow || transfer->unix_path)
		return false;
	while ((other = fetch_next(other)))
		if (other->state == FETCH_ASKING && other->request && same_place(transfer, other)) {
			transfer->state = FETCH_FOLLOWING;
			return true;
		}
	return false;
}

static void ask_egress(struct fetch_transfer *transfer)
{
	const char *name = transfer->unix_path ? transfer->unix_path : transfer->host;
	size_t length = strlen(name);
	if (follow(transfer))
		return;
	transfer->state = FETCH_ASKING;
	if (name[0] == '[' && length > 2) { /* an IPv6 address, as it stands in a URL */
		name++;
		length -= 2;
	}
	transfer->request = egress_connect(name, length, transfer->port,
		transfer->unix_path != NULL, 0, 0, on_connected, transfer);
	if (!transfer->request) {
		fetch_transfer_fail(transfer, "ENOMEM", false, "no memory for a connection");
		finish(transfer);
	}
}

/* A connection from before died, after the request, or some of it, went out: the server
 * may have acted on it. Only what may be done twice is sent again (RFC 9110, 9.2.2). */
static bool may_retry(struct fetch_transfer *transfer)
{
	long sent = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
	if (sent == 0)
		return true;
	if (transfer->idempotent && transfer->upload != FETCH_UPLOAD_STREAM) {
		transfer->upload_position = 0;
		return true;
	}
	return transfer->idempotent && transfer->upload_position == 0;
}

void fetch_transfer_ended(struct fetch_transfer *transfer, CURLcode result)
{
	if (transfer->socket_wanted && !transfer->failure.code) {
		transfer->socket_wanted = false;
		if (may_retry(transfer)) {
			ask_egress(transfer);
			return;
		}
		fetch_transfer_fail(transfer, "ECONNRESET", false,
			"the server closed the connection; whether it acted on the request is "
			"not known");
	} else if (result == CURLE_WRITE_ERROR && transfer->discard) {
		transfer->body_ended = true;
	} else if (result != CURLE_OK && !transfer->failure.code) {
		const char *text =
			transfer->curl_error[0] ? transfer->curl_error : curl_easy_strerror(result);
		fetch_transfer_fail(transfer, fetch_error_code(transfer, result), false, text);
	} else if (!transfer->head_complete && !transfer->failure.code) {
		fetch_transfer_fail(transfer, "ECONNRESET", false, "the server sent no response");
	}
	finish(transfer);
}
