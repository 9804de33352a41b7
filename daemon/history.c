#include "daemon/history.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/logs.h"
#include "daemon/operations.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define VERSION 1
#define FILE_BYTES_MAX (1024 * 1024)
#define REASON_MAX 512
#define PREFIX_LEAST 4

/* What became of a release; an index of FATES. */
enum fate { FATE_TRYING, FATE_GOOD, FATE_ROLLED_BACK, FATE_FAILED, FATE_COUNT };
static const char *const fates[FATE_COUNT] = {"trying", "good", "rolled-back", "failed"};

/* The ids of one tenant that stay in the store. */
struct kept {
	char tenant[CONTROL_NAME_MAX + 1];
	size_t count;
	char (*ids)[STORE_ID_SIZE];
};

struct history {
	int folder_fd;
	uint32_t keep;
	json_int_t run;    /* a number of this daemon's own, which its attempts carry */
	struct kept *kept; /* ascending by tenant */
	size_t count, room;
};

/* The file of one tenant, being looked at or changed. */
struct book {
	struct history *history;
	const char *tenant;
	const char *active;
	json_t *root;     /* {"version", "keep"?, "releases"} */
	json_t *releases; /* in it */
};

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int history_open(int state_fd, uint32_t keep, struct history **ret_history, struct error *error)
{
	if (mkdirat(state_fd, "history", 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the folder history");
	cleanup_close int fd =
		openat(state_fd, "history", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cannot open the folder history");
	struct history *history = calloc(1, sizeof *history);
	if (history == NULL)
		return error_set(error, ENOMEM, "no memory for the history");
	history->folder_fd = take_fd(&fd);
	history->keep = keep;
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = (uint32_t)now_us();
	history->run = random;
	*ret_history = history;
	return 0;
}

struct history *history_close(struct history *history)
{
	if (history == NULL)
		return NULL;
	for (size_t i = 0; i < history->count; i++)
		free(history->kept[i].ids);
	free(history->kept);
	close_fd(&history->folder_fd);
	free(history);
	return NULL;
}

/* ---- a record ---- */

static const char *text_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));
	return text ? text : "";
}

static enum fate fate_of(const json_t *record)
{
	const char *name = text_of(record, "fate");
	for (int i = 0; i < FATE_COUNT; i++)
		if (strcmp(fates[i], name) == 0)
			return (enum fate)i;
	return FATE_FAILED;
}

static void set_fate(json_t *record, enum fate fate, const char *reason)
{
	char line[REASON_MAX];
	operations_one_line(line, sizeof line, reason);
	json_object_set_new(record, "fate", json_string(fates[fate]));
	json_object_set_new(record, "reason", json_string(line));
}

static bool is_release(const json_t *record, const char *id)
{
	return strcmp(text_of(record, "release"), id) == 0;
}

static json_t *find(const struct book *book, const char *id, size_t *ret_place)
{
	json_t *record;
	size_t i;
	json_array_foreach(book->releases, i, record)
	{
		if (!is_release(record, id))
			continue;
		if (ret_place)
			*ret_place = i;
		return record;
	}
	return NULL;
}

/* May it be rolled back to without being named? */
static bool is_good(const struct book *book, const json_t *record)
{
	return fate_of(record) == FATE_GOOD && !is_release(record, book->active);
}

/* Is it to be in the store? RANK is its place among those that went live. */
static bool stays(const struct book *book, const json_t *record, size_t rank)
{
	const json_t *own = json_object_get(book->root, "keep");
	const size_t keep =
		json_is_integer(own) ? (size_t)json_integer_value(own) : book->history->keep;
	const enum fate fate = fate_of(record);
	if (is_release(record, book->active) || fate == FATE_TRYING)
		return true;
	return fate != FATE_FAILED && rank < keep;
}

static const json_t *previous(const struct book *book)
{
	const json_t *record;
	size_t i;
	json_array_foreach(book->releases, i, record) if (is_good(book, record)) return record;
	return NULL;
}

/* ---- the file ---- */

static void book_close(struct book *book)
{
	json_decref(book->root);
	book->root = book->releases = NULL;
}

static bool is_well_formed(const json_t *root)
{
	const json_t *releases = json_object_get(root, "releases"), *record;
	size_t i;
	if (json_integer_value(json_object_get(root, "version")) != VERSION ||
		!json_is_array(releases))
		return false;
	json_array_foreach(
		releases, i, record) if (!store_id_valid(text_of(record, "release"))) return false;
	return true;
}

