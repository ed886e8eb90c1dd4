/* SPDX-License-Identifier: Apache-2.0 */
#include "kindcase.h"

#include <string.h>

#include "base/str.h"

struct json_object *case_json(const char *text)
{
        struct json_object *obj = NULL;
        struct err e = ERR_NULL;
        char *copy = strdup(text);

        for (char *p = copy; *p; p++)
                if (*p == '\'')
                        *p = '"';
        if (json_parse(copy, strlen(copy), &obj, &e))
                fail_msg("%s: %s", text, e.msg);
        free(copy);
        return obj;
}

struct run {
        struct arena arena;
        struct warnings warnings;
        struct user_info user;
        struct kctx c;
};

static const struct kind_config no_config;
static const char *const groups[] = {"system:authenticated", NULL};

static void run_begin(struct run *r, const struct kind_config *config)
{
        *r = (struct run){.warnings.arena = &r->arena, .user = {.name = "alice", .uid = "u-1", .groups = groups}};
        r->c = (struct kctx){.arena = &r->arena,
                             .config = config ? config : &no_config,
                             .user = &r->user,
                             .warnings = &r->warnings,
                             .namespace = "ns",
                             .now_us = 1767225600000000};
}

static void normalise(const struct kind_ops *ops, const struct kctx *c, struct json_object *obj,
                      const struct json_object *old)
{
        if (ops->defaults)
                ops->defaults(c, obj);
        if (!old && ops->prepare_create)
                ops->prepare_create(c, obj);
        if (old && ops->prepare_update)
                ops->prepare_update(c, obj, old);
}

static void compare(const char *in, const struct json_object *got, const char *want_text)
{
        _cleanup_json_ struct json_object *want = case_json(want_text);

        if (!json_equal(got, want)) {
                char *text = json_text(got);

                print_error("in:   %s\ngot:  %s\nwant: %s\n", in, text, want_text);
                free(text);
                fail();
        }
}

void run_default_cases(const struct kind_ops *ops, const struct kind_config *config, const struct default_case *rows,
                       size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = case_json(rows[i].in);
                struct run r;

                run_begin(&r, config);
                normalise(ops, &r.c, obj, NULL);
                compare(rows[i].in, obj, rows[i].out);
                arena_deinit(&r.arena);
        }
}

void run_update_cases(const struct kind_ops *ops, const struct kind_config *config, const struct update_case *rows,
                      size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = case_json(rows[i].obj), *old = case_json(rows[i].old);
                struct run r;

                run_begin(&r, config);
                normalise(ops, &r.c, old, NULL);
                normalise(ops, &r.c, obj, old);
                compare(rows[i].obj, obj, rows[i].out);
                arena_deinit(&r.arena);
        }
}

static void compare_errors(const struct error_case *row, const struct ferrs *e)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < e->n; i++)
                strbuf_printf(&b, "%s%s: %s", i ? "\n" : "", e->items[i].field, e->items[i].body);
        if (!str_eq(b.len ? b.data : "", row->errors)) {
                print_error("in:   %s\nold:  %s\ngot:  %s\nwant: %s\n", row->obj, row->old ? row->old : "",
                            b.len ? b.data : "", row->errors);
                fail();
        }
}

void run_error_cases(const struct kind_ops *ops, const struct kind_config *config, const struct error_case *rows,
                     size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = case_json(rows[i].obj);
                _cleanup_json_ struct json_object *old = rows[i].old ? case_json(rows[i].old) : NULL;
                struct ferrs e;
                struct run r;

                run_begin(&r, config);
                e = FERRS(&r.arena);
                if (old)
                        normalise(ops, &r.c, old, NULL);
                normalise(ops, &r.c, obj, old);
                ops->validate(&r.c, obj, &e);
                if (old && ops->validate_update)
                        ops->validate_update(&r.c, obj, old, &e);
                compare_errors(&rows[i], &e);
                arena_deinit(&r.arena);
        }
}

void run_status_cases(const struct kind_ops *ops, const struct error_case *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_json_ struct json_object *obj = case_json(rows[i].obj), *old = case_json(rows[i].old);
                struct ferrs e;
                struct run r;

                run_begin(&r, NULL);
                r.c.subresource = "status";
                e = FERRS(&r.arena);
                if (ops->defaults)
                        ops->defaults(&r.c, obj);
                if (ops->prepare_status)
                        ops->prepare_status(&r.c, obj, old);
                ops->validate_status(&r.c, obj, old, &e);
                compare_errors(&rows[i], &e);
                arena_deinit(&r.arena);
        }
}
