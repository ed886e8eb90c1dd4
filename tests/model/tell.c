// SPDX-License-Identifier: Apache-2.0
/* A case in words. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "model/case.h"

static const char *const hooks[] = {
#define X(name, label) label,
        HOOKS(X)
#undef X
};

static const char *proto_text(uint8_t proto, char buf[static 16])
{
        switch (proto) {
        case IPPROTO_TCP:
                return "TCP";
        case IPPROTO_UDP:
                return "UDP";
        case IPPROTO_SCTP:
                return "SCTP";
        case IPPROTO_ICMP:
                return "ICMP";
        case IPPROTO_ICMPV6:
                return "ICMPv6";
        default:
                snprintf(buf, 16, "protocol %u", proto);
                return buf;
        }
}

const char *tuple_text(const struct tuple *t, char buf[static 256])
{
        char src[PLACE_TEXT], dst[PLACE_TEXT], proto[16];

        snprintf(buf, 256, "%s %s:%u -> %s:%u", proto_text(t->proto, proto), place_text(&t->src, src), ntohs(t->sport),
                 place_text(&t->dst, dst), ntohs(t->dport));
        return buf;
}

static void tell_knobs(const struct world *w)
{
        static const struct {
                uint32_t flag;
                const char *text;
        } flags[] = {{KNOB_TUNNEL, "tunnel"},
                     {KNOB_MASQUERADE, "masquerade"},
                     {KNOB_REDIRECT_PEER, "redirect_peer"},
                     {KNOB_SOCK, "socket path"},
                     {KNOB_NODEPORT_LOOPBACK, "loopback NodePorts"}};

        printf("knobs:");
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
                printf(" %s%s", world_has(w, flags[i].flag) ? "" : "NO ", flags[i].text);
        printf("; %u flow sets, source ports %u-%u, pod MTU %u (of the node %u)\n", w->knobs.flow_sets,
               w->knobs.snat_port_min, w->knobs.snat_port_max, w->knobs.pod_mtu, w->pod_mtu);
        printf("node: IPv4 %d IPv6 %d; NICs %d %d with IPv4 %d IPv6 %d; NodePorts at %d %d; nodes 2, 3, 4: %d %d %d; "
               "service "
               "CIDR %d, non-masquerade %d, vxlan %d\n",
               w->node_v4, w->node_v6, w->uplinks[0], w->uplinks[1], w->uplink_v4, w->uplink_v6, w->node_ports[0],
               w->node_ports[1], w->nodes[0], w->nodes[1], w->nodes[2], w->service_cidr, w->non_masquerade,
               !w->no_vxlan);
}

static void tell_pod(int i, const struct pod_spec *pod)
{
        if (pod->present)
                printf("pod %c: IPv4 %d IPv6 %d, limits of %u bits out, %u in\n", 'A' + i, pod->v4, pod->v6,
                       pod->egress_bits, pod->ingress_bits);
        else
                printf("pod %c: not there\n", 'A' + i);
}

static void tell_service(int slot, const struct svc *s)
{
        static const char *const balancing[] = {"default", "random", "maglev"};
        char text[PLACE_TEXT], proto[16];

        if (!s->present) {
                printf("service %d: not there\n", slot);
                return;
        }
        printf("service %d:%s%s%s%s%s%s, balancing %s, affinity %u s", slot, s->v4 ? " IPv4" : "", s->v6 ? " IPv6" : "",
               s->external == 2 ? " external IP of the node"
               : s->external    ? " external IP"
                                : "",
               s->balancer ? " load balancer" : "", s->internal_local ? " internal Local" : "",
               s->external_local ? " external Local" : "", balancing[s->balancing], s->affinity_s);
        for (int i = 0; i < SERVICE_CIDRS; i++)
                if (s->ranges[i].place) {
                        struct addr from = place_addr((enum place)s->ranges[i].place, 0, false);

                        printf(", from %s/%u", addr_text(&from, text), s->ranges[i].bits);
                }
        for (int i = 0; i < s->nports; i++)
                printf("; port %u/%s nodePort %u -> %u or %u", s->ports[i].port, proto_text(s->ports[i].proto, proto),
                       s->ports[i].node_port, s->ports[i].target[0], s->ports[i].target[1]);
        printf("\n");
        for (int i = 0; i < SERVICE_ENDS; i++) {
                const struct end *e = &s->ends[i];
                struct addr a = place_addr((enum place)e->place, 0, false);

                if (e->place)
                        printf("    %s, slice %d:%s%s%s\n", place_text(&a, text), e->slice, e->ready ? " ready" : "",
                               e->serving ? " serving" : "", e->terminating ? " terminating" : "");
        }
}

static void tell_world(const struct world *w)
{
        char proto[16], text[PLACE_TEXT];

        tell_knobs(w);
        for (int i = 0; i < WORLD_PODS; i++)
                tell_pod(i, &w->pods[i]);
        for (int i = 0; i < WORLD_SERVICES; i++)
                if (w->services[i].present)
                        tell_service(i, &w->services[i]);
        for (int i = 0; i < WORLD_HOSTPORTS; i++) {
                const struct host_port_spec *h = &w->host_ports[i];
                struct addr a = place_addr((enum place)h->place, 0, false);

                if (h->pod)
                        printf("hostPort %d: %s port %u/%s of pod %c port %u\n", i,
                               h->place ? place_text(&a, text) : "any", h->port, proto_text(h->proto, proto),
                               'A' + h->pod - 1, h->target);
        }
}

/* --- steps */

