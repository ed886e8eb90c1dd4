/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl pki init: certificates and kubeconfigs in a folder. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl/commands.h"
#include "kube/pki.h"

#define NAMES_MAX 64

static const char help[] =
        "fairctl pki init DIR [flags]: make a cluster's CA, certificates and kubeconfigs in DIR\n"
        "\n"
        "What is there and still good is kept; what is missing or about to expire is made; the CA and the service "
        "account\n"
        "key are never replaced. Files have mode 0600. fairlead-apiserver does the same by itself in its data folder: "
        "this\n"
        "is for making them elsewhere, or adding nodes.\n"
        "\n"
        "  --server URL      where clients reach the API server (default https://127.0.0.1:6443)\n"
        "  --name NAME       another DNS name or IP of the API server; may be repeated\n"
        "  --node NAME       also make kubelet-NAME.kubeconfig and agent-NAME.kubeconfig; may be repeated\n"
        "  --cluster NAME    the cluster's name in the kubeconfigs (default fairlead)\n"
        "\n"
        "Example:\n"
        "  fairctl pki init /etc/fairlead/pki --server https://192.0.2.10:6443 --name 192.0.2.10 --node edge-1\n";

struct lists {
        const char *dns[NAMES_MAX + 1], *ips[NAMES_MAX + 1], *nodes[NAMES_MAX + 1];
        size_t ndns, nips, nnodes;
};

static bool is_ip(const char *name)
{
        return strchr(name, ':') || strspn(name, "0123456789.") == strlen(name);
}

static int add(const char **list, size_t *n, const char *flag, const char *value)
{
        if (*n == NAMES_MAX) {
                fprintf(stderr, "fairctl pki: at most %d %s\n", NAMES_MAX, flag);
                return 2;
        }
        list[(*n)++] = value;
        return 0;
}

static int parse(int argc, char **argv, struct pki_opts *opts, struct lists *l)
{
        static const struct option options[] = {
                {"server", 1, NULL, 's'},  {"name", 1, NULL, 'n'}, {"node", 1, NULL, 'o'},
                {"cluster", 1, NULL, 'c'}, {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0},
        };
        int flag, r = 0;

        while (!r && (flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (flag) {
                case 's':
                        opts->server = optarg;
                        break;
                case 'n':
                        r = is_ip(optarg) ? add(l->ips, &l->nips, "--name", optarg)
                                          : add(l->dns, &l->ndns, "--name", optarg);
                        break;
                case 'o':
                        r = add(l->nodes, &l->nnodes, "--node", optarg);
                        break;
                case 'c':
                        opts->cluster = optarg;
                        break;
                case 'h':
                        fputs(help, stdout);
                        return -1;
                default:
                        r = 2;
                }
        }
        return r;
}

int ctl_pki(int argc, char **argv)
{
        struct lists l = {0};
        struct pki_opts opts = {.server = "https://127.0.0.1:6443", .dns_names = l.dns, .ips = l.ips, .nodes = l.nodes};
        struct err err = ERR_NULL;
        struct pki_result result;
        int r = parse(argc, argv, &opts, &l);

        if (r)
                return r < 0 ? 0 : r;
        if (argc - optind != 2 || strcmp(argv[optind], "init") != 0) {
                fputs("fairctl pki: use `fairctl pki init DIR`; see fairctl pki --help\n", stderr);
                return 2;
        }
        r = pki_init(argv[optind + 1], &opts, &result, &err);
        if (r) {
                fprintf(stderr, "fairctl pki: %s\n", err.msg);
                return 1;
        }
        printf("%s: %u made, %u renewed, %u kept\n", argv[optind + 1], result.made, result.renewed, result.kept);
        printf("try: kubectl --kubeconfig %s/admin.kubeconfig get nodes\n", argv[optind + 1]);
        return 0;
}
