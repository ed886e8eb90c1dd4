/* SPDX-License-Identifier: Apache-2.0 */
/* Who an address is, and what people call places: SRC and DST of fairctl trace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/abi/maps.h"
#include "ctl/records.h"
#include "ctl/view.h"

enum trace_kind {
        TRACE_POD,        /* of this node */
        TRACE_NODE,       /* this node */
        TRACE_OTHER_NODE, /* */
        TRACE_OTHER_POD,  /* of another node */
        TRACE_SERVICE,    /* in the service CIDR */
        TRACE_ABSENT,     /* in this node's pod CIDR, and no pod has it */
        TRACE_LOOPBACK,   /* whoever speaks to itself */
        TRACE_OUTSIDE,
};

bool trace_is_loopback(const struct addr *a);

struct trace_place {
        enum trace_kind kind;
        struct addr addr;
        struct route route;
        struct pod pod; /* POD */
        char text[256]; /* behind "an address that is": "this node", "outside of the cluster" */
};

/* 0 or negative errno. */
int trace_place_of(const struct view *v, const struct records *records, const struct addr *a, struct trace_place *ret);

/* "web:80", "10.96.0.1:80/tcp", "[fd00::1]:53/udp", "10.0.0.1/icmp". */
struct trace_target {
        char name[SERVICE_NAME_SIZE];
        char port[64]; /* "" when none was given */
        uint8_t proto; /* IPPROTO_TCP when none was given; ICMP for both families */
};

/* 0, or -EINVAL with what would be right. Pure. */
int trace_target_parse(const char *text, struct trace_target *ret, struct err *reterr);

/* What SRC and DST mean. */
struct trace_names {
        struct view *view;
        const struct records *records;
        bool want_v6; /* of names that have both */
};

/* SRC: "client", "node", an address, a pod's name. 0, -ENOENT or -EINVAL with a message. */
int trace_find_source(const struct trace_names *n, const char *text, struct addr *ret, struct err *reterr);
/* DST: "node", an address, a Service's name, a pod's name; and its port. The same results. */
int trace_find_target(const struct trace_names *n, const struct trace_target *target, struct addr *ret,
                      __be16 *ret_port, struct err *reterr);
