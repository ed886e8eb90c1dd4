/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl up: a whole cluster on this machine. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/up/boot.h"
#include "ctl/up/command.h"
#include "ctl/up/spec.h"

#define NODES_DEFAULT 3

static const struct cli_flag flags[] = {
        CLUSTER_FLAG,
        {"--nodes", "N", "how many (3)", NULL, CLI_ANY},
        {"--ipv6", NULL, "addresses of IPv6 alone", NULL, CLI_ANY},
        {"--dual-stack", NULL, "addresses of both families, IPv4 first", NULL, CLI_ANY},
        {"--routing", "MODE", "between nodes: vxlan, or native (vxlan)", "vxlan native", CLI_ANY},
        {0},
};

/* What was asked for. */
struct wish {
        uint32_t nodes;
        bool v6, dual, native;
};

static int read_wish(struct view *v, struct wish *w)
{
        const char *nodes = view_value(v, "--nodes"), *routing = view_value(v, "--routing");

        *w = (struct wish){.nodes = NODES_DEFAULT,
                           .v6 = view_is_set(v, "--ipv6"),
                           .dual = view_is_set(v, "--dual-stack"),
                           .native = routing && str_eq(routing, "native")};
        if (nodes && (str_parse_u32(nodes, &w->nodes) || w->nodes > CLUSTER_NODES))
                return view_wrong(v, "--nodes %s: use a number from 0 to %d", nodes, CLUSTER_NODES);
        if (w->v6 && w->dual)
                return view_wrong(v, "--ipv6 and --dual-stack: use one of them");
        return 0;
}

static int own_folder(struct cluster *c, struct err *reterr)
{
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n < 0)
                return err_set(reterr, -errno, "/proc/self/exe: %s", strerror(errno));
        self[n] = '\0';
        free(c->programs);
        c->programs = mem_strdup(dirname(self));
        return 0;
}

/* ---- a new one, or one that is there */

static int make_new(struct cluster *c, const struct wish *w, int *ret_listen, struct err *reterr)
{
        int r;

        c->v4 = !w->v6;
        c->v6 = w->v6 || w->dual;
        c->native = w->native;
        for (unsigned i = 1; i <= w->nodes; i++)
                cluster_add_node(c, i);
        r = boot_requirements(c, reterr);
        if (!r)
                r = boot_listen(&c->port, ret_listen, reterr);
        if (!r)
                r = cluster_number(c, reterr);
        if (r)
                rmdir(c->folder);
        return r;
}

static int differs(const struct cluster *c, const char *what, struct err *reterr)
{
        return err_set(reterr, -EEXIST,
                       "cluster %s is there already, with another %s. Take it down first (fairctl down --name %s), or "
                       "make another with --name",
                       c->name, what, c->name);
}

/* Only what was said is compared. */
static int compare(struct view *v, const struct cluster *c, const struct wish *w, struct err *reterr)
{
        if (view_is_set(v, "--nodes") && w->nodes != c->nnodes)
                return err_set(reterr, -EEXIST,
                               "cluster %s is there already, with %zu nodes: `fairctl node add` and `fairctl node "
                               "remove` change that, --name makes another cluster",
                               c->name, c->nnodes);
        if ((w->v6 && c->v4) || (w->dual && !(c->v4 && c->v6)))
                return differs(c, "IP family", reterr);
        if (view_is_set(v, "--routing") && w->native != c->native)
                return differs(c, "routing", reterr);
        return boot_requirements(c, reterr);
}

/* ---- up */

static void print_title(const struct cluster *c)
{
        char pods[2 * PLAN_SIZE], services[2 * PLAN_SIZE];

        printf("cluster %s: %zu nodes, %s, %s routes, pods %s, services %s\n", c->name, c->nnodes,
               c->v4 && c->v6 ? "IPv4 and IPv6"
               : c->v4        ? "IPv4"
                              : "IPv6",
               c->native ? "native" : "VXLAN", plan_both(c, plan_pods, pods), plan_both(c, plan_services, services));
        fflush(stdout);
}

