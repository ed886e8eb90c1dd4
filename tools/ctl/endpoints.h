/* SPDX-License-Identifier: Apache-2.0 */
/* Frontends and endpoints as the maps have them, and which endpoint gets which share of new connections. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/maps.h"
#include "ctl/service_names.h"
#include "ctl/view.h"

struct frontend {
        struct service_key key;
        struct service service;
        uint32_t inside, outside; /* different endpoints in its two ranges */
};

struct endpoint {
        uint32_t id;
        struct backend backend;
        uint32_t slots_in, slots_of_in; /* its slots for clients inside, of how many; zeros: it is in no such range */
        uint32_t slots_out, slots_of_out;
};

struct endpoints {
        struct frontend *frontends; /* sorted by the service's name, then by key; without SERVICE_ADDRESS */
        size_t frontends_n;
        struct endpoint *items; /* sorted by the service's name, then by address */
        size_t count;
};

#define ENDPOINTS_NULL ((struct endpoints){0})

/* wanted: NULL for all. 0 or negative errno. */
int endpoints_read(struct view *v, const struct service_ids *wanted, struct endpoints *ret);
void endpoints_deinit(struct endpoints *e);

/* Is it reachable from outside of the cluster? Else its range for clients outside is of no use. */
static inline bool frontend_is_external(const struct frontend *f)
{
        return f->service.flags & (SERVICE_EXTERNAL | SERVICE_HOSTPORT);
}

/* "clusterip", "nodeport", "external" or "hostport". */
const char *frontend_type(const struct frontend *f);
/* "serving", "terminating" or "drained". */
const char *endpoint_state(const struct endpoint *e);
/* "local" (a pod of this node), "host" (this node's own network) or "remote". */
const char *endpoint_where(const struct endpoint *e);
