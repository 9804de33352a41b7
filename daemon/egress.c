#include "daemon/egress.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/egress.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"
#include "daemon/backoff.h"
#include "daemon/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define CHANNEL_FD 3 /* where tenantd-egress expects its channel */
#define READY_MS 10000
#define AUDIT_TEXT_MAX 1024
#define RULE_TEXT_MAX 512
#define DROPS_MAX 64
#define QUEUE_BYTES (4 * 1024 * 1024) /* of messages that the process has not read */
#define ANSWER_BYTES 2048             /* what one unread answer takes of a socket's buffer */

/* Until the policy says otherwise. */
#define DEFAULT_CONCURRENT 64
#define DEFAULT_RATE 100
#define DEFAULT_TIMEOUT_MS 30000

/* Tenants wait for it: it comes again soon, and without end. */
static const struct backoff_limits restart_limits = {
	.base_ms = 20,
	.cap_ms = 2000,
	.floor_ms = 10,
	.healthy_ms = 10 * 1000,
	.give_up_count = BACKOFF_FAILURES_MAX,
	.give_up_window_ms = 0,
};

enum { STATE_STARTING = 1, STATE_SERVING = 2 };

#define TYPE(name) ((enum message_type)(name))

static const struct message_rule rules[] = {
	{TYPE(EGRESS_READY), STATE_STARTING, sizeof(struct egress_header),
		sizeof(struct egress_header), 0, 0},
	{TYPE(EGRESS_AUDIT), STATE_SERVING, sizeof(struct egress_audit) + 2,
		sizeof(struct egress_audit) + AUDIT_TEXT_MAX, 0, 0},
	{TYPE(EGRESS_DROP), STATE_SERVING, sizeof(struct egress_header) + 1,
		sizeof(struct egress_header) + RULE_TEXT_MAX, 0, 0},
};

/* An instance that may connect. */
struct client {
	struct client *next;
	uint32_t instance;
	bool sent;   /* the process that runs knows it */
	int channel; /* the process's end, until it is sent */
	uint32_t concurrent;
	egress_renewed_fn *renewed;
	void *data;
	struct policy_list drops;
	bool dropped_all;
	size_t length;
	char add[]; /* the message */
};

struct egress {
	sd_event *event;
	struct egress_options options;
	struct client *clients;
	pid_t pid;
	int pidfd, channel;
	uint32_t state; /* 0: it does not run */
	uint32_t starts;
	uint64_t started_ms;
	struct backoff backoff;
	sd_event_source *channel_source, *exit_source, *deadline, *restart;
};

static void died(struct egress *egress, const char *why);

/* ---- the process ---- */

/* In the child. Nothing of the daemon's environment is its business but where it runs. */
_Noreturn static void exec_egress(const struct egress_options *options, int channel)
{
	static const char *const passed[] = {"TZ", "JOURNAL_STREAM", "ASAN_OPTIONS", "LSAN_OPTIONS",
		"UBSAN_OPTIONS", "LD_LIBRARY_PATH"};
	char *environment[ARRAY_LENGTH(passed) + 1];
	char entries[ARRAY_LENGTH(passed)][512], uid[16];
	size_t count = 0;
	sigset_t none;
	for (size_t i = 0; i < ARRAY_LENGTH(passed); i++) {
		const char *value = getenv(passed[i]);
		if (value == NULL)
			continue;
		snprintf(entries[count], sizeof entries[count], "%s=%s", passed[i], value);
		environment[count] = entries[count];
		count++;
	}
	environment[count] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	slice_shorten_own(); /* it waits, and others for it */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		chdir("/") < 0)
		_exit(127);
	int high = fcntl(channel, F_DUPFD_CLOEXEC, CHANNEL_FD + 1);
	if (high < 0 || dup2(high, CHANNEL_FD) < 0 || close_range(CHANNEL_FD + 1, ~0u, 0) < 0)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(uid, sizeof uid, "%u", options->uid);
	const char *arguments[] = {"tenantd-egress", "--uid", uid, "--resolv-conf",
		options->resolv_conf ? options->resolv_conf : "/etc/resolv.conf", "--hosts",
		options->hosts ? options->hosts : "/etc/hosts", NULL};
	execve(options->program, (char **)arguments, environment);
	log_error("event=egress-exec-failed path=%s message=\"%s\"", options->program,
		strerror(errno));
	_exit(127);
}

/* ---- what it is told ---- */

