/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl down: everything of a cluster goes, also what a killed `fairctl up` has left. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/up/command.h"
#include "ctl/up/remove.h"

static const struct cli_flag flags[] = {
        CLUSTER_FLAG,
        {"--all", NULL, "all clusters of this machine", NULL, CLI_ANY},
        {"--keep-state", NULL, "keep disks and the API's store: `fairctl up` goes on with them", NULL, CLI_ANY},
        {0},
};

static int remove_state(const struct cluster *c, bool keep, struct removed *done, struct err *reterr)
{
        int r = remove_check_mounts(c->folder, reterr);

        if (r || keep)
                return r;
        r = remove_folder(c->folder, &done->files, reterr);
        if (!r && access(c->folder, F_OK) == 0)
                r = err_set(reterr, -ENOTEMPTY, "%s is still there", c->folder);
        rmdir(CLUSTERS);            /* with the last one */
        rmdir("/var/lib/fairlead"); /* unless others keep something there */
        return r;
}

static void tell(const struct cluster *c, const struct removed *done, bool keep, uint64_t ms)
{
        printf("cluster %s is down: %zu processes, %zu network namespaces with their devices and BPF programs, %zu "
               "cgroups, %zu files and folders removed in %.2f s; %s\n",
               c->name, done->groups.processes, done->networks, done->groups.groups, done->files, (double)ms / 1000,
               keep ? "its disks are kept" : "nothing is left");
}

/* One whose description cannot be read, or whose folder is gone, is removed all the same. */
static int take_down(const char *name, bool keep, struct err *reterr)
{
        _cleanup_cluster_ struct cluster c = CLUSTER_NULL;
        _cleanup_free_ char *group = mem_printf(CLUSTER_GROUP "%s", name);
        uint64_t start = clock_mono_ms();
        struct removed done = {0};
        struct hierarchies h;
        int r = hierarchies_find(&h, reterr);

        if (!r)
                r = cluster_lock(name, groups_exist(&h, group) && groups_are_ours(&h, group), &c, reterr);
        if (!r)
                r = remove_group(&h, group, &done, reterr);
        if (!r)
                r = remove_state(&c, keep, &done, reterr);
        if (!r)
                tell(&c, &done, keep, clock_mono_ms() - start);
        return r;
}

struct all {
        const struct view *view;
        bool keep;
        size_t count;
        int result;
};

static int take_one(void *userdata, const char *name)
{
        struct all *a = userdata;
        struct err err = ERR_NULL;

        a->count++;
        if (take_down(name, a->keep, &err))
                a->result = command_failed(a->view, &err);
        fflush(stdout);
        return 0;
}

static int run(struct view *v)
{
        struct all all = {.view = v, .keep = view_is_set(v, "--keep-state")};
        const char *name = command_cluster(v), *wrong = cluster_name_error(name);

        if (wrong)
                return view_wrong(v, "--name %s: %s", name, wrong);
        if (geteuid()) {
                fprintf(stderr, "fairctl down: clusters are root's: run it with sudo\n");
                return 1;
        }
        if (!view_is_set(v, "--all"))
                take_one(&all, name);
        else if (clusters_each(take_one, &all) == 0 && !all.count)
                puts("there is no cluster");
        return all.result;
}

const struct cli_command ctl_down = {
        .name = "down",
        .summary = "remove a cluster from this machine",
        .flags = flags,
        .about = "Ends its processes by their cgroups, waits until nobody is in its network namespaces any more, and "
                 "removes\n"
                 "cgroups and files. What was removed is counted; what stays is an error. It also removes what a "
                 "`fairctl "
                 "up`\n"
                 "left that was killed half way.\n",
        .examples = "fairctl down\n"
                    "fairctl down --name wide --keep-state\n"
                    "fairctl down --all\n",
        .run = run,
};
