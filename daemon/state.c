#include "daemon/state.h"

#include "common/cleanup.h"
#include "common/escape.h"
#include "common/file.h"
#include "policy/policy.h"

#include <jansson.h>
#include <string.h>

#define STATE_VERSION 1
#define STATE_BYTES_MAX (16 * 1024 * 1024)

static void json_free(json_t **json)
{
	json_decref(*json);
}
#define cleanup_json __attribute__((cleanup(json_free)))

/* ---- reading ---- */

static int invalid(struct error *error, size_t index, const char *what)
{
	return error_set(error, EINVAL,
		STATE_FILE ": /tenants/%zu: %s; repair the file, or move it away to start "
			   "without tenants",
		index, what);
}

static int read_ports(
	const json_t *object, size_t index, struct state_tenant *tenant, struct error *error)
{
	struct listener_ports ports = {0};
	const char *spec;
	json_t *value;
	json_object_foreach((json_t *)object, spec, value)
	{
		json_int_t port = json_integer_value(value);
		if (ports.count == WORKER_LISTENERS_MAX || port < 1 || port > 65535 ||
			strlen(spec) >= sizeof ports.items[0].spec)
			return invalid(error, index, "\"ports\" is malformed");
		struct listener_port *place = &ports.items[ports.count++];
		snprintf(place->spec, sizeof place->spec, "%s", spec);
		place->port = (uint16_t)port;
	}
	if (state_set_ports(tenant, ports.items, ports.count) < 0)
		return error_set(error, ENOMEM, "no memory for the ports of a tenant");
	return 0;
}

/* A release's name becomes a path: it must be a plain file name. */
static bool is_release(const char *text)
{
	return strlen(text) < STATE_RELEASE_MAX &&
	       strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz-") == strlen(text);
}

static int read_tenant(
	const json_t *object, size_t index, struct state_tenant *tenant, struct error *error)
{
	const char *name, *release, *change = "";
	int running;
	json_int_t slot;
	json_t *ports;
	struct error why = {0};
	json_error_t json_error;
	if (json_unpack_ex((json_t *)object, &json_error, JSON_STRICT,
		    "{s:s, s:s, s:b, s:I, s:o, s?s}", "name", &name, "release", &release, "running",
		    &running, "uid_slot", &slot, "ports", &ports, "policy_change", &change) < 0)
		return invalid(error, index, json_error.text);
	if (policy_check_name(name, &why) < 0)
		return invalid(error, index, why.message);
	if (!is_release(release))
		return invalid(error, index, "\"release\" is malformed");
	if (slot < 0 || slot > UINT32_MAX / 2)
		return invalid(error, index, "\"uid_slot\" is out of range");
	if (change[0] && !policy_change_valid(change))
		return invalid(error, index, "\"policy_change\" is malformed");
	if (!json_is_object(ports))
		return invalid(error, index, "\"ports\" is not an object");
	snprintf(tenant->name, sizeof tenant->name, "%s", name);
	snprintf(tenant->release, sizeof tenant->release, "%s", release);
	snprintf(tenant->policy_change, sizeof tenant->policy_change, "%s", change);
	tenant->running = running;
	tenant->uid_slot = (uint32_t)slot;
	return read_ports(ports, index, tenant, error);
}

static int check_unique(const struct state *state, size_t index, struct error *error)
{
	const struct state_tenant *last = &state->tenants[index];
	for (size_t i = 0; i < index; i++) {
		if (strcmp(state->tenants[i].name, last->name) == 0)
			return invalid(error, index, "the name is there twice");
		if (state->tenants[i].uid_slot == last->uid_slot)
			return invalid(error, index, "the uid_slot belongs to another tenant too");
	}
	return 0;
}

static int read_tenants(const json_t *list, struct state *state, struct error *error)
{
	size_t count = json_array_size(list);
	if (count > STATE_TENANTS_MAX)
		return error_set(
			error, EINVAL, STATE_FILE ": more than %d tenants", STATE_TENANTS_MAX);
	state->tenants = calloc(count + 1, sizeof *state->tenants);
	if (state->tenants == NULL)
		return error_set(error, ENOMEM, "no memory for the state of %zu tenants", count);
	for (size_t i = 0; i < count; i++) {
		int result = read_tenant(json_array_get(list, i), i, &state->tenants[i], error);
		state->count++;
		if (result == 0)
			result = check_unique(state, i, error);
		if (result < 0) {
			state_clear(state);
			return result;
		}
	}
	return 0;
}

