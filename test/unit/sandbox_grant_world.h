/* What the tests of file grants share: a small world of files of the host, grants of it, and
 * what a confined process tries there. Needs root, and a /srv that only root may write. */
#pragma once

#include "sandbox/sandbox.h"
#include "sandbox_harness.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WORLD "/srv/tenantd-grant-test"
#define DATA WORLD "/data" /* somebody's, closed to others */
#define OUT DATA "/out"
#define OPEN WORLD "/open" /* open to everybody, so that no mode but a wall is in the way */
#define OWNER 1234
#define GROUP 1235
#define TENANT (CONFINED_UID_BASE + CONFINED_UID)
#define READ 0u
#define WRITE ((unsigned)SANDBOX_GRANT_WRITE)

extern struct report report; /* of the last confined process */
extern struct sandbox_grant grants[];
extern size_t grant_count;
extern char warning[256]; /* of the last grant */
extern bool used;         /* the grants' mounts are somewhere */

/* Skips the test where there is no sandbox. */
void need_sandbox(void);

/* ---- the world ---- */

int make_world(void **state);
int end_world(void **state);
void put(const char *path, mode_t mode, uid_t user, gid_t group);
void put_folder(const char *path, mode_t mode, uid_t user, gid_t group);
void put_link(const char *target, const char *path);

int try_grant(const char *path, unsigned flags, struct error *error);
/* One that must work. */
void grant(const char *path, unsigned flags);

/* ---- acts ---- */

/* Each returns what a system call does: -1 and errno, or anything else. */
struct act {
	const char *name;
	long (*act)(const char *folder);
	bool reads; /* allowed where only reading is granted */
};
/* FOLDER/NAME, valid for the next three calls. */
const char *in(const char *folder, const char *name);

#define ACT(function, ...)                                                                         \
	static long function(const char *folder)                                                   \
	{                                                                                          \
		(void)folder;                                                                      \
		return __VA_ARGS__;                                                                \
	}

/* Read a file, list the folder, read a file below, open for writing. */
#define LOOKS 4
extern const struct act looks[LOOKS];

extern int *codes; /* errno of each act, shared with the confined process */
int share_codes(void **state);

struct trial {
	const struct act *acts;
	size_t count;
	const char *folder;
};

/* A confined_body; ARGUMENT is a struct trial. */
void run_acts(struct report *tell, void *argument);
/* Is CODE how a wall refuses? */
bool is_wall(int code);

/* All walls; without Landlock. */
struct confine with_grants(void);
struct confine mounts_alone(void);
/* Mounts that were put in place are opened again. */
void renew_grants(void);
/* Runs BODY, which must come to its end. */
void confined(const struct confine *confine, confined_body *body, void *argument);

/* ---- a group of tests ---- */

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, end_world)
