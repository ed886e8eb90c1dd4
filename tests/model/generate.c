// SPDX-License-Identifier: Apache-2.0
/* Worlds and steps by chance. Addresses and ports are few, so that packets meet: flows, services, each other's ports.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bpf/lab.h"
#include "model/case.h"

/* splitmix64 */
uint64_t dice_next(struct dice *r)
{
        uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
        return z ^ z >> 31;
}

unsigned dice_below(struct dice *r, unsigned n)
{
        return (unsigned)(dice_next(r) % n);
}

static bool percent(struct dice *r, unsigned n)
{
        return dice_below(r, 100) < n;
}

#define ONE_OF(r, ...)                                                                                                 \
        ((const unsigned[]){__VA_ARGS__}[dice_below(r, sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))])

struct knobs generate_knobs(struct dice *r, uint64_t seed)
{
        struct knobs knobs = lab_knobs();

        knobs.flags &= percent(r, 70) ? KNOB_SKB : 0; /* if the kernel has it */
        knobs.flags |= (seed % 2 ? KNOB_TUNNEL : 0) | (percent(r, 75) ? KNOB_MASQUERADE : 0) |
                       (percent(r, 70) ? KNOB_REDIRECT_PEER : 0) | (seed / 2 % 2 ? KNOB_SOCK : 0) |
                       (percent(r, 60) ? KNOB_NODEPORT_LOOPBACK : 0);
        knobs.flow_sets = seed % 3 == 2 ? 2 : seed % 3 ? 64 : 512;
        knobs.snat_port_min = 61000;
        knobs.snat_port_max = (uint16_t)(61000 + (seed % 4 == 3 ? 0 : ONE_OF(r, 3, 3, 63, 4535)));
        knobs.pod_mtu = ONE_OF(r, 0, 1450, 1450, 900);
        return knobs;
}

/* --- the world */

static uint8_t service_proto(struct dice *r)
{
        return (uint8_t)ONE_OF(r, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP, IPPROTO_SCTP);
}

static void conditions(struct dice *r, struct end *e)
{
        unsigned kind = dice_below(r, 10);

        e->ready = kind < 6;
        e->serving = kind < 9;
        e->terminating = kind >= 6;
        if (kind == 5) /* publishNotReadyAddresses */
                e->terminating = 1;
}

static void generate_end(struct dice *r, const struct svc *s, struct end *e)
{
        unsigned place = ONE_OF(r, PLACE_POD_A, PLACE_POD_A, PLACE_POD_B, PLACE_POD_B, PLACE_POD_C, PLACE_REMOTE_2,
                                PLACE_REMOTE_2, PLACE_REMOTE_2B, PLACE_REMOTE_3, PLACE_REMOTE_4, PLACE_NODE,
                                PLACE_NODE_2, PLACE_SERVER, PLACE_GHOST);

        for (int i = 0; i < SERVICE_ENDS; i++)
                if (s->ends[i].place == place)
                        return;
        *e = (struct end){.place = (uint8_t)place, .slice = percent(r, 25)};
        conditions(r, e);
}

static void generate_ends(struct dice *r, struct svc *s)
{
        unsigned n = ONE_OF(r, 0, 1, 1, 2, 3, 4, 6);

        memset(s->ends, 0, sizeof(s->ends));
        for (unsigned i = 0; i < n; i++)
                generate_end(r, s, &s->ends[i]);
}

static void generate_ranges(struct dice *r, struct svc *s)
{
        memset(s->ranges, 0, sizeof(s->ranges));
        for (int i = 0; i < SERVICE_CIDRS && percent(r, 40); i++)
                s->ranges[i] = (struct cidr){(uint8_t)ONE_OF(r, PLACE_CLIENT, PLACE_FAR, PLACE_NARROW),
                                             (uint8_t)ONE_OF(r, 16, 24, 32)};
}

static void generate_ports(struct dice *r, unsigned slot, struct svc *s)
{
        s->nports = (uint8_t)(1 + percent(r, 40));
        for (unsigned i = 0; i < s->nports; i++) {
                struct port *p = &s->ports[i];

                p->proto = service_proto(r);
                p->port = (uint16_t)(80 + i);
                p->node_port = percent(r, 60) ? (uint16_t)(30000 + slot * 4 + i) : 0;
                p->target[0] =
                        p->proto == IPPROTO_SCTP && percent(r, 70) ? p->port : (uint16_t)ONE_OF(r, 8080, 80, 8081);
                p->target[1] = percent(r, 60) ? p->target[0] : 9000;
        }
}

