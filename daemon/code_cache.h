/* Code caches: what V8 makes of a release's modules by parsing them (isolate/code_cache.h), so
 * that they start sooner. Made when a release has become ready, by a worker of no tenant that
 * is granted nothing and runs nothing; kept in STATE/caches, which is root's alone, and gone
 * with the release. A file's name says of which library and engine it is, so an upgraded
 * daemon makes new ones. A start never waits for one, and never fails for one. */
#pragma once

#include "daemon/program.h"

struct supervisor;
struct code_cache;

/* The cache of PROGRAM's release, a descriptor that is the caller's; -1: there is none. */
int code_cache_open(struct supervisor *supervisor, const struct program *program);
/* PROGRAM of TENANT is ready: makes one, if it has none and none is being made. Small programs
 * have none: they are parsed as fast. */
void code_cache_want(
	struct supervisor *supervisor, const char *tenant, const struct program *program);
/* Removes those of releases that are gone, and of other versions. */
void code_cache_sweep(struct supervisor *supervisor);
/* Takes NULL; returns NULL. */
struct code_cache *code_cache_free(struct code_cache *cache);
