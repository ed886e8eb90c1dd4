/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/up/command.h"

const char *command_cluster(const struct view *v)
{
        const char *environment = getenv("FAIRLEAD_CLUSTER");

        return view_value(v, "--name") ?: (str_empty(environment) ? CLUSTER_DEFAULT : environment);
}

int command_failed(const struct view *v, const struct err *err)
{
        fflush(stdout);
        fprintf(stderr, "fairctl %s: %s\n", v->command, err->msg);
        return 1;
}

/* Folders of clusters are root's: others would be told that there is none. */
static int check(const struct view *v, const char *name)
{
        const char *wrong = cluster_name_error(name);

        if (wrong)
                return view_wrong(v, "--name %s: %s", name, wrong);
        if (geteuid()) {
                fprintf(stderr, "fairctl %s: clusters are root's: run it with sudo\n", v->command);
                return 1;
        }
        return 0;
}

int command_load(const struct view *v, struct cluster *ret)
{
        const char *name = command_cluster(v);
        struct err err = ERR_NULL;
        int r = check(v, name);

        if (r)
                return r;
        r = cluster_load(name, ret, &err);
        return r ? command_failed(v, &err) : 0;
}

int command_take(const struct view *v, struct cluster *ret)
{
        const char *name = command_cluster(v);
        struct err err = ERR_NULL;
        int r = check(v, name);

        if (r)
                return r;
        r = cluster_take(name, false, ret, &err);
        return r ? command_failed(v, &err) : 0;
}

static int there_is_one(void *userdata, const char *name)
{
        return 1;
}

bool command_any_cluster(void)
{
        return clusters_each(there_is_one, NULL);
}
