/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/adopt.h"
#include "agent/apply_books.h"
#include "agent/desired.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"

/* One service port by its id, and what belongs to it; the service's other ports follow in a ring-less list. */
struct found_port {
        struct found_port *next; /* of the same service */
        struct port_state port;
        uint32_t backends_cap;
};

struct found_service {
        char *key;
        struct found_port *ports;
        struct frontend_state *frontends;
        uint32_t *frontend_ids; /* the port's id of each */
        struct service *values;
        struct svc_range *ranges;
        uint32_t nfrontends, frontends_cap, nranges, ranges_cap;
        bool doubt;
};

struct adoption {
        struct maps *maps;
        struct apply *apply;
        struct arena arena;
        struct hashmap services; /* key -> struct found_service */
        struct hashmap ports;    /* id -> struct found_port */
        struct hashmap owners;   /* id -> struct found_service */
        struct slot_line *lines; /* of the pool that is read */
        uint32_t lines_cap;
};

#define APPEND(arena, array, n, cap, value)                                                                            \
        do {                                                                                                           \
                if ((n) == (cap)) {                                                                                    \
                        __typeof__(array) _bigger_ =                                                                   \
                                arena_alloc((arena), sizeof(*(array)) * ((cap) ? 2 * (size_t)(cap) : 4));              \
                        if (n)                                                                                         \
                                memcpy(_bigger_, (array), sizeof(*(array)) * (n));                                     \
                        (array) = _bigger_;                                                                            \
                        (cap) = (cap) ? 2 * (cap) : 4;                                                                 \
                }                                                                                                      \
                (array)[(n)++] = (value);                                                                              \
        } while (0)

/* ---- names ---- */

static struct found_service *service_of(struct adoption *ad, const char *key, size_t n)
{
        struct found_service *s = hashmap_get_n(&ad->services, key, n);

        if (s)
                return s;
        s = arena_new(&ad->arena, struct found_service);
        s->key = arena_strndup(&ad->arena, key, n);
        hashmap_put(&ad->services, s->key, s);
        return s;
}

static struct found_port *add_port(struct adoption *ad, uint32_t id, struct found_service *s, const char *name,
                                   uint8_t proto)
{
        struct found_port *p = arena_new(&ad->arena, struct found_port);
        uint16_t number;

        p->port = (struct port_state){.name = name, .id = id, .proto = proto};
        if (!str_has_prefix(s->key, HOST_PORT_PREFIX) && !str_parse_u16(name, &number)) {
                p->port.name = "";
                p->port.number = number;
        }
        p->next = s->ports;
        s->ports = p;
        hashmap_put_u64(&ad->ports, id, p);
        hashmap_put_u64(&ad->owners, id, s);
        return p;
}

/* "namespace/name:port/PROTOCOL" */
static int on_name(void *userdata, const void *key, const void *value)
{
        struct adoption *ad = userdata;
        const struct service_name *n = value;
        const char *colon, *slash;
        uint32_t id;
        int r;

        memcpy(&id, key, sizeof(id));
        if (!*n->name || !memchr(n->name, 0, sizeof(n->name)))
                return 0;
        colon = strrchr(n->name, ':');
        slash = colon ? strchr(colon, '/') : NULL;
        if (!slash || !project_protocol(slash + 1))
                return 0;
        r = apply_adopt_service_id(ad->apply, id);
        if (r)
                return r;
        add_port(ad, id, service_of(ad, n->name, (size_t)(colon - n->name)),
                 arena_strndup(&ad->arena, colon + 1, (size_t)(slash - colon - 1)), project_protocol(slash + 1));
        return 0;
}

/* The port of that id; one that has no name gets a service of its own, which nobody will want. */
static struct found_port *port_of(struct adoption *ad, uint32_t id)
{
        struct found_port *p = hashmap_get_u64(&ad->ports, id);
        char key[32];

        if (p || !id || apply_adopt_service_id(ad->apply, id))
                return p;
        snprintf(key, sizeof(key), "orphan/%u", id);
        return add_port(ad, id, service_of(ad, key, strlen(key)), "orphan", IPPROTO_TCP);
}

