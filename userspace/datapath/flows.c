/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "datapath/flows.h"

#define TRIES 16 /* to copy an entry that changes */

static size_t bytes_of(uint32_t sets)
{
        return (size_t)sets * sizeof(struct flow_set);
}

int flow_reader_open(struct flow_reader *ret, const struct map *flows, struct err *reterr)
{
        uint32_t sets = map_info(flows)->max_entries;
        void *at = mmap(NULL, bytes_of(sets), PROT_READ, MAP_SHARED, map_fd(flows), 0);

        if (at == MAP_FAILED)
                return err_set(reterr, -errno, "the flow table cannot be mapped into memory: %s", strerror(errno));
        *ret = (struct flow_reader){.sets = at, .count = sets};
        return 0;
}

void flow_reader_close(struct flow_reader *r)
{
        if (r->sets)
                munmap((void *)r->sets, bytes_of(r->count));
        *r = FLOW_READER_NULL;
}

static uint32_t control_of(const struct flow *f, int order)
{
        return order == __ATOMIC_ACQUIRE ? __atomic_load_n(&f->control, __ATOMIC_ACQUIRE)
                                         : __atomic_load_n(&f->control, __ATOMIC_RELAXED);
}

static void fill(const struct flow *f, struct flow_entry *ret)
{
        *ret = (struct flow_entry){
                .key = f->key,
                .new_src = f->new_src,
                .new_dst = f->new_dst,
                .new_sport = f->new_sport,
                .new_dport = f->new_dport,
                .backend = f->backend,
                .service = f->service,
                .peer = f->peer,
                .seen = f->seen,
                .created = f->created,
                .flags = f->flags,
                .state = f->state,
                .packets = f->packets,
                .bytes = f->bytes,
        };
}

/* bpf/lib/flow.h, point 2: a copy is whole when the control word is the same live one before and after. */
static bool read_way(const struct flow_set *set, uint32_t way, struct flow_entry *ret)
{
        const struct flow *f = &set->flow[way];

        for (int i = 0; i < TRIES; i++) {
                uint32_t before = control_of(f, __ATOMIC_ACQUIRE);

                if (FLOW_STATUS(before) != FLOW_LIVE)
                        return false;
                fill(f, ret);
                __atomic_thread_fence(__ATOMIC_ACQUIRE);
                if (control_of(f, __ATOMIC_RELAXED) == before)
                        return true;
        }
        return false;
}

uint32_t flow_last_seen(const struct flow_set *sets, uint32_t count, uint32_t index, const struct flow *f)
{
        uint32_t seen = f->seen, peer = f->peer;
        const struct flow *other;

        if (peer / FLOW_WAYS >= count || peer == index)
                return seen;
        other = &sets[peer / FLOW_WAYS].flow[peer % FLOW_WAYS];
        if (FLOW_STATUS(control_of(other, __ATOMIC_ACQUIRE)) != FLOW_LIVE || other->peer != index)
                return seen;
        return (int32_t)(other->seen - seen) > 0 ? other->seen : seen;
}

bool flow_reader_get(const struct flow_reader *r, uint32_t index, struct flow_entry *ret)
{
        struct flow f;

        if (index >= flow_reader_size(r) || !read_way(&r->sets[index / FLOW_WAYS], index % FLOW_WAYS, ret))
                return false;
        f = (struct flow){.seen = ret->seen, .peer = ret->peer};
        ret->seen = flow_last_seen(r->sets, r->count, index, &f);
        return true;
}

bool flow_reader_next(const struct flow_reader *r, uint32_t *index, struct flow_entry *ret)
{
        for (uint32_t i = *index; i < flow_reader_size(r); i++)
                if (flow_reader_get(r, i, ret)) {
                        *index = i;
                        return true;
                }
        return false;
}

bool flow_reader_peer(const struct flow_reader *r, uint32_t index, const struct flow_entry *e, struct flow_entry *ret)
{
        return flow_reader_get(r, e->peer, ret) && ret->peer == index &&
               (ret->flags & FLOW_REPLY) != (e->flags & FLOW_REPLY);
}

uint32_t flow_now(void)
{
        return (uint32_t)(clock_mono_ms() / 1000);
}

uint32_t flow_timeout(const struct flow_timeouts *t, uint8_t proto, uint8_t state)
{
        if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
                return t->icmp;
        if (proto != IPPROTO_TCP)
                return state & FLOW_SEEN_REPLY ? t->udp_stream : t->udp;
        if (state & FLOW_RST || (state & FLOW_FIN && state & FLOW_FIN_REPLY))
                return t->tcp_closing;
        return state & FLOW_ESTABLISHED ? t->tcp_established : t->tcp_syn;
}

/* A torn reading counts one entry wrongly at worst: it is not copied. */
static bool is_used(const struct flow_reader *r, uint32_t index, const struct flow_timeouts *t, uint32_t now)
{
        const struct flow *f = &r->sets[index / FLOW_WAYS].flow[index % FLOW_WAYS];
        uint32_t seen = f->seen, timeout = flow_timeout(t, f->key.proto, f->state);

        if (now > seen && now - seen > timeout)
                seen = flow_last_seen(r->sets, r->count, index, f);
        return now <= seen || now - seen <= timeout;
}

void flow_census(const struct flow_reader *r, const struct flow_timeouts *t, uint32_t now, struct flow_census *ret)
{
        *ret = (struct flow_census){.size = flow_reader_size(r), .sets = r->count};
        for (uint32_t i = 0; i < r->count; i++) {
                const struct flow_set *set = &r->sets[i];
                uint32_t used = 0;

                for (uint32_t way = 0; way < FLOW_WAYS; way++) {
                        if (FLOW_STATUS(control_of(&set->flow[way], __ATOMIC_RELAXED)) != FLOW_LIVE)
                                continue;
                        if (!is_used(r, i * FLOW_WAYS + way, t, now)) {
                                ret->over++;
                                continue;
                        }
                        used++;
                        ret->connections += !(set->flow[way].flags & FLOW_REPLY);
                }
                ret->used += used;
                ret->full_sets += used == FLOW_WAYS;
        }
}
