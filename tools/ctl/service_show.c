/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl service show: everything about one Service, for who wants to know why it does not answer. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/endpoints.h"
#include "ctl/flow_rows.h"
#include "ctl/records.h"
#include "ctl/service_text.h"
#include "datapath/address.h"

#define FLOWS_SHOWN 5

static const struct column frontend_columns[] = {
        {"  FRONTEND", "frontend", COLUMN_TEXT, false, ""},
        {"TYPE", "type", COLUMN_TEXT, false, ""},
        {"INSIDE", "insideEndpoints", COLUMN_NUMBER, false, ""},
        {"CHOSEN", NULL, COLUMN_TEXT, false, ""},
        {NULL, "insideChoice", COLUMN_TEXT, false, ""},
        {NULL, "insideSlots", COLUMN_NUMBER, false, ""},
        {"OUTSIDE", "outsideEndpoints", COLUMN_NUMBER, false, ""},
        {"CHOSEN", NULL, COLUMN_TEXT, false, ""},
        {NULL, "outsideChoice", COLUMN_TEXT, false, ""},
        {NULL, "outsideSlots", COLUMN_NUMBER, false, ""},
        {"OPTIONS", NULL, COLUMN_TEXT, false, ""},
        {NULL, "options", COLUMN_JSON, false, ""},
};

static const struct column endpoint_columns[] = {
        {"  ENDPOINT", "endpoint", COLUMN_TEXT, false, ""},
        {"WHERE", "where", COLUMN_TEXT, false, ""},
        {"STATE", "state", COLUMN_TEXT, false, ""},
        {"INSIDE SLOTS", NULL, COLUMN_TEXT, false, ""},
        {"OUTSIDE SLOTS", NULL, COLUMN_TEXT, false, ""},
        {NULL, "insideSlots", COLUMN_NUMBER, false, ""},
        {NULL, "insideOf", COLUMN_NUMBER, false, ""},
        {NULL, "outsideSlots", COLUMN_NUMBER, false, ""},
        {NULL, "outsideOf", COLUMN_NUMBER, false, ""},
        {"FLOWS", "flows", COLUMN_NUMBER, false, ""},
        {"POD", "pod", COLUMN_TEXT, false, ""},
        {"ID", "id", COLUMN_NUMBER, false, ""},
};

/* The service that is shown. */
struct show {
        struct view *view;
        struct service_ids ids;
        struct endpoints all;
        struct records records;
        struct flow_reader reader;
        struct flow_clock clock;
        uint32_t *flows;   /* by backend id */
        uint32_t backends; /* that the map has room for */
        char service[SERVICE_NAME_SIZE];
};

/* One of its ports. */
struct port {
        uint32_t id;
        struct service_sums sums;
        uint32_t affinity_s, remembered; /* clients */
        bool internal_local, external, external_local;
        struct strbuf ranges; /* JSON strings, with commas */
        uint32_t flows;
        uint32_t latest[FLOWS_SHOWN], latest_n; /* places of its youngest flows */
};

/* ---- gathering */

static void count_flows(struct show *s)
{
        struct flow_entry e;

        for (uint32_t i = 0; flow_reader_next(&s->reader, &i, &e); i++)
                if (!(e.flags & FLOW_REPLY) && service_ids_has(&s->ids, e.service) && e.backend < s->backends &&
                    !flow_is_over(&e, &s->clock.timeouts, s->clock.now))
                        s->flows[e.backend]++;
}

/* Keeps the youngest, the youngest first. */
static void keep_flow(const struct show *s, struct port *p, uint32_t index, const struct flow_entry *e)
{
        uint32_t at = p->latest_n;
        struct flow_entry other;

        while (at > 0 && flow_reader_get(&s->reader, p->latest[at - 1], &other) && other.created < e->created)
                at--;
        if (at == FLOWS_SHOWN)
                return;
        p->latest_n = MIN(p->latest_n + 1, (uint32_t)FLOWS_SHOWN);
        memmove(&p->latest[at + 1], &p->latest[at], (p->latest_n - at - 1) * sizeof(p->latest[0]));
        p->latest[at] = index;
}

