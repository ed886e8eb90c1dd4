/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets for the tables of tests/bpf: a packet_spec says what is in one, in names that hold for both IP families, and
 * packet_build makes its bytes with checksums computed from scratch. Expected packets are made the same way, so that a
 * row compares whole packets and the programs' incremental arithmetic is held against a plain sum.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/types.h"

#define PACKET_MAX 9600

/* Who speaks. packet_addr gives the address in each family. */
enum who {
        NOBODY,
        POD_A,    /* pods on this node */
        POD_B,    /* */
        POD_R,    /* pods of the other node */
        POD_R2,   /* */
        GHOST,    /* in this node's pod CIDR, but no pod has it */
        NODE,     /* this node */
        NODE2,    /* the other node */
        CLIENT,   /* outside, comes in by the uplink */
        CLIENT2,  /* */
        SERVER,   /* outside, pods speak to it */
        ROUTER,   /* on the way to the outside */
        VIP,      /* ClusterIPs */
        VIP2,     /* */
        VIP_NONE, /* in the service CIDR, but no service's */
        LB,       /* an external load balancer's address */
        ANY,      /* a NodePort's address in the service map */
        GROUP,    /* multicast */
        LOOPBACK, /* */
        WHO_COUNT,
};

enum mac {
        MAC_NONE,
        MAC_POD_A,
        MAC_POD_B,
        MAC_GATEWAY, /* host side of the pods' veths */
        MAC_UPLINK,
        MAC_ROUTER, /* what the uplink's packets go to and come from */
        MAC_NODE2,
        MAC_VXLAN,
        MAC_GROUP,
        MAC_ALL,
};

enum icmp_kind {
        ICMP_KIND_NONE,
        ICMP_KIND_ECHO,
        ICMP_KIND_ECHO_REPLY,
        ICMP_KIND_PORT_UNREACHABLE,
        ICMP_KIND_HOST_UNREACHABLE,
        ICMP_KIND_TOO_BIG, /* mtu */
        ICMP_KIND_TIME_EXCEEDED,
        ICMP_KIND_PROHIBITED,
        ICMP_KIND_NEIGHBOUR, /* v6: neighbour solicitation; v4: router solicitation */
};

enum packet_flags {
        PACKET_VLAN = 1 << 0,         /* one tag in the bytes */
        PACKET_QINQ = 1 << 1,         /* two */
        PACKET_OPTIONS = 1 << 2,      /* IPv4: 8 bytes of options; IPv6: hop-by-hop and destination options */
        PACKET_ROUTING = 1 << 3,      /* IPv6: a routing header with no segments left */
        PACKET_MORE = 1 << 4,         /* more fragments */
        PACKET_FRAGMENT = 1 << 5,     /* IPv6: a fragment header even at offset 0 without MORE */
        PACKET_ZERO_SUM = 1 << 6,     /* UDP without a checksum */
        PACKET_BAD_SUM = 1 << 7,      /* the L4 checksum is wrong, by 0x0100 */
        PACKET_DF = 1 << 8,           /* IPv4: don't fragment */
        PACKET_PADDED = 1 << 9,       /* bytes behind the IP packet, as a short Ethernet frame has */
        PACKET_TCP_OPTS = 1 << 10,    /* 12 bytes of TCP options */
        PACKET_LONG_HEADER = 1 << 12, /* TCP: the header says that it is longer than the packet */
        PACKET_ANSWER = 1 << 11, /* made by the dataplane: DF, an ICMPv4 error's precedence, and how much it quotes */
};

enum outer_flags {
        OUTER_BAD_SUM = 1 << 0,  /* of the IP header */
        OUTER_UDP_SUM = 1 << 1,  /* UDP has a checksum: a wrong one */
        OUTER_EXT = 1 << 2,      /* another bit in the VXLAN header */
        OUTER_NO_VNI = 1 << 3,   /* its bit is not set */
        OUTER_SHORT = 1 << 4,    /* IP's length is 4 bytes less than the frame's */
        OUTER_UDP_LONG = 1 << 5, /* UDP's is 4 bytes more */
        OUTER_ARP = 1 << 6,      /* the inner frame says that it is ARP */
        OUTER_OPTIONS = 1 << 7,  /* the IP header says that it has options */
        OUTER_ANY_PORT = 1 << 8, /* expected: a source port above 49151, and any id */
};

/* An IPv4 UDP packet around the frame, of either family. */
struct outer_spec {
        uint32_t src, dst; /* host order */
        uint16_t sport, dport;
        uint32_t vni;
        uint32_t flags;    /* enum outer_flags */
        uint16_t fragment; /* the field: 0x2000 is "more", the rest the offset in 8 bytes */
        uint8_t tos;
        enum mac smac, dmac;
};

struct packet_spec {
        enum who src, dst;
        uint16_t sport, dport; /* ICMP echo: sport is the identifier */
        uint8_t proto;         /* IPPROTO_TCP, UDP, SCTP, ICMP (of either family); other: nothing but payload */
        uint8_t tcp_flags;     /* PACKET_SYN ... */
        uint8_t ttl;           /* 0: 64 */
        uint8_t tos;
        uint32_t seq, ack;
        uint16_t window;   /* 0: 512; WINDOW_ZERO */
        uint16_t payload;  /* bytes of it */
        uint32_t flags;    /* enum packet_flags */
        uint16_t fragment; /* offset in bytes; the payload is the piece, with no L4 header when it is not 0 */
        uint16_t id;
        uint16_t datagram; /* of a first fragment: L4 bytes of the whole, for the checksum and UDP's length; 0: this */
        enum icmp_kind icmp;
        uint32_t mtu;
        const struct packet_spec *inner; /* what an ICMP error is about */
        uint16_t inner_len;              /* bytes of it from its IP header; 0: all */
        enum mac smac, dmac;
        uint8_t hop_step; /* taken off ttl, 0 too: what forwarding did */
        const struct outer_spec *outer;
};

#define WINDOW_ZERO 0xffff
#define TH_FIN_     0x01
#define TH_SYN_     0x02
#define TH_RST_     0x04
#define TH_PUSH_    0x08
#define TH_ACK_     0x10
#define TH_SYNACK_  (TH_SYN_ | TH_ACK_)

struct packet {
        size_t len;
        size_t l3, l4; /* offsets; l4 0: not there */
        uint8_t data[PACKET_MAX];
};

/* family: 4 or 6. Fails the test when it does not fit. */
void packet_build(struct packet *ret, const struct packet_spec *spec, int family);
/* Takes from a packet with an outer header what OUTER_ANY_PORT leaves open. Fails the test when that is not right. */
void packet_adopt_outer(struct packet *p, const struct packet *from);
/* The same from its IP header on. */
size_t packet_build_l3(uint8_t *ret, const struct packet_spec *spec, int family, size_t *ret_l4);

struct addr packet_addr(enum who who, int family);
const uint8_t *packet_mac(enum mac mac);
const char *packet_who(const struct addr *a);
uint8_t packet_proto(uint8_t proto, int family);
struct tuple packet_tuple(const struct packet_spec *spec, int family);

/* Plain sums, for the oracle and the builder. */
uint32_t packet_sum(const void *data, size_t len, uint32_t sum);
uint16_t packet_fold(uint32_t sum);

/* Prints a packet in hex, with a mark at the bytes that differ from other (may be NULL). */
void packet_dump(const char *title, const uint8_t *data, size_t len, const uint8_t *other, size_t other_len);
