/* An instance and tenantd-ingress: from READY until it drains it gets connections of the
 * ports that tenants share. */
#include "common/escape.h"
#include "common/log.h"
#include "common/message.h"
#include "daemon/health.h"
#include "daemon/ingress.h"
#include "daemon/instance_private.h"

#include <errno.h>

static int tell(void *data, const void *message, size_t length, int fd)
{
	struct instance *instance = data;
	if (instance->channel < 0)
		return -EPIPE;
	return message_send(instance->channel, message, length, &fd, fd >= 0 ? 1 : 0);
}

void instance_join_ingress(struct instance *instance)
{
	struct ingress *ingress = instance->factory->ingress;
	struct error error = {0};
	if (ingress == NULL || instance->mode != WORKER_MODE_SERVE)
		return;
	if (ingress_add(ingress, instance->id, instance->tenant, tell, instance, &error) < 0)
		log_error("event=ingress-not-joined tenant=%s instance=%u message=\"%s\"",
			instance->tenant, instance->id, escape_for_log(error.message));
	ingress_set_open(ingress, instance->id, health_accepts(instance->health));
}
