/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include <cmocka.h>

static int by_key(const void *a, const void *b)
{
        const struct flow *const *x = a, *const *y = b;

        return memcmp(&(*x)->key, &(*y)->key, sizeof(struct tuple));
}

static bool has_peer(const struct lab *lab, const struct flow *f, uint32_t index)
{
        const struct flow_set *set = &lab->flows[f->peer / FLOW_WAYS];
        const struct flow *peer = &set->flow[f->peer % FLOW_WAYS];

        return FLOW_STATUS(peer->control) == FLOW_LIVE && peer->peer == index &&
               memcmp(&peer->key.dst, &f->new_src, sizeof(struct addr)) == 0 && peer->key.dport == f->new_sport;
}

size_t table_check(const struct lab *lab)
{
        size_t size = lab->knobs.flow_sets * FLOW_WAYS, n = 0, orphans = 0;
        const struct flow **live = calloc(size, sizeof(*live));

        for (uint32_t i = 0; i < size; i++) {
                const struct flow_set *set = &lab->flows[i / FLOW_WAYS];
                const struct flow *f = &set->flow[i % FLOW_WAYS];

                assert_int_not_equal(FLOW_STATUS(f->control), FLOW_BUSY);
                if (FLOW_STATUS(f->control) != FLOW_LIVE)
                        continue;
                live[n++] = f;
                orphans += !has_peer(lab, f, i);
        }
        qsort(live, n, sizeof(*live), by_key);
        for (size_t i = 1; i < n; i++)
                assert_int_not_equal(by_key(&live[i - 1], &live[i]), 0);
        free(live);
        return orphans;
}

struct flow_counters table_counters(const struct lab *lab)
{
        struct flow_counters values[256], sum = {0};
        uint32_t zero = 0;

        assert_in_range(lab->cpus, 1, 256);
        assert_int_equal(bpf_map_lookup_elem(lab->map[MAP_FLOW_COUNTERS], &zero, values), 0);
        for (int cpu = 0; cpu < lab->cpus; cpu++) {
                sum.inserted += values[cpu].inserted;
                sum.evicted += values[cpu].evicted;
                sum.expired += values[cpu].expired;
                sum.full += values[cpu].full;
                sum.stale += values[cpu].stale;
                sum.port_collisions += values[cpu].port_collisions;
                sum.taken_over += values[cpu].taken_over;
        }
        return sum;
}
