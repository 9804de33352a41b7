#include "common/ingress.h"

#include "common/wire.h"

#include <errno.h>

#define TENANT_MAX 63

ssize_t ingress_sites_encode(
	const struct ingress_sites *sites, uint32_t id, void *data, size_t size)
{
	struct wire_writer writer = {.data = data, .size = size};
	wire_put_u32(&writer, INGRESS_SITES);
	wire_put_u32(&writer, id);
	wire_put_string(&writer, sites->tenant);
	wire_put_u32(&writer, (uint32_t)sites->count);
	for (size_t i = 0; i < sites->count; i++) {
		wire_put_string(&writer, sites->sites[i].host);
		wire_put_string(&writer, sites->sites[i].path);
		wire_put_u32(&writer, sites->sites[i].tls);
	}
	return writer.failed ? -EMSGSIZE : (ssize_t)writer.length;
}

int ingress_sites_decode(
	const void *data, size_t length, struct ingress_sites *ret_sites, struct error *error)
{
	struct wire_reader reader = {.data = data, .length = length};
	if (wire_get_u32(&reader) != INGRESS_SITES || wire_get_u32(&reader) >= INGRESS_TENANTS_MAX)
		reader.failed = true;
	ret_sites->tenant = wire_get_string(&reader, TENANT_MAX);
	ret_sites->count = wire_get_u32(&reader);
	if (ret_sites->count > INGRESS_SITES_MAX) {
		ret_sites->count = 0;
		reader.failed = true;
	}
	for (size_t i = 0; i < ret_sites->count; i++) {
		struct ingress_site *site = &ret_sites->sites[i];
		site->host = wire_get_string(&reader, SITE_HOST_MAX);
		site->path = wire_get_string(&reader, SITE_PATH_MAX);
		const uint32_t tls = wire_get_u32(&reader);
		site->tls = tls == 1;
		if (site->host[0] == '\0' || site->path[0] != '/' || tls > 1)
			reader.failed = true;
	}
	if (!wire_get_end(&reader))
		return error_set(error, EBADMSG, "a malformed SITES message");
	return 0;
}
