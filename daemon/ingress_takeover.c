/* The shared ports while the daemon's program is replaced (daemon/reexec.h). */
#include "common/message.h"
#include "daemon/ingress_private.h"
#include "daemon/takeover.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

bool ingress_pause(struct ingress *ingress)
{
	const struct ingress_header stop = {.type = INGRESS_STOP};
	int queued = 0;
	if (ingress == NULL || ingress->counts == NULL || ingress->process.state == 0)
		return true;
	if (!ingress->paused &&
		message_send(ingress->process.channel, &stop, sizeof stop, NULL, 0) == 0)
		ingress->paused = true;
	/* It has read that, and nothing is left of what it had accepted. */
	return ingress->paused && ioctl(ingress->process.channel, SIOCOUTQ, &queued) == 0 &&
	       queued == 0 && ingress->counts->pending == 0;
}

/* A process that has stopped has closed its copies of the listeners: the next one has new
 * ones. */
void ingress_resume(struct ingress *ingress)
{
	if (ingress == NULL || !ingress->paused)
		return;
	ingress->paused = false;
	if (ingress->process.state)
		helper_process_kill(&ingress->process, "it is to accept again");
}

json_t *ingress_pack(const struct ingress *ingress, struct takeover *takeover)
{
	json_t *list = json_array();
	for (size_t i = 0; ingress && i < 2 * ingress->options.port_count; i++) {
		const struct listeners *listeners = &ingress->listeners[i % 2];
		const struct listener *listener =
			i / 2 < listeners->count ? &listeners->items[i / 2] : NULL;
		bool passed = listener == NULL || listener->lent;
		for (size_t k = 0; k < ingress->options.port_count && !passed; k++)
			passed = ingress->options.ports[k].fd == listener->fd;
		if (!passed)
			json_array_append_new(list, takeover_put_fd(takeover, listener->fd));
	}
	return list;
}

json_t *ingress_pack_certificates(
	const struct ingress *ingress, const char *name, struct takeover *takeover)
{
	const struct ingress_tenant *tenant = ingress ? ingress_find(ingress, name) : NULL;
	return certificates_pack(tenant ? tenant->certificates : NULL, takeover);
}

void ingress_restore_certificates(
	struct ingress *ingress, const char *name, const json_t *packed, struct takeover *takeover)
{
	struct error error;
	struct ingress_tenant *tenant =
		ingress && json_array_size(packed) > 0 ? ingress_take(ingress, name, &error) : NULL;
	if (tenant)
		tenant->certificates = certificates_restore(packed, takeover);
}
