/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/common/nodefit.h"

enum op {
        OP_IN,
        OP_NOT_IN,
        OP_EXISTS,
        OP_NOT_EXISTS,
        OP_GREATER,
        OP_LESS,
        OP_UNKNOWN,
};

struct requirement {
        const char *key;
        const char *const *values;
        size_t n;
        enum op op;
        bool field; /* of matchFields */
};

struct term {
        const struct requirement *reqs; /* all must hold */
        size_t n;
};

struct toleration {
        const char *key, *value, *effect; /* key and effect "": any */
        bool exists;                      /* whatever the value is */
};

struct nodefit {
        const char *node; /* NULL: any */
        struct term labels;
        const struct term *terms; /* of which one must hold, if there is a list of them */
        size_t nterms;
        bool has_terms;
        const struct toleration *tolerations;
        size_t ntolerations;
};

static const char *text_of(const struct json_object *o, const char *key)
{
        const char *s = json_get_str(o, key);

        return s ? s : "";
}

/* ---- reading ---- */

static struct term read_labels(struct arena *mem, const struct json_object *map)
{
        size_t room = json_is_object(map) ? (size_t)json_object_object_length(map) : 0;
        struct requirement *reqs = arena_array(mem, struct requirement, room + 1);
        struct term t = {.reqs = reqs};

        json_foreach (map, key, val) {
                const char **values = arena_array(mem, const char *, 1);

                *values = json_is_string(val) ? json_object_get_string(val) : "";
                reqs[t.n++] = (struct requirement){.key = key, .values = values, .n = 1, .op = OP_IN};
        }
        return t;
}

static enum op op_of(const char *text)
{
        static const char *const names[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_eq(text, names[i]))
                        return (enum op)i;
        return OP_UNKNOWN;
}

static size_t read_requirements(struct arena *mem, const struct json_object *list, bool field, struct requirement *ret)
{
        size_t n = 0;

        json_array_foreach (list, i, r) {
                struct json_object *from = json_get(r, "values");
                const char **values = arena_array(mem, const char *, json_len(from) + 1);

                for (size_t v = 0; v < json_len(from); v++)
                        values[v] = json_is_string(json_idx(from, v)) ? json_object_get_string(json_idx(from, v)) : "";
                ret[n++] = (struct requirement){.key = text_of(r, "key"),
                                                .values = values,
                                                .n = json_len(from),
                                                .op = op_of(json_get_str(r, "operator")),
                                                .field = field};
        }
        return n;
}

static struct term read_term(struct arena *mem, const struct json_object *t)
{
        struct json_object *labels = json_get(t, "matchExpressions"), *fields = json_get(t, "matchFields");
        struct requirement *reqs = arena_array(mem, struct requirement, json_len(labels) + json_len(fields) + 1);
        size_t n = read_requirements(mem, labels, false, reqs);

        n += read_requirements(mem, fields, true, reqs + n);
        return (struct term){reqs, n};
}

static void read_terms(struct arena *mem, struct nodefit *fit, const struct json_object *required)
{
        struct json_object *list = json_get(required, "nodeSelectorTerms");
        struct term *terms = arena_array(mem, struct term, json_len(list) + 1);

        json_array_foreach (list, i, t)
                terms[fit->nterms++] = read_term(mem, t);
        fit->terms = terms;
        fit->has_terms = required != NULL;
}

static void read_tolerations(struct arena *mem, struct nodefit *fit, const struct json_object *list)
{
        struct toleration *all = arena_array(mem, struct toleration, json_len(list) + 1);

        json_array_foreach (list, i, t)
                all[fit->ntolerations++] = (struct toleration){.key = text_of(t, "key"),
                                                               .value = text_of(t, "value"),
                                                               .effect = text_of(t, "effect"),
                                                               .exists = str_eq(json_get_str(t, "operator"), "Exists")};
        fit->tolerations = all;
}

struct nodefit *nodefit_new(struct arena *mem, const struct json_object *spec)
{
        struct nodefit *fit = arena_new(mem, struct nodefit);
        const char *node = json_get_str(spec, "nodeName");

        fit->node = str_empty(node) ? NULL : node;
        fit->labels = read_labels(mem, json_get(spec, "nodeSelector"));
        read_terms(mem, fit, json_at(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"));
        read_tolerations(mem, fit, json_get(spec, "tolerations"));
        return fit;
}

/* ---- labels ---- */

static bool is_among(const struct requirement *r, const char *value)
{
        for (size_t i = 0; i < r->n; i++)
                if (str_eq(r->values[i], value))
                        return true;
        return false;
}

static bool compare(const struct requirement *r, const char *value)
{
        int64_t has, limit;

        if (!value || r->n != 1 || str_parse_i64(value, &has) || str_parse_i64(r->values[0], &limit))
                return false;
        return r->op == OP_GREATER ? has > limit : has < limit;
}

static bool holds(const struct requirement *r, const struct kobj *node)
{
        const char *value = !r->field ? kobj_label(node, r->key) : str_eq(r->key, "metadata.name") ? node->name : NULL;

        switch (r->op) {
        case OP_IN:
                return value && is_among(r, value);
        case OP_NOT_IN:
                return !value || !is_among(r, value);
        case OP_EXISTS:
                return value;
        case OP_NOT_EXISTS:
                return !value;
        case OP_GREATER:
        case OP_LESS:
                return compare(r, value);
        case OP_UNKNOWN:
                break;
        }
        return false;
}

static bool all_hold(const struct term *t, const struct kobj *node)
{
        for (size_t i = 0; i < t->n; i++)
                if (!holds(&t->reqs[i], node))
                        return false;
        return true;
}

/* A term without requirements matches nothing. */
static bool one_holds(const struct nodefit *fit, const struct kobj *node)
{
        for (size_t i = 0; i < fit->nterms; i++)
                if (fit->terms[i].n && all_hold(&fit->terms[i], node))
                        return true;
        return false;
}

bool nodefit_matches(const struct nodefit *fit, const struct kobj *node)
{
        if (fit->node && !str_eq(fit->node, node->name))
                return false;
        return all_hold(&fit->labels, node) && (!fit->has_terms || one_holds(fit, node));
}

/* ---- taints ---- */

static bool is_tolerated_by(const struct toleration *t, const struct node_taint *taint)
{
        return (!*t->effect || str_eq(t->effect, taint->effect)) && (!*t->key || str_eq(t->key, taint->key)) &&
               (t->exists || str_eq(t->value, taint->value));
}

static unsigned int effect_of(const struct node_taint *taint)
{
        return str_eq(taint->effect, "NoExecute")    ? TAINT_NO_EXECUTE
               : str_eq(taint->effect, "NoSchedule") ? TAINT_NO_SCHEDULE
                                                     : 0U;
}

static bool is_tolerated(const struct nodefit *fit, const struct node_taint *taint)
{
        for (size_t i = 0; i < fit->ntolerations; i++)
                if (is_tolerated_by(&fit->tolerations[i], taint))
                        return true;
        return false;
}

bool nodefit_tolerates(const struct nodefit *fit, const struct kobj *node, unsigned int effects)
{
        for (size_t i = 0; i < node->node->ntaints; i++) {
                const struct node_taint *taint = &node->node->taints[i];

                if ((effect_of(taint) & effects) && !is_tolerated(fit, taint))
                        return false;
        }
        return true;
}
