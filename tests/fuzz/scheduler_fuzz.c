/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and pods as bytes, through the scheduler's projections into a state, and a cycle and a preemption for one of
 * them:
 * {"nodes": [...], "pods": [...], "namespaces": {"name": {labels}}, "pod": {...}}. Afterwards everything goes, and
 * nothing must be left. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "scheduler/preempt.h"

#define OBJECTS_MAX 64

struct world {
        struct state state;
        struct cycle cycle;
        struct diagnosis diagnosis;
        struct preemption preemption;
        struct pod *pods[OBJECTS_MAX];
        const struct atom *nodes[OBJECTS_MAX];
        size_t npods, nnodes;
};

static void require(int ok)
{
        if (!ok)
                abort();
}

static void add_node(struct world *w, const struct jnode *o)
{
        struct node_view *v = w->nnodes < OBJECTS_MAX ? node_view_new(&w->state.atoms, o, NULL) : NULL;

        if (!v)
                return;
        state_set_node(&w->state, v->name, v);
        w->nodes[w->nnodes++] = atom_ref(v->name);
        node_view_put(v);
}

static struct pod *add_pod(struct world *w, const struct jnode *o)
{
        struct pod_view *v = w->npods < OBJECTS_MAX ? pod_view_new(&w->state.shapes, o) : NULL;
        struct pod *pod;

        if (!v)
                return NULL;
        pod = mem_new(struct pod);
        pod->view = v;
        if (v->node)
                state_place(&w->state, pod, v->node);
        if (v->nominated)
                state_nominate(&w->state, pod, v->nominated);
        return w->pods[w->npods++] = pod;
}

static void add_namespaces(struct world *w, const struct jnode *map)
{
        for (const struct jnode *it = map && map->type == JNODE_OBJECT ? map->first : NULL; it; it = it->next)
                state_set_namespace(&w->state, it->key, it);
}

static void schedule(struct world *w, struct pod *pod)
{
        struct strbuf b = STRBUF_NULL;
        struct node *n;

        if (!cycle_begin(&w->cycle, pod, &w->diagnosis) && cycle_search(&w->cycle)) {
                n = cycle_choose(&w->cycle);
                require(n->view != NULL);
                require(cycle_fits(&w->cycle, n) == VERDICT_FITS);
                return;
        }
        if (!preempt_find(&w->cycle, &w->preemption))
                require(w->preemption.nvictims > 0);
        diagnosis_write(&w->diagnosis, &b);
        require(b.len > 0);
        strbuf_deinit(&b);
}

static void take_away(struct world *w)
{
        while (w->npods) {
                struct pod *pod = w->pods[--w->npods];

                state_nominate(&w->state, pod, NULL);
                state_remove(&w->state, pod);
                pod_view_free(&w->state.shapes, pod->view);
                free(pod);
        }
        while (w->nnodes) {
                state_set_node(&w->state, w->nodes[--w->nnodes], NULL);
                atoms_put(&w->state.atoms, w->nodes[w->nnodes]);
        }
        require(!w->state.nodes.count && !w->state.nnodes && !w->state.carriers.n && !w->state.images.count &&
                !w->state.npriorities && !w->state.shapes.table.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        _cleanup_free_ char *text = mem_alloc(n + 1);
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *o = NULL;
        struct world w = {0};
        struct pod *pod;

        memcpy(text, data, n);
        text[n] = '\0';
        if (jsontree_parse(&tree, text, n, &o, NULL)) {
                jsontree_deinit(&tree);
                return 0;
        }
        state_init(&w.state);
        cycle_init(&w.cycle, &w.state);
        add_namespaces(&w, jnode_get(o, "namespaces"));
        jnode_foreach (jnode_get(o, "nodes"), node)
                add_node(&w, node);
        jnode_foreach (jnode_get(o, "pods"), placed)
                add_pod(&w, placed);
        pod = add_pod(&w, jnode_get(o, "pod"));
        if (pod && !pod->node)
                schedule(&w, pod);
        take_away(&w);
        preemption_deinit(&w.preemption);
        diagnosis_deinit(&w.diagnosis);
        cycle_deinit(&w.cycle);
        state_deinit(&w.state);
        jsontree_deinit(&tree);
        return 0;
}
