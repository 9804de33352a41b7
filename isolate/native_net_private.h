/* What isolate/native_net.c (streams) and isolate/native_net_listen.c (listeners) share. */
#pragma once

#include "isolate/egress_client.h"
#include "isolate/native_net.h"

#include <uv.h>

/* What the hook netEvent is told; isolate/js/node/net/handle.js has the same numbers. */
enum net_event {
	NET_CONNECT,    /* enum egress_refusal; of a refusal [errno, text] */
	NET_READ,       /* bytes; undefined at the end; a negative errno */
	NET_WRITE,      /* 0 or a negative errno: of a write that returned 1 */
	NET_SHUTDOWN,   /* 0 or a negative errno */
	NET_CLOSE,      /* nothing comes after it */
	NET_CONNECTION, /* a NetStream that was accepted */
};

struct net_stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
		uv_poll_t poll; /* a listener */
	} uv;
	uv_write_t write;
	uv_shutdown_t shutdown;
	engine_ref *self; /* while something can still happen to it */
	struct egress_request *request;
	/* The write under way: JavaScript's bytes, which stay where they are. What the socket
	 * does not take at once waits there; only SLICE, which libuv has, is a copy. */
	engine_ref *chunks;
	uint32_t chunk;
	size_t offset;
	char *slice;
	size_t slice_length;
	uint64_t bytes_read, bytes_written;
	int listener; /* its index; -1: a connection */
	int fd;       /* a listener's */
	bool is_tcp;
	bool open;
	bool closing;
	bool accepted;     /* holds a worker that drains */
	bool unreferenced; /* does not keep the program alive */
};

/* Tells JavaScript of EVENT, in a scope that the caller has opened. EXTRA may be NULL. */
void net_tell(
	struct net_stream *stream, enum net_event event, engine_value *value, engine_value *extra);

/* A stream that is not open, or NULL. */
struct net_stream *net_stream_new(void);
/* Makes it a stream over FD, which stays the caller's when this fails. */
int net_stream_open_fd(struct net_stream *stream, int fd);
/* An instance for STREAM, which it owns: kept alive until the stream has closed. */
engine_value *net_stream_instance(struct net_stream *stream);
/* Frees one that JavaScript never knew, when it has closed. */
void net_stream_unused(uv_handle_t *handle);
/* Lets it keep the program alive, or not, as it is to. */
void net_stream_reference(struct net_stream *stream);
void net_stream_close(struct net_stream *stream, bool reset);

/* STREAM closes: if it is a listener, it is nobody's now. */
void net_listener_forget(const struct net_stream *stream);

/* Natives: the method listen, and netListeners, netListenAudit, netTakeShared. */
engine_value *net_stream_listen(struct engine *engine, struct engine_call *call);
engine_value *net_list_listeners(struct engine *engine, struct engine_call *call);
engine_value *net_listen_audit(struct engine *engine, struct engine_call *call);
engine_value *net_take_shared(struct engine *engine, struct engine_call *call);
void net_listeners_bind(void);
