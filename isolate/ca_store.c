#include "isolate/ca_store.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <unistd.h>

static X509_STORE *store;

static const char *const places[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem", /* openSUSE */
	"/etc/ssl/cert.pem",
};

static const char *find_bundle(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return places[0];
}

X509_STORE *ca_store_get(void)
{
	if (!store)
		store = X509_STORE_new();
	if (!store)
		abort(); /* A few hundred bytes: there is no going on. */
	return store;
}

int ca_store_load(const char *path, struct error *error)
{
	const char *bundle = path ? path : find_bundle();
	size_t count = 0;
	X509_STORE_free(store);
	store = NULL;
	X509_STORE *loaded = ca_store_get();
	cleanup_fclose FILE *file = fopen(bundle, "re");
	if (!file)
		return error_errno(error, errno, "cannot read the CA certificates %s", bundle);
	X509 *certificate;
	while ((certificate = PEM_read_X509_AUX(file, NULL, NULL, NULL))) {
		/* One that is there twice is no error. */
		if (X509_STORE_add_cert(loaded, certificate) == 1)
			count++;
		X509_free(certificate);
	}
	const unsigned long last = ERR_peek_last_error();
	const bool at_end =
		ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (count == 0 || !at_end)
		return error_set(error, EBADMSG, "%s is not a bundle of PEM certificates: %s",
			bundle, count == 0 ? "it holds none" : "one of them is damaged");
	return 0;
}
