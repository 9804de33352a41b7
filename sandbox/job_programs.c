/* Which files of the host a job may execute: those that the policy grants, and the
 * interpreters that these cannot run without. Whoever grants a script grants what its first
 * line names; whoever grants a folder grants every program in it, but not interpreters
 * outside of it, because nobody has looked into them. */
#include "common/cleanup.h"
#include "sandbox/job_steps.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 4 /* a script's interpreter may be a script; the kernel has a limit too */
#define HEAD_SIZE 256
#define SEGMENTS_MAX 64
#define LINKS_MAX 40 /* as the kernel's */

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

static int add_interpreters(
	struct job_programs *programs, const char *real, int depth, struct error *error)
{
	char head[HEAD_SIZE], program[256], argument[256], path[PATH_MAX];
	cleanup_close int fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
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

/* ---- where a path leads ---- */

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool job_may_write(const struct worker_start *start, const char *path)
{
	char folder[PATH_MAX];
	for (size_t i = 0; i < start->grant_count; i++)
		if (start->grants[i].write && realpath(start->grants[i].path, folder) &&
			is_below(path, folder))
			return true;
	return false;
}

struct walk {
	const struct worker_start *start;
	char rest[2 * PATH_MAX]; /* what is still to go */
	char real[PATH_MAX];     /* where it is; "" for the root */
	unsigned links;
	bool led; /* by a link that the tenant may have made */
};

static int follow(struct walk *walk, size_t parent, const char *rest)
{
	char target[PATH_MAX], joined[sizeof walk->rest];
	ssize_t length = readlink(walk->real, target, sizeof target - 1);
	if (length < 0 && errno == EINVAL) /* no link */
		return 0;
	if (length < 0 || ++walk->links > LINKS_MAX)
		return -1;
	target[length] = '\0';
	walk->real[parent] = '\0';
	walk->led = walk->led || job_may_write(walk->start, walk->real[0] ? walk->real : "/");
	int size = snprintf(joined, sizeof joined, "%s/%s", target, rest);
	if (size < 0 || (size_t)size >= sizeof joined)
		return -1;
	memcpy(walk->rest, joined, (size_t)size + 1);
	if (target[0] == '/')
		walk->real[0] = '\0';
	return 1;
}

/* realpath(3), which does not say by whose links it went. */
static bool find_real(struct walk *walk, const char *path)
{
	const int size = snprintf(walk->rest, sizeof walk->rest, "%s", path);
	bool done = size < 0 || (size_t)size >= PATH_MAX;
	for (char *at = walk->rest; !done && *(at += strspn(at, "/"));) {
		const size_t name = strcspn(at, "/"), parent = strlen(walk->real);
		char *slash = strrchr(walk->real, '/');
		int result = 0;
		if (name == 2 && strncmp(at, "..", 2) == 0) {
			if (slash)
				*slash = '\0';
		} else if (name != 1 || *at != '.') {
			if (parent + 1 + name >= sizeof walk->real)
				return false;
			snprintf(walk->real + parent, sizeof walk->real - parent, "/%.*s",
				(int)name, at);
			result = follow(walk, parent, at + name);
		}
		if (result < 0)
			return false;
		at = result ? walk->rest : at + name;
	}
	if (walk->real[0] == '\0')
		strcpy(walk->real, "/");
	return !done;
}

/* ---- the list ---- */

static bool has(const struct job_programs *programs, const char *path)
{
	for (size_t i = 0; i < programs->count; i++)
		if (strcmp(programs->items[i].path, path) == 0)
			return true;
	return false;
}

/* What is not there, or not within the tenant's reach, is left out: then it is not there. */
static int add(struct job_programs *programs, const char *path, int depth, struct error *error)
{
	struct stat status;
	struct walk walk = {.start = programs->start};
	const char *real = walk.real;
	if (depth > DEPTH_MAX || has(programs, path))
		return 0;
	if (!find_real(&walk, path) || lstat(real, &status) < 0 ||
		!(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
		return 0;
	/* A grant to run what the tenant may write is none to read what it would like to:
	 * neither by a link to that, nor by calling it a script's interpreter. */
	if (walk.led && !job_may_write(walk.start, real))
		return 0;
	if (depth > 0 && !(S_ISREG(status.st_mode) && status.st_mode & 0111))
		return 0;
	if (programs->count == JOB_PROGRAMS_MAX)
		return error_set(
			error, E2BIG, "more than %d programs and interpreters", JOB_PROGRAMS_MAX);
	struct job_program *item = &programs->items[programs->count];
	*item = (struct job_program){
		.path = strdup(path),
		.real = strdup(real),
		.folder = S_ISDIR(status.st_mode),
	};
	programs->count++;
	if (item->path == NULL || item->real == NULL)
		return error_set(error, ENOMEM, "no memory for a job's programs");
	return item->folder ? 0 : add_interpreters(programs, real, depth, error);
}

int job_programs_find(
	const struct worker_start *start, struct job_programs *ret_programs, struct error *error)
{
	ret_programs->start = start;
	ret_programs->count = 0;
	int result = add(ret_programs, start->entry, 0, error);
	for (size_t i = 0; result == 0 && i < start->exec_count; i++)
		result = add(ret_programs, start->exec[i], 0, error);
	for (size_t i = 0; result == 0 && i < ARRAY_LENGTH(loaders); i++)
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
	}
	programs->count = 0;
}
