/* Natives of isolate/js/url.js, on ada: one call parses a URL and says where its
 * components begin, so that getters are slices of the href. */

#include "common/cleanup.h"
#include "isolate/natives.h"

#include <ada_c.h>
#include <simdutf_c.h>
#include <stdlib.h>
#include <string.h>

/* A string argument as UTF-8; lone surrogates become U+FFFD, which makes it the
 * USVString that the URL standard wants. */
struct text {
	char *large; /* malloc'ed, for what does not fit into SMALL */
	const char *data;
	size_t length;
	char small[1024];
};

static void text_free(struct text *text)
{
	free(text->large);
}
/* Only the pointer is cleared: the buffer is filled when it is used. */
#define text_variable(name)                                                                        \
	__attribute__((cleanup(text_free))) struct text name;                                      \
	name.large = NULL

/* False with an exception pending when memory ran out. */
static bool text_take(struct engine *engine, struct text *text, engine_value *value)
{
	size_t units = engine_string_length(value);
	char *target = text->small;
	if (units * 3 > sizeof text->small) {
		target = text->large = malloc(units * 3);
		if (!target) {
			engine_throw(engine, "RangeError", NULL, "the URL is too long");
			return false;
		}
	}
	text->data = target;
	text->length = units;
	/* Nearly all are ASCII, which V8 has as bytes. */
	if (engine_string_is_one_byte(value)) {
		engine_string_write_latin1(engine, value, target, units);
		if (simdutf_validate_ascii(target, units))
			return true;
	}
	text->length = engine_string_write_utf8(engine, value, target, units * 3, NULL);
	return true;
}

static void url_free(ada_url *url)
{
	if (*url)
		ada_free(*url);
}
#define cleanup_url __attribute__((cleanup(url_free)))

enum { COMPONENTS = 8 }; /* elements of the Uint32Array of url.js */

/* ---- labels that are not punycode ---- */

/* A host of ASCII characters is valid whatever comes behind "xn--" in it (URL, "domain to
 * ASCII", where it is not strict), but not for this version of ada. What it refuses is
 * parsed once more with another letter in the place of each such n, which is put back in the
 * result: lengths and offsets stay as they are. */

static bool is_label(const char *text, char letter)
{
	return (text[0] | 0x20) == 'x' && (text[1] | 0x20) == letter && text[2] == '-' &&
	       text[3] == '-';
}

static bool has_label(const char *text, size_t length, char letter)
{
	for (size_t i = 0; i + 4 <= length; i++)
		if (is_label(text + i, letter))
			return true;
	return false;
}

/* FROM becomes TO in all of them; the case stays. */
static void replace_letter(char *text, size_t length, char from, char to)
{
	for (size_t i = 0; i + 4 <= length; i++)
		if (is_label(text + i, from))
			text[i + 1] = (char)((to & ~0x20) | (text[i + 1] & 0x20));
}

/* Hides the labels of both texts (SECOND may be NULL). The letter that stands for n now; 0
 * when there is nothing to hide, or every letter occurs. */
static char hide_labels(struct text *first, struct text *second)
{
	if (!has_label(first->data, first->length, 'n') &&
		!(second && has_label(second->data, second->length, 'n')))
		return 0;
	for (char letter = 'a'; letter <= 'z'; letter++) {
		if (has_label(first->data, first->length, letter) ||
			(second && has_label(second->data, second->length, letter)))
			continue;
		replace_letter((char *)first->data, first->length, 'n', letter);
		if (second)
			replace_letter((char *)second->data, second->length, 'n', letter);
		return letter;
	}
	return 0;
}

/* Whether the host, whose labels are hidden, has one that ada has made: then not all of it
 * was ASCII. */
static bool has_new_label(ada_url url)
{
	const ada_url_components *components = ada_get_components(url);
	ada_string href = ada_get_href(url);
	return has_label(href.data + components->host_start,
		components->host_end - components->host_start, 'n');
}

/* ---- natives ---- */

/* Fills the array and returns the href, which is ASCII. HIDDEN: what hide_labels gave. */
static engine_value *take_result(
	struct engine *engine, ada_url url, engine_value *array, char hidden)
{
	void *data;
	size_t length;
	const ada_url_components *components = ada_get_components(url);
	if (!engine_bytes_get(array, &data, &length) || length < COMPONENTS * sizeof(uint32_t))
		return engine_throw(engine, "TypeError", NULL, "not an array of components");
	const uint32_t values[COMPONENTS] = {
		components->protocol_end,
		components->username_end,
		components->host_start,
		components->host_end,
		components->port,
		components->pathname_start,
		components->search_start,
		components->hash_start,
	};
	memcpy(data, values, sizeof values);
	ada_string href = ada_get_href(url);
	if (!hidden)
		return engine_string_latin1(engine, href.data, href.length);
	cleanup_free char *copy = malloc(href.length);
	if (!copy)
		return engine_throw(engine, "RangeError", NULL, "the URL is too long");
	memcpy(copy, href.data, href.length);
	replace_letter(copy, href.length, hidden, 'n');
	return engine_string_latin1(engine, copy, href.length);
}

