/* SPDX-License-Identifier: Apache-2.0 */
/* The attachment records of this node's pods (agent/README.md), as the CNI plugin has written them. */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "bpf/abi/types.h"
#include "ctl/view.h"

struct record {
        struct json_object *json;
        char *pod; /* "namespace/name" */
        uint32_t ifindex;
        struct addr addresses[2];
        size_t addresses_n;
};

struct records {
        struct record *items; /* sorted by pod */
        size_t count;
};

#define RECORDS_NULL ((struct records){0})

/* What can be read of them; none where there is no folder. */
void records_read(const struct view *v, struct records *ret);
void records_deinit(struct records *r);
const struct record *records_by_ifindex(const struct records *r, uint32_t ifindex);
const struct record *records_by_address(const struct records *r, const struct addr *a);
/* "namespace/name", or a name alone, that is of some pod here. */
bool record_is_of(const struct record *r, const char *typed);
