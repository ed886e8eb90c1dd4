/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of desired.c: the endpoints of one service port, and which of them serve whom. */
#pragma once

#include "agent/desired.h"

struct pool_facts {
        bool any[2]; /* of each family (v4, v6): there are endpoints that could serve, wherever */
};

/* Sets name, number, proto, flags and backends of *ret; not its pools. */
void desired_pools(const struct svc_view *svc, uint16_t port, const struct slice_view *const *slices, size_t nslices,
                   const struct desired_env *env, struct arena *arena, struct port_state *ret,
                   struct pool_facts *ret_facts);
