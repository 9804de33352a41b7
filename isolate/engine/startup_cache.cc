/* V8 keeps two lists of what a context's part of the snapshot refers to outside of it: strings,
 * and functions, scopes and code; tens of thousands with this library. They are only read while
 * a context is made out of the snapshot, but every collection walks them, which is most of the
 * time of a collection of short-lived things. An engine has one context; once that is there,
 * they are cut: each ends with the first `undefined` in it.
 *
 * V8 has no interface for it. The lists are vectors in the isolate's object, side by side, and
 * are taken only if those two look like them in every entry, and nothing else does; else all
 * stays as it is, and collections are slower. */
#include "isolate/engine/internal.h"

#include <malloc.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

namespace
{

using word = v8::internal::Address;

enum {
	ENTRIES_MIN = 1000, /* what has fewer costs nothing, or is something else */
	ENTRIES_MAX = 1 << 20,
};

struct list {
	word *begin, *end, *capacity;
};

/* False where FROM is no memory: what looks like a pointer need not be one. */
bool read_safely(const void *from, void *to, size_t length)
{
	struct iovec local = {to, length}, remote = {const_cast<void *>(from), length};
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)length;
}

size_t count_of(const struct list &list)
{
	return ((uintptr_t)list.end - (uintptr_t)list.begin) / sizeof(word);
}

bool is_plausible(const struct list &list)
{
	const uintptr_t begin = (uintptr_t)list.begin, end = (uintptr_t)list.end,
			capacity = (uintptr_t)list.capacity;
	return begin && begin % sizeof(word) == 0 && end % sizeof(word) == 0 && begin < end &&
	       end <= capacity && count_of(list) >= ENTRIES_MIN &&
	       (capacity - begin) / sizeof(word) <= 2 * ENTRIES_MAX;
}

/* Heap objects all along, and `undefined` at the end alone. */
bool is_cache(const word *entries, size_t count, word undefined)
{
	for (size_t i = 0; i + 1 < count; i++)
		if ((entries[i] & 3) != 1 || entries[i] == undefined)
			return false;
	return entries[count - 1] == undefined;
}

bool looks_like_cache(const struct list &list, word undefined)
{
	if (!is_plausible(list))
		return false;
	std::vector<word> copy(count_of(list));
	return read_safely(list.begin, copy.data(), copy.size() * sizeof(word)) &&
	       is_cache(copy.data(), copy.size(), undefined);
}

/* Where in an isolate's object the two are; 0 when they are not to be found. */
size_t find(v8::Isolate *isolate, word undefined)
{
	std::vector<size_t> found;
	std::vector<char> object(malloc_usable_size(isolate));
	if (!read_safely(isolate, object.data(), object.size()))
		return 0;
	for (size_t at = 0; at + sizeof(struct list) <= object.size(); at += sizeof(word)) {
		struct list list;
		memcpy(&list, object.data() + at, sizeof list);
		if (looks_like_cache(list, undefined))
			found.push_back(at);
	}
	return found.size() == 2 && found[1] - found[0] == sizeof(struct list) ? found[0] : 0;
}

} // namespace

void startup_cache_drop(struct engine *engine)
{
	const word undefined = v8::internal::Internals::GetRoot(
		engine->isolate, v8::internal::Internals::kUndefinedValueRootIndex);
	/* The same in every isolate. Those of threads come when the process is confined, and
	 * cannot ask the kernel whether something is memory. */
	static const size_t offset = find(engine->isolate, undefined);
	if (!offset)
		return;
	struct list lists[2];
	memcpy(lists, reinterpret_cast<const char *>(engine->isolate) + offset, sizeof lists);
	for (const struct list &list : lists)
		if (!is_plausible(list) || !is_cache(list.begin, count_of(list), undefined))
			return;
	for (const struct list &list : lists)
		list.begin[0] = undefined;
	engine->startup_cache_dropped = true;
}

bool engine_startup_cache_dropped(const struct engine *engine)
{
	return engine->startup_cache_dropped;
}
