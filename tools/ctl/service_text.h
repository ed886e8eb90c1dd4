/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a service: its options, its statistics, what is wrong with it. */
#pragma once

#include "base/strbuf.h"
#include "ctl/endpoints.h"
#include "ctl/view.h"

#define SERVICE_OPTIONS_HELP                                                                                           \
        "maglev, maglev-outside: hashing, for all or for clients outside; internal-local, external-local: policies; "  \
        "ranges: loadBalancerSourceRanges; affinity=Ns"

/* "maglev,affinity=60s" or "-"; as JSON an array. Appended. */
void service_options(const struct service *s, bool json, struct strbuf *b);

struct service_sums {
        uint64_t connections, packets, bytes, reply_packets, reply_bytes, refused;
};

/* Zeros when they cannot be read. */
void service_sums_read(const struct view *v, uint32_t id, struct service_sums *ret);

/* Calls fn with each thing that somebody who looks for a fault should know of one service port. Frontends and endpoints
 * are those of the port. */
void service_notes(const struct endpoints *e, uint32_t id, const struct service_sums *sums,
                   void (*fn)(void *userdata, enum tone tone, const char *text), void *userdata);