/* ---- backends, frontends, source ranges ---- */

static int on_backend(void *userdata, const void *key, const void *value)
{
        struct adoption *ad = userdata;
        const struct backend *b = value;
        struct backend_state state = {.addr = b->addr, .port = b->port, .flags = b->flags, .weight = 1};
        struct found_port *p;

        memcpy(&state.id, key, sizeof(state.id));
        if (!state.id)
                return 0;
        if (!b->service) {
                apply_adopt_generation(ad->apply, b->generation);
                return 0;
        }
        apply_adopt_backend(ad->apply, state.id, b->generation);
        p = port_of(ad, b->service);
        if (p)
                APPEND(&ad->arena, p->port.backends, p->port.nbackends, p->backends_cap, state);
        return 0;
}

static int on_frontend(void *userdata, const void *key, const void *value)
{
        struct adoption *ad = userdata;
        const struct service *v = value;
        struct frontend_state f = {.flags = v->flags & ~(uint32_t)(SERVICE_HASH_IN | SERVICE_HASH_OUT)};
        uint32_t n, cap;
        struct found_service *s;

        memcpy(&f.key, key, sizeof(f.key));
        apply_adopt_frontend(ad->apply, &f.key);
        if (!port_of(ad, v->id)) { /* an id that cannot be: nobody would ever remove it */
                apply_remove_frontend(ad->apply, &f.key);
                return 0;
        }
        s = hashmap_get_u64(&ad->owners, v->id);
        n = s->nfrontends;
        cap = s->frontends_cap;
        APPEND(&ad->arena, s->values, n, cap, *v);
        n = s->nfrontends;
        cap = s->frontends_cap;
        APPEND(&ad->arena, s->frontend_ids, n, cap, v->id);
        APPEND(&ad->arena, s->frontends, s->nfrontends, s->frontends_cap, f);
        return 0;
}

static int on_range(void *userdata, const void *key, const void *value)
{
        struct adoption *ad = userdata;
        struct range_key k;
        struct found_service *s;
        struct svc_range range;

        memcpy(&k, key, sizeof(k));
        range = (struct svc_range){.addr = k.addr, .bits = k.prefixlen - 32};
        apply_adopt_source_range(ad->apply, &k);
        if (!port_of(ad, k.service))
                return 0;
        s = hashmap_get_u64(&ad->owners, k.service);
        s->doubt = true; /* which of the ports have it is not remembered, and they are few */
        for (uint32_t i = 0; i < s->nranges; i++)
                if (!svc_range_compare(&s->ranges[i], &range))
                        return 0;
        APPEND(&ad->arena, s->ranges, s->nranges, s->ranges_cap, range);
        (void)value;
        return 0;
}

/* ---- pools ---- */

static int compare_ids(const void *a, const void *b)
{
        uint32_t x = (*(struct backend_state *const *)a)->id, y = (*(struct backend_state *const *)b)->id;

        return x < y ? -1 : x > y;
}

struct by_id {
        struct backend_state **b;
        uint32_t n;
};

static struct by_id sort_by_id(struct adoption *ad, struct port_state *p)
{
        struct by_id ids = {arena_array(&ad->arena, struct backend_state *, p->nbackends), p->nbackends};

        for (uint32_t i = 0; i < p->nbackends; i++)
                ids.b[i] = &p->backends[i];
        if (ids.n)
                qsort(ids.b, ids.n, sizeof(*ids.b), compare_ids);
        return ids;
}

static struct backend_state *find_id(const struct by_id *ids, uint32_t id)
{
        struct backend_state want = {.id = id}, *p = &want, **found;

        found = ids->n ? bsearch(&p, ids->b, ids->n, sizeof(*ids->b), compare_ids) : NULL;
        return found ? *found : NULL;
}

static struct slot_line *grow_lines(struct adoption *ad, uint32_t n)
{
        if (n > ad->lines_cap) {
                ad->lines = mem_realloc(ad->lines, n, sizeof(*ad->lines));
                ad->lines_cap = n;
        }
        return ad->lines;
}

