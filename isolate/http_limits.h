/* The bounds of the HTTP/1.1 server. Those of the tenant (body, time, concurrency,
 * keep-alive) come from its policy through struct worker_start; zero there means the
 * default here, or no limit where the name says so.
 *
 * What happens when one is passed:
 *
 *   request target too long          414, close
 *   head too large, too many fields  431, close
 *   head too slow                    408, close
 *   body larger than body_bytes      413, close; at once when Content-Length says so,
 *                                    else when the count passes it
 *   body too slow                    408, close; only while the server wants more
 *   request longer than request_ms   503 if no response has begun, else the connection
 *                                    is cut. The whole request counts, the streaming
 *                                    of its response included.
 *   for a site of another tenant     421, close; only on connections of shared ports
 *   more than `concurrent` requests  503 with Retry-After, without entering JavaScript
 *   answers that nobody reads hold    the slowest readers are cut, oldest first; while that
 *   a quarter of the memory limit      is not enough, 503 with Retry-After
 *   keep-alive without a request     closed silently
 *   reader too slow                  the connection is cut
 *   HTTP/2: more streams at a time    REFUSED_STREAM
 *   HTTP/2: many resets, errors, pings, settings, empty frames, continuations
 *                                     GOAWAY, close
 *   TLS handshake too slow, or many changes of keys without reading
 *                                     closed silently
 *   too many connections             the longest idle one is closed; if none is idle, answers
 *                                    carry `Connection: close`, and new ones wait in the
 *                                    kernel's queue */
#pragma once

#define HTTP_TARGET_BYTES 8192          /* request target */
#define HTTP_HEAD_BYTES (16 * 1024)     /* request line and fields; trailers again */
#define HTTP_FIELDS 100                 /* header fields of a request */
#define HTTP_HOST_BYTES 260             /* Host: 253 of a name, colon, port */
#define HTTP_READ_BYTES (64 * 1024)     /* the one buffer that all connections read into */
#define HTTP_BODY_BUFFER (64 * 1024)    /* body read ahead of the program */
#define HTTP_OUT_BUFFER (64 * 1024)     /* response queued before the program has to wait */
#define HTTP_PIPELINE_BYTES (64 * 1024) /* requests read ahead of the one under way */
#define HTTP_DISCARD_BYTES (256 * 1024) /* unread body that is drained after a response */
#define HTTP_FRAMING_BYTES (16 * 1024)  /* chunk framing beyond 8 bytes for each body byte */

#define HTTP_CONNECTIONS_MAX 4096 /* for each worker; fewer when its `files` is small */
#define HTTP_FILES_RESERVED 64    /* descriptors of `files` that are not connections */

/* TLS: of a client before the handshake is complete. It has HTTP_HEAD_MS for that. */
#define HTTP_TLS_BYTES (128 * 1024)
/* Answers of TLS itself (to changes of keys) that wait behind what a client does not read. */
#define HTTP_TLS_ANSWERS_BYTES (16 * 1024)

/* HTTP/2. Rates are for each second; a connection that passes one is ended with GOAWAY. */
#define HTTP2_STREAMS_MAX 100           /* of a connection; fewer when `concurrent` is */
#define HTTP2_STREAMS_ALL 2048          /* of a worker: REFUSED_STREAM */
#define HTTP2_WINDOW_BYTES (256 * 1024) /* request body sent ahead of the program: of a stream */
#define HTTP2_CONNECTION_BYTES (1024 * 1024) /* and of all of a connection */
#define HTTP2_PIECE_BYTES (8 * 1024)         /* received before it is looked at what came of it */
#define HTTP2_CONTINUATIONS_MAX 8            /* frames that go on with one head */
#define HTTP2_FIELDS_BYTES (96 * 1024)       /* of one head, or of trailers, uncompressed */
#define HTTP2_RESETS_MAX 200 /* streams that a client resets, or makes us reset, at once */
#define HTTP2_RESETS_RATE 33
#define HTTP2_NOISE_MAX 1000 /* frames that bring nothing (PING, SETTINGS, empty DATA), at once */
#define HTTP2_NOISE_RATE 50
#define HTTP2_ACKS_MAX 200                   /* answers to those that it does not read */
#define HTTP2_ANSWER_HEAD_BYTES (256 * 1024) /* of a response: the program's own */

#define HTTP_HEAD_MS 10000  /* from the first byte of a head to its end */
#define HTTP_BODY_MS 30000  /* without a byte of the body */
#define HTTP_WRITE_MS 30000 /* without a byte taken by the reader */
#define HTTP_IDLE_MS 60000  /* keep-alive, when idle_ms is 0 */
/* Draining, or out of room: how long a new connection may take to its first request, and one that
 * was just answered to its next, which may be on its way. */
#define HTTP_FRESH_MS 1000
#define HTTP_QUIET_MS 500
/* A reader that has been waited for this long may be cut to make room. */
#define HTTP_PATIENCE_MS 1000
#define HTTP_LINGER_MS 2000    /* for the peer to read a last response and to close */
#define HTTP_SWEEP_MS 1000     /* how often deadlines are looked at */
#define HTTP_HASTY_SWEEP_MS 50 /* where somebody waits for room, or for the end */
