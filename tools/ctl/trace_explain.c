/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions in words. What the maps say is held against what the program did. */
#include <arpa/inet.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctl/event_text.h"
#include "ctl/trace_story.h"
#include "datapath/address.h"
#include "datapath/tcx.h"

/* ---- the service */

static const char *frontend_word(const struct trace_choice *c)
{
        if (c->service.flags & SERVICE_HOSTPORT)
                return "the hostPort";
        if (view_is_any(&c->frontend.addr))
                return "the NodePort";
        return c->service.flags & SERVICE_EXTERNAL ? "an external or load balancer address" : "the ClusterIP";
}

static uint32_t count_local(const struct trace *t, const struct trace_choice *c)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < c->endpoints_n; i++) {
                struct backend b;

                if (map_lookup(t->view->maps.m[MAP_BACKENDS], &c->endpoints[i], &b) == 0)
                        n += (b.flags & BACKEND_LOCAL) != 0;
        }
        return n;
}

void trace_explain_choice(struct trace *t, struct trace_step *s, const struct trace_ask *ask,
                          const struct trace_choice *c)
{
        char dst[ADDRESS_TEXT], proto[8];

        trace_end_text(&ask->tuple.dst, ask->tuple.dport, ask->tuple.proto, dst);
        if (!c->found) {
                if (c->reason != REASON_OK)
                        trace_say(s, "%s is an address of services, but none has this port (%s)", dst,
                                  view_proto(ask->tuple.proto, proto));
                else if (s->ran && !s->run.event.service && s->run.event.reason <= REASON_FORWARDED)
                        trace_say(s, "%s is not a service's", dst);
                return;
        }
        trace_say(s, "%s/%s is %s of the Service %s", dst, view_proto(ask->tuple.proto, proto), frontend_word(c),
                  view_service_name(t->view, c->service.id));
        if (c->reason == REASON_UNKNOWN_PORT)
                trace_say(s, "it is served to pods and nodes only, not to clients outside of the cluster");
        else if (c->reason == REASON_SOURCE_RANGE)
                trace_say(s, "the source is in none of its loadBalancerSourceRanges");
        else
                trace_say(s, "for clients %s the cluster it has %u endpoint%s, %u on this node",
                          ask->outside ? "outside" : "inside", c->endpoints_n, c->endpoints_n == 1 ? "" : "s",
                          count_local(t, c));
}

void trace_explain_pick(struct trace *t, struct trace_step *s, const struct trace_choice *c, uint32_t backend)
{
        struct backend b = {0};
        char text[ADDRESS_TEXT], age[16];
        struct trace_place where = {0};

        if (t->established && s->ran) {
                trace_say(s, "it belongs to a flow that was there before: that keeps its endpoint");
        } else if (c->how == TRACE_AFFINITY) {
                trace_say(s, "sessionAffinity: the client was sent there %s ago, and stays for %u s",
                          view_age(c->idle_s, age), c->service.affinity_s);
        } else {
                if (c->endpoints_n == 1)
                        trace_say(s, "there is only one to choose");
                else if (c->how == TRACE_PERMUTATION)
                        trace_say(s,
                                  "one was picked by the hash of %s out of a Maglev table of %u places: the same "
                                  "%s gets the same endpoint, from every node",
                                  c->remembers ? "the client's address" : "addresses and ports", c->slots,
                                  c->remembers ? "client" : "source port");
                else
                        trace_say(s, "one is picked by chance: each new flow may get another one");
                if (c->remembers)
                        trace_say(s, "sessionAffinity: the choice is remembered for the %s for %u s",
                                  s->ran ? "client" : "pod", c->service.affinity_s);
        }
        if (!backend || map_lookup(t->view->maps.m[MAP_BACKENDS], &backend, &b) ||
            trace_place_of(t->view, &t->records, &b.addr, &where))
                return;
        trace_say(s, "the endpoint is %s: %s", address_port_text(&b.addr, b.port, text),
                  b.flags & BACKEND_HOST && b.flags & BACKEND_LOCAL ? "on this node, with its own network"
                                                                    : where.text);
}

