/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet frames, plainly: made of a list of what is in them, and read back. Sums are added up byte by byte; nothing
 * here shares a line with the programs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/types.h"

#define FRAME_MAX 3200
#define ETH_HEAD  14

struct frame {
        size_t len;
        uint8_t b[FRAME_MAX];
};

enum tcp_flag {
        TCP_F_FIN = 1,
        TCP_F_SYN = 2,
        TCP_F_RST = 4,
        TCP_F_ACK = 0x10,
};

enum spec_flags {
        SPEC_OPTIONS = 1 << 0,  /* IPv4 options; IPv6: hop-by-hop and destination options */
        SPEC_ROUTING = 1 << 1,  /* IPv6: a routing header that is done */
        SPEC_MORE = 1 << 2,     /* more fragments follow */
        SPEC_ATOMIC = 1 << 3,   /* IPv6: a fragment header though it is whole */
        SPEC_DF = 1 << 4,       /* IPv4 */
        SPEC_NO_SUM = 1 << 5,   /* UDP without a checksum */
        SPEC_BAD_SUM = 1 << 6,  /* a wrong L4 checksum */
        SPEC_BAD_HEAD = 1 << 7, /* a wrong IPv4 header checksum */
        SPEC_TCP_OPTIONS = 1 << 8,
        SPEC_PADDED = 1 << 9,        /* bytes behind the IP packet */
        SPEC_TAG = 1 << 10,          /* a VLAN tag */
        SPEC_TAG_PRIORITY = 1 << 11, /* a VLAN tag 0 */
        SPEC_PSEUDO_SUM = 1 << 12,   /* the L4 checksum is the pseudo header's sum only */
        SPEC_MAPPED = 1 << 14,       /* IPv6 with IPv4-mapped addresses */
        SPEC_DEEP = 1 << 13,         /* IPv6: many extension headers */
};

/* Addresses and ports as in a struct tuple; everything else in host order. */
struct spec {
        bool v6;
        struct tuple tuple; /* an echo's identifier is where struct tuple has it */
        uint8_t smac[6], dmac[6];
        uint8_t tcp, ttl, tos;
        uint8_t icmp_type, icmp_code;
        uint32_t icmp_rest; /* the second word of an ICMP header that is no echo */
        uint32_t seq, ack;
        uint32_t flags; /* enum spec_flags */
        uint16_t id, fragment,
                datagram; /* fragment: offset in bytes, > 0: payload only; datagram: L4 bytes of the whole */
        uint16_t payload;
        const uint8_t *quote; /* the payload of an ICMP error */
        size_t quote_len;
};

void frame_build(const struct spec *spec, struct frame *ret);

enum pkt_flags {
        PKT_IP = 1 << 0,
        PKT_V6 = 1 << 1,
        PKT_TAGGED = 1 << 2,   /* a VLAN other than 0 */
        PKT_PRIORITY = 1 << 3, /* VLAN 0 */
        PKT_FIRST = 1 << 4,
        PKT_LATER = 1 << 5,
        PKT_ERROR = 1 << 6, /* an ICMP error */
        PKT_ECHO = 1 << 7,
        PKT_DF = 1 << 8,      /* may not be cut on the way */
        PKT_UNKNOWN = 1 << 9, /* no transport header that we know */
        PKT_BAD = 1 << 10,    /* the headers contradict each other, or it is cut short */
};

/* What a frame says. */
struct pkt {
        uint32_t flags;
        size_t l3, l4, end; /* offsets in the frame; end of the IP packet, without padding */
        struct tuple tuple;
        uint8_t tcp, icmp, ttl, tos;
        uint32_t fragment_id;
};

/* gso: it is several packets for the device, and may be larger than its length field can say. */
void frame_read(const struct frame *f, bool gso, struct pkt *ret);

/* What an ICMP error quotes. Returns false when that cannot be of a connection. */
struct quote {
        size_t l3, l4, end;
        struct tuple tuple; /* as quoted */
};
bool frame_quote(const struct frame *f, const struct pkt *p, struct quote *ret);

uint16_t get16(const uint8_t *p);
void put16(uint8_t *p, unsigned v);
void put32(uint8_t *p, uint32_t v);
/* Sum of 16 bit words in network order, an odd last byte is the high one; not complemented. */
uint16_t sum_of(const uint8_t *p, size_t len, uint32_t sum);
uint16_t pseudo_sum(const struct addr *src, const struct addr *dst, uint8_t proto, size_t len);
/* RFC 1624: a checksum field after bytes `was` became `is`. */
uint16_t sum_after(uint16_t check, const void *was, const void *is, size_t len);

bool is_echo_request(uint8_t type, bool v6);
bool is_echo_reply(uint8_t type, bool v6);
bool has_ports(uint8_t proto);
struct tuple tuple_back(const struct tuple *t);
bool same_tuple(const struct tuple *a, const struct tuple *b);
/* Where the checksum is, from the beginning of the transport header; 0: none. */
size_t check_offset(uint8_t proto, bool v6);
