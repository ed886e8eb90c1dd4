/* SPDX-License-Identifier: Apache-2.0 */
/* The way: which program sees the packet next. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/event_text.h"
#include "ctl/trace_story.h"
#include "datapath/address.h"
#include "datapath/flows.h"
#include "datapath/tcx.h"

#define LOOPBACK_IFINDEX 1

/* ---- what is told */

struct trace_step *trace_step_add(struct trace *t, const char *name, uint32_t ifindex)
{
        struct trace_step *s = mem_new(struct trace_step);

        str_copy(s->name, sizeof(s->name), name);
        if (ifindex)
                event_device(ifindex, s->device);
        t->steps[t->steps_n++] = s;
        return s;
}

static void add_line(char ***lines, size_t *n, const char *fmt, va_list ap)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_vprintf(&b, fmt, ap);
        *lines = mem_realloc(*lines, *n + 1, sizeof(**lines));
        (*lines)[(*n)++] = strbuf_take(&b, NULL);
}

void trace_say(struct trace_step *s, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        add_line(&s->lines, &s->lines_n, fmt, ap);
        va_end(ap);
}

void trace_disagree(struct trace *t, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        add_line(&t->disagreements, &t->disagreements_n, fmt, ap);
        va_end(ap);
}

void trace_leave(struct trace *t, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        add_line(&t->left, &t->left_n, fmt, ap);
        va_end(ap);
}

void trace_end(struct trace *t, enum trace_outcome outcome, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&t->result, fmt, ap);
        va_end(ap);
        t->outcome = outcome;
}

static void free_lines(char **lines, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(lines[i]);
        free(lines);
}

void trace_deinit(struct trace *t)
{
        for (size_t i = 0; i < t->steps_n; i++) {
                free_lines(t->steps[i]->lines, t->steps[i]->lines_n);
                free(t->steps[i]);
        }
        free_lines(t->disagreements, t->disagreements_n);
        free_lines(t->left, t->left_n);
        strbuf_deinit(&t->result);
        strbuf_deinit(&t->advice);
        strbuf_deinit(&t->next);
        observer_close(t->observer);
        flow_undo_close(&t->flows);
        records_deinit(&t->records);
}

const char *trace_end_text(const struct addr *a, __be16 port, uint8_t proto, char buf[static ADDRESS_TEXT])
{
        return proto == IPPROTO_TCP || proto == IPPROTO_UDP ? address_port_text(a, port, buf) : address_text(a, buf);
}

/* ---- one program */

static bool is_outside_hook(enum program_id p)
{
        return p == PROGRAM_from_uplink || p == PROGRAM_edge;
}

static struct trace_ask ask_of(const struct trace *t, bool outside)
{
        return (struct trace_ask){.tuple = t->tuple, .outside = outside, .now = flow_now()};
}

/* NodePorts are served there, too. */
static bool is_own_loopback(const struct trace *t)
{
        return t->knobs.flags & KNOB_NODEPORT_LOOPBACK && t->dst.kind == TRACE_LOOPBACK;
}

static void watch_tuple(struct trace *t)
{
        const struct addr all = {.w = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}};
        struct monitor_filter f = observer_any();

        f.src = (struct monitor_address){t->tuple.src, all};
        f.dst = (struct monitor_address){t->tuple.dst, all};
        f.sport = t->tuple.sport;
        f.dport = t->tuple.dport;
        f.proto = t->tuple.proto;
        observer_filter(t->observer, &f);
}

static void fill_macs(const struct trace *t, enum program_id p, struct trace_spec *spec)
{
        static const uint8_t nobody[6] = {2, 0, 0, 0, 0, 1};

        memcpy(spec->smac, nobody, 6);
        memcpy(spec->dmac, nobody, 6);
        if (p == PROGRAM_from_pod) {
                memcpy(spec->smac, t->src.pod.mac, 6);
                memcpy(spec->dmac, t->src.pod.host_mac, 6);
        } else if (is_outside_hook(p)) {
                memcpy(spec->dmac, t->node.uplinks[0].mac, 6);
        }
}

