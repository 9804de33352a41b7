/* Which pages a child of fork owns is asked of the kernel: /proc/self/pagemap says of each
 * page whether this process alone has it. */
#include "isolate/fork_pages.h"

#include "common/cleanup.h"
#include "test/unit/engine_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define REGION_PAGES 64u
#define PAGE_EXCLUSIVE (1ull << 56)
#define PAGE_PRESENT (1ull << 63)

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static char *region;

static bool is_own(const void *address)
{
	uint64_t entry = 0;
	cleanup_close int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (off_t)((uintptr_t)address / PAGE * sizeof entry);
	return pread(pagemap, &entry, sizeof entry, at) == sizeof entry && (entry & PAGE_PRESENT) &&
	       (entry & PAGE_EXCLUSIVE);
}

static unsigned own_pages(const char *start, unsigned pages)
{
	unsigned count = 0;
	for (unsigned i = 0; i < pages; i++)
		count += is_own(start + i * PAGE);
	return count;
}

/* What CHILD returns in a child of fork: its exit status, or 256 and more for a signal. */
static int in_child(int (*child)(void))
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(child());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int make_region(void **state)
{
	(void)state;
	region = mmap(NULL, REGION_PAGES * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED)
		return -1;
	madvise(region, REGION_PAGES * PAGE, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < REGION_PAGES; i++)
		memset(region + i * PAGE, (int)i + 1, PAGE);
	return 0;
}

static int drop_region(void **state)
{
	(void)state;
	return munmap(region, REGION_PAGES * PAGE);
}

/* ---- what a worker writes ---- */

static void write_three_pages(void)
{
	region[3 * PAGE] = 99;
	region[4 * PAGE + 17] = 99;
	region[40 * PAGE + PAGE - 1] = 99;
}

static void do_nothing(void)
{
}

static void only_read(void)
{
	for (unsigned i = 0; i < REGION_PAGES; i++)
		(void)*(volatile char *)(region + i * PAGE);
}

static void crash(void)
{
	region[3 * PAGE] = 99;
	raise(SIGKILL);
}

static int count_own(void)
{
	return (int)own_pages(region, REGION_PAGES);
}

static int take_and_count(void)
{
	fork_pages_take();
	return (int)own_pages(region, REGION_PAGES);
}

/* 0: the right ones, and what is in them is as it was. */
static int take_and_check(void)
{
	fork_pages_take();
	if (!is_own(region + 3 * PAGE) || !is_own(region + 4 * PAGE) || !is_own(region + 40 * PAGE))
		return 1;
	for (unsigned i = 0; i < REGION_PAGES; i++)
		for (unsigned at = 0; at < PAGE; at++)
			if (region[i * PAGE + at] != (char)(i + 1))
				return 2;
	return 0;
}

static void learned_pages_are_own_after_take(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(fork_pages_learn(write_three_pages, &error), 0);
	assert_int_equal(in_child(count_own), 0);
	assert_int_equal(in_child(take_and_count), 3);
	assert_int_equal(in_child(take_and_check), 0);
}

static void rehearsal_leaves_the_zygote_as_it_was(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(fork_pages_learn(write_three_pages, &error), 0);
	assert_int_equal(region[3 * PAGE], 4);
}

static void pages_that_are_only_read_stay_shared(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(fork_pages_learn(only_read, &error), 0);
	assert_int_equal(in_child(take_and_count), 0);
}

static void last_rehearsal_counts(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(fork_pages_learn(write_three_pages, &error), 0);
	assert_int_equal(fork_pages_learn(do_nothing, &error), 0);
	assert_int_equal(in_child(take_and_count), 0);
}

static void rehearsal_that_dies_is_an_error(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(fork_pages_learn(crash, &error), -ECHILD);
	assert_contains(error.message, "the rehearsal ended");
}

#define HEAP_BYTES (100u << 10) /* malloc gives back no end of the heap that is smaller */
static const char *heap_end;

static int take_and_count_heap(void)
{
	fork_pages_take();
	return (int)own_pages(heap_end, HEAP_BYTES / PAGE);
}

/* Looking for the pages must not itself use the memory in which it looks. */
static void search_finds_nothing_of_its_own(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); /* another malloc */
	struct error error = {0};
	char *piece = malloc(HEAP_BYTES);
	assert_non_null(piece);
	memset(piece, 1, HEAP_BYTES);
	/* The first page has malloc's own marks of what follows. */
	heap_end = piece + PAGE;
	free(piece);
	assert_int_equal(fork_pages_learn(do_nothing, &error), 0);
	assert_true(in_child(take_and_count_heap) <= 2);
}

