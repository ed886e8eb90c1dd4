/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl pki init: certificates and kubeconfigs in a folder. */
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/view.h"
#include "kube/pki.h"

#define NAMES_MAX 64

static const struct cli_flag flags[] = {
        {"--server", "URL", "where clients reach the API server (https://127.0.0.1:6443)", NULL, CLI_ANY},
        {"--name", "NAME", "another DNS name or IP of the API server; may be repeated", NULL, CLI_ANY},
        {"--node", "NAME", "also make kubelet-NAME.kubeconfig and agent-NAME.kubeconfig; may be repeated", NULL,
         CLI_ANY},
        {"--cluster", "NAME", "the cluster's name in the kubeconfigs (fairlead)", NULL, CLI_ANY},
        {0},
};

struct lists {
        const char *dns[NAMES_MAX + 1], *ips[NAMES_MAX + 1], *nodes[NAMES_MAX + 1];
        size_t ndns, nips, nnodes;
};

static bool is_ip(const char *name)
{
        return strchr(name, ':') || strspn(name, "0123456789.") == strlen(name);
}

/* All that was given for a flag, by where it belongs. 0 or 2. */
static int parse(struct view *v, struct lists *l)
{
        const char *name;
        size_t names = 0;

        for (; (name = cli_nth(&v->cli, "--name", names)); names++) {
                if (names == NAMES_MAX)
                        return view_wrong(v, "at most %d --name", NAMES_MAX);
                if (is_ip(name))
                        l->ips[l->nips++] = name;
                else
                        l->dns[l->ndns++] = name;
        }
        for (; (name = cli_nth(&v->cli, "--node", l->nnodes)); l->nodes[l->nnodes++] = name)
                if (l->nnodes == NAMES_MAX)
                        return view_wrong(v, "at most %d --node", NAMES_MAX);
        return 0;
}

static int run(struct view *v)
{
        struct lists l = {0};
        struct pki_opts opts = {.server = view_value(v, "--server") ?: "https://127.0.0.1:6443",
                                .cluster = view_value(v, "--cluster"),
                                .dns_names = l.dns,
                                .ips = l.ips,
                                .nodes = l.nodes};
        const char *folder = view_argument(v, 0);
        struct err err = ERR_NULL;
        struct pki_result result;
        int r = parse(v, &l);

        if (r)
                return r;
        r = pki_init(folder, &opts, &result, &err);
        if (r) {
                fprintf(stderr, "fairctl pki init: %s\n", err.msg);
                return 1;
        }
        printf("%s: %u made, %u renewed, %u kept\n", folder, result.made, result.renewed, result.kept);
        printf("try: kubectl --kubeconfig %s/admin.kubeconfig get nodes\n", folder);
        return 0;
}

const struct cli_command ctl_pki_init = {
        .name = "pki init",
        .summary = "make a cluster's CA, certificates and kubeconfigs",
        .arguments = "DIR",
        .kind = CLI_FOLDER,
        .flags = flags,
        .about = "What is there and still good is kept; what is missing or about to expire is made; the CA and the "
                 "service\n"
                 "account key are never replaced. Files have mode 0600. fairlead-apiserver does the same by itself in "
                 "its\n"
                 "data folder: this is for making them elsewhere, or adding nodes.\n",
        .examples =
                "fairctl pki init /etc/fairlead/pki --server https://192.0.2.10:6443 --name 192.0.2.10 --node edge-1\n",
        .run = run,
};
