// SPDX-License-Identifier: Apache-2.0
#include "bpf/oracle.h"

#include <arpa/inet.h>
#include <string.h>

/* An IP packet in bytes, which may end early. */
struct view {
        const uint8_t *p;  /* its first byte */
        size_t len;        /* what is there of it, at most what it claims */
        size_t l4;         /* offset, at most len */
        int family;        /* 0: no IP packet */
        bool later, whole; /* a later fragment; all that it claims is there */
        bool has_ports, has_id;
        struct tuple tuple;
};

static uint16_t get16(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

static bool is_extension(uint8_t next)
{
        return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
               next == IPPROTO_FRAGMENT;
}

static bool view_v4(const uint8_t *p, size_t len, struct view *v)
{
        size_t head = (size_t)(p[0] & 15) * 4, total = get16(p + 2);

        if (len < 20 || head < 20 || head > len || total < head)
                return false;
        *v = (struct view){.p = p, .family = 4, .whole = total <= len, .len = total < len ? total : len, .l4 = head};
        v->later = get16(p + 6) & 0x1fff;
        v->tuple.src = v->tuple.dst = packet_addr(ANY, 4);
        memcpy(&v->tuple.src.w[3], p + 12, 4);
        memcpy(&v->tuple.dst.w[3], p + 16, 4);
        v->tuple.proto = p[9];
        return true;
}

static bool view_v6(const uint8_t *p, size_t len, struct view *v)
{
        size_t total = 40 + (size_t)(len < 40 ? 0 : get16(p + 4));

        if (len < 40)
                return false;
        *v = (struct view){.p = p, .family = 6, .whole = total <= len, .len = total < len ? total : len, .l4 = 40};
        memcpy(&v->tuple.src, p + 8, 16);
        memcpy(&v->tuple.dst, p + 24, 16);
        v->tuple.proto = p[6];
        while (is_extension(v->tuple.proto) && !v->later) {
                const uint8_t *e = p + v->l4;
                bool fragment = v->tuple.proto == IPPROTO_FRAGMENT;

                if (v->l4 + 8 > v->len || (v->tuple.proto == IPPROTO_ROUTING && e[3]))
                        return true;
                v->later = fragment && get16(e + 2) & 0xfff8;
                v->tuple.proto = e[0];
                v->l4 += fragment ? 8 : (size_t)(e[1] + 1) * 8;
                if (v->l4 > v->len)
                        v->l4 = v->len;
        }
        return true;
}

static bool is_icmp(const struct view *v)
{
        return v->tuple.proto == (v->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static bool is_error(const struct view *v)
{
        uint8_t type;

        if (!v->family || v->later || !is_icmp(v) || v->l4 + 8 > v->len)
                return false;
        type = v->p[v->l4];
        return v->family == 6 ? type < 128 : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static void view_ports(struct view *v)
{
        const uint8_t *l4 = v->p + v->l4;

        if (v->later || v->l4 + 8 > v->len)
                return;
        if (v->tuple.proto == IPPROTO_TCP || v->tuple.proto == IPPROTO_UDP || v->tuple.proto == IPPROTO_SCTP) {
                v->has_ports = true;
                memcpy(&v->tuple.sport, l4, 2);
                memcpy(&v->tuple.dport, l4 + 2, 2);
        } else if (is_icmp(v) && l4[0] == (v->family == 4 ? 8 : 128)) {
                v->has_id = true;
                memcpy(&v->tuple.sport, l4 + 4, 2);
        } else if (is_icmp(v) && l4[0] == (v->family == 4 ? 0 : 129)) {
                v->has_id = true;
                memcpy(&v->tuple.dport, l4 + 4, 2);
        }
}

static struct view view_ip(const uint8_t *p, size_t len)
{
        struct view v = {0};

        if (len && p[0] >> 4 == 4 && len >= 20 && view_v4(p, len, &v))
                view_ports(&v);
        else if (len && p[0] >> 4 == 6 && view_v6(p, len, &v))
                view_ports(&v);
        return v;
}

static struct view view_frame(const struct packet *packet)
{
        size_t l3 = 14;

        while (l3 + 4 <= packet->len && l3 < 22 &&
               (get16(packet->data + l3 - 2) == 0x8100 || get16(packet->data + l3 - 2) == 0x88a8))
                l3 += 4;
        if (l3 >= packet->len || (get16(packet->data + l3 - 2) != 0x0800 && get16(packet->data + l3 - 2) != 0x86dd))
                return (struct view){0};
        return view_ip(packet->data + l3, packet->len - l3);
}

/* --- sums */

/* Of the header, and of transport header and payload with the pseudo header; 0 when right, -0 too. */
static uint16_t head_error(const struct view *v)
{
        return v->family == 4 ? packet_fold(packet_sum(v->p, (size_t)(v->p[0] & 15) * 4, 0)) % 0xffff : 0;
}

static uint16_t l4_error(const struct view *v)
{
        uint32_t sum = (uint32_t)(v->len - v->l4) + v->tuple.proto;

        sum = packet_sum(&v->tuple.src, 16, packet_sum(&v->tuple.dst, 16, sum));
        if (v->family == 4 && is_icmp(v))
                sum = 0;
        return packet_fold(packet_sum(v->p + v->l4, v->len - v->l4, sum)) % 0xffff;
}

static size_t check_offset(const struct view *v)
{
        if (v->tuple.proto == IPPROTO_TCP)
                return 16;
        if (v->tuple.proto == IPPROTO_UDP)
                return 6;
        return is_icmp(v) ? 2 : 0;
}

/* --- flows */

static bool same_tuple(const struct tuple *a, const struct tuple *b, bool ports)
{
        return memcmp(&a->src, &b->src, 16) == 0 && memcmp(&a->dst, &b->dst, 16) == 0 && a->proto == b->proto &&
               (!ports || (a->sport == b->sport && a->dport == b->dport));
}

static struct tuple reversed(const struct tuple *t)
{
        return (struct tuple){.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto};
}

static bool flow_makes(const struct oracle *o, const struct tuple *from, const struct tuple *to, bool ports)
{
        for (size_t i = 0; i < o->n_flows; i++) {
                const struct flow *f = &o->flows[i];
                struct tuple made = {f->new_src, f->new_dst, f->new_sport, f->new_dport, f->key.proto, {0}};

                if (same_tuple(&f->key, from, ports) && same_tuple(&made, to, ports))
                        return true;
        }
        return false;
}

/* --- translated */

/* Takes out of a copy what a translation may change. Its quote, too, when it is an error. */
static void mask(uint8_t *p, const struct view *v, size_t there)
{
        size_t check = check_offset(v);

        if (v->family == 4) {
                memset(p + 8, 0, 1);
                memset(p + 10, 0, 10);
        } else {
                memset(p + 7, 0, 33);
        }
        if (v->has_ports && v->tuple.proto != IPPROTO_SCTP)
                memset(p + v->l4, 0, 4);
        if (v->has_id)
                memset(p + v->l4 + 4, 0, 2);
        if (!v->later && check && (v->has_ports || v->has_id || is_error(v)) && v->l4 + check + 2 <= there)
                memset(p + v->l4 + check, 0, 2);
}

static const char *judge_headers(const struct oracle *o, const struct view *in, const struct view *out, bool quote)
{
        struct tuple a = quote ? reversed(&in->tuple) : in->tuple, b = quote ? reversed(&out->tuple) : out->tuple;
        uint8_t ttl_in = in->p[in->family == 4 ? 8 : 7], ttl_out = out->p[in->family == 4 ? 8 : 7];
        size_t check = check_offset(in);

        if (in->family != out->family || in->len != out->len || in->l4 != out->l4)
                return "its shape has changed";
        if (ttl_out != ttl_in && (quote || ttl_out != ttl_in - 1))
                return "the hop limit is neither what it was nor one less";
        if (head_error(in) != head_error(out))
                return "the IP header's checksum does not fit the change";
        if (!same_tuple(&a, &b, true) && !flow_makes(o, &a, &b, in->has_ports || in->has_id))
                return "it is translated as no flow says";
        if (in->later || !check || in->l4 + check + 2 > in->len || (quote && !in->whole))
                return NULL;
        if (in->tuple.proto == IPPROTO_UDP && !get16(in->p + in->l4 + check))
                return get16(out->p + out->l4 + check) ? "a checksum was made up" : NULL;
        return l4_error(in) == l4_error(out) ? NULL : "the transport checksum does not fit the change";
}

/* An error's own addresses follow its quote. */
static const char *judge_error(const struct oracle *o, const struct view *in, const struct view *out)
{
        struct view quote_in = view_ip(in->p + in->l4 + 8, in->len - in->l4 - 8);
        struct view quote_out = view_ip(out->p + in->l4 + 8, out->len - in->l4 - 8);

        if (!quote_in.family || !quote_out.family)
                return "its quote is no packet";
        if (head_error(in) != head_error(out))
                return "the IP header's checksum does not fit the change";
        if (l4_error(in) != l4_error(out))
                return "the error's checksum does not fit the change";
        if (memcmp(&out->tuple.dst, &quote_out.tuple.src, 16) != 0)
                return "the error does not go to whom it quotes";
        return judge_headers(o, &quote_in, &quote_out, true);
}

static const char *judge_rest(const struct packet *in, const struct packet *out, const struct view *vi,
                              const struct view *vo)
{
        static struct packet a, b;
        size_t l3 = (size_t)(vi->p - in->data);

        if (in->len != out->len)
                return "its length has changed";
        a = *in;
        b = *out;
        memset(a.data, 0, 12);
        memset(b.data, 0, 12);
        mask(a.data + l3, vi, vi->len);
        mask(b.data + l3, vo, vo->len);
        if (is_error(vi)) {
                struct view qa = view_ip(vi->p + vi->l4 + 8, vi->len - vi->l4 - 8);
                struct view qb = view_ip(vo->p + vo->l4 + 8, vo->len - vo->l4 - 8);

                if (qa.family && qb.family) {
                        mask(a.data + l3 + vi->l4 + 8, &qa, qa.len);
                        mask(b.data + l3 + vi->l4 + 8, &qb, qb.len);
                }
        }
        return memcmp(a.data, b.data, in->len) == 0 ? NULL : "bytes have changed that no translation touches";
}

/* --- refused */

static const char *judge_answer(const struct packet *in, const struct packet *out, const struct view *vi,
                                const struct view *vo)
{
        size_t quoted = vo->len - vo->l4 - 8;

        if (memcmp(in->data, out->data + 6, 6) != 0 || memcmp(in->data + 6, out->data, 6) != 0)
                return "the answer's Ethernet addresses are not swapped";
        if (memcmp(&vi->tuple.src, &vo->tuple.dst, 16) != 0)
                return "the answer goes to somebody else";
        if (head_error(vo) || l4_error(vo))
                return "the answer's checksums are wrong";
        if (vo->tuple.proto == IPPROTO_TCP) {
                struct tuple back = reversed(&vi->tuple);

                return same_tuple(&back, &vo->tuple, true) && vo->p[vo->l4 + 13] & 4 ? NULL
                                                                                     : "the reset is for another";
        }
        if (quoted > vi->len || memcmp(vi->p, vo->p + vo->l4 + 8, quoted) != 0)
                return "the error quotes something else";
        return NULL;
}

static bool is_answer(const struct view *vi, const struct view *vo)
{
        bool reset =
                vo->tuple.proto == IPPROTO_TCP && vo->has_ports && vo->len == vo->l4 + 20 && vo->p[vo->l4 + 13] & 4;

        if (memcmp(&vi->tuple.src, &vo->tuple.dst, 16) != 0)
                return false;
        return (is_error(vo) && !is_error(vi)) || (reset && !(vi->p[vi->l4 + 13] & 4));
}

const char *oracle_judge(const struct oracle *oracle, const struct packet *in, const struct packet *out)
{
        struct view vi = view_frame(in), vo = view_frame(out);
        bool same = in->len == out->len && memcmp(in->data + 12, out->data + 12, in->len - 12) == 0;
        const char *complaint;

        if (same)
                return NULL;
        if (!vi.family || !vi.whole)
                return "it was no whole packet, and was changed";
        if (!vo.family || !vo.whole)
                return "it is no packet any more";
        if (is_answer(&vi, &vo))
                return judge_answer(in, out, &vi, &vo);
        complaint = judge_rest(in, out, &vi, &vo);
        if (complaint)
                return complaint;
        if (is_error(&vi) && memcmp(vi.p + vi.l4 + 8, vo.p + vo.l4 + 8, vi.len - vi.l4 - 8) != 0)
                return judge_error(oracle, &vi, &vo);
        return judge_headers(oracle, &vi, &vo, false);
}
