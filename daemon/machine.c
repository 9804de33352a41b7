#include "daemon/machine.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdbool.h>

/* One cell of the table. An absent cell is an event that is refused in that state. */
struct cell {
	bool allowed;
	bool back; /* go to machine.back instead of NEXT */
	bool try;  /* REJECTED becomes machine.back */
	enum tenant_state next;
	enum tenant_state rejected;
	uint32_t actions;
};

#define RESET TENANT_ACTION_RESET
#define CANCEL TENANT_ACTION_CANCEL
#define REJECT (TENANT_ACTION_CANCEL | TENANT_ACTION_REJECT)
#define PROMOTE TENANT_ACTION_PROMOTE
#define RETIRE TENANT_ACTION_RETIRE
#define BEGIN (TENANT_ACTION_OPEN | TENANT_ACTION_START)
#define GROW TENANT_ACTION_GROW
#define DELAY TENANT_ACTION_DELAY
#define PROVE TENANT_ACTION_PROVE
#define SHARE TENANT_ACTION_SHARE
#define WATCH TENANT_ACTION_WATCH
#define CLOSE TENANT_ACTION_CLOSE
#define FORGET TENANT_ACTION_FORGET

#define TO(state, todo) {.allowed = true, .next = TENANT_##state, .actions = (todo)}
#define TRY(state, todo, otherwise)                                                                \
	{.allowed = true,                                                                          \
		.try = true,                                                                       \
		.next = TENANT_##state,                                                            \
		.actions = (todo),                                                                 \
		.rejected = TENANT_##otherwise}
#define GO_BACK(todo) {.allowed = true, .back = true, .actions = (todo)}

static const struct {
	const char *name;
	const char *meaning;
	uint32_t entry; /* actions of whoever comes from another state */
	struct cell on[TENANT_EVENT_COUNT];
} states[TENANT_STATE_COUNT] = {
	[TENANT_NEW] = {"new", "a name; nothing was ever deployed under it", FORGET,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, BEGIN, NEW),
		}},
	[TENANT_STOPPED] = {"stopped", "nothing runs, and nothing should", CLOSE,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, RESET | BEGIN, STOPPED),
			[TENANT_EVENT_START] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_STOP] = TO(STOPPED, 0),
			[TENANT_EVENT_RESTART] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_RESET] = TO(STOPPED, RESET),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_EMPTY] = TO(STOPPED, 0),
		}},
	[TENANT_STARTING] = {"starting", "nothing serves; instances start", 0,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, CANCEL | BEGIN, BACKOFF),
			[TENANT_EVENT_START] = TO(STARTING, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(STARTING, CANCEL | BEGIN),
			[TENANT_EVENT_RESET] = TO(STARTING, RESET),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(STARTING, 0),
			[TENANT_EVENT_READY] = TO(RUNNING, PROMOTE),
			[TENANT_EVENT_TRIAL] = TO(PROVING, 0),
			[TENANT_EVENT_REJECTED] = GO_BACK(REJECT),
			[TENANT_EVENT_UNFIT] = TO(BACKOFF, CANCEL),
			[TENANT_EVENT_FINISHED] = TO(STOPPED, CANCEL),
			[TENANT_EVENT_GAVE_UP] = TO(CRASHLOOP, CANCEL),
			[TENANT_EVENT_FAILED] = TO(FAILED, CANCEL),
			[TENANT_EVENT_EMPTY] = TO(STARTING, 0),
		}},
	[TENANT_RUNNING] = {"running", "its instances serve", 0,
		{
			[TENANT_EVENT_DEPLOY] = TRY(REPLACING, BEGIN, RUNNING),
			[TENANT_EVENT_START] = TO(RUNNING, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TRY(REPLACING, BEGIN, RUNNING),
			[TENANT_EVENT_RESET] = TO(RUNNING, RESET),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(RUNNING, 0),
			[TENANT_EVENT_EXITED] = TO(BACKOFF, RETIRE),
			[TENANT_EVENT_FINISHED] = TO(STOPPED, RETIRE),
			[TENANT_EVENT_GAVE_UP] = TO(CRASHLOOP, RETIRE),
			[TENANT_EVENT_FAILED] = TO(FAILED, RETIRE),
			[TENANT_EVENT_IDLE] = TO(IDLE, RETIRE),
		}},
	[TENANT_REPLACING] = {"replacing", "its instances serve, others start beside them", 0,
		{
			[TENANT_EVENT_DEPLOY] = TO(REPLACING, CANCEL | BEGIN),
			[TENANT_EVENT_START] = TO(REPLACING, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(REPLACING, 0),
			[TENANT_EVENT_RESET] = TO(REPLACING, RESET),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(REPLACING, 0),
			[TENANT_EVENT_READY] = TO(RUNNING, RETIRE | PROMOTE),
			[TENANT_EVENT_TRIAL] = TRY(PROVING, 0, RUNNING),
			[TENANT_EVENT_CANARY] = TRY(CANARY, 0, RUNNING),
			[TENANT_EVENT_REJECTED] = GO_BACK(REJECT),
			[TENANT_EVENT_EXITED] = TRY(STARTING, RETIRE, BACKOFF),
			[TENANT_EVENT_FINISHED] = TRY(STARTING, RETIRE, BACKOFF),
			[TENANT_EVENT_GAVE_UP] = TRY(STARTING, RETIRE, BACKOFF),
			[TENANT_EVENT_FAILED] = TRY(STARTING, RETIRE, BACKOFF),
		}},
	[TENANT_PROVING] = {"proving", "the new instances are ready, and must stay so for a while",
		PROVE,
		{
			[TENANT_EVENT_START] = TO(PROVING, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESET] = TO(PROVING, RESET),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(PROVING, 0),
			[TENANT_EVENT_READY] = TO(RUNNING, RETIRE | PROMOTE),
			[TENANT_EVENT_REJECTED] = GO_BACK(REJECT),
			[TENANT_EVENT_EXITED] = TRY(PROVING, RETIRE, BACKOFF),
			[TENANT_EVENT_FINISHED] = TRY(PROVING, RETIRE, BACKOFF),
			[TENANT_EVENT_GAVE_UP] = TRY(PROVING, RETIRE, BACKOFF),
			[TENANT_EVENT_FAILED] = TRY(PROVING, RETIRE, BACKOFF),
		}},
	[TENANT_CANARY] = {"canary",
		"some new instances serve beside the old ones, until the operator decides", SHARE,
		{
			[TENANT_EVENT_START] = TO(CANARY, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESET] = TO(CANARY, RESET),
			[TENANT_EVENT_PROMOTE] = TO(REPLACING, GROW),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(CANARY, 0),
			[TENANT_EVENT_REJECTED] = GO_BACK(REJECT),
			[TENANT_EVENT_EXITED] = TRY(CANARY, RETIRE, BACKOFF),
			[TENANT_EVENT_FINISHED] = TRY(CANARY, RETIRE, BACKOFF),
			[TENANT_EVENT_GAVE_UP] = TRY(CANARY, RETIRE, BACKOFF),
			[TENANT_EVENT_FAILED] = TRY(CANARY, RETIRE, BACKOFF),
		}},
	[TENANT_IDLE] = {"idle", "scaled to zero; the next connection starts it", WATCH,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, BEGIN, IDLE),
			[TENANT_EVENT_START] = TO(STARTING, BEGIN),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(STARTING, BEGIN),
			[TENANT_EVENT_RESET] = TO(IDLE, RESET),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(STARTING, BEGIN),
			[TENANT_EVENT_EMPTY] = TO(IDLE, 0),
		}},
	[TENANT_BACKOFF] = {"backoff", "ended by itself; starts again after a delay", DELAY,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, BEGIN, BACKOFF),
			[TENANT_EVENT_START] = TO(STARTING, BEGIN),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(STARTING, BEGIN),
			[TENANT_EVENT_RESET] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(BACKOFF, 0),
			[TENANT_EVENT_BACKOFF_OVER] = TO(STARTING, BEGIN),
			[TENANT_EVENT_EMPTY] = TO(BACKOFF, 0),
		}},
	[TENANT_CRASHLOOP] = {"crashloop", "ended by itself too often; waits for the operator",
		CLOSE,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, RESET | BEGIN, CRASHLOOP),
			[TENANT_EVENT_START] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_RESET] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_EMPTY] = TO(CRASHLOOP, 0),
		}},
	[TENANT_FAILED] = {"failed",
		"ended by itself, and tenant.json wants no other try; waits for the operator",
		CLOSE,
		{
			[TENANT_EVENT_DEPLOY] = TRY(STARTING, RESET | BEGIN, FAILED),
			[TENANT_EVENT_START] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_RESET] = TO(STARTING, RESET | BEGIN),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_EMPTY] = TO(FAILED, 0),
		}},
	[TENANT_STOPPING] = {"stopping", "drains", REJECT | RETIRE | CLOSE,
		{
			[TENANT_EVENT_START] = TO(CYCLING, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(CYCLING, 0),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_EMPTY] = TO(STOPPED, 0),
		}},
	[TENANT_CYCLING] = {"cycling", "drains, and starts again afterwards", 0,
		{
			[TENANT_EVENT_START] = TO(CYCLING, 0),
			[TENANT_EVENT_STOP] = TO(STOPPING, 0),
			[TENANT_EVENT_RESTART] = TO(CYCLING, 0),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_WAKE] = TO(CYCLING, 0),
			[TENANT_EVENT_EMPTY] = TO(STARTING, RESET | BEGIN),
		}},
	[TENANT_REMOVING] = {"removing", "drains, and is forgotten afterwards",
		REJECT | RETIRE | CLOSE,
		{
			[TENANT_EVENT_STOP] = TO(REMOVING, 0),
			[TENANT_EVENT_REMOVE] = TO(REMOVING, 0),
			[TENANT_EVENT_EMPTY] = TO(NEW, 0),
		}},
};