/* ---- the packet */

static const char *why_source(const struct trace *t, const struct monitor_event *e)
{
        struct route to;

        if (!e->service && e->hook == HOOK_FROM_POD)
                return "what pods send out of the cluster gets the node's address (masquerade)";
        if (address_equal(&e->tuple.src, &e->to.dst))
                return "the pod is the endpoint itself, and would take its own address for no answer (hairpin)";
        if (trace_route(&t->view->maps, &e->to.dst, &to) == 0 && to.type != ROUTE_POD && to.type != ROUTE_HOST)
                return "the endpoint is not on this node, and its answers must come back by this one";
        return "its answers must come back by this node";
}

void trace_explain_rewrite(struct trace *t, struct trace_step *s)
{
        const struct monitor_event *e = &s->run.event;
        char from[ADDRESS_TEXT], to[ADDRESS_TEXT];
        uint8_t proto = e->tuple.proto;

        if (!e->rewritten)
                return;
        if (!address_equal(&e->tuple.dst, &e->to.dst) || e->tuple.dport != e->to.dport)
                trace_say(s, "the destination %s becomes %s",
                          trace_end_text(&e->tuple.dst, e->tuple.dport, proto, from),
                          trace_end_text(&e->to.dst, e->to.dport, proto, to));
        if (!address_equal(&e->tuple.src, &e->to.src))
                trace_say(s, "the source %s becomes %s: %s", trace_end_text(&e->tuple.src, e->tuple.sport, proto, from),
                          trace_end_text(&e->to.src, e->to.sport, proto, to), why_source(t, e));
        else if (e->tuple.sport != e->to.sport)
                trace_say(s, "the source port %u becomes %u: %s", ntohs(e->tuple.sport), ntohs(e->to.sport),
                          e->hook == HOOK_TO_LO ? "so its answers are told from those to direct connections"
                                                : "that one is in use toward this endpoint");
        else
                trace_say(s, "the source stays %s", trace_end_text(&e->tuple.src, e->tuple.sport, proto, from));
}

void trace_explain_route(struct trace *t, struct trace_step *s)
{
        const struct monitor_event *e = &s->run.event;
        struct trace_place to;
        char dst[ADDRESS_TEXT], hop[ADDRESS_TEXT], device[32];

        if (trace_place_of(t->view, &t->records, &e->to.dst, &to))
                return;
        address_text(&e->to.dst, dst);
        event_device(e->next_ifindex, device);
        if (e->reason != REASON_FORWARDED) {
                if (s->run.program == PROGRAM_edge)
                        trace_say(s, "XDP leaves it to the uplink's program");
                else if (s->run.program == PROGRAM_to_pod)
                        trace_say(s, "%s is %s: into it by its veth", dst, to.text);
                else if (s->run.program == PROGRAM_to_overlay)
                        trace_say(s, "%s is %s: out by the tunnel", dst, to.text);
                else
                        trace_say(s, "%s is %s: %s", dst, to.text,
                                  program_infos[s->run.program].attach == TCX_EGRESS ? "it goes out as the kernel "
                                                                                       "has routed it"
                                                                                     : "left to the kernel");
        } else if (e->way == MONITOR_WAY_POD) {
                trace_say(s, "%s is %s", dst, to.text);
        } else if (e->way == MONITOR_WAY_TUNNEL) {
                trace_say(s, "%s is %s: by the VXLAN tunnel%s%s to the node %s", dst, to.text,
                          s->run.outer ? ", whose header the program writes itself," : " ", s->run.outer ? "" : device,
                          address_text(&e->next, hop));
        } else if (e->way == MONITOR_WAY_NEIGHBOUR) {
                trace_say(s, "%s is %s: by %s to the next hop %s, as the kernel's routes say", dst, to.text, device,
                          address_text(&e->next, hop));
        } else {
                trace_say(s, "%s is %s: into this node's own stack, as if it came by a NIC", dst, to.text);
        }
}

/* ---- checking */