/* When it went live, if that is what its place in the list comes from; 0: it does not. */
static json_int_t live_us(const json_t *record)
{
	const enum fate fate = fate_of(record);
	return fate == FATE_GOOD || fate == FATE_ROLLED_BACK
		       ? json_integer_value(json_object_get(record, "live_us"))
		       : 0;
}

/* The attempt at PLACE failed. Of a release that had been live before, that is remembered as
 * it was: why it did not work this time may have a reason of its own. */
static void give_up(struct book *book, size_t place, const char *reason)
{
	json_t *record = json_array_get(book->releases, place);
	json_t *before = json_object_get(record, "before");
	if (!json_is_object(before)) {
		const bool active = is_release(record, book->active);
		set_fate(record, active ? FATE_GOOD : FATE_FAILED, active ? "" : reason);
		return;
	}
	json_incref(before);
	json_array_remove(book->releases, place);
	size_t at = 0;
	for (; at < json_array_size(book->releases); at++) {
		const json_int_t other = live_us(json_array_get(book->releases, at));
		if (other > 0 && other < live_us(before))
			break;
	}
	json_array_insert_new(book->releases, at, before);
}

/* What was being tried when an earlier daemon was killed is not any more. */
static void end_interrupted(struct book *book)
{
	for (size_t i = 0; i < json_array_size(book->releases); i++) {
		json_t *record = json_array_get(book->releases, i);
		if (fate_of(record) != FATE_TRYING ||
			json_integer_value(json_object_get(record, "run")) == book->history->run)
			continue;
		if (is_release(record, book->active)) {
			set_fate(record, FATE_GOOD, "");
			json_object_set(record, "live_us", json_object_get(record, "deployed_us"));
			json_object_del(record, "before");
		} else {
			give_up(book, i, "tenantd was killed while it was tried");
			i = (size_t)-1; /* from the start: places have changed */
		}
	}
}

/* Reads the tenant's file; what cannot be understood is put aside, so that somebody can look
 * at it, and the tenant begins a new one: what is active is known without it. */
static int book_open(struct book *book, struct history *history, const char *tenant,
	const char *active, struct error *error)
{
	char path[CONTROL_NAME_MAX + 8], aside[CONTROL_NAME_MAX + 16];
	cleanup_free char *text = NULL;
	size_t length;
	*book = (struct book){.history = history, .tenant = tenant, .active = active};
	snprintf(path, sizeof path, "%s.json", tenant);
	int result = file_read(history->folder_fd, path, FILE_BYTES_MAX, &text, &length, error);
	if (result < 0 && result != -ENOENT && result != -EFBIG)
		return error_prefix(error, "cannot read the history of %s", tenant);
	if (result == 0)
		book->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	if (result != -ENOENT && !is_well_formed(book->root)) {
		json_decref(book->root);
		book->root = NULL;
		snprintf(aside, sizeof aside, "%s.damaged", path);
		renameat(history->folder_fd, path, history->folder_fd, aside);
		log_error("event=history-damaged tenant=%s message=\"history/%s was no history: "
			  "it is history/%s now\"",
			tenant, path, aside);
	}
	if (book->root == NULL)
		book->root = json_pack("{s:i, s:[]}", "version", VERSION, "releases");
	book->releases = json_object_get(book->root, "releases");
	if (book->releases == NULL)
		return error_set(error, ENOMEM, "no memory for the history");
	end_interrupted(book);
	return 0;
}

