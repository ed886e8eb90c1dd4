/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/str.h"
#include "ctl/flow_filter.h"
#include "datapath/address.h"

static int parse_net(const char *flag, const char *text, struct flow_net *ret, struct err *reterr)
{
        int r;

        if (!text)
                return 0;
        ret->set = true;
        ret->bits = 128;
        r = strchr(text, '/') ? address_parse_cidr(text, false, &ret->addr, &ret->bits)
                              : address_parse(text, &ret->addr);
        return r ? err_set(reterr, -EINVAL, "%s %s: give an IP address, or a network as 10.0.0.0/8 or fd00::/8", flag,
                           text)
                 : 0;
}

int flow_filter_parse(const struct flow_words *w, struct flow_filter *ret, struct err *reterr)
{
        struct flow_filter f = {.proto = w->proto, .state = w->state};
        int r = parse_net("--src", w->src, &f.src, reterr);

        if (!r)
                r = parse_net("--dst", w->dst, &f.dst, reterr);
        if (!r)
                r = parse_net("--backend", w->backend, &f.backend, reterr);
        if (!r && w->port && (str_parse_u16(w->port, &f.port) || !f.port))
                r = err_set(reterr, -EINVAL, "--port %s: give a number from 1 to 65535", w->port);
        if (!r && w->family)
                f.family = str_eq(w->family, "4") ? 4 : 6;
        if (!r)
                *ret = f;
        return r;
}

const char *flow_proto_name(uint8_t proto)
{
        switch (proto) {
        case IPPROTO_TCP:
                return "tcp";
        case IPPROTO_UDP:
                return "udp";
        case IPPROTO_SCTP:
                return "sctp";
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
                return "icmp";
        default:
                return "";
        }
}

const char *flow_state_name(const struct flow_entry *e)
{
        if (e->state & FLOW_RST)
                return "reset";
        if (e->state & (FLOW_FIN | FLOW_FIN_REPLY))
                return "closing";
        if (e->key.proto == IPPROTO_TCP)
                return e->state & FLOW_ESTABLISHED ? "established" : "opening";
        return e->state & FLOW_SEEN_REPLY ? "both-ways" : "one-way";
}

static bool is_in(const struct addr *a, const struct flow_net *net)
{
        return address_in(a, &net->addr, net->bits);
}

static bool is_of_pod(const struct flow_filter *f, const struct flow_entry *e)
{
        for (size_t i = 0; i < f->pods_n; i++)
                if (address_equal(&f->pods[i], &e->key.src) || address_equal(&f->pods[i], &e->new_dst))
                        return true;
        return false;
}

bool flow_filter_match(const struct flow_filter *f, const struct flow_entry *e)
{
        if (f->family && (f->family == 4) != address_is_v4(&e->key.src))
                return false;
        if (f->port && e->key.dport != htons(f->port) && e->new_dport != htons(f->port))
                return false;
        if (f->src.set && !is_in(&e->key.src, &f->src))
                return false;
        if (f->dst.set && !is_in(&e->key.dst, &f->dst))
                return false;
        if (f->backend.set && !is_in(&e->new_dst, &f->backend))
                return false;
        if (f->proto && strcmp(f->proto, flow_proto_name(e->key.proto)) != 0)
                return false;
        if (f->state && strcmp(f->state, flow_state_name(e)) != 0)
                return false;
        return !f->pod || is_of_pod(f, e);
}

uint64_t flow_sort_key(const char *sort, const struct flow_entry *e, const struct flow_entry *reply, uint32_t now)
{
        if (str_eq(sort, "idle"))
                return now > e->seen ? now - e->seen : 0;
        if (str_eq(sort, "bytes"))
                return UINT64_MAX - (e->bytes + reply->bytes);
        if (str_eq(sort, "packets"))
                return UINT64_MAX - ((uint64_t)e->packets + reply->packets);
        return now > e->created ? now - e->created : 0;
}