static bool is_refused(const struct trace_run *run)
{
        return run->event.reason > REASON_FORWARDED && run->verdict == TC_ACT_REDIRECT &&
               program_infos[run->program].type == BPF_PROG_TYPE_SCHED_CLS;
}

static bool verdict_fits(const struct trace_run *run)
{
        bool xdp = program_infos[run->program].type == BPF_PROG_TYPE_XDP;
        uint32_t reason = run->event.reason;

        if (reason == REASON_FORWARDED)
                return xdp ? run->verdict == XDP_TX || run->verdict == XDP_REDIRECT : run->verdict == TC_ACT_REDIRECT;
        if (reason < REASON_FORWARDED)
                return xdp ? run->verdict == XDP_PASS : run->verdict == TC_ACT_UNSPEC;
        return xdp ? run->verdict == XDP_DROP : run->verdict == TC_ACT_SHOT || run->verdict == TC_ACT_REDIRECT;
}

/* The bytes that came out against what the program said of them. */
static void check_bytes(struct trace *t, const struct trace_step *s)
{
        const struct monitor_event *e = &s->run.event;
        struct trace_seen seen;

        if (e->reason > REASON_FORWARDED)
                return;
        if (!trace_frame_read(&s->run.out, &seen)) {
                trace_disagree(t, "%s: what came out is no whole packet", s->name);
                return;
        }
        if (memcmp(&seen.tuple, &e->to, sizeof(e->to)) != 0)
                trace_disagree(t, "%s: the packet that came out has other addresses or ports than the program told of",
                               s->name);
        if (e->reason == REASON_FORWARDED && (e->way == MONITOR_WAY_TUNNEL || e->way == MONITOR_WAY_NEIGHBOUR) &&
            seen.ttl != TRACE_TTL - 1)
                trace_disagree(t, "%s: the packet leaves the node with a hop limit of %u and not %d", s->name, seen.ttl,
                               TRACE_TTL - 1);
}

static void check_choice(struct trace *t, const struct trace_step *s, const struct trace_choice *c)
{
        const struct monitor_event *e = &s->run.event;
        uint32_t backend = trace_backend_at(&t->view->maps, c, &e->to.dst, e->to.dport);

        if (t->established || s->run.program == PROGRAM_edge)
                return; /* an older flow need not fit to the service as it is now; XDP leaves most to the uplink's
                           program */
        if (c->found && e->reason <= REASON_FORWARDED && !e->rewritten)
                trace_disagree(t, "%s: by the maps this is a service's packet, and the program did not translate it",
                               s->name);
        if (c->found && c->reason == REASON_TRANSLATED && e->reason <= REASON_FORWARDED && e->rewritten && !backend)
                trace_disagree(t, "%s: the program chose an endpoint that the maps do not have", s->name);
        if (backend && c->backend && backend != c->backend)
                trace_disagree(t, "%s: the program chose another endpoint than the maps foretell", s->name);
        if (c->reason > REASON_FORWARDED && e->reason <= REASON_FORWARDED)
                trace_disagree(t, "%s: by the maps it should be refused (%s), and the program let it pass", s->name,
                               event_reason(c->reason));
        if (c->found && e->reason != c->reason && e->reason > REASON_FORWARDED && c->reason > REASON_FORWARDED)
                trace_disagree(t, "%s: the program refused it for %s, by the maps it is for %s", s->name,
                               event_reason(e->reason), event_reason(c->reason));
}

static void check_route(struct trace *t, const struct trace_step *s)
{
        const struct monitor_event *e = &s->run.event;
        struct route to;

        if (e->reason != REASON_FORWARDED || trace_route(&t->view->maps, &e->to.dst, &to))
                return;
        if ((e->way == MONITOR_WAY_POD) != (to.type == ROUTE_POD))
                trace_disagree(t, "%s: the program and the routes map do not agree on whether this is a pod here",
                               s->name);
        if (e->way == MONITOR_WAY_POD && to.ifindex != e->next_ifindex)
                trace_disagree(t, "%s: the program sends it to another device than the routes map says", s->name);
        if (e->way == MONITOR_WAY_TUNNEL && !address_equal(&to.peer, &e->next))
                trace_disagree(t, "%s: the program sends it to another node than the routes map says", s->name);
}

