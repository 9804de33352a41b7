/* tenantctl: the operator's program. It is not trusted with anything: the daemon
 * decides, by who asks. */
#include "common/control.h"
#include "ctl/command.h"
#include "ctl/output.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int main(int argument_count, char **arguments)
{
	struct invocation invocation;
	int code = command_parse(argument_count, arguments, &invocation);
	if (code < 0) {
		output_choose(invocation.options[OPTION_JSON] != NULL,
			invocation.options[OPTION_PLAIN] != NULL);
		code = invocation.command->run(&invocation);
	}
	/* A full disk behind standard output must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "tenantctl: cannot write to standard output: %s\n",
			strerror(errno));
		return code ? code : CONTROL_EXIT_FAILURE;
	}
	return code;
}
