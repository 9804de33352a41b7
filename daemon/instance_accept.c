/* Whether a worker takes connections: what its owner wants, and what its probes say. */
#include "daemon/health.h"
#include "daemon/ingress.h"
#include "daemon/instance_private.h"

void instance_tell_accept(struct instance *instance)
{
	const bool on = !instance->accept_off && health_accepts(instance->health);
	ingress_set_open(
		instance->factory->ingress, instance->id, health_accepts(instance->health));
	const struct message_accept message = {
		.header = {.type = MESSAGE_ACCEPT, .instance = instance->id},
		.on = on,
	};
	/* A worker begins with taking them; before START it knows of nothing. */
	if (instance->accept_off_now == !on || instance->channel < 0 || instance->draining ||
		(instance->mode != WORKER_MODE_SERVE && instance->mode != WORKER_MODE_EITHER) ||
		!(instance->stage & (INSTANCE_BOOTING | INSTANCE_CONFINED | INSTANCE_READY)))
		return;
	if (message_send(instance->channel, &message, sizeof message, NULL, 0) == 0)
		instance->accept_off_now = !on; /* else it is tried again, once a second */
}

void instance_accept(struct instance *instance, bool on)
{
	instance->accept_off = !on;
	instance_tell_accept(instance);
}
