/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "scheduler/model/node_view.h"

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
        const uint64_t seed[2] = {h, 0x9e3779b97f4a7c15};

        return hash_bytes(seed, data, n);
}

static uint64_t hash_node(uint64_t h, const struct jnode *o)
{
        if (!o)
                return mix(h, "", 1);
        if (o->key)
                h = mix(h, o->key, strlen(o->key));
        if (o->type == JNODE_NUMBER || o->type == JNODE_STRING)
                return mix(h, o->text, o->n);
        if (o->type == JNODE_BOOL)
                return mix(h, o->yes ? "t" : "f", 1);
        h = mix(h, &o->n, sizeof(o->n));
        if (o->type == JNODE_ARRAY || o->type == JNODE_OBJECT)
                for (const struct jnode *it = o->first; it; it = it->next)
                        h = hash_node(h, it);
        return h;
}

static struct node_marks marks_of(const struct jnode *node)
{
        const struct jnode *spec = jnode_get(node, "spec"), *status = jnode_get(node, "status");

        return (struct node_marks){
                .labels = hash_node(1, jnode_at(node, "metadata.labels")),
                .taints = hash_node(hash_node(2, jnode_get(spec, "taints")), jnode_get(spec, "unschedulable")),
                .allocatable = hash_node(3, jnode_get(status, "allocatable")),
                .images = hash_node(4, jnode_get(status, "images")),
        };
}

static void parse_taints(struct node_view *v, const struct jnode *list)
{
        struct taint *taints = arena_array(&v->pool.mem, struct taint, jnode_len(list) + 1);

        jnode_foreach (list, o) {
                const char *key = jnode_str(o, "key"), *value = jnode_str(o, "value");

                taints[v->ntaints++] = (struct taint){.key = atom_pool_get(&v->pool, key ? key : ""),
                                                      .value = atom_pool_get(&v->pool, value ? value : ""),
                                                      .effect = taint_effect_parse(jnode_str(o, "effect"))};
        }
        v->taints = taints;
}

static void parse_images(struct node_view *v, const struct jnode *list)
{
        struct node_image *images;
        size_t n = 0;

        jnode_foreach (list, counted)
                n += jnode_len(jnode_get(counted, "names"));
        images = arena_array(&v->pool.mem, struct node_image, n + 1);
        jnode_foreach (list, image) {
                jnode_foreach (jnode_get(image, "names"), name) {
                        if (jnode_text(name))
                                images[v->nimages++] = (struct node_image){
                                        .name = atom_pool_get(&v->pool, jnode_text(name)),
                                        .bytes = MAX(0, MIN(jnode_i64(image, "sizeBytes", 0), AMOUNT_MAX))};
                }
        }
        v->images = images;
}

struct node_view *node_view_new(struct atoms *atoms, const struct jnode *node, struct node_view *before)
{
        const char *name = jnode_at_str(node, "metadata.name");
        struct node_marks marks = marks_of(node);
        struct node_view *v;

        if (str_empty(name))
                return NULL;
        if (before && memcmp(&before->marks, &marks, sizeof(marks)) == 0) {
                before->refs++;
                return before;
        }
        v = mem_new(struct node_view);
        *v = (struct node_view){.refs = 1, .marks = marks};
        atom_pool_init(&v->pool, atoms);
        v->name = atom_pool_get(&v->pool, name);
        v->labels = label_set_parse(&v->pool, jnode_at(node, "metadata.labels"));
        v->unschedulable = jnode_bool(jnode_get(node, "spec"), "unschedulable", false);
        resources_parse(&v->pool, jnode_at(node, "status.allocatable"), &v->allocatable, &v->pods);
        parse_taints(v, jnode_at(node, "spec.taints"));
        parse_images(v, jnode_at(node, "status.images"));
        return v;
}

void node_view_put(struct node_view *v)
{
        if (!v || --v->refs)
                return;
        resources_deinit(&v->allocatable);
        atom_pool_deinit(&v->pool);
        free(v);
}

bool node_term_matches(const struct node_term *t, const struct node_view *node)
{
        if (!query_match(&t->labels, &node->labels))
                return false;
        for (uint32_t i = 0; i < t->fields.nreqs; i++) {
                const struct query_req *r = &t->fields.reqs[i];
                const struct query one = {.reqs = r, .nreqs = 1};
                const struct label_pair field = {.key = r->key, .value = node->name};
                const struct label_set fields = {.pairs = &field, .n = str_eq(r->key->text, "metadata.name")};

                if (!query_match(&one, &fields))
                        return false;
        }
        return true;
}

bool node_rule_allows(const struct node_rule *rule, const struct node_view *node)
{
        if (!query_match(&rule->selector, &node->labels))
                return false;
        for (uint32_t i = 0; i < rule->nrequired; i++)
                if (node_term_matches(&rule->required[i], node))
                        return true;
        return !rule->has_required;
}

const struct taint *node_untolerated_taint(const struct node_view *node, const struct shape *s)
{
        for (uint32_t i = 0; i < node->ntaints; i++) {
                const struct taint *t = &node->taints[i];

                if (t->effect != EFFECT_PREFER_NO_SCHEDULE && t->effect != EFFECT_ANY && !shape_tolerates(s, t))
                        return t;
        }
        return NULL;
}
