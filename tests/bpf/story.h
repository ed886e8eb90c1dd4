/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of packets. A story is a world (services), and steps: a packet at a hook, and all that must come of it:
 * verdict, reason, every byte, the whole flow table. It is run in both families, as a test each.
 */
#pragma once

#include <linux/pkt_cls.h>

#include "bpf/lab.h"
#include "bpf/packet.h"

#define STORY_STEPS    20
#define STORY_SERVICES 6
#define STORY_FLOWS    8

/* Where a frame comes from and goes to. */
#define FROM_A          .smac = MAC_POD_A, .dmac = MAC_GATEWAY
#define FROM_B          .smac = MAC_POD_B, .dmac = MAC_GATEWAY
#define INTO_A          .smac = MAC_GATEWAY, .dmac = MAC_POD_A
#define INTO_B          .smac = MAC_GATEWAY, .dmac = MAC_POD_B
#define FROM_ROUTER     .smac = MAC_ROUTER, .dmac = MAC_UPLINK
#define TO_ROUTER       .smac = MAC_UPLINK, .dmac = MAC_ROUTER
#define INTO_TUNNEL     FROM_A, .hop_step = 1
#define OUT_OF_TUNNEL_A INTO_A
#define TUNNELLED       .smac = MAC_VXLAN, .dmac = MAC_VXLAN

/* The beginning of a packet_spec: who, ports, protocol. */
#define TCP(from, sport_, to, dport_, flags_) from, to, sport_, dport_, IPPROTO_TCP, flags_
#define UDP(from, sport_, to, dport_)         from, to, sport_, dport_, IPPROTO_UDP, 0
#define SCTP(from, sport_, to, dport_)        from, to, sport_, dport_, IPPROTO_SCTP, 0
#define ICMP(from, to, kind)                  .src = from, .dst = to, .proto = IPPROTO_ICMP, .icmp = kind

/* What is common in the tables. */
#define ON(who_, port_)                                                                                                \
        {                                                                                                              \
                who_, port_, 0                                                                                         \
        }
#define WEB(...)                                                                                                       \
        {                                                                                                              \
                .addr = VIP, .port = 80, .backends = { __VA_ARGS__ }                                                   \
        }
#define WEB2(...)                                                                                                      \
        {                                                                                                              \
                .addr = VIP2, .port = 80, .backends = { __VA_ARGS__ }                                                  \
        }
#define DNS(...)                                                                                                       \
        {                                                                                                              \
                .addr = VIP, .port = 53, .proto = IPPROTO_UDP, .backends = { __VA_ARGS__ }                             \
        }
#define NODEPORT(...)                                                                                                  \
        {                                                                                                              \
                .addr = ANY, .port = LAB_NODEPORT, .flags = SERVICE_EXTERNAL, .backends = { __VA_ARGS__ }              \
        }
#define SENT_ON          .verdict = SENT, .reason = REASON_FORWARDED
#define SENT_OUT         SENT_ON, .marked = 1 /* by the tunnel or a NIC */
#define LEFT_ALONE       .verdict = PASS, .reason = REASON_OK
#define TRANSLATED_ONLY  .verdict = PASS, .reason = REASON_TRANSLATED
#define REFUSED_FOR(why) .verdict = SENT, .reason = why
#define NOT_COUNTED      REASON_COUNT
#define DROPPED(why)     .verdict = DROP, .reason = why

/* A flow_row and the row of its other direction. */
#define FLOW(proto_, from, sport_, to, dport_, new_from, new_sport_, new_to, new_dport_, flags_)                       \
        {                                                                                                              \
                from, to, sport_, dport_, new_from, new_to, new_sport_, new_dport_, flags_, 0, 0, proto_               \
        }
#define FLOW_PAIR(proto_, from, sport_, to, dport_, new_from, new_sport_, new_to, new_dport_, flags_)                  \
        FLOW(proto_, from, sport_, to, dport_, new_from, new_sport_, new_to, new_dport_, flags_),                      \
                FLOW(proto_, new_to, new_dport_, new_from, new_sport_, to, dport_, from, sport_,                       \
                     (flags_) | FLOW_REPLY)
#define NO_MORE                                                                                                        \
        {                                                                                                              \
                .src = NOBODY                                                                                          \
        }

/* Verdicts have one meaning each here, whether TC or XDP says it. */
enum verdict {
        UNSET,
        PASS, /* to the kernel (TC_ACT_OK, TCX_NEXT, XDP_PASS) */
        DROP,
        SENT, /* TC_ACT_REDIRECT, XDP_REDIRECT, XDP_TX */
};

struct flow_row {
        enum who src, dst;
        uint16_t sport, dport;
        enum who new_src, new_dst;
        uint16_t new_sport, new_dport;
        uint8_t flags;     /* enum flow_flags, all of them */
        uint8_t state;     /* enum flow_state bits that must be there */
        uint8_t not_state; /* and that must not */
        uint8_t proto;     /* 0: TCP */
};

struct step {
        enum hook hook;
        struct packet_spec in, out; /* out.src NOBODY: as it came */
        enum verdict verdict;
        enum reason reason; /* counted once more at that hook */
        enum hook counted;  /* where that is counted; 0: at that hook */
        uint32_t pod_b : 1; /* the pods' hooks: pod B's veth and not pod A's */
        uint32_t in_mark;
        uint32_t marked : 1;          /* leaves with the dataplane's mark */
        uint32_t any_out : 1;         /* out is not compared */
        uint32_t any_flows : 1;       /* nor is the flow table */
        const struct flow_row *flows; /* STORY_FLOWS at most, to src NOBODY: exactly those are live; NULL: none */
        void (*before)(struct lab *lab, int family);
        void (*after)(struct lab *lab, int family, const struct packet *out);
};

struct story {
        const char *name; /* a sentence, with underscores */
        struct lab_service services[STORY_SERVICES];
        void (*setup)(struct lab *lab, int family);
        int family; /* 0: both */
        struct step steps[STORY_STEPS];
};

/* Runs stories as a group of cmocka tests. */
int stories_run(const char *group, const struct story *stories, size_t n, const struct knobs *knobs);
void story_run(struct lab *lab, const struct story *story, int family);
/* Compares the live flows with rows; fails the test. */
void story_flows(struct lab *lab, const struct flow_row *rows, int family);
enum verdict story_verdict(enum hook hook, int verdict);
