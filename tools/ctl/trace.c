/* SPDX-License-Identifier: Apache-2.0 */
/* fairctl trace: what the loaded programs do with a packet, hook after hook, and why. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/commands.h"
#include "ctl/event_text.h"
#include "ctl/trace_story.h"
#include "datapath/address.h"
#include "datapath/flows.h"
#include "datapath/pinned.h"

static const struct cli_flag flags[] = {
        {"--source", "ADDR", "send from SRC's place with this address (a spoofed one)", NULL, CLI_ANY},
        {"--sport", "N", "source port or echo identifier; of a flow that is there: how it goes on", NULL, CLI_ANY},
        {"--size", "N", "bytes behind the transport header (default 0)", NULL, CLI_ANY},
        {"--packet", NULL, "as if it was not translated at the socket", NULL, CLI_ANY},
        {"--ipv6", NULL, "of names that have both, take the IPv6 address", NULL, CLI_ANY},
        {0},
};

static const char *const outcomes[] = {
        [TRACE_UNDECIDED] = "undecided", [TRACE_DELIVERED] = "delivered", [TRACE_HOST] = "host",
        [TRACE_LEFT] = "left",           [TRACE_ELSEWHERE] = "elsewhere", [TRACE_DROPPED] = "dropped",
        [TRACE_REFUSED] = "refused",
};

/* Exit status: of drops and refusals 1, as of failures; of what does not agree 3. */
static int status_of(const struct trace *t)
{
        if (t->disagreements_n)
                return 3;
        return t->outcome == TRACE_DROPPED || t->outcome == TRACE_REFUSED || t->outcome == TRACE_UNDECIDED;
}

/* ---- printing */

static enum tone tone_of(const struct trace *t)
{
        return t->outcome == TRACE_DROPPED || t->outcome == TRACE_REFUSED ? TONE_BAD : TONE_GOOD;
}

static void print_list(const char *title, char **lines, size_t n)
{
        for (size_t i = 0; i < n; i++)
                printf("%s%s\n", title, lines[i]);
}

static void print_text(const struct trace *t)
{
        char src[ADDRESS_TEXT], dst[ADDRESS_TEXT], proto[8];
        bool color = t->view->color;

        printf("%s %s > %s\n", view_proto(t->asked.proto, proto),
               trace_end_text(&t->asked.src, t->asked.sport, t->asked.proto, src),
               trace_end_text(&t->asked.dst, t->asked.dport, t->asked.proto, dst));
        printf("from %s, to an address that is %s\n", t->src.text, t->asked_dst);
        for (size_t i = 0; i < t->steps_n; i++) {
                const struct trace_step *s = t->steps[i];

                printf("\n%s%s%s", tone_begin(TONE_TITLE, color), s->name, tone_end(TONE_TITLE, color));
                if (*s->device)
                        printf(" (%s)", s->device);
                if (s->ran)
                        printf(": %s", event_reason(s->run.event.reason));
                putchar('\n');
                print_list("  ", s->lines, s->lines_n);
        }
        printf("\n%s%s%s\n", tone_begin(tone_of(t), color),
               t->result.len ? t->result.data : "it is not known what becomes of it", tone_end(tone_of(t), color));
        if (t->advice.len)
                printf("what to do: %s\n", t->advice.data);
        if (t->next.len)
                printf("go on there: %s\n", t->next.data);
        print_list("NOT IN AGREEMENT: ", t->disagreements, t->disagreements_n);
        print_list("left behind: ", t->left, t->left_n);
}

static void add_string(struct strbuf *b, const char *key, const char *text)
{
        strbuf_printf(b, "\"%s\":", key);
        if (text)
                strbuf_add_json_str(b, text, strlen(text));
        else
                strbuf_add_str(b, "null");
}

static void add_strings(struct strbuf *b, const char *key, char **lines, size_t n)
{
        strbuf_printf(b, "\"%s\":[", key);
        for (size_t i = 0; i < n; i++) {
                if (i)
                        strbuf_add_char(b, ',');
                strbuf_add_json_str(b, lines[i], strlen(lines[i]));
        }
        strbuf_add_char(b, ']');
}