/* Where TENANT is among those whose ids are in memory, or would be. */
static size_t kept_place(const struct history *history, const char *tenant, bool *ret_there)
{
	size_t low = 0, high = history->count;
	*ret_there = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(history->kept[middle].tenant, tenant);
		if (order == 0) {
			*ret_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct kept *kept_entry(struct history *history, const char *tenant)
{
	bool there;
	size_t place = kept_place(history, tenant, &there);
	if (there)
		return &history->kept[place];
	if (history->count == history->room) {
		size_t room = history->room ? history->room * 2 : 16;
		void *larger = reallocarray(history->kept, room, sizeof *history->kept);
		if (larger == NULL)
			return NULL;
		history->kept = larger;
		history->room = room;
	}
	memmove(&history->kept[place + 1], &history->kept[place],
		(history->count - place) * sizeof *history->kept);
	history->count++;
	history->kept[place] = (struct kept){0};
	snprintf(history->kept[place].tenant, sizeof history->kept[place].tenant, "%s", tenant);
	return &history->kept[place];
}

/* Notes in memory what stays in the store. */
static struct kept *remember(const struct book *book)
{
	struct kept *kept = kept_entry(book->history, book->tenant);
	const json_t *record, *before = previous(book);
	size_t i, rank = 0;
	if (kept == NULL)
		return NULL;
	void *ids = calloc(json_array_size(book->releases) + 1, sizeof *kept->ids);
	if (ids == NULL)
		return NULL; /* what was kept is kept on */
	free(kept->ids);
	kept->ids = ids;
	kept->count = 0;
	json_array_foreach(book->releases, i, record)
	{
		if (record == before || stays(book, record, rank))
			memcpy(kept->ids[kept->count++], text_of(record, "release"), STORE_ID_SIZE);
		rank += fate_of(record) != FATE_FAILED;
	}
	return kept;
}

/* Forgets records of releases that are gone from the store, all but the last few failures. */
static void forget_old(struct book *book)
{
	const json_t *before = previous(book);
	size_t rank = 0, failed = 0, i = 0;
	while (i < json_array_size(book->releases)) {
		const json_t *record = json_array_get(book->releases, i);
		bool keep = record == before || stays(book, record, rank);
		if (fate_of(record) == FATE_FAILED)
			keep |= failed++ < HISTORY_FAILED_MAX;
		else
			rank++;
		if (keep)
			i++;
		else
			json_array_remove(book->releases, i);
	}
}

static int book_save(struct book *book, struct error *error)
{
	char path[CONTROL_NAME_MAX + 8];
	forget_old(book);
	cleanup_free char *text = json_dumps(book->root, JSON_INDENT(1));
	if (text == NULL)
		return error_set(error, ENOMEM, "no memory for the history");
	snprintf(path, sizeof path, "%s.json", book->tenant);
	int result =
		file_write_atomic(book->history->folder_fd, path, text, strlen(text), 0600, error);
	if (result < 0)
		return error_prefix(error, "cannot write the history of %s", book->tenant);
	remember(book);
	return 0;
}

static void save_or_log(struct book *book)
{
	struct error error = {0};
	if (book_save(book, &error) < 0)
		log_error("event=history-not-saved tenant=%s message=\"%s\"", book->tenant,
			escape_for_log(error.message));
}

/* ---- changes ---- */

static json_t *optional(const char *text)
{
	return text && text[0] ? json_string(text) : json_null();
}

static json_t *make_record(const struct history_attempt *attempt)
{
	char message[HISTORY_MESSAGE_MAX];
	const char *text = attempt->message ? attempt->message : "";
	escape_line(message, sizeof message, text, strlen(text), 0);
	return json_pack("{s:s, s:I, s:n, s:o, s:s, s:o, s:I, s:I, s:o, s:s, s:s}", "release",
		attempt->release, "deployed_us", (json_int_t)now_us(), "live_us", "by",
		who_describe(attempt->by), "message", message, "signed_by",
		optional(attempt->signed_by), "bytes", (json_int_t)attempt->bytes, "entries",
		(json_int_t)attempt->entries, "from", optional(attempt->from), "fate",
		fates[FATE_TRYING], "reason", "");
}

int history_begin(struct history *history, const char *tenant, const char *active,
	const struct history_attempt *attempt, struct error *error)
{
	struct book book;
	size_t place;
	int result = book_open(&book, history, tenant, active, error);
	if (result < 0)
		return result;
	json_t *record = make_record(attempt);
	json_object_set_new(record, "run", json_integer(history->run));
	json_t *before = find(&book, attempt->release, &place);
	if (record && before) {
		/* Deployed again: should that fail, it is what it was. */
		json_object_del(before, "before");
		if (live_us(before) > 0)
			json_object_set(record, "before", before);
		json_array_remove(book.releases, place);
	}
	if (record == NULL || json_array_insert_new(book.releases, 0, record) < 0)
		result = error_set(error, ENOMEM, "no memory for the history");
	if (result == 0 && attempt->keep > 0)
		json_object_set_new(book.root, "keep", json_integer(attempt->keep));
	if (result == 0)
		result = book_save(&book, error);
	book_close(&book);
	return result;
}

/* The record of RELEASE, which may be older than this file: then a new one. */
static json_t *record_of(struct book *book, const char *release)
{
	json_t *record = find(book, release, NULL);
	if (record)
		return record;
	record = make_record(&(struct history_attempt){.release = release, .by = &who_daemon});
	if (record == NULL || json_array_append_new(book->releases, record) < 0)
		return NULL;
	return record;
}

void history_live(struct history *history, const char *tenant, const char *from, const char *to,
	const char *rolled_back)
{
	struct book book;
	struct error error = {0};
	size_t place;
	if (book_open(&book, history, tenant, to, &error) < 0) {
		log_error("event=history-not-saved tenant=%s message=\"%s\"", tenant,
			escape_for_log(error.message));
		return;
	}
	json_t *old = from[0] && strcmp(from, to) != 0 ? record_of(&book, from) : NULL;
	json_t *record = record_of(&book, to);
	if (old && rolled_back)
		set_fate(old, FATE_ROLLED_BACK, rolled_back);
	else if (old && fate_of(old) == FATE_TRYING)
		set_fate(old, FATE_GOOD, ""); /* of a daemon that was killed then */
	if (record) {
		set_fate(record, FATE_GOOD, "");
		json_object_del(record, "before");
		json_object_set_new(record, "live_us", json_integer((json_int_t)now_us()));
		json_incref(record);
		if (find(&book, to, &place))
			json_array_remove(book.releases, place);
		json_array_insert_new(book.releases, 0, record);
	}
	save_or_log(&book);
	book_close(&book);
}

void history_failed(struct history *history, const char *tenant, const char *active,
	const char *release, const char *reason)
{
	struct book book;
	if (book_open(&book, history, tenant, active, NULL) < 0)
		return;
	size_t place;
	const json_t *record = find(&book, release, &place);
	if (record && fate_of(record) == FATE_TRYING) {
		give_up(&book, place, reason);
		save_or_log(&book);
	}
	book_close(&book);
}

void history_condemn(
	struct history *history, const char *tenant, const char *release, const char *reason)
{
	struct book book;
	if (book_open(&book, history, tenant, release, NULL) < 0)
		return;
	json_t *record = record_of(&book, release);
	if (record) {
		set_fate(record, FATE_ROLLED_BACK, reason);
		save_or_log(&book);
	}
	book_close(&book);
}

void history_forget(struct history *history, const char *tenant)
{
	char path[CONTROL_NAME_MAX + 8];
	bool there;
	size_t place = kept_place(history, tenant, &there);
	snprintf(path, sizeof path, "%s.json", tenant);
	if (unlinkat(history->folder_fd, path, 0) < 0 && errno != ENOENT)
		log_warn("event=history-not-removed tenant=%s message=\"%s\"", tenant,
			strerror(errno));
	if (!there)
		return;
	free(history->kept[place].ids);
	history->count--;
	memmove(&history->kept[place], &history->kept[place + 1],
		(history->count - place) * sizeof *history->kept);
}

int history_set_keep(struct history *history, const char *tenant, const char *active, uint32_t keep,
	struct error *error)
{
	struct book book;
	int result = book_open(&book, history, tenant, active, error);
	if (result < 0)
		return result;
	if (keep > 0)
		json_object_set_new(book.root, "keep", json_integer(keep));
	result = book_save(&book, error);
	book_close(&book);
	return result;
}

/* ---- questions ---- */

static const char *outcome_of(const struct book *book, const json_t *record, const json_t *before)
{
	if (is_release(record, book->active))
		return "active";
	if (record == before)
		return "previous";
	return fate_of(record) == FATE_GOOD ? "kept" : fates[fate_of(record)];
}

static json_t *time_of(const json_t *record, const char *key)
{
	char text[32];
	const json_t *value = json_object_get(record, key);
	return json_is_integer(value)
		       ? json_string(format_time(text, (uint64_t)json_integer_value(value)))
		       : json_null();
}

static json_t *describe(
	const struct book *book, const json_t *record, const json_t *before, size_t rank)
{
	static const char *const copied[] = {
		"release", "by", "message", "signed_by", "bytes", "entries", "from", "reason"};
	json_t *object = json_object();
	for (size_t i = 0; i < ARRAY_LENGTH(copied); i++)
		json_object_set(object, copied[i], json_object_get(record, copied[i]));
	json_object_set_new(object, "deployed", time_of(record, "deployed_us"));
	json_object_set_new(object, "live", time_of(record, "live_us"));
	json_object_set_new(object, "outcome", json_string(outcome_of(book, record, before)));
	json_object_set_new(
		object, "stored", json_boolean(record == before || stays(book, record, rank)));
	return object;
}

json_t *history_releases(struct history *history, const char *tenant, const char *active)
{
	struct book book;
	json_t *list = json_array();
	const json_t *record;
	size_t i, rank = 0;
	if (book_open(&book, history, tenant, active, NULL) < 0)
		return list;
	if (active[0])
		record_of(&book, active); /* of a daemon that kept no history yet */
	const json_t *before = previous(&book);
	json_array_foreach(book.releases, i, record)
	{
		json_array_append_new(list, describe(&book, record, before, rank));
		rank += fate_of(record) != FATE_FAILED;
	}
	book_close(&book);
	return list;
}

int history_previous(struct history *history, const char *tenant, const char *active,
	char ret_release[STORE_ID_SIZE], struct error *error)
{
	struct book book;
	int result = book_open(&book, history, tenant, active, error);
	if (result < 0)
		return result;
	const json_t *record = previous(&book);
	if (record)
		memcpy(ret_release, text_of(record, "release"), STORE_ID_SIZE);
	else
		result = error_set(error, ENOENT,
			"%s has no earlier release that was good; `tenantctl releases %s` lists "
			"what there is",
			tenant, tenant);
	book_close(&book);
	return result;
}

/* The one release whose id begins with TEXT. */
static const json_t *find_prefix(const struct book *book, const char *text, struct error *error)
{
	const json_t *record, *found = NULL;
	const size_t length = strlen(text);
	size_t i;
	if (length < PREFIX_LEAST || length > STORE_ID_LENGTH ||
		strspn(text, "0123456789abcdef") != length) {
		error_set(error, EINVAL,
			"a release is named by its id, or at least the first %d digits of it",
			PREFIX_LEAST);
		return NULL;
	}
	json_array_foreach(book->releases, i, record)
	{
		if (strncmp(text_of(record, "release"), text, length) != 0)
			continue;
		if (found) {
			error_set(error, EINVAL, "%s could be %.12s or %.12s: write more of it",
				text, text_of(found, "release"), text_of(record, "release"));
			return NULL;
		}
		found = record;
	}
	if (found == NULL)
		error_set(error, ENOENT,
			"%s has no release %s; `tenantctl releases %s` lists those that it has",
			book->tenant, text, book->tenant);
	return found;
}

int history_find(struct history *history, const char *tenant, const char *active, const char *text,
	char ret_release[STORE_ID_SIZE], struct error *error)
{
	struct book book;
	if (strcmp(text, "previous") == 0)
		return history_previous(history, tenant, active, ret_release, error);
	if (strcmp(text, "active") == 0 && !store_id_valid(active))
		return error_set(error, ENOENT, "%s has no active release", tenant);
	if (strcmp(text, "active") == 0) {
		memcpy(ret_release, active, STORE_ID_SIZE);
		return 0;
	}
	int result = book_open(&book, history, tenant, active, error);
	if (result < 0)
		return result;
	if (active[0])
		record_of(&book, active);
	const json_t *record = find_prefix(&book, text, error);
	if (record == NULL)
		result = -error->code;
	else if (fate_of(record) == FATE_FAILED && !is_release(record, active))
		result = error_set(error, ESTALE, "the release %.12s failed (%s), and was not kept",
			text_of(record, "release"), text_of(record, "reason"));
	else
		memcpy(ret_release, text_of(record, "release"), STORE_ID_SIZE);
	book_close(&book);
	return result;
}

char *history_signature(struct history *history, const char *tenant, const char *release)
{
	struct book book;
	if (book_open(&book, history, tenant, release, NULL) < 0)
		return NULL;
	const json_t *record = find(&book, release, NULL);
	const char *text = json_string_value(json_object_get(record, "signature"));
	char *copy = text ? strdup(text) : NULL;
	book_close(&book);
	return copy;
}

ssize_t history_kept(struct history *history, const char *tenant, const char *active,
	const char (**ret_ids)[STORE_ID_SIZE])
{
	struct book book;
	struct error error = {0};
	bool there;
	size_t place = kept_place(history, tenant, &there);
	const struct kept *kept = there ? &history->kept[place] : NULL;
	/* An entry without ids: there was no memory for them. */
	if (kept == NULL || kept->ids == NULL) {
		int result = book_open(&book, history, tenant, active, &error);
		if (result < 0)
			return result;
		kept = remember(&book);
		book_close(&book);
		if (kept == NULL)
			return -ENOMEM;
	}
	*ret_ids = (const char (*)[STORE_ID_SIZE])kept->ids;
	return (ssize_t)kept->count;
}
