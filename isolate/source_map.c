#include "isolate/source_map.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/modules.h"
#include "isolate/runtime.h"

#include <ada_c.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#define MAP_BYTES_MAX (64 * 1024 * 1024)
#define MAPS_MAX 1000
#define SEGMENTS_MAX (8 * 1024 * 1024)
#define NO_SOURCE UINT32_MAX

/* From this place of the code on, up to the next segment, it is that place of a source. */
struct segment {
	uint32_t line, column; /* of the code; from 0 */
	uint32_t source, source_line, source_column;
};

struct source_map {
	struct source_map *next;
	char *url;    /* of the module */
	char *where;  /* what the comment says */
	bool read;    /* or tried to */
	json_t *json; /* NULL: there is none that makes sense */
	char **sources;
	size_t source_count;
	struct segment *segments; /* ascending */
	size_t segment_count;
};

static _Thread_local struct source_map *maps;
static _Thread_local size_t map_count;

/* ---- reading ---- */

/* URL relative to that of the module; malloc'ed. */
static char *resolve(const char *relative, const char *base)
{
	ada_url url = ada_parse_with_base(relative, strlen(relative), base, strlen(base));
	char *text = NULL;
	if (ada_is_valid(url)) {
		ada_string href = ada_get_href(url);
		text = strndup(href.data, href.length);
	}
	ada_free(url);
	return text;
}

/* data:application/json;base64,… */
static char *read_data_url(const char *url, size_t *ret_length)
{
	const char *comma = strchr(url, ',');
	if (!comma || (size_t)(comma - url) < 7 || memcmp(comma - 7, ";base64", 7) != 0)
		return NULL;
	size_t length = strlen(comma + 1);
	unsigned char *text = length < MAP_BYTES_MAX ? malloc(length / 4 * 3 + 4) : NULL;
	int got = text ? EVP_DecodeBlock(text, (const unsigned char *)comma + 1, (int)length) : -1;
	if (got < 0) {
		free(text);
		return NULL;
	}
	for (size_t i = length; i > 0 && comma[i] == '='; i--)
		got--;
	*ret_length = (size_t)got;
	return (char *)text;
}

static char *read_text(const struct source_map *map, size_t *ret_length)
{
	char path[PATH_MAX], *text = NULL;
	if (strncmp(map->where, "data:", 5) == 0)
		return read_data_url(map->where, ret_length);
	cleanup_free char *url = resolve(map->where, map->url);
	if (url && module_path(url, path, sizeof path) &&
		file_read(AT_FDCWD, path, MAP_BYTES_MAX, &text, ret_length, NULL) == 0)
		return text;
	return NULL;
}

static int digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = c ? strchr(digits, c) : NULL;
	return found ? (int)(found - digits) : -1;
}

/* A base64 VLQ: the lowest bit is the sign, the sixth of each digit says that more come. */
static bool take_vlq(const char **text, int64_t *ret)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 35; shift += 5) {
		int bits = digit(**text);
		if (bits < 0)
			return false;
		(*text)++;
		value |= (uint64_t)(bits & 31) << shift;
		if (bits & 32)
			continue;
		*ret = value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
		return true;
	}
	return false;
}

static bool add_segment(struct source_map *map, size_t *room, const struct segment *segment)
{
	if (map->segment_count == *room) {
		size_t more = *room ? *room * 2 : 1024;
		void *larger = more > SEGMENTS_MAX
				       ? NULL
				       : reallocarray(map->segments, more, sizeof *map->segments);
		if (!larger)
			return false;
		map->segments = larger;
		*room = more;
	}
	map->segments[map->segment_count++] = *segment;
	return true;
}

static bool in_range(int64_t value)
{
	return value >= 0 && value < UINT32_MAX;
}

/* Decodes the mappings. Each number but the code's line is relative to the last one. */
static bool decode(struct source_map *map, const char *text)
{
	int64_t now[5] = {0}; /* column, source, its line, its column, name */
	uint32_t line = 0;
	size_t room = 0;
	while (*text) {
		if (*text == ';' || *text == ',') {
			if (*text++ == ';') {
				line++;
				now[0] = 0;
			}
			continue;
		}
		size_t count = 0;
		for (; *text && *text != ';' && *text != ','; count++) {
			int64_t step;
			if (count == 5 || !take_vlq(&text, &step))
				return false;
			now[count] += step;
			if (!in_range(now[count]))
				return false;
		}
		const struct segment segment = {line, (uint32_t)now[0],
			count >= 4 ? (uint32_t)now[1] : NO_SOURCE, (uint32_t)now[2],
			(uint32_t)now[3]};
		if (!add_segment(map, &room, &segment))
			return false;
	}
	return true;
}

