/* The subcommands of tenantctl. Each is a file of its own with one row, struct command;
 * commands.c joins them into the one table from which parsing, help, the man page and
 * shell completion come. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
	OPTION_HELP,
	OPTION_JSON,
	OPTION_PLAIN,
	OPTION_SOCKET,
	OPTION_VERSION,
	OPTION_AUDIT,
	OPTION_BUNDLE,
	OPTION_CANARY_INSTANCES,
	OPTION_DENIED,
	OPTION_FOLLOW,
	OPTION_INSPECT,
	OPTION_INSPECT_BREAK,
	OPTION_KEEP,
	OPTION_KEY,
	OPTION_LINES,
	OPTION_MESSAGE,
	OPTION_MIN_HEALTHY,
	OPTION_NAME,
	OPTION_NO_WAIT,
	OPTION_POLICY,
	OPTION_PORT,
	OPTION_RESOLVE,
	OPTION_SIGN_KEY,
	OPTION_TENANT,
	OPTION_TIMEOUT,
	OPTION_WAIT,
	OPTION_WEIGHT,
	OPTION_YES,
	OPTION_COUNT,
};

/* What an argument is, for completion. */
enum argument_kind {
	ARGUMENT_NONE,
	ARGUMENT_TENANT,
	ARGUMENT_PATH,
	ARGUMENT_COMMAND,
	ARGUMENT_SHELL,
	ARGUMENT_POLICY_VERB, /* of `policy` */
	ARGUMENT_AUDIT,
	ARGUMENT_BUNDLE,
	ARGUMENT_QUESTION, /* of `policy test` */
	ARGUMENT_RELEASE,
	ARGUMENT_TEXT,
};

struct option {
	const char *name;     /* without the dashes */
	char letter;          /* 0: none */
	const char *argument; /* its name in help; NULL: takes none */
	enum argument_kind kind;
	const char *help;
};

#define OPTION_BIT(id) (1u << (id))
/* Every command takes these. */
#define OPTIONS_GLOBAL                                                                             \
	(OPTION_BIT(OPTION_HELP) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_PLAIN) |            \
		OPTION_BIT(OPTION_SOCKET))

#define COMMAND_ARGUMENTS_MAX 4

enum command_group {
	GROUP_DEPLOY,
	GROUP_LOOK,
	GROUP_CONTROL,
	GROUP_RUN,
	GROUP_ABOUT,
	GROUP_COUNT,
};

struct invocation;

struct command {
	const char *name;
	const char *alias; /* NULL: none */
	enum command_group group;
	const char *arguments; /* for the synopsis: "NAME FILE|DIR" */
	const char *summary;   /* one line */
	const char *details;   /* paragraphs, '\n' at the end of each */
	uint32_t options;      /* OPTION_BITs beside OPTIONS_GLOBAL */
	size_t arguments_least, arguments_most;
	enum argument_kind kinds[COMMAND_ARGUMENTS_MAX];
	bool takes_rest; /* whatever comes after "--" */
	/* Returns the exit code. */
	int (*run)(const struct invocation *invocation);
};

/* One call of tenantctl. */
struct invocation {
	const struct command *command;
	const char *arguments[COMMAND_ARGUMENTS_MAX];
	size_t argument_count;
	char **rest; /* after "--" */
	size_t rest_count;
	const char *options[OPTION_COUNT]; /* NULL: not given; "" for one without argument */
};

extern const struct option options[OPTION_COUNT];
extern const char *const command_groups[GROUP_COUNT];
extern const struct command *const commands[];
extern const size_t command_count;

/* Finds a command by its name, its alias or an unambiguous beginning of its name. NULL,
 * with a message for standard error in MESSAGE, if there is none or more than one. */
const struct command *command_find(const char *name, char *message, size_t size);

/* Parses the command line. Returns -1 when there is a command to run, else the exit code
 * to end with: help, a version or a usage message was printed. */
int command_parse(int argument_count, char **arguments, struct invocation *ret_invocation);

/* ---- help.c: what is printed from the table ---- */

void help_overview(bool to_stderr);
void help_command(const struct command *command, bool to_stderr);
