#include "isolate/fork_pages.h"

#include "common/cleanup.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE 4096u
#define HUGE_PAGE (2u << 20)
#define MAPS_BYTES_MAX (1u << 20)
#define ENGINE_LIBRARY "/libnode.so"

struct mapping {
	uintptr_t start, end;
	char flags[5];
	char path[256];
};

/* Reads /proc/self/maps into TEXT, of MAPS_BYTES_MAX bytes, and ends it with a null. */
static int read_maps(char *text, struct error *error)
{
	cleanup_close int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = -1;
	if (fd >= 0)
		while (length < MAPS_BYTES_MAX - 1 &&
			(got = read(fd, text + length, MAPS_BYTES_MAX - 1 - length)) > 0)
			length += (size_t)got;
	if (got < 0)
		return error_errno(error, errno, "cannot read /proc/self/maps");
	text[length] = '\0';
	return got == 0 ? 0
			: error_set(error, EFBIG, "/proc/self/maps is larger than %u bytes",
				  MAPS_BYTES_MAX);
}

/* Calls VISIT for each line of /proc/self/maps, which is read whole before: VISIT may
 * change the mappings. The text is in shared memory, since malloc's would count among
 * the pages that are looked for. */
static int each_mapping(
	void (*visit)(const struct mapping *, void *), void *data, struct error *error)
{
	char *text = mmap(
		NULL, MAPS_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED)
		return error_errno(error, errno, "no memory for /proc/self/maps");
	int result = read_maps(text, error);
	char *rest = result == 0 ? text : NULL;
	for (char *line; (line = strsep(&rest, "\n"));) {
		struct mapping mapping = {0};
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %255[^\n]", &mapping.start, &mapping.end,
			    mapping.flags, mapping.path) >= 3)
			visit(&mapping, data);
	}
	munmap(text, MAPS_BYTES_MAX);
	return result;
}

/* ---- code ---- */

/* Whether all of [START, END) is on huge pages: else a fork would copy an entry for each
 * small page of it, and the remedy be worse than the illness. */
static bool is_huge(uintptr_t start, uintptr_t end)
{
	char line[256];
	bool inside = false;
	unsigned long total_kb = 0, kb;
	cleanup_fclose FILE *file = fopen("/proc/self/smaps", "re");
	while (file && fgets(line, sizeof line, file)) {
		uintptr_t from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from >= start && to <= end;
		else if (inside && sscanf(line, "AnonHugePages: %lu kB", &kb) == 1)
			total_kb += kb;
	}
	return total_kb * 1024 >= end - start;
}

