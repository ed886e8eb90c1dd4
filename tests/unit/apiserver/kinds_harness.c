/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "unit/apiserver/kinds_harness.h"

static struct json_object *parse(const char *text)
{
        _cleanup_free_ char *copy = mem_strdup(text);
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        for (char *s = copy; *s; s++)
                if (*s == '\'')
                        *s = '"';
                else if (*s == '~')
                        *s = '\'';
        if (json_parse(copy, strlen(copy), &o, &err))
                fail_msg("%s in %s", err.msg, copy);
        return o;
}

static void merge(struct json_object *into, const struct json_object *patch)
{
        json_foreach (patch, key, val) {
                if (!val)
                        json_del(into, key);
                else if (json_is_object(val) && json_is_object(json_get(into, key)))
                        merge(json_get(into, key), val);
                else
                        json_set(into, key, json_copy(val));
        }
}

struct json_object *kinds_json(const char *base, const char *patch)
{
        struct json_object *o = parse(base);

        if (patch) {
                _cleanup_json_ struct json_object *p = parse(patch);

                merge(o, p);
        }
        return o;
}

struct context {
        struct kctx c;
        struct arena arena;
        struct warnings warnings;
};

struct kctx *kinds_context(const struct kinds_suite *s)
{
        static const struct kind_config config = {
                .service_cidr = {"10.96.0.0/16"}, .node_port_first = 30000, .node_port_last = 32767};
        static const struct user_info user = {.name = "admin"};
        const struct schema_resource *r = schema_resource_find(s->ops->group, s->version, s->ops->plural);
        struct context *x = mem_new(struct context);

        assert_non_null(r);
        x->c = (struct kctx){
                .arena = &x->arena,
                .config = &config,
                .reader = s->reader,
                .resource = r,
                .subresource = s->subresource,
                .namespace = r->namespaced ? "default" : NULL,
                .user = &user,
                .warnings = &x->warnings,
                .now_us = 1700000000000000LL,
        };
        x->warnings.arena = &x->arena;
        return &x->c;
}

void kinds_context_deinit(struct kctx *c)
{
        arena_deinit(c->arena);
        free(container_of(c, struct context, c));
}

/* The first place where o is not what it must be, as text; NULL when it is. */
static char *differs(const struct json_object *o, const struct json_object *expect, const char *path)
{
        json_foreach (expect, key, want) {
                _cleanup_free_ char *at = mem_printf("%s.%s", path, key);
                struct json_object *got = json_get(o, key);
                char *inner;

                if (!want && got)
                        return mem_printf("%s is there: %s", at, json_object_to_json_string(got));
                if (want && !got)
                        return mem_printf("%s is not there", at);
                if (json_is_object(want) && json_object_object_length(want)) {
                        inner = differs(got, want, at);
                        if (inner)
                                return inner;
                } else if (json_is_array(want)) {
                        if (json_len(want) != json_len(got))
                                return mem_printf("%s has %zu items: %s", at, json_len(got),
                                                  json_object_to_json_string(got));
                        json_array_foreach (want, i, item) {
                                _cleanup_free_ char *here = mem_printf("%s[%zu]", at, i);

                                if (json_is_object(item))
                                        inner = differs(json_idx(got, i), item, here);
                                else
                                        inner = json_equal(item, json_idx(got, i)) ? NULL : mem_strdup(here);
                                if (inner)
                                        return inner;
                        }
                } else if (want && !json_equal(want, got)) {
                        return mem_printf("%s is %s", at, json_object_to_json_string(got));
                }
        }
        return NULL;
}

static void check_objects(const struct kinds_suite *s, const struct kinds_row *rows, size_t n, bool prepare)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = kinds_json(s->base, rows[i].patch);
                _cleanup_json_ struct json_object *expect = parse(rows[i].expect);
                struct kctx *c = kinds_context(s);
                char *wrong;

                if (s->ops->defaults)
                        s->ops->defaults(c, obj);
                if (prepare && s->ops->prepare_create)
                        s->ops->prepare_create(c, obj);
                wrong = differs(obj, expect, "");
                if (wrong)
                        fail_msg("row %zu (%s): %s\nexpected %s\ngot %s", i, rows[i].patch, wrong, rows[i].expect,
                                 json_object_to_json_string(obj));
                kinds_context_deinit(c);
        }
}