static void find_flows(const struct show *s, struct port *p)
{
        struct flow_entry e;

        for (uint32_t i = 0; flow_reader_next(&s->reader, &i, &e); i++) {
                if (e.flags & FLOW_REPLY || e.service != p->id || flow_is_over(&e, &s->clock.timeouts, s->clock.now))
                        continue;
                p->flows++;
                keep_flow(s, p, i, &e);
        }
}

static int add_range(void *userdata, const void *key, const void *value)
{
        const struct range_key *k = key;
        struct port *p = userdata;
        char text[ADDRESS_TEXT];

        if (k->service != p->id)
                return 0;
        strbuf_printf(&p->ranges, "%s\"%s\"", p->ranges.len ? "," : "",
                      address_cidr_text(&k->addr, k->prefixlen - 32, text));
        return 0;
}

static int count_client(void *userdata, const void *key, const void *value)
{
        struct port *p = userdata;

        p->remembered += ((const struct affinity_key *)key)->service == p->id;
        return 0;
}

static void gather_port(struct show *s, uint32_t id, struct port *ret)
{
        uint32_t flags = 0;

        *ret = (struct port){.id = id};
        service_sums_read(s->view, id, &ret->sums);
        for (size_t i = 0; i < s->all.frontends_n; i++) {
                const struct frontend *f = &s->all.frontends[i];

                if (f->service.id != id)
                        continue;
                flags |= f->service.flags;
                ret->affinity_s = MAX(ret->affinity_s, f->service.affinity_s);
        }
        ret->internal_local = flags & SERVICE_DROP_IN;
        ret->external = flags & SERVICE_EXTERNAL;
        ret->external_local = flags & SERVICE_LOCAL_OUT;
        if (flags & SERVICE_RANGES)
                map_each(s->view->maps.m[MAP_SOURCE_RANGES], add_range, ret);
        if (flags & SERVICE_AFFINITY)
                map_each(s->view->maps.m[MAP_AFFINITY], count_client, ret);
        find_flows(s, ret);
}

/* ---- its tables */

/* How an endpoint of the range is chosen: its slots. */
static void add_choice(struct table *t, struct slot_range range, uint32_t endpoints, bool hash, bool is_for)
{
        const char *kind = hash ? "maglev" : "random";

        if (!is_for || !range.size) {
                if (is_for)
                        table_cell_in(t, TONE_BAD, "0");
                else
                        table_none(t);
                table_none(t);
                table_none(t);
                table_number(t, 0);
                return;
        }
        table_number(t, endpoints);
        table_cell(t, "%s, %" PRIu32 " slot%s", kind, range.size, range.size == 1 ? "" : "s");
        table_cell(t, "%s", kind);
        table_number(t, range.size);
}

static void frontends_of(struct show *s, const struct port *p, struct table *t)
{
        const char *indent = s->view->json ? "" : "  ";
        char text[64];

        table_init(t, frontend_columns, ARRAY_SIZE(frontend_columns), s->view->format, s->view->color);
        for (size_t i = 0; i < s->all.frontends_n; i++) {
                const struct frontend *f = &s->all.frontends[i];
                _cleanup_strbuf_ struct strbuf options = STRBUF_NULL;

                if (f->service.id != p->id)
                        continue;
                service_options(&f->service, s->view->json, &options);
                table_cell(t, "%s%s", indent, view_endpoint(&f->key.addr, f->key.port, text));
                table_cell(t, "%s", frontend_type(f));
                add_choice(t, f->service.in, f->inside, f->service.flags & SERVICE_HASH_IN, true);
                add_choice(t, f->service.out, f->outside, f->service.flags & SERVICE_HASH_OUT, frontend_is_external(f));
                table_cell(t, "%s", options.data);
                table_cell(t, "%s", options.data);
        }
}

static void add_slots(struct table *t, uint32_t slots, uint32_t of)
{
        if (of)
                table_cell(t, "%" PRIu32 " of %" PRIu32, slots, of);
        else
                table_none(t);
}

