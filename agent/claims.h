/* SPDX-License-Identifier: Apache-2.0 */
/* Who has which frontend: of several services that claim one address and port, the oldest; of equally old ones, the
 * first by name. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hashmap.h"
#include "bpf/abi/maps.h"

struct claimant {
        const char *key; /* "namespace/name" */
        int64_t created_s;
};

struct claims {
        struct hashmap by_key; /* struct service_key -> who claims it, the winner first */
        /* who has lost the key to another, or has won it because another went. */
        void (*lost)(void *userdata, struct claimant *who, const struct service_key *key);
        void (*won)(void *userdata, struct claimant *who, const struct service_key *key);
        void *userdata;
};

void claims_init(struct claims *c);
void claims_deinit(struct claims *c);
/* Claims it, if that has not been done yet; returns who has it now. */
struct claimant *claims_put(struct claims *c, const struct service_key *key, struct claimant *who);
void claims_drop(struct claims *c, const struct service_key *key, struct claimant *who);