void kinds_check_defaults(const struct kinds_suite *s, const struct kinds_row *rows, size_t n)
{
        check_objects(s, rows, n, false);
}

void kinds_check_create(const struct kinds_suite *s, const struct kinds_row *rows, size_t n)
{
        check_objects(s, rows, n, true);
}

static void expect_errors(const struct ferrs *e, size_t row, const char *patch, const char *expect)
{
        _cleanup_strbuf_ struct strbuf got = STRBUF_NULL;

        strbuf_add_str(&got, "");
        for (size_t i = 0; i < e->n; i++)
                strbuf_printf(&got, "%s%s: %s", i ? "\n" : "", e->items[i].field, e->items[i].body);
        if (strcmp(got.data ? got.data : "", expect) != 0)
                fail_msg("row %zu (%s):\nexpected %s\ngot      %s", row, patch, expect, got.data);
}

void kinds_check_validate(const struct kinds_suite *s, const struct kinds_row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = kinds_json(s->base, rows[i].patch);
                struct kctx *c = kinds_context(s);
                struct ferrs e = FERRS(c->arena);

                if (s->ops->defaults)
                        s->ops->defaults(c, obj);
                if (s->ops->prepare_create)
                        s->ops->prepare_create(c, obj);
                s->ops->validate(c, obj, &e);
                if (s->ops->stage)
                        s->ops->stage(c, obj, NULL, NULL, &e);
                expect_errors(&e, i, rows[i].patch, rows[i].expect);
                kinds_context_deinit(c);
        }
}

static void check_changes(const struct kinds_suite *s, const struct kinds_update_row *rows, size_t n, bool status)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *old = kinds_json(s->base, rows[i].old_patch);
                _cleanup_json_ struct json_object *patch = parse(rows[i].patch), *obj = NULL;
                struct kctx *c = kinds_context(s);
                struct ferrs e = FERRS(c->arena);

                if (s->ops->defaults)
                        s->ops->defaults(c, old);
                if (s->ops->prepare_create && !status)
                        s->ops->prepare_create(c, old);
                obj = json_copy(old);
                merge(obj, patch);
                if (s->ops->defaults)
                        s->ops->defaults(c, obj);
                if (status && s->ops->prepare_status)
                        s->ops->prepare_status(c, obj, old);
                else if (!status && s->ops->prepare_update)
                        s->ops->prepare_update(c, obj, old);
                (status ? s->ops->validate_status : s->ops->validate_update)(c, obj, old, &e);
                expect_errors(&e, i, rows[i].patch, rows[i].expect);
                kinds_context_deinit(c);
        }
}

void kinds_check_update(const struct kinds_suite *s, const struct kinds_update_row *rows, size_t n)
{
        check_changes(s, rows, n, false);
}

void kinds_check_status(const struct kinds_suite *s, const struct kinds_update_row *rows, size_t n)
{
        check_changes(s, rows, n, true);
}

void kinds_check_warnings(const struct kinds_suite *s, const struct kinds_row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = kinds_json(s->base, rows[i].patch);
                _cleanup_strbuf_ struct strbuf got = STRBUF_NULL;
                struct kctx *c = kinds_context(s);

                if (s->ops->defaults)
                        s->ops->defaults(c, obj);
                s->ops->warn(c, obj, NULL);
                strbuf_add_str(&got, "");
                for (size_t w = 0; w < c->warnings->n; w++)
                        strbuf_printf(&got, "%s%s", w ? "\n" : "", c->warnings->items[w]);
                assert_string_equal(got.data ? got.data : "", rows[i].expect);
                kinds_context_deinit(c);
        }
}