int state_read(int folder_fd, struct state *ret_state, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length;
	struct state state = {0};
	int result = file_read(folder_fd, STATE_FILE, STATE_BYTES_MAX, &text, &length, error);
	if (result == -ENOENT) {
		*ret_state = state;
		return 0;
	}
	if (result < 0)
		return result;
	json_error_t json_error;
	cleanup_json json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json_error);
	if (root == NULL)
		return error_set(error, EINVAL,
			STATE_FILE ":%d:%d: %s; repair the file, or move it away to start "
				   "without tenants",
			json_error.line, json_error.column, escape_for_log(json_error.text));
	json_int_t version;
	json_t *list;
	if (json_unpack_ex(root, &json_error, JSON_STRICT, "{s:I, s:o}", "version", &version,
		    "tenants", &list) < 0 ||
		!json_is_array(list))
		return error_set(error, EINVAL, STATE_FILE ": not a state file of tenantd: %s",
			escape_for_log(json_error.text));
	if (version != STATE_VERSION)
		return error_set(error, EINVAL,
			STATE_FILE ": of version %lld, this tenantd knows %d: use the tenantd that "
				   "wrote it",
			(long long)version, STATE_VERSION);
	result = read_tenants(list, &state, error);
	if (result == 0)
		*ret_state = state;
	return result;
}

int state_set_ports(struct state_tenant *tenant, const struct listener_port *ports, size_t count)
{
	struct listener_port *copy = count > 0 ? malloc(count * sizeof *copy) : NULL;
	if (count > 0 && copy == NULL)
		return -ENOMEM;
	if (count > 0)
		memcpy(copy, ports, count * sizeof *copy);
	free(tenant->ports);
	tenant->ports = copy;
	tenant->port_count = count;
	return 0;
}

void state_clear(struct state *state)
{
	for (size_t i = 0; i < state->count; i++)
		free(state->tenants[i].ports);
	free(state->tenants);
	state->tenants = NULL;
	state->count = 0;
}

/* ---- writing ---- */

/* As printed by hand as JSON can be: it is written at each deployment, with all tenants, and
 * names and releases are of letters that need no escape. */
static bool print_tenant(FILE *file, const struct state_tenant *tenant)
{
	fprintf(file, "{\"name\": \"%s\", \"release\": \"%s\", \"running\": %s, \"uid_slot\": %u, ",
		tenant->name, tenant->release, tenant->running ? "true" : "false",
		tenant->uid_slot);
	if (tenant->policy_change[0])
		fprintf(file, "\"policy_change\": \"%s\", ", tenant->policy_change);
	fputs("\"ports\": {", file);
	for (size_t i = 0; i < tenant->port_count; i++) {
		json_t *spec = json_string(tenant->ports[i].spec);
		fputs(i > 0 ? "," : "", file);
		const bool printed = spec && json_dumpf(spec, file, JSON_ENCODE_ANY) == 0;
		fprintf(file, ": %u", tenant->ports[i].port);
		json_decref(spec);
		if (!printed)
			return false;
	}
	fputs("}}", file);
	return true;
}

int state_write(
	int folder_fd, const struct state_tenant *const *tenants, size_t count, struct error *error)
{
	cleanup_free char *text = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);
	if (file == NULL)
		return error_set(error, ENOMEM, "no memory for the state file");
	fprintf(file, "{\"version\":%d,\"tenants\":[", STATE_VERSION);
	bool complete = true;
	for (size_t i = 0; i < count && complete; i++) {
		fputs(i > 0 ? ",\n" : "\n", file);
		complete = print_tenant(file, tenants[i]);
	}
	fputs("\n]}\n", file);
	complete = complete && !ferror(file);
	if (fclose(file) != 0 || !complete)
		return error_set(error, ENOMEM, "no memory for the state file");
	int result = file_write_atomic(folder_fd, STATE_FILE, text, length, 0600, error);
	if (result < 0)
		error_prefix(error, "cannot write the state file");
	return result;
}
