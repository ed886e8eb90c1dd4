/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/config.h"
#include "controllers/manager.h"
#include "controllers/nodeipam.h"

#define AT(field) offsetof(struct config, field)

static const struct flag flags[] = {
        {.kind = FLAG_HEADING, .help = "Controllers:"},
        {"controllers", FLAG_TEXT, AT(controllers), "*",
         "=NAMES: which ones run: * is all, name adds one, -name leaves it out", 0, 0},
        {"endpoint-updates-batch-period", FLAG_MS, AT(endpoint_batch_ms), "0s",
         "changes of pods wait so long for more, so that there are fewer writes", 0, 3600000},
        {"max-endpoints-per-slice", FLAG_U32, AT(endpoints_per_slice), "100", "endpoints of one EndpointSlice", 1,
         1000},
        {"terminated-pod-gc-threshold", FLAG_U32, AT(terminated_pod_threshold), "12500",
         "so many finished pods may stay; 0: any number", 0, 0},
        {"root-ca-file", FLAG_TEXT, AT(root_ca_file), NULL,
         "=FILE: what pods trust (ConfigMap kube-root-ca.crt); default: the kubeconfig's", 0, 0},
        {.kind = FLAG_HEADING, .help = "Nodes:"},
        {"node-monitor-period", FLAG_MS, AT(node_period_ms), "5s", "between looks at the nodes' Leases", 100, 3600000},
        {"node-monitor-grace-period", FLAG_MS, AT(node_grace_ms), "50s",
         "without a sign of life for so long, a node is Unknown", 1000, 86400000},
        {"node-startup-grace-period", FLAG_MS, AT(node_startup_grace_ms), "1m0s", "the same for a new node", 1000,
         86400000},
        {"node-eviction-rate", FLAG_DOUBLE, AT(eviction_rate), "0.1",
         "nodes a second whose pods are evicted, in a zone that is well", 0, 0},
        {"secondary-node-eviction-rate", FLAG_DOUBLE, AT(secondary_eviction_rate), "0.01",
         "the same in a zone that is not; 0 in small clusters", 0, 0},
        {"large-cluster-size-threshold", FLAG_U32, AT(large_cluster), "50", "nodes; smaller clusters are small", 0, 0},
        {"unhealthy-zone-threshold", FLAG_DOUBLE, AT(unhealthy_zone), "0.55",
         "the part of a zone's nodes that is not ready, from which the zone is not well", 0, 0},
        {"allocate-node-cidrs", FLAG_BOOL, AT(allocate_node_cidrs), "false",
         "give each node its part of --cluster-cidr", 0, 0},
        {"cluster-cidr", FLAG_TEXT, AT(cluster_cidr), NULL, "=CIDR[,CIDR]: addresses of pods, one range per family", 0,
         0},
        {"node-cidr-mask-size-ipv4", FLAG_U32, AT(node_mask_v4), "24", "prefix length of a node's part", 1, 32},
        {"node-cidr-mask-size-ipv6", FLAG_U32, AT(node_mask_v6), "64", "prefix length of a node's part", 1, 128},
};

struct program {
        struct config config;
        struct manager *manager;
        char *root_ca;
};

static int check_range(const struct config *c, struct str_span word, struct err *reterr)
{
        struct cidr range;
        uint32_t part;

        if (cidr_parse(word, &range))
                return err_set(reterr, -EINVAL,
                               "--cluster-cidr: %.*s is no range of addresses; use 10.244.0.0/16 or fd00::/48",
                               (int)word.n, word.s);
        part = range.family == AF_INET ? c->node_mask_v4 : c->node_mask_v6;
        if (part < range.bits || part - range.bits > 16)
                return err_set(
                        reterr, -EINVAL,
                        "--cluster-cidr: parts of /%u of %.*s; --node-cidr-mask-size-ipv%c must be longer than the "
                        "range's by 16 at most",
                        part, (int)word.n, word.s, range.family == AF_INET ? '4' : '6');
        return 0;
}