/* ADD, and what was given up since. */
static int send_client(struct egress *egress, struct client *client)
{
	struct {
		struct egress_header header;
		char text[RULE_TEXT_MAX];
	} drop = {.header = {EGRESS_DROP, client->instance}};
	int result =
		message_send(egress->channel, client->add, client->length, &client->channel, 1);
	if (result < 0)
		return result;
	client->sent = true;
	close_fd(&client->channel);
	for (size_t i = 0; result == 0 && i < client->drops.count; i++) {
		int length = snprintf(drop.text, sizeof drop.text, "%s", client->drops.items[i]);
		result = message_send(
			egress->channel, &drop, sizeof drop.header + (size_t)length + 1, NULL, 0);
	}
	if (result == 0 && client->dropped_all)
		result = message_send(
			egress->channel, &drop.header, sizeof drop.header + 1, NULL, 0);
	return result;
}

/* A process that does not take what it must know is of no use; its end is noticed by the
 * loop. */
static void kill_process(struct egress *egress, const char *why)
{
	log_warn("event=egress-killed pid=%d message=\"%s\"", egress->pid, why);
	pidfd_send_signal(egress->pidfd, SIGKILL, NULL, 0);
}

/* Whether ADD and all that belongs to it will fit: half of it must never be sent. */
static bool has_room(const struct egress *egress)
{
	int queued = 0;
	return ioctl(egress->channel, SIOCOUTQ, &queued) == 0 && queued < QUEUE_BYTES / 4 * 3;
}

static void send_clients(struct egress *egress)
{
	bool waiting = false;
	if (egress->state == 0)
		return;
	for (struct client *client = egress->clients; client && !waiting; client = client->next) {
		if (client->sent)
			continue;
		waiting = !has_room(egress);
		if (!waiting && send_client(egress, client) < 0) {
			kill_process(egress, "it does not read");
			return;
		}
	}
	sd_event_source_set_io_events(egress->channel_source, EPOLLIN | (waiting ? EPOLLOUT : 0u));
}

/* ---- what it says ---- */

static struct client **find(struct egress *egress, uint32_t instance)
{
	struct client **place = &egress->clients;
	while (*place && (*place)->instance != instance)
		place = &(*place)->next;
	return place;
}

static void take_audit(struct egress *egress, const char *data, size_t length)
{
	struct egress_audit audit;
	memcpy(&audit, data, sizeof audit);
	const char *resource = data + sizeof audit;
	const size_t most = length - sizeof audit, first = strnlen(resource, most);
	if (first >= most - 1 || data[length - 1] != '\0')
		return;
	const char *reason = resource + first + 1;
	if (egress->options.audit)
		egress->options.audit(egress->options.audit_data, audit.header.id, resource,
			audit.allowed != 0, reason);
	else
		log_info("event=audit instance=%u permission=net.connect resource=\"%s\" "
			 "result=%s layer=egress reason=\"%s\"",
			audit.header.id, escape_for_log(resource),
			audit.allowed ? "allowed" : "denied", escape_for_log(reason));
}

/* Keeps what an instance gave up. Beyond what anybody needs, it gives up everything. Returns
 * false when that was known: it need not be told again, however often the instance says so. */
static bool remember_drop(struct client *client, const char *rule)
{
	if (client->dropped_all)
		return false;
	for (size_t i = 0; i < client->drops.count; i++)
		if (strcmp(client->drops.items[i], rule) == 0)
			return false;
	if (rule[0] == '\0' || client->drops.count >= DROPS_MAX) {
		client->dropped_all = true;
		return true;
	}
	char **items = reallocarray(client->drops.items, client->drops.count + 1, sizeof *items);
	char *copy = items ? strdup(rule) : NULL;
	if (items)
		client->drops.items = items;
	if (copy)
		items[client->drops.count++] = copy;
	else
		client->dropped_all = true;
	return true;
}

static void take_drop(struct egress *egress, const char *data, size_t length)
{
	struct egress_header header;
	memcpy(&header, data, sizeof header);
	struct client *client = *find(egress, header.id);
	if (client && data[length - 1] == '\0')
		remember_drop(client, data + sizeof header);
}

