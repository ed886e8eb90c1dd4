/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl pki init: certificates and kubeconfigs in a folder. */
#include <stdio.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/view.h"
#include "base/str.h"
#include "kube/pki.h"

#define NAMES_MAX 64

static const struct cli_flag flags[] = {
        {"--server", "URL", "where clients reach the API server (https://127.0.0.1:6443)", NULL, CLI_ANY},
        {"--name", "NAME", "another DNS name or IP of the API server; may be repeated", NULL, CLI_ANY},
        {"--node", "NAME[=IP,...]",
         "also make kubelet-NAME.crt, .key and .kubeconfig, and agent-NAME.kubeconfig; may be repeated", NULL, CLI_ANY},
        {"--cluster", "NAME", "the cluster's name in the kubeconfigs (fairlead)", NULL, CLI_ANY},
        {0},
};

struct lists {
        const char *dns[NAMES_MAX + 1], *ips[NAMES_MAX + 1], *nodes[NAMES_MAX + 1], *node_ips[NAMES_MAX];
        char texts[NAMES_MAX][512]; /* what nodes and node_ips point into */
        size_t ndns, nips, nnodes;
};

static bool is_ip(const char *name)
{
        return strchr(name, ':') || strspn(name, "0123456789.") == strlen(name);
}

static bool add_node(struct lists *l, const char *text)
{
        char *copy = l->texts[l->nnodes], *equals;

        if (!str_copy(copy, sizeof(l->texts[0]), text))
                return false;
        equals = strchr(copy, '=');
        if (equals)
                *equals++ = '\0';
        l->nodes[l->nnodes] = copy;
        l->node_ips[l->nnodes] = equals;
        return true;
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
        for (; (name = cli_nth(&v->cli, "--node", l->nnodes)); l->nnodes++) {
                if (l->nnodes == NAMES_MAX)
                        return view_wrong(v, "at most %d --node", NAMES_MAX);
                if (!add_node(l, name))
                        return view_wrong(v, "--node %s: too long", name);
        }
        return 0;
}

static int run(struct view *v)
{
        struct lists l = {0};
        struct pki_opts opts = {.server = view_value(v, "--server") ?: "https://127.0.0.1:6443",
                                .cluster = view_value(v, "--cluster"),
                                .dns_names = l.dns,
                                .ips = l.ips,
                                .nodes = l.nodes,
                                .node_ips = l.node_ips};
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
        .about = "What is there and still good is kept; what is missing or about to expire is made; the CA and the\n"
                 "service account key are never replaced. Files have mode 0600. A kubelet serves HTTPS with\n"
                 "kubelet-NAME.crt, which is for its node's name and the addresses given with it. fairlead-apiserver\n"
                 "does the same by itself in its data folder: this is for making them elsewhere, or adding nodes.\n",
        .examples = "fairctl pki init /etc/fairlead/pki --server https://192.0.2.10:6443 --name 192.0.2.10 --node "
                    "edge-1=192.0.2.21\n",
        .run = run,
};
