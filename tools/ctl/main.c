/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl: one file a command; this one finds it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "ctl/view.h"

static bool is_help(const char *word)
{
        return str_eq(word, "--help") || str_eq(word, "-h") || str_eq(word, "help");
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
        struct view v = {0};
        int r = cli_parse(&v.cli, command, argc, argv);

        if (!r && v.cli.help)
                cli_help(command, stdout);
        else if (!r)
                r = view_open(&v);
        if (!r && !v.cli.help)
                r = command->run(&v);
        view_close(&v);
        return r;
}

/* `fairctl help`, `fairctl help flow`, `fairctl help flow list` and the same with --help at the end. */
static int help_about(int argc, char **argv)
{
        const struct cli_command *command;
        int words;

        if (argc == 0) {
                cli_help_all(stdout);
                return 0;
        }
        command = cli_find(argc, argv, &words);
        if (command)
                cli_help(command, stdout);
        else if (!cli_help_group(argv[0], "its commands", stdout)) {
                cli_complain_command(argc, argv);
                return 2;
        }
        return 0;
}

int main(int argc, char **argv)
{
        const struct cli_command *command;
        int words;

        log_init("fairctl", LOG_LEVEL_WARN);
        if (argc < 2) {
                cli_help_all(stderr);
                return 2;
        }
        if (str_eq(argv[1], "--version"))
                return puts("fairctl " FAIRLEAD_VERSION) < 0;
        if (is_help(argv[1]))
                return help_about(argc - 2, argv + 2);
        if (argc == 3 && is_help(argv[2]) && cli_help_group(argv[1], "its commands", stdout))
                return 0;
        command = cli_find(argc - 1, argv + 1, &words);
        if (command)
                return run_command(command, argc - 1 - words, argv + 1 + words);
        cli_complain_command(argc - 1, argv + 1);
        return 2;
}
