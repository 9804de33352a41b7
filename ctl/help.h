/* What is printed from the table of commands. */
#pragma once

#include "ctl/command.h"

#include <stdio.h>

/* The completion scripts and the sections of the man page: completion.c. */
void completion_bash(FILE *stream);
void completion_zsh(FILE *stream);
void completion_man(FILE *stream);
