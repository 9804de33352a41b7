/* Natives of isolate/js/fetch_transfer.js. A transfer is a number there; what is done with
 * one that is over has no effect. */
#include "isolate/fetch.h"

#include "common/cleanup.h"
#include "isolate/content_decoder.h"
#include "isolate/natives.h"
#include "isolate/permission.h"

#include <openssl/evp.h>
#include <string.h>

static _Thread_local struct fetch_transfer **table;
static _Thread_local size_t table_size;
static _Thread_local uint64_t generation;
static _Thread_local char *piece; /* of a body, on its way to JavaScript */
static _Thread_local engine_ref *on_head, *on_body, *on_drain, *on_failed;

/* ---- numbers ---- */

struct fetch_transfer *fetch_find(uint64_t id)
{
	size_t slot = (size_t)(id % FETCH_TRANSFERS_MAX);
	return slot < table_size && table[slot] && table[slot]->id == id ? table[slot] : NULL;
}

struct fetch_transfer *fetch_next(const struct fetch_transfer *before)
{
	size_t slot = before ? (size_t)(before->id % FETCH_TRANSFERS_MAX) + 1 : 0;
	while (slot < table_size && !table[slot])
		slot++;
	return slot < table_size ? table[slot] : NULL;
}

static struct fetch_transfer *argument_transfer(const struct engine_call *call)
{
	double id = engine_argument_number(call, 0);
	return id > 0 ? fetch_find((uint64_t)id) : NULL;
}

static bool enter(struct fetch_transfer *transfer)
{
	size_t slot = 0;
	while (slot < table_size && table[slot])
		slot++;
	if (slot == FETCH_TRANSFERS_MAX)
		return false;
	if (slot == table_size) {
		size_t size = table_size ? table_size * 2 : 16;
		struct fetch_transfer **grown =
			realloc(table, size * sizeof(struct fetch_transfer *));
		if (!grown)
			return false;
		memset(grown + table_size, 0, (size - table_size) * sizeof grown[0]);
		table = grown;
		table_size = size;
	}
	table[slot] = transfer;
	transfer->id = ++generation * FETCH_TRANSFERS_MAX + slot;
	return true;
}

static void forget(struct fetch_transfer *transfer)
{
	table[transfer->id % FETCH_TRANSFERS_MAX] = NULL;
	fetch_transfer_free(transfer);
}

/* ---- telling ---- */

static void call_hook(engine_ref *hook, engine_value *const *arguments, int count)
{
	runtime_call(engine_ref_get(runtime.engine, hook), engine_undefined(runtime.engine),
		arguments, count);
}

static void tell_head(struct fetch_transfer *transfer)
{
	struct engine *engine = runtime.engine;
	const struct fetch_buffer *head = &transfer->head;
	engine_value *arguments[] = {
		engine_number(engine, (double)transfer->id),
		engine_int32(engine, transfer->status),
		engine_string_latin1(engine, transfer->reason, strlen(transfer->reason)),
		engine_string_latin1(engine, head->data + head->start, head->length),
	};
	fetch_buffer_free(&transfer->head);
	call_hook(on_head, arguments, ARRAY_LENGTH(arguments));
}

static void tell(engine_ref *hook, uint64_t id)
{
	engine_value *argument = engine_number(runtime.engine, (double)id);
	call_hook(hook, &argument, 1);
}

void fetch_tell(struct fetch_transfer *transfer)
{
	struct engine_scope scope;
	const uint64_t id = transfer->id;
	unsigned events = transfer->events;
	transfer->events = 0;
	if (transfer->discard) {
		if (transfer->state == FETCH_DONE || transfer->failure.code)
			forget(transfer);
		return;
	}
	engine_scope_open(runtime.engine, &scope);
	if (events & FETCH_EVENT_FAILED)
		fetch_multi_remove(transfer);
	if (events & FETCH_EVENT_HEAD)
		tell_head(transfer);
	transfer = fetch_find(id); /* JavaScript may have ended it */
	if (transfer && transfer->failure.code) {
		tell(on_failed, id);
		engine_scope_close(runtime.engine, &scope);
		return;
	}
	if (transfer && (events & FETCH_EVENT_BODY) && transfer->body_wanted) {
		transfer->body_wanted = false;
		tell(on_body, id);
		transfer = fetch_find(id);
	}
	if (transfer && (events & FETCH_EVENT_DRAIN) && transfer->upload_wanted) {
		transfer->upload_wanted = false;
		tell(on_drain, id);
	}
	engine_scope_close(runtime.engine, &scope);
}

