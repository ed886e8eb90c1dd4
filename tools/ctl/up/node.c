/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl node add, remove, kill, restart: machines of a cluster come, go, and lose their power. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/up/boot.h"
#include "ctl/up/command.h"
#include "ctl/up/images.h"
#include "ctl/up/remove.h"
#include "ctl/up/spec.h"
#include "kube/client.h"

static const struct cli_flag flags[] = {CLUSTER_FLAG, {0}};

/* What a command about machines works with. */
struct job {
        struct cluster cluster;
        struct hierarchies hierarchies;
        struct machine machine;
        struct progress progress;
        struct err err;
};

static int begin(struct view *v, struct job *j)
{
        int r = command_take(v, &j->cluster);

        progress_init(&j->progress, false);
        if (!r && hierarchies_find(&j->hierarchies, &j->err))
                r = command_failed(v, &j->err);
        return r;
}

static int begin_with_machine(struct view *v, struct job *j)
{
        int r = begin(v, j);

        if (!r && machine_find(&j->cluster, view_argument(v, 0), &j->machine, &j->err))
                r = command_failed(v, &j->err);
        return r;
}

static int end(struct view *v, struct job *j, int r)
{
        cluster_deinit(&j->cluster);
        return r ? command_failed(v, &j->err) : 0;
}

/* Starts what is off, which is that machine, and waits for what it is there for. */
static int bring_up(struct job *j)
{
        const struct cluster *c = &j->cluster;
        size_t started;
        int r;

        progress_step(&j->progress, "starting %s", j->machine.name);
        r = cluster_pki(c, &j->err);
        if (!r)
                r = boot_machines(&j->cluster, &j->hierarchies, -1, &started, &j->err);
        if (r)
                return r;
        progress_done(&j->progress, "%s runs", j->machine.name);
        progress_step(&j->progress, "waiting for %s", j->machine.name);
        if (j->machine.role == MACHINE_CONTROL_PLANE)
                r = boot_await_api(c, &j->err);
        else if (j->machine.role == MACHINE_NODE && cluster_has_program(c, "fairlead-kubelet"))
                r = boot_await_nodes(c, j->machine.number, &j->err);
        else
                return 0;
        if (!r)
                progress_done(&j->progress, "%s is ready", j->machine.name);
        return r;
}

/* ---- add */

static int add(struct job *j)
{
        struct cluster *c = &j->cluster;
        unsigned number = 1;
        int r;

        while (cluster_has_node(c, number))
                number++;
        if (number > CLUSTER_NODES)
                return err_set(&j->err, -ENOSPC, "cluster %s has %d nodes, which is all that it can have", c->name,
                               CLUSTER_NODES);
        cluster_add_node(c, number);
        j->machine = machine_node(number);
        r = cluster_save(c, &j->err);
        if (!r)
                r = image_give(c, &j->machine, NULL, &j->err);
        return r ? r : bring_up(j);
}

static int run_add(struct view *v)
{
        struct job j = {0};
        int r = begin(v, &j);

        return r ? r : end(v, &j, add(&j));
}

const struct cli_command ctl_node_add = {
        .name = "node add",
        .summary = "one more node for a cluster of this machine",
        .flags = flags,
        .examples = "fairctl node add\n",
        .run = run_add,
};

/* ---- kill */

static int cut(struct job *j)
{
        struct groups_end ended = {0};
        int r;

        if (!machine_pid(&j->cluster, &j->machine))
                return err_set(&j->err, -ESRCH, "%s is off already", j->machine.name);
        r = machine_cut(&j->cluster, &j->hierarchies, &j->machine, &ended, &j->err);
        if (!r)
                printf("%s lost its power: %zu processes are gone; its disk is as it was\n", j->machine.name,
                       ended.processes);
        return r;
}

static int run_kill(struct view *v)
{
        struct job j = {0};
        int r = begin_with_machine(v, &j);

        return r ? r : end(v, &j, cut(&j));
}

const struct cli_command ctl_node_kill = {
        .name = "node kill",
        .summary = "cut the power of a node, or of control-plane",
        .arguments = "MACHINE",
        .flags = flags,
        .about = "Its first process gets SIGKILL, and with it everything on it ends at once, without a word to "
                 "anybody.\n"
                 "What was on its disk stays. `fairctl node restart` switches it on again.\n",
        .examples = "fairctl node kill node-2\n"
                    "fairctl node kill control-plane\n",
        .run = run_kill,
};

/* ---- restart */

static int restart(struct job *j)
{
        struct groups_end ended = {0};
        int r = machine_cut(&j->cluster, &j->hierarchies, &j->machine, &ended, &j->err);

        return r ? r : bring_up(j);
}

static int run_restart(struct view *v)
{
        struct job j = {0};
        int r = begin_with_machine(v, &j);

        if (!r && j.machine.role == MACHINE_FABRIC)
                return end(v, &j,
                           err_set(&j.err, -EINVAL,
                                   "the fabric carries everybody's cables: use `fairctl down "
                                   "--keep-state` and `fairctl up`"));
        return r ? r : end(v, &j, restart(&j));
}

const struct cli_command ctl_node_restart = {
        .name = "node restart",
        .summary = "switch a node (or control-plane) off and on again",
        .arguments = "MACHINE",
        .flags = flags,
        .about = "A machine that is on loses its power first. It comes back with the same disk and addresses.\n",
        .examples = "fairctl node restart node-2\n",
        .run = run_restart,
};

/* ---- remove */

/* The Node object goes, too; without an API server there is nobody to tell. */
static void forget_node(const struct job *j)
{
        _cleanup_free_ char *file = mem_printf("%s/kubeconfig", j->cluster.folder),
                            *path = mem_printf("/api/v1/nodes/%s", j->machine.name);
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;
        struct kube_client_opts opts = {.timeout_ms = 5000, .retries = 1};
        struct kube_client *client = NULL;

        if (kubeconfig_load(file, NULL, &k, NULL))
                return;
        opts.config = k;
        if (kube_client_new(&opts, &client, NULL) == 0)
                kube_delete(client, path, NULL, NULL);
        kube_client_free(client);
}

static int take_away(struct job *j)
{
        _cleanup_free_ char *group = machine_group(&j->cluster, &j->machine),
                            *folder = machine_path(&j->cluster, &j->machine, NULL);
        struct removed done = {0};
        int r;

        if (j->machine.role != MACHINE_NODE)
                return err_set(&j->err, -EINVAL, "%s is no node: a cluster cannot be without it", j->machine.name);
        r = remove_group(&j->hierarchies, group, &done, &j->err);
        if (!r)
                r = remove_folder(folder, &done.files, &j->err);
        if (r)
                return r;
        forget_node(j);
        cluster_drop_node(&j->cluster, j->machine.number);
        printf("%s is gone: %zu processes, %zu network namespaces, %zu files and folders\n", j->machine.name,
               done.groups.processes, done.networks, done.files);
        return cluster_save(&j->cluster, &j->err);
}

static int run_remove(struct view *v)
{
        struct job j = {0};
        int r = begin_with_machine(v, &j);

        return r ? r : end(v, &j, take_away(&j));
}

const struct cli_command ctl_node_remove = {
        .name = "node remove",
        .summary = "take a node away, with its disk and its Node object",
        .arguments = "NODE",
        .flags = flags,
        .about = "As when it is switched off for good: to move its pods first, use `kubectl drain`.\n",
        .examples = "fairctl node remove node-3\n",
        .run = run_remove,
};
