/* fetch()'s client (isolate/js/fetch_client.js): HTTP/1.1 and HTTP/2 by libcurl, on
 * libuv, over sockets that egress connects. What is private to isolate/fetch_*.c and
 * isolate/native_fetch.c.
 *
 * curl neither resolves nor connects: CURLOPT_CONNECT_TO names a numeric placeholder, and
 * CURLOPT_OPENSOCKETFUNCTION hands in a connected socket. A transfer is begun without one.
 * If curl finds a connection to reuse, or one of HTTP/2 to share, it is used; else curl
 * asks for a socket, is refused, and the attempt ends before a byte was sent. Then egress
 * is asked for exactly this host and port, and the transfer begins again with the socket.
 *
 *   queued -> running -> (asking egress | following another that asks) -> running -> done
 *
 * JavaScript is told of events (enum fetch_event) when curl has returned, never from
 * inside of it. It knows a transfer by a number that is never used twice. */
#pragma once

#include "isolate/content_decoder.h"
#include "isolate/egress_client.h"
#include "isolate/runtime.h"

#include <curl/curl.h>

#define FETCH_TRANSFERS_MAX 16384 /* that JavaScript holds at a time */
#define FETCH_HEAD_MAX (128 * 1024)
#define FETCH_FIELDS_MAX 1000
#define FETCH_BUFFER (64 * 1024) /* of a body that waits for its reader, or for curl */

enum fetch_state {
	FETCH_QUEUED,    /* too many run already */
	FETCH_RUNNING,   /* curl has it */
	FETCH_ASKING,    /* egress makes its connection */
	FETCH_FOLLOWING, /* another one asks for the same host: it may be shared */
	FETCH_DONE,      /* curl is done with it; JavaScript may not be */
};

enum fetch_event {
	FETCH_EVENT_HEAD = 1,  /* status and header fields are there */
	FETCH_EVENT_BODY = 2,  /* fetchRead or fetchWhole has something */
	FETCH_EVENT_DRAIN = 4, /* fetchWrite takes more */
	FETCH_EVENT_FAILED = 8,
};

struct fetch_buffer {
	char *data;
	size_t start, length, capacity;
};

enum fetch_upload { FETCH_UPLOAD_NONE, FETCH_UPLOAD_BYTES, FETCH_UPLOAD_STREAM };

struct fetch_failure {
	const char *code; /* static: "ECONNRESET" */
	char *text;       /* malloc'ed */
	bool denied;      /* by the policy */
};

struct fetch_transfer {
	struct fetch_transfer *next_dirty, *next_queued;
	uint64_t id;
	enum fetch_state state;
	unsigned events; /* that JavaScript was not told of */
	bool dirty;

	/* the request */
	CURL *easy;
	struct curl_slist *fields;
	char *url, *host, *unix_path, *method;
	uint16_t port;
	bool secure;
	bool idempotent;
	bool no_follow;

	/* its connection */
	struct egress_request *request;
	int socket;         /* connected, for curl to take; else -1 */
	bool socket_wanted; /* curl asked for one that was not there */

	/* its body */
	enum fetch_upload upload;
	engine_ref *upload_bytes;
	uint64_t upload_position;
	int64_t upload_length; /* -1: not known */
	uint64_t upload_given; /* by the program's stream */
	struct fetch_buffer upload_buffer;
	bool upload_ended, upload_paused, upload_wanted;

	/* the response */
	int status, version;      /* version: 10, 11, 20 */
	struct fetch_buffer head; /* "\nname\rvalue\nname\rvalue\n", names in lower case */
	unsigned field_count;
	char reason[256];
	char codings[128]; /* Content-Encoding */
	bool head_complete;

	/* its body */
	struct content_decoder *decoder;
	struct fetch_buffer raw; /* as received */
	size_t fed;              /* of RAW, to the decoder */
	struct fetch_buffer whole;
	bool body_ended;  /* all has been received */
	bool body_paused; /* curl waits until RAW was read */
	bool body_wanted; /* JavaScript waits for FETCH_EVENT_BODY */
	bool body_whole;  /* and wants all of it at once */
	bool discard;     /* nobody wants it: of a redirect */
	size_t discarded;

