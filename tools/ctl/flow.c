/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl flow list: the connection state. A line is a connection: the forward entry with its reply entry. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/view.h"
#include "datapath/address.h"

static const char help[] =
        "fairctl flow list [flags]: connections that the dataplane translates\n"
        "\n"
        "  --service TEXT   only flows of services whose namespace/name:port contains TEXT\n"
        "  --client ADDR    only flows of this client\n"
        "  --backend ADDR   only flows to this backend\n"
        "  --proto NAME     only tcp, udp, sctp or icmp\n"
        "  --limit N        at most N flows\n"
        "  --all            also flows that have timed out and were not replaced yet\n" VIEW_HELP "\n"
        "Connections that were translated at the socket, and plain pod-to-pod traffic, have no state and are not "
        "here.\n"
        "VIA is the node's address and port, where the client's address was replaced.\n"
        "\n"
        "Example:\n"
        "  fairctl flow list --service default/web --proto tcp\n";

static const struct column columns[] = {
        {"PROTO", "protocol", false},
        {"CLIENT", "client", false},
        {"DESTINATION", "destination", false},
        {"VIA", "via", false},
        {"BACKEND", "backend", false},
        {"SERVICE", "service", false},
        {"STATE", "state", false},
        {"AGE", "age", false},
        {"IDLE", "idle", false},
        {"PACKETS", "packets", true},
        {"REPLIES", "replyPackets", true},
        {"BYTES", "bytes", true},
};

struct listing {
        struct view *view;
        const char *service, *client, *backend, *proto, *limit;
        uint32_t most;
        struct addr client_addr, backend_addr;
        bool all;
        struct table table;
        const struct flow_set *sets;
        uint32_t count;
        uint32_t now;
        struct flow_timeouts timeouts;
};

/* A copy that no program was writing meanwhile; false when there is no live entry. */
static bool read_flow(const struct listing *l, uint32_t index, struct flow *ret)
{
        const struct flow_set *set = &l->sets[index / FLOW_WAYS];
        const uint64_t *control = (const uint64_t *)&set->control[index % FLOW_WAYS];

        if (index / FLOW_WAYS >= l->count)
                return false;
        for (int i = 0; i < 16; i++) {
                uint64_t before = __atomic_load_n(control, __ATOMIC_ACQUIRE);

                if (FLOW_STATUS(before) != FLOW_LIVE)
                        return false;
                memcpy(ret, &set->flow[index % FLOW_WAYS], sizeof(*ret));
                __atomic_thread_fence(__ATOMIC_ACQUIRE);
                if (__atomic_load_n(control, __ATOMIC_RELAXED) == before)
                        return true;
        }
        return false;
}

static uint32_t timeout_of(const struct flow *f, const struct flow_timeouts *t)
{
        if (f->key.proto == IPPROTO_ICMP || f->key.proto == IPPROTO_ICMPV6)
                return t->icmp;
        if (f->key.proto != IPPROTO_TCP)
                return f->state & FLOW_SEEN_REPLY ? t->udp_stream : t->udp;
        if (f->state & FLOW_RST || (f->state & FLOW_FIN && f->state & FLOW_FIN_REPLY))
                return t->tcp_closing;
        return f->state & FLOW_ESTABLISHED ? t->tcp_established : t->tcp_syn;
}

static const char *state_of(const struct flow *f)
{
        if (f->state & FLOW_RST)
                return "reset";
        if (f->state & (FLOW_FIN | FLOW_FIN_REPLY))
                return "closing";
        if (f->key.proto == IPPROTO_TCP)
                return f->state & FLOW_ESTABLISHED ? "established" : "opening";
        return f->state & FLOW_SEEN_REPLY ? "both ways" : "one way";
}

static bool wanted(const struct listing *l, const struct flow *f, const char *name, const char *proto)
{
        if (l->service && !strstr(name, l->service))
                return false;
        if (l->client && !address_equal(&f->key.src, &l->client_addr))
                return false;
        if (l->backend && !address_equal(&f->new_dst, &l->backend_addr))
                return false;
        return !l->proto || strncasecmp(proto, l->proto, strlen(l->proto)) == 0;
}

