/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "ctl/endpoints.h"

struct reading {
        struct view *view;
        const struct service_ids *wanted;
        struct endpoints *to;
        struct hashmap ranges; /* by base: struct slot_use */
};

/* What is known of a range of slots: several frontends may have the same. */
struct slot_use {
        uint32_t size, distinct;
        uint32_t *ids; /* sorted */
};

static bool is_wanted(const struct reading *r, uint32_t service)
{
        return service && (!r->wanted || service_ids_has(r->wanted, service));
}

static int take_frontend(void *userdata, const void *key, const void *value)
{
        struct reading *r = userdata;
        struct endpoints *e = r->to;
        struct frontend f = {0};

        memcpy(&f.key, key, sizeof(f.key));
        memcpy(&f.service, value, sizeof(f.service));
        if (f.service.flags & SERVICE_ADDRESS || !is_wanted(r, f.service.id))
                return 0;
        if ((e->frontends_n & (e->frontends_n - 1)) == 0)
                e->frontends = mem_realloc(e->frontends, MAX(2 * e->frontends_n, (size_t)1), sizeof(f));
        e->frontends[e->frontends_n++] = f;
        return 0;
}

static int take_endpoint(void *userdata, const void *key, const void *value)
{
        struct reading *r = userdata;
        struct endpoints *e = r->to;
        struct endpoint item = {.id = *(const uint32_t *)key};

        memcpy(&item.backend, value, sizeof(item.backend));
        if (!is_wanted(r, item.backend.service))
                return 0;
        if ((e->count & (e->count - 1)) == 0)
                e->items = mem_realloc(e->items, MAX(2 * e->count, (size_t)1), sizeof(item));
        e->items[e->count++] = item;
        return 0;
}

/* ---- slots */

static int compare_numbers(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static const struct slot_use *use_of(struct reading *r, struct slot_range range)
{
        struct slot_use *u = range.size ? hashmap_get_u64(&r->ranges, range.base) : NULL;

        if (u || !range.size)
                return u;
        u = mem_new(struct slot_use);
        hashmap_put_u64(&r->ranges, range.base, u);
        if (view_slots(r->view, range, &u->ids))
                return u;
        u->size = range.size;
        qsort(u->ids, u->size, sizeof(*u->ids), compare_numbers);
        for (uint32_t i = 0; i < u->size; i++)
                u->distinct += u->ids[i] && (i == 0 || u->ids[i] != u->ids[i - 1]);
        return u;
}

static int compare_ids(const void *a, const void *b)
{
        return compare_numbers(&((const struct endpoint *)a)->id, &((const struct endpoint *)b)->id);
}

static struct endpoint *find(struct endpoints *e, uint32_t id)
{
        struct endpoint key = {.id = id};

        return e->count ? bsearch(&key, e->items, e->count, sizeof(key), compare_ids) : NULL;
}

/* Gives each endpoint of a range its number of slots there. */
static void share(struct reading *r, const struct slot_use *u, bool outside)
{
        for (uint32_t i = 0, n; u && i < u->size; i += n) {
                struct endpoint *e = find(r->to, u->ids[i]);

                for (n = 1; i + n < u->size && u->ids[i + n] == u->ids[i]; n++)
                        ;
                if (e && outside) {
                        e->slots_out = n;
                        e->slots_of_out = u->size;
                } else if (e) {
                        e->slots_in = n;
                        e->slots_of_in = u->size;
                }
        }
}

static void count_slots(struct reading *r)
{
        for (size_t i = 0; i < r->to->frontends_n; i++) {
                struct frontend *f = &r->to->frontends[i];
                const struct slot_use *in = use_of(r, f->service.in);
                const struct slot_use *out = frontend_is_external(f) ? use_of(r, f->service.out) : NULL;

                f->inside = in ? in->distinct : 0;
                f->outside = out ? out->distinct : 0;
                share(r, in, false);
                share(r, out, true);
        }
}

/* ---- order */

static int compare_services(struct view *v, uint32_t a, uint32_t b)
{
        return a == b ? 0 : strcmp(view_service_name(v, a), view_service_name(v, b));
}

static int compare_frontends(const void *a, const void *b, void *userdata)
{
        const struct frontend *x = a, *y = b;
        int r = compare_services(userdata, x->service.id, y->service.id);

        return r ? r : memcmp(&x->key, &y->key, sizeof(x->key));
}

static int compare_endpoints(const void *a, const void *b, void *userdata)
{
        const struct endpoint *x = a, *y = b;
        int r = compare_services(userdata, x->backend.service, y->backend.service);

        if (!r)
                r = memcmp(&x->backend.addr, &y->backend.addr, sizeof(x->backend.addr));
        return r ? r : memcmp(&x->backend.port, &y->backend.port, sizeof(x->backend.port));
}

int endpoints_read(struct view *v, const struct service_ids *wanted, struct endpoints *ret)
{
        struct reading reading = {.view = v, .wanted = wanted, .to = ret};
        int r;

        *ret = ENDPOINTS_NULL;
        hashmap_init(&reading.ranges, HASHMAP_U64);
        r = map_each(v->maps.m[MAP_SERVICES], take_frontend, &reading);
        if (!r)
                r = map_each(v->maps.m[MAP_BACKENDS], take_endpoint, &reading); /* by id */
        if (!r)
                count_slots(&reading);
        hashmap_foreach (&reading.ranges, slot) {
                struct slot_use *u = slot->value;

                free(u->ids);
                free(u);
        }
        hashmap_deinit(&reading.ranges);
        if (ret->frontends_n)
                qsort_r(ret->frontends, ret->frontends_n, sizeof(*ret->frontends), compare_frontends, v);
        if (ret->count)
                qsort_r(ret->items, ret->count, sizeof(*ret->items), compare_endpoints, v);
        return r;
}

void endpoints_deinit(struct endpoints *e)
{
        free(e->frontends);
        free(e->items);
        *e = ENDPOINTS_NULL;
}

/* ---- words */

const char *frontend_type(const struct frontend *f)
{
        if (f->service.flags & SERVICE_HOSTPORT)
                return "hostport";
        if (view_is_any(&f->key.addr))
                return "nodeport";
        return f->service.flags & SERVICE_EXTERNAL ? "external" : "clusterip";
}

const char *endpoint_state(const struct endpoint *e)
{
        if (!e->slots_of_in && !e->slots_of_out)
                return "drained";
        return e->backend.flags & BACKEND_TERMINATING ? "terminating" : "serving";
}

const char *endpoint_where(const struct endpoint *e)
{
        if (e->backend.flags & BACKEND_HOST)
                return "host";
        return e->backend.flags & BACKEND_LOCAL ? "local" : "remote";
}
