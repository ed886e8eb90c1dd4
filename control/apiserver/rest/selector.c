/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/rest/list.h"
#include "apiserver/status.h"
#include "base/str.h"

static const struct kind_field *field_find(const struct kind_ops *ops, const char *label)
{
        for (const struct kind_field *f = ops->fields; f && f->label; f++)
                if (str_eq(f->label, label))
                        return f;
        return NULL;
}

/* Another version of the kind may call a field otherwise (regarding.name of Events): what counts is where it is. */
static bool same_place(const struct kind_field *a, const struct kind_field *b)
{
        return str_eq(a->path, b->path) && str_eq(a->or_path, b->or_path);
}

/* Which of the stored object's fields the label names; -1 when none. */
static int field_index(const struct object_selector *s, const char *label)
{
        const struct kind_field *named = field_find(s->asked, label);

        for (int i = 0; named && s->ops->fields && s->ops->fields[i].label; i++)
                if (same_place(&s->ops->fields[i], named))
                        return i;
        return -1;
}

static int check_fields(struct api_request *req, const struct object_selector *s)
{
        for (size_t i = 0; i < s->fields->nreqs; i++) {
                const char *f = s->fields->reqs[i].field;

                if (str_eq(f, "metadata.name") || str_eq(f, "metadata.namespace") || field_index(s, f) >= 0)
                        continue;
                if (s->ops->fields)
                        return api_fail(req, 400, "field label not supported: %s", f);
                return api_fail(req, 400,
                                "\"%s\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                                f);
        }
        return 0;
}

int object_selector_parse(struct api_request *req, struct object_selector *ret)
{
        const struct schema_resource *stored = kind_storage(req->resource);
        const char *labels = api_query_get(req, "labelSelector"), *fields = api_query_get(req, "fieldSelector");
        struct err err = ERR_NULL;

        *ret = (struct object_selector){
                .ops = kind_ops_find(stored->group, stored->plural),
                .asked = kind_ops_find(req->resource->group, req->resource->plural),
        };
        if (!str_empty(labels) && selector_parse(labels, &ret->labels, &err))
                return api_fail(req, 400, "%s", err.msg);
        if (!str_empty(fields)) {
                if (field_selector_parse(fields, &ret->fields, &err))
                        return api_fail(req, 400, "%s", err.msg);
                return check_fields(req, ret);
        }
        return 0;
}

void object_selector_deinit(struct object_selector *s)
{
        selector_free(s->labels);
        field_selector_free(s->fields);
        *s = (struct object_selector){0};
}

bool object_selector_is_all(const struct object_selector *s)
{
        return !s->labels && !s->fields;
}

struct field_lookup {
        const struct object_selector *selector;
        const struct object *object;
};

static const char *lookup_field(const void *fields, const char *key)
{
        const struct field_lookup *l = fields;
        int i;

        if (str_eq(key, "metadata.name"))
                return l->object->name;
        if (str_eq(key, "metadata.namespace"))
                return l->object->namespace;
        i = field_index(l->selector, key);
        return i >= 0 && i < l->object->nfields ? l->object->fields[i] : NULL;
}

bool object_selector_match(const void *selector, const struct object *o)
{
        const struct object_selector *s = selector;
        struct label_array labels = {o->labels, o->nlabels};
        struct field_lookup l = {s, o};

        if (s->labels && !selector_match_labels(s->labels, &labels))
                return false;
        return !s->fields || field_selector_match(s->fields, lookup_field, &l);
}