static void handle_message(struct egress *egress, const char *data, size_t length)
{
	struct egress_header header;
	memcpy(&header, data, sizeof header);
	switch ((enum egress_type)header.type) {
	case EGRESS_READY:
		egress->state = STATE_SERVING;
		sd_event_source_set_enabled(egress->deadline, SD_EVENT_OFF);
		log_info("event=egress-ready pid=%d ms=%llu", egress->pid,
			(unsigned long long)(clock_ms() - egress->started_ms));
		break;
	case EGRESS_AUDIT:
		take_audit(egress, data, length);
		break;
	default:
		take_drop(egress, data, length);
		break;
	}
}

/* What the table does not allow is the end of the process. */
static void read_channel(struct egress *egress)
{
	static _Alignas(8) char message[sizeof(struct egress_audit) + AUDIT_TEXT_MAX];
	struct error error = {0};
	size_t fd_count = 0;
	ssize_t length = message_receive(
		egress->channel, message, sizeof message, NULL, &fd_count, MSG_DONTWAIT);
	if (length == -EAGAIN)
		return;
	if (length == 0 || length == -ECONNRESET)
		error_set(&error, EPIPE, "it closed its channel");
	else if (length < 0)
		error_errno(&error, (int)-length, "cannot receive");
	else if (message_check(rules, ARRAY_LENGTH(rules), egress->state, message, (size_t)length,
			 fd_count, &error)) {
		handle_message(egress, message, (size_t)length);
		return;
	}
	died(egress, error.message);
}

static int channel_ready(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct egress *egress = data;
	(void)source;
	(void)fd;
	if (events & EPOLLOUT)
		send_clients(egress);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_channel(egress);
	return 0;
}

static int exited(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	died(data, "it ended");
	return 0;
}

static int not_ready(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	died(data, "it was not ready in time");
	return 0;
}

/* ---- its beginning and end ---- */

static int watch(struct egress *egress)
{
	int result = sd_event_add_io(egress->event, &egress->channel_source, egress->channel,
		EPOLLIN, channel_ready, egress);
	if (result >= 0)
		result = sd_event_add_io(egress->event, &egress->exit_source, egress->pidfd,
			EPOLLIN, exited, egress);
	/* What it still said is read before its end is noticed. */
	if (result >= 0)
		result = sd_event_source_set_priority(egress->exit_source, 10);
	if (result >= 0)
		result = sd_event_add_time_relative(egress->event, &egress->deadline,
			CLOCK_MONOTONIC, READY_MS * 1000, 0, not_ready, egress);
	return result;
}

/* Kills and reaps what there is. */
static void end_process(struct egress *egress, siginfo_t *ret_info)
{
	*ret_info = (siginfo_t){0};
	sd_event_source_disable_unref(take_pointer(egress->channel_source));
	sd_event_source_disable_unref(take_pointer(egress->exit_source));
	sd_event_source_disable_unref(take_pointer(egress->deadline));
	if (egress->pid > 0) {
		if (egress->pidfd >= 0)
			pidfd_send_signal(egress->pidfd, SIGKILL, NULL, 0);
		else
			kill(egress->pid, SIGKILL);
		waitid(P_PID, (id_t)egress->pid, ret_info, WEXITED);
	}
	egress->pid = 0;
	egress->state = 0;
	close_fd(&egress->pidfd);
	close_fd(&egress->channel);
}

static int start(struct egress *egress, struct error *error)
{
	int pair[2];
	siginfo_t info;
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, -result, "cannot make a channel for tenantd-egress");
	cleanup_close int mine = pair[0], its = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_errno(error, errno, "cannot fork tenantd-egress");
	if (pid == 0)
		exec_egress(&egress->options, its);
	egress->pid = pid;
	egress->starts++;
	egress->started_ms = clock_ms();
	egress->state = STATE_STARTING;
	egress->pidfd = pidfd_open(pid, 0);
	egress->channel = take_fd(&mine);
	setsockopt(egress->channel, SOL_SOCKET, SO_SNDBUFFORCE, &(int){QUEUE_BYTES / 2},
		sizeof(int)); /* the kernel doubles it */
	if (egress->pidfd < 0 || fcntl(egress->channel, F_SETFL, O_NONBLOCK) < 0 ||
		watch(egress) < 0) {
		result = error_errno(error, errno, "cannot watch tenantd-egress");
		end_process(egress, &info);
		return result;
	}
	send_clients(egress);
	return 0;
}

