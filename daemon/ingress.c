#include "daemon/ingress.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/ingress_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* About a hundred connections that a worker has not taken yet (the kernel doubles it, and
 * counts 768 bytes for each). All that are on their way count against one limit of ingress, and
 * a worker that never reads must not use it up. */
#define HANDOVER_QUEUE_BYTES (36 * 1024)
#define READY_MS 10000
#define QUEUE_BYTES (4 * 1024 * 1024) /* of messages that the process has not read */
#define DEFER_S 1 /* that the kernel keeps a connection to itself that says nothing */

#define TYPE(name) ((enum message_type)(name))

static const struct message_rule rules[] = {
	{TYPE(INGRESS_READY), HELPER_STARTING, sizeof(struct ingress_header),
		sizeof(struct ingress_header), 0, 0},
	{TYPE(INGRESS_WANTED), HELPER_SERVING, sizeof(struct ingress_header),
		sizeof(struct ingress_header), 0, 0},
	{TYPE(INGRESS_APPLIED), HELPER_SERVING, sizeof(struct ingress_header),
		sizeof(struct ingress_header), 0, 0},
};

/* ---- telling workers ---- */

static int tell_sites(struct ingress *ingress, struct ingress_member *member)
{
	static char data[MESSAGE_LENGTH_MAX];
	ssize_t length = ingress_worker_message(
		ingress->tenants, member->tenant, member->instance, data, sizeof data);
	return length < 0 ? (int)length : member->tell(member->data, data, (size_t)length, -1);
}

static int tell_certificates(struct ingress_member *member)
{
	const struct message_header header = {MESSAGE_CERTIFICATES, member->instance};
	cleanup_close int fd = certificates_memory(member->tenant->certificates);
	return fd < 0 ? fd : member->tell(member->data, &header, sizeof header, fd);
}

/* A new channel between the process and the worker. What it still has in an old one it
 * takes. */
static int attach(struct ingress *ingress, struct ingress_member *member)
{
	const struct message_header handover = {MESSAGE_HANDOVER, member->instance};
	int pair[2];
	close_fd(&member->mine);
	close_fd(&member->its);
	member->attached = false;
	int result = message_pair(pair);
	if (result == 0) {
		setsockopt(
			pair[0], SOL_SOCKET, SO_SNDBUF, &(int){HANDOVER_QUEUE_BYTES}, sizeof(int));
		member->mine = pair[0];
		member->its = pair[1];
		result = tell_sites(ingress, member);
	}
	if (result == 0 && member->tenant->certificates)
		result = tell_certificates(member);
	if (result == 0)
		result = member->tell(member->data, &handover, sizeof handover, member->its);
	if (result < 0) {
		close_fd(&member->mine);
		close_fd(&member->its);
		log_error("event=ingress-channel-failed tenant=%s instance=%u message=\"%s\"",
			member->tenant->name, member->instance, strerror(-result));
		return result;
	}
	member->attached = true;
	return 0;
}

/* ---- telling the process ---- */

/* Whether another message will fit. */
static bool has_room(const struct ingress *ingress)
{
	int queued = 0;
	return ioctl(ingress->process.channel, SIOCOUTQ, &queued) == 0 &&
	       queued < QUEUE_BYTES / 4 * 3;
}

static int send_to_process(
	struct ingress *ingress, const void *data, size_t length, const int *fds, size_t count)
{
	ingress->sync.sent++;
	return message_send(ingress->process.channel, data, length, fds, count);
}

static int send_sites(struct ingress *ingress, struct ingress_tenant *tenant)
{
	static char data[MESSAGE_LENGTH_MAX];
	ssize_t length = ingress_sites_message(tenant, data, sizeof data);
	if (length < 0)
		return (int)length;
	tenant->sites_due = false;
	ingress->commit_due = true;
	return send_to_process(ingress, data, (size_t)length, NULL, 0);
}

