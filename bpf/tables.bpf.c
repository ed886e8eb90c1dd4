/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The tables as text: iterators over the elements of maps, pinned as files, so that `cat` prints them on a machine that
 * has nothing but a shell. What fairctl shows has more sides to it (names of pods, shares, ages). A routing trie cannot
 * be iterated over by a program, so `routes` has no such file.
 *
 * The kernel calls a program once for each element and at last without one. Values are read where they are, while
 * others write them; of a flow the copy is believed only when its control word is the same before and after.
 */
#include "vmlinux/iter.h"
#include "lib/flow.h"
#include "lib/text.h"
#include <bpf/bpf_tracing.h>

static __always_inline const char *service_label(__u32 id)
{
        const struct service_name *name = id ? bpf_map_lookup_elem(&service_names, &id) : NULL;

        return name && name->name[0] ? name->name : "-";
}

static __always_inline const char *proto_label(__u8 proto)
{
        switch (proto) {
        case IPPROTO_TCP:
                return "TCP";
        case IPPROTO_UDP:
                return "UDP";
        case IPPROTO_SCTP:
                return "SCTP";
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
                return "ICMP";
        default:
                return "?";
        }
}

/* ---- services */

static __always_inline const char *choice_label(const struct slot_range *range, bool hash)
{
        if (!range->size)
                return "none";
        return hash ? "maglev" : "random";
}

SEC("iter/bpf_map_elem")
int show_services(struct bpf_iter__bpf_map_elem *ctx)
{
        struct seq_file *seq = ctx->meta->seq;
        struct service_key *key = ctx->key;
        struct service *value = ctx->value;
        struct service s;
        struct text frontend = {};
        struct addr addr;
        bool external;

        if (ctx->meta->seq_num == 0)
                BPF_SEQ_PRINTF(seq, "%-40s %-28s %-5s %-6s %6s  %-7s %6s  %s\n", "SERVICE", "FRONTEND", "PROTO",
                               "INSIDE", "SLOTS", "OUTSIDE", "SLOTS", "OPTIONS");
        if (!key || !value)
                return 0;
        s = *value;
        addr = key->addr;
        if (s.flags & SERVICE_ADDRESS)
                return 0;
        external = s.flags & (SERVICE_EXTERNAL | SERVICE_HOSTPORT);
        text_of_endpoint(&frontend, &addr, key->port);
        BPF_SEQ_PRINTF(seq, "%-40s %-28s %-5s ", service_label(s.id), frontend.s, proto_label(key->proto));
        BPF_SEQ_PRINTF(seq, "%-6s %6u  %-7s %6u  ", choice_label(&s.in, s.flags & SERVICE_HASH_IN), s.in.size,
                       external ? choice_label(&s.out, s.flags & SERVICE_HASH_OUT) : "-", external ? s.out.size : 0);
        if (s.flags & SERVICE_AFFINITY)
                BPF_SEQ_PRINTF(seq, "affinity=%us ", s.affinity_s);
        BPF_SEQ_PRINTF(seq, "%s%s%s%s\n", s.flags & SERVICE_DROP_IN ? "internal-local " : "",
                       s.flags & SERVICE_LOCAL_OUT ? "external-local " : "", s.flags & SERVICE_RANGES ? "ranges " : "",
                       s.flags & SERVICE_HOSTPORT ? "hostport" : "");
        return 0;
}

/* ---- backends */

SEC("iter/bpf_map_elem")
int show_backends(struct bpf_iter__bpf_map_elem *ctx)
{
        struct seq_file *seq = ctx->meta->seq;
        __u32 *key = ctx->key;
        struct backend *value = ctx->value;
        struct text endpoint = {};
        struct backend b;

        if (ctx->meta->seq_num == 0)
                BPF_SEQ_PRINTF(seq, "%-7s %-40s %-28s %-5s %-7s %-11s %s\n", "ID", "SERVICE", "BACKEND", "PROTO",
                               "WHERE", "STATE", "GENERATION");
        if (!key || !value)
                return 0;
        b = *value;
        if (!b.service)
                return 0;
        text_of_endpoint(&endpoint, &b.addr, b.port);
        BPF_SEQ_PRINTF(seq, "%-7u %-40s %-28s %-5s ", *key, service_label(b.service), endpoint.s, proto_label(b.proto));
        BPF_SEQ_PRINTF(seq, "%-7s %-11s %u\n",
                       b.flags & BACKEND_HOST    ? "host"
                       : b.flags & BACKEND_LOCAL ? "local"
                                                 : "remote",
                       b.flags & BACKEND_TERMINATING ? "terminating" : "-", b.generation);
        return 0;
}

