/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fairctl flow list: the connection state. A line is a connection: the forward entry with its reply entry. Flows are
 * chosen and sorted as pairs of a number and a place in the mapped table, and copied again when they are printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/flow_filter.h"
#include "ctl/flow_rows.h"
#include "ctl/records.h"
#include "ctl/service_names.h"
#include "ctl/view.h"
#include "datapath/address.h"

#define PIECE 20000 /* rows that are kept before they are printed */

static const struct cli_flag flags[] = {
        {"--service", "NAME", "of this Service: namespace/name, maybe with :port", NULL, CLI_SERVICE},
        {"--pod", "NAME", "to or from this pod of this node", NULL, CLI_POD},
        {"--src", "ADDR[/BITS]", "from this client", NULL, CLI_ANY},
        {"--dst", "ADDR[/BITS]", "to this address, as the client has asked for", NULL, CLI_ANY},
        {"--backend", "ADDR[/BITS]", "to this endpoint, whatever the client has asked for", NULL, CLI_ANY},
        {"--port", "N", "to this port, before or after translation", NULL, CLI_ANY},
        {"--proto", "NAME", "of this protocol: tcp, udp, sctp or icmp", FLOW_PROTOS, CLI_ANY},
        {"--state", "NAME", "opening, established, closing or reset; one-way or both-ways (UDP, ICMP)", FLOW_STATES,
         CLI_ANY},
        {"--family", "4|6", "of this IP version", "4 6", CLI_ANY},
        {"--sort", "BY", "age (the youngest first, the default), idle, bytes or packets", FLOW_SORTS, CLI_ANY},
        {"--limit", "N", "print only the first N", NULL, CLI_ANY},
        {"--all", NULL, "also flows that have timed out and were not replaced yet", NULL, CLI_ANY},
        {0},
};

struct choice {
        uint64_t key;
        uint32_t index;
};

struct listing {
        struct view *view;
        struct flow_reader reader;
        struct flow_filter filter;
        struct service_ids *services; /* NULL: any */
        struct flow_timeouts timeouts;
        const char *sort;
        bool all;
        uint32_t most, now;
        struct choice *chosen;
        size_t count, cap;
};

static int compare(const void *a, const void *b)
{
        const struct choice *x = a, *y = b;

        if (x->key != y->key)
                return x->key < y->key ? -1 : 1;
        return (x->index > y->index) - (x->index < y->index);
}

static bool is_wanted(const struct listing *l, const struct flow_entry *e)
{
        if (e->flags & FLOW_REPLY || (!l->all && flow_is_over(e, &l->timeouts, l->now)))
                return false;
        if (l->services && !service_ids_has(l->services, e->service))
                return false;
        return flow_filter_match(&l->filter, e);
}

static void choose(struct listing *l)
{
        bool needs_reply = str_eq(l->sort, "bytes") || str_eq(l->sort, "packets");
        struct flow_entry e, reply = {0};

        for (uint32_t i = 0; flow_reader_next(&l->reader, &i, &e); i++) {
                if (!is_wanted(l, &e))
                        continue;
                if (needs_reply && !flow_reader_peer(&l->reader, i, &e, &reply))
                        reply = (struct flow_entry){0};
                if (l->count == l->cap) {
                        l->cap = MAX(2 * l->cap, (size_t)1024);
                        l->chosen = mem_realloc(l->chosen, l->cap, sizeof(*l->chosen));
                }
                l->chosen[l->count++] = (struct choice){flow_sort_key(l->sort, &e, &reply, l->now), i};
        }
        if (l->count)
                qsort(l->chosen, l->count, sizeof(*l->chosen), compare);
}