/* Who is in the slots of the range is in the pool. False when something else is there. */
static bool read_members(struct adoption *ad, const struct by_id *ids, unsigned pool, struct slot_range range)
{
        uint8_t scope = pool & POOL_LOCAL ? SCOPE_LOCAL : SCOPE_CLUSTER;
        struct slot_range lines = apply_lines_of(range);
        struct slot_line *values = grow_lines(ad, lines.size);

        if (!range.size)
                return true;
        if (map_read(ad->maps->m[MAP_SLOTS], lines.base, lines.size, values))
                return false;
        for (uint32_t i = 0; i < range.size; i++) {
                struct backend_state *b = find_id(ids, values[i / SLOT_LINE].backend[i % SLOT_LINE]);

                if (!b)
                        return false;
                b->scopes |= scope;
        }
        return true;
}

static bool same_range(struct slot_range a, struct slot_range b)
{
        return a.base == b.base && a.size == b.size;
}

/* A second range for a pool: half of its frontends had been turned. It lies with a pool that is not there, to be freed
 * with the others. */
static void add_spare_range(struct port_state *p, struct slot_range range)
{
        for (unsigned pool = 0; pool < POOLS; pool++)
                if (p->range[pool].size && p->range[pool].base == range.base)
                        return;
        for (unsigned pool = 0; pool < POOLS; pool++)
                if (!(p->pools & 1U << pool) && !p->range[pool].size) {
                        p->range[pool] = range;
                        return;
                }
}

static uint8_t add_pool(struct adoption *ad, struct found_service *s, struct port_state *p, unsigned pool,
                        struct slot_range range)
{
        bool known = p->pools & 1U << pool;

        if (known && same_range(p->range[pool], range))
                return (uint8_t)pool;
        if (apply_adopt_range(ad->apply, range))
                s->doubt = true;
        if (known) {
                s->doubt = true;
                add_spare_range(p, range);
                return (uint8_t)pool;
        }
        p->pools |= (uint8_t)(1U << pool);
        p->range[pool] = range;
        return (uint8_t)pool;
}

static void add_pools(struct adoption *ad, struct found_service *s, uint32_t i)
{
        struct frontend_state *f = &s->frontends[i];
        const struct service *v = &s->values[i];
        struct found_port *p = hashmap_get_u64(&ad->ports, v->id);
        bool v4 = f->key.addr.w[0] == 0 && f->key.addr.w[1] == 0 && f->key.addr.w[2] == htonl(0xffff);
        bool external = f->flags & SERVICE_EXTERNAL, host_port = f->flags & SERVICE_HOSTPORT;
        unsigned in = v4 ? 0 : POOL_V6, out = in;

        f->in = f->out = POOL_NONE;
        if (f->flags & SERVICE_ADDRESS)
                return;
        in |= (v->flags & SERVICE_HASH_IN ? POOL_HASH : 0) | (!external && f->flags & SERVICE_DROP_IN ? POOL_LOCAL : 0);
        out |= (v->flags & SERVICE_HASH_OUT ? POOL_HASH : 0) |
               (!host_port && f->flags & SERVICE_LOCAL_OUT ? POOL_LOCAL : 0);
        f->in = add_pool(ad, s, &p->port, in, v->in);
        if (external)
                f->out = add_pool(ad, s, &p->port, out, v->out);
}

static int compare_backends(const void *a, const void *b)
{
        const struct backend_state *x = a, *y = b;
        int r = backend_state_compare(x, y);

        return r ? r : (int)y->scopes - (int)x->scopes;
}

/* Twice the same endpoint: of the second, which is in no pool, the id is free. */
static void sort_backends(struct adoption *ad, struct found_service *s, struct port_state *p)
{
        uint32_t n = 0;

        if (p->nbackends)
                qsort(p->backends, p->nbackends, sizeof(*p->backends), compare_backends);
        for (uint32_t i = 0; i < p->nbackends; i++) {
                if (!n || backend_state_compare(&p->backends[n - 1], &p->backends[i]))
                        p->backends[n++] = p->backends[i];
                else if (!p->backends[i].scopes)
                        apply_free_backend(ad->apply, p->backends[i].id);
                else
                        s->doubt = true;
        }
        p->nbackends = n;
}

