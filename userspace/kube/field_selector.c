/* SPDX-License-Identifier: Apache-2.0 */
/* Field selectors. Grammar: apimachinery/pkg/fields. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/selector.h"

/* The bytes before the next comma that no backslash escapes. */
static size_t term_len(const char *s)
{
        size_t n = 0;

        while (s[n] && s[n] != ',')
                n += s[n] == '\\' && s[n + 1] ? 2 : 1;
        return n;
}

static const char *operator_at(const char *s, size_t n)
{
        static const char *const operators[] = {"!=", "==", "="};

        for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
                if (n >= strlen(operators[i]) && str_has_prefix(s, operators[i]))
                        return operators[i];
        return NULL;
}

/* Where the first operator that no backslash escapes stands; NULL when there is none. */
static const char *find_operator(const char *s, size_t n, size_t *ret_at)
{
        for (size_t i = 0; i < n; i++) {
                const char *op = operator_at(s + i, n - i);

                if (s[i] == '\\') {
                        i++;
                } else if (op) {
                        *ret_at = i;
                        return op;
                }
        }
        return NULL;
}

static int unescape(struct arena *mem, const char *s, size_t n, const char **ret, struct err *reterr)
{
        char *out = arena_alloc(mem, n + 1), *p = out;

        for (size_t i = 0; i < n; i++) {
                if (s[i] == ',' || s[i] == '=')
                        return err_set(reterr, -EINVAL, "invalid field selector: unescaped character in value: %d",
                                       s[i]);
                if (s[i] != '\\') {
                        *p++ = s[i];
                        continue;
                }
                i++;
                if (i == n)
                        return err_set(reterr, -EINVAL, "invalid field selector: invalid escape sequence: \\");
                if (s[i] != '\\' && s[i] != ',' && s[i] != '=')
                        return err_set(reterr, -EINVAL, "invalid field selector: invalid escape sequence: \\%c",
                                       s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?');
                *p++ = s[i];
        }
        *p = '\0';
        *ret = out;
        return 0;
}

static int parse_term(struct arena *mem, const char *s, size_t n, struct field_req *ret, struct err *reterr)
{
        size_t at, value;
        const char *op = find_operator(s, n, &at);

        if (!op)
                return -EINVAL;
        value = at + strlen(op);
        ret->negate = *op == '!';
        ret->field = arena_strndup(mem, s, at);
        return unescape(mem, s + value, n - value, &ret->value, reterr);
}

static size_t count_terms(const char *s)
{
        size_t n = 1;

        for (s += term_len(s); *s; s += 1 + term_len(s + 1))
                n++;
        return n;
}

int field_selector_parse(const char *text, struct field_selector **ret, struct err *reterr)
{
        _cleanup_field_selector_ struct field_selector *s = mem_new(struct field_selector);
        struct field_req *reqs = arena_array(&s->mem, struct field_req, count_terms(text));
        const char *p = text;

        for (;;) {
                size_t n = term_len(p);

                if (n) {
                        struct err err = ERR_NULL;

                        if (parse_term(&s->mem, p, n, &reqs[s->nreqs], &err))
                                return err.code ? err_set(reterr, -EINVAL, "%s", err.msg)
                                                : err_set(reterr, -EINVAL,
                                                          "invalid selector: '%s'; can't understand '%.*s'", text,
                                                          (int)n, p);
                        s->nreqs++;
                }
                if (!p[n])
                        break;
                p += n + 1;
        }
        s->reqs = reqs;
        *ret = TAKE_PTR(s);
        return 0;
}

void field_selector_free(struct field_selector *s)
{
        if (!s)
                return;
        arena_deinit(&s->mem);
        free(s);
}

bool field_selector_match(const struct field_selector *s, selector_lookup_fn lookup, const void *fields)
{
        for (size_t i = 0; s && i < s->nreqs; i++) {
                const char *value = lookup(fields, s->reqs[i].field);

                if ((strcmp(value ? value : "", s->reqs[i].value) == 0) == s->reqs[i].negate)
                        return false;
        }
        return true;
}

const char *field_selector_exact(const struct field_selector *s, const char *field)
{
        for (size_t i = 0; s && i < s->nreqs; i++)
                if (!s->reqs[i].negate && strcmp(s->reqs[i].field, field) == 0)
                        return s->reqs[i].value;
        return NULL;
}

void field_selector_write(struct strbuf *b, const struct field_selector *s)
{
        for (size_t i = 0; s && i < s->nreqs; i++) {
                if (i)
                        strbuf_add_char(b, ',');
                strbuf_add_str(b, s->reqs[i].field);
                strbuf_add_str(b, s->reqs[i].negate ? "!=" : "=");
                for (const char *p = s->reqs[i].value; *p; p++) {
                        if (strchr("\\,=", *p))
                                strbuf_add_char(b, '\\');
                        strbuf_add_char(b, *p);
                }
        }
}
