/* SPDX-License-Identifier: Apache-2.0 */
/* Which flows are wanted, and the order they come in. Pure functions, but for the complaints of parsing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/abi/config.h"
#include "datapath/flows.h"

struct flow_net {
        bool set;
        struct addr addr;
        uint32_t bits; /* 128 bit form */
};

/* What was typed; NULL: not given. */
struct flow_words {
        const char *src, *dst, *backend, *port, *proto, *state, *family;
};

#define FLOW_PODS_MAX 16

struct flow_filter {
        struct flow_net src, dst, backend;
        uint16_t port; /* host order; 0: any */
        const char *proto, *state;
        uint8_t family;                  /* 4, 6; 0: any */
        struct addr pods[FLOW_PODS_MAX]; /* addresses of the pod that is asked for */
        size_t pods_n;
        bool pod;
};

#define FLOW_STATES "opening established closing reset one-way both-ways"
#define FLOW_PROTOS "tcp udp sctp icmp"
#define FLOW_SORTS  "age idle bytes packets"

/* 0 or -EINVAL with what is wrong ("--src x: give an IP address or a network"). Strings are borrowed. */
int flow_filter_parse(const struct flow_words *words, struct flow_filter *ret, struct err *reterr);
/* Whether a forward entry is wanted, but for its service. */
bool flow_filter_match(const struct flow_filter *f, const struct flow_entry *e);

/* One of FLOW_STATES. */
const char *flow_state_name(const struct flow_entry *e);
/* One of FLOW_PROTOS, or "". */
const char *flow_proto_name(uint8_t proto);
/* By one of FLOW_SORTS, such that what comes first has the least: the youngest, the last that was seen, the largest. */
uint64_t flow_sort_key(const char *sort, const struct flow_entry *e, const struct flow_entry *reply, uint32_t now);