/* The sources as URLs. */
static void name_sources(struct source_map *map)
{
	const json_t *sources = json_object_get(map->json, "sources"), *source;
	const char *root = json_string_value(json_object_get(map->json, "sourceRoot"));
	cleanup_free char *base = strncmp(map->where, "data:", 5) == 0
					  ? strdup(map->url)
					  : resolve(map->where, map->url);
	size_t i;
	map->sources = calloc(json_array_size(sources) + 1, sizeof *map->sources);
	if (!map->sources || !base)
		return;
	json_array_foreach(sources, i, source)
	{
		cleanup_free char *path = NULL;
		const char *name = json_string_value(source);
		if (name && root && root[0] &&
			asprintf(&path, "%s%s%s", root, root[strlen(root) - 1] == '/' ? "" : "/",
				name) < 0)
			path = NULL;
		map->sources[i] = name ? resolve(path ? path : name, base) : NULL;
	}
	map->source_count = json_array_size(sources);
}

static void read_map(struct source_map *map)
{
	size_t length;
	map->read = true;
	cleanup_free char *text = read_text(map, &length);
	map->json = text ? json_loadb(text, length, 0, NULL) : NULL;
	const char *mappings = json_string_value(json_object_get(map->json, "mappings"));
	if (mappings && decode(map, mappings)) {
		name_sources(map);
		return;
	}
	json_decref(map->json);
	map->json = NULL;
	free(take_pointer(map->segments));
	map->segment_count = 0;
}

/* ---- finding ---- */

/* The last segment of this line that does not come after COLUMN. */
static const struct segment *find_segment(
	const struct source_map *map, uint32_t line, uint32_t column)
{
	size_t low = 0, high = map->segment_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct segment *segment = &map->segments[middle];
		if (segment->line < line || (segment->line == line && segment->column <= column))
			low = middle + 1;
		else
			high = middle;
	}
	const struct segment *found = low > 0 ? &map->segments[low - 1] : NULL;
	return found && found->line == line ? found : NULL;
}

static const char *line_of_source(const struct source_map *map, const struct segment *segment)
{
	const char *text = json_string_value(
		json_array_get(json_object_get(map->json, "sourcesContent"), segment->source));
	for (uint32_t i = 0; text && i < segment->source_line; i++) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text;
}

static bool find(
	void *arg, const char *url, int line, int column, struct engine_source_place *ret_place)
{
	struct source_map *map = maps;
	(void)arg;
	while (map && strcmp(map->url, url) != 0)
		map = map->next;
	if (!map)
		return false;
	if (!map->read)
		read_map(map);
	const struct segment *segment = find_segment(map, (uint32_t)line - 1, (uint32_t)column - 1);
	if (!segment || segment->source >= map->source_count || !map->sources[segment->source])
		return false;
	*ret_place = (struct engine_source_place){
		.url = map->sources[segment->source],
		.line = (int)segment->source_line + 1,
		.column = (int)segment->source_column + 1,
		.text = line_of_source(map, segment),
	};
	return true;
}

/* ---- noting ---- */

void source_map_note(const char *url, const char *source, size_t length)
{
	static const char mark[] = "//# sourceMappingURL=";
	while (length > 0 && strchr(" \t\r\n", source[length - 1]))
		length--;
	const char *newline = memrchr(source, '\n', length);
	const char *line = newline ? newline + 1 : source;
	size_t size = length - (size_t)(line - source);
	if (size <= sizeof mark - 1 || memcmp(line, mark, sizeof mark - 1) != 0 ||
		map_count == MAPS_MAX)
		return;
	line += sizeof mark - 1;
	size -= sizeof mark - 1;
	struct source_map *map = calloc(1, sizeof *map);
	if (map) {
		map->url = strdup(url);
		map->where = strndup(line, size);
	}
	if (!map || !map->url || !map->where)
		return; /* then stacks name the bundle; the worker ends before long */
	map->next = maps;
	maps = map;
	if (map_count++ == 0)
		engine_set_source_finder(runtime.engine, find, NULL);
}
