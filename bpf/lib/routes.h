/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where an address is. The map is a trie, of which a look-up costs 35 ns on a node with few prefixes and more with
 * many; so each CPU remembers the last answers, in an array whose element is found by the address. An answer counts
 * until the agent has written into the map (route_epoch), and for a second at most, so that whoever changes the map
 * without saying so is believed, too.
 *
 * The epoch is read before the map: an answer from before a change is never remembered under the epoch after it.
 *
 * Programs of sockets may be interrupted by others on the same CPU (maps.h) and ask the map itself.
 */
#pragma once

#include "addr.h"
#include "clock.h"
#include "maps.h"

static __always_inline const struct route *route_ask(const struct addr *a)
{
        struct route_key key = {.prefixlen = 128, .addr = *a};

        return bpf_map_lookup_elem(&routes, &key);
}

#ifdef SOCKET_PROGRAMS

static __always_inline const struct route *route_find(const struct addr *a)
{
        return route_ask(a);
}

#else

#define ROUTE_ANSWERS 1024 /* remembered by each CPU */

struct route_answer {
        struct addr addr;
        __u32 epoch, second;
        struct route route; /* of type NONE: there is none */
        __u32 pad[3];
};
ABI_ASSERT_SIZE(struct route_answer, 64);

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __type(key, __u32);
        __type(value, struct route_answer);
        __uint(max_entries, ROUTE_ANSWERS);
} route_answers SEC(".maps");

/* The trie's answer, which goes into *ret. */
__noinline int route_learn(struct route_answer *ret, const struct addr *a, __u32 epoch, __u32 second)
{
        const struct route *route;

        if (!ret || !a)
                return 0;
        route = route_ask(a);
        ret->addr = *a;
        ret->epoch = epoch;
        ret->second = second;
        if (route)
                ret->route = *route;
        else
                __builtin_memset(&ret->route, 0, sizeof(ret->route));
        return 0;
}

/* NULL: outside of the cluster. It lasts until the next one is asked for, by the same CPU. */
static __always_inline const struct route *route_find(const struct addr *a)
{
        __u32 slot = (a->w[3] ^ a->w[2] * 0x85ebca6bu ^ a->w[1] * 0xc2b2ae35u ^ a->w[0]) * 0x9e3779b1u >> 22;
        const __u32 *counted = map_single(&route_epoch);
        __u32 epoch = counted ? READ_ONCE(*counted) : 0, second = clock_now();
        struct route_answer *known = bpf_map_lookup_elem(&route_answers, &slot);

        if (!known)
                return NULL;
        if (known->epoch != epoch || known->second != second || !addr_equal(&known->addr, a))
                route_learn(known, a, epoch, second);
        return known->route.type == ROUTE_NONE ? NULL : &known->route;
}

#endif
