/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet's way through this node, step by step, as fairctl trace finds it out and tells it. Each step's decision is
 * the program's own; the explanation is read out of the maps, and where the two do not agree that is said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "bpf/abi/config.h"
#include "ctl/trace_choice.h"
#include "ctl/trace_place.h"
#include "ctl/trace_run.h"
#include "datapath/address.h"
#include "datapath/flow_undo.h"

enum trace_outcome {
        TRACE_UNDECIDED,
        TRACE_DELIVERED, /* into a pod of this node */
        TRACE_HOST,      /* to this node's own stack */
        TRACE_LEFT,      /* out of the cluster */
        TRACE_ELSEWHERE, /* to another node, where it goes on */
        TRACE_DROPPED,
        TRACE_REFUSED, /* dropped, and the sender is told */
};

struct trace_step {
        char name[32]; /* "from_pod", "socket" */
        char device[32];
        bool ran; /* a program did: `run` */
        struct trace_run run;
        char **lines; /* the explanation */
        size_t lines_n;
};

#define TRACE_STEPS 8

struct trace {
        struct view *view;
        struct records records;
        struct knobs knobs;
        struct node node;
        struct flow_undo flows;
        struct observer *observer;

        /* What was asked for. */
        struct trace_place src, dst; /* dst: where it goes by now */
        char asked_dst[256];         /* dst.text in the beginning */
        struct tuple asked __attribute__((aligned(8)));
        bool packet_path; /* although it would be translated at the socket */
        uint16_t payload;
        uint32_t started; /* second */

        /* Where it is. */
        struct tuple tuple __attribute__((aligned(8)));
        bool established; /* it is of a flow that was there before */
        bool in_tunnel;   /* it comes with the tunnel's header on it */

        struct trace_step *steps[TRACE_STEPS];
        size_t steps_n;
        enum trace_outcome outcome;
        struct strbuf result, advice, next; /* next: the command that goes on elsewhere */
        char **disagreements, **left;       /* what of the trace stays behind */
        size_t disagreements_n, left_n;
};

/* The whole way. 0, or negative errno with a message. */
int trace_tell(struct trace *t, struct err *reterr);
void trace_deinit(struct trace *t);

/* A new step; its lines; what does not agree; what stays. */
struct trace_step *trace_step_add(struct trace *t, const char *name, uint32_t ifindex);
void trace_say(struct trace_step *s, const char *fmt, ...) _printf_(2, 3);
void trace_disagree(struct trace *t, const char *fmt, ...) _printf_(2, 3);
void trace_leave(struct trace *t, const char *fmt, ...) _printf_(2, 3);
/* Ends it. */
void trace_end(struct trace *t, enum trace_outcome outcome, const char *fmt, ...) _printf_(3, 4);

/* "10.0.0.1:80". Of protocols without ports the address. Returns buf. */
const char *trace_end_text(const struct addr *a, __be16 port, uint8_t proto, char buf[static ADDRESS_TEXT]);

/* ---- trace_explain.c: what a program decided, in words, and whether the maps say the same */

/* About the service: before the program runs the choice is foretold. */
void trace_explain_choice(struct trace *t, struct trace_step *s, const struct trace_ask *ask,
                          const struct trace_choice *c);
/* Which endpoint it became. */
void trace_explain_pick(struct trace *t, struct trace_step *s, const struct trace_choice *c, uint32_t backend);
void trace_explain_rewrite(struct trace *t, struct trace_step *s);
void trace_explain_route(struct trace *t, struct trace_step *s);
/* Does what came out fit to what was told and foretold? */
void trace_check_step(struct trace *t, struct trace_step *s, const struct trace_choice *c);
/* Ends the trace for a drop or refusal. */
void trace_explain_drop(struct trace *t, struct trace_step *s, const struct trace_choice *c);
/* What to do about it. */
const char *trace_advice(enum reason reason);

/* ---- trace_undo.c: of what the programs remember */

/* A source port of which there is no flow, and with room for one. False: there is none. */
bool trace_find_port(struct trace *t);
/* Takes away what the runs have made: flows of that tuple, the memory of the client. */
void trace_undo_flow(struct trace *t, const struct tuple *key);
void trace_undo_affinity(struct trace *t, const struct trace_ask *ask, const struct trace_choice *before);
