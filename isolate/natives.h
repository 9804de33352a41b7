/* All native modules, in the order in which their functions are numbered. */
#pragma once

#include "isolate/runtime.h"

extern const struct native_module url_natives;        /* isolate/native_url.c */
extern const struct native_module text_natives;       /* isolate/native_text.c */
extern const struct native_module crypto_natives;     /* isolate/native_crypto.c */
extern const struct native_module inspect_natives;    /* isolate/native_inspect.c */
extern const struct native_module process_natives;    /* isolate/native_process.c */
extern const struct native_module timer_natives;      /* isolate/native_timer.c */
extern const struct native_module http_natives;       /* isolate/http_server.c */
extern const struct native_module buffer_natives;     /* isolate/native_buffer.c */
extern const struct native_module system_natives;     /* isolate/native_system.c */
extern const struct native_module stdin_natives;      /* isolate/native_stdin.c */
extern const struct native_module fetch_natives;      /* isolate/native_fetch.c */
extern const struct native_module dns_natives;        /* isolate/native_dns.c */
extern const struct native_module net_natives;        /* isolate/native_net.c */
extern const struct native_module tls_natives;        /* isolate/native_tls.c */
extern const struct native_module permission_natives; /* isolate/native_permission.c */
extern const struct native_module fs_natives;         /* isolate/native_fs.c */
extern const struct native_module child_natives;      /* isolate/native_child.c */
extern const struct native_module service_natives;    /* isolate/service.c */

/* The joined tables, for engine_snapshot_build and engine_open. */
const struct engine_tables *natives_tables(void);
void natives_bind(void);
void natives_start(void);
