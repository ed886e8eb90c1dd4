/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "scheduler/state/images.h"
#include "scheduler/state/state.h"

struct namespace_view {
        struct atom_pool pool;
        struct label_set labels;
};

static uint64_t id(const struct atom *atom)
{
        return (uint64_t)(uintptr_t)atom;
}

void state_init(struct state *s)
{
        *s = (struct state){.topology = 1};
        atoms_init(&s->atoms);
        shapes_init(&s->shapes, &s->atoms);
        hashmap_init(&s->pods, HASHMAP_STR_OWNED);
        hashmap_init(&s->nodes, HASHMAP_U64);
        hashmap_init(&s->images, HASHMAP_U64);
        hashmap_init(&s->namespaces, HASHMAP_U64);
        tallies_init(&s->tallies);
        carriers_init(&s->carriers, &s->shapes);
        owners_init(&s->owners);
        disruption_init(&s->disruption);
        volumes_init(&s->volumes);
}

static void namespace_free(struct namespace_view *v)
{
        if (!v)
                return;
        atom_pool_deinit(&v->pool);
        free(v);
}

static void node_free(struct state *s, struct node *n)
{
        images_leave(s, n);
        node_view_put(n->view);
        resources_deinit(&n->used.exact);
        atoms_put(&s->atoms, n->name);
        free(n);
}

void state_deinit(struct state *s)
{
        carriers_deinit(&s->carriers);
        tallies_deinit(&s->tallies);
        for (uint32_t i = 0; i < s->nslots; i++)
                if (s->slots[i])
                        node_free(s, s->slots[i]);
        hashmap_foreach (&s->namespaces, slot)
                namespace_free(slot->value);
        hashmap_foreach (&s->pods, pod)
                free(pod->value);
        topologies_deinit(&s->topologies, &s->atoms);
        owners_deinit(&s->owners, &s->atoms);
        disruption_deinit(&s->disruption);
        volumes_deinit(&s->volumes, &s->atoms);
        hashmap_deinit(&s->pods);
        hashmap_deinit(&s->nodes);
        hashmap_deinit(&s->images);
        hashmap_deinit(&s->namespaces);
        free(s->slots);
        free(s->order);
        free(s->priorities);
        shapes_deinit(&s->shapes);
        atoms_deinit(&s->atoms);
}

/* ---- nodes ---- */

static uint32_t free_slot(struct state *s)
{
        for (uint32_t i = 0; i < s->nslots && s->nslots > s->nodes.count; i++)
                if (!s->slots[i])
                        return i;
        if (s->nslots == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 64;
                s->slots = mem_realloc(s->slots, s->cap, sizeof(struct node *));
        }
        s->slots[s->nslots] = NULL;
        return s->nslots++;
}

static struct node *add_node(struct state *s, const struct atom *name)
{
        struct node *n = mem_new(struct node);

        n->name = atom_ref(name);
        n->slot = free_slot(s);
        s->slots[n->slot] = n;
        hashmap_put_u64(&s->nodes, id(name), n);
        tallies_grow(&s->tallies, s->nslots);
        s->topology++; /* arrays by slot may be too short */
        return n;
}

/* A node that is known to nobody any more goes. */
static void drop_if_unused(struct state *s, struct node *n)
{
        if (n->view || n->pods || n->nominated)
                return;
        s->slots[n->slot] = NULL;
        hashmap_del_u64(&s->nodes, id(n->name));
        node_free(s, n);
}

void state_set_node(struct state *s, const struct atom *name, struct node_view *view)
{
        struct node *n = state_node(s, name);
        struct node_view *old = n ? n->view : NULL;

        if (!n && !view)
                return;
        s->generation++;
        if (!n)
                n = add_node(s, name);
        images_leave(s, n);
        s->nnodes += (view != NULL) - (old != NULL);
        if (!view || !old || view->marks.labels != old->marks.labels)
                s->topology++;
        if (view)
                view->refs++;
        n->view = view;
        images_enter(s, n);
        node_view_put(old);
        drop_if_unused(s, n);
}

/* ---- pods on nodes ---- */

void usage_add(struct usage *u, const struct shape *shape, int times)
{
        resources_add(&u->exact, &shape->request.exact, times);
        u->nonzero_milli_cpu += shape->request.nonzero_milli_cpu * times;
        u->nonzero_memory += shape->request.nonzero_memory * times;
        u->pods += (uint32_t)times;
}

