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
 *   more than `concurrent` requests  503 with Retry-After, without entering JavaScript
 *   keep-alive without a request     closed silently
 *   reader too slow                  the connection is cut
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

#define HTTP_HEAD_MS 10000  /* from the first byte of a head to its end */
#define HTTP_BODY_MS 30000  /* without a byte of the body */
#define HTTP_WRITE_MS 30000 /* without a byte taken by the reader */
#define HTTP_IDLE_MS 60000  /* keep-alive, when idle_ms is 0 */
/* Draining, or out of room: how long a new connection may take to its first request, and one that
 * was just answered to its next, which may be on its way. */
#define HTTP_FRESH_MS 1000
#define HTTP_QUIET_MS 500
#define HTTP_LINGER_MS 2000    /* for the peer to read a last response and to close */
#define HTTP_SWEEP_MS 1000     /* how often deadlines are looked at */
#define HTTP_HASTY_SWEEP_MS 50 /* where somebody waits for room, or for the end */
