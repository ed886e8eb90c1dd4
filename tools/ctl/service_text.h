/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a service: its options, its statistics, what is wrong with it. */
#pragma once

#include "base/strbuf.h"
#include "ctl/endpoints.h"
#include "ctl/view.h"

#define SERVICE_OPTIONS_HELP "hashing, policies, ranges of sources, affinity; see above"
#define SERVICE_OPTIONS_ABOUT                                                                                          \
        "Options: maglev, maglev-inside, maglev-outside: chosen by consistent hashing and not at random, for all "     \
        "clients\n"                                                                                                    \
        "or those of one side; internal-local, external-local: a traffic policy is Local; ranges: clients outside "    \
        "are\n"                                                                                                        \
        "asked for loadBalancerSourceRanges; affinity=Ns: sessionAffinity ClientIP.\n"

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
