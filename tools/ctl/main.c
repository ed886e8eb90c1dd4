/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl: one file a command; this one finds it. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ctl/commands.h"

static const struct command {
        const char *name;
        const char *summary;
        int (*run)(int argc, char **argv);
} commands[] = {
        {"status", "this node's dataplane at a glance", ctl_status},
        {"service", "service list: what is served, and its traffic", ctl_service},
        {"backend", "backend list: who serves it", ctl_backend},
        {"flow", "flow list: connections that are translated", ctl_flow},
        {"drops", "what was dropped or refused, and why", ctl_drops},
        {"pki", "make a cluster's certificates and kubeconfigs", ctl_pki},
};

static int usage(FILE *to)
{
        fputs("fairctl " FAIRLEAD_VERSION ": look after a fairlead cluster\n\nUsage: fairctl COMMAND [...]\n\n", to);
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
        fputs("\nEach command explains itself: fairctl COMMAND --help\n", to);
        return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
        log_init("fairctl", LOG_LEVEL_WARN);
        if (argc < 2)
                return usage(stderr);
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
                return usage(stdout);
        if (strcmp(argv[1], "--version") == 0)
                return puts("fairctl " FAIRLEAD_VERSION) < 0;
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].run(argc - 1, argv + 1);
        fprintf(stderr, "fairctl: there is no command %s\n\n", argv[1]);
        return usage(stderr);
}
