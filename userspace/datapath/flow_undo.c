/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/abi/hash.h"
#include "datapath/flow_undo.h"
#include "datapath/flows.h"

int flow_undo_open(struct flow_undo *ret, const struct map *flows)
{
        uint32_t count = map_info(flows)->max_entries;
        void *at = mmap(NULL, (size_t)count * sizeof(struct flow_set), PROT_READ | PROT_WRITE, MAP_SHARED,
                        map_fd(flows), 0);

        if (at == MAP_FAILED)
                return -errno;
        *ret = (struct flow_undo){.sets = at, .count = count};
        return 0;
}

void flow_undo_close(struct flow_undo *u)
{
        if (u->sets)
                munmap(u->sets, (size_t)u->count * sizeof(*u->sets));
        *u = FLOW_UNDO_NULL;
}

static uint32_t read_control(const struct flow_set *set, uint32_t way)
{
        return __atomic_load_n(&set->flow[way].control, __ATOMIC_ACQUIRE);
}

/* A copy of a live entry that nobody changed meanwhile. */
static bool read_entry(const struct flow_set *set, uint32_t way, struct flow *ret, uint32_t *ret_control)
{
        uint32_t control = read_control(set, way);

        if (FLOW_STATUS(control) != FLOW_LIVE)
                return false;
        memcpy(ret, &set->flow[way], sizeof(*ret));
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        *ret_control = control;
        return read_control(set, way) == control;
}

static bool is_old(const struct flow_undo *u, uint32_t index, const struct flow *f, const struct flow_timeouts *t,
                   uint32_t now)
{
        uint32_t seen = flow_last_seen(u->sets, u->count, index, f);

        return now > seen && now - seen > flow_timeout(t, f->key.proto, f->state);
}

bool flow_undo_find(const struct flow_undo *u, const struct tuple *key, const struct flow_timeouts *t, uint32_t now,
                    struct flow_found *ret)
{
        uint32_t n = flow_set_of(tuple_hash(key), u->count);
        struct flow_found f;

        for (uint32_t way = 0; way < FLOW_WAYS; way++) {
                f.index = n * FLOW_WAYS + way;
                if (!read_entry(&u->sets[n], way, &f.flow, &f.control) || memcmp(&f.flow.key, key, sizeof(*key)) != 0 ||
                    is_old(u, f.index, &f.flow, t, now))
                        continue;
                *ret = f;
                return true;
        }
        return false;
}

bool flow_undo_has_room(const struct flow_undo *u, const struct tuple *key, const struct flow_timeouts *t, uint32_t now)
{
        uint32_t n = flow_set_of(tuple_hash(key), u->count);
        const struct flow_set *set = &u->sets[n];

        for (uint32_t way = 0; way < FLOW_WAYS; way++) {
                struct flow f;
                uint32_t control;

                if (FLOW_STATUS(read_control(set, way)) == FLOW_FREE)
                        return true;
                if (read_entry(set, way, &f, &control) && is_old(u, n * FLOW_WAYS + way, &f, t, now))
                        return true;
        }
        return false;
}

/* Without owning the way: its mark stays, and whoever comes there finds that nothing is behind it. */
static bool free_entry(struct flow_set *set, uint32_t way, uint32_t control)
{
        uint32_t freed = FLOW_CONTROL(FLOW_GENERATION(control), FLOW_FREE);

        return __atomic_compare_exchange_n(&set->flow[way].control, &control, freed, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
}

int flow_undo_remove(const struct flow_undo *u, const struct flow_found *found)
{
        uint32_t peer = found->flow.peer;
        struct flow other;
        uint32_t control;
        int freed = free_entry(&u->sets[found->index / FLOW_WAYS], found->index % FLOW_WAYS, found->control);

        if (!freed || peer / FLOW_WAYS >= u->count || peer == found->index)
                return freed;
        if (read_entry(&u->sets[peer / FLOW_WAYS], peer % FLOW_WAYS, &other, &control) && other.peer == found->index)
                freed += free_entry(&u->sets[peer / FLOW_WAYS], peer % FLOW_WAYS, control);
        return freed;
}
