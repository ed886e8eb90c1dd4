/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subsets of an Endpoints object: addresses that have the same ports. Packed the way upstream packs them: each port
 * is in one subset, with all addresses that have it; ports with the same addresses share a subset. In order, so that
 * two can be compared.
 */
#pragma once

#include "controllers/endpoint/service.h"

/* Where an address comes from: .e.ready is whether it is among the ready ones. */
struct subset_address {
        struct slice_endpoint e;
        int64_t since_s;        /* its pod's readiness */
        const int32_t *numbers; /* of the service's ports; -1: it has no such port */
};

struct subset {
        const struct slice_port *ports;
        const struct subset_address **addresses; /* by IP and UID */
        size_t nports, naddresses;
};

struct subsets {
        struct subset *all;
        size_t n;
};

/* all: sorted by this. It must outlive the result. ports NULL: one subset without ports. */
void subsets_pack(struct subsets *ret, struct subset_address *all, size_t n, const struct service_port *ports,
                  size_t nports, struct arena *mem);
/* What an Endpoints object has, in the same order. */
void subsets_read(struct subsets *ret, const struct kobj *endpoints, struct arena *mem);
bool subsets_equal(const struct subsets *a, const struct subsets *b);
/* Leaves max addresses, ready ones first, of each subset its part. Whether there were more. */
bool subsets_truncate(struct subsets *s, size_t max);
/* The caller owns it. */
struct json_object *subsets_json(const struct subsets *s);