static const struct {
	const char *name;
	const char *meaning;
} events[TENANT_EVENT_COUNT] = {
	[TENANT_EVENT_DEPLOY] = {"deploy", "a release or a policy is to be tried"},
	[TENANT_EVENT_START] = {"start", "the operator's, or the daemon's own at its start"},
	[TENANT_EVENT_STOP] = {"stop", "the operator's, or the daemon's own at its end"},
	[TENANT_EVENT_RESTART] = {"restart", "the operator's"},
	[TENANT_EVENT_RESET] = {"reset", "the operator's"},
	[TENANT_EVENT_PROMOTE] = {"promote", "the operator's"},
	[TENANT_EVENT_REMOVE] = {"remove", "the operator's"},
	[TENANT_EVENT_WAKE] = {"wake", "a connection, or something else to do"},
	[TENANT_EVENT_READY] = {"ready", "the starting instances are ready, and take over"},
	[TENANT_EVENT_TRIAL] = {"trial",
		"the starting instances are ready, and must stay so for `min_healthy`"},
	[TENANT_EVENT_CANARY] = {"canary",
		"the starting instances are ready, and serve beside the others until `promote`"},
	[TENANT_EVENT_REJECTED] = {"rejected",
		"the starting instances are not fit, or not wanted, and something older goes on"},
	[TENANT_EVENT_UNFIT] = {"unfit",
		"the starting instances are not fit, and there is nothing older"},
	[TENANT_EVENT_EXITED] = {"exited", "the serving instances ended by themselves"},
	[TENANT_EVENT_FINISHED] = {"finished",
		"the instances ended by themselves, and their release wants no others after them"},
	[TENANT_EVENT_GAVE_UP] = {"gave-up", "unfit or exited, once too often"},
	[TENANT_EVENT_FAILED] = {"failed", "unfit or exited, with `restart: never`"},
	[TENANT_EVENT_IDLE] = {"idle", "nothing to do for as long as `idle` says"},
	[TENANT_EVENT_BACKOFF_OVER] = {"backoff-over", "the delay has passed"},
	[TENANT_EVENT_EMPTY] = {"empty", "no instance is left, draining ones included"},
};

