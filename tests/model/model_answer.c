// SPDX-License-Identifier: Apache-2.0
/* Refusals: a reset (RFC 9293, 3.10.7.1) or an ICMP error (RFC 792, 1122, 1812, 4443) goes back to where the packet
 * came from. */
#include <netinet/in.h>
#include <string.h>

#include "model/model_impl.h"

#define ERRORS_PER_S 1000
#define RESETS_PER_S 20000

struct refusal {
        bool reset, v6;
        uint8_t type, code;
        struct addr src, dst;
};

static enum answer_source source_of(enum hook hook)
{
        switch (hook) {
        case HOOK_FROM_POD:
        case HOOK_TO_POD:
                return ANSWER_POD;
        case HOOK_OVERLAY:
        case HOOK_TO_OVERLAY:
                return ANSWER_OVERLAY;
        case HOOK_TO_LO:
                return ANSWER_LO;
        default:
                return ANSWER_UPLINK;
        }
}

/* Nobody answers to or for groups, "any", or another host's loopback. */
static bool is_somebody(const struct walk *w, const struct addr *a)
{
        static const uint8_t none[12];

        if (w->e->hook == HOOK_TO_LO && is_loopback(a))
                return true;
        if (is_v4(a))
                return a->b[12] != 0 && a->b[12] != 127 && a->b[12] < 224;
        return a->b[0] != 0xff && memcmp(a->b, none, sizeof(none)) != 0;
}

static bool error_of(const struct walk *w, enum reason why, struct refusal *r)
{
        bool v6 = r->v6;

        switch (why) {
        case REASON_TTL:
                r->type = v6 ? 3 : 11;
                return true;
        case REASON_TOO_BIG: /* what may be cut needs no answer; an own process heeds it anyway */
                r->type = v6 ? 2 : 3;
                r->code = v6 ? 0 : 4;
                return w->p.flags & PKT_DF || w->e->hook == HOOK_TO_LO;
        case REASON_NO_ROUTE:
                r->type = v6 ? 1 : 3;
                r->code = v6 ? 3 : 1;
                return true;
        default:
                break;
        }
        r->type = v6 ? 1 : 3;
        r->reset = w->p.tuple.proto == IPPROTO_TCP;
        if (w->p.flags & PKT_ECHO)
                r->code = v6 ? 1 : 13; /* prohibited */
        else if (w->p.flags & PKT_UNKNOWN)
                r->code = v6 ? 4 : 2; /* protocol unreachable; IPv6 has only the port */
        else
                r->code = v6 ? 4 : 3; /* port unreachable */
        return true;
}