/* As it comes from the other node. */
static void wrap(const struct trace *t, struct trace_frame *frame)
{
        struct trace_tunnel tunnel = {.from = t->src.route.peer.w[3],
                                      .to = t->node.v4.w[3],
                                      .port = t->knobs.vxlan_port,
                                      .vni = t->knobs.vni};

        trace_frame_wrap(frame, &tunnel);
}

/* The program over the packet as it is now, and what the maps say to it. TRACE_NO_PROGRAM, TRACE_CANNOT. */
static int run_step(struct trace *t, enum program_id p, uint32_t ifindex, struct err *reterr)
{
        struct trace_step *s = trace_step_add(t, program_infos[p].name, ifindex);
        struct trace_spec spec = {.tuple = t->tuple, .payload = t->payload, .established = t->established};
        struct trace_ask ask = ask_of(t, is_outside_hook(p) && !t->in_tunnel);
        struct trace_choice c = TRACE_CHOICE_NULL;
        int r;

        ask.own_node = p == PROGRAM_to_lo && is_own_loopback(t);
        fill_macs(t, p, &spec);
        s->run = (struct trace_run){.program = p, .ifindex = ifindex};
        trace_frame_build(&spec, &s->run.in);
        if (t->in_tunnel)
                wrap(t, &s->run.in);
        watch_tuple(t);
        r = trace_choose(&t->view->maps, &ask, &c);
        if (r)
                return err_set(reterr, r, "the services cannot be read: %s", strerror(-r));
        r = trace_run(t->view->pin_root, t->observer, &s->run, reterr);
        if (!t->established)
                trace_undo_flow(t, &t->tuple);
        trace_undo_affinity(t, &ask, &c);
        s->ran = r == 0;
        if (r == 0 && t->knobs.vxlan_port)
                s->run.outer = trace_frame_unwrap(&s->run.out, t->knobs.vxlan_port);
        if (r == TRACE_NO_PROGRAM)
                err_set(reterr, r, "the program %s is not loaded", program_infos[p].name);
        if (r == 0 && !s->run.told && t->in_tunnel) {
                trace_say(s, "the tunnel's packet is left to the tunnel's device");
                trace_choice_deinit(&c);
                return TRACE_CANNOT;
        }
        if (r == 0 && !s->run.told)
                r = err_set(reterr, -EPROTO, "the program %s told nothing of the packet that it was given",
                            program_infos[p].name);
        if (r == 0) {
                trace_explain_choice(t, s, &ask, &c);
                if (s->run.event.reason > REASON_FORWARDED) {
                        trace_explain_drop(t, s, &c);
                } else {
                        if (c.found)
                                trace_explain_pick(t, s, &c,
                                                   trace_backend_at(&t->view->maps, &c, &s->run.event.to.dst,
                                                                    s->run.event.to.dport));
                        trace_explain_rewrite(t, s);
                        trace_explain_route(t, s);
                }
                trace_check_step(t, s, &c);
                if (s->run.event.rewritten && s->run.event.reason <= REASON_FORWARDED)
                        t->tuple = s->run.event.to;
        }
        trace_choice_deinit(&c);
        return r;
}

/* ---- where it goes from a step */

/* The egress program of the device that a program sends it out of: what has the dataplane's mark is let through, and
 * nothing is told of it. */
static int pass_egress(struct trace *t, enum program_id p, uint32_t ifindex, struct err *reterr)
{
        struct trace_step *s = trace_step_add(t, program_infos[p].name, ifindex);
        struct trace_spec spec = {.tuple = t->tuple, .payload = t->payload, .established = t->established};
        struct trace_run run = {.program = p, .ifindex = ifindex, .mark = t->knobs.mark};
        int r;

        trace_frame_build(&spec, &run.in);
        r = trace_run(t->view->pin_root, t->observer, &run, reterr);
        if (r)
                return r < 0 ? r : 0;
        trace_say(s, "it has the dataplane's mark: decided already, and let through");
        if (run.verdict != TC_ACT_UNSPEC || run.told)
                trace_disagree(t, "%s: a packet with the dataplane's mark was not let through", s->name);
        return 0;
}

static bool is_uplink(const struct trace *t, uint32_t ifindex)
{
        for (int i = 0; i < UPLINKS_MAX; i++)
                if (ifindex && t->node.uplinks[i].ifindex == ifindex)
                        return true;
        return false;
}