/* ---- beginning ---- */

static char *text_argument(struct engine *engine, struct engine_call *call, int index)
{
	return engine_to_utf8(engine, engine_call_argument(engine, call, index), NULL);
}

/* LINE is "name: value"; curl leaves one without a value out unless it is told so. */
static bool add_field(struct fetch_transfer *transfer, char *line)
{
	size_t length = strlen(line);
	if (length >= 2 && line[length - 2] == ':' && line[length - 1] == ' ') {
		line[length - 2] = ';';
		line[length - 1] = '\0';
	}
	struct curl_slist *list = curl_slist_append(transfer->fields, line);
	if (list)
		transfer->fields = list;
	return list != NULL;
}

/* What curl would add by itself, beside what the library decides. */
static bool add_defaults(struct fetch_transfer *transfer)
{
	char expect[] = "Expect:", accept[] = "Accept:";
	return add_field(transfer, expect) && add_field(transfer, accept);
}

/* FIELDS: "name: value\n" for each, which isolate/js/headers.js has checked; checked here
 * again, since nothing else stands between it and the wire. */
static bool read_fields(struct fetch_transfer *transfer, engine_value *fields)
{
	size_t length = engine_string_length(fields);
	cleanup_free char *text = malloc(length + 1);
	if (!text)
		return false;
	engine_string_write_latin1(runtime.engine, fields, text, length);
	text[length] = '\0';
	if (strlen(text) != length || strchr(text, '\r'))
		return false;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));)
		if (*line && !add_field(transfer, line))
			return false;
	return true;
}

static bool is_idempotent(const char *method)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

static bool read_upload(
	struct engine *engine, struct engine_call *call, struct fetch_transfer *transfer)
{
	engine_value *body = engine_call_argument(engine, call, 7);
	void *data;
	size_t length;
	if (engine_typeof(body) == ENGINE_BOOLEAN) {
		transfer->upload = FETCH_UPLOAD_STREAM;
		const double announced = engine_argument_number(call, 8);
		transfer->upload_length =
			announced >= 0 && announced <= 9007199254740991.0 ? (int64_t)announced : -1;
		return true;
	}
	if (!engine_bytes_get(body, &data, &length))
		return true;
	transfer->upload = FETCH_UPLOAD_BYTES;
	transfer->upload_length = (int64_t)length;
	transfer->upload_bytes = engine_ref_new(engine, body);
	return transfer->upload_bytes != NULL;
}

static struct fetch_transfer *make_transfer(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = calloc(1, sizeof *transfer);
	if (!transfer)
		return NULL;
	transfer->state = FETCH_DONE; /* nobody's yet */
	transfer->socket = -1;
	transfer->easy = fetch_multi_easy();
	transfer->url = text_argument(engine, call, 0);
	transfer->host = text_argument(engine, call, 1);
	transfer->port = (uint16_t)engine_argument_int32(call, 2);
	transfer->secure = engine_argument_bool(call, 3);
	engine_value *unix_path = engine_call_argument(engine, call, 4);
	if (engine_typeof(unix_path) == ENGINE_STRING)
		transfer->unix_path = engine_to_utf8(engine, unix_path, NULL);
	transfer->method = text_argument(engine, call, 5);
	engine_value *fields = engine_call_argument(engine, call, 6);
	if (!transfer->easy || !transfer->url || !transfer->host || !transfer->method ||
		engine_typeof(fields) != ENGINE_STRING || !read_upload(engine, call, transfer) ||
		!add_defaults(transfer) || !read_fields(transfer, fields)) {
		fetch_transfer_free(transfer);
		return NULL;
	}
	transfer->idempotent = is_idempotent(transfer->method);
	return transfer;
}