static void generate_service(struct dice *r, unsigned slot, struct svc *ret)
{
        *ret = (struct svc){.present = true,
                            .external = (uint8_t)(percent(r, 35) ? slot == 0 && percent(r, 50) ? 2 : 1 : 0),
                            .balancer = percent(r, 40),
                            .internal_local = percent(r, 22),
                            .external_local = percent(r, 30),
                            .balancing = (uint8_t)ONE_OF(r, BALANCING_DEFAULT, BALANCING_DEFAULT, BALANCING_RANDOM,
                                                         BALANCING_MAGLEV),
                            .affinity_s = percent(r, 45) ? (uint16_t)ONE_OF(r, 10, 60, 10800) : 0,
                            .weight = {1, (uint8_t)ONE_OF(r, 1, 5)}};
        ret->v4 = percent(r, 90);
        ret->v6 = !ret->v4 || percent(r, 90);
        generate_ports(r, slot, ret);
        generate_ends(r, ret);
        generate_ranges(r, ret);
}

static void generate_pod(struct dice *r, struct pod_spec *ret)
{
        *ret = (struct pod_spec){.present = percent(r, 92), .v4 = percent(r, 95)};
        ret->v6 = !ret->v4 || percent(r, 88);
        ret->egress_bits = percent(r, 10) ? 8 * ONE_OF(r, 100, 400, 3000) : 0;
        ret->ingress_bits = percent(r, 10) ? 8 * ONE_OF(r, 100, 400, 3000) : 0;
}

static void generate_host_port(struct dice *r, unsigned i, struct host_port_spec *ret)
{
        *ret = (struct host_port_spec){.pod = (uint8_t)(percent(r, 50) ? 1 + dice_below(r, WORLD_PODS) : 0),
                                       .place = (uint8_t)ONE_OF(r, 0, 0, PLACE_NODE, PLACE_NODE_B, PLACE_LOOPBACK),
                                       .proto = (uint8_t)ONE_OF(r, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP),
                                       .port = (uint16_t)(7000 + i),
                                       .target = (uint16_t)ONE_OF(r, 8080, 80, 7000)};
}

void generate_world(struct dice *r, const struct knobs *knobs, struct world *ret)
{
        *ret = (struct world){.knobs = *knobs,
                              .uplink_v4 = percent(r, 95),
                              .uplink_v6 = percent(r, 95),
                              .uplinks = {percent(r, 95), percent(r, 85)},
                              .node_ports = {percent(r, 92), percent(r, 70)},
                              .nodes = {percent(r, 95), percent(r, 85), percent(r, 85)},
                              .service_cidr = percent(r, 90),
                              .non_masquerade = percent(r, 70),
                              .no_vxlan = percent(r, 3),
                              .pod_mtu = ONE_OF(r, 0, 1400, 1450)};
        ret->node_v4 = percent(r, 93);
        ret->node_v6 = !ret->node_v4 || percent(r, 93);
        for (unsigned i = 0; i < WORLD_PODS; i++)
                generate_pod(r, &ret->pods[i]);
        for (unsigned i = 0; i < WORLD_SERVICES; i++)
                if (percent(r, 70))
                        generate_service(r, i, &ret->services[i]);
        for (unsigned i = 0; i < WORLD_HOSTPORTS; i++)
                generate_host_port(r, i, &ret->host_ports[i]);
}

/* --- changes */

