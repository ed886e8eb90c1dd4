/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "apiserver/object.h"
#include "apiserver/peek.h"

#define REVISION_KEY "\"resourceVersion\":\""

struct blob *object_with_revision(const struct blob *stored, uint64_t revision)
{
        struct span meta = peek_member((struct span){stored->data, stored->len}, "metadata");
        char text[64];
        struct blob *b;
        size_t at, n;

        if (!meta.p || meta.p[0] != '{')
                return NULL;
        at = (size_t)(meta.p + 1 - stored->data);
        n = (size_t)snprintf(text, sizeof(text), REVISION_KEY "%" PRIu64 "\"%s", revision, meta.len > 2 ? "," : "");
        b = blob_alloc(stored->len + n);
        if (!b)
                return NULL;
        memcpy(b->data, stored->data, at);
        memcpy(b->data + at, text, n);
        memcpy(b->data + at + n, stored->data + at, stored->len - at);
        return b;
}

/* What object_new collects before it knows how much memory the object needs. */
struct gather {
        struct span labels;
        size_t nlabels, nfields, bytes;
        struct span fields[16];
        char *owned[16]; /* values that had to be made */
};

/* A string with escapes is the only value that needs more than a look. */
static struct span unescaped(struct gather *g, size_t i, const char *path, struct span json, struct json_object **tree)
{
        const char *text;

        if (!*tree)
                json_parse(json.p, json.len, tree, NULL);
        text = json_at_str(*tree, path);
        g->owned[i] = strdup(text ? text : "");
        return g->owned[i] ? (struct span){g->owned[i], strlen(g->owned[i])} : (struct span){"", 0};
}

static void gather_field(struct gather *g, const struct kind_field *f, struct span json, struct json_object **tree)
{
        const char *path = f->path, *otherwise = f->otherwise ? f->otherwise : "";
        struct span v = peek_path(json, path), s;
        size_t i = g->nfields++;

        if (f->or_path && (!v.p || (v.len == 2 && v.p[0] == '"'))) {
                path = f->or_path;
                v = peek_path(json, path);
        }
        if (!v.p)
                s = (struct span){otherwise, strlen(otherwise)};
        else if (v.p[0] != '"')
                s = v; /* a number or a boolean: its text */
        else
                s = peek_plain_string(v);
        if (!s.p)
                s = unescaped(g, i, path, json, tree);
        g->fields[i] = s;
        g->bytes += s.len + 1;
}

static void gather_all(struct gather *g, const struct kind_ops *ops, struct span json)
{
        _cleanup_json_ struct json_object *tree = NULL;
        const struct kind_field *f;
        struct span k, v;
        size_t at = 0;

        g->labels = peek_path(json, "metadata.labels");
        while (peek_next(g->labels, &at, &k, &v)) {
                g->nlabels++;
                g->bytes += k.len + v.len + 2;
        }
        for (f = ops->fields; f && f->label && g->nfields < ARRAY_SIZE(g->fields); f++)
                gather_field(g, f, json, &tree);
}

static char *put_span(char **at, struct span s)
{
        char *p = *at;

        if (s.len)
                memcpy(p, s.p, s.len);
        p[s.len] = '\0';
        *at += s.len + 1;
        return p;
}

static struct object *object_build(const struct gather *g, const char *namespace, const char *name)
{
        size_t fixed = sizeof(struct object) + g->nlabels * sizeof(struct label) + g->nfields * sizeof(char *);
        struct object *o = malloc(fixed + g->bytes + 2 * strlen(namespace) + strlen(name) + 3);
        struct label *labels;
        struct span k, v;
        size_t at = 0, i;
        const char **fields;
        char *text;

