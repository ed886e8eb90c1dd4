/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/str.h"
#include "scheduler/model/query.h"

struct label_set label_set_parse(struct atom_pool *p, const struct jnode *map)
{
        uint32_t n = map && map->type == JNODE_OBJECT ? map->n : 0, i = 0;
        struct label_pair *pairs;

        if (!n)
                return (struct label_set){0};
        pairs = arena_array(&p->mem, struct label_pair, n);
        for (const struct jnode *it = map->first; it; it = it->next)
                if (it->type == JNODE_STRING)
                        pairs[i++] = (struct label_pair){atom_pool_get(p, it->key), atom_pool_get(p, it->text)};
        return (struct label_set){.pairs = pairs, .n = i};
}

bool label_set_equal(const struct label_set *a, const struct label_set *b)
{
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (label_get(b, a->pairs[i].key) != a->pairs[i].value)
                        return false;
        return true;
}

static bool has_value(const struct query_req *r, const struct atom *value)
{
        for (uint32_t i = 0; i < r->nvalues; i++)
                if (r->values[i] == value)
                        return true;
        return false;
}

static bool compare(const struct query_req *r, const struct atom *value)
{
        int64_t number;

        if (!value || str_parse_i64(value->text, &number))
                return false;
        return r->op == QUERY_GREATER ? number > r->number : number < r->number;
}

static bool holds(const struct query_req *r, const struct atom *value)
{
        switch (r->op) {
        case QUERY_IN:
                return value && has_value(r, value);
        case QUERY_NOT_IN:
                return !value || !has_value(r, value);
        case QUERY_EXISTS:
                return value;
        case QUERY_NOT_EXISTS:
                return !value;
        case QUERY_GREATER:
        case QUERY_LESS:
                return compare(r, value);
        case QUERY_NEVER:
                break;
        }
        return false;
}

bool query_match(const struct query *q, const struct label_set *labels)
{
        if (q->nothing)
                return false;
        for (uint32_t i = 0; i < q->nreqs; i++)
                if (!holds(&q->reqs[i], label_get(labels, q->reqs[i].key)))
                        return false;
        return true;
}

static enum query_op op_of(const char *name)
{
        static const struct {
                const char *name;
                enum query_op op;
        } ops[] = {
                {"In", QUERY_IN},         {"NotIn", QUERY_NOT_IN},
                {"Exists", QUERY_EXISTS}, {"DoesNotExist", QUERY_NOT_EXISTS},
                {"Gt", QUERY_GREATER},    {"Lt", QUERY_LESS},
        };

        for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
                if (str_eq(name, ops[i].name))
                        return ops[i].op;
        return QUERY_NEVER;
}

static const struct atom **parse_values(struct atom_pool *p, const struct jnode *list, uint32_t *ret_n)
{
        const struct atom **values = arena_array(&p->mem, const struct atom *, jnode_len(list) + 1);
        uint32_t n = 0;

        jnode_foreach (list, value) {
                if (jnode_text(value))
                        values[n++] = atom_pool_get(p, jnode_text(value));
        }
        *ret_n = n;
        return values;
}

static struct query_req parse_expression(struct atom_pool *p, const struct jnode *o)
{
        struct query_req r = {.key = atom_pool_get(p, jnode_str(o, "key") ? jnode_str(o, "key") : ""),
                              .op = op_of(jnode_str(o, "operator"))};

        r.values = parse_values(p, jnode_get(o, "values"), &r.nvalues);
        if ((r.op == QUERY_GREATER || r.op == QUERY_LESS) &&
            (r.nvalues != 1 || str_parse_i64(r.values[0]->text, &r.number)))
                r.op = QUERY_NEVER;
        return r;
}

struct query query_of_expressions(struct atom_pool *p, const struct jnode *list)
{
        struct query_req *reqs = arena_array(&p->mem, struct query_req, jnode_len(list) + 1);
        uint32_t n = 0;

        jnode_foreach (list, o)
                reqs[n++] = parse_expression(p, o);
        return (struct query){.reqs = reqs, .nreqs = n};
}

static const struct atom *const *one_value(struct atom_pool *p, const struct atom *value)
{
        const struct atom **values = arena_array(&p->mem, const struct atom *, 1);

        values[0] = value;
        return values;
}

struct query query_of_map(struct atom_pool *p, const struct jnode *map)
{
        struct label_set pairs = label_set_parse(p, map);
        struct query_req *reqs = arena_array(&p->mem, struct query_req, pairs.n + 1);

        for (uint32_t i = 0; i < pairs.n; i++)
                reqs[i] = (struct query_req){.key = pairs.pairs[i].key,
                                             .op = QUERY_IN,
                                             .nvalues = 1,
                                             .values = one_value(p, pairs.pairs[i].value)};
        return (struct query){.reqs = reqs, .nreqs = pairs.n};
}

struct query query_both(struct atom_pool *p, const struct query *a, const struct query *b)
{
        struct query_req *reqs = arena_array(&p->mem, struct query_req, a->nreqs + b->nreqs + 1);

        if (a->nreqs)
                memcpy(reqs, a->reqs, a->nreqs * sizeof(*reqs));
        if (b->nreqs)
                memcpy(reqs + a->nreqs, b->reqs, b->nreqs * sizeof(*reqs));
        return (struct query){.nothing = a->nothing || b->nothing, .reqs = reqs, .nreqs = a->nreqs + b->nreqs};
}

struct query query_of_selector(struct atom_pool *p, const struct jnode *selector)
{
        struct query map, expressions;

        if (!selector || selector->type != JNODE_OBJECT)
                return (struct query){.nothing = true};
        map = query_of_map(p, jnode_get(selector, "matchLabels"));
        expressions = query_of_expressions(p, jnode_get(selector, "matchExpressions"));
        return query_both(p, &map, &expressions);
}

struct query query_with(struct atom_pool *p, const struct query *q, const struct atom *key, enum query_op op,
                        const struct atom *value)
{
        const struct query_req req = {.key = key, .op = op, .nvalues = 1, .values = one_value(p, value)};
        const struct query more = {.reqs = &req, .nreqs = 1};

        return query_both(p, q, &more);
}

struct query query_copy(struct atom_pool *p, const struct query *q)
{
        struct query_req *reqs = arena_array(&p->mem, struct query_req, q->nreqs + 1);

        for (uint32_t i = 0; i < q->nreqs; i++) {
                const struct query_req *from = &q->reqs[i];
                const struct atom **values = arena_array(&p->mem, const struct atom *, from->nvalues + 1);

                for (uint32_t k = 0; k < from->nvalues; k++)
                        values[k] = atom_pool_ref(p, from->values[k]);
                reqs[i] = *from;
                reqs[i].key = atom_pool_ref(p, from->key);
                reqs[i].values = values;
        }
        return (struct query){.nothing = q->nothing, .reqs = reqs, .nreqs = q->nreqs};
}

void query_write_key(struct strbuf *b, const struct query *q)
{
        strbuf_add(b, &q->nothing, sizeof(q->nothing));
        strbuf_add(b, &q->nreqs, sizeof(q->nreqs));
        for (uint32_t i = 0; i < q->nreqs; i++) {
                const struct query_req *r = &q->reqs[i];

                strbuf_add(b, &r->key, sizeof(r->key));
                strbuf_add(b, &r->op, sizeof(r->op));
                strbuf_add(b, &r->number, sizeof(r->number));
                strbuf_add(b, &r->nvalues, sizeof(r->nvalues));
                if (r->nvalues)
                        strbuf_add(b, r->values, r->nvalues * sizeof(*r->values));
        }
}