static ada_url parse(const struct text *input, const struct text *base)
{
	return base ? ada_parse_with_base(input->data, input->length, base->data, base->length)
		    : ada_parse(input->data, input->length);
}

/* The arguments of urlParse and urlCanParse, parsed; NULL when they are no URL, or with an
 * exception pending. */
static ada_url parse_arguments(struct engine *engine, struct engine_call *call, char *ret_hidden)
{
	text_variable(input);
	text_variable(base);
	engine_value *base_value = engine_call_argument(engine, call, 1);
	struct text *base_text = engine_typeof(base_value) == ENGINE_STRING ? &base : NULL;
	if (!text_take(engine, &input, engine_call_argument(engine, call, 0)) ||
		(base_text && !text_take(engine, base_text, base_value)))
		return NULL;
	*ret_hidden = 0;
	ada_url url = parse(&input, base_text);
	if (ada_is_valid(url))
		return url;
	url_free(&url);
	*ret_hidden = hide_labels(&input, base_text);
	if (!*ret_hidden)
		return NULL;
	url = parse(&input, base_text);
	if (ada_is_valid(url) && !has_new_label(url))
		return url;
	url_free(&url);
	return NULL;
}

/* urlParse(input, base or undefined, components): the href, or undefined. */
static engine_value *url_parse(struct engine *engine, struct engine_call *call)
{
	char hidden;
	cleanup_url ada_url url = parse_arguments(engine, call, &hidden);
	return url ? take_result(engine, url, engine_call_argument(engine, call, 2), hidden) : NULL;
}

/* urlCanParse(input, base or undefined) */
static engine_value *url_can_parse(struct engine *engine, struct engine_call *call)
{
	char hidden;
	cleanup_url ada_url url = parse_arguments(engine, call, &hidden);
	return engine_exception_pending(engine) ? NULL : engine_bool(engine, url != NULL);
}

static bool set_search(ada_url url, const char *input, size_t length)
{
	ada_set_search(url, input, length);
	return true;
}

static bool set_hash(ada_url url, const char *input, size_t length)
{
	ada_set_hash(url, input, length);
	return true;
}

/* By the numbers of url.js. */
static bool (*const setters[])(ada_url, const char *, size_t) = {
	ada_set_href,
	ada_set_protocol,
	ada_set_username,
	ada_set_password,
	ada_set_host,
	ada_set_hostname,
	ada_set_port,
	ada_set_pathname,
	set_search,
	set_hash,
};

/* urlUpdate(href, part, value, components): the new href, or undefined when VALUE does
 * not do for that part, and nothing changes. */
static engine_value *url_update(struct engine *engine, struct engine_call *call)
{
	text_variable(href);
	text_variable(value);
	int32_t part = engine_argument_int32(call, 1);
	if (part < 0 || (size_t)part >= ARRAY_LENGTH(setters))
		return engine_throw(engine, "RangeError", NULL, "no such part of a URL");
	if (!text_take(engine, &href, engine_call_argument(engine, call, 0)) ||
		!text_take(engine, &value, engine_call_argument(engine, call, 2)))
		return NULL;
	cleanup_url ada_url url = ada_parse(href.data, href.length);
	engine_value *components = engine_call_argument(engine, call, 3);
	if (ada_is_valid(url) && setters[part](url, value.data, value.length))
		return take_result(engine, url, components, 0);
	char hidden = hide_labels(&href, &value);
	if (!hidden)
		return NULL;
	cleanup_url ada_url second = ada_parse(href.data, href.length);
	if (!ada_is_valid(second) || !setters[part](second, value.data, value.length) ||
		has_new_label(second))
		return NULL;
	return take_result(engine, second, components, hidden);
}

static const struct engine_native natives[] = {
	{"urlParse", url_parse, 3},
	{"urlCanParse", url_can_parse, 2},
	{"urlUpdate", url_update, 4},
};

const struct native_module url_natives = {
	.natives = natives,
	.native_count = ARRAY_LENGTH(natives),
};
