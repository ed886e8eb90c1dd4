/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl image load: an image on all nodes of a cluster, without a registry. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/commands.h"
#include "ctl/up/command.h"
#include "ctl/up/images.h"
#include "ctl/up/spec.h"

#define PATIENCE_MS 120000
#define LOOK_US     20000

static const struct cli_flag flags[] = {CLUSTER_FLAG, {0}};

struct load {
        const struct cluster *cluster;
        const char *file;
        size_t given, off;
        struct err *reterr;
};

static int give(void *userdata, const struct machine *m)
{
        struct load *l = userdata;
        int r = m->role == MACHINE_NODE ? image_give(l->cluster, m, l->file, l->reterr) : 0;

        l->given += m->role == MACHINE_NODE;
        return r;
}

/* A node without power, or without a kubelet, takes it when it is there again. */
static int await(void *userdata, const struct machine *m)
{
        struct load *l = userdata;
        uint64_t end = clock_mono_ms() + PATIENCE_MS;
        int r;

        if (m->role != MACHINE_NODE)
                return 0;
        if (!machine_pid(l->cluster, m) || !cluster_has_program(l->cluster, "fairlead-kubelet")) {
                l->off++;
                return 0;
        }
        while ((r = image_taken(l->cluster, m, l->file, l->reterr)) == IMAGE_WAITS) {
                if (clock_mono_ms() > end)
                        return err_set(l->reterr, -ETIMEDOUT, "%s has not taken it: see `fairctl logs kubelet@%s`",
                                       m->name, m->name);
                usleep(LOOK_US);
        }
        return r;
}

static int load(const struct cluster *c, const char *path, const char *given_name, struct err *reterr)
{
        _cleanup_free_ char *name = mem_strdup(given_name), *file = NULL;
        struct load l = {.cluster = c, .reterr = reterr};
        int r = name ? 0 : image_own_name(path, &name, reterr);

        if (!r)
                r = image_keep(c, path, name, &file, reterr);
        l.file = file;
        if (!r)
                r = machines_each(c, give, &l);
        if (!r)
                r = machines_each(c, await, &l);
        if (r)
                return r;
        printf("%s is on %zu nodes", name, l.given - l.off);
        if (l.off)
                printf(", and waits for the kubelets of %zu", l.off);
        puts(l.given ? "" : "; the next one gets it");
        return 0;
}

static int run(struct view *v)
{
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        struct err err = ERR_NULL;
        int r = command_take(v, &c);

        if (r)
                return r;
        r = load(&c, view_argument(v, 0), view_argument(v, 1), &err);
        return r ? command_failed(v, &err) : 0;
}

const struct cli_command ctl_image_load = {
        .name = "image load",
        .summary = "put an image on all nodes of a cluster, without a registry",
        .arguments = "PATH [NAME]",
        .kind = CLI_FOLDER,
        .flags = flags,
        .about = "PATH is an archive (docker save, podman save, skopeo copy ... oci-archive:FILE) or the folder of an "
                 "OCI\n"
                 "layout; NAME is what pods call the image, when the archive does not say it. Nodes that come later "
                 "get it,\n"
                 "too. Pods with imagePullPolicy Always still ask a registry, as they do for the tag latest by "
                 "default.\n",
        .examples = "fairctl image load web.tar web:1\n"
                    "docker save web:1 -o /tmp/web.tar && fairctl image load /tmp/web.tar\n",
        .run = run,
};