static int send_wait(struct ingress *ingress, struct ingress_tenant *tenant)
{
	const struct ingress_state state = {{INGRESS_STATE, tenant->id}, tenant->wait};
	tenant->wait_due = false;
	return send_to_process(ingress, &state, sizeof state, NULL, 0);
}

static uint32_t weight_of(const struct ingress_member *member)
{
	return member->shut ? 0 : member->weight;
}

static int send_member(struct ingress *ingress, struct ingress_member *member)
{
	const struct ingress_instance instance = {
		{INGRESS_INSTANCE, member->instance}, member->tenant->id, weight_of(member)};
	const int fds[] = {member->mine, member->its};
	int result = send_to_process(ingress, &instance, sizeof instance, fds, 2);
	close_fd(&member->mine);
	close_fd(&member->its);
	member->weight_due = false;
	return result;
}

static int send_weight(struct ingress *ingress, struct ingress_member *member)
{
	const struct ingress_weight weight = {
		{INGRESS_WEIGHT, member->instance}, weight_of(member)};
	member->weight_due = false;
	return send_to_process(ingress, &weight, sizeof weight, NULL, 0);
}

static int send_simple(struct ingress *ingress, enum ingress_type type, uint32_t id, const int *fd)
{
	const struct ingress_header header = {type, id};
	return send_to_process(ingress, &header, sizeof header, fd, fd ? 1 : 0);
}

static size_t listener_count(const struct ingress *ingress)
{
	return ingress->listeners[0].count + ingress->listeners[1].count;
}

/* The listeners: last, so that there is nobody yet who asks for what is not known yet. */
static int send_listener(struct ingress *ingress)
{
	const size_t index = ingress->listeners_sent++, plain = ingress->listeners[0].count;
	const bool tls = index >= plain;
	const int fd = ingress->listeners[tls].items[tls ? index - plain : index].fd;
	const struct ingress_listen listen = {{INGRESS_LISTEN, 0}, tls};
	return send_to_process(ingress, &listen, sizeof listen, &fd, 1);
}

/* One message of those that are due. 1: there is none. */
static int send_next(struct ingress *ingress)
{
	if (!ingress->counts_sent) {
		ingress->counts_sent = true;
		return send_simple(ingress, INGRESS_COUNTS, 0, &ingress->counts_fd);
	}
	for (struct ingress_tenant *tenant = ingress->tenants; tenant; tenant = tenant->next)
		if (tenant->sites_due)
			return send_sites(ingress, tenant);
	if (ingress->commit_due) {
		ingress->commit_due = false;
		return send_simple(ingress, INGRESS_COMMIT, 0, NULL);
	}
	for (struct ingress_tenant *tenant = ingress->tenants; tenant; tenant = tenant->next)
		if (tenant->wait_due)
			return send_wait(ingress, tenant);
	for (struct ingress_member *member = ingress->members; member; member = member->next)
		if (member->mine >= 0)
			return send_member(ingress, member);
		else if (member->attached && member->weight_due)
			return send_weight(ingress, member);
	if (ingress->open && ingress->listeners_sent < listener_count(ingress))
		return send_listener(ingress);
	if (ingress->sync.due) {
		const uint32_t number = ingress_sync_number(ingress);
		return send_simple(ingress, INGRESS_SYNC, number, NULL);
	}
	return 1;
}

static struct ingress_tenant *tenant_free(struct ingress_tenant *tenant)
{
	policy_sites_clear(&tenant->sites);
	certificates_free(tenant->certificates);
	free(tenant);
	return NULL;
}

static bool has_member(const struct ingress *ingress, const struct ingress_tenant *tenant)
{
	for (const struct ingress_member *member = ingress->members; member; member = member->next)
		if (member->tenant == tenant)
			return true;
	return false;
}

