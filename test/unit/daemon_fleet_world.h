/* What the tests of fleets share: workers and proofs that are pretended, so that each can end at
 * the worst moment, an owner that counts, and one fleet. */
#pragma once

#include "daemon/fleet.h"
#include "daemon/supervisor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MOST 64

/* ---- pretended workers ---- */

extern struct instance *made[MOST]; /* in the order of their starts; NULL: freed */
extern size_t made_count, starts_to_fail;
extern bool unready;
extern struct worker_stats pretended_stats;

void become_ready(size_t number);
void end_with(size_t number, enum end_reason reason, int exit_code);
void die(size_t number);

/* ---- pretended proofs ---- */

extern bool unproved; /* what starts next has to be hashed first */
extern unsigned proofs_cancelled;

/* The one that is under way. */
void end_proof(int result);

/* ---- the owner ---- */

extern unsigned joined, ready, left, went_on, unfit, lost, idle, unwell, empty, leaving,
	not_started;
extern struct fleet_death last;
extern const struct fleet_events fleet_owner;

/* ---- a fleet ---- */

extern struct supervisor supervisor;
extern struct manifest manifest;
extern struct program program;
extern struct fleet *fleet;

/* Before and after each test. */
int world_begin(void **unused);
int world_end(void **unused);
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int start(uint32_t count, bool strict);
void start_ready(uint32_t count);
/* Runs the loop until so many were started, or in vain for a while. */
bool until_made(size_t count);