static void finish_port(struct adoption *ad, struct found_service *s, struct port_state *p)
{
        struct by_id ids = sort_by_id(ad, p);

        for (unsigned pool = 0; pool < POOLS; pool++)
                if (p->pools & 1U << pool && !read_members(ad, &ids, pool, p->range[pool]))
                        s->doubt = true;
        sort_backends(ad, s, p);
}

/* ---- services ---- */

static int compare_frontends(const void *a, const void *b)
{
        return service_key_compare(&((const struct frontend_state *)a)->key, &((const struct frontend_state *)b)->key);
}

static int compare_ranges(const void *a, const void *b)
{
        return svc_range_compare(a, b);
}

static struct service_state *make_state(struct adoption *ad, struct found_service *s)
{
        struct service_state state = {.key = s->key, .frontends = s->frontends, .ranges = s->ranges};
        struct hashmap index;

        for (struct found_port *p = s->ports; p; p = p->next)
                state.nports++;
        state.ports = arena_array(&ad->arena, struct port_state, state.nports);
        hashmap_init(&index, HASHMAP_U64);
        state.nports = 0;
        for (struct found_port *p = s->ports; p; p = p->next) {
                hashmap_put_u64(&index, p->port.id, &state.ports[state.nports]);
                state.ports[state.nports++] = p->port;
        }
        for (uint32_t i = 0; i < s->nfrontends; i++) {
                struct port_state *p = hashmap_get_u64(&index, s->frontend_ids[i]);

                s->frontends[i].port = (uint16_t)(p - state.ports);
                state.affinity_s = MAX(state.affinity_s, s->values[i].affinity_s);
        }
        hashmap_deinit(&index);
        state.nfrontends = (uint16_t)s->nfrontends;
        state.nranges = (uint16_t)s->nranges;
        if (state.nfrontends)
                qsort(state.frontends, state.nfrontends, sizeof(*state.frontends), compare_frontends);
        if (state.nranges)
                qsort(state.ranges, state.nranges, sizeof(*state.ranges), compare_ranges);
        return service_state_pack(&state);
}

static int read_maps(struct adoption *ad)
{
        struct map *const *m = ad->maps->m;
        int r = 0;

        if (ad->maps->fresh)
                return 0;
        r = map_each(m[MAP_SERVICE_NAMES], on_name, ad);
        if (!r)
                r = map_each(m[MAP_BACKENDS], on_backend, ad);
        if (!r)
                r = map_each(m[MAP_SERVICES], on_frontend, ad);
        return r ? r : map_each(m[MAP_SOURCE_RANGES], on_range, ad);
}

int adopt_services(struct maps *maps, struct apply *apply,
                   void (*found)(void *userdata, struct service_state *state, bool doubt), void *userdata,
                   struct err *reterr)
{
        struct adoption ad = {.maps = maps, .apply = apply};
        int r;

        hashmap_init(&ad.services, HASHMAP_STR);
        hashmap_init(&ad.ports, HASHMAP_U64);
        hashmap_init(&ad.owners, HASHMAP_U64);
        r = read_maps(&ad);
        hashmap_foreach (&ad.services, slot) {
                struct found_service *s = slot->value;

                if (r)
                        break;
                for (uint32_t i = 0; i < s->nfrontends; i++)
                        add_pools(&ad, s, i);
                for (struct found_port *p = s->ports; p; p = p->next)
                        finish_port(&ad, s, &p->port);
                found(userdata, make_state(&ad, s), s->doubt);
        }
        if (!r)
                r = apply_adopted(apply);
        hashmap_deinit(&ad.services);
        hashmap_deinit(&ad.ports);
        hashmap_deinit(&ad.owners);
        free(ad.lines);
        arena_deinit(&ad.arena);
        return r ? err_set(reterr, r, "the pinned maps of services cannot be read: %s", strerror(-r)) : 0;
}
