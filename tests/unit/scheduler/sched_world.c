/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scheduler/sched_world.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

void sched_world_init(struct sched_world *w)
{
        *w = (struct sched_world){0};
        state_init(&w->state);
        cycle_init(&w->cycle, &w->state);
        w->cycle.random = 1;
}

void sched_world_pod_gone(struct sched_world *w, struct pod *pod)
{
        for (size_t i = 0; i < w->npods; i++)
                if (w->pods[i] == pod)
                        w->pods[i] = w->pods[--w->npods];
        state_nominate(&w->state, pod, NULL);
        state_remove(&w->state, pod);
        pod_view_free(&w->state.shapes, pod->view);
        free(pod);
}

void sched_world_deinit(struct sched_world *w)
{
        while (w->npods)
                sched_world_pod_gone(w, w->pods[0]);
        cycle_deinit(&w->cycle);
        diagnosis_deinit(&w->diagnosis);
        state_deinit(&w->state);
        sched_world_json("{}");
}

const struct jnode *sched_world_json(const char *fmt, ...)
{
        static struct jsontree tree;
        static char text[1 << 16];
        const struct jnode *root = NULL;
        struct err err = ERR_NULL;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        for (char *p = text; *p; p++)
                if (*p == '\'')
                        *p = '"';
        jsontree_deinit(&tree);
        tree = JSONTREE_NULL;
        if (jsontree_parse(&tree, text, strlen(text), &root, &err)) {
                fprintf(stderr, "%s\n", err.msg);
                abort();
        }
        return root;
}

struct node *sched_world_node_json(struct sched_world *w, const char *json)
{
        const struct jnode *o = sched_world_json("%s", json);
        const char *name = jnode_at_str(o, "metadata.name");
        const struct atom *atom = atoms_get(&w->state.atoms, name, strlen(name));
        struct node *old = state_node(&w->state, atom), *now;
        struct node_view *v = node_view_new(&w->state.atoms, o, old ? old->view : NULL);

        state_set_node(&w->state, atom, v);
        node_view_put(v);
        now = state_node(&w->state, atom);
        atoms_put(&w->state.atoms, atom);
        return now;
}

struct node *sched_world_node(struct sched_world *w, const char *name, const char *labels, const char *more)
{
        _cleanup_free_ char *json = mem_printf("{'metadata':{'name':'%s','labels':{%s}},%s%s"
                                               "'status':{'allocatable':{'cpu':'4','memory':'8Gi','pods':'110'}}}",
                                               name, labels ? labels : "", more ? more : "", more ? "," : "");

        return sched_world_node_json(w, json);
}

void sched_world_node_gone(struct sched_world *w, const char *name)
{
        const struct atom *atom = atoms_get(&w->state.atoms, name, strlen(name));

        state_set_node(&w->state, atom, NULL);
        atoms_put(&w->state.atoms, atom);
}

struct pod *sched_world_pod_json(struct sched_world *w, const char *json, const char *node)
{
        struct pod *pod = mem_new(struct pod);

        pod->view = pod_view_new(&w->state.shapes, sched_world_json("%s", json));
        w->pods[w->npods++] = pod;
        if (node) {
                const struct atom *atom = atoms_get(&w->state.atoms, node, strlen(node));

                state_place(&w->state, pod, atom);
                atoms_put(&w->state.atoms, atom);
        }
        return pod;
}

struct pod *sched_world_pod(struct sched_world *w, const char *name, const char *labels, const char *spec,
                            const char *node)
{
        _cleanup_free_ char *json =
                mem_printf("{'metadata':{'namespace':'default','name':'%s','uid':'uid-%s','labels':{%s}},'spec':{%s}}",
                           name, name, labels ? labels : "", spec ? spec : "");

        return sched_world_pod_json(w, json, node);
}

static void add(struct sched_world *w, const char *fmt, ...) _printf_(2, 3);

static void add(struct sched_world *w, const char *fmt, ...)
{
        size_t n = strlen(w->message);
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(w->message + n, sizeof(w->message) - n, fmt, ap);
        va_end(ap);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void add_reasons(struct sched_world *w, const struct diagnosis *d)
{
        for (uint32_t i = 0; i < d->n; i++) {
                const struct reason *r = &d->reasons[i];
                char text[512];

                snprintf(text, sizeof(text), r->format, r->a ? r->a->text : "", r->b ? r->b->text : "");
                add(w, "%s%s", i ? "; " : "", text);
        }
}
#pragma GCC diagnostic pop

const char *sched_world_filter(struct sched_world *w, struct pod *pod)
{
        w->message[0] = '\0';
        if (cycle_begin(&w->cycle, pod, &w->diagnosis)) {
                add(w, "%s", w->diagnosis.refused.data);
                return w->message;
        }
        for (uint32_t i = 0; i < w->state.nslots; i++) {
                struct node *n = w->state.slots[i];
                enum verdict v;

                if (!n || !n->view)
                        continue;
                diagnosis_reset(&w->diagnosis, 1);
                v = cycle_filter(&w->cycle, n);
                add(w, "%s%s=%s", *w->message ? " " : "", n->name->text,
                    v == VERDICT_FITS           ? "fits"
                    : v == VERDICT_UNRESOLVABLE ? "!"
                                                : "");
                add_reasons(w, &w->diagnosis);
        }
        return w->message;
}

const char *sched_world_score(struct sched_world *w, struct pod *pod, enum plugin_id id)
{
        const struct plugin *p = plugins[id];
        struct cycle *c = &w->cycle;

        w->message[0] = '\0';
        cycle_begin(c, pod, &w->diagnosis);
        for (uint32_t i = 0; i < w->state.nslots; i++)
                if (w->state.slots[i] && w->state.slots[i]->view)
                        c->feasible[c->nfeasible++] = w->state.slots[i];
        if (p->prescore && p->prescore(c) == PLUGIN_SKIP)
                return "skip";
        for (uint32_t i = 0; i < c->nfeasible; i++)
                c->scores[i] = p->score(c, c->feasible[i]);
        if (p->normalise)
                p->normalise(c, c->scores);
        for (uint32_t i = 0; i < c->nfeasible; i++)
                add(w, "%s%s=%lld", i ? " " : "", c->feasible[i]->name->text, (long long)c->scores[i]);
        return w->message;
}

const char *sched_world_schedule(struct sched_world *w, struct pod *pod)
{
        struct strbuf b = STRBUF_NULL;

        if (!cycle_begin(&w->cycle, pod, &w->diagnosis) && cycle_search(&w->cycle))
                return cycle_choose(&w->cycle)->name->text;
        diagnosis_write(&w->diagnosis, &b);
        snprintf(w->message, sizeof(w->message), "%s", b.data);
        strbuf_deinit(&b);
        return w->message;
}