/* fetchStart(url, host, port, secure, unixPath, method, fields, body, length): the number
 * of the transfer; null without the permission; undefined without memory, or with too many.
 * BODY: bytes, true for a stream of LENGTH bytes (-1: not known), else none. */
static engine_value *fetch_start(struct engine *engine, struct engine_call *call)
{
	if (!egress_permitted()) {
		cleanup_free char *resource = text_argument(engine, call, 9);
		if (resource)
			permission_audit(AUDIT_NET_CONNECT, AUDIT_LAYER_EGRESS, false, resource);
		return engine_null(engine);
	}
	struct fetch_transfer *transfer = fetch_multi_ready() ? make_transfer(engine, call) : NULL;
	if (!transfer)
		return NULL;
	if (fetch_transfer_configure(transfer) < 0 || !enter(transfer)) {
		fetch_transfer_free(transfer);
		return NULL;
	}
	fetch_multi_add(transfer);
	fetch_multi_reference();
	return engine_number(engine, (double)transfer->id);
}

/* ---- the request's body ---- */

static void resume_upload(struct fetch_transfer *transfer)
{
	if (!transfer->upload_paused)
		return;
	transfer->upload_paused = false;
	fetch_multi_continue(transfer);
}

/* fetchWrite(id, bytes): true to go on, false to wait for the hook, undefined when nobody
 * wants more, null when it is more than the promised length. */
static engine_value *fetch_write(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	void *data;
	size_t length;
	if (!transfer || transfer->state == FETCH_DONE ||
		!engine_bytes_get(engine_call_argument(engine, call, 1), &data, &length))
		return NULL;
	if (transfer->upload_length >= 0 &&
		length > (uint64_t)transfer->upload_length - transfer->upload_given)
		return engine_null(engine);
	if (!fetch_buffer_append(&transfer->upload_buffer, data, length))
		return NULL;
	transfer->upload_given += length;
	transfer->upload_wanted = transfer->upload_buffer.length >= FETCH_BUFFER;
	if (length > 0)
		resume_upload(transfer);
	return engine_bool(engine, !transfer->upload_wanted);
}

/* fetchWriteEnd(id): false when it was less than the promised length. */
static engine_value *fetch_write_end(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	if (!transfer || transfer->state == FETCH_DONE)
		return engine_bool(engine, true);
	if (transfer->upload_length >= 0 &&
		transfer->upload_given != (uint64_t)transfer->upload_length)
		return engine_bool(engine, false);
	transfer->upload_ended = true;
	resume_upload(transfer);
	return engine_bool(engine, true);
}

/* ---- the response's body ---- */

/* fetchRead(id): bytes; null at the end; undefined to wait for the hook; false when it has
 * failed (fetchError), or is over. */
static engine_value *fetch_read(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	if (transfer && !piece)
		piece = malloc(FETCH_BUFFER);
	if (!transfer || !piece)
		return engine_bool(engine, false);
	ssize_t length =
		transfer->failure.code ? -EIO : fetch_body_read(transfer, piece, FETCH_BUFFER);
	if (length < 0)
		return engine_bool(engine, false);
	if (length > 0)
		return engine_bytes_copy(engine, piece, (size_t)length);
	if (fetch_body_over(transfer)) {
		forget(transfer);
		return engine_null(engine);
	}
	transfer->body_wanted = true;
	fetch_multi_reference();
	return NULL;
}

static engine_value *take_whole(struct engine *engine, struct fetch_transfer *transfer)
{
	struct fetch_buffer *buffer = transfer->whole.data ? &transfer->whole : &transfer->raw;
	size_t length = buffer->length;
	char *data = take_pointer(buffer->data);
	char *fitting = length > 0 ? realloc(data, length) : NULL;
	if (length == 0)
		free(data);
	forget(transfer);
	return length > 0 ? engine_bytes_take(engine, fitting ? fitting : data, length)
			  : engine_bytes_new(engine, 0, NULL);
}

