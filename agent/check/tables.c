/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/check/tables.h"
#include "agent/state.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "bpf/abi/maps.h"
#include "datapath/address.h"

#define NAMED 3 /* endpoints of one kind in one finding */

/* One side's tables, as they were read. */
struct side {
        const struct maps *maps;
        struct arena arena;
        const char **names; /* by service id; NULL: none */
        uint32_t names_n;
        struct backend *backends; /* by id */
        uint32_t backends_n;
        struct hashmap frontends; /* service_key -> struct service */
        struct hashmap ranges;    /* "name prefix" -> struct range_key */
};

/* ---- reading ---- */

static int on_name(void *userdata, const void *key, const void *value)
{
        struct side *s = userdata;
        const struct service_name *name = value;
        uint32_t id;

        memcpy(&id, key, sizeof(id));
        if (id < s->names_n && *name->name)
                s->names[id] = arena_strndup(&s->arena, name->name, strnlen(name->name, sizeof(name->name)));
        return 0;
}

static int on_backend(void *userdata, const void *key, const void *value)
{
        struct side *s = userdata;
        uint32_t id;

        memcpy(&id, key, sizeof(id));
        if (id < s->backends_n)
                memcpy(&s->backends[id], value, sizeof(*s->backends));
        return 0;
}

static int on_frontend(void *userdata, const void *key, const void *value)
{
        struct side *s = userdata;
        struct service *v = arena_new(&s->arena, struct service);

        memcpy(v, value, sizeof(*v));
        hashmap_put_n(&s->frontends, key, sizeof(struct service_key), v);
        return 0;
}

static const char *name_of(const struct side *s, uint32_t id)
{
        return id < s->names_n && s->names[id] ? s->names[id] : "a service port without a name";
}

static int on_range(void *userdata, const void *key, const void *value)
{
        struct side *s = userdata;
        struct range_key k;
        char text[ADDRESS_TEXT];

        memcpy(&k, key, sizeof(k));
        hashmap_put(&s->ranges,
                    arena_printf(&s->arena, "%s %s", name_of(s, k.service),
                                 address_cidr_text(&k.addr, k.prefixlen - 32, text)),
                    s);
        (void)value;
        return 0;
}

static int side_read(struct side *s, const struct maps *maps)
{
        struct map *const *m = maps->m;
        int r;

        *s = (struct side){.maps = maps,
                           .names_n = map_info(m[MAP_SERVICE_NAMES])->max_entries,
                           .backends_n = map_info(m[MAP_BACKENDS])->max_entries};
        hashmap_init(&s->frontends, HASHMAP_STR_OWNED);
        hashmap_init(&s->ranges, HASHMAP_STR);
        s->names = calloc(s->names_n, sizeof(*s->names)); /* untouched pages cost nothing */
        s->backends = calloc(s->backends_n, sizeof(*s->backends));
        if (!s->names || !s->backends)
                return -ENOMEM;
        r = map_each(m[MAP_SERVICE_NAMES], on_name, s);
        if (!r)
                r = map_each(m[MAP_BACKENDS], on_backend, s);
        if (!r)
                r = map_each(m[MAP_SERVICES], on_frontend, s);
        return r ? r : map_each(m[MAP_SOURCE_RANGES], on_range, s);
}

static void side_deinit(struct side *s)
{
        hashmap_deinit(&s->frontends);
        hashmap_deinit(&s->ranges);
        free(s->names);
        free(s->backends);
        arena_deinit(&s->arena);
}

/* ---- words ---- */

static bool is_any(const struct addr *a)
{
        return address_is_zero(a) || (address_is_v4(a) && !a->w[3]);
}

/* "default/web:http/TCP at 10.96.0.10:80" */
static const char *frontend_text(const struct side *s, const struct hashmap_slot *slot, struct arena *arena)
{
        const struct service *v = slot->value;
        struct service_key key;
        char text[ADDRESS_TEXT];

        memcpy(&key, slot->key.str, sizeof(key));
        if (!key.port)
                return arena_printf(arena, "%s, address %s", name_of(s, v->id), address_text(&key.addr, text));
        if (is_any(&key.addr))
                return arena_printf(arena, "%s at IPv%d port %u of the node", name_of(s, v->id),
                                    address_is_v4(&key.addr) ? 4 : 6, ntohs(key.port));
        return arena_printf(arena, "%s at %s", name_of(s, v->id), address_port_text(&key.addr, key.port, text));
}

static const char *flags_text(uint32_t flags, struct arena *arena)
{
        static const char *const names[] = {"address",       "hash inside", "hash outside", "drop inside",
                                            "drop outside",  "affinity",    "ranges",       "external",
                                            "local outside", "DSR",         "hostPort"};
        struct strbuf b = STRBUF_NULL;
        const char *ret;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (flags >> i & 1)
                        strbuf_printf(&b, "%s%s", b.len ? ", " : "", names[i]);
        ret = arena_strdup(arena, b.len ? b.data : "none");
        strbuf_deinit(&b);
        return ret;
}

/* ---- endpoints of a range ---- */

