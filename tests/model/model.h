/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datapath as it is meant to be: what becomes of a packet, by the rules of Kubernetes' services, the RFCs and
 * docs/dataplane.md. It works on the plain lists of world.h and an unbounded list of connections, and searches them
 * from the front.
 *
 * Where the programs may choose (an endpoint, a source port, whom to evict) the model is given what they chose, as the
 * flow table shows it, and says whether that was allowed; from then on it must stay so.
 */
#pragma once

#include "bpf/abi/reasons.h"
#include "model/frame.h"
#include "model/world.h"

/* A packet comes to a program. */
struct event {
        enum hook hook;
        unsigned nic;     /* number of the pod or uplink; else 0 */
        uint32_t ifindex; /* of the device */
        bool marked;      /* by the dataplane, before */
        uint16_t gso;     /* bytes of a segment, when the packet is to be cut up later; 0: it is not */
        struct frame in;
};

/* What the rig saw of the tables. */
struct seen_half {
        bool live;
        struct tuple key, to;
        uint32_t backend, generation, service, seen, created, packets, index, peer;
        uint64_t bytes;
        uint8_t flags, state;
};

#define CHANGES_MAX 512

struct seen_change {
        struct seen_half was, is; /* live or not */
};

struct way_seen {
        uint32_t ifindex; /* of a pod or next hop */
        struct addr next; /* the next hop's address */
        uint32_t tunnel_id;
        struct addr remote;
};

struct observed {
        int error;   /* negative errno: it did not run */
        int verdict; /* as the program returned it */
        bool marked;
        struct frame out;
        int hook, reason; /* what was counted; reason -1: nothing, -2: more than one thing */
        uint64_t counted_packets, counted_bytes;
        struct flow_counters flows; /* by how much they grew */
        size_t nchanges;
        struct seen_change changes[CHANGES_MAX];
        struct way_seen way;
};

/* Who has which id in the tables, since the last change of services. */
struct ids {
        uint32_t service[WORLD_SERVICES][SERVICE_PORTS], host_port[WORLD_HOSTPORTS][2]; /* v4, v6; 0: none */
        struct backend *backends;
        size_t nbackends;
};

enum verdict {
        V_PASS,
        V_DROP,
        V_SENT, /* redirected */
        V_TX,   /* XDP: back out of the same device */
};

enum expected_way {
        TO_NOBODY, /* not redirected */
        TO_POD,
        TO_NEIGHBOUR,
        TO_TUNNEL,
        TO_DEVICE, /* of which TEST_RUN shows nothing */
};

#define WHY_MAX 2048

struct expect {
        enum verdict verdict;
        enum reason reason;
        bool not_counted;
        bool unread;    /* it was not looked at: nobody knows its length */
        bool any_bytes; /* dropped, or spoiled on the way to that */
        struct frame out;
        bool marked;
        enum expected_way way;
        struct way_seen to;
        unsigned inserted, stale, failed, taken_over; /* flows */
        struct tuple failed_key;                      /* of the one that could not be had */
        char why[WHY_MAX];                            /* how the model came to it */
        char wrong[WHY_MAX];                          /* what the programs may not have chosen; "": nothing */
};

struct model;

/* A sentence of the model's reasoning, and how often it was used. All of them are in one section. */
struct said {
        const char *format;
        uint64_t times;
};
extern struct said __start_model_said[], __stop_model_said[];

struct model *model_new(const struct devices *devices);
void model_free(struct model *m);
/* An empty table, a new cluster. world is borrowed and may change between calls of model_changed. */
void model_begin(struct model *m, const struct world *world, const struct ids *ids);
/* The world is another one, and the tables follow it. */
void model_changed(struct model *m);
void model_clock(struct model *m, uint32_t seconds);
/* As if all answers of this second had been given. */
void model_spend_answers(struct model *m);
void model_packet(struct model *m, const struct event *e, const struct observed *o, struct expect *ret);

/* The halves that are alive, for the comparison. */
struct model_half {
        struct tuple key, to;
        uint8_t flags, state;
        uint32_t packets, seen, created;
        uint64_t bytes;
        uint32_t backend, generation, service;
        size_t conn; /* its other half has the same */
};
size_t model_halves(const struct model *m);
bool model_half(const struct model *m, size_t i, struct model_half *ret); /* false: it is no more */
/* Looks it up by its key. Returns false when there is none. */
bool model_find(const struct model *m, const struct tuple *key, struct model_half *ret);
/* Halves that changed with the last packet. */
size_t model_touched(const struct model *m, struct model_half *ret, size_t max);
/* Its time is over. */
bool model_is_too_old(const struct model *m, const struct model_half *h);
/* The program gave the places of these halves of connections to the inserted ones: NULL, or why it may not have.
 * undone: those were not made in the end. Adds the connections to *ret_conns. */
const char *model_evicted(struct model *m, const struct tuple *const *gone, size_t ngone,
                          const struct tuple *const *inserted, size_t n, bool undone, unsigned *ret_conns);
/* What should have been counted for that service id since model_begin. False: nothing. */
bool model_stats(const struct model *m, size_t i, uint32_t *ret_id, struct service_stats *ret);
/* Limits of a pod's bandwidth: bits that are to be paid for, of what it sends (or gets). */
uint32_t model_debt(const struct model *m, unsigned pod, bool egress);
