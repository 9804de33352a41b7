/* Which files of the host a job may execute: those that the policy grants, and the
 * interpreters that these cannot run without. Whoever grants a script grants what its first
 * line names; whoever grants a folder grants every program in it, but not interpreters
 * outside of it, because nobody has looked into them. */
#include "common/cleanup.h"
#include "common/path.h"
#include "sandbox/job_steps.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 4 /* a script's interpreter may be a script; the kernel has a limit too */
#define HEAD_SIZE 256
#define SEGMENTS_MAX 64

/* The loaders of the C libraries there are: programs in granted folders need one too. */
static const char *const loaders[] = {
	"/lib64/ld-linux-x86-64.so.2",
	"/lib/ld-linux-aarch64.so.1",
	"/lib/ld-musl-x86_64.so.1",
	"/lib/ld-musl-aarch64.so.1",
};

static int add(struct job_programs *programs, const char *path, int depth, struct error *error);

/* ---- scripts ---- */

bool job_interpreter_of_script(
	const char *head, size_t length, char program[256], char argument[256])
{
	if (length < 3 || head[0] != '#' || head[1] != '!')
		return false;
	const char *end = memchr(head, '\n', length);
	char line[HEAD_SIZE];
	size_t size = end ? (size_t)(end - head) - 2 : length - 2;
	if (size >= sizeof line)
		size = sizeof line - 1;
	memcpy(line, head + 2, size);
	line[size] = '\0';
	char *start = line + strspn(line, " \t");
	size_t word = strcspn(start, " \t\r");
	snprintf(program, 256, "%.*s", (int)word, start);
	start += word + strspn(start + word, " \t");
	start[strcspn(start, "\r")] = '\0';
	snprintf(argument, 256, "%s", start);
	return program[0] == '/';
}

/* "#!/usr/bin/env -S NAME=value node --flag": the first word that is a program's name. */
static const char *word_for_env(char *argument)
{
	char *rest = NULL;
	for (char *word = strtok_r(argument, " \t", &rest); word;
		word = strtok_r(NULL, " \t", &rest))
		if (word[0] != '-' && strchr(word, '=') == NULL)
			return word;
	return NULL;
}

/* Finds NAME as env(1) would with the PATH of a job. */
static bool find_in_path(const char *name, char path[PATH_MAX])
{
	static const char folders[] = JOB_PATH;
	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return name[0] == '/';
	}
	for (const char *folder = folders; *folder;) {
		size_t length = strcspn(folder, ":");
		snprintf(path, PATH_MAX, "%.*s/%s", (int)length, folder, name);
		if (access(path, X_OK) == 0)
			return true;
		folder += length + (folder[length] == ':');
	}
	return false;
}

static int add_of_script(struct job_programs *programs, const char *program, char *argument,
	int depth, struct error *error)
{
	const char *name = strrchr(program, '/') + 1;
	char path[PATH_MAX];
	int result = add(programs, program, depth, error);
	if (result < 0 || strcmp(name, "env") != 0)
		return result;
	const char *word = word_for_env(argument);
	return word && find_in_path(word, path) ? add(programs, path, depth, error) : 0;
}

/* ---- ELF ---- */

static bool read_interpreter(int fd, const Elf64_Phdr *segment, char path[PATH_MAX])
{
	if (segment->p_filesz < 2 || segment->p_filesz > PATH_MAX)
		return false;
	ssize_t got = pread(fd, path, segment->p_filesz, (off_t)segment->p_offset);
	return got == (ssize_t)segment->p_filesz && path[got - 1] == '\0' && path[0] == '/';
}

/* PT_INTERP of a 64-bit file (elf(5)); others cannot run: their system calls are refused. */
static bool loader_of(int fd, const char *head, ssize_t length, char path[PATH_MAX])
{
	Elf64_Ehdr header;
	Elf64_Phdr segments[SEGMENTS_MAX];
	if (length < (ssize_t)sizeof header)
		return false;
	memcpy(&header, head, sizeof header);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
		header.e_ident[EI_CLASS] != ELFCLASS64 ||
		header.e_phentsize != sizeof segments[0] || header.e_phnum > SEGMENTS_MAX)
		return false;
	ssize_t size = (ssize_t)(header.e_phnum * sizeof segments[0]);
	if (pread(fd, segments, (size_t)size, (off_t)header.e_phoff) != size)
		return false;
	for (size_t i = 0; i < header.e_phnum; i++)
		if (segments[i].p_type == PT_INTERP)
			return read_interpreter(fd, &segments[i], path);
	return false;
}

/* Opens the regular file that a mount is of, or else is at REAL, to which no link leads: one
 * that has come there meanwhile is not followed. */
