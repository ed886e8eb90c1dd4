/* SPDX-License-Identifier: Apache-2.0 */
/* The packet that is traced: bytes of a tuple, and the tuple of bytes. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/types.h"

#define TRACE_FRAME_MAX   2048
#define TRACE_PAYLOAD_MAX 1800 /* so that it has room in a tunnel, too */
#define TRACE_TTL         64

struct trace_frame {
        uint8_t bytes[TRACE_FRAME_MAX];
        size_t length;
};

struct trace_spec {
        struct tuple tuple;
        uint8_t smac[6], dmac[6];
        uint16_t payload; /* bytes behind the transport header */
        bool established; /* TCP: an ACK and no SYN */
};

/* A VXLAN tunnel over IPv4. */
struct trace_tunnel {
        __be32 from, to;
        uint16_t port; /* of UDP, host order */
        uint32_t vni;
};

/* A whole frame with right checksums: a TCP SYN, a UDP datagram, or an ICMP echo request (its identifier is sport). */
void trace_frame_build(const struct trace_spec *spec, struct trace_frame *ret);

/* Puts the frame into the tunnel, under the same Ethernet addresses. */
void trace_frame_wrap(struct trace_frame *frame, const struct trace_tunnel *tunnel);
/* Takes what is in a tunnel out of it. False: it is in none, and stays as it is. */
bool trace_frame_unwrap(struct trace_frame *frame, uint16_t port);

struct trace_seen {
        struct tuple tuple;
        uint8_t ttl, tcp, icmp, icmp_code;
};

/* False: it is no IP packet whose headers are whole. */
bool trace_frame_read(const struct trace_frame *frame, struct trace_seen *ret);