static void go_elsewhere(struct trace *t, const struct addr *peer)
{
        char src[ADDRESS_TEXT], from[ADDRESS_TEXT], dst[ADDRESS_TEXT], node[ADDRESS_TEXT], proto[8];
        bool icmp = t->tuple.proto == IPPROTO_ICMP || t->tuple.proto == IPPROTO_ICMPV6;

        address_text(&t->tuple.src, src);
        trace_end_text(&t->tuple.dst, t->tuple.dport, t->tuple.proto, dst);
        strbuf_printf(&t->next, "fairctl trace %s %s/%s --sport %u", src, dst,
                      icmp                            ? "icmp"
                      : t->tuple.proto == IPPROTO_UDP ? "udp"
                                                      : "tcp",
                      ntohs(t->tuple.sport));
        trace_end(t, TRACE_ELSEWHERE, "it goes to the node %s as %s %s > %s, and is decided there",
                  address_text(peer, node), icmp ? "ICMP" : view_proto(t->tuple.proto, proto),
                  trace_end_text(&t->tuple.src, t->tuple.sport, t->tuple.proto, from), dst);
}

/* Out of a device of this node, by the kernel or a program. */
static void go_out(struct trace *t, uint32_t ifindex, const struct addr *next_hop)
{
        struct trace_place to;
        char device[32], hop[ADDRESS_TEXT];

        if (trace_place_of(t->view, &t->records, &t->tuple.dst, &to))
                return;
        if (to.kind == TRACE_OTHER_POD) {
                go_elsewhere(t, &to.route.peer);
                return;
        }
        if (to.kind == TRACE_OTHER_NODE) {
                go_elsewhere(t, &t->tuple.dst);
                return;
        }
        trace_end(t, TRACE_LEFT, "it leaves this node by %s%s%s, to an address that is %s",
                  event_device(ifindex, device), view_is_any(next_hop) ? "" : " to the next hop ",
                  view_is_any(next_hop) ? "" : address_text(next_hop, hop), to.text);
}

static void go_to_host(struct trace *t, struct trace_step *s)
{
        struct trace_place to;
        char text[ADDRESS_TEXT];

        if (trace_place_of(t->view, &t->records, &t->tuple.dst, &to))
                return;
        trace_end_text(&t->tuple.dst, t->tuple.dport, t->tuple.proto, text);
        if (to.kind == TRACE_NODE || to.kind == TRACE_LOOPBACK)
                trace_end(t, TRACE_HOST, "this node's own stack gets it: it answers if something listens at %s", text);
        else
                trace_end(t, TRACE_HOST, "it is left to this node's own stack, which routes %s by its own tables",
                          text);
        if (s->run.event.reason == REASON_OK && to.kind == TRACE_POD)
                trace_disagree(t, "%s left a packet to a pod of this node to the kernel", s->name);
}

static int go_to_pod(struct trace *t, struct trace_step *s, struct err *reterr)
{
        bool ingress = program_infos[s->run.program].attach == TCX_INGRESS;
        struct trace_place to;
        char text[ADDRESS_TEXT];
        int r = trace_place_of(t->view, &t->records, &t->tuple.dst, &to);

        if (r)
                return r;
        if (ingress && t->knobs.flags & KNOB_REDIRECT_PEER)
                trace_say(s, "straight into the pod's network namespace (bpf_redirect_peer)");
        else
                r = run_step(t, PROGRAM_to_pod, s->run.event.next_ifindex, reterr);
        if (r == 0 && t->outcome == TRACE_UNDECIDED)
                trace_end(t, TRACE_DELIVERED, "%s gets it: it answers if something listens at %s", to.text,
                          trace_end_text(&t->tuple.dst, t->tuple.dport, t->tuple.proto, text));
        return r;
}

