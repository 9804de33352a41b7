/* Code caches of a release: what V8 makes of its modules by parsing them, made once by a worker
 * that runs nothing of them (WORKER_MODE_COMPILE), kept by the daemon beside the release
 * (daemon/code_cache.h), and given to each worker of it with START.
 *
 * Whoever writes such a file could run any code in who reads it: only root writes the store,
 * and what a worker has made of a release only workers of the same release get. What V8 or the
 * checksums do not like is ignored: the module is parsed as if there were none. */
#pragma once

/* In a new worker, before the sandbox closes descriptors: maps FD, if it is a file. */
void code_cache_map(int fd);
/* When the engine knows its modules: offers what was mapped. */
void code_cache_offer(void);
/* Loads the graph of ENTRY, runs nothing, and writes the caches of its modules to standard
 * output. The process ends: 0, or 1 when there is nothing to keep. */
_Noreturn void code_cache_write(const char *entry);
