/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the dataplane may make of any packet at all, however mangled. It knows nothing of services and little of hooks;
 * it has a parser of its own and the flow table, and says whether a packet that came out is
 *   - the one that went in (Ethernet addresses and a hop may have changed),
 *   - or that one translated as a live flow says, in its headers or, for an ICMP error, also in its quote, where each
 *     checksum is as right or as wrong as it was before,
 *   - or an answer that refuses it, with right checksums.
 */
#pragma once

#include "bpf/lab.h"
#include "bpf/packet.h"

struct oracle {
        const struct flow *flows; /* live ones, from after the packet */
        size_t n_flows;
};

/* NULL: all is well. Else what is wrong. */
const char *oracle_judge(const struct oracle *oracle, const struct packet *in, const struct packet *out);