/* Of this node's pods the name is known. */
static void add_pod(const struct show *s, struct table *t, const struct addr *a)
{
        const struct record *r = records_by_address(&s->records, a);

        if (r)
                table_cell(t, "%s", r->pod);
        else
                table_none(t);
}

static void endpoints_of(struct show *s, const struct port *p, struct table *t)
{
        const char *indent = s->view->json ? "" : "  ";
        char text[64];

        table_init(t, endpoint_columns, ARRAY_SIZE(endpoint_columns), s->view->format, s->view->color);
        for (size_t i = 0; i < s->all.count; i++) {
                const struct endpoint *e = &s->all.items[i];
                const char *state = endpoint_state(e);

                if (e->backend.service != p->id)
                        continue;
                table_cell(t, "%s%s", indent, view_endpoint(&e->backend.addr, e->backend.port, text));
                table_cell(t, "%s", endpoint_where(e));
                table_cell_in(t, *state == 's' ? TONE_GOOD : TONE_WARN, "%s", state);
                add_slots(t, e->slots_in, e->slots_of_in);
                add_slots(t, e->slots_out, e->slots_of_out);
                table_number(t, e->slots_in);
                table_number(t, e->slots_of_in);
                table_number(t, e->slots_out);
                table_number(t, e->slots_of_out);
                table_number(t, e->id < s->backends ? s->flows[e->id] : 0);
                add_pod(s, t, &e->backend.addr);
                table_number(t, e->id);
        }
}

static void flows_of(struct show *s, const struct port *p, struct table *t)
{
        table_init(t, flow_columns, FLOW_COLUMNS, s->view->format, s->view->color);
        for (uint32_t i = 0; i < p->latest_n; i++) {
                struct flow_entry e, reply;

                if (!flow_reader_get(&s->reader, p->latest[i], &e) || e.service != p->id)
                        continue;
                if (!flow_reader_peer(&s->reader, p->latest[i], &e, &reply))
                        reply = (struct flow_entry){0};
                flow_row(s->view, t, &e, &reply, &s->clock);
        }
}

/* ---- for people */

static void print_note(void *userdata, enum tone tone, const char *text)
{
        const struct show *s = userdata;

        printf("  %s%s%s %s\n", tone_begin(tone, s->view->color),
               tone == TONE_BAD ? "PROBLEM:" : "note:   ", tone_end(tone, s->view->color), text);
}

/* They are kept as JSON strings. */
static void print_ranges(const struct port *p)
{
        fputs("  sources:    ", stdout);
        for (const char *c = p->ranges.data; *c; c++)
                if (*c != '"')
                        fputs(*c == ',' ? ", " : (char[]){*c, '\0'}, stdout);
        puts(" only (clients outside, at load balancer addresses)");
}

static void print_facts(const struct show *s, const struct port *p)
{
        char bytes[16], reply_bytes[16], age[16];

        if (p->affinity_s)
                printf("  affinity:   ClientIP, for %s; remembered clients: %" PRIu32 "\n",
                       view_age(p->affinity_s, age), p->remembered);
        if (p->internal_local || p->external)
                printf("  policies:   internal %s%s%s\n", p->internal_local ? "Local" : "Cluster",
                       p->external ? ", external " : "",
                       !p->external        ? ""
                       : p->external_local ? "Local"
                                           : "Cluster");
        if (p->ranges.len)
                print_ranges(p);
        printf("  statistics: %" PRIu64 " connections, %" PRIu64 " refused; in packets: %" PRIu64
               " (%s bytes) in, %" PRIu64 " (%s bytes) out\n",
               p->sums.connections, p->sums.refused, p->sums.packets, view_amount(p->sums.bytes, bytes),
               p->sums.reply_packets, view_amount(p->sums.reply_bytes, reply_bytes));
}

static void print_section(struct table *t)
{
        if (table_rows(t)) {
                putchar('\n');
                table_print(t, stdout);
        }
        table_deinit(t);
}

