#include "isolate/http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- buffers ---- */

enum { CACHED_BLOCKS = 32 };
static char *cached[CACHED_BLOCKS];
static unsigned cached_count;
static size_t held;

size_t http_buffers_held(void)
{
	return held;
}

static bool grow(struct http_buffer *buffer, size_t size)
{
	size_t needed = buffer->length + size;
	if (needed < size)
		return false;
	if (!buffer->data && needed <= HTTP_BLOCK_BYTES) {
		buffer->data = cached_count ? cached[--cached_count] : malloc(HTTP_BLOCK_BYTES);
		buffer->capacity = buffer->data ? HTTP_BLOCK_BYTES : 0;
		held += buffer->capacity;
		return buffer->data;
	}
	size_t capacity = buffer->capacity < HTTP_BLOCK_BYTES ? HTTP_BLOCK_BYTES : buffer->capacity;
	while (capacity < needed)
		capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
	char *data = realloc(buffer->data, capacity);
	if (!data)
		return false;
	held += capacity - buffer->capacity;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

char *http_buffer_reserve(struct http_buffer *buffer, size_t size)
{
	if (buffer->capacity - buffer->length < size && !grow(buffer, size))
		return NULL;
	if (!buffer->data && !grow(buffer, 1))
		return NULL;
	return buffer->data + buffer->length;
}

bool http_buffer_append(struct http_buffer *buffer, const void *data, size_t size)
{
	char *place = http_buffer_reserve(buffer, size);
	if (!place)
		return false;
	if (size)
		memcpy(place, data, size);
	buffer->length += size;
	return true;
}

void http_buffer_consume(struct http_buffer *buffer, size_t size)
{
	if (size >= buffer->length) {
		http_buffer_release(buffer);
		return;
	}
	memmove(buffer->data, buffer->data + size, buffer->length - size);
	buffer->length -= size;
}

void http_buffer_release(struct http_buffer *buffer)
{
	held -= buffer->capacity;
	if (buffer->capacity == HTTP_BLOCK_BYTES && cached_count < CACHED_BLOCKS)
		cached[cached_count++] = buffer->data;
	else
		free(buffer->data);
	*buffer = (struct http_buffer){0};
}

/* ---- heads ---- */

const char *http_reason(unsigned status)
{
	/* The IANA registry of 2026, and nothing else. */
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 202:
		return "Accepted";
	case 203:
		return "Non-Authoritative Information";
	case 204:
		return "No Content";
	case 205:
		return "Reset Content";
	case 206:
		return "Partial Content";
	case 207:
		return "Multi-Status";
	case 208:
		return "Already Reported";
	case 226:
		return "IM Used";
	case 300:
		return "Multiple Choices";
	case 301:
		return "Moved Permanently";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 305:
		return "Use Proxy";
	case 307:
		return "Temporary Redirect";
	case 308:
		return "Permanent Redirect";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 402:
		return "Payment Required";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 406:
		return "Not Acceptable";
	case 407:
		return "Proxy Authentication Required";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 410:
		return "Gone";
	case 411:
		return "Length Required";
	case 412:
		return "Precondition Failed";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 415:
		return "Unsupported Media Type";
	case 416:
		return "Range Not Satisfiable";
	case 417:
		return "Expectation Failed";
	case 421:
		return "Misdirected Request";
	case 422:
		return "Unprocessable Content";
	case 423:
		return "Locked";
	case 424:
		return "Failed Dependency";
	case 425:
		return "Too Early";
	case 426:
		return "Upgrade Required";
	case 428:
		return "Precondition Required";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 451:
		return "Unavailable For Legal Reasons";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	case 506:
		return "Variant Also Negotiates";
	case 507:
		return "Insufficient Storage";
	case 508:
		return "Loop Detected";
	case 511:
		return "Network Authentication Required";
	default:
		return "";
	}
}

static char date[40];
static size_t date_length;

void http_date_refresh(void)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	/* Not strftime, which follows the locale (RFC 9110 section 5.6.7). */
	int length = snprintf(date, sizeof date, "date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n",
		days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100u, months[tm.tm_mon % 12],
		(unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u,
		(unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
	date_length = length > 0 && (size_t)length < sizeof date ? (size_t)length : 0;
}

const char *http_date(size_t *ret_length)
{
	const size_t name = sizeof "date: " - 1;
	if (date_length == 0)
		http_date_refresh();
	*ret_length = date_length > name + 2 ? date_length - name - 2 : 0;
	return date + name;
}

static char *put(char *target, const char *text, size_t length)
{
	memcpy(target, text, length);
	return target + length;
}

#define PUT(target, literal) put(target, literal, sizeof(literal) - 1)

static char *put_number(char *target, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	return put(target, digits + at, sizeof digits - at);
}

char *http_answer_begin(char *target, const struct http_answer *answer)
{
	if (answer->status == 200 && !answer->reason)
		return PUT(target, "HTTP/1.1 200 OK\r\n");
	const char *reason = answer->reason ? answer->reason : http_reason(answer->status);
	target = PUT(target, "HTTP/1.1 ");
	target = put_number(target, answer->status);
	*target++ = ' ';
	target = put(target, reason, answer->reason ? answer->reason_length : strlen(reason));
	return PUT(target, "\r\n");
}

char *http_answer_end(char *target, const struct http_answer *answer)
{
	if (answer->framing == HTTP_FRAMING_LENGTH) {
		target = PUT(target, "content-length: ");
		target = put_number(target, answer->length);
		target = PUT(target, "\r\n");
	} else if (answer->framing == HTTP_FRAMING_CHUNKED) {
		target = PUT(target, "transfer-encoding: chunked\r\n");
	}
	if (!answer->has_date) {
		if (date_length == 0)
			http_date_refresh();
		target = put(target, date, date_length);
	}
	if (!answer->keep_alive)
		target = PUT(target, "connection: close\r\n");
	else if (answer->http10)
		target = PUT(target, "connection: keep-alive\r\n");
	return PUT(target, "\r\n");
}

bool http_answer_plain(struct http_buffer *buffer, unsigned status, const char *extra_fields,
	bool keep_alive, bool http10, bool head)
{
	const char *reason = http_reason(status);
	bool empty = status == 204 || status == 304;
	size_t body = strlen(reason) + 1;
	struct http_answer answer = {
		.status = status,
		.framing = empty ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH,
		.length = body,
		.keep_alive = keep_alive,
		.http10 = http10,
	};
	char *start = http_buffer_reserve(
		buffer, HTTP_ANSWER_BYTES + strlen(extra_fields) + 64 + 2 * body);
	if (!start)
		return false;
	char *end = http_answer_begin(start, &answer);
	end = put(end, extra_fields, strlen(extra_fields));
	if (!empty)
		end = PUT(end, "content-type: text/plain;charset=UTF-8\r\n");
	end = http_answer_end(end, &answer);
	if (!head && !empty) {
		end = put(end, reason, body - 1);
		*end++ = '\n';
	}
	buffer->length += (size_t)(end - start);
	return true;
}

/* ---- chunks ---- */

bool http_chunk_append(struct http_buffer *buffer, const void *data, size_t length)
{
	char size[24];
	int digits = snprintf(size, sizeof size, "%zx\r\n", length);
	char *place = http_buffer_reserve(buffer, (size_t)digits + length + 2);
	if (!place)
		return false;
	place = put(place, size, (size_t)digits);
	place = put(place, data, length);
	PUT(place, "\r\n");
	buffer->length += (size_t)digits + length + 2;
	return true;
}

bool http_chunk_end(struct http_buffer *buffer)
{
	return http_buffer_append(buffer, "0\r\n\r\n", 5);
}