static int restart_now(sd_event_source *source, uint64_t usec, void *data)
{
	struct egress *egress = data;
	struct error error = {0};
	(void)source;
	(void)usec;
	egress->restart = sd_event_source_disable_unref(egress->restart);
	if (egress->clients == NULL)
		return 0; /* with the next that needs it */
	if (start(egress, &error) < 0) {
		log_error("event=egress-failed message=\"%s\"", escape_for_log(error.message));
		sd_event_add_time_relative(egress->event, &egress->restart, CLOCK_MONOTONIC,
			1000000, 0, restart_now, egress);
	}
	return 0;
}

/* The room that answers take while the other side does not read: as many as it may have
 * asked for must fit, for egress waits for nobody. */
static int make_channel(struct client *client, int *ret_theirs, struct error *error)
{
	int pair[2];
	int result = message_pair(pair);
	if (result < 0)
		return error_errno(error, -result, "cannot make a channel to tenantd-egress");
	const int bytes =
		(int)(client->concurrent < 32768 ? client->concurrent : 32768) * ANSWER_BYTES +
		64 * 1024;
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	close_fd(&client->channel);
	client->channel = pair[0];
	client->sent = false;
	*ret_theirs = pair[1];
	return 0;
}

/* Every living instance gets a new channel at once: what it asks for waits there. */
static void renew_clients(struct egress *egress)
{
	struct error error = {0};
	for (struct client *client = egress->clients, *next; client; client = next) {
		cleanup_close int theirs = -1;
		next = client->next;
		if (!client->sent)
			continue; /* the channel that it has is still to be sent */
		if (make_channel(client, &theirs, &error) < 0) {
			log_error("event=egress-channel-failed instance=%u message=\"%s\"",
				client->instance, escape_for_log(error.message));
			continue;
		}
		if (client->renewed)
			client->renewed(client->data, theirs);
	}
}

static void died(struct egress *egress, const char *why)
{
	siginfo_t info;
	uint64_t random = 0;
	const pid_t pid = egress->pid;
	const uint64_t served_ms = clock_ms() - egress->started_ms;
	end_process(egress, &info);
	const bool killed = info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
	log_error("event=egress-ended pid=%d %s=%d served_ms=%llu message=\"%s\"", pid,
		killed ? "signal" : "exit_code", info.si_status, (unsigned long long)served_ms,
		escape_for_log(why));
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = clock_ns();
	backoff_failed(&egress->backoff, &restart_limits, clock_ms(), served_ms);
	const uint32_t delay_ms = egress->backoff.failures > 1 ? backoff_delay_ms(&egress->backoff,
									 &restart_limits, random)
							       : 0;
	sd_event_source_disable_unref(take_pointer(egress->restart));
	sd_event_add_time_relative(egress->event, &egress->restart, CLOCK_MONOTONIC,
		(uint64_t)delay_ms * 1000, 0, restart_now, egress);
	renew_clients(egress);
}

/* ---- the instances ---- */

static struct client *client_free(struct client *client)
{
	if (client == NULL)
		return NULL;
	close_fd(&client->channel);
	policy_list_clear(&client->drops);
	free(client);
	return NULL;
}

bool egress_needed(const struct policy *policy)
{
	return policy->net.connect.count > 0;
}