        if (!o)
                return NULL;
        labels = (struct label *)(o + 1);
        fields = (const char **)(labels + g->nlabels);
        text = (char *)(fields + g->nfields);
        atomic_init(&o->refs, 1);
        o->namespace = put_span(&text, (struct span){namespace, strlen(namespace)});
        o->key = text;
        if (*namespace)
                text = stpcpy(stpcpy(text, namespace), "/");
        o->name = put_span(&text, (struct span){name, strlen(name)});
        for (i = 0; i < g->nlabels && peek_next(g->labels, &at, &k, &v); i++)
                labels[i] = (struct label){put_span(&text, k), put_span(&text, peek_plain_string(v))};
        for (i = 0; i < g->nfields; i++)
                fields[i] = put_span(&text, g->fields[i]);
        o->nlabels = (uint32_t)g->nlabels;
        o->nfields = (uint16_t)g->nfields;
        o->labels = labels;
        o->fields = fields;
        return o;
}

struct object *object_new(const struct kind_ops *ops, const char *namespace, const char *name, uint64_t revision,
                          uint64_t create_revision, const struct blob *stored)
{
        _cleanup_blob_ struct blob *json = object_with_revision(stored, revision);
        struct gather g = {0};
        struct object *o;
        size_t i;

        if (!json)
                return NULL;
        gather_all(&g, ops, (struct span){json->data, json->len});
        o = object_build(&g, namespace ? namespace : "", name);
        for (i = 0; i < g.nfields; i++)
                free(g.owned[i]);
        if (!o)
                return NULL;
        o->revision = revision;
        o->create_revision = create_revision;
        o->json = TAKE_PTR(json);
        return o;
}

struct object *object_at_revision(const struct kind_ops *ops, const struct object *o, uint64_t revision)
{
        struct span rv = peek_path((struct span){o->json->data, o->json->len}, "metadata.resourceVersion");
        _cleanup_blob_ struct blob *stored = NULL;
        size_t head, tail;

        if (!rv.p)
                return NULL;
        /* Cut out `"resourceVersion":"N"` and the comma behind it, which object_with_revision had put first. */
        head = (size_t)(rv.p - o->json->data) - (sizeof(REVISION_KEY) - 2);
        tail = (size_t)(rv.p + rv.len - o->json->data);
        if (o->json->data[tail] == ',')
                tail++;
        stored = blob_alloc(head + o->json->len - tail);
        if (!stored)
                return NULL;
        memcpy(stored->data, o->json->data, head);
        memcpy(stored->data + head, o->json->data + tail, o->json->len - tail);
        return object_new(ops, o->namespace, o->name, revision, o->create_revision, stored);
}

struct object *object_ref(struct object *o)
{
        if (o)
                atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
        return o;
}

void object_unref(struct object *o)
{
        if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
                return;
        blob_unref(o->json);
        free(o);
}

static void encode_member(struct strbuf *b, const char *key, const struct json_object *val)
{
        if (b->data[b->len - 1] != '{')
                strbuf_add_char(b, ',');
        strbuf_add_json_str(b, key, strlen(key));
        strbuf_add_char(b, ':');
        json_write(b, val);
}

static void encode_metadata(struct strbuf *b, const struct json_object *meta)
{
        strbuf_add_str(b, "\"metadata\":{");
        json_foreach (meta, key, val) {
                if (strcmp(key, "resourceVersion") != 0)
                        encode_member(b, key, val);
        }
        strbuf_add_char(b, '}');
}

void object_encode(struct strbuf *b, const struct json_object *obj)
{
        strbuf_add_char(b, '{');
        encode_member(b, "kind", json_get(obj, "kind"));
        encode_member(b, "apiVersion", json_get(obj, "apiVersion"));
        strbuf_add_char(b, ',');
        encode_metadata(b, json_get(obj, "metadata"));
        json_foreach (obj, key, val) {
                if (strcmp(key, "kind") != 0 && strcmp(key, "apiVersion") != 0 && strcmp(key, "metadata") != 0)
                        encode_member(b, key, val);
        }
        strbuf_add_char(b, '}');
}

struct json_object *object_tree(const struct object *o)
{
        struct json_object *tree = NULL;

        return json_parse(o->json->data, o->json->len, &tree, NULL) ? NULL : tree;
}