static int compare_endpoints(const struct backend *a, const struct backend *b)
{
        int r = memcmp(&a->addr, &b->addr, sizeof(a->addr));

        if (!r)
                r = (int)ntohs(a->port) - (int)ntohs(b->port);
        return r ? r : (int)a->flags - (int)b->flags;
}

static int compare_pointers(const void *a, const void *b)
{
        return compare_endpoints(*(const struct backend *const *)a, *(const struct backend *const *)b);
}

/* In the slots' order. A slot that holds no backend of the service port, or cannot be, holds `nobody`. */
static const struct backend **read_range(const struct side *s, const struct service *v, struct slot_range range,
                                         struct arena *arena)
{
        static const struct backend nobody;
        const struct backend **ret = arena_array(arena, const struct backend *, range.size + 1);
        struct slot_line line = {0};

        for (uint32_t i = 0; i < range.size; i++) {
                uint32_t slot = range.base + i, at = slot / SLOT_LINE, id;

                if ((!i || slot % SLOT_LINE == 0) && map_lookup(s->maps->m[MAP_SLOTS], &at, &line))
                        memset(&line, 0, sizeof(line));
                id = line.backend[slot % SLOT_LINE];
                ret[i] = id && id < s->backends_n && s->backends[id].service == v->id ? &s->backends[id] : &nobody;
        }
        return ret;
}

static uint32_t unique(const struct backend **list, uint32_t n)
{
        uint32_t k = 0;

        for (uint32_t i = 0; i < n; i++)
                if (!k || compare_endpoints(list[k - 1], list[i]))
                        list[k++] = list[i];
        return k;
}

struct gaps {
        struct strbuf text;
        uint32_t n;
};

static void gap(struct gaps *g, const struct backend *b)
{
        char text[ADDRESS_TEXT];

        if (g->n++ >= NAMED)
                return;
        strbuf_printf(&g->text, "%s%s%s", g->n > 1 ? ", " : "",
                      b->service ? address_port_text(&b->addr, b->port, text) : "nobody",
                      b->flags & BACKEND_TERMINATING ? " (terminating)" : "");
}

static const char *gap_text(struct gaps *g, const char *what, struct arena *arena)
{
        const char *ret = "";

        if (g->n > NAMED)
                strbuf_printf(&g->text, " and %u more", g->n - NAMED);
        if (g->n)
                ret = arena_printf(arena, "%s: %s", what, g->text.data);
        strbuf_deinit(&g->text);
        return ret;
}

/* NULL: the same. Sorts both. */
static const char *members_differ(const struct backend **have, uint32_t nhave, const struct backend **want,
                                  uint32_t nwant, struct arena *arena)
{
        struct gaps missing = {0}, extra = {0};
        const char *lacks, *spare;
        uint32_t i = 0, k = 0;

        nhave = unique(have, nhave);
        nwant = unique(want, nwant);
        while (i < nhave || k < nwant) {
                int order = i == nhave ? 1 : k == nwant ? -1 : compare_endpoints(have[i], want[k]);

                if (order < 0)
                        gap(&extra, have[i]);
                else if (order > 0)
                        gap(&missing, want[k]);
                i += order <= 0;
                k += order >= 0;
        }
        lacks = gap_text(&missing, "missing", arena);
        spare = gap_text(&extra, "too much", arena);
        if (!*lacks && !*spare)
                return NULL;
        return arena_printf(arena, "%s%s%s", lacks, *lacks && *spare ? "; " : "", spare);
}

static bool same_lists(const struct backend **a, uint32_t na, const struct backend **b, uint32_t nb)
{
        for (uint32_t i = 0; na == nb && i < na; i++)
                if (compare_endpoints(a[i], b[i]))
                        return false;
        return na == nb;
}

struct pair {
        const struct side *have, *want;
        struct findings *ret;
        struct check_counts *counts;
};

static void compare_range(const struct pair *p, const char *object, const char *who, const struct service *h,
                          struct slot_range hr, const struct service *w, struct slot_range wr, bool table)
{
        struct arena arena = ARENA_NULL;
        const struct backend **have, **want;
        const char *text;
        bool in_order;

        if (hr.size > map_info(p->have->maps->m[MAP_SLOTS])->max_entries * SLOT_LINE) {
                findings_add(p->ret, "services", object, "for clients %s %u slots, more than there are", who, hr.size);
                return;
        }
        have = read_range(p->have, h, hr, &arena);
        want = read_range(p->want, w, wr, &arena);
        in_order = same_lists(have, hr.size, want, wr.size);
        qsort(have, hr.size, sizeof(*have), compare_pointers);
        qsort(want, wr.size, sizeof(*want), compare_pointers);
        if (in_order || (!table && same_lists(have, hr.size, want, wr.size))) {
                arena_deinit(&arena);
                return;
        }
        text = members_differ(have, hr.size, want, wr.size, &arena);
        findings_add(p->ret, "slots", object, "endpoints for clients %s: %s", who,
                     text ? text : "the right ones, in another number or order");
        arena_deinit(&arena);
}

