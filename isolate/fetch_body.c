/* Bodies, both ways. What is received stays as it is until it is read, and is decoded
 * then: a decompression bomb waits in its small form. */
#include "isolate/fetch.h"

#include "common/cleanup.h"

#include <string.h>

#define DISCARD_MAX (64 * 1024)
#define WHOLE_DEFAULT_MAX ((size_t)512 << 20)
#define WHOLE_STEP (64 * 1024)

/* ---- buffers ---- */

void fetch_buffer_free(struct fetch_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct fetch_buffer){0};
}

static bool reserve(struct fetch_buffer *buffer, size_t more)
{
	if (buffer->start > 0 && buffer->start + buffer->length + more > buffer->capacity) {
		memmove(buffer->data, buffer->data + buffer->start, buffer->length);
		buffer->start = 0;
	}
	if (buffer->length + more <= buffer->capacity)
		return true;
	size_t capacity = buffer->capacity ? buffer->capacity : 4096;
	while (capacity < buffer->length + more)
		capacity *= 2;
	char *data = realloc(buffer->data, capacity);
	if (!data)
		return false;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

bool fetch_buffer_append(struct fetch_buffer *buffer, const void *data, size_t length)
{
	if (!reserve(buffer, length))
		return false;
	if (length > 0)
		memcpy(buffer->data + buffer->start + buffer->length, data, length);
	buffer->length += length;
	return true;
}

static void consume(struct fetch_buffer *buffer, size_t length)
{
	buffer->start += length;
	buffer->length -= length;
	if (buffer->length == 0)
		buffer->start = 0;
}

/* ---- the request's body, as curl reads it ---- */

static size_t read_bytes(struct fetch_transfer *transfer, char *place, size_t room)
{
	struct engine_scope scope;
	void *data;
	size_t length, count = 0;
	engine_scope_open(runtime.engine, &scope);
	engine_value *bytes = engine_ref_get(runtime.engine, transfer->upload_bytes);
	if (engine_bytes_get(bytes, &data, &length) && transfer->upload_position < length) {
		count = length - (size_t)transfer->upload_position;
		if (count > room)
			count = room;
		memcpy(place, (char *)data + transfer->upload_position, count);
	}
	engine_scope_close(runtime.engine, &scope);
	return count;
}

size_t fetch_on_read(char *place, size_t size, size_t count, void *data)
{
	struct fetch_transfer *transfer = data;
	size_t room = size * count, length;
	if (transfer->upload == FETCH_UPLOAD_BYTES) {
		length = read_bytes(transfer, place, room);
		transfer->upload_position += length;
		return length;
	}
	struct fetch_buffer *buffer = &transfer->upload_buffer;
	length = buffer->length < room ? buffer->length : room;
	/* The server must not take a body for complete that turns out to be too long: the last
	 * of the promised bytes waits for the stream's end. */
	if (length > 0 && !transfer->upload_ended && transfer->upload_length >= 0 &&
		transfer->upload_position + length == (uint64_t)transfer->upload_length)
		length--;
	if (length == 0 && !transfer->upload_ended && transfer->upload == FETCH_UPLOAD_STREAM) {
		transfer->upload_paused = true;
		if (transfer->upload_wanted)
			fetch_multi_mark(transfer, FETCH_EVENT_DRAIN);
		return CURL_READFUNC_PAUSE;
	}
	if (length > 0)
		memcpy(place, buffer->data + buffer->start, length);
	consume(buffer, length);
	transfer->upload_position += length;
	if (transfer->upload_wanted && buffer->length < FETCH_BUFFER)
		fetch_multi_mark(transfer, FETCH_EVENT_DRAIN);
	return length;
}

/* curl begins again, on a connection that turned out to be dead. */
int fetch_on_seek(void *data, curl_off_t offset, int origin)
{
	struct fetch_transfer *transfer = data;
	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	if (transfer->upload == FETCH_UPLOAD_BYTES)
		transfer->upload_position = (uint64_t)offset;
	else if ((uint64_t)offset != transfer->upload_position)
		return CURL_SEEKFUNC_CANTSEEK;
	return CURL_SEEKFUNC_OK;
}

/* ---- the response's body, as curl writes it ---- */

size_t fetch_on_write(char *bytes, size_t size, size_t count, void *data)
{
	struct fetch_transfer *transfer = data;
	size_t length = size * count;
	if (transfer->discard) {
		transfer->discarded += length;
		return transfer->discarded > DISCARD_MAX ? CURL_WRITEFUNC_ERROR : length;
	}
	if (!transfer->body_whole && transfer->raw.length >= FETCH_BUFFER) {
		transfer->body_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (!fetch_buffer_append(&transfer->raw, bytes, length))
		return CURL_WRITEFUNC_ERROR;
	if (transfer->body_whole) {
		if (fetch_body_gather(transfer) < 0)
			return CURL_WRITEFUNC_ERROR;
	} else if (transfer->body_wanted) {
		fetch_multi_mark(transfer, FETCH_EVENT_BODY);
	}
	return length;
}

static ssize_t bad_coding(struct fetch_transfer *transfer, const char *coding)
{
	char text[128];
	snprintf(text, sizeof text,
		"the response body is not valid %s, as its content-encoding says", coding);
	fetch_transfer_fail(transfer, "ERR_CONTENT_DECODING_FAILED", false, text);
	return -EBADMSG;
}

static ssize_t read_decoded(struct fetch_transfer *transfer, void *data, size_t size)
{
	struct content_decoder *decoder = transfer->decoder;
	struct fetch_buffer *raw = &transfer->raw;
	const char *coding = "encoded";
	/* Anew each time: RAW may have moved. */
	content_decoder_feed(decoder, raw->data ? raw->data + raw->start : "", raw->length);
	if (transfer->body_ended)
		content_decoder_end(decoder);
	ssize_t length = content_decoder_read(decoder, data, size, &coding);
	consume(raw, raw->length - content_decoder_left(decoder));
	return length < 0 ? bad_coding(transfer, coding) : length;
}

ssize_t fetch_body_read(struct fetch_transfer *transfer, void *data, size_t size)
{
	struct fetch_buffer *raw = &transfer->raw;
	ssize_t length;
	if (transfer->decoder) {
		length = read_decoded(transfer, data, size);
	} else {
		length = (ssize_t)(raw->length < size ? raw->length : size);
		if (length > 0)
			memcpy(data, raw->data + raw->start, (size_t)length);
		consume(raw, (size_t)length);
	}
	if (length >= 0 && transfer->body_paused && raw->length < FETCH_BUFFER / 2) {
		transfer->body_paused = false;
		fetch_multi_continue(transfer);
	}
	return length;
}

bool fetch_body_over(const struct fetch_transfer *transfer)
{
	return transfer->body_ended && transfer->raw.length == 0 &&
	       (!transfer->decoder || content_decoder_done(transfer->decoder));
}

/* ---- all of it at once ---- */

/* What would be decoded into more than the tenant's memory is refused before the kernel
 * kills the whole worker for it. */
static size_t whole_max(void)
{
	uint64_t memory = runtime.start ? runtime.start->memory_bytes : 0;
	return memory ? (size_t)(memory / 2) : WHOLE_DEFAULT_MAX;
}

static int too_large(struct fetch_transfer *transfer)
{
	char text[128];
	snprintf(text, sizeof text,
		"the response body is larger than %zu MiB, half of limits.memory: read it as a "
		"stream",
		whole_max() >> 20);
	fetch_transfer_fail(transfer, "ERR_OUT_OF_RANGE", false, text);
	return -EFBIG;
}

int fetch_body_gather(struct fetch_transfer *transfer)
{
	struct fetch_buffer *whole = &transfer->whole;
	if (!transfer->decoder && whole->length == 0 && transfer->raw.start == 0) {
		/* Nothing to decode: it is gathered where it is. */
		return transfer->raw.length > whole_max() ? too_large(transfer) : 0;
	}
	for (;;) {
		if (!reserve(whole, WHOLE_STEP))
			return -ENOMEM;
		ssize_t length = fetch_body_read(
			transfer, whole->data + whole->start + whole->length, WHOLE_STEP);
		if (length <= 0)
			return (int)length;
		whole->length += (size_t)length;
		if (whole->length > whole_max())
			return too_large(transfer);
	}
}