static void move_to_huge_pages(const struct mapping *mapping)
{
	uintptr_t start = (mapping->start + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
	uintptr_t end = mapping->end & ~(uintptr_t)(HUGE_PAGE - 1);
	if (start >= end)
		return;
	size_t length = end - start;
	char *room = mmap(NULL, length + HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return;
	char *copy = (char *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	char *room_end = room + length + HUGE_PAGE;
	if (copy > room)
		munmap(room, (size_t)(copy - room));
	if (copy + length < room_end)
		munmap(copy + length, (size_t)(room_end - copy - length));
	if (madvise(copy, length, MADV_HUGEPAGE) == 0) {
		memcpy(copy, (const void *)start, length);
		/* The move replaces the code in one step; nobody else runs in it. */
		if (is_huge((uintptr_t)copy, (uintptr_t)copy + length) &&
			mprotect(copy, length, PROT_READ | PROT_EXEC) == 0 &&
			mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, start) !=
				MAP_FAILED)
			return;
	}
	munmap(copy, length);
}

/* A private mapping of a file has its page tables copied by fork once one of its pages was
 * written. Writing a byte over itself by way of /proc/self/mem needs no writable mapping. */
static void inherit_tables(const struct mapping *mapping, int memory)
{
	char byte = *(const volatile char *)mapping->start;
	(void)!pwrite(memory, &byte, 1, (off_t)mapping->start);
}

static void share_code(const struct mapping *mapping, void *data)
{
	const int *memory = data;
	if (strcmp(mapping->flags, "r-xp") != 0 || mapping->path[0] != '/')
		return;
	if (strstr(mapping->path, ENGINE_LIBRARY))
		move_to_huge_pages(mapping);
	inherit_tables(mapping, *memory);
}

int fork_pages_share_code(struct error *error)
{
	cleanup_close int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (memory < 0)
		return error_errno(error, errno, "cannot open /proc/self/mem");
	return each_mapping(share_code, &memory, error);
}

/* ---- the C library's heap ---- */

#define HOLE_MOST (64u << 10) /* below the size from which malloc maps memory of its own */
#define HOLE_LEAST 24u
#define HOLES_BYTES_MAX (16u << 20)

/* malloc keeps freed pieces of up to this size in lists for each multiple of 16, from which
 * no other size is served. */
#define LISTED_MOST 1032u
#define LIST_STEP 16u

void fork_pages_fill_holes(void)
{
	/* The rest of the heap behind the last piece in use; mallinfo(3): keepcost. */
	char *rest = (char *)sbrk(0) - mallinfo2().keepcost;
	size_t filled = 0;
	for (size_t size = HOLE_MOST; size >= HOLE_LEAST;) {
		char *piece = NULL;
		while (filled < HOLES_BYTES_MAX && (piece = malloc(size)) && piece < rest)
			filled += size;
		if (piece >= rest)
			free(piece); /* Not a hole. */
		if (size > LISTED_MOST)
			size = size - size / 8 > LISTED_MOST ? size - size / 8 : LISTED_MOST;
		else
			size -= LIST_STEP;
	}
}

/* ---- what a worker writes ---- */

struct range {
	uintptr_t start, end;
};

#define RANGES_MAX 512
#define REHEARSAL_SECONDS 2
static struct range ranges[RANGES_MAX];
static size_t range_count;

/* Bits of an entry of /proc/self/pagemap (admin-guide/mm/pagemap). */
#define PAGE_PRESENT (1ull << 63)
#define PAGE_OF_FILE (1ull << 61)
#define PAGE_EXCLUSIVE (1ull << 56)

struct search {
	int pagemap;
	size_t count;
	struct range found[RANGES_MAX];
};

static void add_page(struct search *search, uintptr_t page)
{
	if (search->count > 0 && search->found[search->count - 1].end == page)
		search->found[search->count - 1].end += PAGE;
	else if (search->count < RANGES_MAX)
		search->found[search->count++] = (struct range){page, page + PAGE};
}

/* Pages of a writable private mapping that are this process's alone: written since the
 * fork. */
static void find_own_pages(const struct mapping *mapping, void *data)
{
	struct search *search = data;
	uint64_t entries[512];
	if (mapping->flags[1] != 'w' || mapping->flags[3] != 'p')
		return;
	for (uintptr_t page = mapping->start; page < mapping->end;) {
		size_t want = (mapping->end - page) / PAGE;
		if (want > ARRAY_LENGTH(entries))
			want = ARRAY_LENGTH(entries);
		ssize_t got = pread(search->pagemap, entries, want * sizeof entries[0],
			(off_t)(page / PAGE * sizeof entries[0]));
		if (got <= 0)
			return;
		for (size_t i = 0; i < (size_t)got / sizeof entries[0]; i++, page += PAGE)
			if ((entries[i] & PAGE_PRESENT) && (entries[i] & PAGE_EXCLUSIVE) &&
				!(entries[i] & PAGE_OF_FILE))
				add_page(search, page);
	}
}

/* A function of its own, so that what it needs of the stack lies where REHEARSE's was. */
__attribute__((noinline)) static int tell_own_pages(int answer)
{
	struct search search;
	search.count = 0;
	search.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (search.pagemap < 0)
		return -errno;
	int result = each_mapping(find_own_pages, &search, NULL);
	return result < 0 ? result
			  : file_write_all(
				    answer, search.found, search.count * sizeof search.found[0]);
}

_Noreturn static void rehearse_and_tell(void (*rehearse)(void), int answer)
{
	alarm(REHEARSAL_SECONDS); /* One that hangs must cost the pages only, not the zygote. */
	rehearse();
	_exit(tell_own_pages(answer) < 0);
}

int fork_pages_learn(void (*rehearse)(void), struct error *error)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot make a pipe");
	cleanup_close int read_end = fds[0];
	pid_t pid = fork();
	if (pid == 0)
		rehearse_and_tell(rehearse, fds[1]);
	close(fds[1]);
	if (pid < 0)
		return error_errno(error, errno, "cannot fork for a rehearsal");
	size_t length = 0;
	ssize_t got;
	while (length < sizeof ranges &&
		(got = read(read_end, (char *)ranges + length, sizeof ranges - length)) > 0)
		length += (size_t)got;
	int status = 0;
	waitpid(pid, &status, 0);
	if (status != 0)
		return error_set(error, ECHILD, "the rehearsal ended with status %d", status);
	range_count = length / sizeof ranges[0];
	return 0;
}

void fork_pages_take(void)
{
	for (size_t i = 0; i < range_count; i++)
		if (madvise((void *)ranges[i].start, ranges[i].end - ranges[i].start,
			    MADV_POPULATE_WRITE) < 0 &&
			errno == EINVAL)
			return; /* An older kernel: the faults come one by one. */
}
