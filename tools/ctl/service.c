/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl service list: the frontends that the dataplane serves, as the kernel has them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"
#include "datapath/address.h"

static const char help[] =
        "fairctl service list [flags]: frontends, the service behind each, and its traffic\n"
        "\n"
        "  --service TEXT   only services whose namespace/name:port contains TEXT\n" VIEW_HELP "\n"
        "TYPE      nodeport: at every node address (*, of IPv6 [*]); external: reachable from outside; hostport\n"
        "BACKENDS  for clients inside the cluster / outside; they differ by traffic policies\n"
        "OPTIONS   maglev: consistent hashing; affinity=Ns; local: externalTrafficPolicy Local;\n"
        "          ranges: loadBalancerSourceRanges\n"
        "CONNECTIONS and what follows are of the service port, whichever frontend was used; packets and\n"
        "          bytes are those of the packet path (a socket that was translated costs none)\n"
        "\n"
        "Example:\n"
        "  fairctl service list --service default/\n";

static const struct column columns[] = {
        {"SERVICE", "service", false},
        {"FRONTEND", "frontend", false},
        {"PROTO", "protocol", false},
        {"TYPE", "type", false},
        {"BACKENDS", "backends", false},
        {"OPTIONS", "options", false},
        {"CONNECTIONS", "connections", true},
        {"PACKETS", "packets", true},
        {"BYTES", "bytes", true},
        {"REFUSED", "refused", true},
};

struct listing {
        const struct view *view;
        const char *filter;
        struct table table;
};

static int compare_ids(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static int64_t distinct_backends(const struct view *v, struct slot_range range)
{
        _cleanup_free_ uint32_t *ids = NULL;
        int64_t n = 0;

        if (view_slots(v, range, &ids))
                return -1;
        qsort(ids, range.size, sizeof(*ids), compare_ids);
        for (uint32_t i = 0; i < range.size; i++)
                n += ids[i] && (i == 0 || ids[i] != ids[i - 1]);
        return n;
}

static const char *type_of(const struct service_key *key, const struct service *s)
{
        if (s->flags & SERVICE_HOSTPORT)
                return "hostport";
        if (view_is_any(&key->addr))
                return "nodeport";
        return s->flags & SERVICE_EXTERNAL ? "external" : "clusterip";
}

static void options_of(const struct service *s, struct strbuf *b)
{
        const struct {
                uint32_t flag;
                const char *name;
        } names[] = {
                {SERVICE_HASH_IN | SERVICE_HASH_OUT, "maglev"},
                {SERVICE_LOCAL_OUT, "local"},
                {SERVICE_RANGES, "ranges"},
                {SERVICE_DSR, "dsr"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (s->flags & names[i].flag)
                        strbuf_printf(b, "%s%s", b->len ? "," : "", names[i].name);
        if (s->flags & SERVICE_AFFINITY)
                strbuf_printf(b, "%saffinity=%" PRIu32 "s", b->len ? "," : "", s->affinity_s);
        if (!b->len)
                strbuf_add_str(b, "-");
}

static int list_frontend(void *userdata, const void *k, const void *value)
{
        struct listing *l = userdata;
        const struct service_key *key = k;
        const struct service *s = value;
        _cleanup_strbuf_ struct strbuf options = STRBUF_NULL;
        char name[SERVICE_NAME_SIZE], endpoint[64], proto[8];
        uint64_t stats[sizeof(struct service_stats) / 8] = {0};

        if (s->flags & SERVICE_ADDRESS)
                return 0;
        view_service_name(l->view, s->id, name);
        if (l->filter && !strstr(name, l->filter))
                return 0;
        view_sum(l->view, MAP_SERVICE_STATS, s->id, stats, ARRAY_SIZE(stats));
        options_of(s, &options);
        table_cell(&l->table, "%s", name);
        table_cell(&l->table, "%s", view_endpoint(&key->addr, key->port, endpoint));
        table_cell(&l->table, "%s", view_proto(key->proto, proto));
        table_cell(&l->table, "%s", type_of(key, s));
        table_cell(&l->table, "%" PRId64 "/%" PRId64, distinct_backends(l->view, s->in),
                   s->flags & (SERVICE_EXTERNAL | SERVICE_HOSTPORT) ? distinct_backends(l->view, s->out) : 0);
        table_cell(&l->table, "%s", options.data);
        table_cell(&l->table, "%" PRIu64, stats[0]);
        table_cell(&l->table, "%" PRIu64, stats[1] + stats[3]);
        table_cell(&l->table, "%" PRIu64, stats[2] + stats[4]);
        table_cell(&l->table, "%" PRIu64, stats[5]);
        return 0;
}

int ctl_service(int argc, char **argv)
{
        struct view v = {.command = "service list"};
        struct listing l = {.view = &v};
        const struct view_flag flags[] = {{"--service", &l.filter, NULL}, {NULL, NULL, NULL}};
        int r;

        r = view_open_list(&v, argc, argv, flags, help);
        if (r)
                return view_exit(r);
        table_init(&l.table, columns, ARRAY_SIZE(columns));
        map_each(v.maps.m[MAP_SERVICES], list_frontend, &l);
        r = view_print(&v, &l.table);
        view_close(&v);
        return r;
}
