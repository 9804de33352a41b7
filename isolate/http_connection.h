/* Connections of the HTTP server: reading, the order of requests, writing, deadlines.
 * One exchange (request and response) at a time: the next request of a connection is
 * parsed when the response before is complete, so that pipelined answers are in order.
 *
 *   accept -> head -> body -> complete -> (next head)
 *                \-> dispatched: waiting -> streaming -> done
 *
 * JavaScript knows an exchange by the connection's slot and a generation that changes
 * with every exchange: what it does with an old pair has no effect.
 *
 * A stream of HTTP/2 (isolate/http2.h) is one of these, too, without a socket: its exchange
 * is like any other's, what carries it is not.
 *
 * Output is collected and written once: at the end of the read callback that caused
 * it, else right before the loop waits. */
#pragma once

#include "isolate/http_parse.h"
#include "isolate/http_response.h"

#include <uv.h>

enum http_parsing { HTTP_PARSING_HEAD, HTTP_PARSING_BODY, HTTP_PARSING_DONE };

enum http_answering {
	HTTP_ANSWER_NONE,      /* the program does not know of the request yet */
	HTTP_ANSWER_WAITING,   /* it does, and has not responded */
	HTTP_ANSWER_STREAMING, /* the response's head is out, its body is not complete */
	HTTP_ANSWER_DONE,
};

/* Why an exchange ended before its response did: isolate/js/server.js has the texts. */
enum http_abort {
	HTTP_ABORT_DISCONNECTED = 1,
	HTTP_ABORT_TIME,      /* request_ms */
	HTTP_ABORT_BODY_SIZE, /* body_bytes */
	HTTP_ABORT_BODY_TIME, /* the client sends too slowly */
	HTTP_ABORT_MALFORMED, /* a chunk that is none */
	HTTP_ABORT_READER,    /* the client reads too slowly */
	HTTP_ABORT_DRAINED,   /* the worker ends */
};

#define HTTP_NO_LISTENER UINT8_MAX /* it came by another way: tenantd-ingress */

struct http2;
struct http_tls;

struct http_connection {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct http_connection *next, *previous; /* of all */
	struct http_connection *next_dirty;
	struct http_parser parser;

	struct http_tls *tls;    /* what is read and written is TLS's; NULL: plain */
	struct http2 *http2;     /* it has streams, and no exchange of its own */
	struct http2 *stream_of; /* it is a stream of these; NULL: a connection */
	int32_t stream;          /* its number */
	uint32_t unconsumed;     /* of its body, that the client may not replace by more */
	size_t out_sent;         /* of out, that frames were made of */

	struct http_buffer out;     /* to be written */
	struct http_buffer sending; /* given to uv_write */
	struct http_buffer ahead;   /* read, of later requests */
	const char *rest;           /* unparsed end of what is being received */
	size_t rest_length;

	/* The body: its first piece stays in the read buffer until the program has seen
	 * the request, which often takes all of it at once. */
	struct http_buffer body;
	const char *piece;
	size_t piece_length;
	uint64_t body_total;
	uint64_t discarded;

	uint64_t response_left; /* bytes that the promised length still wants */
	uint64_t since_ms;      /* accepted, first byte of the head, or last answer */
	uint64_t started_ms;    /* dispatched */
	uint64_t read_ms, write_ms, linger_ms;
	uint64_t waiting_ms; /* since when output waits for the reader */
	size_t write_left;   /* at the last sweep */

	uint32_t slot, generation;
	uint32_t holds;  /* promises that this exchange gave to ctx.waitUntil */
	uint8_t parsing; /* enum http_parsing */
	uint8_t answering;
	uint8_t framing;  /* of the response under way */
	uint8_t listener; /* that the client connected to, or HTTP_NO_LISTENER */
	bool broken;      /* the program cannot finish the response: cut the connection */
	bool is_tcp;
	bool reading;
	bool writing;
	bool dirty;
	bool closing, closed;
	bool lingering;    /* our side is shut; what still comes is thrown away */
	bool last;         /* no further request; close when all is written */
	bool unread_input; /* closing now would reset the connection under the response */
	bool keep_alive;
	bool head_request;
	bool continue_due;  /* 100 (Continue) is still owed */
	bool body_started;  /* the program has begun to read the body */
	bool body_whole;    /* it wants all of it at once: no backpressure */
	bool body_wanted;   /* it waits for the hook onBody */
	bool body_unwanted; /* it has cancelled the body */
	bool body_ended;    /* it has seen the end of the body */
	bool drain_wanted;  /* it waits for the hook onDrain */
	bool deferred;      /* stream: waits for more of the response */
	bool end_sent;      /* stream: all of the response is on its way */
	bool upgrading;     /* it will be the program's: isolate/http_upgrade.c */
	bool stream_over;   /* stream: the session has forgotten it */
};

