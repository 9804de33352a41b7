#include "isolate/egress_client.h"

#include "common/cleanup.h"
#include "common/message.h"
#include "isolate/channel.h"
#include "isolate/mailbox.h"
#include "isolate/permission.h"
#include "isolate/runtime.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longer than egress's own deadline: it answers first, unless it hangs. */
#define ANSWER_SPARE_MS 2000
#define ANSWER_DEFAULT_MS 3600000 /* the most that limits.connect.time allows */
#define DROPS_MAX 512

/* What a request's answer may be, checked as every message is (common/protocol.h). The
 * channel's one state is bit 1. */
static const struct message_rule rules[] = {
	{(enum message_type)EGRESS_CONNECTED, 1, sizeof(struct egress_connected),
		sizeof(struct egress_connected), 1, 1},
	{(enum message_type)EGRESS_RESOLVED, 1, sizeof(struct egress_resolved),
		sizeof(struct egress_resolved), 0, 0},
	{(enum message_type)EGRESS_REFUSED, 1, sizeof(struct egress_refused) + 1,
		EGRESS_MESSAGE_MAX, 0, 0},
};

enum request_state {
	REQUEST_WAITING, /* for a channel, or for room in it */
	REQUEST_SENT,
	REQUEST_REFUSED, /* here, without egress */
};

struct egress_request {
	struct egress_request *next, *previous;
	struct egress_connect message; /* header.id is the request's */
	size_t length;
	egress_callback callback;
	void *data;
	uint64_t until_ms;
	enum request_state state;
	enum egress_refusal refusal; /* of REQUEST_REFUSED */
	int code;
	bool keeps_alive;
	char host[]; /* sent right behind MESSAGE */
};

/* One socket goes to egress, for all threads of the process. Each has a descriptor of its own
 * of it, as its loop wants, and an answer may be read by any of them: the number of a request
 * says whose it is (NUMBER_SHIFT). Nobody's blocked loop holds up another's answers. */
static _Thread_local struct client {
	int channel;         /* -1: none now */
	unsigned generation; /* of the socket that CHANNEL is of */
	bool made;           /* the handles are */
	uv_poll_t *poll;     /* of CHANNEL; NULL while it is not watched */
	uv_timer_t timer;
	struct egress_request *first, *last;
	size_t count, references;
	uint32_t last_id;
	struct inbox *inbox; /* what others have read for this one; NULL in a lone thread */
} client = {.channel = -1};

#define NUMBER_SHIFT 22 /* below it 4 million requests of one thread */
#define NUMBER_MASK ((1u << NUMBER_SHIFT) - 1)
#define NUMBERS ((1u << (32 - NUMBER_SHIFT)) - 1) /* of threads but the first; > THREADS_MAX */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Of the process, under LOCK but for GRANTED and DROPPED, which the first thread alone writes. */
static struct {
	int channel;          /* the first thread's */
	unsigned generation;  /* how many there have been */
	_Atomic bool granted; /* the policy has net.connect */
	_Atomic bool dropped; /* all of it was given up */
	struct inbox *inboxes;
	uint32_t last_number;   /* that a thread got */
	char *drops[DROPS_MAX]; /* told again to each new channel */
	size_t drop_count;
} shared = {.channel = -1};

/* An answer that another thread has read. */
struct answer {
	struct answer *next;
	int fd;
	size_t length;
	_Alignas(8) char bytes[];
};

/* Of one thread, as soon as there are several. */
struct inbox {
	struct letter letter; /* answers, or a new channel */
	struct inbox *next;
	struct mailbox *mailbox;
	uint32_t number; /* upper part of its requests' numbers; 0 is the first thread's */
	struct answer *first, **end;
};

static void watch(void);
static void look_at_clock(void);
static void hand_over(uint32_t number, const void *message, size_t length, int fd);
static void join(void);

static uint32_t own_number(void)
{
	return client.inbox ? client.inbox->number : 0;
}

/* ---- the list ---- */

