#include "common/control.h"
#include "ctl/command.h"
#include "ctl/output.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 78

/* Prints TEXT, broken at spaces, each line after INDENT spaces; the cursor stands at
 * the indent already. */
static void wrap(FILE *stream, const char *text, int indent)
{
	int column = indent;
	while (*text) {
		int length = (int)strcspn(text, " \n");
		if (column > indent && column + 1 + length > WIDTH) {
			fprintf(stream, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', stream);
			column++;
		}
		fprintf(stream, "%.*s", length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
		if (*text == '\n') {
			text++;
			if (*text)
				fprintf(stream, "\n\n%*s", indent, "");
			column = indent;
		}
	}
	fputc('\n', stream);
}

static void print_option(FILE *stream, const struct option *option)
{
	char name[64];
	int length = snprintf(name, sizeof name, "  %c%c%s--%s%s%s", option->letter ? '-' : ' ',
		option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
		option->argument ? " " : "", option->argument ? option->argument : "");
	fprintf(stream, "%s%*s", name, length < 24 ? 24 - length : 1, "");
	wrap(stream, option->help, 24);
}

void help_overview(bool to_stderr)
{
	FILE *stream = to_stderr ? stderr : stdout;
	const char *bold = to_stderr ? "" : output_colour(COLOUR_BOLD);
	const char *off = to_stderr ? "" : output_colour(COLOUR_NONE);
	fprintf(stream, "tenantctl drives tenantd, which runs untrusted JavaScript programs, each "
			"in a\nconfined process of its own.\n\n"
			"usage: tenantctl [OPTIONS] COMMAND [ARGUMENTS]\n");
	for (size_t group = 0; group < GROUP_COUNT; group++) {
		fprintf(stream, "\n%s%s%s\n", bold, command_groups[group], off);
		for (size_t i = 0; i < command_count; i++) {
			const struct command *command = commands[i];
			char name[64];
			if (command->group != group)
				continue;
			snprintf(name, sizeof name, "%s %s", command->name, command->arguments);
			fprintf(stream, "  %-21s ", name);
			wrap(stream, command->summary, 24);
		}
	}
	fprintf(stream, "\n%sOptions of every command%s\n", bold, off);
	for (size_t id = 0; id < OPTION_COUNT; id++)
		if (OPTIONS_GLOBAL & OPTION_BIT(id))
			print_option(stream, &options[id]);
	fprintf(stream, "\nCommands may be shortened as long as they stay unique. `tenantctl help "
			"COMMAND`\nsays more; tenantctl(1) documents the exit codes.\n");
}

void help_command(const struct command *command, bool to_stderr)
{
	FILE *stream = to_stderr ? stderr : stdout;
	fprintf(stream, "usage: tenantctl %s%s%s", command->name, command->arguments[0] ? " " : "",
		command->arguments);
	for (size_t id = 0; id < OPTION_COUNT; id++)
		if (command->options & OPTION_BIT(id))
			fprintf(stream, " [--%s%s%s]", options[id].name,
				options[id].argument ? " " : "",
				options[id].argument ? options[id].argument : "");
	fprintf(stream, "%s\n", command->takes_rest ? " [-- ARGUMENTS]" : "");
	if (command->alias)
		fprintf(stream, "alias: tenantctl %s\n", command->alias);
	fprintf(stream, "\n");
	wrap(stream, command->summary, 0);
	fprintf(stream, "\n");
	wrap(stream, command->details, 0);
	fprintf(stream, "\n");
	for (size_t id = 0; id < OPTION_COUNT; id++)
		if (command->options & OPTION_BIT(id))
			print_option(stream, &options[id]);
	for (size_t id = 0; id < OPTION_COUNT; id++)
		if (OPTIONS_GLOBAL & OPTION_BIT(id))
			print_option(stream, &options[id]);
}

static int run(const struct invocation *invocation)
{
	char message[512];
	if (invocation->argument_count == 0) {
		help_overview(false);
		return CONTROL_EXIT_OK;
	}
	const struct command *command =
		command_find(invocation->arguments[0], message, sizeof message);
	if (!command)
		return output_fail(CONTROL_EXIT_USAGE, "usage", "%s", message);
	help_command(command, false);
	return CONTROL_EXIT_OK;
}

const struct command command_help = {
	.name = "help",
	.group = GROUP_ABOUT,
	.arguments = "[COMMAND]",
	.summary = "show all commands, or one of them",
	.details = "The same as --help.\n",
	.arguments_most = 1,
	.kinds = {ARGUMENT_COMMAND},
	.run = run,
};
