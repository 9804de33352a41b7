/* orphans COUNT: leaves COUNT processes without a parent, which end a moment later. Run inside of
 * a container by `podman exec`, where they become children of its first process. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const int count = argc > 1 ? atoi(argv[1]) : 1;
	for (int i = 0; i < count; i++)
		if (fork() == 0) {
			usleep(100000 + 1000 * (useconds_t)i);
			_exit(i);
		}
	printf("%d\n", count);
	return 0;
}