struct http_server {
	uv_loop_t *loop;
	struct http_connection *connections; /* all that are open */
	struct http_connection *dirty;       /* with something to do before the loop waits */
	struct http_connection *current;     /* being read; its output needs no mark */
	struct http_connection *table[HTTP_CONNECTIONS_MAX];
	struct http_connection *pool[HTTP_CONNECTIONS_MAX]; /* closed ones, with their slot */
	uint32_t pooled, made;
	uint32_t open, limit;
	uint32_t streams;    /* of all connections */
	uint32_t active;     /* exchanges that JavaScript works on */
	uint32_t tasks;      /* what else it works on: scheduled runs */
	uint32_t concurrent; /* most of them; 0: no limit */
	uint64_t body_bytes; /* 0: no limit */
	uint32_t request_ms; /* 0: no limit */
	uint32_t idle_ms;
	uint64_t out_bytes; /* what all answers together may hold; 0: no limit */
	uint64_t holds;     /* promises of ctx.waitUntil, and other work that a drain waits for */
	bool entered;       /* JavaScript ran: a tick is due */
	bool draining;
	bool full; /* no room; whoever comes waits in the kernel's queue, or in a channel */
};

extern struct http_server http_server;

/* Serves FD, a connected stream socket, which becomes the connection's in any case.
 * LISTENER: the index of the one that the client connected to, or -1. FLAGS: bits of enum
 * handover_flag. Returns 0 or a negative errno: -EPROTONOSUPPORT for TLS without a
 * certificate. */
int http_connection_open(int fd, bool is_tcp, int listener, unsigned flags);

/* The exchange that JavaScript calls SLOT and GENERATION, or NULL when it is over. */
struct http_connection *http_connection_find(uint32_t slot, uint32_t generation);

/* Something was queued or has ended: look before the loop waits. */
void http_connection_mark(struct http_connection *connection);
/* The same, also of one that is being read. */
void http_connection_wake(struct http_connection *connection);
/* Reads on, after the program took some of the body. */
void http_connection_resume(struct http_connection *connection);
/* Nothing waits for this connection: it may be closed at any time. */
bool http_connection_idle(const struct http_connection *connection);
/* Idle, and closing it takes no request from anybody: nothing has arrived that was not
 * read, and it was neither opened just now for a first request nor answered just now, so
 * that the next may be on its way. */
bool http_connection_may_end(const struct http_connection *connection);
/* Closes now. If a program works on the exchange it is told REASON. */
void http_connection_cut(struct http_connection *connection, enum http_abort reason);

/* ---- for what carries bytes and exchanges: isolate/http_tls.c, isolate/http2.c ---- */

/* Plain bytes of it have arrived. */
void http_connection_take(struct http_connection *connection, const char *data, size_t length);
/* Writes what is queued. */
void http_connection_flush(struct http_connection *connection);
/* The peer has ended. */
void http_connection_ended(struct http_connection *connection);
/* What JavaScript left for later runs when it has returned, once for all calls. */
void http_connection_tick(void);

/* A stream of PARENT; NULL when there are too many, or no memory. The end of one: nobody knows
 * it any more. */
struct http_connection *http_connection_new_stream(const struct http_connection *parent);
void http_connection_drop_stream(struct http_connection *stream);
/* Its exchange is over on both sides. */
bool http_connection_finished(const struct http_connection *connection);
/* Nobody will read the body. */
bool http_connection_body_is_waste(const struct http_connection *connection);

void http_connections_run_dirty(void);

/* isolate/http_deadlines.c: once in a while. */
void http_connections_sweep(void);
/* Whether answers may be queued: not while too much waits for clients that do not read, even
 * after those that have been waited for longest were cut. */
bool http_connections_have_room(void);

/* The server's part: a connection is gone; some wait for their turn, so that the loop
 * must not. */
void http_server_closed(void);
void http_server_dirty(bool more);