static uint32_t limit(uint64_t value, uint32_t otherwise)
{
	return value == 0 ? otherwise : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* Rules as text in TEXTS. */
static size_t format_rules(const struct policy_net_rules *from,
	char texts[POLICY_LIST_MAX][POLICY_NET_TEXT_MAX], const char **ret)
{
	const size_t count = from->count < POLICY_LIST_MAX ? from->count : POLICY_LIST_MAX;
	for (size_t i = 0; i < count; i++) {
		policy_net_rule_format(&from->items[i], texts[i]);
		ret[i] = texts[i];
	}
	return count;
}

static int client_new(
	const struct egress_add_options *options, struct client **ret_client, struct error *error)
{
	static char data[MESSAGE_LENGTH_MAX];
	static char connect[POLICY_LIST_MAX][POLICY_NET_TEXT_MAX];
	static char deny[POLICY_LIST_MAX][POLICY_NET_TEXT_MAX];
	static struct egress_add add;
	const struct policy *policy = options->policy;
	add = (struct egress_add){
		.tenant = options->tenant,
		.audit = policy->audit,
		.proxy = options->proxy,
		.concurrent = limit(policy->limits.connect.concurrent, DEFAULT_CONCURRENT),
		.rate_per_second = limit(policy->limits.connect.rate, DEFAULT_RATE),
		.timeout_ms = limit(policy->limits.connect.time_ms, DEFAULT_TIMEOUT_MS),
	};
	add.connect_count = format_rules(&policy->net.connect, connect, add.connect);
	add.deny_count = format_rules(&policy->net.deny, deny, add.deny);
	ssize_t length = egress_add_encode(&add, options->instance, data, sizeof data);
	if (length < 0)
		return error_set(error, E2BIG,
			"the rules of net.connect and net.deny are too long together (%zu KiB fit)",
			sizeof data / 1024);
	struct client *client = calloc(1, sizeof *client + (size_t)length);
	if (client == NULL)
		return error_set(error, ENOMEM, "no memory for a channel to tenantd-egress");
	memcpy(client->add, data, (size_t)length);
	client->length = (size_t)length;
	client->instance = options->instance;
	client->concurrent = add.concurrent;
	client->renewed = options->renewed;
	client->data = options->data;
	client->channel = -1;
	*ret_client = client;
	return 0;
}

int egress_add(struct egress *egress, const struct egress_add_options *options, int *ret_channel,
	struct error *error)
{
	struct client *client = NULL;
	int channel = -1;
	if (*find(egress, options->instance))
		return error_set(error, EEXIST, "instance %u is known to tenantd-egress already",
			options->instance);
	int result = client_new(options, &client, error);
	if (result == 0)
		result = make_channel(client, &channel, error);
	if (result == 0 && egress->state == 0 && egress->restart == NULL)
		result = start(egress, error);
	if (result < 0) {
		close_fd(&channel);
		client_free(client);
		return result;
	}
	client->next = egress->clients;
	egress->clients = client;
	send_clients(egress);
	*ret_channel = channel;
	return 0;
}

void egress_forget(struct egress *egress, uint32_t instance)
{
	if (egress == NULL)
		return;
	struct client **place = find(egress, instance), *client = *place;
	const struct egress_header forget = {EGRESS_FORGET, instance};
	if (client == NULL)
		return;
	*place = client->next;
	/* A process that does not take it has much to do; an instance that is gone has closed
	 * its channel, but its proxy must end, too: then the process ends. */
	if (client->sent && egress->state &&
		message_send(egress->channel, &forget, sizeof forget, NULL, 0) < 0)
		kill_process(egress, "it does not read");
	client_free(client);
}

int egress_drop(struct egress *egress, uint32_t instance, const char *rule, struct error *error)
{
	struct {
		struct egress_header header;
		char text[RULE_TEXT_MAX];
	} drop = {.header = {EGRESS_DROP, instance}};
	struct policy_net_rule parsed;
	struct client *client = egress ? *find(egress, instance) : NULL;
	if (rule == NULL)
		rule = "";
	if (client == NULL)
		return error_set(error, ENOENT, "instance %u may not connect anyway", instance);
	if (rule[0]) {
		int result = policy_net_rule_parse(rule, &parsed, error);
		if (result < 0)
			return result;
		policy_net_rule_format(&parsed, drop.text);
	}
	const bool news = remember_drop(client, drop.text);
	if (client->dropped_all)
		drop.text[0] = '\0';
	if (news && client->sent && egress->state &&
		message_send(egress->channel, &drop, sizeof drop.header + strlen(drop.text) + 1,
			NULL, 0) < 0)
		kill_process(egress, "it does not read");
	return 0;
}

int egress_new(sd_event *event, const struct egress_options *options, struct egress **ret_egress,
	struct error *error)
{
	if (options->uid == 0)
		return error_set(error, EINVAL, "tenantd-egress must not be root");
	struct egress *egress = calloc(1, sizeof *egress);
	if (egress == NULL)
		return error_set(error, ENOMEM, "no memory for tenantd-egress");
	egress->event = event;
	egress->options = *options;
	egress->pidfd = egress->channel = -1;
	*ret_egress = egress;
	return 0;
}

struct egress *egress_free(struct egress *egress)
{
	siginfo_t info;
	if (egress == NULL)
		return NULL;
	end_process(egress, &info);
	sd_event_source_disable_unref(egress->restart);
	while (egress->clients) {
		struct client *next = egress->clients->next;
		client_free(egress->clients);
		egress->clients = next;
	}
	free(egress);
	return NULL;
}

pid_t egress_pid(const struct egress *egress)
{
	return egress ? egress->pid : 0;
}

uint32_t egress_starts(const struct egress *egress)
{
	return egress ? egress->starts : 0;
}