static int await_all(const struct cluster *c, struct progress *p, struct err *reterr)
{
        int r;

        progress_step(p, "waiting for the API server");
        r = boot_await_api(c, reterr);
        if (r)
                return r;
        progress_done(p, "the API server answers at https://127.0.0.1:%u", c->port);
        if (!cluster_has_program(c, "fairlead-kubelet")) {
                printf("  -- nodes have no kubelet: %s/fairlead-kubelet has not been built\n", c->programs);
                return 0;
        }
        progress_step(p, "waiting for %zu nodes", c->nnodes);
        r = boot_await_nodes(c, 0, reterr);
        if (!r)
                progress_done(p, "%zu nodes are Ready", c->nnodes);
        return r;
}

static int bring_up(struct cluster *c, int *listen_fd, struct progress *p, struct err *reterr)
{
        struct hierarchies h;
        size_t started = 0;
        int r;

        progress_step(p, "making certificates");
        r = cluster_pki(c, reterr);
        if (r)
                return r;
        progress_done(p, "certificates and kubeconfigs");
        progress_step(p, "starting machines");
        r = hierarchies_find(&h, reterr);
        if (!r)
                r = boot_machines(c, &h, TAKE_FD(*listen_fd), &started, reterr);
        if (r)
                return r;
        if (started)
                progress_done(p, "%zu machines run: network, agents, control plane", started);
        else
                progress_done(p, "all machines run already");
        return await_all(c, p, reterr);
}

static void print_next(const struct cluster *c, const struct progress *p)
{
        bool plain = str_eq(c->name, CLUSTER_DEFAULT);
        _cleanup_free_ char *name = plain ? mem_strdup("") : mem_printf(" --name %s", c->name);

        printf("up in %.2f s. Try:\n"
               "  export KUBECONFIG=$(fairctl kubeconfig --path%s)\n"
               "  kubectl get nodes -o wide\n"
               "  fairctl status%s\n"
               "  fairctl down%s\n",
               (double)progress_total_ms(p) / 1000, name, name, name);
}

static int up(struct view *v, struct cluster *c, bool fresh, const struct wish *w, struct err *reterr)
{
        _cleanup_close_ int listen_fd = -1;
        struct progress p;
        int r;

        progress_init(&p, false);
        r = own_folder(c, reterr);
        if (!r)
                r = fresh ? make_new(c, w, &listen_fd, reterr) : compare(v, c, w, reterr);
        if (r)
                return r;
        print_title(c);
        r = bring_up(c, &listen_fd, &p, reterr);
        if (!r)
                r = cluster_save(c, reterr); /* the programs may be others than before */
        if (r) {
                progress_failed(&p);
                return err_prefix(reterr, r, "cluster %s is not up (fairctl up tries again, fairctl down removes it)",
                                  c->name);
        }
        print_next(c, &p);
        return 0;
}

static int run(struct view *v)
{
        const char *name = command_cluster(v), *wrong = cluster_name_error(name);
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        struct err err = ERR_NULL;
        struct wish wish;
        int r = read_wish(v, &wish);

        if (r)
                return r;
        if (wrong)
                return view_wrong(v, "--name %s: %s", name, wrong);
        r = geteuid() ? err_set(&err, -EPERM, "namespaces, devices and BPF need root: run it with sudo")
                      : cluster_take(name, true, &c, &err);
        if (r >= 0)
                r = up(v, &c, r == CLUSTER_NONE, &wish, &err);
        return r ? command_failed(v, &err) : 0;
}

const struct cli_command ctl_up = {
        .name = "up",
        .summary = "a whole cluster on this machine",
        .flags = flags,
        .about = "A control plane, nodes, and a client outside, each in namespaces of its own, joined by a bridge in "
                 "another\n"
                 "one. No packet of it can leave this machine: it has no route out, and the API server is reached from "
                 "here\n"
                 "by a port of 127.0.0.1. Nodes see the machine's files read-only, and have /var and /etc of their own "
                 "below\n" CLUSTERS "/NAME, which outlive their power cuts (fairctl node kill).\n"
                 "\n"
                 "What is there already goes on; what is missing is started. Clusters of several names stand side by "
                 "side.\n",
        .examples = "fairctl up\n"
                    "fairctl up --nodes 5 --dual-stack --name wide\n"
                    "KUBECONFIG=$(fairctl kubeconfig --path) kubectl get nodes\n",
        .run = run,
};