/* fetchWhole(id): as fetchRead, but everything at once. */
static engine_value *fetch_whole(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	if (!transfer)
		return engine_bool(engine, false);
	transfer->body_whole = true;
	/* Not while it is gathered: curl may write at once what it kept. */
	bool paused = transfer->body_paused;
	transfer->body_paused = false;
	if (transfer->failure.code || fetch_body_gather(transfer) < 0)
		return engine_bool(engine, false);
	if (transfer->body_ended)
		return take_whole(engine, transfer);
	if (paused)
		fetch_multi_continue(transfer);
	transfer->body_wanted = true;
	fetch_multi_reference();
	return NULL;
}

/* ---- the end ---- */

/* fetchError(id): [code, text, denied] of one that has failed, which is forgotten. */
static engine_value *fetch_error(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	if (!transfer || !transfer->failure.code)
		return NULL;
	engine_value *items[] = {
		engine_string(engine, transfer->failure.code),
		engine_string(engine, transfer->failure.text ? transfer->failure.text : ""),
		engine_bool(engine, transfer->failure.denied),
	};
	forget(transfer);
	return engine_array(engine, items, ARRAY_LENGTH(items));
}

/* fetchAbort(id): nobody wants any of it any more. */
static engine_value *fetch_abort(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	(void)engine;
	if (transfer)
		forget(transfer);
	return NULL;
}

/* fetchDiscard(id): the rest of the body is read, if it is short, so that its connection
 * can be used again. */
static engine_value *fetch_discard(struct engine *engine, struct engine_call *call)
{
	struct fetch_transfer *transfer = argument_transfer(call);
	(void)engine;
	if (!transfer)
		return NULL;
	if (transfer->state != FETCH_RUNNING || transfer->upload == FETCH_UPLOAD_STREAM) {
		forget(transfer);
		return NULL;
	}
	transfer->discard = true;
	fetch_buffer_free(&transfer->raw);
	if (transfer->body_paused) {
		transfer->body_paused = false;
		fetch_multi_continue(transfer);
	}
	return NULL;
}

/* fetchDigest("SHA256", bytes): for the request's integrity. */
static engine_value *fetch_digest(struct engine *engine, struct engine_call *call)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_length = 0;
	cleanup_free char *name = text_argument(engine, call, 0);
	const EVP_MD *algorithm = name ? EVP_get_digestbyname(name) : NULL;
	void *data;
	size_t length;
	if (!algorithm ||
		!engine_bytes_get(engine_call_argument(engine, call, 1), &data, &length) ||
		EVP_Digest(data, length, digest, &digest_length, algorithm, NULL) != 1)
		return NULL;
	return engine_bytes_copy(engine, digest, digest_length);
}

static void find_hooks(void)
{
	on_head = runtime_hook("fetchHead");
	on_body = runtime_hook("fetchBody");
	on_drain = runtime_hook("fetchDrain");
	on_failed = runtime_hook("fetchFailed");
}

/* fetchCodings(): the value of Accept-Encoding. */
static engine_value *fetch_codings(struct engine *engine, struct engine_call *call)
{
	(void)call;
	return engine_string(engine, content_decoder_offers());
}

static const struct engine_native natives[] = {
	{"fetchCodings", fetch_codings, 0},
	{"fetchStart", fetch_start, 10},
	{"fetchWrite", fetch_write, 2},
	{"fetchWriteEnd", fetch_write_end, 1},
	{"fetchRead", fetch_read, 1},
	{"fetchWhole", fetch_whole, 1},
	{"fetchError", fetch_error, 1},
	{"fetchAbort", fetch_abort, 1},
	{"fetchDiscard", fetch_discard, 1},
	{"fetchDigest", fetch_digest, 2},
};

static void stop(void)
{
	for (size_t slot = 0; slot < table_size; slot++)
		if (table[slot]) {
			fetch_multi_remove(table[slot]);
			forget(table[slot]);
		}
	free(table);
	table = NULL;
	table_size = 0;
	free(piece);
	piece = NULL;
	fetch_multi_end();
}

const struct native_module fetch_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
	.bind = find_hooks,
	.stop = stop,
};
