/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of requests (KEP-753 for sidecars, KEP-2837 for pod-level resources, KEP-1287 for resizing).
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/quantity.h"
#include "scheduler/model/resources.h"

void resources_deinit(struct resources *r)
{
        free(r->others);
        *r = RESOURCES_NULL;
}

int64_t resources_other(const struct resources *r, const struct atom *name)
{
        for (uint32_t i = 0; i < r->nothers; i++)
                if (r->others[i].name == name)
                        return r->others[i].value;
        return 0;
}

static int64_t *other(struct resources *r, const struct atom *name)
{
        for (uint32_t i = 0; i < r->nothers; i++)
                if (r->others[i].name == name)
                        return &r->others[i].value;
        if (r->nothers == r->cap) {
                r->cap = r->cap ? r->cap * 2 : 4;
                r->others = mem_realloc(r->others, r->cap, sizeof(*r->others));
        }
        r->others[r->nothers] = (struct amount){.name = name};
        return &r->others[r->nothers++].value;
}

static void forget_zero(struct resources *r)
{
        for (uint32_t i = r->nothers; i-- > 0;)
                if (!r->others[i].value)
                        r->others[i] = r->others[--r->nothers];
}

/* What is added comes off again to the last unit, even if somebody has put more on a node than can be counted. */
static void add_times(int64_t *sum, int64_t value, int64_t times)
{
        *sum = (int64_t)((uint64_t)*sum + (uint64_t)value * (uint64_t)times);
}

void resources_add(struct resources *a, const struct resources *b, int64_t times)
{
        add_times(&a->milli_cpu, b->milli_cpu, times);
        add_times(&a->memory, b->memory, times);
        add_times(&a->ephemeral, b->ephemeral, times);
        for (uint32_t i = 0; i < b->nothers; i++)
                add_times(other(a, b->others[i].name), b->others[i].value, times);
        if (times < 0)
                forget_zero(a); /* the atoms may go with their last pod */
}

void resources_max(struct resources *a, const struct resources *b)
{
        a->milli_cpu = MAX(a->milli_cpu, b->milli_cpu);
        a->memory = MAX(a->memory, b->memory);
        a->ephemeral = MAX(a->ephemeral, b->ephemeral);
        for (uint32_t i = 0; i < b->nothers; i++) {
                int64_t *mine = other(a, b->others[i].name);

                *mine = MAX(*mine, b->others[i].value);
        }
}

/* Which resources are neither of the fields nor of the list: only these names have a meaning for pods. */
static bool is_other(const char *name)
{
        return strchr(name, '/') || str_has_prefix(name, "hugepages-") || str_has_prefix(name, "attachable-volumes-");
}

static int64_t clamp(int64_t amount)
{
        return MAX(0, MIN(amount, AMOUNT_MAX));
}

static void add_quantity(struct atom_pool *p, struct resources *r, const char *name, const struct quantity *q,
                         int64_t *ret_pods)
{
        if (str_eq(name, "cpu"))
                r->milli_cpu = clamp(quantity_milli(q));
        else if (str_eq(name, "memory"))
                r->memory = clamp(quantity_value(q));
        else if (str_eq(name, "ephemeral-storage"))
                r->ephemeral = clamp(quantity_value(q));
        else if (str_eq(name, "pods") && ret_pods)
                *ret_pods = clamp(quantity_value(q));
        else if (is_other(name))
                *other(r, atom_pool_get(p, name)) = clamp(quantity_value(q));
}

static void clamp_all(struct resources *r)
{
        r->milli_cpu = clamp(r->milli_cpu);
        r->memory = clamp(r->memory);
        r->ephemeral = clamp(r->ephemeral);
        for (uint32_t i = 0; i < r->nothers; i++)
                r->others[i].value = clamp(r->others[i].value);
}

/* Quantities are texts; who writes by hand may have written numbers. */
static int parse_quantity(const struct jnode *value, struct quantity *ret)
{
        char number[64];

        if (value->type == JNODE_STRING)
                return quantity_parse(value->text, ret, NULL);
        if (value->type != JNODE_NUMBER || value->n >= sizeof(number))
                return -1;
        memcpy(number, value->text, value->n);
        number[value->n] = '\0';
        return quantity_parse(number, ret, NULL);
}

void resources_parse(struct atom_pool *p, const struct jnode *list, struct resources *ret, int64_t *ret_pods)
{
        *ret = RESOURCES_NULL;
        if (!list || list->type != JNODE_OBJECT)
                return;
        for (const struct jnode *it = list->first; it; it = it->next) {
                struct quantity q;

                if (!parse_quantity(it, &q))
                        add_quantity(p, ret, it->key, &q, ret_pods);
        }
}

/* ---- pods ---- */

void pod_request_deinit(struct pod_request *r)
{
        resources_deinit(&r->exact);
}

static const struct jnode *status_of(const struct jnode *pod, const char *list, const char *name)
{
        jnode_foreach (jnode_get(jnode_get(pod, "status"), list), status) {
                if (str_eq(jnode_str(status, "name"), name))
                        return status;
        }
        return NULL;
}

