/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl kubeconfig: how kubectl gets to a cluster. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "ctl/commands.h"
#include "ctl/up/command.h"

#define FILE_LIMIT (1 << 20)

static const struct cli_flag flags[] = {
        CLUSTER_FLAG,
        {"--path", NULL, "where the file is, instead of what is in it", NULL, CLI_ANY},
        {0},
};

static int run(struct view *v)
{
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        _cleanup_free_ char *path = NULL, *text = NULL;
        struct err err = ERR_NULL;
        int r = command_load(v, &c);

        if (r)
                return r;
        path = mem_printf("%s/kubeconfig", c.folder);
        if (file_read(path, FILE_LIMIT, &text, NULL, &err))
                return command_failed(v, &err);
        if (view_is_set(v, "--path"))
                puts(path);
        else
                fputs(text, stdout);
        return fflush(stdout) ? 1 : 0;
}

const struct cli_command ctl_kubeconfig = {
        .name = "kubeconfig",
        .summary = "how kubectl gets to a cluster of this machine",
        .flags = flags,
        .about = "It holds the administrator's key: whoever can read it owns the cluster.\n",
        .examples = "fairctl kubeconfig > ~/.kube/config\n"
                    "export KUBECONFIG=$(fairctl kubeconfig --path)\n",
        .run = run,
};
