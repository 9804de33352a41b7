/* Content codings of HTTP (RFC 9110 section 8.4): gzip, deflate, br, zstd, also several
 * behind each other. A decoder gives exactly as many bytes as there is room for, so that
 * a body that unpacks into millions of times its size costs no more memory than its
 * reader takes of it. It is fed with pieces that must stay valid until they are used up.
 *
 * What it parses comes from a stranger: it runs in the confined worker, nowhere else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONTENT_CODINGS_MAX 4 /* behind each other; a longer list is refused */

struct content_decoder;

/* What a request may accept: br only from a decoder without known holes. */
const char *content_decoder_offers(void);

/* CODINGS: the value of Content-Encoding. *RET is NULL for "identity" and nothing. 0,
 * -EPROTONOSUPPORT for an unknown coding or too many, -ENOMEM. */
int content_decoder_new(const char *codings, size_t length, struct content_decoder **ret);
/* Takes NULL; returns NULL. */
struct content_decoder *content_decoder_free(struct content_decoder *decoder);

/* The next piece of the encoded body, beginning with what was not used up
 * (content_decoder_left) of the last. */
void content_decoder_feed(struct content_decoder *decoder, const void *data, size_t length);
/* Nothing follows what was fed. */
void content_decoder_end(struct content_decoder *decoder);
/* How much of what was fed is not used up yet. */
size_t content_decoder_left(const struct content_decoder *decoder);

/* Decodes at most SIZE bytes. Returns how many: 0 when it needs more, or at the end
 * (content_decoder_done). -EBADMSG: not what Content-Encoding says, or cut off, with the
 * coding's name in *RET_CODING. */
ssize_t content_decoder_read(
	struct content_decoder *decoder, void *data, size_t size, const char **ret_coding);
/* All of the body was decoded and read. */
bool content_decoder_done(const struct content_decoder *decoder);
