/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/machine.h"

#define CUT_PATIENCE_MS 15000

static const char *const names[] = {
        [MACHINE_FABRIC] = "fabric", [MACHINE_CONTROL_PLANE] = "control-plane", [MACHINE_CLIENT] = "client"};

struct machine machine_of(enum machine_role role, unsigned number)
{
        struct machine m = {.role = role, .number = number};

        if (role == MACHINE_NODE)
                snprintf(m.name, sizeof(m.name), "node-%u", number);
        else
                str_copy(m.name, sizeof(m.name), names[role]);
        return m;
}

struct machine machine_node(unsigned number)
{
        return machine_of(MACHINE_NODE, number);
}

int machines_each(const struct cluster *c, int (*fn)(void *userdata, const struct machine *m), void *userdata)
{
        int r = 0;

        for (enum machine_role role = MACHINE_FABRIC; !r && role < MACHINE_NODE; role++) {
                struct machine m = machine_of(role, 0);

                r = fn(userdata, &m);
        }
        for (size_t i = 0; !r && i < c->nnodes; i++) {
                struct machine m = machine_node(c->nodes[i]);

                r = fn(userdata, &m);
        }
        return r;
}

struct search {
        const char *name;
        struct machine *ret;
        char all[512];
};

static int compare(void *userdata, const struct machine *m)
{
        struct search *s = userdata;
        size_t used = strlen(s->all);

        snprintf(s->all + used, sizeof(s->all) - used, "%s%s", used ? ", " : "", m->name);
        if (!str_eq(m->name, s->name))
                return 0;
        *s->ret = *m;
        return 1;
}

int machine_find(const struct cluster *c, const char *name, struct machine *ret, struct err *reterr)
{
        struct search s = {.name = name, .ret = ret};

        if (machines_each(c, compare, &s))
                return 0;
        return err_set(reterr, -ENOENT, "cluster %s has no machine %s; it has %s", c->name, name, s.all);
}

char *machine_path(const struct cluster *c, const struct machine *m, const char *file)
{
        return mem_printf("%s/machines/%s%s%s", c->folder, m->name, file ? "/" : "", file ?: "");
}

char *machine_group(const struct cluster *c, const struct machine *m)
{
        return mem_printf(CLUSTER_GROUP "%s/%s", c->name, m->name);
}

const char *machine_addresses(const struct cluster *c, const struct machine *m, char buf[static 2 * PLAN_SIZE])
{
        static const unsigned hosts[] = {[MACHINE_FABRIC] = PLAN_ROUTER,
                                         [MACHINE_CONTROL_PLANE] = PLAN_API,
                                         [MACHINE_CLIENT] = PLAN_CLIENT,
                                         [MACHINE_NODE] = PLAN_NODES};
        const char *(*plan)(const struct cluster *c, bool v6, unsigned host, char *buf) =
                m->role == MACHINE_CLIENT ? plan_outside : plan_fabric;
        char v4[PLAN_SIZE] = "", v6[PLAN_SIZE] = "";

        snprintf(buf, 2 * PLAN_SIZE, "%s%s%s", c->v4 ? plan(c, false, hosts[m->role] + m->number, v4) : "",
                 c->v4 && c->v6 ? "," : "", c->v6 ? plan(c, true, hosts[m->role] + m->number, v6) : "");
        return buf;
}

/* Somebody holds the lock as long as the first process lives, so that no process number has to be believed. */
static bool is_on(const struct cluster *c, const struct machine *m)
{
        _cleanup_free_ char *path = machine_path(c, m, "lock");
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

        return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

pid_t machine_pid(const struct cluster *c, const struct machine *m)
{
        _cleanup_free_ char *path = machine_path(c, m, "pid"), *text = NULL;
        uint32_t pid = 0;

        if (!is_on(c, m) || file_read(path, 64, &text, NULL, NULL))
                return 0;
        text[strcspn(text, "\n")] = '\0';
        return str_parse_u32(text, &pid) ? 0 : (pid_t)pid;
}

int machine_cut(const struct cluster *c, const struct hierarchies *h, const struct machine *m, struct groups_end *ret,
                struct err *reterr)
{
        _cleanup_free_ char *group = machine_group(c, m), *path = machine_path(c, m, "pid");
        pid_t pid = machine_pid(c, m);

        if (pid)
                kill(pid, SIGKILL);
        unlink(path);
        return groups_remove(h, group, CUT_PATIENCE_MS, ret, reterr);
}