/* ---- the C library's heap ---- */

#define PIECES 4000u

static size_t piece_size(unsigned i)
{
	return 24 + i * 37 % 3000;
}

static void filled_holes_are_not_given_out_again(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	static char *pieces[PIECES];
	for (unsigned i = 0; i < PIECES; i++) {
		assert_non_null(pieces[i] = malloc(piece_size(i)));
		memset(pieces[i], (int)i, piece_size(i));
	}
	char *last = pieces[0];
	for (unsigned i = 0; i < PIECES; i++)
		last = pieces[i] > last ? pieces[i] : last;
	for (unsigned i = 0; i < PIECES; i += 2) {
		free(pieces[i]);
		pieces[i] = NULL;
	}
	fork_pages_fill_holes();
	unsigned in_holes = 0;
	for (unsigned i = 0; i < PIECES; i += 2) {
		assert_non_null(pieces[i] = malloc(piece_size(i)));
		memset(pieces[i], (int)i, piece_size(i));
		in_holes += pieces[i] < last;
	}
	/* malloc rounds sizes up, so that single pieces can slip through. */
	assert_true(in_holes <= PIECES / 100);
	for (unsigned i = 0; i < PIECES; i++) {
		for (size_t at = 0; at < piece_size(i); at++)
			assert_int_equal((unsigned char)pieces[i][at], i & 0xff);
		free(pieces[i]);
	}
	assert_int_equal(malloc_trim(0) & ~1, 0);
}

/* ---- code ---- */

static int run_in_child(void)
{
	harness_in_child = true;
	SCOPE;
	return strcmp(run("[3, 1, 2].sort().map((x) => native.add(x, 1)).join()"), "2,3,4") == 0
		       ? 0
		       : 1;
}

static bool huge_pages_allowed(void)
{
	char text[64] = "never";
	cleanup_close int fd =
		open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, text, sizeof text - 1);
	text[got > 0 ? got : 0] = '\0';
	return got > 0 && !strstr(text, "[never]");
}

/* The engine's machine code that lies in anonymous memory: it was moved. */
static unsigned long moved_code_kb(void)
{
	char line[512], flags[5], path[256];
	unsigned long start, end, kb = 0, code_end = 0;
	FILE *file = fopen("/proc/self/maps", "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		path[0] = '\0';
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %255[^\n]", &start, &end, flags, path) <
			3)
			continue;
		if (strcmp(flags, "r-xp") == 0 && path[0] == '\0' && start == code_end)
			kb += (end - start) >> 10;
		code_end = strstr(path, "/libnode.so") ? end : 0;
	}
	fclose(file);
	return kb;
}

static void code_runs_on_after_its_move(void **state)
{
	(void)state;
	struct error error = {0};
	assert_int_equal(moved_code_kb(), 0);
	assert_int_equal(fork_pages_share_code(&error), 0);
	SCOPE;
	assert_runs("JSON.stringify({ a: [1, 2.5, 'three'] })", "{\"a\":[1,2.5,\"three\"]}");
	assert_runs("/(a+)b/.exec('xaab')[1]", "aa");
	assert_int_equal(in_child(run_in_child), 0);
	if (!huge_pages_allowed()) {
		print_message("skipped: this kernel gives no huge pages\n");
		skip();
	}
	if (moved_code_kb() == 0)
		print_message("no huge page was free: the code stayed where it was\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			learned_pages_are_own_after_take, make_region, drop_region),
		cmocka_unit_test_setup_teardown(
			rehearsal_leaves_the_zygote_as_it_was, make_region, drop_region),
		cmocka_unit_test_setup_teardown(
			pages_that_are_only_read_stay_shared, make_region, drop_region),
		cmocka_unit_test_setup_teardown(last_rehearsal_counts, make_region, drop_region),
		cmocka_unit_test_setup_teardown(
			rehearsal_that_dies_is_an_error, make_region, drop_region),
		cmocka_unit_test(search_finds_nothing_of_its_own),
		cmocka_unit_test(filled_holes_are_not_given_out_again),
		cmocka_unit_test(code_runs_on_after_its_move),
	};
	return cmocka_run_group_tests(tests, harness_open, harness_close);
}
