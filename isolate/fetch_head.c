/* The head of a response: curl gives it line by line, HTTP/2's too. Whatever is not a
 * plain field is refused: what JavaScript gets may be copied into another message. */
#include "isolate/fetch.h"

#include "common/cleanup.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct fetch_transfer *transfer, const char *code, const char *text)
{
	fetch_transfer_fail(transfer, code, false, text);
	return false;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) &&
			(text[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", text[i])))
			return false;
	return length > 0;
}

static bool begin_head(struct fetch_transfer *transfer, const char *line, size_t length)
{
	/* An informational response may have come before: it is over. */
	const char *space = memchr(line, ' ', length);
	transfer->head.start = transfer->head.length = 0;
	transfer->field_count = 0;
	transfer->codings[0] = transfer->reason[0] = '\0';
	if (!space || line + length - space < 4)
		return refuse(transfer, "EPROTO", "the response has no status");
	transfer->version = memcmp(line, "HTTP/1.0", 8) == 0 ? 10
			    : memcmp(line, "HTTP/1", 6) == 0 ? 11
							     : 20;
	transfer->status = 0;
	for (int i = 1; i <= 3; i++) {
		if (!isdigit((unsigned char)space[i]))
			return refuse(transfer, "EPROTO", "the response's status is no number");
		transfer->status = transfer->status * 10 + (space[i] - '0');
	}
	const char *reason = space + 4, *end = line + length;
	while (reason < end && *reason == ' ')
		reason++;
	size_t reason_length = (size_t)(end - reason);
	if (reason_length >= sizeof transfer->reason)
		reason_length = sizeof transfer->reason - 1;
	memcpy(transfer->reason, reason, reason_length);
	transfer->reason[reason_length] = '\0';
	return fetch_buffer_append(&transfer->head, "\n", 1);
}

static void note_coding(struct fetch_transfer *transfer, const char *value, size_t length)
{
	size_t used = strlen(transfer->codings);
	/* One that is too long names too many codings, and is left as it is. */
	if (used + length + 3 > sizeof transfer->codings)
		strcpy(transfer->codings, "?");
	else
		snprintf(transfer->codings + used, sizeof transfer->codings - used, "%s%.*s",
			used ? ", " : "", (int)length, value);
}

static bool add_field(struct fetch_transfer *transfer, char *line, size_t length)
{
	char *colon = memchr(line, ':', length);
	if (!colon || !is_token(line, (size_t)(colon - line)))
		return refuse(transfer, "EPROTO", "the response has an invalid header field");
	size_t name_length = (size_t)(colon - line);
	const char *value = colon + 1, *end = line + length;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	size_t value_length = (size_t)(end - value);
	if (memchr(value, '\r', value_length) || memchr(value, '\n', value_length) ||
		memchr(value, '\0', value_length))
		return refuse(transfer, "EPROTO", "the response has an invalid header value");
	for (size_t i = 0; i < name_length; i++)
		line[i] = (char)tolower((unsigned char)line[i]);
	if (name_length == 16 && memcmp(line, "content-encoding", 16) == 0)
		note_coding(transfer, value, value_length);
	if (++transfer->field_count > FETCH_FIELDS_MAX ||
		transfer->head.length + length > FETCH_HEAD_MAX)
		return refuse(transfer, "HPE_HEADER_OVERFLOW",
			"the response's header fields are too many or too large");
	struct fetch_buffer *head = &transfer->head;
	return fetch_buffer_append(head, line, name_length) && fetch_buffer_append(head, "\r", 1) &&
	       fetch_buffer_append(head, value, value_length) && fetch_buffer_append(head, "\n", 1);
}

static bool has_body(const struct fetch_transfer *transfer)
{
	return transfer->status != 204 && transfer->status != 205 && transfer->status != 304 &&
	       strcmp(transfer->method, "HEAD") != 0;
}

static bool end_head(struct fetch_transfer *transfer)
{
	if (transfer->status < 200 && transfer->status != 101)
		return true;
	if (transfer->status < 200 || transfer->status > 599)
		return refuse(transfer, "EPROTO", "the response's status is not one of HTTP");
	/* What nobody can decode stays encoded (fetch standard, section 2.2.4). */
	if (has_body(transfer) && transfer->codings[0] &&
		content_decoder_new(transfer->codings, strlen(transfer->codings),
			&transfer->decoder) == -ENOMEM)
		return refuse(transfer, "ENOMEM", "no memory for the response");
	transfer->head_complete = true;
	fetch_multi_mark(transfer, FETCH_EVENT_HEAD);
	return true;
}

size_t fetch_on_header(char *line, size_t size, size_t count, void *data)
{
	struct fetch_transfer *transfer = data;
	size_t all = size * count, length = all;
	bool good;
	while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
		length--;
	if (transfer->head_complete) /* a trailer */
		return all;
	if (length >= 8 && memcmp(line, "HTTP/", 5) == 0 && transfer->head.length <= 1)
		good = begin_head(transfer, line, length);
	else if (length >= 8 && memcmp(line, "HTTP/", 5) == 0 && transfer->status < 200)
		good = begin_head(transfer, line, length);
	else if (length == 0)
		good = end_head(transfer);
	else
		good = add_field(transfer, line, length);
	return good ? all : 0;
}
