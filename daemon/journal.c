#include "daemon/journal.h"

#include "common/cleanup.h"
#include "common/clock.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define FIELDS_BYTES 1024

static struct {
	int fd; /* 0: not open */
	struct sockaddr_un address;
	uint64_t pause_until_ms;
	uint64_t lost;
} journal;

/* The fields of one entry: NAME=VALUE lines, then the message in the form that may hold any
 * byte. */
struct entry {
	char fields[FIELDS_BYTES];
	size_t length;
};

static void add(struct entry *entry, const char *name, const char *value, size_t length)
{
	const size_t need = strlen(name) + length + 2;
	if (length == 0 || entry->length + need > sizeof entry->fields)
		return;
	entry->length += (size_t)snprintf(entry->fields + entry->length,
		sizeof entry->fields - entry->length, "%s=%.*s\n", name, (int)length, value);
}

static void add_text(struct entry *entry, const char *name, const char *value)
{
	if (value)
		add(entry, name, value, strlen(value));
}

static void add_number(struct entry *entry, const char *name, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRIu64, number);
	add_text(entry, name, text);
}

/* Returns whether journald has it. */
static bool send_entry(struct entry *entry, const char *message, size_t length)
{
	static const char name[] = "MESSAGE\n";
	const uint64_t size = htole64(length);
	struct iovec parts[] = {
		{entry->fields, entry->length},
		{(void *)name, sizeof name - 1},
		{(void *)&size, sizeof size},
		{(void *)message, length},
		{(void *)"\n", 1},
	};
	const struct msghdr datagram = {
		.msg_name = &journal.address,
		.msg_namelen = sizeof journal.address,
		.msg_iov = parts,
		.msg_iovlen = ARRAY_LENGTH(parts),
	};
	return sendmsg(journal.fd, &datagram, MSG_NOSIGNAL) >= 0;
}

static void report_lost(void)
{
	struct entry entry = {.length = 0};
	char text[96];
	if (journal.lost == 0)
		return;
	const int length = snprintf(text, sizeof text,
		"event=journal-lost lines=%" PRIu64 " message=\"journald did not take them\"",
		journal.lost);
	add_text(&entry, "SYSLOG_IDENTIFIER", "tenantd");
	add_text(&entry, "EVENT", "journal-lost");
	add_number(&entry, "PRIORITY", 4);
	if (send_entry(&entry, text, (size_t)length))
		journal.lost = 0;
}

/* A journald that hangs costs JOURNAL_WAIT_MS a second, and lines; never more. */
static void deliver(struct entry *entry, const char *message, size_t length)
{
	if (journal.lost > 0) {
		if (clock_ms() >= journal.pause_until_ms)
			report_lost();
		if (journal.lost > 0 && clock_ms() < journal.pause_until_ms) {
			journal.lost++;
			return;
		}
	}
	if (send_entry(entry, message, length))
		return;
	journal.lost++;
	journal.pause_until_ms = clock_ms() + JOURNAL_PAUSE_MS;
}

/* The fields of a line of ours, which is `event=ready tenant=shop …`: up to the first value in
 * quotes, where words are somebody else's. */
static void add_words(struct entry *entry, const char *line)
{
	static const struct {
		const char *word, *field;
	} known[] = {
		{"event=", "EVENT"},
		{"tenant=", "TENANT"},
		{"release=", "RELEASE"},
		{"instance=", "INSTANCE"},
	};
	unsigned seen = 0;
	for (const char *at = line; *at;) {
		const size_t length = strcspn(at, " ");
		const char *value = memchr(at, '=', length);
		if (value == NULL || value[1] == '"')
			return;
		for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
			const size_t word = strlen(known[i].word);
			if (seen & 1u << i || length <= word ||
				strncmp(at, known[i].word, word) != 0)
				continue;
			add(entry, known[i].field, at + word, length - word);
			seen |= 1u << i;
		}
		at += length;
		at += *at == ' ';
	}
}

static void own_line(enum log_level level, const char *line, size_t length)
{
	static const uint64_t priorities[] = {3, 4, 6, 7}; /* syslog(3) */
	struct entry entry = {.length = 0};
	add_number(&entry, "PRIORITY", priorities[level]);
	add_text(&entry, "SYSLOG_IDENTIFIER", "tenantd");
	add_words(&entry, line);
	deliver(&entry, line, length);
}

void journal_tenant_line(const struct journal_line *line)
{
	struct entry entry = {.length = 0};
	char identifier[96];
	if (journal.fd == 0)
		return;
	/* Never the name alone: a tenant may be called sshd. */
	snprintf(identifier, sizeof identifier, "tenantd/%s", line->tenant);
	add_number(&entry, "PRIORITY", (uint64_t)line->priority);
	add_text(&entry, "SYSLOG_IDENTIFIER", identifier);
	add_text(&entry, "TENANT", line->tenant);
	add_text(&entry, "STREAM", line->stream);
	add_text(&entry, "RELEASE", line->release);
	if (line->instance)
		add_number(&entry, "INSTANCE", line->instance);
	deliver(&entry, line->message, line->length);
}

void journal_open(const char *socket_path)
{
	const struct timeval wait = {.tv_usec = JOURNAL_WAIT_MS * 1000L};
	journal_close();
	if (!log_is_journal() || strlen(socket_path) >= sizeof journal.address.sun_path)
		return;
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)
		return;
	journal.address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(journal.address.sun_path, socket_path, strlen(socket_path) + 1);
	journal.fd = take_fd(&fd);
	log_set_writer(own_line);
}

void journal_close(void)
{
	if (journal.fd)
		close(journal.fd);
	journal.fd = 0;
	journal.lost = 0;
	log_set_writer(NULL);
}
