/* Groups of Diffie-Hellman that have names in Node. */
#pragma once

#include <openssl/bn.h>

/* A new number: the prime of "modp14", any case. NULL: there is none of that name. */
BIGNUM *crypto_dh_prime(const char *name);