static int open_program(int mount, const char *real)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	char path[32];
	if (mount >= 0) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", mount);
		return open(path, (int)how.flags);
	}
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, real, &how, sizeof how);
	return fd < 0 && errno == ENOSYS ? open(real, (int)how.flags | O_NOFOLLOW) : fd;
}

static int add_interpreters(
	struct job_programs *programs, int mount, const char *real, int depth, struct error *error)
{
	char head[HEAD_SIZE], program[256], argument[256], path[PATH_MAX];
	cleanup_close int fd = open_program(mount, real);
	/* One that may be run and not read is no script, and its loader is among ours. */
	ssize_t length = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
	if (length <= 0)
		return 0;
	if (job_interpreter_of_script(head, (size_t)length, program, argument))
		return add_of_script(programs, program, argument, depth + 1, error);
	if (loader_of(fd, head, length, path))
		return add(programs, path, depth + 1, error);
	return 0;
}

/* ---- grants ---- */

bool job_has_grant(const struct worker_start *start, const char *path, bool write)
{
	char folder[PATH_MAX];
	for (size_t i = 0; i < start->grant_count; i++)
		if (start->grants[i].write >= write && realpath(start->grants[i].path, folder) &&
			path_is_in(path, folder))
			return true;
	return false;
}

/* ---- the list ---- */

static bool has(const struct job_programs *programs, const char *path)
{
	for (size_t i = 0; i < programs->count; i++)
		if (strcmp(programs->items[i].path, path) == 0)
			return true;
	return false;
}

/* What a tenant's links lead to, as the caller sees it: only in the job's own grants, from
 * which it will be taken, and not from here. */
static bool find_in_grants(const struct worker_start *start, const char *path, char *real)
{
	return realpath(path, real) && job_has_grant(start, real, false);
}

/* 1 and *RET_FOUND, whose mount is -1 where a grant brings it; 0: it is not there. */
static int find_program(const struct job_programs *programs, const char *path,
	struct job_found *ret_found, struct error *error)
{
	int result = programs->find(programs->data, path, ret_found, error);
	if (result <= 0)
		ret_found->mount = -1;
	if (result == 0)
		return find_in_grants(programs->start, path, ret_found->real);
	/* What the tenant may write its grant brings, so that it runs what it writes. */
	if (result > 0 && job_has_grant(programs->start, ret_found->real, true))
		close_fd(&ret_found->mount);
	return result;
}

static int look(const struct job_found *found, struct stat *ret_status)
{
	return found->mount >= 0 ? fstatat(found->mount, "", ret_status, AT_EMPTY_PATH)
				 : lstat(found->real, ret_status);
}

/* What is not there, or not within the tenant's reach, is left out: then it is not there. */
static int add(struct job_programs *programs, const char *path, int depth, struct error *error)
{
	struct stat status;
	struct job_found found;
	if (depth > DEPTH_MAX || has(programs, path))
		return 0;
	int result = find_program(programs, path, &found, error);
	if (result <= 0)
		return result;
	cleanup_close int mount = found.mount;
	if (look(&found, &status) < 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
		return 0;
	/* A script names what it likes as its interpreter: that is no grant to read it. */
	if (depth > 0 && !(S_ISREG(status.st_mode) && status.st_mode & 0111))
		return 0;
	if (programs->count == JOB_PROGRAMS_MAX)
		return error_set(
			error, E2BIG, "more than %d programs and interpreters", JOB_PROGRAMS_MAX);
	struct job_program *item = &programs->items[programs->count];
	*item = (struct job_program){
		.path = strdup(path),
		.real = strdup(found.real),
		.folder = S_ISDIR(status.st_mode),
		.mount = take_fd(&mount),
	};
	programs->count++;
	if (item->path == NULL || item->real == NULL)
		return error_set(error, ENOMEM, "no memory for a job's programs");
	return item->folder ? 0 : add_interpreters(programs, item->mount, found.real, depth, error);
}

int job_programs_find(const struct worker_start *start, job_find_fn *find, void *data,
	struct job_programs *ret_programs, struct error *error)
{
	ret_programs->start = start;
	ret_programs->find = find;
	ret_programs->data = data;
	ret_programs->count = 0;
	int result = add(ret_programs, start->entry, 0, error);
	for (size_t i = 0; result == 0 && i < start->exec_count; i++)
		result = add(ret_programs, start->exec[i], 0, error);
	/* Few of them are there: nobody need be asked for the others. */
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(loaders); i++)
		if (access(loaders[i], F_OK) == 0)
			result = add(ret_programs, loaders[i], 0, error);
	if (result < 0)
		job_programs_clear(ret_programs);
	return result;
}

void job_programs_clear(struct job_programs *programs)
{
	for (size_t i = 0; i < programs->count; i++) {
		free(programs->items[i].path);
		free(programs->items[i].real);
		close_fd(&programs->items[i].mount);
	}
	programs->count = 0;
}
