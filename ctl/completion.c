/* Shell completion and the generated part of tenantctl(1), printed from the table of
 * commands. The files ctl/completions/{bash,zsh} and the part of docs/man/tenantctl.1
 * between its markers are the output of this; a test compares them. */
#include "common/control.h"
#include "ctl/help.h"
#include "ctl/output.h"

#include <ctype.h>
#include <string.h>

/* ---- bash ---- */

static const char *bash_words(enum argument_kind kind)
{
	switch (kind) {
	case ARGUMENT_TENANT:
		return "$(_tenantctl_tenants)";
	case ARGUMENT_RELEASE:
		return "$(_tenantctl_releases)";
	case ARGUMENT_COMMAND:
		return "$commands";
	case ARGUMENT_SHELL:
		return "bash zsh";
	case ARGUMENT_POLICY_VERB:
		return "explain suggest test";
	case ARGUMENT_AUDIT:
		return "all denied off";
	case ARGUMENT_BUNDLE:
		return "always auto never";
	case ARGUMENT_QUESTION:
		return "connect env eval exec listen read site wasm write";
	default:
		return NULL;
	}
}

static void bash_reply(FILE *stream, const char *words)
{
	fprintf(stream, "COMPREPLY=($(compgen -W \"%s\" -- \"$word\"))", words);
}

static void bash_kind(FILE *stream, enum argument_kind kind)
{
	if (bash_words(kind))
		bash_reply(stream, bash_words(kind));
	else if (kind == ARGUMENT_PATH)
		fprintf(stream, "_tenantctl_files");
	else
		fprintf(stream, ":");
}

static void bash_option_values(FILE *stream)
{
	fprintf(stream, "\tcase $before in\n");
	for (size_t id = 0; id < OPTION_COUNT; id++) {
		if (!options[id].argument)
			continue;
		fprintf(stream, "\t--%s | -%c) ", options[id].name, options[id].letter);
		bash_kind(stream, options[id].kind);
		fprintf(stream, "; return ;;\n");
	}
	fprintf(stream, "\tesac\n");
}

static void bash_command(FILE *stream, const struct command *command)
{
	fprintf(stream, "\t%s%s%s)\n\t\tif [[ $word == -* ]]; then\n\t\t\t", command->name,
		command->alias ? " | " : "", command->alias ? command->alias : "");
	fprintf(stream, "COMPREPLY=($(compgen -W \"");
	for (size_t id = 0, count = 0; id < OPTION_COUNT; id++)
		if ((OPTIONS_GLOBAL | command->options) & OPTION_BIT(id))
			fprintf(stream, "%s--%s", count++ ? " " : "", options[id].name);
	fprintf(stream, "\" -- \"$word\"))\n\t\t\treturn\n\t\tfi\n");
	if (command->arguments_most > 0) {
		fprintf(stream, "\t\tcase $position in\n");
		for (size_t i = 0; i < command->arguments_most; i++) {
			fprintf(stream, "\t\t%zu) ", i);
			bash_kind(stream, command->kinds[i]);
			fprintf(stream, " ;;\n");
		}
		fprintf(stream, "\t\tesac\n");
	}
	fprintf(stream, "\t\t;;\n");
}