static void print_port(struct show *s, const struct port *p)
{
        struct table t;

        printf("%s%s%s\n", tone_begin(TONE_TITLE, s->view->color), view_service_name(s->view, p->id),
               tone_end(TONE_TITLE, s->view->color));
        service_notes(&s->all, p->id, &p->sums, print_note, s);
        print_facts(s, p);
        frontends_of(s, p, &t);
        print_section(&t);
        endpoints_of(s, p, &t);
        print_section(&t);
        if (p->flows)
                printf("\n  %" PRIu32 " flow%s at present%s\n", p->flows, p->flows == 1 ? "" : "s",
                       p->flows > FLOWS_SHOWN ? " (fairctl flow list --service shows all); the youngest:" : ":");
        flows_of(s, p, &t);
        if (table_rows(&t))
                table_print(&t, stdout);
        table_deinit(&t);
        putchar('\n');
}

/* What the agent could not do about this Service. */
static void print_agent(const struct show *s)
{
        const struct json_object *status = view_agent_status(s->view);

        json_array_foreach (json_get(status, "skipped"), i, item) {
                const char *object = json_get_str(item, "object") ?: "", *name = strrchr(object, ' ');

                if (str_eq(name ? name + 1 : object, s->service))
                        print_note((void *)s, TONE_BAD, json_get_str(item, "reason") ?: "skipped");
        }
        if (!view_agent_runs(s->view))
                print_note((void *)s, TONE_WARN,
                           "fairlead-agent is not running: endpoints are as they were when it ended");
}

/* ---- for programs */

static void add_note(void *userdata, enum tone tone, const char *text)
{
        struct strbuf *b = userdata;

        if (b->data[b->len - 1] != '[')
                strbuf_add_char(b, ',');
        strbuf_printf(b, "{\"problem\":%s,\"text\":", tone == TONE_BAD ? "true" : "false");
        strbuf_add_json_str(b, text, strlen(text));
        strbuf_add_char(b, '}');
}

static void add_table(struct strbuf *b, const char *key, struct table *t)
{
        strbuf_printf(b, ",\n\"%s\":", key);
        table_json(t, b);
        table_deinit(t);
}

static void add_port(struct show *s, const struct port *p, struct strbuf *b)
{
        const struct service_sums *sums = &p->sums;
        const char *name = view_service_name(s->view, p->id);
        struct table t;

        strbuf_add_str(b, "{\"name\":");
        strbuf_add_json_str(b, name, strlen(name));
        strbuf_printf(b, ",\"id\":%" PRIu32 ",\"affinitySeconds\":%" PRIu32 ",\"affinityClients\":%" PRIu32, p->id,
                      p->affinity_s, p->remembered);
        strbuf_printf(b, ",\"internalTrafficPolicy\":\"%s\"", p->internal_local ? "Local" : "Cluster");
        if (p->external)
                strbuf_printf(b, ",\"externalTrafficPolicy\":\"%s\"", p->external_local ? "Local" : "Cluster");
        strbuf_printf(b, ",\"sourceRanges\":[%s]", p->ranges.len ? p->ranges.data : "");
        strbuf_printf(b,
                      ",\"statistics\":{\"connections\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"packets\":%" PRIu64
                      ",\"bytes\":%" PRIu64 ",\"replyPackets\":%" PRIu64 ",\"replyBytes\":%" PRIu64 "},\"notes\":[",
                      sums->connections, sums->refused, sums->packets, sums->bytes, sums->reply_packets,
                      sums->reply_bytes);
        service_notes(&s->all, p->id, sums, add_note, b);
        strbuf_add_char(b, ']');
        frontends_of(s, p, &t);
        add_table(b, "frontends", &t);
        endpoints_of(s, p, &t);
        add_table(b, "endpoints", &t);
        strbuf_printf(b, ",\n\"flows\":%" PRIu32, p->flows);
        flows_of(s, p, &t);
        add_table(b, "youngestFlows", &t);
        strbuf_add_char(b, '}');
}

/* ---- the command */

