// SPDX-License-Identifier: Apache-2.0
/* The bytes of a translated packet, and of an ICMP error about one. Checksums change by the difference (RFC 1624): one
 * that was wrong stays wrong. */
#include <netinet/in.h>
#include <string.h>

#include "model/model_impl.h"

/* Addresses and ports as they lie in headers. */
struct words {
        uint8_t addresses[32], ports[4];
        size_t n;
};

static void words_of(const struct tuple *t, bool v6, struct words *ret)
{
        ret->n = v6 ? 32 : 8;
        memcpy(ret->addresses, v6 ? t->src.b : t->src.b + 12, ret->n / 2);
        memcpy(ret->addresses + ret->n / 2, v6 ? t->dst.b : t->dst.b + 12, ret->n / 2);
        memcpy(ret->ports, &t->sport, 2);
        memcpy(ret->ports + 2, &t->dport, 2);
}

/* IPv4's header has a checksum of its own. */
static void write_addresses(uint8_t *ip, bool v6, const struct words *was, const struct words *is)
{
        memcpy(ip + (v6 ? 8 : 12), is->addresses, is->n);
        if (!v6)
                put16(ip + 10, sum_after(get16(ip + 10), was->addresses, is->addresses, is->n));
}

static void count_hop(uint8_t *ip, bool v6)
{
        uint8_t was[2] = {ip[8], ip[9]};

        if (v6) {
                ip[7]--;
                return;
        }
        ip[8]--;
        put16(ip + 10, sum_after(get16(ip + 10), was, ip + 8, 2));
}

/* The identifier is in the one or the other. */
static uint16_t echo_id(const struct words *w)
{
        return get16(w->ports) | get16(w->ports + 2);
}

static uint16_t l4_sum_after(uint16_t check, uint8_t proto, const struct words *was, const struct words *is)
{
        if (proto == IPPROTO_UDP && !check)
                return 0; /* it has none */
        if (proto != IPPROTO_ICMP)
                check = sum_after(check, was->addresses, is->addresses, is->n);
        if (memcmp(was->ports, is->ports, 4) != 0)
                check = sum_after(check, was->ports, is->ports, 4);
        return proto == IPPROTO_UDP && !check ? 0xffff : check;
}

void write_packet(struct walk *w, bool hop)
{
        bool v6 = w->p.flags & PKT_V6;
        uint8_t *ip = w->out.b + w->p.l3, *l4 = w->out.b + w->p.l4;
        size_t at = check_offset(w->p.tuple.proto, v6);
        struct words was, is;

        if (hop)
                count_hop(ip, v6);
        if (!w->translated)
                return;
        words_of(&w->p.tuple, v6, &was);
        words_of(&w->to, v6, &is);
        write_addresses(ip, v6, &was, &is);
        if (w->p.flags & (PKT_LATER | PKT_UNKNOWN))
                return;
        if (!(w->p.flags & PKT_ECHO) && !has_ports(w->p.tuple.proto)) /* nothing in it changes */
                memcpy(is.ports, was.ports, sizeof(is.ports));
        if (at)
                put16(l4 + at, l4_sum_after(get16(l4 + at), w->p.tuple.proto, &was, &is));
        if (w->p.flags & PKT_ECHO)
                put16(l4 + 4, echo_id(&is));
        else if (has_ports(w->p.tuple.proto))
                memcpy(l4, is.ports, 4);
}

void write_macs(struct walk *w, const uint8_t *dst, const uint8_t *src)
{
        memcpy(w->out.b, dst, 6);
        memcpy(w->out.b + 6, src, 6);
}

/* --- errors */

/* The quoted packet as its sender wrote it. */
static void write_quote(struct walk *w, const struct quote *q, const struct tuple *as)
{
        bool v6 = w->p.flags & PKT_V6;
        uint8_t *l4 = w->out.b + q->l4;
        size_t at = check_offset(q->tuple.proto, v6);
        struct words was, is;

        words_of(&q->tuple, v6, &was);
        words_of(as, v6, &is);
        write_addresses(w->out.b + q->l3, v6, &was, &is);
        if (at && q->l4 + at + 2 <= q->end)
                put16(l4 + at, l4_sum_after(get16(l4 + at), q->tuple.proto, &was, &is));
        if (has_ports(q->tuple.proto))
                memcpy(l4, is.ports, 4);
        else
                put16(l4 + 4, echo_id(&is));
}

/* All of the payload is in it, and with IPv6 the pseudo header. */
static uint16_t error_sum_after(const struct walk *w, uint16_t check, const struct words *was, const struct words *is)
{
        for (size_t at = w->p.l4 + 8; at < w->p.end; at += 64) {
                size_t n = w->p.end - at < 64 ? w->p.end - at : 64;

                check = sum_after(check, w->e->in.b + at, w->out.b + at, n);
        }
        return w->p.flags & PKT_V6 ? sum_after(check, was->addresses, is->addresses, is->n) : check;
}

/*
 * RFC 5508, 4.2: the error goes to whom it quotes, with the quote as that one wrote it. It comes from the router that
 * it is from; but not from an address that the receiver does not know to be the other end's, nor past the node that the
 * connection has its address of.
 */
enum reason write_error(struct walk *w)
{
        struct tuple answer, outer = w->p.tuple, as;
        struct words was, is;
        struct quote q;
        struct conn *c;
        int way;

        if (w->p.flags & (PKT_FIRST | PKT_LATER) || !frame_quote(&w->e->in, &w->p, &q) ||
            !same_addr(&q.tuple.src, &w->p.tuple.dst))
                return REASON_OK;
        answer = tuple_back(&q.tuple);
        c = conn_find(w->m, &answer, &way);
        if (!c)
                return REASON_OK;
        if (way == BACK)
                say(w, "an error about a flow's packet");
        else
                say(w, "an error about a flow's answer");
        as = tuple_back(&c->half[way].to);
        write_quote(w, &q, &as);
        outer.dst = c->half[way].to.dst;
        if (same_addr(&w->p.tuple.src, &q.tuple.dst) || (way == THERE && !same_addr(&c->half[way].to.src, &answer.src)))
                outer.src = c->half[way].to.src;
        words_of(&w->p.tuple, w->p.flags & PKT_V6, &was);
        words_of(&outer, w->p.flags & PKT_V6, &is);
        write_addresses(w->out.b + w->p.l3, w->p.flags & PKT_V6, &was, &is);
        put16(w->out.b + w->p.l4 + 2, error_sum_after(w, get16(w->e->in.b + w->p.l4 + 2), &was, &is));
        w->p.tuple = w->to = outer;
        w->rewritten = true;
        return REASON_TRANSLATED;
}
