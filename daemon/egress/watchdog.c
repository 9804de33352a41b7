#include "daemon/egress/private.h"

#include "daemon/helper/helper.h"

#include <errno.h>

int watchdog_loop(sd_event *event)
{
	int result = helper_watchdog();
	while (result >= 0 || result == -EINTR) {
		result = sd_event_prepare(event);
		if (result == 0)
			result = sd_event_wait(event, UINT64_MAX);
		helper_busy(true);
		if (result > 0)
			result = sd_event_dispatch(event);
		helper_busy(false);
		if (sd_event_get_state(event) == SD_EVENT_FINISHED) {
			sd_event_get_exit_code(event, &result);
			return result;
		}
	}
	return result;
}
