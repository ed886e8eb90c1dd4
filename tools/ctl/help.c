/* SPDX-License-Identifier: Apache-2.0 */
/* --help, made of the tables of commands, flags and columns. */
#include <string.h>

#include "base/str.h"
#include "ctl/cli.h"

static void print_flag(void *userdata, const struct cli_flag *flag)
{
        FILE *to = userdata;
        char name[64];

        snprintf(name, sizeof(name), "%s%s%s", flag->name, flag->value ? " " : "", flag->value ?: "");
        fprintf(to, "  %-21s %s\n", name, flag->text);
}

/* What a table shows, and what -o json has: with the same text where it is the same. */
static void print_columns(const struct cli_command *command, FILE *to)
{
        fputs("\nColumns:\n", to);
        for (size_t i = 0; i < command->width; i++) {
                const struct column *c = &command->columns[i];

                if (c->title)
                        fprintf(to, "  %-20s %s%s%s\n", c->title, c->text, c->wide && *c->text ? " " : "",
                                c->wide ? "(-o wide)" : "");
        }
        fputs("\nFields of -o json:\n", to);
        for (size_t i = 0; i < command->width; i++) {
                const struct column *c = &command->columns[i];

                if (c->key && c->title)
                        fprintf(to, "  %-20s as %s\n", c->key, c->title);
                else if (c->key)
                        fprintf(to, "  %-20s %s\n", c->key, c->text);
        }
}

static void print_examples(const char *examples, FILE *to)
{
        struct str_span line;

        while (examples && str_split(&examples, '\n', &line))
                if (line.n)
                        fprintf(to, "  %.*s\n", (int)line.n, line.s);
}

void cli_help(const struct cli_command *command, FILE *to)
{
        fprintf(to, "fairctl %s%s%s [flags]: %s\n", command->name, command->arguments ? " " : "",
                command->arguments ?: "", command->summary);
        if (command->about)
                fprintf(to, "\n%s", command->about);
        fputs("\nFlags:\n", to);
        cli_each_flag(command, print_flag, to);
        if (command->columns)
                print_columns(command, to);
        if (command->has_maps)
                fputs("\nIt reads the maps that the agent has pinned: the agent need not run.\n", to);
        fputs("\nExamples:\n", to);
        print_examples(command->examples, to);
}

static void print_summary(const struct cli_command *c, FILE *to)
{
        char name[64];

        snprintf(name, sizeof(name), "%s%s%s", c->name, c->arguments ? " " : "", c->arguments ?: "");
        fprintf(to, "  %-30s %s\n", name, c->summary);
}

bool cli_help_group(const char *group, const char *heading, FILE *to)
{
        bool found = false;

        for (int examples = 0; examples < 2; examples++) {
                for (size_t i = 0; cli_commands[i]; i++) {
                        const char *rest = str_after(cli_commands[i]->name, group);

                        if (!rest || *rest != ' ')
                                continue;
                        if (!found)
                                fprintf(to, "fairctl %s: %s\n\n", group, heading);
                        found = true;
                        if (examples)
                                print_examples(cli_commands[i]->examples, to);
                        else
                                print_summary(cli_commands[i], to);
                }
                if (found && !examples)
                        fputs("\nExamples:\n", to);
        }
        if (found)
                fprintf(to, "\nEach explains itself: fairctl %s COMMAND --help\n", group);
        return found;
}

void cli_help_all(FILE *to)
{
        fputs("fairctl " FAIRLEAD_VERSION ": clusters on this machine, a look into a node, certificates\n"
              "\n"
              "Usage: fairctl COMMAND [flags]\n\n",
              to);
        for (size_t i = 0; cli_commands[i]; i++)
                if (!cli_commands[i]->hidden)
                        print_summary(cli_commands[i], to);
        fputs("\n"
              "Each explains itself: fairctl COMMAND --help. What is printed as a table comes as JSON with -o json.\n"
              "\n"
              "Examples:\n"
              "  fairctl up                              # a cluster of three nodes on this machine\n"
              "  fairctl status                          # is this node well?\n"
              "  fairctl service show default/web        # why does this Service not answer?\n"
              "  fairctl flow list --pod default/web-1   # who talks to that pod?\n"
              "  fairctl drops                           # what was dropped, and why?\n"
              "  source <(fairctl completion bash)       # complete commands, flags and names with the Tab key\n",
              to);
}