	struct fetch_failure failure;
	char curl_error[CURL_ERROR_SIZE];
};

/* ---- fetch_multi.c ---- */

/* Before the fork: curl and OpenSSL, without a thread or descriptor. */
int fetch_prepare(struct error *error);
/* In the worker, with the first transfer. */
bool fetch_multi_ready(void);
void fetch_multi_end(void); /* in a thread that ends, without transfers */

/* Begins it, or queues it. */
void fetch_multi_add(struct fetch_transfer *transfer);
/* Begins it again, with its socket, or to follow one that has got its own. */
void fetch_multi_restart(struct fetch_transfer *transfer);
/* Lets curl begin at once what was restarted. */
void fetch_multi_proceed(void);
/* Whether transfers keep the program alive: not those that stand still until their
 * response is read, while nobody reads it. */
void fetch_multi_reference(void);
/* Takes it out, whatever its state. */
void fetch_multi_remove(struct fetch_transfer *transfer);
/* Lets curl go on where it was paused. */
void fetch_multi_continue(struct fetch_transfer *transfer);
/* EVENTS are to be told before the loop waits. */
void fetch_multi_mark(struct fetch_transfer *transfer, unsigned events);
CURL *fetch_multi_easy(void);
void fetch_multi_give_back(CURL *easy);

/* ---- fetch_transfer.c ---- */

/* Sets all of curl's options. 0 or -ENOMEM. */
int fetch_transfer_configure(struct fetch_transfer *transfer);
/* curl's attempt ended with RESULT. */
void fetch_transfer_ended(struct fetch_transfer *transfer, CURLcode result);
/* Keeps the first failure and marks it; also from inside of curl's callbacks, which then
 * return an error. CODE is static. */
void fetch_transfer_fail(
	struct fetch_transfer *transfer, const char *code, bool denied, const char *text);
/* Ends it and frees everything. */
void fetch_transfer_free(struct fetch_transfer *transfer);

/* ---- fetch_head.c ---- */

size_t fetch_on_header(char *line, size_t size, size_t count, void *data);

/* ---- fetch_body.c ---- */

size_t fetch_on_write(char *bytes, size_t size, size_t count, void *data);
size_t fetch_on_read(char *place, size_t size, size_t count, void *data);
int fetch_on_seek(void *data, curl_off_t offset, int origin);
/* Decodes at most SIZE bytes of what was received. 0: nothing yet, or the end
 * (fetch_body_over). A negative errno: the transfer has failed. */
ssize_t fetch_body_read(struct fetch_transfer *transfer, void *data, size_t size);
bool fetch_body_over(const struct fetch_transfer *transfer);
/* Moves what there is into WHOLE. 0, or a negative errno: it has failed. */
int fetch_body_gather(struct fetch_transfer *transfer);
bool fetch_buffer_append(struct fetch_buffer *buffer, const void *data, size_t length);
void fetch_buffer_free(struct fetch_buffer *buffer);

/* ---- fetch_sockets.c ---- */

/* curl has taken FD for TRANSFER's host and port. */
void fetch_sockets_add(int fd, const struct fetch_transfer *transfer);
int fetch_on_close_socket(void *data, curl_socket_t fd);
/* Has the other side closed a connection that TRANSFER could be sent on? */
bool fetch_sockets_stale(const struct fetch_transfer *transfer);

/* ---- fetch_errors.c ---- */

/* The code of Node's error for what curl says; static. */
const char *fetch_error_code(struct fetch_transfer *transfer, CURLcode result);
const char *fetch_certificate_code(long verify_result);

/* ---- native_fetch.c ---- */

/* Calls the hooks for what is marked. */
void fetch_tell(struct fetch_transfer *transfer);
struct fetch_transfer *fetch_find(uint64_t id);
/* The next transfer behind BEFORE (NULL: the first) in the order of slots, or NULL. */
struct fetch_transfer *fetch_next(const struct fetch_transfer *before);
