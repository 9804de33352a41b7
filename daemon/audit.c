#include "daemon/audit.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/log.h"
#include "daemon/instance.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define BUCKETS_MAX 8192 /* tenants and runs that have recorded something lately */
#define RETRY_MS 10000   /* after a failure to write */
#define REPORT_US 1000000
#define RESOURCE_SHOWN_MAX 2048 /* escaped, before JSON's own escapes */
#define DETAIL_SHOWN_MAX 512
#define FILES (AUDIT_FILES_KEPT + 1)

/* What one tenant may still record. What its workers claim has an account of its own, or
 * a worker could hide what others saw behind a flood of claims. */
struct bucket {
	struct bucket *next;
	char tenant[80];
	bool claimed;
	uint64_t filled_ms;
	uint32_t thousandths; /* of a record */
	uint64_t dropped;
};

struct follower {
	struct audit_query query;
	audit_line_fn *take;
	void *data;
};

struct audit {
	sd_event *event;
	sd_event_source *timer;
	int folder_fd;
	int file_fd;
	uint64_t file_bytes;
	uint64_t retry_ms;
	uint64_t lost; /* lines that could not be written */
	struct bucket *buckets[256];
	size_t bucket_count;
	struct follower followers[AUDIT_FOLLOWERS_MAX];
	size_t follower_count;
};

static uint64_t real_time_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- the file ---- */

static const char *file_name(int generation, char name[32])
{
	if (generation == 0)
		snprintf(name, 32, AUDIT_FILE);
	else
		snprintf(name, 32, "audit.%d.jsonl", generation);
	return name;
}

static void rotate(struct audit *audit)
{
	char from[32], to[32];
	close_fd(&audit->file_fd);
	for (int generation = AUDIT_FILES_KEPT; generation > 0; generation--)
		renameat(audit->folder_fd, file_name(generation - 1, from), audit->folder_fd,
			file_name(generation, to));
}

