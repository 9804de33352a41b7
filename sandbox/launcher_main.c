/* tenant-launcher: forks the processes that become jobs (sandbox/job.h) when the
 * supervisor, at descriptor 3, asks: a fork server like tenant-zygote, without V8. It has
 * the host's files before it, from which jobs take what they are granted, and runs no
 * program itself. */
#include "common/log.h"
#include "sandbox/fork_server.h"
#include "sandbox/job.h"

#include <signal.h>
#include <sys/prctl.h>

static void become_job(int channel, uint32_t instance, void *data)
{
	job_main(channel, instance, data);
}

int main(void)
{
	struct error error = {0};
	struct job_filter *filter;

	log_init("tenant-launcher");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN); /* A Ctrl-C is the supervisor's to handle. */
	if (job_filter_build(&filter, &error) < 0) {
		log_error("%s", error.message);
		fork_server_failed(&error);
		return 1;
	}
	/* No namespaces ahead: a job brings up loopback in its own, which it must own. */
	return fork_server_run(&(struct fork_server){.child = become_job, .data = filter});
}