static int go_on(struct trace *t, struct err *reterr)
{
        struct trace_step *s = t->steps[t->steps_n - 1];
        const struct monitor_event *e = &s->run.event;
        int r = 0;

        if (t->outcome != TRACE_UNDECIDED)
                return 0;
        if (e->reason != REASON_FORWARDED || e->way == MONITOR_WAY_KERNEL) {
                go_to_host(t, s);
                return 0;
        }
        if (e->way == MONITOR_WAY_POD)
                return go_to_pod(t, s, reterr);
        if (e->way == MONITOR_WAY_TUNNEL) {
                r = pass_egress(t, s->run.outer ? PROGRAM_to_uplink : PROGRAM_to_overlay,
                                s->run.outer ? t->node.uplinks[0].ifindex : e->next_ifindex, reterr);
                go_elsewhere(t, &e->next);
                return r;
        }
        if (s->run.program != PROGRAM_edge && is_uplink(t, e->next_ifindex))
                r = pass_egress(t, PROGRAM_to_uplink, e->next_ifindex, reterr);
        go_out(t, e->next_ifindex, &e->next);
        return r;
}

/* ---- by where it comes from */

static int from_pod(struct trace *t, struct err *reterr)
{
        int r = run_step(t, PROGRAM_from_pod, t->src.route.ifindex, reterr);

        return r ? r : go_on(t, reterr);
}

static int from_outside(struct trace *t, struct err *reterr)
{
        uint32_t uplink = t->node.uplinks[0].ifindex;
        int r = 0;

        if (!(t->knobs.flags & KNOB_TUNNEL))
                r = run_step(t, PROGRAM_edge, uplink, reterr);
        if (r == TRACE_CANNOT)
                trace_say(t->steps[t->steps_n - 1], "the kernel cannot run XDP programs over packets of this device; "
                                                    "the uplink's program comes to the same decision");
        if (r == TRACE_NO_PROGRAM) {
                free_lines(t->steps[--t->steps_n]->lines, 0);
                free(t->steps[t->steps_n]);
        }
        if (r < 0)
                return r;
        if (r == 0 && t->steps_n && t->steps[0]->run.event.reason == REASON_FORWARDED)
                return go_on(t, reterr);
        if (t->outcome != TRACE_UNDECIDED)
                return 0;
        *reterr = ERR_NULL;
        r = run_step(t, PROGRAM_from_uplink, uplink, reterr);
        return r ? r : go_on(t, reterr);
}

/* The uplink's program takes the tunnel's header off itself where it can; else the tunnel's device does. */
static int from_tunnel(struct trace *t, struct err *reterr)
{
        int r = TRACE_CANNOT;

        t->in_tunnel = t->knobs.vxlan_port && address_is_v4(&t->src.route.peer) && address_is_v4(&t->node.v4);
        if (t->in_tunnel)
                r = run_step(t, PROGRAM_from_uplink, t->node.uplinks[0].ifindex, reterr);
        t->in_tunnel = false;
        if (r == TRACE_CANNOT)
                r = run_step(t, PROGRAM_from_overlay, t->node.vxlan_ifindex, reterr);
        return r ? r : go_on(t, reterr);
}

/* What this node's own stack sends: the kernel has routed it out of a device, whose egress program sees it. */
static int from_host(struct trace *t, struct err *reterr)
{
        struct trace_place to;
        struct addr none = {0};
        bool tunnel, by_lo;
        int r = trace_place_of(t->view, &t->records, &t->tuple.dst, &to);

        if (r)
                return r;
        tunnel = to.kind == TRACE_OTHER_POD && to.route.flags & ROUTE_TUNNEL && t->knobs.flags & KNOB_TUNNEL;
        by_lo = to.kind == TRACE_NODE || to.kind == TRACE_LOOPBACK;
        if (by_lo && t->knobs.flags & KNOB_SOCK) {
                trace_end(t, TRACE_HOST, "this node's own stack gets it by lo: it answers if something listens");
                return 0;
        }
        if (to.kind == TRACE_POD) {
                r = run_step(t, PROGRAM_to_pod, to.route.ifindex, reterr);
                if (r == 0 && t->outcome == TRACE_UNDECIDED)
                        trace_end(t, TRACE_DELIVERED, "%s gets it: it answers if something listens there", to.text);
                return r;
        }
        if (by_lo)
                r = run_step(t, PROGRAM_to_lo, LOOPBACK_IFINDEX, reterr);
        else if (tunnel)
                r = run_step(t, PROGRAM_to_overlay, t->node.vxlan_ifindex, reterr);
        else
                r = run_step(t, PROGRAM_to_uplink, t->node.uplinks[0].ifindex, reterr);
        if (r || t->outcome != TRACE_UNDECIDED)
                return r;
        if (tunnel)
                go_elsewhere(t, &to.route.peer);
        else if (t->steps[t->steps_n - 1]->run.event.reason == REASON_FORWARDED || by_lo)
                return go_on(t, reterr);
        else
                go_out(t, t->node.uplinks[0].ifindex, &none);
        return 0;
}