static void change_service(struct dice *r, const struct world *w, struct step *s)
{
        s->kind = STEP_SERVICE;
        s->slot = (uint8_t)dice_below(r, WORLD_SERVICES);
        s->svc = w->services[s->slot];
        if (!s->svc.present || percent(r, 8)) {
                generate_service(r, s->slot, &s->svc);
                return;
        }
        switch (dice_below(r, 10)) {
        case 0:
                s->svc.present = false;
                break;
        case 1:
                generate_ends(r, &s->svc);
                break;
        case 2:
                s->svc.internal_local ^= 1;
                break;
        case 3:
                s->svc.external_local ^= 1;
                break;
        case 4:
                s->svc.affinity_s = s->svc.affinity_s ? 0 : 60;
                break;
        case 5:
                s->svc.balancing = (uint8_t)dice_below(r, 3);
                break;
        case 6:
                generate_ranges(r, &s->svc);
                break;
        default: /* one endpoint comes, goes, or is in another condition */
                for (int i = 0; i < 3; i++) {
                        struct end *e = &s->svc.ends[dice_below(r, SERVICE_ENDS)];

                        if (!e->place)
                                generate_end(r, &s->svc, e);
                        else if (percent(r, 40))
                                *e = (struct end){0};
                        else
                                conditions(r, e);
                }
        }
}

static void change_something(struct dice *r, const struct world *w, struct step *s)
{
        unsigned what = dice_below(r, 100);

        if (what < 50) {
                change_service(r, w, s);
        } else if (what < 60) {
                s->kind = STEP_POD;
                s->slot = (uint8_t)dice_below(r, WORLD_PODS);
                generate_pod(r, &s->pod);
                s->pod.egress_bits = w->pods[s->slot].egress_bits; /* a limit that changes has a full bucket */
                s->pod.ingress_bits = w->pods[s->slot].ingress_bits;
        } else if (what < 98) {
                s->kind = STEP_CLOCK;
                s->seconds = ONE_OF(r, 1, 1, 2, 5, 9, 11, 25, 31, 55, 61, 100, 121, 121, 1000, 7900, 8001);
        } else {
                s->kind = STEP_SPEND;
        }
}

/* --- packets */

static uint16_t client_port(struct dice *r)
{
        return (uint16_t)(percent(r, 85) ? 1000 + dice_below(r, 24) : 61000 + dice_below(r, 4));
}

static unsigned any_place(struct dice *r)
{
        return 1 + dice_below(r, PLACE_COUNT - 1);
}

