/* The answer of a verb that may have changed who gets which connections: whoever reads it may
 * rely on that, e.g. `tenantctl deploy … && curl …`. */
#include "daemon/control.h"
#include "daemon/supervisor.h"
#include "daemon/verbs.h"

#include <stdlib.h>

struct answer {
	struct control_connection *connection;
	struct ingress_wait *wait;
	json_t *done;
};

static void answer_closed(void *data)
{
	struct answer *answer = data;
	ingress_sync_cancel(answer->wait);
	json_decref(answer->done);
	free(answer);
}

static const struct control_hold answer_hold = {.closed = answer_closed};

static void routes_known(void *data, bool applied)
{
	struct answer *answer = data;
	if (!applied)
		json_object_set_new(answer->done, "note",
			json_sprintf("tenantd-ingress has not answered within %d s: for a moment "
				     "connections to shared ports may still go where they went "
				     "before",
				INGRESS_SYNC_MS / 1000));
	control_done(answer->connection, answer->done);
	free(answer);
}

void verb_done(struct control_connection *connection, json_t *done)
{
	const struct supervisor *supervisor = control_data(connection);
	struct answer *answer = malloc(sizeof *answer);
	if (done == NULL)
		done = json_object();
	if (answer == NULL || done == NULL) {
		free(answer);
		control_done(connection, done);
		return;
	}
	*answer = (struct answer){.connection = connection, .done = done};
	control_hold(connection, &answer_hold, answer, 0);
	struct ingress_wait *wait;
	ingress_sync(supervisor->ingress, routes_known, answer, &wait);
	if (wait)
		answer->wait = wait;
}
