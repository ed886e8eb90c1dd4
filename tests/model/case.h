/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A case: a world, and what happens in it step by step. Steps refer to earlier ones ("the answer to what came out of
 * step 7"), so that a case can be played again though the programs choose otherwise, and steps can be taken out of it.
 */
#pragma once

#include "model/model.h"
#include "model/rig.h"
#include "model/world.h"

#define CASE_STEPS 400

enum step_kind {
        STEP_FRESH,   /* a packet */
        STEP_AGAIN,   /* another one of the same tuple at the same hook */
        STEP_ANSWER,  /* an answer to what came out */
        STEP_ERROR,   /* an ICMP error about what came out */
        STEP_LATER,   /* a later fragment of the datagram that came in */
        STEP_BESIDE,  /* whom it was sent to is spoken to straight, from the same port */
        STEP_ON,      /* what came out, by the next hook on its way */
        STEP_SERVICE, /* a service is another one now */
        STEP_POD,     /* a pod */
        STEP_CLOCK,   /* time passes */
        STEP_SPEND,   /* the answers of this second are used up */
};

enum { EDITS_MAX = 3 };

struct step {
        bool off; /* taken out */
        enum step_kind kind;
        uint16_t ref;
        /* packets */
        enum hook hook;
        uint8_t nic;
        bool v6, marked;
        uint8_t src, src_n, dst, dst_n; /* FRESH: enum place, and which of several */
        uint16_t sport, dport;
        uint8_t proto, tcp, ttl, tos;
        uint8_t icmp_type, icmp_code;
        uint8_t from;    /* ERROR: the place whose router complains; 0: the receiver itself */
        uint16_t quoted; /* ERROR: bytes; 0: all */
        uint32_t seq, ack, flags;
        uint16_t id, fragment, datagram, payload, gso;
        uint8_t nedits;
        struct {
                uint16_t at;
                uint8_t turn; /* bits */
        } edits[EDITS_MAX];
        uint16_t cut; /* to so many bytes; 0: not */
        bool fit;     /* and the IP header says so */
        /* changes */
        uint8_t slot; /* SERVICE, POD */
        struct svc svc;
        struct pod_spec pod;
        uint32_t seconds;
};

struct play_case {
        uint64_t seed;
        struct world world;
        size_t n;
        struct step steps[CASE_STEPS];
};

enum fault_kind {
        FAULT_NONE,
        FAULT_RUN,
        FAULT_VERDICT,
        FAULT_REASON,
        FAULT_BYTES,
        FAULT_MARK,
        FAULT_WAY,
        FAULT_CHOICE,
        FAULT_FLOWS,
        FAULT_COUNTERS,
        FAULT_STATS,
        FAULT_REST, /* of the agent's tables */
};

#define FAULT_TEXT 4096

struct fault {
        enum fault_kind kind;
        size_t step;
        char text[FAULT_TEXT];
        struct event event; /* of that step */
        struct observed seen;
        struct expect expected;
};

/* What became of a step. */
struct played {
        bool done; /* a packet that ran */
        enum hook hook;
        unsigned nic;
        bool alive; /* it went on */
        bool flow;  /* it was of a flow, or made one */
        struct frame in, out;
        struct pkt pkt_in, pkt_out;
};

struct player {
        struct rig *rig;
        struct model *model;
        struct world world; /* as it is now */
        const struct play_case *played_case;
        struct played steps[CASE_STEPS];
        uint64_t packets;
};

struct player *player_new(struct rig *rig);
void player_free(struct player *p);
void player_begin(struct player *p, const struct play_case *c);
/* False: *ret_fault. */
bool player_step(struct player *p, size_t i, struct fault *ret_fault);
bool player_end(struct player *p, struct fault *ret_fault);
/* The whole case. */
bool player_play(struct player *p, const struct play_case *c, struct fault *ret_fault);

/* Where a packet with these addresses comes from: false when from nowhere. */
bool hook_of(const struct world *w, const struct addr *src, const struct addr *dst, enum hook *ret_hook,
             unsigned *ret_nic);
/* compare.c. False: *ret, without step. */
bool compare(struct player *p, const struct event *e, const struct observed *o, const struct expect *x,
             struct fault *ret);
bool compare_rest(struct player *p, struct fault *ret);

/* generate.c */
struct dice {
        uint64_t state;
};
uint64_t dice_next(struct dice *r);
unsigned dice_below(struct dice *r, unsigned n);
void generate_world(struct dice *r, const struct knobs *knobs, struct world *ret);
void generate_step(struct dice *r, const struct player *p, size_t i, struct step *ret);
/* Some of them go by the seed, so that a few seeds have all of them. */
struct knobs generate_knobs(struct dice *r, uint64_t seed);

/* shrink.c: makes the case as small as it still shows that kind of fault. */
void shrink(struct player *p, struct play_case *c, struct fault *fault);

/* tell.c */
void tell_case(const struct play_case *c, const struct fault *fault);
const char *tuple_text(const struct tuple *t, char buf[static 256]);

/* cover.c */
void cover_packet(const struct event *e, const struct observed *o, const struct expect *x);
void cover_step(const struct step *s);
/* Prints; false when something was never reached that should have been. */
bool cover_report(bool must);