static void to_service(struct dice *r, const struct world *w, struct step *s)
{
        unsigned slot = dice_below(r, percent(r, 60) ? 3 : WORLD_SERVICES); /* some are asked by more than one way */
        const struct svc *svc = &w->services[slot];
        const struct port *port = &svc->ports[svc->nports ? dice_below(r, svc->nports) : 0];

        s->proto = port->proto ? port->proto : IPPROTO_TCP;
        s->dport = port->port;
        s->dst_n = (uint8_t)slot;
        switch (dice_below(r, 8)) {
        case 0:
        case 1:
        case 2:
                s->dst = PLACE_VIP;
                break;
        case 3:
                s->dst = svc->external == 2 ? PLACE_NODE : PLACE_EXTERNAL;
                s->dst_n = svc->external == 2 ? 0 : s->dst_n;
                break;
        case 4:
                s->dst = PLACE_BALANCER;
                break;
        default:
                s->dst = (uint8_t)ONE_OF(r, PLACE_NODE, PLACE_NODE, PLACE_NODE, PLACE_NODE_B, PLACE_NODE_2,
                                         PLACE_LOOPBACK);
                s->dst_n = 0;
                s->dport = port->node_port ? port->node_port : 30000;
        }
        if (percent(r, 6))
                s->dport++;
        if (percent(r, 4))
                s->proto = service_proto(r);
        if (percent(r, 3))
                s->proto = (uint8_t)ONE_OF(r, IPPROTO_GRE, IPPROTO_IGMP, s->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static void to_host_port(struct dice *r, const struct world *w, struct step *s)
{
        const struct host_port_spec *h = &w->host_ports[dice_below(r, WORLD_HOSTPORTS)];

        s->dst = (uint8_t)(percent(r, 60) && h->place
                                   ? h->place
                                   : ONE_OF(r, PLACE_NODE, PLACE_NODE_B, PLACE_NODE_2, PLACE_LOOPBACK));
        s->dport = h->port;
        s->proto = h->proto;
}

static void to_somebody(struct dice *r, struct step *s)
{
        s->dst = (uint8_t)ONE_OF(r, PLACE_POD_A, PLACE_POD_B, PLACE_POD_C, PLACE_REMOTE_2, PLACE_REMOTE_3,
                                 PLACE_REMOTE_4, PLACE_SERVER, PLACE_SERVER, PLACE_CLIENT, PLACE_FAR, PLACE_NARROW,
                                 PLACE_NOWHERE, PLACE_DIRECT, PLACE_NODE, PLACE_NODE_2, PLACE_GHOST, PLACE_ROUTER,
                                 PLACE_GROUP);
        s->dport = (uint16_t)ONE_OF(r, 8080, 80, 8081, 443);
        s->proto = (uint8_t)ONE_OF(r, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDP, IPPROTO_SCTP,
                                   s->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, s->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                                   IPPROTO_GRE, 0);
}

static unsigned a_sender(struct dice *r, const struct world *w)
{
        return ONE_OF(r, PLACE_POD_A, PLACE_POD_A, PLACE_POD_B, PLACE_POD_C, PLACE_CLIENT, PLACE_CLIENT, PLACE_CLIENT_2,
                      PLACE_FAR, PLACE_NARROW, PLACE_REMOTE_2, PLACE_REMOTE_3,
                      world_has(w, KNOB_SOCK) ? PLACE_POD_A : PLACE_NODE, PLACE_NODE,
                      world_has(w, KNOB_SOCK) ? PLACE_CLIENT : PLACE_LOOPBACK);
}

static void link_business(struct dice *r, struct step *s)
{
        s->v6 = true;
        s->proto = IPPROTO_ICMPV6;
        s->src = (uint8_t)ONE_OF(r, PLACE_LINK_LOCAL, PLACE_NOBODY, PLACE_CLIENT);
        s->dst = (uint8_t)ONE_OF(r, PLACE_GROUP, PLACE_EVERYBODY, PLACE_LINK_LOCAL);
        s->icmp_type = (uint8_t)ONE_OF(r, 131, 132, 133, 134, 135, 136, 143, 128, 1);
        s->hook = HOOK_FROM_POD;
        s->nic = (uint8_t)dice_below(r, WORLD_PODS);
}

static enum hook any_hook(struct dice *r)
{
        return (enum hook)(1 + dice_below(r, HOOK_COUNT - 1));
}

static void choose_hook(struct dice *r, const struct world *w, struct step *s)
{
        struct addr src = place_addr((enum place)s->src, s->src_n, s->v6),
                    dst = place_addr((enum place)s->dst, s->dst_n, s->v6);
        unsigned nic;

        hook_of(w, &src, &dst, &s->hook, &nic);
        s->nic = (uint8_t)nic;
        if (s->dst == PLACE_GROUP && s->hook == HOOK_TO_UPLINK && percent(r, 50))
                s->hook = HOOK_TO_OVERLAY;
        if (percent(r, 4)) {
                s->hook = any_hook(r);
                s->nic = (uint8_t)dice_below(r, 2);
        }
        if (s->hook == HOOK_UPLINK && percent(r, world_has(w, KNOB_TUNNEL) ? 4 : 50))
                s->hook = HOOK_EDGE;
}

static void fresh(struct dice *r, const struct world *w, struct step *s)
{
        unsigned what = dice_below(r, 100);

        s->kind = STEP_FRESH;
        s->sport = client_port(r);
        s->tcp = (uint8_t)ONE_OF(r, TCP_F_SYN, TCP_F_SYN, TCP_F_SYN, TCP_F_SYN, TCP_F_SYN, TCP_F_SYN, TCP_F_ACK,
                                 TCP_F_SYN | TCP_F_ACK, TCP_F_RST, TCP_F_FIN | TCP_F_ACK, 0);
        s->src = (uint8_t)a_sender(r, w);
        if (what < 62) {
                to_service(r, w, s);
        } else if (what < 70) {
                to_host_port(r, w, s);
        } else if (what < 95) {
                to_somebody(r, s);
        } else if (what < 97) {
                to_somebody(r, s);
                s->src = (uint8_t)any_place(r);
                s->dst = (uint8_t)any_place(r);
        } else {
                link_business(r, s);
                return;
        }
        if (check_offset(s->proto, s->v6) == 2)
                s->icmp_type =
                        (uint8_t)(s->v6 ? ONE_OF(r, 128, 128, 128, 129, 133, 200) : ONE_OF(r, 8, 8, 8, 0, 13, 17));
        choose_hook(r, w, s);
}

/* A step whose packet ran; the last ones are better, and those of flows. -1: there is none. */
static int some_played(struct dice *r, const struct player *p, size_t i, bool alive)
{
        for (int k = 0; k < 20 && i; k++) {
                size_t back = percent(r, 60) ? dice_below(r, 16) : dice_below(r, (unsigned)i);
                size_t at = back < i ? i - 1 - back : 0;
                const struct played *was = &p->steps[at];

                if (was->done && (!alive || was->alive) && (was->flow || k >= 14))
                        return (int)at;
        }
        return -1;
}

static bool refer(struct dice *r, const struct player *p, size_t i, struct step *s)
{
        unsigned what = dice_below(r, 100);
        int ref;

        s->kind = what < 32   ? STEP_AGAIN
                  : what < 76 ? STEP_ANSWER
                  : what < 86 ? STEP_ERROR
                  : what < 92 ? STEP_LATER
                  : what < 98 ? STEP_BESIDE
                              : STEP_ON;
        ref = some_played(r, p, i, s->kind != STEP_AGAIN && s->kind != STEP_LATER);
        if (s->kind == STEP_LATER)
                for (size_t k = i; k-- > 0 && i - k < 40;)
                        if (p->steps[k].done && p->steps[k].pkt_in.flags & PKT_FIRST && percent(r, 70)) {
                                ref = (int)k;
                                break;
                        }
        if (ref < 0)
                return false;
        s->ref = (uint16_t)ref;
        s->hook = percent(r, 30) ? HOOK_EDGE : HOOK_FROM_POD;
        s->tcp = (uint8_t)ONE_OF(r, TCP_F_ACK, TCP_F_ACK, TCP_F_ACK, TCP_F_FIN | TCP_F_ACK, TCP_F_FIN | TCP_F_ACK,
                                 TCP_F_RST, s->kind == STEP_ANSWER ? TCP_F_SYN | TCP_F_ACK : TCP_F_SYN,
                                 s->kind == STEP_ANSWER ? TCP_F_SYN | TCP_F_ACK : TCP_F_SYN);
        if (s->kind == STEP_ERROR) {
                bool v6 = p->steps[ref].pkt_out.flags & PKT_V6;

                s->from = (uint8_t)ONE_OF(r, 0, 0, PLACE_ROUTER, PLACE_ROUTER_B, PLACE_NODE_2, PLACE_NODE, PLACE_POD_A,
                                          PLACE_CLIENT_2);
                s->icmp_type = (uint8_t)(v6 ? ONE_OF(r, 1, 2, 3, 4) : ONE_OF(r, 3, 3, 4, 5, 11, 12));
                s->icmp_code = (uint8_t)dice_below(r, 5);
                s->quoted = (uint16_t)ONE_OF(r, 0, 0, 0, 28, 36, 48, 60, 20);
        }
        if (s->kind == STEP_LATER)
                s->fragment = (uint16_t)(8 * ONE_OF(r, 8, 9, 185));
        return true;
}

/* The first packet of that step's connection again, from another port of the client. */
static bool crowd(struct dice *r, const struct player *p, size_t ref, struct step *s)
{
        const struct step *steps = p->played_case->steps, *first;

        while (steps[ref].kind != STEP_FRESH)
                ref = steps[ref].ref;
        first = &steps[ref];
        s->kind = STEP_FRESH;
        s->v6 = first->v6;
        s->hook = first->hook;
        s->nic = first->nic;
        s->src = first->src;
        s->src_n = first->src_n;
        s->dst = first->dst;
        s->dst_n = first->dst_n;
        s->dport = first->dport;
        s->proto = first->proto;
        s->icmp_type = first->icmp_type;
        s->sport = client_port(r);
        s->tcp = TCP_F_SYN;
        return true;
}

static bool is_reset(const struct step *s)
{
        return (s->kind == STEP_AGAIN || s->kind == STEP_ANSWER) && s->tcp & TCP_F_RST;
}

/* Source ports that are few: a connection is reset, time passes, and another one comes for its port. */
static bool succeed(struct dice *r, const struct player *p, size_t i, struct step *s)
{
        const struct step *last = &p->played_case->steps[i] - 1;

        if (i > 0 && is_reset(last) && percent(r, 40)) {
                s->kind = STEP_CLOCK;
                s->seconds = 1 + dice_below(r, 9);
                return true;
        }
        return i > 1 && last->kind == STEP_CLOCK && is_reset(last - 1) && percent(r, 70) &&
               crowd(r, p, last[-1].ref, s);
}

static bool come_too(struct dice *r, const struct player *p, size_t i, struct step *s)
{
        int ref = percent(r, 6) ? some_played(r, p, i, true) : -1;

        return ref >= 0 && crowd(r, p, (size_t)ref, s);
}

static void oddities(struct dice *r, struct step *s)
{
        s->flags |= percent(r, 7) ? SPEC_OPTIONS : 0;
        s->flags |= percent(r, 3) ? SPEC_ROUTING : 0;
        s->flags |= percent(r, 3) ? SPEC_ATOMIC : 0;
        s->flags |= percent(r, 40) ? SPEC_DF : 0;
        s->flags |= percent(r, 5) ? SPEC_NO_SUM : 0;
        s->flags |= percent(r, 5) ? SPEC_BAD_SUM : 0;
        s->flags |= percent(r, 2) ? SPEC_BAD_HEAD : 0;
        s->flags |= percent(r, 15) ? SPEC_TCP_OPTIONS : 0;
        s->flags |= percent(r, 6) ? SPEC_PADDED : 0;
        s->flags |= percent(r, 1) ? SPEC_TAG : 0;
        s->flags |= percent(r, 1) ? SPEC_TAG_PRIORITY : 0;
        s->flags |= percent(r, 2) ? SPEC_PSEUDO_SUM : 0;
        s->flags |= percent(r, 2) ? SPEC_DEEP : 0;
        s->flags |= percent(r, 1) ? SPEC_MAPPED : 0;
        if (s->kind != STEP_LATER && percent(r, 5)) {
                s->flags |= SPEC_MORE;
                s->payload = 56;
                s->datagram = 256;
        }
        if (percent(r, 1))
                s->fragment = 1480;
        s->ttl = (uint8_t)(percent(r, 4) ? dice_below(r, 3) : 64);
        s->gso = percent(r, 3) ? (uint16_t)ONE_OF(r, 500, 1400, 1448) : 0;
        s->marked = percent(r, 1);
}

static void mangling(struct dice *r, struct step *s)
{
        if (percent(r, 7)) {
                s->nedits = (uint8_t)(1 + dice_below(r, EDITS_MAX));
                for (int i = 0; i < s->nedits; i++) {
                        s->edits[i].at = (uint16_t)(percent(r, 85) ? dice_below(r, 74) : dice_below(r, 2000));
                        s->edits[i].turn = (uint8_t)(percent(r, 60) ? 1U << dice_below(r, 8) : 1 + dice_below(r, 255));
                }
        }
        if (percent(r, 3)) {
                s->cut = (uint16_t)(15 + dice_below(r, 100));
                s->fit = percent(r, 50);
        }
}

void generate_step(struct dice *r, const struct player *p, size_t i, struct step *ret)
{
        bool succeeds;

        *ret = (struct step){.v6 = percent(r, 50)};
        succeeds = succeed(r, p, i, ret);
        if (ret->kind == STEP_CLOCK)
                return;
        if (!succeeds && percent(r, 9)) {
                change_something(r, &p->world, ret);
                return;
        }
        ret->payload = (uint16_t)(percent(r, 92) ? dice_below(r, 64) : 850 + dice_below(r, 800));
        ret->seq = (uint32_t)dice_next(r);
        ret->ack = (uint32_t)dice_next(r);
        ret->tos = (uint8_t)(percent(r, 20) ? dice_next(r) : 0);
        ret->id = (uint16_t)dice_below(r, 64);
        if (!succeeds && !come_too(r, p, i, ret) && (percent(r, 42) || !refer(r, p, i, ret)))
                fresh(r, &p->world, ret);
        oddities(r, ret);
        mangling(r, ret);
}