/* ---- at the socket */

static void socket_ends(struct trace *t, const struct trace_choice *c)
{
        bool refused = c->reason == REASON_NO_ENDPOINTS || c->reason == REASON_UNKNOWN_PORT;

        strbuf_add_str(&t->advice, trace_advice(c->reason));
        trace_end(t, refused ? TRACE_REFUSED : TRACE_DROPPED, "connect() fails with %s: %s",
                  refused ? "ECONNREFUSED" : "EHOSTUNREACH", event_meaning(c->reason));
}

static int socket_goes_on(struct trace *t, struct trace_step *s, const struct trace_choice *c)
{
        struct backend b;
        uint32_t id = c->endpoints[flow_now() % c->endpoints_n];
        char text[ADDRESS_TEXT];
        int r = map_lookup(t->view->maps.m[MAP_BACKENDS], &id, &b);

        if (r)
                return r;
        t->tuple.dst = b.addr;
        t->tuple.dport = b.port;
        trace_say(s, "the socket is connected to the endpoint's own address: no packet has to be translated");
        if (c->endpoints_n > 1)
                trace_say(s, "this trace goes on with %s", address_port_text(&b.addr, b.port, text));
        return trace_place_of(t->view, &t->records, &b.addr, &t->dst);
}

/* What a program of a pod or of this node meets when it calls connect() or sends its first datagram. */
static int at_socket(struct trace *t)
{
        struct trace_ask ask = ask_of(t, false);
        struct trace_choice c = TRACE_CHOICE_NULL;
        struct trace_step *s;
        int r;

        ask.socket = true;
        ask.own_node = t->src.kind == TRACE_NODE && is_own_loopback(t);
        r = trace_choose(&t->view->maps, &ask, &c);
        if (r || (c.reason == REASON_OK && t->dst.kind != TRACE_SERVICE))
                return r;
        if (c.reason == REASON_OK)
                c.reason = REASON_UNKNOWN_PORT;
        s = trace_step_add(t, "socket", 0);
        str_copy(s->device, sizeof(s->device), "cgroup");
        trace_explain_choice(t, s, &ask, &c);
        if (c.reason == REASON_TRANSLATED) {
                trace_explain_pick(t, s, &c, 0);
                r = socket_goes_on(t, s, &c);
        } else {
                socket_ends(t, &c);
        }
        trace_choice_deinit(&c);
        return r;
}

static bool begins_at_socket(const struct trace *t)
{
        if (t->packet_path || !(t->knobs.flags & KNOB_SOCK) || t->established)
                return false;
        if (t->tuple.proto != IPPROTO_TCP && t->tuple.proto != IPPROTO_UDP)
                return false;
        return t->src.kind == TRACE_POD || t->src.kind == TRACE_NODE;
}

int trace_tell(struct trace *t, struct err *reterr)
{
        bool tunnel = t->knobs.flags & KNOB_TUNNEL;
        int r = 0;

        if (begins_at_socket(t))
                r = at_socket(t);
        if (r)
                return err_set(reterr, r, "the services cannot be read: %s", strerror(-r));
        if (t->outcome != TRACE_UNDECIDED)
                return 0;
        switch (t->src.kind) {
        case TRACE_POD:
                return from_pod(t, reterr);
        case TRACE_NODE:
                return from_host(t, reterr);
        case TRACE_OTHER_POD:
                return tunnel ? from_tunnel(t, reterr) : from_outside(t, reterr);
        case TRACE_OTHER_NODE: /* by the tunnel to pods, by the network that they share to the node itself */
                return tunnel && t->dst.kind == TRACE_POD ? from_tunnel(t, reterr) : from_outside(t, reterr);
        default:
                return from_outside(t, reterr);
        }
}