/* The channel and the clock keep the program alive exactly while a request does. */
static void update_references(void)
{
	if (client.references > 0) {
		uv_ref((uv_handle_t *)&client.timer);
	} else {
		uv_unref((uv_handle_t *)&client.timer);
	}
	if (client.poll && client.references > 0)
		uv_ref((uv_handle_t *)client.poll);
	else if (client.poll)
		uv_unref((uv_handle_t *)client.poll);
}

static void insert(struct egress_request *request)
{
	request->previous = client.last;
	if (client.last)
		client.last->next = request;
	else
		client.first = request;
	client.last = request;
	client.count++;
	client.references += request->keeps_alive;
}

static void take_out(struct egress_request *request)
{
	if (request->previous)
		request->previous->next = request->next;
	else
		client.first = request->next;
	if (request->next)
		request->next->previous = request->previous;
	else
		client.last = request->previous;
	client.count--;
	client.references -= request->keeps_alive;
}

static struct egress_request *find(uint32_t id)
{
	struct egress_request *request = client.first;
	while (request && request->message.header.id != id)
		request = request->next;
	return request;
}

static void finish(struct egress_request *request, struct egress_result *result)
{
	take_out(request);
	update_references();
	request->callback(request->data, result);
	free(request);
}

static void refuse(
	struct egress_request *request, enum egress_refusal refusal, int code, const char *text)
{
	struct egress_result result = {.refusal = refusal, .code = code, .text = text, .fd = -1};
	finish(request, &result);
}

/* ---- the channel's end ---- */

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_channel(void)
{
	if (client.poll) {
		uv_poll_stop(client.poll);
		uv_close((uv_handle_t *)client.poll, on_poll_closed);
		client.poll = NULL;
	}
	if (runtime.thread) {
		close_fd(&client.channel);
		return;
	}
	pthread_mutex_lock(&lock);
	shared.channel = -1;
	close_fd(&client.channel);
	pthread_mutex_unlock(&lock);
}

/* Egress is gone. What it had been asked is lost; what it had not, waits for the next. */
static void on_channel_end(void)
{
	static const char text[] = "the egress process ended while it made this connection; "
				   "it is being started again: try again";
	close_channel();
	for (;;) {
		/* A callback may begin and cancel requests: from the start each time. */
		struct egress_request *request = client.first;
		while (request && request->state != REQUEST_SENT)
			request = request->next;
		if (!request)
			break;
		refuse(request, EGRESS_FAILED, ECONNRESET, text);
	}
	uint64_t until = uv_now(&runtime.loop) + EGRESS_RETURN_MS;
	for (struct egress_request *request = client.first; request; request = request->next)
		if (request->state == REQUEST_WAITING && request->until_ms > until)
			request->until_ms = until;
	look_at_clock();
}

/* ---- receiving ---- */

static void on_connected(const struct egress_connected *message, int fd)
{
	struct egress_request *request = find(message->header.id);
	if (!request) { /* cancelled while this was on its way */
		close(fd);
		return;
	}
	struct egress_result result = {.fd = fd, .family = message->family, .port = message->port};
	memcpy(result.address, message->address, sizeof result.address);
	finish(request, &result);
}

static void on_resolved(const struct egress_resolved *message)
{
	struct egress_request *request = find(message->header.id);
	if (!request)
		return;
	struct egress_result result = {.fd = -1, .resolved = message};
	finish(request, &result);
}

static void on_refused(const struct egress_refused *message, size_t length)
{
	const char *text = (const char *)(message + 1);
	struct egress_request *request = find(message->header.id);
	if (!request)
		return;
	bool ended = text[length - sizeof *message - 1] == '\0';
	refuse(request, message->refusal ? (enum egress_refusal)message->refusal : EGRESS_FAILED,
		message->code, ended ? text : "");
}

union message {
	struct egress_header header;
	struct egress_connected connected;
	struct egress_resolved resolved;
	struct egress_refused refused;
	char bytes[EGRESS_MESSAGE_MAX];
};

static void take(const union message *message, size_t length, int fd)
{
	if (message->header.type == EGRESS_CONNECTED)
		on_connected(&message->connected, fd);
	else if (message->header.type == EGRESS_RESOLVED &&
		 message->resolved.count <= EGRESS_ADDRESSES_MAX)
		on_resolved(&message->resolved);
	else if (message->header.type == EGRESS_REFUSED)
		on_refused(&message->refused, length);
}

