/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/diff.h"
#include "base/str.h"
#include "datapath/address.h"

/* What a comparison needs at each step. */
struct diff {
        const struct service_state *old; /* may be NULL */
        struct service_state *now;
        bool doubt;
        int32_t *old_of; /* by new port: the old one, or -1 */
        int32_t *now_of; /* by old port */
        uint8_t *fresh;  /* by new port: bits of the pools that are written anew */
        struct op_list *ops;
};

static void add(struct diff *d, enum op_kind kind, size_t port, size_t index)
{
        struct op_list *l = d->ops;

        if (l->n == l->cap) {
                size_t cap = l->cap ? 2 * l->cap : 32;
                struct op *bigger = arena_alloc(l->arena, cap * sizeof(*bigger));

                if (l->n)
                        memcpy(bigger, l->ops, l->n * sizeof(*bigger));
                l->ops = bigger;
                l->cap = cap;
        }
        l->ops[l->n++] = (struct op){kind, (uint16_t)port, (uint32_t)index};
}

static int32_t find_port(const struct service_state *s, const struct port_state *p)
{
        for (size_t i = 0; s && i < s->nports; i++)
                if (s->ports[i].proto == p->proto && str_eq(s->ports[i].name, p->name))
                        return (int32_t)i;
        return -1;
}

static void match_ports(struct diff *d)
{
        struct arena *a = d->ops->arena;
        size_t nold = d->old ? d->old->nports : 0;

        d->old_of = arena_array(a, int32_t, d->now->nports);
        d->now_of = arena_array(a, int32_t, nold);
        d->fresh = arena_array(a, uint8_t, d->now->nports);
        for (size_t i = 0; i < nold; i++)
                d->now_of[i] = -1;
        for (size_t i = 0; i < d->now->nports; i++) {
                d->old_of[i] = find_port(d->old, &d->now->ports[i]);
                if (d->old_of[i] >= 0)
                        d->now_of[d->old_of[i]] = (int32_t)i;
        }
}

static const struct port_state *old_port(const struct diff *d, size_t port)
{
        return d->old_of[port] < 0 ? NULL : &d->old->ports[d->old_of[port]];
}

/* Pools of its family in which the backend is. */
static uint8_t pools_of(const struct backend_state *b)
{
        uint8_t mask = 0;

        for (unsigned pool = 0; pool < POOLS; pool++)
                if (backend_in_pool(b, pool))
                        mask |= (uint8_t)(1U << pool);
        return mask;
}

/* Goes through two sorted lists at once. Returns the pools whose members differ. */
static uint8_t match_backends(struct diff *d, size_t port)
{
        struct port_state *p = &d->now->ports[port];
        const struct port_state *o = old_port(d, port);
        uint32_t nold = o ? o->nbackends : 0, k = 0;
        uint8_t changed = 0;

        for (uint32_t i = 0; i < p->nbackends; i++) {
                struct backend_state *b = &p->backends[i];
                int order = 1;

                while (k < nold && (order = backend_state_compare(&o->backends[k], b)) < 0)
                        changed |= pools_of(&o->backends[k++]);
                if (k < nold && order == 0) {
                        const struct backend_state *was = &o->backends[k++];

                        b->id = was->id;
                        if (was->scopes != b->scopes || was->weight != b->weight || !was->id)
                                changed |= pools_of(was) | pools_of(b);
                        if (!was->id || was->flags != b->flags || d->doubt)
                                add(d, OP_BACKEND_SET, port, i);
                } else {
                        changed |= pools_of(b);
                        add(d, OP_BACKEND_SET, port, i);
                }
        }
        while (k < nold)
                changed |= pools_of(&o->backends[k++]);
        return changed;
}

static void set_ports(struct diff *d)
{
        for (size_t i = 0; i < d->now->nports; i++) {
                struct port_state *p = &d->now->ports[i];
                const struct port_state *o = old_port(d, i);

                p->id = o ? o->id : 0;
                if (!p->id)
                        add(d, OP_PORT_NEW, i, 0);
                else if (d->doubt || (!*p->name && p->number != o->number))
                        add(d, OP_PORT_RENAME, i, 0);
        }
        for (size_t i = 0; i < d->now->nports; i++)
                d->fresh[i] = match_backends(d, i);
}

static bool has_members(const struct port_state *p, unsigned pool)
{
        for (uint32_t i = 0; i < p->nbackends; i++)
                if (backend_in_pool(&p->backends[i], pool))
                        return true;
        return false;
}