static int print_flows(struct listing *l)
{
        const struct flow_clock clock = {.now = l->now, .timeouts = l->timeouts};
        size_t shown = 0;
        struct table t;

        view_table(l->view, &t);
        for (size_t i = 0; i < l->count && shown < l->most; i++) {
                struct flow_entry e, reply;

                if (!flow_reader_get(&l->reader, l->chosen[i].index, &e) || !is_wanted(l, &e))
                        continue; /* it ended meanwhile */
                if (!flow_reader_peer(&l->reader, l->chosen[i].index, &e, &reply))
                        reply = (struct flow_entry){0};
                flow_row(l->view, &t, &e, &reply, &clock);
                if (++shown % PIECE == 0)
                        table_flush(&t, stdout);
        }
        if (!shown && !l->view->json) {
                fputs("no flows", stdout);
                puts(l->view->cli.given_count ? " like that" : ": nothing is translated in packets at present");
                table_deinit(&t);
                return 0;
        }
        return view_print(l->view, &t);
}

/* ---- what was asked for */

static int parse_limit(struct listing *l)
{
        const char *limit = view_value(l->view, "--limit");

        l->most = UINT32_MAX;
        if (!limit || (str_parse_u32(limit, &l->most) == 0 && l->most > 0))
                return 0;
        return view_wrong(l->view, "--limit %s: give a number above 0", limit);
}

static int find_pod(struct listing *l, const char *typed)
{
        struct flow_filter *f = &l->filter;
        struct records records;

        if (!typed)
                return 0;
        records_read(l->view, &records);
        f->pod = true;
        for (size_t i = 0; i < records.count; i++)
                for (size_t k = 0; record_is_of(&records.items[i], typed) && k < records.items[i].addresses_n; k++)
                        if (f->pods_n < FLOW_PODS_MAX)
                                f->pods[f->pods_n++] = records.items[i].addresses[k];
        records_deinit(&records);
        if (f->pods_n)
                return 0;
        view_wrong(l->view, "--pod %s: there is no such pod on this node (see fairctl pod list)", typed);
        return 1;
}

static int parse(struct listing *l)
{
        struct view *v = l->view;
        const struct flow_words words = {
                .src = view_value(v, "--src"),
                .dst = view_value(v, "--dst"),
                .backend = view_value(v, "--backend"),
                .port = view_value(v, "--port"),
                .proto = view_value(v, "--proto"),
                .state = view_value(v, "--state"),
                .family = view_value(v, "--family"),
        };
        struct err err = ERR_NULL;
        int r;

        l->sort = view_value(v, "--sort") ?: "age";
        l->all = view_is_set(v, "--all");
        if (flow_filter_parse(&words, &l->filter, &err))
                return view_wrong(v, "%s", err.msg);
        r = parse_limit(l);
        if (!r)
                r = find_pod(l, view_value(v, "--pod"));
        return r ? r : service_ids_flag(v, &l->services);
}

static int run(struct view *v)
{
        struct listing l = {.view = v};
        struct err err = ERR_NULL;
        int r = parse(&l);

        if (!r && flow_reader_open(&l.reader, v->maps.m[MAP_FLOWS], &err)) {
                view_wrong(v, "%s", err.msg);
                r = 1;
        }
        if (!r) {
                l.now = flow_now();
                view_timeouts(v, &l.timeouts);
                choose(&l);
                r = print_flows(&l);
        }
        flow_reader_close(&l.reader);
        free(l.chosen);
        free(l.services);
        return r;
}

const struct cli_command ctl_flow_list = {
        .name = "flow list",
        .summary = "connections that the dataplane translates",
        .flags = flags,
        .columns = flow_columns,
        .width = FLOW_COLUMNS,
        .about = "Connections that were translated at the socket, and plain pod-to-pod traffic, have no state: they "
                 "are\n"
                 "not here. Counters are of the packets that went through this node.\n",
        .examples = "fairctl flow list --service default/web --state established\n"
                    "fairctl flow list --pod default/web-1 --sort bytes --limit 10\n"
                    "fairctl flow list --src 192.0.2.0/24 --port 30080 -o wide\n"
                    "fairctl flow list -o json | jq 'group_by(.backend) | map({(.[0].backend): length}) | add'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