static int check_ranges(const struct config *c, struct err *reterr)
{
        struct str_span word;
        int r = 0, n = 0;

        if (!c->allocate_node_cidrs)
                return 0;
        if (str_empty(c->cluster_cidr))
                return err_set(reterr, -EINVAL, "--allocate-node-cidrs needs --cluster-cidr, such as 10.244.0.0/16");
        for (const char *rest = c->cluster_cidr; !r && str_split(&rest, ',', &word); n++)
                r = check_range(c, word, reterr);
        if (!r && n > 2)
                r = err_set(reterr, -EINVAL, "--cluster-cidr=%s: one range of each family at most", c->cluster_cidr);
        return r;
}

static int check(void *userdata, struct err *reterr)
{
        struct program *p = userdata;

        int r = check_ranges(&p->config, reterr);

        return r ? r : manager_check_names(p->config.controllers, reterr);
}

/* What pods are told to trust: the file, or what this process itself trusts. */
static int read_root_ca(struct program *p, const struct kubeconfig *k, struct err *reterr)
{
        const char *file = p->config.root_ca_file ? p->config.root_ca_file : k->ca_pem ? NULL : k->ca_file;
        int r;

        if (!file) {
                p->root_ca = mem_strdup(k->ca_pem);
        } else {
                r = file_read(file, 1 << 20, &p->root_ca, NULL, reterr);
                if (r)
                        return err_prefix(reterr, r, "--root-ca-file");
        }
        p->config.root_ca = p->root_ca;
        return 0;
}

static int start(void *userdata, struct process *process, struct err *reterr)
{
        struct program *p = userdata;
        int r = read_root_ca(p, process_kubeconfig(process), reterr);

        return r ? r : manager_new(process, &p->config, &p->manager, reterr);
}

static void lead(void *userdata)
{
        manager_lead(((struct program *)userdata)->manager);
}

static const char *unready(void *userdata)
{
        return manager_unready(((struct program *)userdata)->manager);
}

static void metrics(void *userdata, struct strbuf *b)
{
        manager_metrics(((struct program *)userdata)->manager, b);
}

static void stop(void *userdata)
{
        struct program *p = userdata;

        manager_free(p->manager);
        free(p->root_ca);
}

static const char introduction[] =
        "fairlead-controller-manager " FAIRLEAD_VERSION ": the controllers of a Kubernetes cluster\n"
        "\n"
        "Usage:\n"
        "  fairlead-controller-manager [flags]\n"
        "\n"
        "It makes pods of Deployments, StatefulSets, DaemonSets and Jobs, finds the endpoints of Services, watches "
        "over\n"
        "nodes and collects garbage: every controller looks at the API, and writes what is missing. It keeps no state "
        "of\n"
        "its own. Several may run, of which one acts.\n"
        "\n"
        "To try it, beside a fairlead-apiserver:\n"
        "  fairlead-controller-manager --kubeconfig /tmp/fl/pki/admin.kubeconfig\n"
        "  curl http://127.0.0.1:10257/metrics\n"
        "\n"
        "Flags have upstream's names where they mean the same:\n";

static const char permissions[] =
        "It needs what the ClusterRoles system:controller:* grant together: to watch everything that the API keeps, to "
        "write\n"
        "and delete what its controllers own, and a Lease in kube-system.\n";

int main(int argc, char **argv)
{
        struct program p = {0};
        const struct process_program program = {
                .name = "fairlead-controller-manager",
                .component = "kube-controller-manager",
                .event_source = "controllermanager",
                .introduction = introduction,
                .permissions = permissions,
                .address = "127.0.0.1:10257",
                .flags = flags,
                .nflags = ARRAY_SIZE(flags),
                .config = &p.config,
                .userdata = &p,
                .check = check,
                .start = start,
                .lead = lead,
                .unready = unready,
                .metrics = metrics,
                .stop = stop,
        };

        return process_main(&program, argc, argv);
}
