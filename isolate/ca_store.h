/* The certificates of authorities that TLS in workers trusts unless a program says
 * otherwise: the system's bundle, read and parsed once, before the first fork, and shared
 * by every worker through copy-on-write. One store for fetch (libcurl) and node:tls. */
#pragma once

#include "common/error.h"

#include <openssl/x509.h>

/* Loads the bundle PATH (PEM); NULL: the first of the places where distributions keep it.
 * Once, before the first fork, and again only to replace the store, in tests. A bundle
 * that is not there or holds no certificate is an error; then ca_store_get has an empty
 * store, and every verification fails. */
int ca_store_load(const char *path, struct error *error);

/* The store; stays the module's, for X509_STORE_up_ref. Never NULL, empty before
 * ca_store_load. */
X509_STORE *ca_store_get(void);
