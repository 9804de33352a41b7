/* The table of commands and options, and how a command line is understood. */
#include "common/cleanup.h"
#include "common/control.h"
#include "ctl/command.h"
#include "ctl/output.h"

#include <stdio.h>
#include <string.h>

extern const struct command command_audit, command_check, command_completion, command_daemon_reexec,
	command_deploy, command_diff, command_doctor, command_events, command_help, command_history,
	command_inspect, command_keygen, command_list, command_logs, command_policy,
	command_promote, command_prune, command_releases, command_remove, command_reset,
	command_restart, command_rollback, command_run, command_sign, command_start, command_status,
	command_stop, command_types, command_version;

const struct command *const commands[] = {
	&command_deploy,
	&command_rollback,
	&command_promote,
	&command_releases,
	&command_diff,
	&command_prune,
	&command_remove,
	&command_list,
	&command_status,
	&command_logs,
	&command_events,
	&command_audit,
	&command_history,
	&command_inspect,
	&command_start,
	&command_stop,
	&command_restart,
	&command_reset,
	&command_daemon_reexec,
	&command_run,
	&command_check,
	&command_policy,
	&command_doctor,
	&command_keygen,
	&command_sign,
	&command_types,
	&command_version,
	&command_help,
	&command_completion,
};
const size_t command_count = ARRAY_LENGTH(commands);

const char *const command_groups[GROUP_COUNT] = {
	[GROUP_DEPLOY] = "Deploy",
	[GROUP_LOOK] = "Look",
	[GROUP_CONTROL] = "Control",
	[GROUP_RUN] = "Run and check",
	[GROUP_ABOUT] = "About tenantctl",
};

const struct option options[OPTION_COUNT] = {
	[OPTION_HELP] = {"help", 'h', NULL, ARGUMENT_NONE, "show the help of the command"},
	[OPTION_JSON] = {"json", 'j', NULL, ARGUMENT_NONE, "print JSON"},
	[OPTION_PLAIN] = {"plain", 'p', NULL, ARGUMENT_NONE,
		"print fields separated by tabs, without headings or colours"},
	[OPTION_SOCKET] = {"socket", 's', "PATH", ARGUMENT_PATH,
		"the daemon's control socket (else $" CONTROL_SOCKET_ENVIRONMENT
		", else " CONTROL_SOCKET_DEFAULT ")"},
	[OPTION_VERSION] = {"version", 'V', NULL, ARGUMENT_NONE, "show tenantctl's version"},
	[OPTION_AUDIT] = {"audit", 'A', "WHAT", ARGUMENT_AUDIT,
		"record off, denied or all, whatever the policy says"},
	[OPTION_BUNDLE] = {"bundle", 'b', "WHEN", ARGUMENT_BUNDLE,
		"make one module of it with esbuild: auto, always or never (auto)"},
	[OPTION_CANARY_INSTANCES] = {"canary-instances", 'c', "N", ARGUMENT_TEXT,
		"so many instances of it serve beside the old release, as a canary"},
	[OPTION_DENIED] = {"denied", 'd', NULL, ARGUMENT_NONE, "show denials only"},
	[OPTION_FOLLOW] = {"follow", 'f', NULL, ARGUMENT_NONE,
		"go on with new lines until interrupted"},
	[OPTION_INSPECT] = {"inspect", 'i', NULL, ARGUMENT_NONE, "let a debugger look into it"},
	[OPTION_INSPECT_BREAK] = {"inspect-brk", 'B', NULL, ARGUMENT_NONE,
		"the same, and wait for the debugger before it begins"},
	[OPTION_KEEP] = {"keep", 'k', "N", ARGUMENT_TEXT,
		"keep so many of the tenant's releases, from now on"},
	[OPTION_KEY] = {"key", 'K', "FILE", ARGUMENT_PATH, "the private key to sign with"},
	[OPTION_LINES] = {"lines", 'n', "N", ARGUMENT_TEXT, "show the last N lines (100)"},
	[OPTION_MESSAGE] = {"message", 'm', "TEXT", ARGUMENT_TEXT, "why: for the history"},
	[OPTION_MIN_HEALTHY] = {"min-healthy", 'H', "TIME", ARGUMENT_TEXT,
		"how long it must have been ready to take over: 500ms, 30s, 5m"},
	[OPTION_NAME] = {"name", 'N', "NAME", ARGUMENT_TEXT, "the name that logs show for the run"},
	[OPTION_NO_WAIT] = {"no-wait", 'W', NULL, ARGUMENT_NONE,
		"return at once; do not wait for the outcome"},
	[OPTION_POLICY] = {"policy", 'P', "FILE", ARGUMENT_PATH, "the operator's policy for it"},
	[OPTION_PORT] = {"port", 'o', "PORT", ARGUMENT_TEXT,
		"where debuggers connect to (9229; 0: any that is free)"},
	[OPTION_RESOLVE] = {"resolve", 'r', NULL, ARGUMENT_NONE,
		"resolve the name here and now, and test its addresses"},
	[OPTION_SIGN_KEY] = {"sign-key", 'S', "FILE", ARGUMENT_PATH,
		"sign it with this private key"},
	[OPTION_TENANT] = {"tenant", 'T', "NAME", ARGUMENT_TENANT,
		"the signature is for this tenant only"},
	[OPTION_TIMEOUT] = {"timeout", 't', "TIME", ARGUMENT_TEXT,
		"wait at most this long: 500ms, 30s, 5m"},
	[OPTION_WAIT] = {"wait", 'w', NULL, ARGUMENT_NONE,
		"wait until another deployment of the tenant is over"},
	[OPTION_WEIGHT] = {"weight", 'g', "SHARE", ARGUMENT_TEXT,
		"so many of the new connections go to it, as a canary: 10%"},
	[OPTION_YES] = {"yes", 'y', NULL, ARGUMENT_NONE, "do not ask"},
};