static void add_step(struct strbuf *b, struct trace *t, const struct trace_step *s)
{
        const struct monitor_event *e = &s->run.event;

        strbuf_add_str(b, "\n  {");
        add_string(b, "program", s->name);
        strbuf_add_char(b, ',');
        add_string(b, "device", *s->device ? s->device : NULL);
        if (s->ran) {
                strbuf_add_char(b, ',');
                add_string(b, "returned", trace_verdict_name(s->run.program, s->run.verdict));
                strbuf_add_str(b, ",\"decision\":");
                event_json(b, e, clock_wall_ns(), e->service ? view_service_name(t->view, e->service) : NULL);
        }
        strbuf_add_char(b, ',');
        add_strings(b, "explanation", s->lines, s->lines_n);
        strbuf_add_char(b, '}');
}

static void print_json(struct trace *t)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        char src[ADDRESS_TEXT], dst[ADDRESS_TEXT], proto[8];

        strbuf_printf(&b,
                      "{\"protocol\":\"%s\",\"source\":\"%s\",\"sourcePort\":%u,\"destination\":\"%s\","
                      "\"destinationPort\":%u,",
                      view_proto(t->asked.proto, proto), address_text(&t->asked.src, src), ntohs(t->asked.sport),
                      address_text(&t->asked.dst, dst), ntohs(t->asked.dport));
        add_string(&b, "from", t->src.text);
        strbuf_add_str(&b, ",\"steps\":[");
        for (size_t i = 0; i < t->steps_n; i++) {
                if (i)
                        strbuf_add_char(&b, ',');
                add_step(&b, t, t->steps[i]);
        }
        strbuf_add_str(&b, "\n ],");
        add_string(&b, "outcome", outcomes[t->outcome]);
        strbuf_add_char(&b, ',');
        add_string(&b, "result", t->result.len ? t->result.data : NULL);
        strbuf_add_char(&b, ',');
        add_string(&b, "advice", t->advice.len ? t->advice.data : NULL);
        strbuf_add_char(&b, ',');
        add_string(&b, "next", t->next.len ? t->next.data : NULL);
        strbuf_add_char(&b, ',');
        add_strings(&b, "disagreements", t->disagreements, t->disagreements_n);
        strbuf_add_char(&b, ',');
        add_strings(&b, "leftBehind", t->left, t->left_n);
        printf("%s}\n", b.data);
}

/* ---- what is asked */

static int complain(const struct err *err)
{
        fprintf(stderr, "fairctl trace: %s\n", err->msg);
        return 1;
}

static bool is_v6_text(const char *text)
{
        struct addr a;

        return address_parse(text, &a) == 0 && !address_is_v4(&a);
}

/* Addresses of both ends. 0, or the exit status. */
static int find_ends(struct trace *t)
{
        const char *source = view_argument(t->view, 0), *forged = view_value(t->view, "--source");
        struct trace_target target;
        struct err err = ERR_NULL;
        struct trace_names names = {.view = t->view, .records = &t->records};
        struct addr src, dst, v4;
        __be16 port = 0;

        if (trace_target_parse(view_argument(t->view, 1), &target, &err))
                return view_wrong(t->view, "%s", err.msg);
        names.want_v6 = view_is_set(t->view, "--ipv6") || is_v6_text(source) || is_v6_text(target.name) ||
                        (forged && is_v6_text(forged));
        if (trace_find_source(&names, source, &src, &err) || trace_find_target(&names, &target, &dst, &port, &err))
                return complain(&err);
        if (trace_place_of(t->view, &t->records, &src, &t->src) || trace_place_of(t->view, &t->records, &dst, &t->dst))
                return view_wrong(t->view, "the map routes cannot be read");
        memcpy(t->asked_dst, t->dst.text, sizeof(t->asked_dst));
        if (t->dst.kind == TRACE_LOOPBACK && t->src.kind == TRACE_NODE)
                src = dst;
        else if (t->dst.kind == TRACE_LOOPBACK)
                return view_wrong(t->view,
                                  "%s is the sender's own loopback address, which never leaves it; only "
                                  "NodePorts are served there, to SRC `node`",
                                  target.name);
        if (forged && address_parse(forged, &src))
                return view_wrong(t->view, "--source %s: give an IP address", forged);
        if (address_is_v4(&src) != address_is_v4(&dst))
                return view_wrong(t->view, "%s and %s are not of one IP family%s", address_text(&src, (char[64]){0}),
                                  address_text(&dst, (char[64]){0}), address_parse(source, &v4) ? "" : "; see --ipv6");
        t->tuple = (struct tuple){.src = src, .dst = dst, .dport = port, .proto = target.proto};
        if (target.proto == IPPROTO_ICMP && !address_is_v4(&src))
                t->tuple.proto = IPPROTO_ICMPV6;
        return 0;
}