static void compare_frontend(const struct pair *p, const char *object, const struct service *h, const struct service *w)
{
        struct arena arena = ARENA_NULL;

        if (strcmp(name_of(p->have, h->id), name_of(p->want, w->id)) != 0)
                findings_add(p->ret, "services", object, "belongs to %s", name_of(p->have, h->id));
        if (h->flags != w->flags)
                findings_add(p->ret, "services", object, "flags are %s; should be %s", flags_text(h->flags, &arena),
                             flags_text(w->flags, &arena));
        if (h->affinity_s != w->affinity_s)
                findings_add(p->ret, "services", object, "session affinity is %u s; should be %u s", h->affinity_s,
                             w->affinity_s);
        compare_range(p, object, "inside", h, h->in, w, w->in, w->flags & SERVICE_HASH_IN);
        compare_range(p, object, "outside", h, h->out, w, w->out, w->flags & SERVICE_HASH_OUT);
        arena_deinit(&arena);
}

static void compare_frontends(const struct pair *p)
{
        struct arena arena = ARENA_NULL;

        hashmap_foreach (&p->want->frontends, slot) {
                const struct service *w = slot->value, *h;
                const char *object = frontend_text(p->want, slot, &arena);

                h = hashmap_get_n(&p->have->frontends, slot->key.str, slot->len);
                p->counts->frontends++;
                if (h)
                        compare_frontend(p, object, h, w);
                else
                        findings_add(p->ret, "services", object, "missing");
        }
        hashmap_foreach (&p->have->frontends, slot)
                if (!hashmap_get_n(&p->want->frontends, slot->key.str, slot->len))
                        findings_add(p->ret, "services", frontend_text(p->have, slot, &arena), "should not be there");
        arena_deinit(&arena);
}

/* ---- backends: those in slots were compared there; here it is about those that only keep their connections ---- */

static const char *endpoint_key(const struct side *s, const struct backend *b, struct arena *arena)
{
        char text[ADDRESS_TEXT];

        return arena_printf(arena, "%s endpoint %s", name_of(s, b->service),
                            address_port_text(&b->addr, b->port, text));
}

static void index_endpoints(struct hashmap *ret, const struct side *s, struct arena *arena)
{
        hashmap_init(ret, HASHMAP_STR);
        for (uint32_t id = 1; id < s->backends_n; id++)
                if (s->backends[id].service)
                        hashmap_put(ret, endpoint_key(s, &s->backends[id], arena), &s->backends[id]);
}

static void compare_endpoints_of(const struct pair *p)
{
        struct arena arena = ARENA_NULL;
        struct hashmap have, want;

        index_endpoints(&have, p->have, &arena);
        index_endpoints(&want, p->want, &arena);
        p->counts->endpoints = want.count;
        hashmap_foreach (&want, slot)
                if (!hashmap_get(&have, slot->key.str))
                        findings_add(p->ret, "backends", slot->key.str, "missing");
        hashmap_foreach (&have, slot)
                if (!hashmap_get(&want, slot->key.str))
                        findings_add(p->ret, "backends", slot->key.str, "should not be there");
        hashmap_deinit(&have);
        hashmap_deinit(&want);
        arena_deinit(&arena);
}

/* ---- source ranges and filters ---- */

static void compare_ranges(const struct pair *p)
{
        hashmap_foreach (&p->want->ranges, slot)
                if (!hashmap_get(&p->have->ranges, slot->key.str))
                        findings_add(p->ret, "source_ranges", slot->key.str, "missing");
        hashmap_foreach (&p->have->ranges, slot)
                if (!hashmap_get(&p->want->ranges, slot->key.str))
                        findings_add(p->ret, "source_ranges", slot->key.str, "should not be there");
}

static int compare_filters(const struct pair *p)
{
        _cleanup_free_ __u64 *have = mem_alloc(sizeof(struct filters)), *want = mem_alloc(sizeof(struct filters));
        const uint32_t zero = 0;
        uint32_t missing = 0, spare = 0;
        int r = map_lookup(p->have->maps->m[MAP_FILTERS], &zero, have);

        if (!r)
                r = map_lookup(p->want->maps->m[MAP_FILTERS], &zero, want);
        for (size_t i = 0; !r && i < sizeof(struct filters) / sizeof(*have); i++) {
                missing += (uint32_t)__builtin_popcountll(want[i] & ~have[i]);
                spare += (uint32_t)__builtin_popcountll(have[i] & ~want[i]);
        }
        if (missing)
                findings_add(p->ret, "filters", "addresses and ports of services",
                             "%u bits missing: packets to those services pass by untranslated", missing);
        if (spare)
                findings_add(p->ret, "filters", "addresses and ports of services",
                             "%u bits too much: they only cost time", spare);
        return r;
}

int check_services(const struct maps *have, const struct maps *want, struct findings *ret, struct check_counts *counts)
{
        struct side h, w;
        struct pair p = {.have = &h, .want = &w, .ret = ret, .counts = counts};
        int r = side_read(&h, have), r2 = side_read(&w, want);

        if (!r)
                r = r2;
        if (!r) {
                compare_frontends(&p);
                compare_endpoints_of(&p);
                compare_ranges(&p);
                r = compare_filters(&p);
        }
        side_deinit(&h);
        side_deinit(&w);
        return r;
}