/* One message. False when there is none, or the channel is over. */
static bool receive(void)
{
	union message message;
	struct error error = {0};
	int fd = -1;
	size_t fd_count = 1;
	ssize_t length = message_receive(
		client.channel, &message, sizeof message, &fd, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return false;
	if (length <= 0 || !message_check(rules, ARRAY_LENGTH(rules), 1, &message, (size_t)length,
				   fd_count, &error)) {
		if (fd_count == 1 && length > 0)
			close(fd);
		on_channel_end();
		return false;
	}
	const uint32_t number = message.header.id >> NUMBER_SHIFT;
	if (number != own_number())
		hand_over(number, &message, (size_t)length, fd_count == 1 ? fd : -1);
	else
		take(&message, (size_t)length, fd);
	return client.channel >= 0;
}

/* ---- sending ---- */

static ssize_t send_now(const void *data, size_t length)
{
	ssize_t sent;
	do /* send(2): the filter has no sendmsg(2) for a worker */
		sent = send(client.channel, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static bool send_drop(const char *rule)
{
	struct egress_header header = {.type = EGRESS_DROP};
	char message[sizeof header + 512];
	size_t length = strlen(rule) + 1;
	memcpy(message, &header, sizeof header);
	memcpy(message + sizeof header, rule, length);
	return send_now(message, sizeof header + length) >= 0;
}

/* Sends what waits, in order. False when the channel is full. */
static bool send_waiting(void)
{
	for (struct egress_request *request = client.first; request; request = request->next) {
		if (request->state != REQUEST_WAITING)
			continue;
		/* MESSAGE and HOST are one block: see egress_request. */
		char data[sizeof request->message + EGRESS_HOST_MAX];
		memcpy(data, &request->message, sizeof request->message);
		memcpy(data + sizeof request->message, request->host, request->length);
		ssize_t sent = send_now(data, sizeof request->message + request->length);
		if (sent == -EAGAIN)
			return false;
		if (sent < 0)
			return true; /* Its end is about to be read. */
		request->state = REQUEST_SENT;
	}
	return true;
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
	if (status < 0) {
		on_channel_end();
		return;
	}
	/* Bounded, so that a flood of answers does not starve the rest of the loop. */
	if (events & UV_READABLE)
		for (int i = 0; i < 64 && receive(); i++)
			;
	if (client.poll == handle)
		watch();
}

/* Sends what can be sent and listens for answers. */
static void watch(void)
{
	if (client.channel < 0)
		return;
	if (!client.poll) {
		uv_poll_t *poll = calloc(1, sizeof *poll);
		if (!poll || uv_poll_init(&runtime.loop, poll, client.channel) < 0) {
			free(poll);
			return; /* The requests' deadlines answer for it. */
		}
		client.poll = poll;
		update_references();
	}
	bool all = send_waiting();
	uv_poll_start(client.poll, UV_READABLE | (all ? 0 : UV_WRITABLE), on_channel);
}

/* ---- time ---- */

static const char *text_of(const struct egress_request *request)
{
	if (request->state == REQUEST_WAITING)
		return "the egress process is not there, and did not come back in time";
	if (request->state == REQUEST_SENT)
		return "the egress process does not answer";
	if (request->refusal == EGRESS_LIMIT)
		return "too many connections are being made at once";
	if (request->refusal == EGRESS_BAD_HOST)
		return "the host is longer than any name or address";
	return shared.dropped ? "the permission net.connect was dropped"
			      : "the policy grants no net.connect";
}

static void on_timer(uv_timer_t *handle)
{
	uint64_t now = uv_now(handle->loop);
	for (;;) {
		struct egress_request *request = client.first;
		while (request && request->state != REQUEST_REFUSED && request->until_ms > now)
			request = request->next;
		if (!request)
			break;
		if (request->state == REQUEST_REFUSED)
			refuse(request, request->refusal, request->code, text_of(request));
		else if (request->state == REQUEST_WAITING)
			refuse(request, EGRESS_FAILED, ECONNREFUSED, text_of(request));
		else
			refuse(request, EGRESS_TIMED_OUT, ETIMEDOUT, text_of(request));
	}
	look_at_clock();
}

/* Sets the one timer to the next deadline. */
static void look_at_clock(void)
{
	uint64_t next = UINT64_MAX, now = uv_now(&runtime.loop);
	for (struct egress_request *request = client.first; request; request = request->next) {
		uint64_t until = request->state == REQUEST_REFUSED ? now : request->until_ms;
		if (until < next)
			next = until;
	}
	if (next == UINT64_MAX)
		uv_timer_stop(&client.timer);
	else
		uv_timer_start(&client.timer, on_timer, next > now ? next - now : 0, 0);
}

/* ---- requests ---- */

static void on_new_channel(const void *message, size_t length, int *fds, size_t fd_count)
{
	(void)message;
	(void)length;
	if (fd_count == 1)
		egress_client_new_channel(fds[0]);
}

void egress_client_open(int channel)
{
	client.channel = shared.channel = channel;
	client.generation = shared.generation = 1;
	shared.granted = channel >= 0;
	channel_on(MESSAGE_EGRESS, on_new_channel);
}

bool egress_permitted(void)
{
	return shared.granted && !shared.dropped;
}

static void make_handles(void)
{
	if (client.made)
		return;
	client.made = true;
	if (runtime.thread)
		join();
	uv_timer_init(&runtime.loop, &client.timer);
	uv_unref((uv_handle_t *)&client.timer);
}

static struct egress_request *request_new(size_t length, egress_callback callback, void *data)
{
	struct egress_request *request = calloc(1, sizeof *request + length + 1);
	if (!request)
		return NULL;
	request->length = length;
	request->callback = callback;
	request->data = data;
	request->keeps_alive = true;
	make_handles(); /* the number is this thread's */
	uint32_t id;
	do {
		client.last_id = (client.last_id + 1) & NUMBER_MASK;
		id = own_number() << NUMBER_SHIFT | client.last_id;
	} while (client.last_id == 0 || (client.count > 0 && find(id)));
	request->message.header.id = id;
	return request;
}

/* A denial that nobody else sees: without the permission egress is never asked. */
static void tell_denied(const struct egress_request *request)
{
	char resource[EGRESS_HOST_MAX + 16];
	if (request->message.unix_socket)
		snprintf(resource, sizeof resource, "unix:%s", request->host);
	else if (request->message.header.type == EGRESS_RESOLVE)
		snprintf(resource, sizeof resource, "%s", request->host);
	else
		snprintf(resource, sizeof resource, "%s:%u", request->host,
			(unsigned)request->message.port);
	permission_audit(AUDIT_NET_CONNECT, AUDIT_LAYER_EGRESS, false, resource);
}

static struct egress_request *begin(struct egress_request *request, uint32_t timeout_ms)
{
	make_handles();
	uint64_t wait = client.channel < 0 ? EGRESS_RETURN_MS
			: timeout_ms       ? (uint64_t)timeout_ms + ANSWER_SPARE_MS
					   : ANSWER_DEFAULT_MS + ANSWER_SPARE_MS;
	request->until_ms = uv_now(&runtime.loop) + wait;
	if (!egress_permitted())
		request->refusal = EGRESS_DENIED;
	else if (client.count >= EGRESS_REQUESTS_MAX || (runtime.thread && !client.inbox))
		request->refusal = EGRESS_LIMIT;
	else if (request->length == 0 || request->length > EGRESS_HOST_MAX)
		request->refusal = EGRESS_BAD_HOST;
	if (request->refusal)
		request->state = REQUEST_REFUSED;
	if (request->refusal == EGRESS_DENIED)
		tell_denied(request);
	insert(request);
	update_references();
	if (request->state == REQUEST_WAITING)
		watch();
	look_at_clock();
	return request;
}

struct egress_request *egress_connect(const char *host, size_t length, uint16_t port,
	bool unix_socket, unsigned family, uint32_t timeout_ms, egress_callback callback,
	void *data)
{
	/* One that is too long is refused; it need not be kept for that. */
	size_t kept = length <= EGRESS_HOST_MAX ? length : 0;
	struct egress_request *request = request_new(kept, callback, data);
	if (!request)
		return NULL;
	memcpy(request->host, host, kept);
	request->message.header.type = EGRESS_CONNECT;
	request->message.port = port;
	request->message.unix_socket = unix_socket;
	request->message.family = (uint8_t)family;
	request->message.timeout_ms = timeout_ms;
	return begin(request, timeout_ms);
}

struct egress_request *egress_resolve(const char *host, size_t length, unsigned family,
	uint32_t timeout_ms, egress_callback callback, void *data)
{
	size_t kept = length <= EGRESS_HOST_MAX ? length : 0;
	struct egress_request *request = request_new(kept, callback, data);
	if (!request)
		return NULL;
	memcpy(request->host, host, kept);
	request->message.header.type = EGRESS_RESOLVE;
	request->message.family = (uint8_t)family;
	request->message.timeout_ms = timeout_ms;
	return begin(request, timeout_ms);
}

void egress_reference(struct egress_request *request, bool keeps_alive)
{
	client.references -= request->keeps_alive;
	request->keeps_alive = keeps_alive;
	client.references += request->keeps_alive;
	update_references();
}

static void send_cancel(const struct egress_request *request)
{
	if (request->state != REQUEST_SENT || client.channel < 0)
		return;
	struct egress_header header = {.type = EGRESS_CANCEL, .id = request->message.header.id};
	/* On a full channel egress learns of it by the socket that nobody wants. */
	(void)send_now(&header, sizeof header);
}

struct egress_request *egress_cancel(struct egress_request *request)
{
	if (!request)
		return NULL;
	send_cancel(request);
	take_out(request);
	update_references();
	look_at_clock();
	free(request);
	return NULL;
}

/* ---- less, and anew ---- */

int egress_drop(const char *rule)
{
	if (rule[0] == '\0')
		shared.dropped = true;
	if (!shared.granted)
		return 0;
	if (shared.drop_count == DROPS_MAX || strlen(rule) >= 500)
		return -E2BIG;
	char *kept = strdup(rule);
	if (!kept)
		return -ENOMEM;
	shared.drops[shared.drop_count++] = kept;
	/* A channel that takes it no more is closed: the next one hears it first. */
	if (client.channel >= 0 && !send_drop(rule)) {
		make_handles();
		on_channel_end();
	}
	return 0;
}

/* What waited for a channel goes on. */
static void go_on(void)
{
	for (struct egress_request *request = client.first; request; request = request->next)
		if (request->state == REQUEST_WAITING) {
			uint32_t timeout_ms = request->message.timeout_ms;
			request->until_ms = uv_now(&runtime.loop) + ANSWER_SPARE_MS +
					    (timeout_ms ? timeout_ms : ANSWER_DEFAULT_MS);
		}
	if (client.first)
		watch();
	look_at_clock();
}

void egress_client_new_channel(int fd)
{
	if (!shared.granted) {
		close(fd);
		return;
	}
	make_handles();
	if (client.channel >= 0)
		on_channel_end(); /* The end of the old one was not read yet. */
	client.channel = fd;
	for (size_t i = 0; i < shared.drop_count; i++)
		if (!send_drop(shared.drops[i])) {
			close_channel();
			return;
		}
	pthread_mutex_lock(&lock);
	shared.channel = fd;
	client.generation = ++shared.generation;
	for (struct inbox *inbox = shared.inboxes; inbox; inbox = inbox->next)
		if (inbox != client.inbox)
			mailbox_post(inbox->mailbox, &inbox->letter);
	pthread_mutex_unlock(&lock);
	go_on();
}

/* ---- threads ---- */

static void free_answers(struct answer *answer)
{
	while (answer) {
		struct answer *next = answer->next;
		if (answer->fd >= 0)
			close(answer->fd);
		free(answer);
		answer = next;
	}
}

/* An answer to another thread's request; lost when that is gone. */
static void hand_over(uint32_t number, const void *message, size_t length, int fd)
{
	struct answer *answer = malloc(sizeof *answer + length);
	if (!answer) {
		if (fd >= 0)
			close(fd);
		return;
	}
	*answer = (struct answer){.fd = fd, .length = length};
	memcpy(answer->bytes, message, length);
	pthread_mutex_lock(&lock);
	struct inbox *inbox = shared.inboxes;
	while (inbox && inbox->number != number)
		inbox = inbox->next;
	if (inbox) {
		*inbox->end = answer;
		inbox->end = &answer->next;
		mailbox_post(inbox->mailbox, &inbox->letter);
		answer = NULL;
	}
	pthread_mutex_unlock(&lock);
	free_answers(answer);
}

/* A descriptor of this thread's own of the process's channel. */
static void take_channel(void)
{
	pthread_mutex_lock(&lock);
	client.generation = shared.generation;
	if (shared.channel >= 0)
		client.channel = fcntl(shared.channel, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&lock);
}

static void on_letter(struct letter *letter)
{
	struct inbox *inbox = (struct inbox *)letter; /* its first member */
	pthread_mutex_lock(&lock);
	struct answer *answers = inbox->first;
	inbox->first = NULL;
	inbox->end = &inbox->first;
	const bool renewed = client.generation != shared.generation;
	pthread_mutex_unlock(&lock);
	while (answers) {
		struct answer *next = answers->next;
		take((const union message *)answers->bytes, answers->length, answers->fd);
		free(answers);
		answers = next;
	}
	if (!renewed || !runtime.thread || !client.made)
		return; /* make_handles takes the newest */
	if (client.channel >= 0)
		on_channel_end();
	take_channel();
	go_on();
}

static bool number_is_used(uint32_t number)
{
	const struct inbox *other = shared.inboxes;
	while (other && other->number != number)
		other = other->next;
	return other != NULL;
}

/* They go round: egress may still be busy with what a thread that ended had asked. */
static uint32_t unused_number(void)
{
	do
		shared.last_number = shared.last_number % NUMBERS + 1;
	while (number_is_used(shared.last_number));
	return shared.last_number;
}

void egress_client_share(void)
{
	if (client.inbox)
		return;
	struct inbox *inbox = calloc(1, sizeof *inbox);
	struct mailbox *mailbox = mailbox_own();
	if (!inbox || !mailbox) {
		free(inbox);
		return;
	}
	inbox->letter.deliver = on_letter;
	inbox->mailbox = mailbox_ref(mailbox);
	inbox->end = &inbox->first;
	pthread_mutex_lock(&lock);
	inbox->number = runtime.thread ? unused_number() : 0;
	inbox->next = shared.inboxes;
	shared.inboxes = inbox;
	pthread_mutex_unlock(&lock);
	client.inbox = inbox;
}

static void join(void)
{
	egress_client_share();
	take_channel();
}

void egress_client_end(void)
{
	static const char text[] = "the thread ends";
	while (client.first) {
		send_cancel(client.first);
		refuse(client.first, EGRESS_FAILED, ECANCELED, text);
	}
	close_channel();
	struct inbox *inbox = take_pointer(client.inbox);
	if (!inbox)
		return;
	pthread_mutex_lock(&lock);
	struct inbox **place = &shared.inboxes;
	while (*place != inbox)
		place = &(*place)->next;
	*place = inbox->next;
	pthread_mutex_unlock(&lock);
	mailbox_take_back(inbox->mailbox, &inbox->letter);
	mailbox_unref(inbox->mailbox);
	free_answers(inbox->first);
	free(inbox);
}

/* ---- names ---- */

static const char *errno_name(int code)
{
	const char *name = code > 0 ? strerrorname_np(code) : NULL;
	return name ? name : "EIO";
}

const char *egress_result_code(const struct egress_result *result)
{
	switch (result->refusal) {
	case EGRESS_DENIED:
		return "ERR_ACCESS_DENIED";
	case EGRESS_BAD_HOST:
		return "ERR_INVALID_ARG_VALUE";
	case EGRESS_NOT_FOUND:
		return "ENOTFOUND";
	case EGRESS_DNS_FAILED:
		return "EAI_AGAIN";
	case EGRESS_TIMED_OUT:
		return "ETIMEDOUT";
	case EGRESS_LIMIT:
		return "EAGAIN";
	case EGRESS_CONNECT_FAILED:
	case EGRESS_FAILED:
		break;
	}
	return errno_name(result->code);
}