void completion_bash(FILE *stream)
{
	fprintf(stream,
		"# bash completion of tenantctl, made by `tenantctl completion bash`.\n\n"
		"_tenantctl_tenants() {\n"
		"\ttenantctl list --plain 2> /dev/null | cut -f1\n}\n\n"
		"_tenantctl_releases() {\n"
		"\ttenantctl releases --plain \"$tenant\" 2> /dev/null | cut -c-12\n}\n\n"
		"_tenantctl_files() {\n"
		"\tcompopt -o filenames 2> /dev/null\n"
		"\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n}\n\n"
		"_tenantctl() {\n"
		"\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\tlocal command= tenant= position=0 skip= i\n\tlocal commands=\"");
	for (size_t i = 0; i < command_count; i++)
		fprintf(stream, "%s%s", i ? " " : "", commands[i]->name);
	fprintf(stream, "\"\n\tCOMPREPLY=()\n"
			"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			"\t\tif [[ $skip ]]; then skip=; continue; fi\n"
			"\t\tcase ${COMP_WORDS[i]} in\n\t\t--) return ;;\n\t\t");
	for (size_t id = 0, count = 0; id < OPTION_COUNT; id++)
		if (options[id].argument)
			fprintf(stream, "%s--%s | -%c", count++ ? " | " : "", options[id].name,
				options[id].letter);
	fprintf(stream, ") skip=1 ;;\n\t\t-*) ;;\n"
			"\t\t*) if [[ ! $command ]]; then command=${COMP_WORDS[i]}\n"
			"\t\t\telse ((position++ == 0)) && tenant=${COMP_WORDS[i]}; fi ;;\n"
			"\t\tesac\n\tdone\n");
	bash_option_values(stream);
	fprintf(stream, "\tcase $command in\n\t'') ");
	bash_reply(stream, "$commands");
	fprintf(stream, " ;;\n");
	for (size_t i = 0; i < command_count; i++)
		bash_command(stream, commands[i]);
	fprintf(stream, "\tesac\n}\n\ncomplete -F _tenantctl tenantctl\n");
}

/* ---- zsh ---- */

static const char *zsh_action(enum argument_kind kind)
{
	switch (kind) {
	case ARGUMENT_TENANT:
		return "_tenantctl_tenants";
	case ARGUMENT_RELEASE:
		return "_tenantctl_releases";
	case ARGUMENT_COMMAND:
		return "_tenantctl_commands";
	case ARGUMENT_PATH:
		return "_files";
	case ARGUMENT_SHELL:
		return "(bash zsh)";
	case ARGUMENT_POLICY_VERB:
		return "(explain suggest test)";
	case ARGUMENT_AUDIT:
		return "(all denied off)";
	case ARGUMENT_BUNDLE:
		return "(always auto never)";
	case ARGUMENT_QUESTION:
		return "(connect env eval exec listen read site wasm write)";
	default:
		return " ";
	}
}

/* In single quotes, where brackets and colons have a meaning to _arguments. */
static void zsh_text(FILE *stream, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fprintf(stream, "'\\''");
		else if (strchr("[]:\\", *text))
			fprintf(stream, "\\%c", *text);
		else
			fputc(*text, stream);
	}
}

static void zsh_option(FILE *stream, const struct option *option)
{
	fprintf(stream, " \\\n\t\t\t'(-%c --%s)'{-%c,--%s%s}'[", option->letter, option->name,
		option->letter, option->name, option->argument ? "=" : "");
	zsh_text(stream, option->help);
	fprintf(stream, "]");
	if (option->argument)
		fprintf(stream, ":%s:%s", option->argument, zsh_action(option->kind));
	fprintf(stream, "'");
}

void completion_zsh(FILE *stream)
{
	fprintf(stream, "#compdef tenantctl\n"
			"# zsh completion of tenantctl, made by `tenantctl completion zsh`.\n\n"
			"_tenantctl_tenants() {\n\tlocal -a names\n"
			"\tnames=(${(f)\"$(tenantctl list --plain 2> /dev/null | cut -f1)\"})\n"
			"\t_describe tenant names\n}\n\n"
			"_tenantctl_releases() {\n\tlocal -a names\n"
			"\tnames=(${(f)\"$(tenantctl releases --plain ${words[2]} 2> /dev/null | "
			"cut -c-12)\"})\n"
			"\t_describe release names\n}\n\n"
			"_tenantctl_commands() {\n\tlocal -a names\n\tnames=(\n");
	for (size_t i = 0; i < command_count; i++) {
		fprintf(stream, "\t\t'%s:", commands[i]->name);
		zsh_text(stream, commands[i]->summary);
		fprintf(stream, "'\n");
	}
	fprintf(stream,
		"\t)\n\t_describe command names\n}\n\n_tenantctl() {\n"
		"\tlocal context state line\n\t_arguments -C '1:command:_tenantctl_commands' "
		"'*::argument:->arguments' && return\n"
		"\tcase $words[1] in\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = commands[i];
		fprintf(stream, "\t%s%s%s)\n\t\t_arguments", command->name,
			command->alias ? "|" : "", command->alias ? command->alias : "");
		for (size_t id = 0; id < OPTION_COUNT; id++)
			if ((OPTIONS_GLOBAL | command->options) & OPTION_BIT(id))
				zsh_option(stream, &options[id]);
		for (size_t k = 0; k < command->arguments_most; k++)
			fprintf(stream, " \\\n\t\t\t'%zu:argument:%s'", k + 1,
				zsh_action(command->kinds[k]));
		fprintf(stream, "\n\t\t;;\n");
	}
	fprintf(stream, "\tesac\n}\n\n_tenantctl \"$@\"\n");
}