static void tell_details(const struct step *s)
{
        static const char *const flags[] = {
                "options",     "routing header", "more fragments",        "atomic fragment", "DF",
                "no checksum", "wrong checksum", "wrong header checksum", "TCP options",     "padding",
                "VLAN tag",    "priority tag",   "pseudo checksum",       "many headers",    "IPv4-mapped"};

        printf(", %u bytes", s->payload);
        if (s->tcp)
                printf(", TCP%s%s%s%s", s->tcp & TCP_F_SYN ? " SYN" : "", s->tcp & TCP_F_ACK ? " ACK" : "",
                       s->tcp & TCP_F_FIN ? " FIN" : "", s->tcp & TCP_F_RST ? " RST" : "");
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
                if (s->flags & 1U << i)
                        printf(", %s", flags[i]);
        if (s->fragment)
                printf(", fragment at %u", s->fragment);
        if (s->ttl != 64)
                printf(", hop limit %u", s->ttl);
        if (s->gso)
                printf(", segments of %u", s->gso);
        if (s->marked)
                printf(", marked");
        for (int i = 0; i < s->nedits; i++)
                printf(", byte %u turned by %02x", s->edits[i].at, s->edits[i].turn);
        if (s->cut)
                printf(", cut to %u bytes%s", s->cut, s->fit ? " with lengths that fit" : "");
        printf("\n");
}

static void tell_fresh(const struct step *s)
{
        struct addr src = place_addr((enum place)s->src, s->src_n, s->v6),
                    dst = place_addr((enum place)s->dst, s->dst_n, s->v6);
        char a[PLACE_TEXT], b[PLACE_TEXT], proto[16];

        printf("at %s %u: %s %s:%u -> %s:%u", hooks[s->hook], s->nic, proto_text(s->proto, proto), place_text(&src, a),
               s->sport, place_text(&dst, b), s->dport);
        if (s->icmp_type)
                printf(" type %u", s->icmp_type);
        tell_details(s);
}

static void tell_step(size_t i, const struct step *s)
{
        static const char *const kinds[] = {"",
                                            "again, of step",
                                            "answer to step",
                                            "error about step",
                                            "later fragment of step",
                                            "straight to the same, as step",
                                            "further on, step"};

        if (s->off)
                return;
        printf("step %zu: ", i);
        switch (s->kind) {
        case STEP_SERVICE:
                printf("becomes ");
                tell_service(s->slot, &s->svc);
                break;
        case STEP_POD:
                printf("becomes ");
                tell_pod(s->slot, &s->pod);
                break;
        case STEP_CLOCK:
                printf("%u seconds pass\n", s->seconds);
                break;
        case STEP_SPEND:
                printf("all answers of this second have been given\n");
                break;
        case STEP_FRESH:
                tell_fresh(s);
                break;
        default:
                printf("%s %u", kinds[s->kind], s->ref);
                if (s->kind == STEP_ERROR)
                        printf(", type %u code %u from place %u, %u bytes quoted", s->icmp_type, s->icmp_code, s->from,
                               s->quoted);
                tell_details(s);
        }
}

/* --- the packet that shows it */

static void dump(const char *title, const struct frame *f, const struct frame *other)
{
        printf("%s (%zu bytes%s)", title, f->len, other ? "; * differs" : "");
        for (size_t i = 0; i < f->len && i < 512; i++) {
                bool differs = other && (i >= other->len || f->b[i] != other->b[i]);

                if (i % 16 == 0)
                        printf("\n    %04zx ", i);
                printf("%c%02x", differs ? '*' : ' ', f->b[i]);
        }
        printf("\n");
}

static void tell_packet(const struct fault *f)
{
        char text[256];
        struct pkt p;

        frame_read(&f->event.in, f->event.gso, &p);
        printf("\nthe packet of step %zu, at %s %u: ", f->step, hooks[f->event.hook], f->event.nic);
        if (p.flags & PKT_BAD)
                printf("malformed\n");
        else if (p.flags & PKT_IP)
                printf("%s%s\n", tuple_text(&p.tuple, text), p.flags & PKT_LATER ? ", a later fragment" : "");
        else
                printf("no IP packet\n");
        dump("in", &f->event.in, NULL);
        if (f->seen.error)
                return;
        dump("out", &f->seen.out, f->expected.any_bytes || f->expected.verdict == V_DROP ? NULL : &f->expected.out);
        if (!f->expected.any_bytes && f->expected.verdict != V_DROP)
                dump("expected", &f->expected.out, &f->seen.out);
        printf("the model: %s\n", *f->expected.why ? f->expected.why : "nothing of ours");
}

void tell_case(const struct play_case *c, const struct fault *fault)
{
        printf("\n--- the world\n");
        tell_world(&c->world);
        printf("--- what happens\n");
        for (size_t i = 0; i < c->n; i++)
                tell_step(i, &c->steps[i]);
        if (fault->step < c->n)
                tell_packet(fault);
        printf("\nWRONG: %s\n", fault->text);
}