void trace_check_step(struct trace *t, struct trace_step *s, const struct trace_choice *c)
{
        if (!verdict_fits(&s->run))
                trace_disagree(t, "%s: it returned \"%s\" (%d), which does not fit to its reason %s", s->name,
                               trace_verdict_name(s->run.program, s->run.verdict), s->run.verdict,
                               event_reason(s->run.event.reason));
        check_bytes(t, s);
        check_choice(t, s, c);
        check_route(t, s);
}

/* ---- drops */

const char *trace_advice(enum reason reason)
{
        static const char *const advice[REASON_COUNT] = {
                [REASON_NO_ENDPOINTS] = "no endpoint is ready: look at `fairctl service show`, and at the Service's "
                                        "selector, its pods and their readiness",
                [REASON_NO_LOCAL_ENDPOINTS] =
                        "send to a node that has an endpoint, or set the Service's traffic policy "
                        "to Cluster",
                [REASON_UNKNOWN_PORT] = "`fairctl service list` shows the addresses and ports that there are; from "
                                        "outside of the cluster use a NodePort or a load balancer's address",
                [REASON_SOURCE_RANGE] = "add the client to the Service's spec.loadBalancerSourceRanges, if it may",
                [REASON_SPOOFED] = "a pod may send from its own addresses only; `fairctl pod list` shows them",
                [REASON_UNSUPPORTED] =
                        "services are served for TCP and UDP, and for SCTP where port and targetPort are "
                        "equal",
                [REASON_SNAT_PORTS] = "too many connections to one endpoint by this node: make the range of "
                                      "--snat-port-min to --snat-port-max larger",
                [REASON_FLOW_TABLE] = "`fairctl status` says how full the flow table is; --max-flows makes it larger",
                [REASON_NO_ROUTE] = "no pod has that address (any more), or this node has no route to it: `ip route "
                                    "get`, `fairctl pod list`",
                [REASON_TTL] = "the packet went too many hops",
                [REASON_TOO_BIG] =
                        "the sender is told the MTU, and will send smaller packets; if it does not, look for "
                        "what drops ICMP on its way",
                [REASON_NO_ENCAP] = "is the device fairlead_vxlan there? `fairctl status`",
                [REASON_RATE_LIMIT] = "the pod sends or receives more than its bandwidth annotations allow",
                [REASON_NO_BACKEND] = "the agent is changing the endpoints at this moment: try again",
        };

        return reason < REASON_COUNT && advice[reason] ? advice[reason] : "";
}

static const char *answer_name(const struct trace_run *run)
{
        struct trace_seen seen;

        if (!trace_frame_read(&run->out, &seen))
                return "an answer";
        if (seen.tuple.proto == IPPROTO_TCP)
                return "a TCP reset";
        return "an ICMP error";
}

void trace_explain_drop(struct trace *t, struct trace_step *s, const struct trace_choice *c)
{
        const struct monitor_event *e = &s->run.event;
        bool refused = is_refused(&s->run);
        struct trace_place to;
        char text[ADDRESS_TEXT];

        if (e->reason == REASON_NO_ROUTE && trace_place_of(t->view, &t->records, &e->to.dst, &to) == 0)
                trace_say(s, "%s is %s", address_text(&e->to.dst, text), to.text);
        trace_say(s, "%s: %s", refused ? "refused" : "dropped", event_meaning(e->reason));
        strbuf_add_str(&t->advice, trace_advice((enum reason)e->reason));
        if (refused)
                trace_end(t, TRACE_REFUSED, "it is refused by %s (%s): the sender gets %s", s->name,
                          event_reason(e->reason), answer_name(&s->run));
        else
                trace_end(t, TRACE_DROPPED, "it is dropped by %s (%s): the sender hears nothing", s->name,
                          event_reason(e->reason));
}