static int open_file(struct audit *audit)
{
	struct stat status;
	audit->file_fd = openat(audit->folder_fd, AUDIT_FILE,
		O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (audit->file_fd < 0)
		return -errno;
	audit->file_bytes = fstat(audit->file_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	/* A power cut in the middle of a line must not spoil the next one, too. */
	char last = '\n';
	if (audit->file_bytes > 0 &&
		pread(audit->file_fd, &last, 1, (off_t)audit->file_bytes - 1) == 1 && last != '\n')
		return file_write_all(audit->file_fd, "\n", 1);
	return 0;
}

static void write_line(struct audit *audit, const char *line, size_t length)
{
	if (audit->retry_ms && clock_ms() < audit->retry_ms) {
		audit->lost++;
		return;
	}
	if (audit->file_fd >= 0 && audit->file_bytes + length > AUDIT_FILE_BYTES)
		rotate(audit);
	int result = audit->file_fd >= 0 ? 0 : open_file(audit);
	if (result == 0)
		result = file_write_all(audit->file_fd, line, length);
	if (result == 0) {
		audit->file_bytes += length;
		if (audit->lost > 0)
			log_warn("event=audit-resumed lost=%" PRIu64, audit->lost);
		audit->lost = audit->retry_ms = 0;
		return;
	}
	/* One complaint; and one attempt every now and then, of which half a line may stay:
	 * the next begins on its own. */
	close_fd(&audit->file_fd);
	audit->lost++;
	audit->retry_ms = clock_ms() + RETRY_MS;
	log_error("event=audit-failed message=\"cannot write the audit log: %s\"",
		strerror(abs(result)));
}

/* ---- lines ---- */

struct line {
	size_t length;
	char text[AUDIT_LINE_MAX];
};

static void put(struct line *line, const char *text)
{
	size_t length = strlen(text), room = sizeof line->text - 2 - line->length;
	if (length > room)
		length = room;
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

/* SOURCE as a JSON string: printable first, at most MOST bytes of that. */
static void put_string(struct line *line, const char *key, const char *source, size_t most)
{
	enum { ESCAPE_MAX = 16 };
	char escaped[RESOURCE_SHOWN_MAX + ESCAPE_MAX + 1], piece[2] = "";
	const size_t length = source ? strlen(source) : 0;
	const size_t whole =
		escape_line(escaped, most + ESCAPE_MAX + 1, source ? source : "", length, 0);
	const bool cut = whole > most;
	if (cut) /* at a whole escape */
		escape_line(escaped, most + 1, source, length, 0);
	put(line, ",\"");
	put(line, key);
	put(line, "\":\"");
	for (const char *next = escaped; *next; next++) {
		if (*next == '"' || *next == '\\')
			put(line, "\\");
		piece[0] = *next;
		put(line, piece);
	}
	put(line, cut ? "…\"" : "\"");
}

static void begin_line(struct line *line, const char *tenant)
{
	char time[32];
	line->length = 0;
	put(line, "{\"time\":\"");
	put(line, format_time(time, real_time_us()));
	put(line, "\"");
	put_string(line, "tenant", tenant, 128);
}

static bool wanted(const struct audit_query *query, const char *line, size_t length)
{
	/* As begin_line writes it: no parser is needed to tell whose line it is. */
	static const char shape[] = "{\"time\":\"2026-11-21T12:00:00.000Z\",\"tenant\":\"";
	static const char denied[] = "\"result\":\"denied\"";
	const size_t head = sizeof shape - 1;
	const size_t name = query->tenant ? strlen(query->tenant) : 0;
	if (query->tenant &&
		(length <= head + name || memcmp(line + head, query->tenant, name) != 0 ||
			line[head + name] != '"'))
		return false;
	return !query->denied_only || memmem(line, length, denied, sizeof denied - 1) != NULL;
}

/* Writes it, and tells followers: from the last, since one may unfollow itself. */
static void end_line(struct audit *audit, struct line *line)
{
	line->text[line->length++] = '\n';
	write_line(audit, line->text, line->length);
	for (size_t i = audit->follower_count; i > 0; i--) {
		const struct follower *follower = &audit->followers[i - 1];
		if (wanted(&follower->query, line->text, line->length - 1))
			follower->take(follower->data, line->text, line->length - 1);
	}
}

/* ---- the rate ---- */

static void report_dropped(struct audit *audit, struct bucket *bucket)
{
	struct line line;
	char text[96];
	if (bucket->dropped == 0)
		return;
	begin_line(&line, bucket->tenant);
	snprintf(text, sizeof text, ",\"dropped\":%" PRIu64, bucket->dropped);
	put(&line, text);
	snprintf(text, sizeof text, "%" PRIu64 " records dropped: too many%s", bucket->dropped,
		bucket->claimed ? " from its workers" : "");
	put_string(&line, "detail", text, DETAIL_SHOWN_MAX);
	put(&line, "}");
	bucket->dropped = 0;
	end_line(audit, &line);
}

static void refill(struct bucket *bucket)
{
	const uint64_t now = clock_ms(), most = AUDIT_BURST * 1000;
	const uint64_t more = bucket->thousandths + (now - bucket->filled_ms) * AUDIT_RATE;
	bucket->thousandths = (uint32_t)(more < most ? more : most);
	bucket->filled_ms = now;
}

static struct bucket **bucket_head(struct audit *audit, const char *tenant)
{
	uint32_t hash = 2166136261;
	for (; *tenant; tenant++)
		hash = (hash ^ (unsigned char)*tenant) * 16777619;
	return &audit->buckets[hash % ARRAY_LENGTH(audit->buckets)];
}

/* Forgets who could begin anew all the same. */
static void forget_full(struct audit *audit)
{
	for (size_t i = 0; i < ARRAY_LENGTH(audit->buckets); i++) {
		struct bucket **place = &audit->buckets[i];
		while (*place) {
			struct bucket *bucket = *place;
			refill(bucket);
			if (bucket->dropped == 0 && bucket->thousandths == AUDIT_BURST * 1000) {
				*place = bucket->next;
				free(bucket);
				audit->bucket_count--;
			} else {
				place = &bucket->next;
			}
		}
	}
}

static struct bucket *find_bucket(struct audit *audit, const char *tenant, bool claimed)
{
	struct bucket **head = bucket_head(audit, tenant);
	for (struct bucket *bucket = *head; bucket; bucket = bucket->next)
		if (bucket->claimed == claimed && strcmp(bucket->tenant, tenant) == 0)
			return bucket;
	if (audit->bucket_count >= BUCKETS_MAX)
		forget_full(audit);
	struct bucket *bucket =
		audit->bucket_count < BUCKETS_MAX ? calloc(1, sizeof *bucket) : NULL;
	if (bucket == NULL)
		return NULL;
	snprintf(bucket->tenant, sizeof bucket->tenant, "%s", tenant);
	bucket->claimed = claimed;
	bucket->filled_ms = clock_ms();
	bucket->thousandths = AUDIT_BURST * 1000;
	bucket->next = *head;
	*head = bucket;
	audit->bucket_count++;
	return bucket;
}

static int report_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct audit *audit = data;
	(void)source;
	(void)usec;
	for (size_t i = 0; i < ARRAY_LENGTH(audit->buckets); i++)
		for (struct bucket *bucket = audit->buckets[i]; bucket; bucket = bucket->next)
			report_dropped(audit, bucket);
	return 0;
}

static void arm_timer(struct audit *audit)
{
	int enabled = SD_EVENT_OFF;
	if (audit->event == NULL)
		return;
	if (audit->timer == NULL)
		sd_event_add_time_relative(audit->event, &audit->timer, CLOCK_MONOTONIC, REPORT_US,
			100000, report_late, audit);
	else if (sd_event_source_get_enabled(audit->timer, &enabled) == 0) {
		sd_event_source_set_time_relative(audit->timer, REPORT_US);
		sd_event_source_set_enabled(audit->timer, SD_EVENT_ONESHOT);
	}
}

/* May this be recorded? Counts it, if not. */
static bool take_token(struct audit *audit, const char *tenant, bool claimed)
{
	struct bucket *bucket = find_bucket(audit, tenant, claimed);
	if (bucket == NULL)
		return false;
	refill(bucket);
	if (bucket->thousandths < 1000) {
		bucket->dropped++;
		arm_timer(audit);
		return false;
	}
	bucket->thousandths -= 1000;
	report_dropped(audit, bucket);
	return true;
}

/* Who recorded COUNT less than happened says so. */
static void count_dropped(struct audit *audit, const char *tenant, bool claimed, uint32_t count)
{
	struct bucket *bucket = find_bucket(audit, tenant, claimed);
	if (bucket == NULL)
		return;
	bucket->dropped += count;
	arm_timer(audit);
}

/* ---- records ---- */

void audit_write(struct audit *audit, const struct audit_event *event)
{
	struct line line;
	char pid[32];
	const char *result = event->allowed ? "allowed" : "denied";
	if (audit == NULL || !take_token(audit, event->tenant, event->claimed))
		return;
	begin_line(&line, event->tenant);
	put_string(&line, "release", event->release, 80);
	snprintf(pid, sizeof pid, ",\"pid\":%d", event->pid);
	put(&line, pid);
	put_string(&line, "permission", audit_permission_name(event->permission), 32);
	put_string(&line, "resource", event->resource, RESOURCE_SHOWN_MAX);
	put_string(&line, "result", result, 32);
	put_string(&line, "layer", audit_layer_name(event->layer), 32);
	put_string(&line, "detail", event->detail, DETAIL_SHOWN_MAX);
	put(&line, "}");
	log_debug("event=audit tenant=%s permission=%s resource=\"%s\" result=%s layer=%s",
		event->tenant, audit_permission_name(event->permission),
		escape_for_log(event->resource ? event->resource : ""), result,
		audit_layer_name(event->layer));
	end_line(audit, &line);
}

static void record(struct instance *instance, struct audit_event *event)
{
	char resource[AUDIT_RESOURCE_MAX + 1], detail[1024];
	if (instance->audit == POLICY_AUDIT_OFF ||
		(event->allowed && instance->audit != POLICY_AUDIT_ALL))
		return;
	snprintf(resource, sizeof resource, "%s", event->resource ? event->resource : "");
	snprintf(detail, sizeof detail, "%s", event->detail ? event->detail : "");
	secrets_redact_string(instance->secrets, resource);
	secrets_redact_string(instance->secrets, detail);
	event->tenant = instance->tenant;
	event->release = instance->release;
	event->pid = instance->pid;
	event->resource = resource;
	event->detail = detail;
	audit_write(instance->factory->audit, event);
	if (!event->allowed && instance->events && instance->events->denied)
		instance->events->denied(instance, event, instance->data);
}

void audit_record(struct instance *instance, enum audit_permission permission, const char *resource,
	bool allowed, enum audit_layer layer, const char *detail)
{
	record(instance, &(struct audit_event){
				 .permission = permission,
				 .resource = resource,
				 .allowed = allowed,
				 .layer = layer,
				 .detail = detail,
			 });
}

/* A worker sees its own system calls. What egress, the supervisor and the kernel decide
 * they tell themselves, and nobody in their name: a worker that names them has decided in
 * its library, before it asked. */
static enum audit_layer claimed_layer(uint32_t layer)
{
	return layer == AUDIT_LAYER_MOUNT || layer == AUDIT_LAYER_LANDLOCK ||
			       layer == AUDIT_LAYER_SECCOMP
		       ? (enum audit_layer)layer
		       : AUDIT_LAYER_ENGINE;
}

bool audit_message(struct instance *instance, const void *message, size_t length)
{
	struct message_audit head;
	char detail[128] = "told by the worker";
	memcpy(&head, message, sizeof head);
	if (head.permission >= AUDIT_PERMISSION_COUNT || head.layer >= AUDIT_LAYER_COUNT ||
		head.allowed > 1)
		return false;
	const char *resource = (const char *)message + sizeof head;
	if (length <= sizeof head || resource[length - sizeof head - 1] != '\0')
		return false;
	if (head.dropped > 0 && instance->audit != POLICY_AUDIT_OFF && instance->factory->audit)
		count_dropped(instance->factory->audit, instance->tenant, true, head.dropped);
	if (head.layer == AUDIT_LAYER_SECCOMP && head.syscall >= 0) {
		const char *name = sandbox_syscall_name(head.syscall);
		snprintf(detail, sizeof detail, "system call %d, told by the worker", head.syscall);
		if (resource[0] == '\0')
			resource = name;
	}
	record(instance, &(struct audit_event){
				 .permission = (enum audit_permission)head.permission,
				 .resource = resource,
				 .allowed = head.allowed,
				 .layer = claimed_layer(head.layer),
				 .detail = detail,
				 .claimed = true,
			 });
	return true;
}

static void limit_reached(
	struct instance *instance, enum audit_layer layer, const char *limit, const char *detail)
{
	audit_record(instance, AUDIT_RESOURCE, limit, false, layer, detail);
}

void audit_limits(struct instance *instance)
{
	struct cgroup_stats stats = {0};
	char text[96];
	if (instance->tenant[0] == '\0' || instance->audit == POLICY_AUDIT_OFF)
		return;
	if (instance->cgroup)
		cgroup_read_stats(instance->cgroup, &stats);
	if (stats.oom_kills > 0) {
		snprintf(text, sizeof text, "%" PRIu64 " processes killed over the memory limit",
			stats.oom_kills);
		limit_reached(instance, AUDIT_LAYER_CGROUP, "limits.memory", text);
	}
	if (stats.pids_denied > 0) {
		snprintf(text, sizeof text, "%" PRIu64 " processes or threads refused",
			stats.pids_denied);
		limit_reached(instance, AUDIT_LAYER_CGROUP, "limits.pids", text);
	}
	if (instance->end->reason == END_HEAP_LIMIT)
		limit_reached(instance, AUDIT_LAYER_ENGINE, "limits.memory",
			"the JavaScript heap is full");
	if (instance->end->reason == END_CPU_LIMIT)
		limit_reached(instance, AUDIT_LAYER_ENGINE, "limits.request.cpu",
			"one turn of the event loop took too long");
	if (instance->end->reason == END_TIME_LIMIT)
		limit_reached(instance, AUDIT_LAYER_SUPERVISOR, "limits.time",
			"the run as a whole took too long");
	if (instance->end->reason == END_SECCOMP)
		audit_record(instance, AUDIT_SYSCALL, "", false, AUDIT_LAYER_SECCOMP,
			"killed: a forbidden system call");
}

/* ---- who reads ---- */

/* Lines of one file that match, the last first. */
struct found {
	char *texts[FILES]; /* the files, which the lines point into */
	struct {
		const char *text;
		size_t length;
	} *lines;
	size_t count, size, bytes;
	bool full;
};

static void keep_line(struct found *found, const char *line, size_t length)
{
	if (found->count == found->size) {
		size_t size = found->size ? found->size * 2 : 256;
		void *larger = reallocarray(found->lines, size, sizeof *found->lines);
		if (larger == NULL) {
			found->full = true;
			return;
		}
		found->lines = larger;
		found->size = size;
	}
	found->lines[found->count].text = line;
	found->lines[found->count++].length = length;
	found->bytes += length;
}

static void search_file(
	struct found *found, const struct audit_query *query, const char *text, size_t length)
{
	while (length > 0 && found->count < query->lines && !found->full) {
		if (text[length - 1] == '\n')
			length--;
		const char *before = memrchr(text, '\n', length);
		const char *line = before ? before + 1 : text;
		const size_t line_length = length - (size_t)(line - text);
		length = (size_t)(line - text);
		if (line_length == 0 || !wanted(query, line, line_length))
			continue;
		if (found->bytes + line_length > AUDIT_ANSWER_MAX)
			found->full = true;
		else
			keep_line(found, line, line_length);
	}
}

bool audit_last(
	struct audit *audit, const struct audit_query *query, audit_line_fn *take, void *data)
{
	struct found found = {0};
	if (audit == NULL)
		return true;
	for (int generation = 0; generation < FILES; generation++) {
		char name[32];
		size_t length = 0;
		if (found.full || found.count >= query->lines)
			break;
		if (file_read(audit->folder_fd, file_name(generation, name), AUDIT_FILE_BYTES * 2,
			    &found.texts[generation], &length, NULL) == 0)
			search_file(&found, query, found.texts[generation], length);
	}
	for (size_t i = found.count; i > 0; i--)
		take(data, found.lines[i - 1].text, found.lines[i - 1].length);
	for (int generation = 0; generation < FILES; generation++)
		free(found.texts[generation]);
	free(found.lines);
	return !found.full;
}

int audit_follow(
	struct audit *audit, const struct audit_query *query, audit_line_fn *take, void *data)
{
	if (audit == NULL || audit->follower_count == AUDIT_FOLLOWERS_MAX)
		return -EUSERS;
	audit->followers[audit->follower_count++] = (struct follower){*query, take, data};
	return 0;
}

void audit_unfollow(struct audit *audit, const void *data)
{
	for (size_t i = 0; audit && i < audit->follower_count; i++) {
		if (audit->followers[i].data != data)
			continue;
		audit->followers[i] = audit->followers[--audit->follower_count];
		return;
	}
}

/* ---- the log itself ---- */

int audit_open(sd_event *event, int folder_fd, struct audit **ret_audit, struct error *error)
{
	if (mkdirat(folder_fd, "audit", 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the folder audit");
	cleanup_close int fd =
		openat(folder_fd, "audit", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "cannot open the folder audit");
	struct audit *audit = calloc(1, sizeof *audit);
	if (audit == NULL)
		return error_set(error, ENOMEM, "no memory for the audit log");
	audit->event = event;
	audit->folder_fd = take_fd(&fd);
	audit->file_fd = -1;
	*ret_audit = audit;
	return 0;
}

struct audit *audit_close(struct audit *audit)
{
	if (audit == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LENGTH(audit->buckets); i++) {
		while (audit->buckets[i]) {
			struct bucket *bucket = audit->buckets[i];
			report_dropped(audit, bucket);
			audit->buckets[i] = bucket->next;
			free(bucket);
		}
	}
	sd_event_source_disable_unref(audit->timer);
	close_fd(&audit->file_fd);
	close_fd(&audit->folder_fd);
	free(audit);
	return NULL;
}
