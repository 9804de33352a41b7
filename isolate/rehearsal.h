/* A worker's start and first request, played through in a process that is thrown away:
 * for fork_pages_learn. */
#pragma once

/* Never fails loudly: what does not work is not learned. Needs worker_bind. The caller
 * exits afterwards. */
void rehearse_worker(void);
