#include "ctl/port.h"

#include "common/control.h"
#include "ctl/devtools.h"
#include "ctl/output.h"

#include <stdlib.h>

int port_option(const char *text, uint16_t *ret_port)
{
	*ret_port = DEVTOOLS_PORT;
	if (!text || !text[0])
		return 0;
	char *end;
	const unsigned long number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || number > UINT16_MAX)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"`%s` is not a port: 0 to 65535, 0 for any that is free", text);
	*ret_port = (uint16_t)number;
	return 0;
}