static void add_flow(struct listing *l, const struct flow *f)
{
        char name[SERVICE_NAME_SIZE], client[64], dst[64], via[64], backend[64], proto[8], age[16], idle[16];
        struct flow reply = {0};
        bool snat = !address_equal(&f->key.src, &f->new_src) || f->key.sport != f->new_sport;

        view_proto(f->key.proto, proto);
        if (f->service)
                view_service_name(l->view, f->service, name);
        else
                snprintf(name, sizeof(name), "%s", f->flags & FLOW_MASQUERADE ? "(masqueraded)" : "-");
        if (!wanted(l, f, name, proto))
                return;
        read_flow(l, f->peer, &reply);
        table_cell(&l->table, "%s", proto);
        table_cell(&l->table, "%s", address_port_text(&f->key.src, f->key.sport, client));
        table_cell(&l->table, "%s", address_port_text(&f->key.dst, f->key.dport, dst));
        table_cell(&l->table, "%s", snat ? address_port_text(&f->new_src, f->new_sport, via) : "-");
        table_cell(&l->table, "%s", address_port_text(&f->new_dst, f->new_dport, backend));
        table_cell(&l->table, "%s", name);
        table_cell(&l->table, "%s", state_of(f));
        table_cell(&l->table, "%s", view_age(l->now > f->created ? l->now - f->created : 0, age));
        table_cell(&l->table, "%s", view_age(l->now > f->seen ? l->now - f->seen : 0, idle));
        table_cell(&l->table, "%" PRIu32, f->packets);
        table_cell(&l->table, "%" PRIu32, reply.packets);
        table_cell(&l->table, "%llu", (unsigned long long)(f->bytes + reply.bytes));
}

static int map_flows(struct listing *l)
{
        const struct map *m = l->view->maps.m[MAP_FLOWS];
        size_t size;
        void *p;

        l->count = map_info(m)->max_entries;
        size = (size_t)l->count * sizeof(*l->sets);
        p = mmap(NULL, size, PROT_READ, MAP_SHARED, map_fd(m), 0);
        if (p == MAP_FAILED) {
                fprintf(stderr, "fairctl flow list: cannot map the flow table: %s\n", strerror(errno));
                return -errno;
        }
        l->sets = p;
        return 0;
}

static int parse_filter(const char *flag, const char *text, struct addr *ret)
{
        if (!text || address_parse(text, ret) == 0)
                return 0;
        fprintf(stderr, "fairctl flow list: %s %s: give an IP address\n", flag, text);
        return -EINVAL;
}

static int parse_limit(struct listing *l)
{
        l->most = UINT32_MAX;
        if (!l->limit || (str_parse_u32(l->limit, &l->most) == 0 && l->most > 0))
                return 0;
        fprintf(stderr, "fairctl flow list: --limit %s: give a number above 0\n", l->limit);
        return -EINVAL;
}

static void list_flows(struct listing *l)
{
        l->now = view_flow_now();
        view_timeouts(l->view, &l->timeouts);
        table_init(&l->table, columns, ARRAY_SIZE(columns));
        for (uint32_t i = 0; i < l->count * FLOW_WAYS && table_rows(&l->table) < l->most; i++) {
                struct flow f;

                if (!read_flow(l, i, &f) || f.flags & FLOW_REPLY)
                        continue;
                if (l->all || l->now <= f.seen + timeout_of(&f, &l->timeouts))
                        add_flow(l, &f);
        }
        munmap((void *)l->sets, (size_t)l->count * sizeof(*l->sets));
}

int ctl_flow(int argc, char **argv)
{
        struct view v = {.command = "flow list"};
        struct listing l = {.view = &v};
        const struct view_flag flags[] = {
                {"--service", &l.service, NULL},
                {"--client", &l.client, NULL},
                {"--backend", &l.backend, NULL},
                {"--proto", &l.proto, NULL},
                {"--all", NULL, &l.all},
                {"--limit", &l.limit, NULL},
                {NULL, NULL, NULL},
        };
        int r;

        r = view_open_list(&v, argc, argv, flags, help);
        if (r)
                return view_exit(r);
        r = 2;
        if (!parse_limit(&l) && !parse_filter("--client", l.client, &l.client_addr) &&
            !parse_filter("--backend", l.backend, &l.backend_addr)) {
                r = 1;
                if (!map_flows(&l)) {
                        list_flows(&l);
                        r = view_print(&v, &l.table);
                }
        }
        view_close(&v);
        return r;
}
