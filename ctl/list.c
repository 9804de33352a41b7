#include "ctl/client.h"
#include "ctl/output.h"

static void collect(const json_t *item, void *data)
{
	json_array_append(data, (json_t *)client_tenant(item));
}

static int run(const struct invocation *invocation)
{
	json_t *tenants = json_array();
	int code = client_call(
		invocation, client_request("list", NULL), NULL, 0, collect, tenants, NULL);
	if (code == 0)
		output->tenants(tenants);
	json_decref(tenants);
	return code;
}

const struct command command_list = {
	.name = "list",
	.alias = "ls",
	.group = GROUP_LOOK,
	.arguments = "",
	.summary = "show all tenants",
	.details = "With --plain the fields are: name, state, release, pid, the time since when, "
		   "restarts, memory in bytes, requests, URLs.\n",
	.run = run,
};