static bool may_answer(const struct walk *w, enum reason why, struct refusal *r)
{
        bool v6 = w->p.flags & PKT_V6, icmp = check_offset(w->p.tuple.proto, v6) == 2;
        bool icmp_of_other = w->p.tuple.proto == (v6 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

        *r = (struct refusal){.v6 = v6, .src = w->p.tuple.dst, .dst = w->p.tuple.src};
        if (why != REASON_NO_ENDPOINTS && why != REASON_UNKNOWN_PORT && why != REASON_TTL && why != REASON_TOO_BIG &&
            why != REASON_NO_ROUTE)
                return false;
        if (w->p.flags & (PKT_LATER | PKT_ERROR) || w->p.l3 != ETH_HEAD)
                return false;
        if ((icmp && !(w->p.flags & PKT_ECHO && is_echo_request(w->p.icmp, v6))) || icmp_of_other)
                return false;
        if (!error_of(w, why, r) || (r->reset && w->p.flags & PKT_FIRST))
                return false;
        if (why == REASON_TTL || why == REASON_TOO_BIG || why == REASON_NO_ROUTE) {
                struct addr own = own_address(w->m, v6); /* the network complains, not the service */

                r->src = is_zero(&own) ? r->src : own;
        }
        return is_somebody(w, &w->p.tuple.src) && is_somebody(w, &w->p.tuple.dst);
}

static size_t ip_header(uint8_t *ip, const struct refusal *r, uint8_t proto, size_t len)
{
        if (r->v6) {
                put32(ip, 0x60000000);
                put16(ip + 4, (unsigned)len);
                ip[6] = proto;
                ip[7] = 64;
                memcpy(ip + 8, &r->src, 16);
                memcpy(ip + 24, &r->dst, 16);
                return 40;
        }
        memset(ip, 0, 20);
        ip[0] = 0x45;
        ip[1] = proto == IPPROTO_ICMP ? 0xc0 : 0; /* precedence 6: RFC 1812, 4.3.2.5 */
        put16(ip + 2, (unsigned)len + 20);
        put16(ip + 6, 0x4000);
        ip[8] = 64;
        ip[9] = proto;
        memcpy(ip + 12, r->src.b + 12, 4);
        memcpy(ip + 16, r->dst.b + 12, 4);
        put16(ip + 10, (uint16_t)~sum_of(ip, 20, 0));
        return 20;
}

static bool reset(const struct walk *w, const struct refusal *r, struct frame *out)
{
        const uint8_t *in = w->e->in.b + w->p.l4;
        size_t head = (in[12] >> 4) * 4U, segment = w->p.end - w->p.l4 - head;
        uint8_t *t = out->b + ETH_HEAD + ip_header(out->b + ETH_HEAD, r, IPPROTO_TCP, 20);
        uint32_t seq = (uint32_t)get16(in + 4) << 16 | get16(in + 6);

        if (w->p.tcp & TCP_F_RST)
                return false;
        memset(t, 0, 20);
        memcpy(t, in + 2, 2);
        memcpy(t + 2, in, 2);
        t[12] = 0x50;
        t[13] = TCP_F_RST;
        if (w->p.tcp & TCP_F_ACK) {
                memcpy(t + 4, in + 8, 4);
        } else {
                t[13] |= TCP_F_ACK;
                put32(t + 8, seq + (uint32_t)segment + !!(w->p.tcp & TCP_F_SYN) + !!(w->p.tcp & TCP_F_FIN));
        }
        put16(t + 16, (uint16_t)~sum_of(t, 20, pseudo_sum(&r->src, &r->dst, IPPROTO_TCP, 20)));
        out->len = (size_t)(t - out->b) + 20;
        return true;
}

/*
 * A packet that has not left its host may have its L4 checksum still to come, the field holding the pseudo header's
 * sum. Programs cannot see that. They take what looks like it for such a one, and so one packet of 65536 wrongly: the
 * error's own checksum is then that of the packet as the device would have finished it.
 */
static uint16_t quoted_sum(const struct walk *w, const uint8_t *from, size_t len)
{
        size_t at = check_offset(w->p.tuple.proto, w->p.flags & PKT_V6), head = w->p.l4 - w->p.l3;
        uint16_t field = get16(from + head + at), pseudo;

        pseudo = pseudo_sum(&w->p.tuple.src, &w->p.tuple.dst, w->p.tuple.proto, w->p.end - w->p.l4);
        if ((w->p.tuple.proto == IPPROTO_TCP || w->p.tuple.proto == IPPROTO_UDP) && field && field == pseudo)
                return sum_of(from, head, (uint16_t)~field);
        return sum_of(from, len, 0);
}

static void error(const struct walk *w, const struct refusal *r, struct frame *out)
{
        uint8_t proto = r->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, *icmp;
        size_t len = w->p.end - w->p.l3, limit = r->v6 ? 1280 - 48 : 576 - 28;
        uint32_t sum;

        if (len > limit)
                len = limit;
        icmp = out->b + ETH_HEAD + ip_header(out->b + ETH_HEAD, r, proto, 8 + len);
        memset(icmp, 0, 8);
        icmp[0] = r->type;
        icmp[1] = r->code;
        if (w->mtu && (r->v6 ? r->type == 2 : r->type == 3 && r->code == 4))
                put32(icmp + 4, w->mtu);
        memcpy(icmp + 8, w->e->in.b + w->p.l3, len);
        sum = quoted_sum(w, icmp + 8, len);
        sum = sum_of(icmp, 8, sum);
        if (r->v6)
                sum = sum_of(NULL, 0, sum + pseudo_sum(&r->src, &r->dst, proto, 8 + len));
        put16(icmp + 2, (uint16_t)~sum);
        out->len = (size_t)(icmp - out->b) + 8 + len;
}

/* Within its limits, which no flood passes. */
static bool spend(struct walk *w, bool reset_)
{
        uint32_t *given = &w->m->answers[source_of(w->e->hook)][reset_];

        if (*given >= (reset_ ? RESETS_PER_S : ERRORS_PER_S)) {
                say(w, "enough answers were given in this second");
                return false;
        }
        ++*given;
        return true;
}

void answer(struct walk *w, enum reason why)
{
        struct frame *out = &w->x->out;
        struct refusal r;
        bool peer = w->e->hook == HOOK_FROM_POD && world_has(w->m->world, KNOB_REDIRECT_PEER);

        w->x->verdict = V_DROP;
        w->x->any_bytes = true;
        if (w->e->hook == HOOK_EDGE || !may_answer(w, why, &r) || !spend(w, r.reset))
                return;
        memset(out, 0, sizeof(*out));
        memcpy(out->b, w->e->in.b + 6, 6);
        memcpy(out->b + 6, w->e->in.b, 6);
        memcpy(out->b + 12, w->e->in.b + 12, 2);
        if (r.reset && !reset(w, &r, out))
                return;
        if (!r.reset)
                error(w, &r, out);
        if (w->e->hook == HOOK_OVERLAY) /* it came by no tunnel here, so there is none to go back by */
                return;
        if (r.reset)
                say(w, "it is answered with a reset");
        else
                say(w, "it is answered with an ICMP error");
        w->x->verdict = V_SENT;
        w->x->any_bytes = false;
        w->x->way = TO_DEVICE;
        w->x->marked = !peer && (w->e->hook == HOOK_FROM_POD || w->e->hook == HOOK_UPLINK);
}