static const struct {
	enum tenant_action action;
	const char *text;
} actions[] = {
	{TENANT_ACTION_RESET, "forget earlier failures"},
	{TENANT_ACTION_CANCEL, "the starting instances go"},
	{TENANT_ACTION_REJECT, "drop the deployment"},
	{TENANT_ACTION_RETIRE, "the serving instances drain"},
	{TENANT_ACTION_PROMOTE, "the started instances serve"},
	{TENANT_ACTION_OPEN, "open the listeners"},
	{TENANT_ACTION_START, "start instances"},
	{TENANT_ACTION_GROW, "start what the canary lacks"},
	{TENANT_ACTION_DELAY, "wait"},
	{TENANT_ACTION_PROVE, "wait for the healthy time"},
	{TENANT_ACTION_SHARE, "share the connections"},
	{TENANT_ACTION_WATCH, "wait for a connection"},
	{TENANT_ACTION_CLOSE, "close the listeners"},
	{TENANT_ACTION_FORGET, "forget the tenant"},
};

int machine_step(struct machine *machine, enum tenant_event event, struct machine_step *ret_step)
{
	const struct cell *cell = &states[machine->state].on[event];
	if (!cell->allowed)
		return -EPERM;
	enum tenant_state next = cell->back ? machine->back : cell->next;
	struct machine_step step = {
		.from = machine->state,
		.to = next,
		.actions = cell->actions,
	};
	if (next != machine->state)
		step.actions |= states[next].entry;
	if (cell->try)
		machine->back = cell->rejected;
	machine->state = next;
	*ret_step = step;
	return 0;
}

