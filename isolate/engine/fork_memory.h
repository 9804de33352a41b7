/* See fork_memory.c. Calling fork_memory_link makes the linker take that file, and so
 * its madvise, out of the static library. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

void fork_memory_link(void);

#ifdef __cplusplus
}
#endif
