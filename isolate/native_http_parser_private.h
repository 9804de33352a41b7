/* What the parser of node:http (isolate/native_http_parser.c) and its lists of connections
 * (isolate/native_http_connections.c) share. */
#pragma once

#include "isolate/runtime.h"

#include <llhttp.h>

#define FIELDS_MAX 32 /* then they are given to JavaScript, and collected anew */

/* Bytes of the input that is parsed now, or, where they came in pieces, of their own. */
struct piece {
	const char *data;
	size_t size;
	char *own;
};

struct connections;

struct parser {
	llhttp_t llhttp;
	struct piece url, status;
	struct piece fields[FIELDS_MAX], values[FIELDS_MAX];
	size_t field_count, value_count;
	uint64_t header_bytes, header_bytes_max, extension_bytes;
	const char *input; /* while it executes */
	size_t input_length;
	engine_ref *context; /* of whoever initialised it: AsyncLocalStorage */
	engine_ref *self, *list_self;
	struct connections *list;
	struct parser *next, *previous; /* in LIST */
	struct parser *next_live, *previous_live;
	uint64_t started_ns; /* of the message under way; 0: none */
	uint64_t ended_ns;   /* of the last one, or of the connection's begin */
	unsigned depth;      /* of execute and finish */
	bool initialised;
	bool closed;
	bool is_new;  /* no message has begun */
	bool active;  /* for ConnectionsList.active */
	bool flushed; /* fields of this message were given to JavaScript before its head ended */
	bool head_complete;
	bool failed; /* an exception is pending */
	bool pause_pending;
	bool freed; /* while it executes: what follows is for nobody */
};

struct connections {
	struct parser *first;
};

/* Adds PARSER, whose object is OBJECT, to LIST (NULL: to none), whose object is LIST_OBJECT;
 * takes it out again. Both objects live as long as it is in. */
void http_connections_add(struct parser *parser, engine_value *object, struct connections *list,
	engine_value *list_object);
void http_connections_remove(struct parser *parser);

/* The class ConnectionsList. */
#define HTTP_CONNECTIONS_METHODS 5
extern const struct engine_native http_connections_methods[HTTP_CONNECTIONS_METHODS];
engine_value *http_connections_construct(struct engine *engine, struct engine_call *call);
void http_connections_destroy(void *state);