/* ---- pods */

SEC("iter/bpf_map_elem")
int show_pods(struct bpf_iter__bpf_map_elem *ctx)
{
        struct seq_file *seq = ctx->meta->seq;
        struct pod *value = ctx->value;
        struct text v4 = {}, v6 = {};
        struct pod p;

        if (ctx->meta->seq_num == 0)
                BPF_SEQ_PRINTF(seq, "%-10s %-16s %-28s %-17s  %14s %14s\n", "INTERFACE", "IPV4", "IPV6", "MAC",
                               "SENDS BIT/S", "GETS BIT/S");
        if (!value)
                return 0;
        p = *value;
        if (!p.ifindex)
                return 0;
        text_of_addr(&v4, &p.v4);
        text_of_addr(&v6, &p.v6);
        BPF_SEQ_PRINTF(seq, "%-10u %-16s %-28s ", p.ifindex, v4.s, v6.s);
        BPF_SEQ_PRINTF(seq, "%02x:%02x:%02x:%02x:%02x:%02x  ", p.mac[0], p.mac[1], p.mac[2], p.mac[3], p.mac[4],
                       p.mac[5]);
        BPF_SEQ_PRINTF(seq, "%14llu %14llu\n", p.egress_bps, p.ingress_bps);
        return 0;
}

/* ---- flows */

static __always_inline const char *state_label(const struct flow *f)
{
        if (f->state & FLOW_RST)
                return "reset";
        if (f->state & (FLOW_FIN | FLOW_FIN_REPLY))
                return "closing";
        if (f->key.proto == IPPROTO_TCP)
                return f->state & FLOW_ESTABLISHED ? "established" : "opening";
        return f->state & FLOW_SEEN_REPLY ? "both-ways" : "one-way";
}

static __noinline int show_flow(struct seq_file *seq, const struct flow *f)
{
        __u32 now = clock_now(), idle = clock_age(now, f->seen);
        struct text a = {};

        if (f->flags & FLOW_REPLY || idle > flow_timeout(f->key.proto, f->state))
                return 0;
        BPF_SEQ_PRINTF(seq, "%-5s ", proto_label(f->key.proto));
        text_of_endpoint(&a, &f->key.src, f->key.sport);
        BPF_SEQ_PRINTF(seq, "%-28s ", a.s);
        text_of_endpoint(&a, &f->key.dst, f->key.dport);
        BPF_SEQ_PRINTF(seq, "%-28s ", a.s);
        text_of_endpoint(&a, &f->new_src, f->new_sport);
        BPF_SEQ_PRINTF(seq, "%-28s ", a.s);
        text_of_endpoint(&a, &f->new_dst, f->new_dport);
        BPF_SEQ_PRINTF(seq, "%-28s %-40s %-11s ", a.s, service_label(f->service), state_label(f));
        BPF_SEQ_PRINTF(seq, "%7u %7u %10u %12llu\n", clock_age(now, f->created), idle, f->packets, f->bytes);
        return 0;
}

static __always_inline void show_way(struct seq_file *seq, struct flow_set *set, __u32 first, __u32 way)
{
        __u64 before = flow_control(&set->flow[way]);
        const struct flow *other;
        __u32 control;
        struct flow f;

        if (FLOW_STATUS(before) != FLOW_LIVE)
                return;
        f = set->flow[way];
        if (flow_control(&set->flow[way]) != before)
                return;
        other = flow_peer(f.peer, first + way, &control);
        if (other && (__s32)(other->seen - f.seen) > 0)
                f.seen = other->seen;
        show_flow(seq, &f);
}

SEC("iter/bpf_map_elem")
int show_flows(struct bpf_iter__bpf_map_elem *ctx)
{
        struct seq_file *seq = ctx->meta->seq;
        __u32 *key = ctx->key;
        struct flow_set *set;

        if (ctx->meta->seq_num == 0) {
                BPF_SEQ_PRINTF(seq, "%-5s %-28s %-28s %-28s %-28s ", "PROTO", "CLIENT", "DESTINATION", "AS", "BACKEND");
                BPF_SEQ_PRINTF(seq, "%-40s %-11s %7s %7s %10s %12s\n", "SERVICE", "STATE", "AGE S", "IDLE S", "PACKETS",
                               "BYTES");
        }
        set = key ? flow_set_get(*key * FLOW_WAYS) : NULL; /* the iterator's own pointer may not be read with a fence */
        if (!set)
                return 0;
        for (__u32 way = 0; way < FLOW_WAYS; way++)
                show_way(seq, set, *key * FLOW_WAYS, way);
        return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