/* ---- finding ---- */

/* Levenshtein's distance, of short words. */
static size_t distance(const char *a, const char *b)
{
	size_t row[33], length = strlen(b);
	if (strlen(a) > 32 || length > 32)
		return 99;
	for (size_t k = 0; k <= length; k++)
		row[k] = k;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= length; k++) {
			size_t best = diagonal + (a[i - 1] != b[k - 1]);
			diagonal = row[k];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[length];
}

static const struct command *match_exactly(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i]->name, name) == 0 ||
			(commands[i]->alias && strcmp(commands[i]->alias, name) == 0))
			return commands[i];
	return NULL;
}

static void say_unknown(const char *name, char *message, size_t size)
{
	const char *best = NULL;
	size_t least = 3;
	for (size_t i = 0; i < command_count; i++) {
		size_t far = distance(name, commands[i]->name);
		if (far < least && far < strlen(commands[i]->name)) {
			least = far;
			best = commands[i]->name;
		}
	}
	char shown[128];
	output_safe(shown, sizeof shown, name);
	if (best)
		snprintf(
			message, size, "there is no command `%s`; did you mean `%s`?", shown, best);
	else
		snprintf(message, size, "there is no command `%s`; `tenantctl help` lists them",
			shown);
}

const struct command *command_find(const char *name, char *message, size_t size)
{
	const struct command *found = match_exactly(name);
	if (found)
		return found;
	char candidates[256] = "";
	size_t count = 0, length = strlen(name);
	for (size_t i = 0; length > 0 && i < command_count; i++) {
		if (strncmp(commands[i]->name, name, length) != 0)
			continue;
		size_t used = strlen(candidates);
		snprintf(candidates + used, sizeof candidates - used, "%s%s", used ? ", " : "",
			commands[i]->name);
		found = commands[i];
		count++;
	}
	if (count == 1)
		return found;
	if (count > 1)
		snprintf(message, size, "`%s` could be %s", name, candidates);
	else
		say_unknown(name, message, size);
	return NULL;
}

/* ---- parsing ---- */

struct parser {
	char **next, **end;
	struct invocation *invocation;
};

/* Prints what is wrong, and where help is. Returns the exit code. */
static int usage(const struct invocation *invocation, const char *message)
{
	fprintf(stderr, "tenantctl: %s\n", message);
	if (invocation->command)
		fprintf(stderr, "usage: tenantctl %s%s%s\n       `tenantctl help %s` says more\n",
			invocation->command->name, invocation->command->arguments[0] ? " " : "",
			invocation->command->arguments, invocation->command->name);
	else
		fprintf(stderr, "usage: tenantctl COMMAND [ARGUMENTS]; see `tenantctl help`\n");
	return CONTROL_EXIT_USAGE;
}

static int unknown_option(const struct invocation *invocation, const char *name, bool is_letter)
{
	char message[512], shown[128];
	const char *best = NULL;
	size_t least = 3;
	for (size_t id = 0; !is_letter && id < OPTION_COUNT; id++) {
		uint32_t allowed =
			OPTIONS_GLOBAL | (invocation->command ? invocation->command->options : 0);
		size_t far = distance(name, options[id].name);
		if ((allowed & OPTION_BIT(id)) && far < least) {
			least = far;
			best = options[id].name;
		}
	}
	output_safe(shown, sizeof shown, name);
	int length = snprintf(message, sizeof message, "%s%s%s has no option %s%s",
		invocation->command ? "`" : "",
		invocation->command ? invocation->command->name : "tenantctl",
		invocation->command ? "`" : "", is_letter ? "-" : "--", shown);
	if (best)
		snprintf(message + length, sizeof message - (size_t)length, "; did you mean --%s?",
			best);
	return usage(invocation, message);
}