static void show_ports(struct show *s)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, "{\"service\":");
        strbuf_add_json_str(&b, s->service, strlen(s->service));
        strbuf_printf(&b, ",\"agentRunning\":%s,\"ports\":[", view_agent_runs(s->view) ? "true" : "false");
        for (uint32_t id = 1, n = 0; id < SERVICE_IDS; id++) {
                struct port p;

                if (!service_ids_has(&s->ids, id))
                        continue;
                gather_port(s, id, &p);
                if (n++)
                        strbuf_add_char(&b, ',');
                if (s->view->json)
                        add_port(s, &p, &b);
                else
                        print_port(s, &p);
                strbuf_deinit(&p.ranges);
        }
        if (s->view->json)
                printf("%s]}\n", b.data);
        else
                print_agent(s);
}

/* Ports of several Services: which one is meant? 0, or the exit status. */
static int check_one(struct show *s, const char *typed)
{
        char name[SERVICE_NAME_SIZE];
        bool several = false;

        for (uint32_t id = 1; id < SERVICE_IDS; id++) {
                if (!service_ids_has(&s->ids, id))
                        continue;
                service_name_cut(view_service_name(s->view, id), name);
                several |= *s->service && !str_eq(s->service, name);
                if (several) {
                        view_wrong(s->view, "%s may be %s or %s: give namespace/name", typed, s->service, name);
                        return 2;
                }
                str_copy(s->service, sizeof(s->service), name);
        }
        return 0;
}

static int gather(struct show *s)
{
        struct view *v = s->view;
        struct err err = ERR_NULL;
        int r = endpoints_read(v, &s->ids, &s->all);

        if (r)
                return view_wrong(v, "the maps cannot be read: %s", strerror(-r)) - 1;
        if (flow_reader_open(&s->reader, v->maps.m[MAP_FLOWS], &err))
                return view_wrong(v, "%s", err.msg) - 1;
        s->clock.now = flow_now();
        view_timeouts(v, &s->clock.timeouts);
        s->backends = map_info(v->maps.m[MAP_BACKENDS])->max_entries;
        s->flows = mem_zalloc(s->backends * sizeof(*s->flows));
        count_flows(s);
        return 0;
}

static int run(struct view *v)
{
        _cleanup_free_ struct show *s = mem_new(struct show);
        const char *typed = view_argument(v, 0);
        int r = service_ids_asked(v, typed, &s->ids);

        if (r)
                return r;
        s->view = v;
        records_read(v, &s->records);
        r = check_one(s, typed);
        if (!r)
                r = gather(s);
        if (!r)
                show_ports(s);
        flow_reader_close(&s->reader);
        endpoints_deinit(&s->all);
        records_deinit(&s->records);
        free(s->flows);
        return r ? r : fflush(stdout) ? 1 : 0;
}

const struct cli_command ctl_service_show = {
        .name = "service show",
        .summary = "everything about one Service, problems first",
        .arguments = "NAMESPACE/NAME",
        .kind = CLI_SERVICE,
        .about = "For each port: what is wrong, policies, affinity, statistics; its frontends, with the number of\n"
                 "endpoints for clients inside and outside of the cluster, and how one of them is chosen (random: a "
                 "list\n"
                 "of slots, one for each endpoint and weight; maglev: a table that clients are hashed into); its\n"
                 "endpoints, with their slots and flows; and its youngest flows. With :PORT only that port.\n"
                 "\n"
                 "Fields of -o json: service, agentRunning, ports: name, id, affinitySeconds, affinityClients,\n"
                 "internalTrafficPolicy (Cluster also while there is no endpoint anywhere), externalTrafficPolicy,\n"
                 "sourceRanges, statistics (connections, refused, packets, bytes, replyPackets, replyBytes), notes\n"
                 "(problem, text), frontends (frontend, type, insideEndpoints, insideChoice, insideSlots and the same "
                 "of\n"
                 "outside, options), endpoints (endpoint, where, state, insideSlots, insideOf, outsideSlots, "
                 "outsideOf,\n"
                 "flows, pod, id), flows (their number), youngestFlows (as in flow list).\n",
        .examples = "fairctl service show default/web\n"
                    "fairctl service show default/web:https\n"
                    "fairctl service show default/web -o json | jq -r '.ports[].notes[].text'\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
