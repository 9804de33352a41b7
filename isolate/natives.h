/* All native modules, in the order in which their functions are numbered. */
#pragma once

#include "isolate/runtime.h"

extern const struct native_module url_natives;         /* isolate/native_url.c */
extern const struct native_module url_pattern_natives; /* isolate/native_url_pattern.c */
extern const struct native_module text_natives;        /* isolate/native_text.c */
extern const struct native_module crypto_natives;      /* isolate/native_crypto.c */
extern const struct native_module inspect_natives;     /* isolate/native_inspect.c */
extern const struct native_module process_natives;     /* isolate/native_process.c */
extern const struct native_module messaging_natives;   /* isolate/native_messaging.c */
extern const struct native_module thread_natives;      /* isolate/thread.c */
extern const struct native_module timer_natives;       /* isolate/native_timer.c */
extern const struct native_module http_natives;        /* isolate/http_server.c */
extern const struct native_module buffer_natives;      /* isolate/native_buffer.c */
extern const struct native_module system_natives;      /* isolate/native_system.c */
extern const struct native_module stdin_natives;       /* isolate/native_stdin.c */
extern const struct native_module fetch_natives;       /* isolate/native_fetch.c */
extern const struct native_module dns_natives;         /* isolate/native_dns.c */
extern const struct native_module net_natives;         /* isolate/native_net.c */
extern const struct native_module tls_natives;         /* isolate/native_tls.c */
extern const struct native_module permission_natives;  /* isolate/native_permission.c */
extern const struct native_module fs_natives;          /* isolate/native_fs.c */
extern const struct native_module http_parser_natives; /* isolate/native_http_parser.c */
extern const struct native_module websocket_natives;   /* isolate/native_websocket.c */
extern const struct native_module child_natives;       /* isolate/native_child.c */
extern const struct native_module sqlite_natives;      /* isolate/native_sqlite.c */
extern const struct native_module sqlite_statement_natives;
extern const struct native_module sqlite_session_natives;
extern const struct native_module sqlite_backup_natives;
extern const struct native_module zlib_natives;              /* isolate/native_zlib.c */
extern const struct native_module crypto_job_natives;        /* isolate/crypto_job.c */
extern const struct native_module crypto_key_natives;        /* isolate/crypto_key_handle.c */
extern const struct native_module crypto_keygen_natives;     /* isolate/crypto_keygen.c */
extern const struct native_module crypto_hash_natives;       /* isolate/crypto_hash.c */
extern const struct native_module crypto_mac_natives;        /* isolate/crypto_mac.c */
extern const struct native_module crypto_kmac_natives;       /* isolate/crypto_kmac.c */
extern const struct native_module crypto_derive_natives;     /* isolate/crypto_derive.c */
extern const struct native_module crypto_random_natives;     /* isolate/crypto_random.c */
extern const struct native_module service_natives;           /* isolate/service.c */
extern const struct native_module module_natives;            /* isolate/modules.c */
extern const struct native_module crypto_cipher_natives;     /* isolate/crypto_cipher.c */
extern const struct native_module crypto_cipher_job_natives; /* isolate/crypto_cipher_jobs.c */
extern const struct native_module crypto_dh_natives;         /* isolate/crypto_dh.c */
extern const struct native_module crypto_ecdh_natives;       /* isolate/crypto_ecdh.c */
extern const struct native_module crypto_kem_natives;        /* isolate/crypto_kem.c */
extern const struct native_module crypto_rsa_natives;        /* isolate/crypto_rsa.c */
extern const struct native_module crypto_sign_natives;       /* isolate/crypto_sign.c */
extern const struct native_module crypto_sign_job_natives;   /* isolate/crypto_sign_job.c */
extern const struct native_module crypto_turboshake_natives; /* isolate/crypto_turboshake.c */
extern const struct native_module crypto_x509_natives;       /* isolate/crypto_x509.c */

/* Those for the threads of a program: as many, but some only throw. */
const struct engine_tables *natives_tables_for_threads(void);

/* The joined tables, for engine_snapshot_build and engine_open. */
const struct engine_tables *natives_tables(void);
void natives_bind(void);
void natives_start(void);
void natives_stop(void); /* in a thread that ends */