/* Those of whom nothing is left to say. */
static void sweep(struct ingress *ingress)
{
	struct ingress_tenant **place = &ingress->tenants;
	while (*place) {
		struct ingress_tenant *tenant = *place;
		if (!tenant->removed || tenant->sites_due || has_member(ingress, tenant)) {
			place = &tenant->next;
			continue;
		}
		*place = tenant->next;
		tenant_free(tenant);
	}
}

/* A process that does not take what it must know is of no use. */
static void kill_process(struct ingress *ingress)
{
	if (ingress->process.pidfd >= 0)
		helper_process_kill(&ingress->process, "it does not read");
}

void ingress_send_due(struct ingress *ingress)
{
	int result = 0;
	if (ingress->process.state == 0) {
		sweep(ingress);
		return;
	}
	while (result == 0 && has_room(ingress))
		result = send_next(ingress);
	if (result < 0)
		kill_process(ingress);
	helper_process_want_room(&ingress->process, result == 0);
	if (result == 1)
		sweep(ingress);
}

/* ---- what it says ---- */

static void handle_message(void *data, const char *message, size_t length, int *fds)
{
	struct ingress *ingress = data;
	struct ingress_header header;
	(void)length;
	(void)fds;
	memcpy(&header, message, sizeof header);
	if (header.type == INGRESS_READY) {
		helper_process_ready(&ingress->process, "");
		return;
	}
	if (header.type == INGRESS_APPLIED) {
		ingress_sync_applied(ingress, header.id);
		return;
	}
	for (struct ingress_tenant *tenant = ingress->tenants; tenant; tenant = tenant->next)
		if (tenant->id == header.id && !tenant->removed && ingress->options.wanted) {
			ingress->options.wanted(ingress->options.data, tenant->name);
			return;
		}
}

/* ---- its beginning and end ---- */

static int start(void *data, struct error *error)
{
	struct ingress *ingress = data;
	char uid[16];
	snprintf(uid, sizeof uid, "%u", ingress->options.uid);
	const char *arguments[] = {"tenantd-ingress", "--uid", uid, NULL};
	const struct helper_start what = {
		.program = ingress->options.program,
		.arguments = arguments,
		.ready_ms = READY_MS,
	};
	if (ingress->stopping)
		return 0;
	int result = helper_process_start(&ingress->process, &what, error);
	if (result < 0)
		return result;
	ingress->starts++;
	ingress->counts_sent = false;
	ingress->commit_due = true;
	ingress->listeners_sent = 0;
	for (struct ingress_tenant *tenant = ingress->tenants; tenant; tenant = tenant->next) {
		tenant->sites_due = !tenant->removed;
		tenant->wait_due = !tenant->removed;
	}
	ingress_send_due(ingress);
	return 0;
}

static void has_died(void *data, const char *why)
{
	struct ingress *ingress = data;
	struct helper_end end;
	helper_process_end(&ingress->process, &end);
	helper_process_log_end(&ingress->process, &end, why);
	/* What its workers have in their channels they take; what follows comes by new ones. */
	for (struct ingress_member *member = ingress->members; member; member = member->next)
		if (member->attached && member->mine < 0)
			attach(ingress, member);
	helper_restart_schedule(&ingress->restart, end.served_ms);
	ingress_sync_died(ingress);
}

static void has_room_again(void *data)
{
	ingress_send_due(data);
}

static const struct helper_kind kind = {
	.name = "ingress",
	.label = "tenantd-ingress",
	.rules = rules,
	.rule_count = ARRAY_LENGTH(rules),
	.message = handle_message,
	.room = has_room_again,
	.died = has_died,
	.channel_bytes = QUEUE_BYTES,
};

/* ---- ports ---- */

