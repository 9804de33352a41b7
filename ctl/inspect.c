/* `tenantctl inspect`: a debugger for a tenant that serves. */
#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/client.h"
#include "ctl/devtools.h"
#include "ctl/output.h"
#include "ctl/port.h"

#include <sys/socket.h>

/* Asks, and waits for the item that says that the worker has the socket. Returns 0 or an exit
 * code. */
static int ask(const struct invocation *invocation, int worker, int *ret_control)
{
	struct error error = {0};
	json_t *message = NULL;
	json_t *request = client_request("inspect", invocation->arguments[0]);
	int result = client_connect(invocation, ret_control, &error);
	if (result == 0)
		result = client_send(*ret_control, request, &worker, 1, &error);
	json_decref(request);
	if (result == 0)
		result = client_receive(*ret_control, 0, &message, &error);
	if (result < 0)
		return output_fail(CONTROL_EXIT_TOOL, "unreachable", "%s", error.message);
	const json_t *failed = json_object_get(message, "error");
	int code = failed ? client_report(failed) : 0;
	json_decref(message);
	return code;
}

/* The worker has ended, or the daemon has. */
static int conclude(const char *name, int control)
{
	struct error error = {0};
	json_t *message = NULL;
	if (client_receive(control, 0, &message, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "connection",
			"the session is over: tenantd has ended, or was replaced");
	json_decref(message);
	output_result(json_pack("{s:s}", "name", name), "the worker of %s has ended", name);
	return 0;
}

static int run(const struct invocation *invocation)
{
	struct devtools *devtools;
	struct error error = {0};
	uint16_t port;
	int worker, control = -1;
	int code = client_check_name(invocation->arguments[0]);
	if (code == 0)
		code = port_option(invocation->options[OPTION_PORT], &port);
	if (code)
		return code;
	if (devtools_open(port, invocation->arguments[0], &devtools, &worker, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "port", "%s", error.message);
	code = ask(invocation, worker, &control);
	close_fd(&worker);
	if (code == 0) {
		devtools_announce(devtools);
		devtools_serve(devtools, control);
		code = conclude(invocation->arguments[0], control);
	}
	devtools_close(devtools);
	close_fd(&control);
	return code;
}

const struct command command_inspect = {
	.name = "inspect",
	.group = GROUP_LOOK,
	.arguments = "NAME",
	.summary = "let a debugger look into a tenant that serves",
	.details = "Opens the Chrome DevTools protocol on 127.0.0.1, for this operator alone, and "
		   "says "
		   "where: breakpoints, console, CPU profiles, heap snapshots. Of several "
		   "instances it "
		   "is the first.\n"
		   "While it runs the tenant's probes and time limits do not end it; at a "
		   "breakpoint it "
		   "answers nobody. Interrupt it to let the tenant go on.\n",
	.options = OPTION_BIT(OPTION_PORT),
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_TENANT},
	.run = run,
};
