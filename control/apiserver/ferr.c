/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "apiserver/ferr.h"

static void path_write(struct strbuf *b, const struct fpath *p)
{
        if (p->parent)
                path_write(b, p->parent);
        if (p->name)
                strbuf_printf(b, "%s%s", b->len ? "." : "", p->name);
        else if (p->key)
                strbuf_printf(b, "[%s]", p->key);
        else
                strbuf_printf(b, "[%zu]", p->index);
}

char *fpath_text(struct arena *a, const struct fpath *p)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (!p)
                return arena_strdup(a, "<nil>");
        path_write(&b, p);
        return arena_strndup(a, b.data, b.len);
}

const char *ferr_reason(enum ferr_type type)
{
        static const char *const reasons[] = {
                [FERR_NOT_FOUND] = "FieldValueNotFound",
                [FERR_REQUIRED] = "FieldValueRequired",
                [FERR_DUPLICATE] = "FieldValueDuplicate",
                [FERR_INVALID] = "FieldValueInvalid",
                [FERR_NOT_SUPPORTED] = "FieldValueNotSupported",
                [FERR_FORBIDDEN] = "FieldValueForbidden",
                [FERR_TOO_LONG] = "FieldValueTooLong",
                [FERR_TOO_MANY] = "FieldValueTooMany",
                [FERR_INTERNAL] = "InternalError",
                [FERR_TYPE_INVALID] = "FieldValueTypeInvalid",
        };

        return reasons[type];
}

static void ferr_add(struct ferrs *e, enum ferr_type type, const struct fpath *p, struct strbuf *body)
{
        if (e->n == e->cap) {
                size_t cap = e->cap ? e->cap * 2 : 4;
                struct ferr *items = arena_array(e->arena, struct ferr, cap);

                if (e->n)
                        memcpy(items, e->items, e->n * sizeof(*items));
                e->items = items;
                e->cap = cap;
        }
        e->items[e->n++] = (struct ferr){
                .type = type,
                .field = fpath_text(e->arena, p),
                .body = arena_strndup(e->arena, body->data, body->len),
        };
        strbuf_deinit(body);
}

#define ADD_DETAIL(b, detail)                                                                                          \
        do {                                                                                                           \
                va_list ap;                                                                                            \
                if (detail) {                                                                                          \
                        strbuf_add_str(b, ": ");                                                                       \
                        va_start(ap, detail);                                                                          \
                        strbuf_vprintf(b, detail, ap);                                                                 \
                        va_end(ap);                                                                                    \
                }                                                                                                      \
        } while (0)

/* "Invalid value: <value>": strings quoted, everything else as JSON. */
static struct strbuf body_with(const char *what, const struct json_object *value)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%s: ", what);
        json_write(&b, value);
        return b;
}

static struct strbuf body_with_str(const char *what, const char *value)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%s: ", what);
        strbuf_add_json_str(&b, value, strlen(value));
        return b;
}

static struct strbuf body_of(const char *what)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, what);
        return b;
}

void ferr_required(struct ferrs *e, const struct fpath *p, const char *detail, ...)
{
        struct strbuf b = body_of("Required value");

        ADD_DETAIL(&b, detail);
        ferr_add(e, FERR_REQUIRED, p, &b);
}

void ferr_forbidden(struct ferrs *e, const struct fpath *p, const char *detail, ...)
{
        struct strbuf b = body_of("Forbidden");

        ADD_DETAIL(&b, detail);
        ferr_add(e, FERR_FORBIDDEN, p, &b);
}

void ferr_invalid(struct ferrs *e, const struct fpath *p, const struct json_object *value, const char *detail, ...)
{
        struct strbuf b = body_with("Invalid value", value);

        ADD_DETAIL(&b, detail);
        ferr_add(e, FERR_INVALID, p, &b);
}

void ferr_invalid_str(struct ferrs *e, const struct fpath *p, const char *value, const char *detail, ...)
{
        struct strbuf b = body_with_str("Invalid value", value);

        ADD_DETAIL(&b, detail);
        ferr_add(e, FERR_INVALID, p, &b);
}

void ferr_invalid_i64(struct ferrs *e, const struct fpath *p, int64_t value, const char *detail, ...)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "Invalid value: %" PRIi64, value);
        ADD_DETAIL(&b, detail);
        ferr_add(e, FERR_INVALID, p, &b);
}

void ferr_duplicate_str(struct ferrs *e, const struct fpath *p, const char *value)
{
        struct strbuf b = body_with_str("Duplicate value", value);

        ferr_add(e, FERR_DUPLICATE, p, &b);
}

void ferr_duplicate(struct ferrs *e, const struct fpath *p, const struct json_object *value)
{
        struct strbuf b = body_with("Duplicate value", value);

        ferr_add(e, FERR_DUPLICATE, p, &b);
}

void ferr_not_found_str(struct ferrs *e, const struct fpath *p, const char *value)
{
        struct strbuf b = body_with_str("Not found", value);

        ferr_add(e, FERR_NOT_FOUND, p, &b);
}

void ferr_not_supported(struct ferrs *e, const struct fpath *p, const char *value, const char *const *supported)
{
        struct strbuf b = body_with_str("Unsupported value", value);
        size_t i;

        for (i = 0; supported && supported[i]; i++) {
                strbuf_add_str(&b, i ? ", " : ": supported values: ");
                strbuf_add_json_str(&b, supported[i], strlen(supported[i]));
        }
        ferr_add(e, FERR_NOT_SUPPORTED, p, &b);
}

void ferr_too_long(struct ferrs *e, const struct fpath *p, size_t max_bytes)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "Too long: may not be more than %zu bytes", max_bytes);
        ferr_add(e, FERR_TOO_LONG, p, &b);
}

void ferr_too_many(struct ferrs *e, const struct fpath *p, size_t actual, size_t max)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "Too many: %zu: must have at most %zu item%s", actual, max, max == 1 ? "" : "s");
        ferr_add(e, FERR_TOO_MANY, p, &b);
}

void ferr_internal(struct ferrs *e, const struct fpath *p, const char *detail, ...)
{
        struct strbuf b = body_of("Internal error");

        ADD_DETAIL(&b, detail);
        ferr_add(e, FERR_INTERNAL, p, &b);
}

char *ferrs_message(const struct ferrs *e)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        size_t i;

        if (e->n > 1)
                strbuf_add_char(&b, '[');
        for (i = 0; i < e->n; i++)
                strbuf_printf(&b, "%s%s: %s", i ? ", " : "", e->items[i].field, e->items[i].body);
        if (e->n > 1)
                strbuf_add_char(&b, ']');
        return arena_strndup(e->arena, b.len ? b.data : "", b.len);
}