/* One that is passed in by a service manager. */
static int take_port(
	struct listeners *listeners, const struct ingress_port *port, struct error *error)
{
	struct listener *listener = listeners_reserve(listeners);
	int listens = 0;
	socklen_t length = sizeof listens;
	if (listener == NULL)
		return error_set(error, E2BIG, "more than %d shared ports", WORKER_LISTENERS_MAX);
	if (getsockopt(port->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 || !listens)
		return error_set(error, EINVAL, "descriptor %d is no listening socket", port->fd);
	*listener = (struct listener){.fd = port->fd, .lent = true};
	snprintf(listener->spec, sizeof listener->spec, "%s", port->address);
	snprintf(listener->address, sizeof listener->address, "%s", port->address);
	listeners->count++;
	return 0;
}

static int open_port(
	struct listeners *listeners, const struct ingress_port *port, struct error *error)
{
	struct listeners opened;
	const char *option = port->tls ? "--https" : "--http";
	struct policy_listen wanted;
	const struct policy_listeners list = {&wanted, 1};
	struct listener_ports ports = {0};
	struct listener *listener = listeners_reserve(listeners);
	if (listener == NULL)
		return error_set(
			error, E2BIG, "%s: at most %d are possible", option, WORKER_LISTENERS_MAX);
	int result = policy_listen_parse(port->address, &wanted, error);
	if (result == 0)
		result = listeners_open(&list, NULL, &ports, &opened, error);
	if (result < 0)
		return error_prefix(error, "%s %s", option, port->address);
	*listener = opened.items[0];
	listeners->count++;
	free(opened.items);
	log_info("event=ingress-port address=%s tls=%d", listener->address, port->tls);
	return 0;
}

static int open_ports(struct ingress *ingress, struct error *error)
{
	for (size_t i = 0; i < ingress->options.port_count; i++) {
		const struct ingress_port *port = &ingress->options.ports[i];
		struct listeners *listeners = &ingress->listeners[port->tls];
		int result = port->fd >= 0 ? take_port(listeners, port, error)
					   : open_port(listeners, port, error);
		if (result < 0)
			return result;
		/* The client speaks first: until it has, there is nothing to do, and nothing
		 * that could be lost with the process. Of unix sockets it means nothing. */
		setsockopt(listeners->items[listeners->count - 1].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT,
			&(int){DEFER_S}, sizeof(int));
	}
	return 0;
}

static int open_counts(struct ingress *ingress, struct error *error)
{
	cleanup_close int fd = memfd_create("ingress-counts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, sizeof(struct ingress_counts)) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(error, errno, "cannot make the page of ingress's counts");
	void *page = mmap(NULL, sizeof(struct ingress_counts), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return error_errno(error, errno, "cannot map the page of ingress's counts");
	ingress->counts = page;
	ingress->counts_fd = take_fd(&fd);
	return 0;
}

int ingress_new(sd_event *event, const struct ingress_options *options,
	struct ingress **ret_ingress, struct error *error)
{
	struct ingress *ingress = calloc(1, sizeof *ingress);
	int result = 0;
	if (ingress == NULL)
		return error_set(error, ENOMEM, "no memory for shared ports");
	ingress->options = *options;
	ingress->event = event;
	ingress->counts_fd = -1;
	helper_process_init(&ingress->process, &kind, event, ingress);
	helper_restart_init(&ingress->restart, "ingress", event, start, ingress);
	if (options->port_count > 0) {
		result = open_ports(ingress, error);
		if (result == 0)
			result = open_counts(ingress, error);
		if (result == 0)
			result = start(ingress, error);
	}
	if (result < 0) {
		ingress_free(ingress);
		return result;
	}
	*ret_ingress = ingress;
	return 0;
}

void ingress_open(struct ingress *ingress)
{
	if (ingress == NULL)
		return;
	ingress->open = true;
	ingress_send_due(ingress);
}

void ingress_stop(struct ingress *ingress)
{
	if (ingress == NULL || ingress->stopping)
		return;
	ingress->stopping = true;
	if (ingress->process.state)
		(void)send_simple(ingress, INGRESS_STOP, 0, NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(ingress->listeners); i++)
		listeners_close(&ingress->listeners[i], NULL);
}

static struct ingress_member *member_free(struct ingress_member *member)
{
	close_fd(&member->mine);
	close_fd(&member->its);
	free(member);
	return NULL;
}

struct ingress *ingress_free(struct ingress *ingress)
{
	if (ingress == NULL)
		return NULL;
	helper_process_end(&ingress->process, NULL);
	helper_restart_clear(&ingress->restart);
	ingress_sync_clear(ingress);
	for (size_t i = 0; i < ARRAY_LENGTH(ingress->listeners); i++)
		listeners_close(&ingress->listeners[i], NULL);
	for (struct ingress_member *member = ingress->members, *next; member; member = next) {
		next = member->next;
		member_free(member);
	}
	for (struct ingress_tenant *tenant = ingress->tenants, *next; tenant; tenant = next) {
		next = tenant->next;
		tenant_free(tenant);
	}
	if (ingress->counts)
		munmap(ingress->counts, sizeof *ingress->counts);
	close_fd(&ingress->counts_fd);
	free(ingress);
	return NULL;
}

/* ---- tenants ---- */

struct ingress_tenant *ingress_find(const struct ingress *ingress, const char *name)
{
	struct ingress_tenant *tenant = ingress->tenants;
	while (tenant && (tenant->removed || strcmp(tenant->name, name) != 0))
		tenant = tenant->next;
	return tenant;
}

/* A number that nobody has, so that no count is of two. */
static int64_t free_id(struct ingress *ingress)
{
	for (uint32_t tries = 0; tries < INGRESS_TENANTS_MAX; tries++) {
		const uint32_t id = ingress->last_id++ % INGRESS_TENANTS_MAX;
		const struct ingress_tenant *tenant = ingress->tenants;
		while (tenant && tenant->id != id)
			tenant = tenant->next;
		if (tenant == NULL)
			return id;
	}
	return -EUSERS;
}

struct ingress_tenant *ingress_take(struct ingress *ingress, const char *name, struct error *error)
{
	struct ingress_tenant *tenant = ingress_find(ingress, name);
	if (tenant)
		return tenant;
	const int64_t id = free_id(ingress);
	tenant = id < 0 ? NULL : calloc(1, sizeof *tenant);
	if (tenant == NULL) {
		error_set(error, id < 0 ? EUSERS : ENOMEM, "no place for %s in tenantd-ingress",
			name);
		return NULL;
	}
	*tenant =
		(struct ingress_tenant){.next = ingress->tenants, .id = (uint32_t)id, .wait = true};
	if (ingress->counts)
		tenant->before = ingress->counts->tenants[id];
	snprintf(tenant->name, sizeof tenant->name, "%s", name);
	ingress->tenants = tenant;
	return tenant;
}

/* Workers whose sites, or what cuts into them, may have changed (of RENEWED, if it is not NULL,
 * the certificates did); those that have a site for
 * the first time get a channel. */
static void update_members(struct ingress *ingress, const struct ingress_tenant *renewed)
{
	if (listener_count(ingress) == 0)
		return;
	for (struct ingress_member *member = ingress->members; member; member = member->next) {
		if (member->attached) {
			tell_sites(ingress, member);
			if (member->tenant == renewed)
				tell_certificates(member);
		} else if (member->tenant->sites.count > 0) {
			attach(ingress, member);
		}
	}
}

int ingress_check(const struct ingress *ingress, const char *tenant,
	const struct policy_sites *sites, struct error *error)
{
	return ingress ? ingress_sites_check(ingress->tenants, tenant, sites, error) : 0;
}

int ingress_check_certificates(const struct ingress *ingress, const char *name,
	const struct policy_sites *sites, struct error *error)
{
	const struct ingress_tenant *tenant = ingress ? ingress_find(ingress, name) : NULL;
	struct certificates *read;
	if (ingress == NULL || ingress->listeners[1].count == 0)
		return 0;
	int result = certificates_read(
		name, sites, tenant ? tenant->certificates : NULL, true, &read, error);
	if (result == 0)
		certificates_free(read);
	return result;
}

/* Whether they are others than before. */
static bool renew_certificates(struct ingress *ingress, struct ingress_tenant *tenant)
{
	struct certificates *read;
	struct error error;
	if (ingress->listeners[1].count == 0)
		return false;
	if (certificates_read(
		    tenant->name, &tenant->sites, tenant->certificates, false, &read, &error) < 0) {
		log_error("event=certificates-kept tenant=%s message=\"%s\"", tenant->name,
			error.message);
		return false;
	}
	const bool changed = !certificates_equal(read, tenant->certificates);
	certificates_free(tenant->certificates);
	tenant->certificates = read;
	return changed;
}

void ingress_renew_certificates(struct ingress *ingress, const char *name)
{
	struct ingress_tenant *tenant = ingress ? ingress_find(ingress, name) : NULL;
	if (tenant == NULL || !renew_certificates(ingress, tenant))
		return;
	log_info("event=certificates-renewed tenant=%s", tenant->name);
	for (struct ingress_member *member = ingress->members; member; member = member->next) {
		int result = member->tenant == tenant && member->attached
				     ? tell_certificates(member)
				     : 0;
		if (result < 0)
			log_error("event=certificates-not-told tenant=%s instance=%u "
				  "message=\"%s\"",
				tenant->name, member->instance, strerror(-result));
	}
}

int ingress_set_sites(struct ingress *ingress, const char *name, const struct policy_sites *sites,
	struct error *error)
{
	struct policy_sites copy;
	int result = ingress_check(ingress, name, sites, error);
	if (ingress == NULL || result < 0)
		return result;
	struct ingress_tenant *tenant = ingress_find(ingress, name);
	if (tenant ? ingress_sites_equal(&tenant->sites, sites) : sites->count == 0)
		return 0;
	tenant = ingress_take(ingress, name, error);
	if (tenant == NULL)
		return -error->code;
	if (ingress_sites_copy(sites, &copy) < 0)
		return error_set(error, ENOMEM, "no memory for the sites of %s", name);
	policy_sites_clear(&tenant->sites);
	tenant->sites = copy;
	const bool renewed = renew_certificates(ingress, tenant);
	tenant->sites_due = tenant->wait_due = listener_count(ingress) > 0;
	if (copy.count > 0 && listener_count(ingress) == 0)
		log_warn("event=ingress-no-port tenant=%s message=\"its policy has net.ingress, "
			 "but tenantd was started without --http and --https\"",
			name);
	update_members(ingress, renewed ? tenant : NULL);
	ingress_send_due(ingress);
	return 0;
}

void ingress_forget(struct ingress *ingress, const char *name)
{
	struct ingress_tenant *tenant = ingress ? ingress_find(ingress, name) : NULL;
	if (tenant == NULL)
		return;
	const bool had = tenant->sites.count > 0;
	tenant->removed = true;
	tenant->sites_due = had && ingress->process.state != 0;
	policy_sites_clear(&tenant->sites);
	tenant->certificates = certificates_free(tenant->certificates);
	if (had)
		update_members(ingress, NULL); /* what it had cuts into nobody's any more */
	ingress_send_due(ingress);
}

void ingress_set_wait(struct ingress *ingress, const char *name, bool wait)
{
	struct ingress_tenant *tenant = ingress ? ingress_find(ingress, name) : NULL;
	if (tenant == NULL)
		return;
	/* Told again even so: what is waiting may be asked for again. */
	tenant->wait = wait;
	tenant->wait_due = ingress->process.state != 0 && tenant->sites.count > 0;
	ingress_send_due(ingress);
}

/* ---- instances ---- */

static struct ingress_member **find_member(struct ingress *ingress, uint32_t instance)
{
	struct ingress_member **place = &ingress->members;
	while (*place && (*place)->instance != instance)
		place = &(*place)->next;
	return place;
}

int ingress_add(struct ingress *ingress, uint32_t instance, const char *name, ingress_tell_fn *tell,
	void *data, struct error *error)
{
	if (ingress == NULL || listener_count(ingress) == 0)
		return 0;
	if (*find_member(ingress, instance))
		return error_set(
			error, EEXIST, "instance %u is known to ingress already", instance);
	struct ingress_tenant *tenant = ingress_take(ingress, name, error);
	struct ingress_member *member = tenant ? malloc(sizeof *member) : NULL;
	if (tenant == NULL)
		return -error->code;
	if (member == NULL)
		return error_set(error, ENOMEM, "no memory for instance %u", instance);
	*member = (struct ingress_member){
		.next = ingress->members,
		.tenant = tenant,
		.instance = instance,
		.weight = 1,
		.mine = -1,
		.its = -1,
		.tell = tell,
		.data = data,
	};
	ingress->members = member;
	if (tenant->sites.count > 0 && attach(ingress, member) < 0)
		return error_set(
			error, EIO, "no channel from tenantd-ingress to instance %u", instance);
	ingress_send_due(ingress);
	return 0;
}

void ingress_set_weight(struct ingress *ingress, uint32_t instance, uint32_t weight)
{
	struct ingress_member *member = ingress ? *find_member(ingress, instance) : NULL;
	if (member == NULL || member->weight == weight)
		return;
	member->weight = weight < INGRESS_WEIGHT_MAX ? weight : INGRESS_WEIGHT_MAX;
	member->weight_due = true;
	ingress_send_due(ingress);
}

void ingress_set_open(struct ingress *ingress, uint32_t instance, bool open)
{
	struct ingress_member *member = ingress ? *find_member(ingress, instance) : NULL;
	if (member == NULL || member->shut == !open)
		return;
	member->shut = !open;
	member->weight_due = true;
	ingress_send_due(ingress);
}

void ingress_remove(struct ingress *ingress, uint32_t instance)
{
	struct ingress_member **place = ingress ? find_member(ingress, instance) : NULL;
	if (place == NULL || *place == NULL)
		return;
	struct ingress_member *member = *place;
	*place = member->next;
	const bool known = member->attached && member->mine < 0 && ingress->process.state != 0;
	member_free(member);
	if (known && send_simple(ingress, INGRESS_REMOVE, instance, NULL) < 0)
		kill_process(ingress);
	sweep(ingress);
}

/* ---- for status ---- */

static json_t *describe_sites(const struct policy_sites *sites)
{
	char text[POLICY_NET_TEXT_MAX * 2];
	json_t *list = json_array();
	for (size_t i = 0; i < sites->count; i++) {
		policy_site_format(&sites->items[i], text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

json_t *ingress_describe(const struct ingress *ingress, const char *name)
{
	const struct ingress_tenant *tenant = ingress ? ingress_find(ingress, name) : NULL;
	struct ingress_tenant_counts counts = {0};
	if (tenant == NULL || tenant->sites.count == 0)
		return json_null();
	json_t *ports = json_array();
	for (size_t i = 0; i < ARRAY_LENGTH(ingress->listeners); i++)
		for (size_t j = 0; j < ingress->listeners[i].count; j++)
			json_array_append_new(
				ports, json_string(ingress->listeners[i].items[j].address));
	if (ingress->counts)
		counts = ingress->counts->tenants[tenant->id];
	return json_pack("{s:o, s:o, s:I, s:I, s:I}", "sites", describe_sites(&tenant->sites),
		"ports", ports, "handed", (json_int_t)(counts.handed - tenant->before.handed),
		"refused", (json_int_t)(counts.refused - tenant->before.refused), "waiting",
		(json_int_t)counts.waiting);
}

pid_t ingress_pid(const struct ingress *ingress)
{
	return ingress ? ingress->process.pid : 0;
}

uint32_t ingress_starts(const struct ingress *ingress)
{
	return ingress ? ingress->starts : 0;
}
