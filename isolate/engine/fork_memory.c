/* libnode's V8 is built so that all its memory is marked MADV_DONTFORK: a child of
 * fork that touches its isolate dies. The zygote lives from such children, so this
 * definition of madvise(2) in the executable takes the place of the C library's and
 * leaves that one advice out. */
#include "isolate/engine/fork_memory.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int madvise(void *address, size_t length, int advice)
{
	if (advice == MADV_DONTFORK)
		return 0;
	return (int)syscall(SYS_madvise, address, length, advice);
}

void fork_memory_link(void)
{
}