/* ---- man ---- */

/* Text for roff: a backslash and a dash mean themselves, and no line begins with a dot
 * or a quote. */
static void man_text(FILE *stream, const char *text)
{
	for (bool start = true; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fprintf(stream, "\\&");
		if (*text == '\\')
			fprintf(stream, "\\e");
		else if (*text == '-')
			fprintf(stream, "\\-");
		else
			fputc(*text, stream);
		start = *text == '\n';
		if (*text == '\n' && text[1])
			fprintf(stream, ".PP\n");
	}
}

static void man_option(FILE *stream, const struct option *option)
{
	fprintf(stream, ".TP\n.BR \\-%c \", \" \\-\\-", option->letter);
	man_text(stream, option->name);
	if (option->argument)
		fprintf(stream, " \" \\fI%s\\fP\"", option->argument);
	fprintf(stream, "\n");
	man_text(stream, option->help);
	fprintf(stream, "\n");
}

void completion_man(FILE *stream)
{
	fprintf(stream, ".SH OPTIONS\nEvery command takes these.\n");
	for (size_t id = 0; id < OPTION_COUNT; id++)
		if (OPTIONS_GLOBAL & OPTION_BIT(id))
			man_option(stream, &options[id]);
	fprintf(stream, ".SH COMMANDS\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = commands[i];
		fprintf(stream, ".SS tenantctl %s %s", command->name, command->arguments);
		for (size_t id = 0; id < OPTION_COUNT; id++)
			if (command->options & OPTION_BIT(id)) {
				fprintf(stream, " [\\-\\-");
				man_text(stream, options[id].name);
				fprintf(stream, "%s%s]", options[id].argument ? " " : "",
					options[id].argument ? options[id].argument : "");
			}
		fprintf(stream, "%s\n", command->takes_rest ? " [\\-\\- ARGUMENTS]" : "");
		fprintf(stream, "%c", toupper(command->summary[0]));
		man_text(stream, command->summary + 1);
		if (command->alias)
			fprintf(stream, " (alias: %s)", command->alias);
		fprintf(stream, ".\n.PP\n");
		man_text(stream, command->details);
		for (size_t id = 0; id < OPTION_COUNT; id++)
			if (command->options & OPTION_BIT(id))
				man_option(stream, &options[id]);
	}
}

static int run(const struct invocation *invocation)
{
	static const struct {
		const char *name;
		void (*print)(FILE *stream);
	} kinds[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"man", completion_man}};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(kinds[i].name, invocation->arguments[0]) == 0) {
			kinds[i].print(stdout);
			return CONTROL_EXIT_OK;
		}
	return output_fail(CONTROL_EXIT_USAGE, "usage",
		"there is no completion for `%s`, only for bash and zsh", invocation->arguments[0]);
}

const struct command command_completion = {
	.name = "completion",
	.group = GROUP_ABOUT,
	.arguments = "bash|zsh",
	.summary = "print a completion script for the shell",
	.details = "For one session: source <(tenantctl completion bash). For all: save it as "
		   "/usr/share/bash-completion/completions/tenantctl, or for zsh as _tenantctl "
		   "in a folder of $fpath.\n",
	.arguments_least = 1,
	.arguments_most = 1,
	.kinds = {ARGUMENT_SHELL},
	.run = run,
};
