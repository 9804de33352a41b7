/* The attacks inside a job: a program that the operator let run, and that turns out to be
 * the attacker's. Linked statically, so that nothing but itself is needed.
 *
 *   job_attack OUTSIDE FOLDER ABSTRACT SOCKET PORT VICTIM READ WRITE FILE
 *
 * Prints a line for each attack: number, id, name, flags, what came of it ("open",
 * "blocked", or "died"), errno; separated by tabs. Each is a process of its own. */
#include "attack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MAX 10

struct outcome {
	int succeeded, code;
};

/* Returns false when it did not come back. */
static bool run_alone(
	const struct attack *attack, struct attack_target *target, struct outcome *ret)
{
	int result[2];
	if (pipe(result) < 0)
		exit(1);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct outcome outcome;
		target->granted = result;
		target->granted_count = 2;
		alarm(SECONDS_MAX);
		outcome.succeeded = attack_run(attack, target, &outcome.code);
		_exit(write(result[1], &outcome, sizeof outcome) == sizeof outcome ? 0 : 1);
	}
	close(result[1]);
	bool came_back = pid > 0 && read(result[0], ret, sizeof *ret) == sizeof *ret;
	close(result[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return came_back;
}

int main(int argc, char **argv)
{
	if (argc != 10)
		return 2;
	struct attack_target target = {
		.outside_file = argv[1],
		.folder = argv[2],
		.abstract_name = argv[3],
		.socket_path = argv[4],
		.tcp_port = atoi(argv[5]),
		.listener = -1,
		.connected = -1,
		.accomplice = -1,
		.victim = atoi(argv[6]),
		.read_folder = argv[7],
		.write_folder = argv[8],
		.read_file = argv[9],
	};
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < attack_count; i++) {
		struct outcome outcome = {0};
		bool came_back = run_alone(&attacks[i], &target, &outcome);
		printf("%zu\t%s\t%s\t%u\t%s\t%d\n", i, attacks[i].id, attacks[i].name,
			attacks[i].flags,
			!came_back          ? "died"
			: outcome.succeeded ? "open"
					    : "blocked",
			outcome.code);
	}
	printf("end\n");
	return 0;
}
