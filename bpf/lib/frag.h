/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments: only the first of a datagram has the ports, so it leaves them for those that follow it, which then find
 * the same flow. The key is the datagram's as it comes in, before any translation. Of each hook that sees the first one
 * the later ones come to the same, and an entry that nobody asks for any more goes the way of an LRU.
 *
 * A later fragment that overtakes its first one finds nothing. It is dropped if it is to a service, because nobody
 * could make sense of it; the datagram is lost then, as it is when the network loses a fragment.
 */
#pragma once

#include "maps.h"
#include "parse.h"

static __always_inline void fragment_key_of(const struct packet *p, struct fragment_key *ret)
{
        *ret = (struct fragment_key){
                .src = p->tuple.src, .dst = p->tuple.dst, .id = p->fragment_id, .proto = p->tuple.proto};
}

/* REASON_OK; or REASON_FRAGMENT for a later fragment of an unknown datagram, whose ports stay 0. */
__noinline enum reason frag_ports(struct packet *p)
{
        const struct fragment_ports *known;
        struct fragment_ports ports;
        struct fragment_key key;

        if (!p)
                return REASON_INTERNAL;
        fragment_key_of(p, &key);
        if (p->flags & PACKET_FIRST) {
                ports = (struct fragment_ports){p->tuple.sport, p->tuple.dport};
                bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
                return REASON_OK;
        }
        known = bpf_map_lookup_elem(&fragments, &key);
        if (!known)
                return REASON_FRAGMENT;
        p->tuple.sport = known->sport;
        p->tuple.dport = known->dport;
        return REASON_OK;
}
