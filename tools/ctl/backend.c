/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl backend list: who serves, and which share of new flows each gets. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"

static const char help[] =
        "fairctl backend list [flags]: the endpoints that services are sent to\n"
        "\n"
        "  --service TEXT   only services whose namespace/name:port contains TEXT\n" VIEW_HELP "\n"
        "WHERE     local: a pod of this node; host: in a node's own network; remote\n"
        "STATE     serving; terminating: serves, while going away; drained: keeps its connections only\n"
        "SHARE     of the new flows from inside the cluster / from outside\n"
        "\n"
        "Example:\n"
        "  fairctl backend list --service default/web -o json\n";

static const struct column columns[] = {
        {"SERVICE", "service", false},
        {"BACKEND", "backend", false},
        {"PROTO", "protocol", false},
        {"WHERE", "where", false},
        {"STATE", "state", false},
        {"SHARE", "share", false},
        {"ID", "id", true},
};

/* Of one backend: slots and the size of the range that they were counted in. */
struct share {
        uint32_t in, in_of, out, out_of;
};

struct listing {
        const struct view *view;
        const char *filter;
        struct table table;
        struct share *shares; /* by backend id */
        uint32_t count;
};

static void count_slots(struct listing *l, struct slot_range range, bool outside)
{
        _cleanup_free_ uint32_t *ids = NULL;

        if (view_slots(l->view, range, &ids))
                return;
        /* Several frontends may show the same range: set, do not add. */
        for (uint32_t i = 0; i < range.size; i++)
                if (ids[i] < l->count)
                        *(outside ? &l->shares[ids[i]].out : &l->shares[ids[i]].in) = 0;
        for (uint32_t i = 0; i < range.size; i++) {
                struct share *s = ids[i] < l->count ? &l->shares[ids[i]] : NULL;

                if (s)
                        *(outside ? &s->out : &s->in) += 1;
                if (s)
                        *(outside ? &s->out_of : &s->in_of) = range.size;
        }
}

static int count_frontend(void *userdata, const void *key, const void *value)
{
        struct listing *l = userdata;
        const struct service *s = value;

        if (s->flags & SERVICE_ADDRESS)
                return 0;
        count_slots(l, s->in, false);
        if (s->flags & (SERVICE_EXTERNAL | SERVICE_HOSTPORT))
                count_slots(l, s->out, true);
        return 0;
}

static void share_text(uint32_t part, uint32_t of, char buf[static 16])
{
        if (of)
                snprintf(buf, 16, "%.1f%%", 100.0 * part / of);
        else
                snprintf(buf, 16, "-");
}

static const char *state_of(const struct backend *b, const struct share *s)
{
        if (!s->in_of && !s->out_of)
                return "drained";
        return b->flags & BACKEND_TERMINATING ? "terminating" : "serving";
}

static int list_backend(void *userdata, const void *key, const void *value)
{
        struct listing *l = userdata;
        const struct backend *b = value;
        uint32_t id = *(const uint32_t *)key;
        char name[SERVICE_NAME_SIZE], endpoint[64], proto[8], in[16], out[16];

        if (!b->service)
                return 0;
        view_service_name(l->view, b->service, name);
        if (l->filter && !strstr(name, l->filter))
                return 0;
        share_text(l->shares[id].in, l->shares[id].in_of, in);
        share_text(l->shares[id].out, l->shares[id].out_of, out);
        table_cell(&l->table, "%s", name);
        table_cell(&l->table, "%s", view_endpoint(&b->addr, b->port, endpoint));
        table_cell(&l->table, "%s", view_proto(b->proto, proto));
        table_cell(&l->table, "%s", b->flags & BACKEND_HOST ? "host" : b->flags & BACKEND_LOCAL ? "local" : "remote");
        table_cell(&l->table, "%s", state_of(b, &l->shares[id]));
        table_cell(&l->table, "%s/%s", in, out);
        table_cell(&l->table, "%" PRIu32, id);
        return 0;
}

int ctl_backend(int argc, char **argv)
{
        struct view v = {.command = "backend list"};
        struct listing l = {.view = &v};
        const struct view_flag flags[] = {{"--service", &l.filter, NULL}, {NULL, NULL, NULL}};
        int r;

        r = view_open_list(&v, argc, argv, flags, help);
        if (r)
                return view_exit(r);
        table_init(&l.table, columns, ARRAY_SIZE(columns));
        l.count = map_info(v.maps.m[MAP_BACKENDS])->max_entries;
        l.shares = calloc(l.count, sizeof(*l.shares));
        if (l.shares) {
                map_each(v.maps.m[MAP_SERVICES], count_frontend, &l);
                map_each(v.maps.m[MAP_BACKENDS], list_backend, &l);
                r = view_print(&v, &l.table);
        }
        free(l.shares);
        view_close(&v);
        return r;
}