/* Sets option ID; VALUE is what came with it after "=" or its letter, or NULL. */
static int set_option(struct parser *parser, size_t id, const char *value)
{
	const struct option *option = &options[id];
	char message[256];
	if (!option->argument && value) {
		snprintf(message, sizeof message, "--%s takes no value", option->name);
		return usage(parser->invocation, message);
	}
	if (option->argument && !value) {
		if (parser->next == parser->end) {
			snprintf(message, sizeof message, "--%s needs a value: --%s %s",
				option->name, option->name, option->argument);
			return usage(parser->invocation, message);
		}
		value = *parser->next++;
	}
	parser->invocation->options[id] = value ? value : "";
	return -1;
}

/* Is option ID known here? Before the command, only what every command has. */
static bool is_allowed(const struct invocation *invocation, size_t id)
{
	uint32_t allowed = OPTIONS_GLOBAL | (invocation->command ? invocation->command->options
								 : OPTION_BIT(OPTION_VERSION));
	return allowed & OPTION_BIT(id);
}

static int parse_long(struct parser *parser, const char *text)
{
	const char *equals = strchr(text, '=');
	char name[64];
	snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - text) : 60, text);
	for (size_t id = 0; id < OPTION_COUNT; id++)
		if (strcmp(options[id].name, name) == 0 && is_allowed(parser->invocation, id))
			return set_option(parser, id, equals ? equals + 1 : NULL);
	return unknown_option(parser->invocation, name, false);
}

/* "-f", "-n5", "-fn5" */
static int parse_letters(struct parser *parser, const char *letters)
{
	while (*letters) {
		char letter = *letters++;
		size_t id = 0;
		while (id < OPTION_COUNT &&
			!(options[id].letter == letter && is_allowed(parser->invocation, id)))
			id++;
		if (id == OPTION_COUNT)
			return unknown_option(parser->invocation, (char[]){letter, '\0'}, true);
		bool has_value = options[id].argument && *letters;
		int code = set_option(parser, id, has_value ? letters : NULL);
		if (code >= 0 || has_value)
			return code;
	}
	return -1;
}

static int parse_word(struct parser *parser, const char *word)
{
	struct invocation *invocation = parser->invocation;
	char message[512], shown[128];
	if (!invocation->command) {
		invocation->command = command_find(word, message, sizeof message);
		return invocation->command ? -1 : usage(invocation, message);
	}
	if (invocation->argument_count < invocation->command->arguments_most) {
		invocation->arguments[invocation->argument_count++] = word;
		return -1;
	}
	output_safe(shown, sizeof shown, word);
	snprintf(message, sizeof message, "`%s` is one argument too many%s", shown,
		invocation->command->takes_rest ? "; the script's own arguments come after --"
						: "");
	return usage(invocation, message);
}

static int parse_all(struct parser *parser)
{
	struct invocation *invocation = parser->invocation;
	int code = -1;
	while (code < 0 && parser->next < parser->end) {
		char *word = *parser->next++;
		if (strcmp(word, "--") == 0) {
			invocation->rest = parser->next;
			invocation->rest_count = (size_t)(parser->end - parser->next);
			break;
		}
		if (word[0] == '-' && word[1] == '-')
			code = parse_long(parser, word + 2);
		else if (word[0] == '-' && word[1])
			code = parse_letters(parser, word + 1);
		else
			code = parse_word(parser, word);
	}
	/* For all but `run`, "--" only ends the options. */
	if (code < 0 && invocation->command && !invocation->command->takes_rest) {
		for (size_t i = 0; code < 0 && i < invocation->rest_count; i++)
			code = parse_word(parser, invocation->rest[i]);
	}
	return code;
}

int command_parse(int argument_count, char **arguments, struct invocation *ret_invocation)
{
	struct invocation invocation = {0};
	struct parser parser = {
		.next = arguments + (argument_count > 0),
		.end = arguments + argument_count,
		.invocation = &invocation,
	};
	int code = parse_all(&parser);
	if (code >= 0)
		return code;
	if (invocation.options[OPTION_VERSION]) {
		printf("tenantctl %s\n", TENANTD_VERSION);
		return CONTROL_EXIT_OK;
	}
	if (invocation.options[OPTION_HELP]) {
		if (invocation.command)
			help_command(invocation.command, false);
		else
			help_overview(false);
		return CONTROL_EXIT_OK;
	}
	if (!invocation.command) {
		help_overview(true);
		return CONTROL_EXIT_USAGE;
	}
	if (invocation.argument_count < invocation.command->arguments_least)
		return usage(&invocation, "an argument is missing");
	if (invocation.options[OPTION_JSON] && invocation.options[OPTION_PLAIN])
		return usage(&invocation, "--json and --plain exclude each other");
	*ret_invocation = invocation;
	return -1;
}
