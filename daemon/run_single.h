/* `tenantd run`: one program in the foreground, as the only one of a container. No store, no
 * state, no control socket: the daemon starts one worker, passes on what it writes and what
 * signals come, and ends with its exit code. Whether it starts again is for whoever
 * started the container to say. */
#pragma once

/* ARGUMENTS[0] is "run". RUNTIME: the folder of tenant-zygote. Returns the exit code. */
int run_single_main(int argument_count, char **arguments, const char *runtime);