/* A pool stays where it is when its members are the same. One that found no room for its table tries again. */
static void set_pools(struct diff *d)
{
        for (size_t i = 0; i < d->now->nports; i++) {
                struct port_state *p = &d->now->ports[i];
                const struct port_state *o = old_port(d, i);
                uint8_t kept = o && !d->doubt ? o->pools & p->pools & (uint8_t)~o->listed & (uint8_t)~d->fresh[i] : 0;

                d->fresh[i] = p->pools & (uint8_t)~kept;
                for (unsigned pool = 0; pool < POOLS; pool++) {
                        bool empty = !has_members(p, pool);

                        if (kept & 1U << pool && !o->range[pool].size == empty) {
                                p->range[pool] = o->range[pool];
                        } else if (p->pools & 1U << pool) {
                                d->fresh[i] |= (uint8_t)(1U << pool);
                                if (!empty)
                                        add(d, OP_POOL_SET, i, pool);
                        }
                }
        }
}

static bool has_range(const struct service_state *s, const struct svc_range *r)
{
        for (size_t i = 0; s && i < s->nranges; i++)
                if (!svc_range_compare(&s->ranges[i], r))
                        return true;
        return false;
}

static void set_ranges(struct diff *d)
{
        for (size_t k = 0; k < d->now->nranges; k++) {
                bool there = !d->doubt && has_range(d->old, &d->now->ranges[k]);

                for (size_t i = 0; i < d->now->nports; i++)
                        if (!there || !old_port(d, i) || !old_port(d, i)->id)
                                add(d, OP_RANGE_SET, i, k);
        }
}

static bool pool_moved(const struct diff *d, const struct frontend_state *f, uint8_t pool)
{
        return pool != POOL_NONE && d->fresh[f->port] & 1U << pool;
}

static bool frontend_differs(const struct diff *d, const struct frontend_state *f, const struct frontend_state *was)
{
        return d->doubt || was->absent || was->flags != f->flags || was->in != f->in || was->out != f->out ||
               d->old_of[f->port] != (int32_t)was->port || pool_moved(d, f, f->in) || pool_moved(d, f, f->out) ||
               d->old->affinity_s != d->now->affinity_s;
}

static const struct frontend_state *find_frontend(const struct service_state *s, const struct service_key *key)
{
        size_t low = 0, high = s ? s->nfrontends : 0;

        while (low < high) {
                size_t middle = (low + high) / 2;
                int r = service_key_compare(&s->frontends[middle].key, key);

                if (!r)
                        return &s->frontends[middle];
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static void set_frontends(struct diff *d)
{
        for (size_t i = 0; d->old && i < d->old->nfrontends; i++) {
                const struct frontend_state *was = &d->old->frontends[i];

                if (!was->absent && !find_frontend(d->now, &was->key))
                        add(d, OP_FRONTEND_DEL, was->port, i);
        }
        for (size_t i = 0; i < d->now->nfrontends; i++) {
                const struct frontend_state *f = &d->now->frontends[i], *was = find_frontend(d->old, &f->key);

                if (!f->lost && (!was || frontend_differs(d, f, was)))
                        add(d, OP_FRONTEND_SET, f->port, i);
        }
}

static void free_ranges(struct diff *d)
{
        for (size_t k = 0; k < d->old->nranges; k++) {
                bool stays = has_range(d->now, &d->old->ranges[k]);

                for (size_t i = 0; i < d->old->nports; i++)
                        if (d->old->ports[i].id && (!stays || d->now_of[i] < 0))
                                add(d, OP_RANGE_DEL, i, k);
        }
}

static void free_pools(struct diff *d)
{
        for (size_t i = 0; i < d->old->nports; i++)
                for (unsigned pool = 0; pool < POOLS; pool++) {
                        struct slot_range was = d->old->ports[i].range[pool];

                        if (was.size && (d->now_of[i] < 0 || !d->now->ports[d->now_of[i]].range[pool].size))
                                add(d, OP_POOL_FREE, i, pool);
                }
}

static void free_backends(struct diff *d)
{
        for (size_t i = 0; i < d->old->nports; i++) {
                const struct port_state *o = &d->old->ports[i];
                const struct port_state *p = d->now_of[i] < 0 ? NULL : &d->now->ports[d->now_of[i]];
                uint32_t k = 0;

                for (uint32_t j = 0; j < o->nbackends; j++) {
                        int order = 1;

                        while (p && k < p->nbackends &&
                               (order = backend_state_compare(&p->backends[k], &o->backends[j])) < 0)
                                k++;
                        if (o->backends[j].id && (!p || k == p->nbackends || order != 0))
                                add(d, OP_BACKEND_FREE, i, j);
                }
        }
}

void diff_service(const struct service_state *old, struct service_state *now, bool doubt, struct op_list *ret)
{
        struct diff d = {.old = old, .now = now, .doubt = doubt, .ops = ret};

        match_ports(&d);
        set_ports(&d);
        set_pools(&d);
        set_ranges(&d);
        set_frontends(&d);
        if (!old)
                return;
        free_ranges(&d);
        free_pools(&d);
        free_backends(&d);
        for (size_t i = 0; i < old->nports; i++)
                if (old->ports[i].id && d.now_of[i] < 0)
                        add(&d, OP_PORT_FREE, i, 0);
}