static void count_priority(struct state *s, int32_t priority, int times)
{
        uint32_t i = 0;

        while (i < s->npriorities && s->priorities[i].priority != priority)
                i++;
        if (i == s->priorities_cap) {
                s->priorities_cap = s->priorities_cap ? s->priorities_cap * 2 : 8;
                s->priorities = mem_realloc(s->priorities, s->priorities_cap, sizeof(*s->priorities));
        }
        if (i == s->npriorities)
                s->priorities[s->npriorities++] = (struct priority_count){.priority = priority};
        s->priorities[i].pods += (uint32_t)times;
        if (!s->priorities[i].pods)
                s->priorities[i] = s->priorities[--s->npriorities];
}

bool state_has_below(const struct state *s, int32_t priority)
{
        for (uint32_t i = 0; i < s->npriorities; i++)
                if (s->priorities[i].priority < priority)
                        return true;
        return false;
}

static void count(struct state *s, struct pod *pod, int times)
{
        struct node *n = pod->node;

        s->generation++;
        count_priority(s, pod->view->shape->priority, times);

        usage_add(&n->used, pod->view->shape, times);
        n->npods_with_ports += (uint32_t)(pod->view->shape->nports ? times : 0);
        carriers_count(&s->carriers, pod->view->shape, n->slot, times);
        tallies_count(s, pod, n->slot, times);
}

static void link_pod(struct pod *pod)
{
        struct node *n = pod->node;

        pod->prev = NULL;
        pod->next = n->pods;
        if (pod->next)
                pod->next->prev = pod;
        n->pods = pod;
}

static void unlink_pod(struct pod *pod)
{
        if (pod->prev)
                pod->prev->next = pod->next;
        else
                pod->node->pods = pod->next;
        if (pod->next)
                pod->next->prev = pod->prev;
}

void state_remove(struct state *s, struct pod *pod)
{
        struct node *n = pod->node;

        if (!n)
                return;
        count(s, pod, -1);
        unlink_pod(pod);
        pod->node = NULL;
        pod->assumed = false;
        drop_if_unused(s, n);
}

void state_place(struct state *s, struct pod *pod, const struct atom *name)
{
        struct node *n = state_node(s, name);

        if (pod->node && pod->node == n)
                return;
        if (!n)
                n = add_node(s, name);
        state_remove(s, pod);
        pod->node = n;
        link_pod(pod);
        count(s, pod, 1);
}

void state_set_view(struct state *s, struct pod *pod, struct pod_view *view)
{
        bool counted = pod->node && pod->view &&
                       (pod->view->shape != view->shape || pod->view->terminating != view->terminating);

        if (counted)
                count(s, pod, -1);
        pod->view = view;
        if (counted)
                count(s, pod, 1);
}

void state_nominate(struct state *s, struct pod *pod, const struct atom *name)
{
        struct node *old = pod->nominated, *n = name ? state_node(s, name) : NULL;

        if (old == n && (n || !name))
                return;
        s->generation++;
        if (old) {
                struct pod **p = &old->nominated;

                while (*p != pod)
                        p = &(*p)->next_nominated;
                *p = pod->next_nominated;
                pod->nominated = NULL;
        }
        if (name && !n)
                n = add_node(s, name);
        if (n) {
                pod->nominated = n;
                pod->next_nominated = n->nominated;
                n->nominated = pod;
        }
        if (old)
                drop_if_unused(s, old);
}

/* ---- namespaces ---- */

void state_set_namespace(struct state *s, const char *name, const struct jnode *labels)
{
        const struct atom *atom = atoms_get(&s->atoms, name, strlen(name));
        struct namespace_view *now = NULL, *old = hashmap_get_u64(&s->namespaces, id(atom));

        if (labels) {
                now = mem_new(struct namespace_view);
                atom_pool_init(&now->pool, &s->atoms);
                now->labels = label_set_parse(&now->pool, labels);
                atom_pool_get(&now->pool, name); /* the key */
                hashmap_put_u64(&s->namespaces, id(atom), now);
        } else if (old) {
                hashmap_del_u64(&s->namespaces, id(atom));
        }
        s->generation++;
        if (!now || !old || !label_set_equal(&now->labels, &old->labels))
                tallies_namespaces_changed(&s->tallies);
        namespace_free(old);
        atoms_put(&s->atoms, atom);
}

bool state_namespace_matches(const struct state *s, const struct atom *ns, const struct query *q)
{
        const struct namespace_view *v;

        if (q->nothing)
                return false;
        v = hashmap_get_u64(&s->namespaces, id(ns));
        return query_match(q, v ? &v->labels : &(const struct label_set){0});
}
