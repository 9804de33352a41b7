#include "isolate/code_cache.h"

#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/modules.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "tntcode1"
#define URL_MOST 4096

/* Then, for each module: a struct record, its URL and its cache. */
struct head {
	char magic[8];
	uint64_t tag; /* engine_cache_tag(): of V8's version and flags */
};
struct record {
	uint32_t url_length, cache_length;
};

static const char *mapped;
static size_t mapped_length;

void code_cache_map(int fd)
{
	struct stat status;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
		(size_t)status.st_size < sizeof(struct head))
		return;
	void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return; /* there is none, then */
	mapped = data;
	mapped_length = (size_t)status.st_size;
}

/* Takes SIZE bytes off the front; NULL when there are fewer. */
static const char *take(size_t *at, size_t size)
{
	if (size > mapped_length - *at)
		return NULL;
	const char *data = mapped + *at;
	*at += size;
	return data;
}

static bool offer_next(size_t *at)
{
	struct record record;
	char url[URL_MOST];
	const char *data = take(at, sizeof record);
	if (!data)
		return false;
	memcpy(&record, data, sizeof record);
	const char *name = take(at, record.url_length);
	const char *cache = name ? take(at, record.cache_length) : NULL;
	if (!cache || record.url_length >= sizeof url)
		return false;
	memcpy(url, name, record.url_length);
	url[record.url_length] = '\0';
	engine_code_cache_offer(runtime.engine, url, cache, record.cache_length);
	return true;
}

void code_cache_offer(void)
{
	struct head head;
	size_t at = sizeof head;
	if (!mapped)
		return;
	memcpy(&head, mapped, sizeof head);
	if (memcmp(head.magic, MAGIC, sizeof head.magic) == 0 && head.tag == engine_cache_tag())
		while (offer_next(&at))
			;
	munmap((void *)mapped, mapped_length);
	mapped = NULL;
}

/* ---- making ---- */

static void write_or_end(const void *data, size_t length)
{
	if (file_write_all(STDOUT_FILENO, data, length) < 0)
		runtime_exit(WORKER_REASON_BOOT, 1, "its code cache cannot be written");
}

static uint32_t written;

static void write_one(void *arg, const char *url)
{
	cleanup_free void *data = NULL;
	size_t length;
	(void)arg;
	if (strncmp(url, "file:", 5) != 0 || strlen(url) >= URL_MOST ||
		engine_code_cache_make(runtime.engine, url, &data, &length) < 0)
		return;
	const struct record record = {(uint32_t)strlen(url), (uint32_t)length};
	write_or_end(&record, sizeof record);
	write_or_end(url, record.url_length);
	write_or_end(data, length);
	written++;
}

_Noreturn void code_cache_write(const char *entry)
{
	struct head head = {.tag = engine_cache_tag()};
	cleanup_free char *url = modules_find_entry(entry);
	memcpy(head.magic, MAGIC, sizeof head.magic);
	if (!url || engine_module_load(runtime.engine, url) < 0)
		runtime_exit(WORKER_REASON_BOOT, 1, "its entry is no module");
	write_or_end(&head, sizeof head);
	engine_modules_each(runtime.engine, write_one, NULL);
	if (written == 0)
		runtime_exit(WORKER_REASON_BOOT, 1, "its code cache is empty");
	runtime_exit(WORKER_REASON_EXIT, 0, "its code cache was made");
}