const char *tenant_state_name(enum tenant_state state)
{
	return states[state].name;
}

const char *tenant_event_name(enum tenant_event event)
{
	return events[event].name;
}

static void print_actions(FILE *file, uint32_t bits)
{
	const char *separator = "";
	for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
		if (!(bits & actions[i].action))
			continue;
		fprintf(file, "%s%s", separator, actions[i].text);
		separator = "; ";
	}
}

static void print_state(FILE *file, enum tenant_state state)
{
	fprintf(file, "\n## %s\n\n%s.", states[state].name, states[state].meaning);
	if (states[state].entry) {
		fprintf(file, " On entry: ");
		print_actions(file, states[state].entry);
		fprintf(file, ".");
	}
	fprintf(file, "\n\n| event | next state | actions |\n| --- | --- | --- |\n");
	for (int event = 0; event < TENANT_EVENT_COUNT; event++) {
		const struct cell *cell = &states[state].on[event];
		if (!cell->allowed)
			continue;
		const char *next =
			cell->back ? "what the deployment found" : states[cell->next].name;
		fprintf(file, "| %s | %s | ", events[event].name, next);
		print_actions(file, cell->actions);
		fprintf(file, " |\n");
	}
}

/* One arrow for each pair of states, with all events that lead along it. */
static bool leads_to(enum tenant_state from, int event, enum tenant_state to)
{
	const struct cell *cell = &states[from].on[event];
	if (!cell->allowed || cell->back)
		return false;
	return cell->next == to;
}

static void print_arrow(FILE *file, enum tenant_state from, enum tenant_state to)
{
	const char *separator = "";
	for (int event = 0; event < TENANT_EVENT_COUNT; event++) {
		if (!leads_to(from, event, to))
			continue;
		if (separator[0] == '\0')
			fprintf(file, "    %s --> %s: ", states[from].name, states[to].name);
		fprintf(file, "%s%s", separator, events[event].name);
		separator = ", ";
	}
	if (separator[0])
		fprintf(file, "\n");
}

/* Without what any state but `new` allows: stop, and remove. */
static bool is_everywhere(enum tenant_state from, enum tenant_state to)
{
	return from != to &&
	       ((to == TENANT_STOPPING && from != TENANT_CYCLING) || to == TENANT_REMOVING);
}

static void print_diagram(FILE *file)
{
	fprintf(file, "\n```mermaid\nstateDiagram-v2\n    [*] --> new\n");
	for (int from = 0; from < TENANT_STATE_COUNT; from++)
		for (int to = 0; to < TENANT_STATE_COUNT; to++)
			if (from != to &&
				!is_everywhere((enum tenant_state)from, (enum tenant_state)to))
				print_arrow(file, (enum tenant_state)from, (enum tenant_state)to);
	fprintf(file, "    new --> [*]\n```\n\n"
		      "Not drawn: from every state but `new`, `stop` leads to `stopping` and "
		      "`remove` to `removing`;\nand `rejected` leads back to the state in which "
		      "the deployment began.\n");
}

void machine_print(FILE *file)
{
	fprintf(file, "# The states of a tenant\n\n"
		      "Printed by `tenantd --print-states` from the table that the daemon runs "
		      "on. An event that a\nstate does not list is refused there.\n\n"
		      "| event | meaning |\n| --- | --- |\n");
	for (int event = 0; event < TENANT_EVENT_COUNT; event++)
		fprintf(file, "| %s | %s |\n", events[event].name, events[event].meaning);
	print_diagram(file);
	for (int state = 0; state < TENANT_STATE_COUNT; state++)
		print_state(file, state);
}
