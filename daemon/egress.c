#include "daemon/egress.h"

#include "common/cleanup.h"
#include "common/egress.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "common/protocol.h"
#include "daemon/helper_process.h"
#include "daemon/takeover.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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

#define TYPE(name) ((enum message_type)(name))

static const struct message_rule rules[] = {
	{TYPE(EGRESS_READY), HELPER_STARTING, sizeof(struct egress_header),
		sizeof(struct egress_header), 0, 0},
	{TYPE(EGRESS_AUDIT), HELPER_SERVING, sizeof(struct egress_audit) + 2,
		sizeof(struct egress_audit) + AUDIT_TEXT_MAX, 0, 0},
	{TYPE(EGRESS_DROP), HELPER_SERVING, sizeof(struct egress_header) + 1,
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
	struct egress_options options;
	struct client *clients;
	struct helper_process process;
	struct helper_restart restart;
	uint32_t starts;
};

/* ---- what it is told ---- */

/* ADD, and what was given up since. */
static int send_client(struct egress *egress, struct client *client)
{
	struct {
		struct egress_header header;
		char text[RULE_TEXT_MAX];
	} drop = {.header = {EGRESS_DROP, client->instance}};
	int result = message_send(
		egress->process.channel, client->add, client->length, &client->channel, 1);
	if (result < 0)
		return result;
	client->sent = true;
	close_fd(&client->channel);
	for (size_t i = 0; result == 0 && i < client->drops.count; i++) {
		int length = snprintf(drop.text, sizeof drop.text, "%s", client->drops.items[i]);
		result = message_send(egress->process.channel, &drop,
			sizeof drop.header + (size_t)length + 1, NULL, 0);
	}
	if (result == 0 && client->dropped_all)
		result = message_send(
			egress->process.channel, &drop.header, sizeof drop.header + 1, NULL, 0);
	return result;
}

/* A process that does not take what it must know is of no use. */
static void kill_process(struct egress *egress)
{
	helper_process_kill(&egress->process, "it does not read");
}

/* Whether ADD and all that belongs to it will fit: half of it must never be sent. */
static bool has_room(const struct egress *egress)
{
	int queued = 0;
	return ioctl(egress->process.channel, SIOCOUTQ, &queued) == 0 &&
	       queued < QUEUE_BYTES / 4 * 3;
}

static void send_clients(struct egress *egress)
{
	bool waiting = false;
	if (egress->process.state == 0)
		return;
	for (struct client *client = egress->clients; client && !waiting; client = client->next) {
		if (client->sent)
			continue;
		waiting = !has_room(egress);
		if (!waiting && send_client(egress, client) < 0) {
			kill_process(egress);
			return;
		}
	}
	helper_process_want_room(&egress->process, waiting);
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

static void handle_message(void *data, const char *message, size_t length, int *fds)
{
	struct egress *egress = data;
	struct egress_header header;
	(void)fds;
	memcpy(&header, message, sizeof header);
	switch ((enum egress_type)header.type) {
	case EGRESS_READY:
		helper_process_ready(&egress->process, "");
		break;
	case EGRESS_AUDIT:
		take_audit(egress, message, length);
		break;
	default:
		take_drop(egress, message, length);
		break;
	}
}

/* ---- its beginning and end ---- */

static const char *or_default(const char *path, const char *otherwise)
{
	return path ? path : otherwise;
}

static int start(struct egress *egress, struct error *error)
{
	const struct egress_options *options = &egress->options;
	char uid[16];
	snprintf(uid, sizeof uid, "%u", options->uid);
	const char *arguments[] = {"tenantd-egress", "--uid", uid, "--resolv-conf",
		or_default(options->resolv_conf, "/etc/resolv.conf"), "--hosts",
		or_default(options->hosts, "/etc/hosts"), NULL};
	const struct helper_start what = {
		.program = options->program,
		.arguments = arguments,
		.ready_ms = READY_MS,
	};
	int result = helper_process_start(&egress->process, &what, error);
	if (result < 0)
		return result;
	egress->starts++;
	send_clients(egress);
	return 0;
}

/* Without an instance that needs it: with the next that does. */
static int start_again(void *data, struct error *error)
{
	struct egress *egress = data;
	return egress->clients ? start(egress, error) : 0;
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

static void has_died(void *data, const char *why)
{
	struct egress *egress = data;
	struct helper_end end;
	helper_process_end(&egress->process, &end);
	helper_process_log_end(&egress->process, &end, why);
	helper_restart_schedule(&egress->restart, end.served_ms);
	renew_clients(egress);
}

static void has_room_again(void *data)
{
	send_clients(data);
}

static const struct helper_kind kind = {
	.name = "egress",
	.label = "tenantd-egress",
	.rules = rules,
	.rule_count = ARRAY_LENGTH(rules),
	.message = handle_message,
	.room = has_room_again,
	.died = has_died,
	.channel_bytes = QUEUE_BYTES,
};

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

/* Takes CLIENT, also on failure. */
static int add(struct egress *egress, struct client *client, int *ret_channel, struct error *error)
{
	int channel = -1;
	int result = make_channel(client, &channel, error);
	if (result == 0 && egress->process.state == 0 &&
		!helper_restart_is_pending(&egress->restart))
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

int egress_add(struct egress *egress, const struct egress_add_options *options, int *ret_channel,
	struct error *error)
{
	struct client *client = NULL;
	if (*find(egress, options->instance))
		return error_set(error, EEXIST, "instance %u is known to tenantd-egress already",
			options->instance);
	int result = client_new(options, &client, error);
	return result < 0 ? result : add(egress, client, ret_channel, error);
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
	if (client->sent && egress->process.state &&
		message_send(egress->process.channel, &forget, sizeof forget, NULL, 0) < 0)
		kill_process(egress);
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
	if (news && client->sent && egress->process.state &&
		message_send(egress->process.channel, &drop,
			sizeof drop.header + strlen(drop.text) + 1, NULL, 0) < 0)
		kill_process(egress);
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
	egress->options = *options;
	helper_process_init(&egress->process, &kind, event, egress);
	helper_restart_init(&egress->restart, kind.name, event, start_again, egress);
	*ret_egress = egress;
	return 0;
}

struct egress *egress_free(struct egress *egress)
{
	if (egress == NULL)
		return NULL;
	helper_process_end(&egress->process, NULL);
	helper_restart_clear(&egress->restart);
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
	return egress ? egress->process.pid : 0;
}

uint32_t egress_starts(const struct egress *egress)
{
	return egress ? egress->starts : 0;
}

/* ---- for the next daemon ---- */

json_t *egress_pack(struct egress *egress, uint32_t instance, struct takeover *takeover)
{
	const struct client *client = egress ? *find(egress, instance) : NULL;
	if (client == NULL)
		return json_null();
	json_t *drops = json_array();
	for (size_t i = 0; i < client->drops.count; i++)
		json_array_append_new(drops, takeover_text(client->drops.items[i]));
	return json_pack("{s:o, s:I, s:o, s:b}", "add",
		takeover_put_bytes(takeover, client->add, client->length), "concurrent",
		(json_int_t)client->concurrent, "drops", drops, "dropped_all", client->dropped_all);
}

int egress_restore(struct egress *egress, const struct egress_add_options *options,
	const json_t *packed, struct takeover *takeover, int *ret_channel, struct error *error)
{
	cleanup_free char *data = NULL;
	size_t length, i;
	const json_t *rule;
	if (takeover_take_bytes(takeover, json_object_get(packed, "add"), &data, &length) < 0)
		return error_set(error, EINVAL, "the rules of net.connect were not handed over");
	struct client *client = calloc(1, sizeof *client + length);
	if (client == NULL)
		return error_set(error, ENOMEM, "no memory for a channel to tenantd-egress");
	memcpy(client->add, data, length);
	client->length = length;
	client->instance = options->instance;
	client->concurrent = (uint32_t)takeover_number(packed, "concurrent");
	client->renewed = options->renewed;
	client->data = options->data;
	client->channel = -1;
	/* Before it is sent: nothing that was given up comes back, not even for a moment. */
	json_array_foreach(json_object_get(packed, "drops"), i, rule)
		remember_drop(client, json_string_value(rule) ? json_string_value(rule) : "");
	client->dropped_all |= takeover_flag(packed, "dropped_all");
	return add(egress, client, ret_channel, error);
}
