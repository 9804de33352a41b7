#include "daemon/deploying.h"

#include "daemon/logs.h"
#include "daemon/supervisor.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

const struct deploying *deploying_of(const struct supervisor *supervisor, const char *tenant)
{
	const struct deploying *next = supervisor->deploying;
	while (next && !(next->begun && strcmp(next->tenant, tenant) == 0))
		next = next->next;
	return next;
}

static int say_busy(const struct deploying *holder, struct error *error)
{
	char who[WHO_TEXT_MAX], since[32];
	const uint64_t now = now_us();
	return error_set(error, EBUSY,
		"%s is %s since %s (%llu s): wait for the outcome with --wait",
		who_text(&holder->who, who),
		holder->rolls_back ? "rolling it back" : "deploying to it",
		format_time(since, holder->since_us),
		(unsigned long long)(now > holder->since_us ? (now - holder->since_us) / 1000000
							    : 0));
}

int deploying_enter(struct deploying *deploying, bool wait, struct error *error)
{
	struct supervisor *supervisor = deploying->supervisor;
	const struct deploying *holder = deploying_of(supervisor, deploying->tenant);
	struct deploying **place = &supervisor->deploying;
	size_t waiting = 0;
	if (holder && !wait)
		return say_busy(holder, error);
	for (; *place; place = &(*place)->next)
		waiting += !(*place)->begun;
	if (holder && waiting >= DEPLOYING_WAITING_MAX)
		return error_set(error, EUSERS,
			"%d deployments wait already: try again when they are done",
			DEPLOYING_WAITING_MAX);
	deploying->since_us = now_us();
	deploying->begun = holder == NULL;
	deploying->next = NULL;
	*place = deploying;
	return deploying->begun;
}

static int its_turn(sd_event_source *source, void *data)
{
	struct deploying *deploying = data;
	(void)source;
	deploying->turn = sd_event_source_disable_unref(deploying->turn);
	deploying->begin(deploying);
	return 0;
}

/* Not at once: whoever leaves may do so from deep within a tenant's transition. */
int deploying_retry(struct deploying *deploying)
{
	deploying->turn = sd_event_source_disable_unref(deploying->turn);
	return sd_event_add_defer(
		deploying->supervisor->event, &deploying->turn, its_turn, deploying);
}

void deploying_leave(struct deploying *deploying)
{
	struct supervisor *supervisor = deploying->supervisor;
	struct deploying **place = &supervisor->deploying;
	while (*place && *place != deploying)
		place = &(*place)->next;
	if (*place == NULL)
		return;
	*place = deploying->next;
	deploying->turn = sd_event_source_disable_unref(deploying->turn);
	if (!deploying->begun)
		return;
	for (struct deploying *next = supervisor->deploying; next; next = next->next) {
		if (next->begun || strcmp(next->tenant, deploying->tenant) != 0)
			continue;
		next->begun = true;
		next->since_us = now_us();
		if (deploying_retry(next) < 0) {
			/* Out of memory: it is its turn all the same. */
			next->begin(next);
		}
		return;
	}
}