/* The source port: one that is free, or of the flow that somebody asks about. 0, or the exit status. */
static int find_port(struct trace *t)
{
        const char *text = view_value(t->view, "--sport"), *size = view_value(t->view, "--size");
        struct flow_found found;
        uint16_t port;

        if (size && (str_parse_u16(size, &t->payload) || t->payload > TRACE_PAYLOAD_MAX))
                return view_wrong(t->view, "--size %s: give a number up to %d", size, TRACE_PAYLOAD_MAX);
        if (text) {
                if (str_parse_u16(text, &port) || !port)
                        return view_wrong(t->view, "--sport %s: give a number from 1 to 65535", text);
                t->tuple.sport = htons(port);
                t->established = flow_undo_find(&t->flows, &t->tuple, &t->knobs.timeouts, flow_now(), &found);
                if (t->established)
                        trace_leave(t, "a packet that is counted in the flow that was there before");
                return 0;
        }
        if (trace_find_port(t))
                return 0;
        fputs("fairctl trace: the flow table is so full that the trace would cost somebody a flow; `fairctl status`\n",
              stderr);
        return 1;
}

static int open_trace(struct trace *t)
{
        _cleanup_free_ char *folder = mem_printf("%s/v%d/maps", t->view->pin_root, MAPS_VERSION);
        struct observer_opts opts = {.maps = &t->view->maps, .lock_path = folder, .filter = {0}};
        struct err err = ERR_NULL;
        uint32_t zero = 0;
        int r;

        records_read(t->view, &t->records);
        t->started = flow_now();
        r = pinned_knobs(t->view->pin_root, &t->knobs);
        if (r)
                err_set(&err, r, "the loaded programs' settings cannot be read: %s", strerror(-r));
        if (r == 0)
                r = map_lookup(t->view->maps.m[MAP_NODE], &zero, &t->node);
        if (r == 0)
                r = flow_undo_open(&t->flows, t->view->maps.m[MAP_FLOWS]);
        if (r == 0)
                r = observer_open(&opts, &t->observer, &err);
        if (r && !*err.msg)
                err_set(&err, r, "the dataplane's maps cannot be read: %s", strerror(-r));
        return r ? complain(&err) : 0;
}

static int run(struct view *v)
{
        struct trace t = {.view = v, .packet_path = view_is_set(v, "--packet")};
        struct err err = ERR_NULL;
        int r = open_trace(&t);

        if (r == 0)
                r = find_ends(&t);
        if (r == 0)
                r = find_port(&t);
        if (r == 0) {
                t.asked = t.tuple;
                r = trace_tell(&t, &err);
                if (r)
                        r = complain(&err);
                if (t.steps_n || r == 0) {
                        if (v->json)
                                print_json(&t);
                        else
                                print_text(&t);
                }
                if (r == 0)
                        r = status_of(&t);
        }
        trace_deinit(&t);
        return r;
}

const struct cli_command ctl_trace = {
        .name = "trace",
        .summary = "what becomes of a packet, step by step, and why",
        .arguments = "SRC DST:PORT",
        .flags = flags,
        .about = "SRC is a pod of this node, an address, `node` (this one) or `client` (somebody outside of the "
                 "cluster).\n"
                 "DST is an address, a Service, a pod of this node, or `node`; behind the port /tcp, /udp, or instead "
                 "of it\n"
                 "/icmp. The loaded programs are run over a packet that is never sent (a SYN, a datagram, an echo "
                 "request);\n"
                 "what they remember of it is taken away again. What remains: the counters of reasons and services, a "
                 "part\n"
                 "of a pod's bandwidth, and a drop's line in `fairctl drops --follow`.\n"
                 "At the socket nothing can be run: that step is explained by the maps alone.\n"
                 "Exit status: 0; 1 for what is dropped or refused, and for failures; 2 for wrong usage; 3 when the "
                 "maps\n"
                 "and the programs do not agree.\n",
        .examples = "fairctl trace default/web-1 default/db:5432\n"
                    "fairctl trace default/web-1 10.96.0.10:53/udp --packet\n"
                    "fairctl trace client node:30080\n"
                    "fairctl trace default/web-1 192.0.2.1/icmp\n"
                    "fairctl trace default/web-1 10.96.0.1:443 --source 10.0.0.9   # spoofed\n",
        .prints = true,
        .has_maps = true,
        .run = run,
};