static bool same_map(const struct jnode *a, const struct jnode *b)
{
        if ((a ? a->n : 0) != (b ? b->n : 0))
                return false;
        for (const struct jnode *it = a ? a->first : NULL; it; it = it->next) {
                const struct jnode *twin = jnode_get(b, it->key);

                if (!twin || twin->type != it->type || twin->n != it->n)
                        return false;
                if (it->type != JNODE_STRING || memcmp(twin->text, it->text, it->n) != 0)
                        return false;
        }
        return true;
}

static bool list_is_resizing(const struct jnode *pod, const char *list, const char *statuses)
{
        jnode_foreach (jnode_at(pod, list), container) {
                const struct jnode *want = jnode_at(container, "resources.requests");
                const struct jnode *status = status_of(pod, statuses, jnode_str(container, "name"));
                const struct jnode *allocated = jnode_get(status, "allocatedResources");
                const struct jnode *has = jnode_at(status, "resources.requests");

                if ((allocated && !same_map(want, allocated)) || (has && !same_map(want, has)))
                        return true;
        }
        return false;
}

bool pod_request_is_resizing(const struct jnode *pod)
{
        return list_is_resizing(pod, "spec.containers", "containerStatuses") ||
               list_is_resizing(pod, "spec.initContainers", "initContainerStatuses");
}

/* The sums that are made alike, once with what is asked for and once with defaults for what is not. */
struct sums {
        struct atom_pool *pool;
        const struct jnode *pod;
        bool with_defaults;
        struct resources all, sidecars, init;
};

static void take_larger(struct sums *s, struct resources *r, const struct jnode *list)
{
        struct resources have;

        if (!list)
                return;
        resources_parse(s->pool, list, &have, NULL);
        resources_max(r, &have);
        resources_deinit(&have);
}

static void container_request(struct sums *s, const struct jnode *container, const char *statuses,
                              struct resources *ret)
{
        const struct jnode *list = jnode_at(container, "resources.requests");
        const struct jnode *status = status_of(s->pod, statuses, jnode_str(container, "name"));

        resources_parse(s->pool, list, ret, NULL);
        if (s->with_defaults && !jnode_get(list, "cpu"))
                ret->milli_cpu = DEFAULT_MILLI_CPU;
        if (s->with_defaults && !jnode_get(list, "memory"))
                ret->memory = DEFAULT_MEMORY;
        take_larger(s, ret, jnode_get(status, "allocatedResources"));
        take_larger(s, ret, jnode_at(status, "resources.requests"));
}

static void add_init_container(struct sums *s, const struct jnode *container)
{
        struct resources r;

        container_request(s, container, "initContainerStatuses", &r);
        if (str_eq(jnode_str(container, "restartPolicy"), "Always")) {
                resources_add(&s->all, &r, 1);
                resources_add(&s->sidecars, &r, 1);
                resources_max(&s->init, &s->sidecars);
        } else {
                resources_add(&r, &s->sidecars, 1);
                resources_max(&s->init, &r);
        }
        resources_deinit(&r);
}

/* The pod's own budget replaces the sum for the resources that it names. */
static void apply_pod_level(struct sums *s, const struct jnode *list)
{
        struct resources r;

        if (!list)
                return;
        resources_parse(s->pool, list, &r, NULL);
        if (jnode_get(list, "cpu"))
                s->all.milli_cpu = r.milli_cpu;
        if (jnode_get(list, "memory"))
                s->all.memory = r.memory;
        for (uint32_t i = 0; i < r.nothers; i++)
                *other(&s->all, r.others[i].name) = r.others[i].value;
        resources_deinit(&r);
}

static void sums_make(struct sums *s)
{
        struct resources r;

        jnode_foreach (jnode_at(s->pod, "spec.containers"), container) {
                container_request(s, container, "containerStatuses", &r);
                resources_add(&s->all, &r, 1);
                resources_deinit(&r);
        }
        jnode_foreach (jnode_at(s->pod, "spec.initContainers"), init_container)
                add_init_container(s, init_container);
        resources_max(&s->all, &s->init);
        apply_pod_level(s, jnode_at(s->pod, "spec.resources.requests"));
        resources_parse(s->pool, jnode_at(s->pod, "spec.overhead"), &r, NULL);
        resources_add(&s->all, &r, 1);
        clamp_all(&s->all);
        resources_deinit(&r);
        resources_deinit(&s->sidecars);
        resources_deinit(&s->init);
}

void pod_request_parse(struct atom_pool *p, const struct jnode *pod, struct pod_request *ret)
{
        struct sums exact = {.pool = p, .pod = pod}, scored = {.pool = p, .pod = pod, .with_defaults = true};

        sums_make(&exact);
        sums_make(&scored);
        *ret = (struct pod_request){
                .exact = exact.all, .nonzero_milli_cpu = scored.all.milli_cpu, .nonzero_memory = scored.all.memory};
        resources_deinit(&scored.all);
}
