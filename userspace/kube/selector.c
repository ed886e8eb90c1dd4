/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors: a lexer, a parser of one token look-ahead, and matching. Grammar: apimachinery/pkg/labels. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kube/names.h"
#include "kube/selector.h"

enum token_kind {
        TOKEN_ERROR,
        TOKEN_END,
        TOKEN_CLOSE,
        TOKEN_COMMA,
        TOKEN_NOT,
        TOKEN_DOUBLE_EQUALS,
        TOKEN_EQUALS,
        TOKEN_GREATER,
        TOKEN_IDENTIFIER,
        TOKEN_IN,
        TOKEN_LESS,
        TOKEN_NOT_EQUALS,
        TOKEN_NOT_IN,
        TOKEN_OPEN,
};

struct token {
        enum token_kind kind;
        const char *text;
};

struct literal {
        const char *text;
        enum token_kind kind;
};

/* Longer ones first. */
static const struct literal symbols[] = {
        {"==", TOKEN_DOUBLE_EQUALS}, {"!=", TOKEN_NOT_EQUALS}, {"=", TOKEN_EQUALS}, {"!", TOKEN_NOT},
        {">", TOKEN_GREATER},        {"<", TOKEN_LESS},        {"(", TOKEN_OPEN},   {")", TOKEN_CLOSE},
        {",", TOKEN_COMMA},
};

#define SPECIALS "=!(),><"
#define BLANKS   " \t\r\n"

/* Requirements while they are being collected; everything lies in the arena. */
struct builder {
        struct arena *mem;
        struct selector_req *reqs;
        size_t nreqs, cap;
        struct err *reterr;
};

struct parser {
        const char *pos;
        struct token next;
        struct builder build;
};

static void lex(struct parser *p)
{
        struct token *t = &p->next;
        size_t n;

        p->pos += strspn(p->pos, BLANKS);
        if (!*p->pos) {
                *t = (struct token){TOKEN_END, ""};
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
                if (str_has_prefix(p->pos, symbols[i].text)) {
                        *t = (struct token){symbols[i].kind, symbols[i].text};
                        p->pos += strlen(symbols[i].text);
                        return;
                }
        n = strcspn(p->pos, SPECIALS BLANKS);
        *t = (struct token){TOKEN_IDENTIFIER, arena_strndup(p->build.mem, p->pos, n)};
        if (str_eq(t->text, "in"))
                t->kind = TOKEN_IN;
        else if (str_eq(t->text, "notin"))
                t->kind = TOKEN_NOT_IN;
        p->pos += n;
}

/* The next token; where keys and values are expected, "in" and "notin" are plain words. */
static struct token peek_word(const struct parser *p)
{
        struct token t = p->next;

        if (t.kind == TOKEN_IN || t.kind == TOKEN_NOT_IN)
                t.kind = TOKEN_IDENTIFIER;
        return t;
}

static struct token take(struct parser *p)
{
        struct token t = p->next;

        lex(p);
        return t;
}

static struct token take_word(struct parser *p)
{
        struct token t = peek_word(p);

        lex(p);
        return t;
}

static int unexpected(struct parser *p, struct token found, const char *expected)
{
        return err_set(p->build.reterr, -EINVAL, "unable to parse requirement: found '%s', expected: %s", found.text,
                       expected);
}

/* Sets reterr to "path: Invalid value: "value": a; b" for what is wrong with the value. */
static int invalid(struct builder *b, const char *path, const char *value, const struct name_errors *e)
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;

        strbuf_printf(&text, "%s: Invalid value: ", path);
        strbuf_add_quoted(&text, value, strlen(value));
        for (size_t i = 0; i < e->n; i++)
                strbuf_printf(&text, "%s%s", i ? "; " : ": ", e->msg[i]);
        return err_set(b->reterr, -EINVAL, "%s", text.data);
}

static int check_key(struct builder *b, const char *path, const char *key)
{
        struct name_errors e;

        return name_check(NAME_LABEL_KEY, key, &e) ? invalid(b, path, key, &e) : 0;
}

static int check_value(struct builder *b, const char *key, size_t i, const char *value)
{
        _cleanup_strbuf_ struct strbuf path = STRBUF_NULL;
        struct name_errors e;

        if (!name_check(NAME_LABEL_VALUE, value, &e))
                return 0;
        strbuf_printf(&path, "values[%zu][%s]", i, key);
        return invalid(b, path.data, value, &e);
}

static int check_number(struct builder *b, struct selector_req *req)
{
        static const struct name_errors not_a_number = {1, {"for 'Gt', 'Lt' operators, the value must be an integer"}};

        if (str_parse_i64(req->values[0], &req->number))
                return invalid(b, "values[0]", req->values[0], &not_a_number);
        return 0;
}

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts, and drops what is there twice. Returns how many are left. */
static size_t sort_unique(const char **values, size_t n)
{
        size_t kept = 0;

        if (n)
                qsort(values, n, sizeof(*values), compare_strings);
        for (size_t i = 0; i < n; i++)
                if (!kept || strcmp(values[kept - 1], values[i]) != 0)
                        values[kept++] = values[i];
        return kept;
}

/* Strings in an arena array that doubles. */
struct words {
        const char **v;
        size_t n, cap;
};

static void words_add(struct arena *mem, struct words *w, const char *s)
{
        if (w->n == w->cap) {
                const char **bigger = arena_array(mem, const char *, w->cap ? w->cap * 2 : 4);

                if (w->n)
                        memcpy(bigger, w->v, w->n * sizeof(*bigger));
                w->cap = w->cap ? w->cap * 2 : 4;
                w->v = bigger;
        }
        w->v[w->n++] = s;
}

/* Checks one requirement and takes it in. The values lie in the arena. */
static int builder_add(struct builder *b, const char *key, enum selector_op op, const struct words *values)
{
        struct selector_req req = {.key = key, .op = op, .values = values->v, .nvalues = values->n};
        int r = check_key(b, "key", key);

        if (!r && (op == SELECTOR_GREATER || op == SELECTOR_LESS))
                r = check_number(b, &req);
        for (size_t i = 0; i < values->n && !r; i++)
                r = check_value(b, key, i, values->v[i]);
        if (r)
                return r;
        req.nvalues = sort_unique(values->v, values->n);
        if (b->nreqs == b->cap) {
                size_t cap = b->cap ? b->cap * 2 : 4;
                struct selector_req *bigger = arena_array(b->mem, struct selector_req, cap);

                if (b->nreqs)
                        memcpy(bigger, b->reqs, b->nreqs * sizeof(*bigger));
                b->reqs = bigger;
                b->cap = cap;
        }
        b->reqs[b->nreqs++] = req;
        return 0;
}

static int parse_key(struct parser *p, const char **ret_key, bool *ret_negated)
{
        bool negated = p->next.kind == TOKEN_NOT;
        struct token t;
        int r;

        if (negated)
                take(p);
        t = take_word(p);
        if (t.kind != TOKEN_IDENTIFIER)
                return unexpected(p, t, "identifier");
        r = check_key(&p->build, "<nil>", t.text);
        if (r)
                return err_prefix(p->build.reterr, r, "unable to parse requirement");
        *ret_key = t.text;
        *ret_negated = negated;
        return 0;
}

static int parse_operator(struct parser *p, enum selector_op *ret)
{
        struct token t = take(p);

        switch (t.kind) {
        case TOKEN_IN:
                *ret = SELECTOR_IN;
                return 0;
        case TOKEN_NOT_IN:
                *ret = SELECTOR_NOT_IN;
                return 0;
        case TOKEN_EQUALS:
                *ret = SELECTOR_EQUALS;
                return 0;
        case TOKEN_DOUBLE_EQUALS:
                *ret = SELECTOR_DOUBLE_EQUALS;
                return 0;
        case TOKEN_NOT_EQUALS:
                *ret = SELECTOR_NOT_EQUALS;
                return 0;
        case TOKEN_GREATER:
                *ret = SELECTOR_GREATER;
                return 0;
        case TOKEN_LESS:
                *ret = SELECTOR_LESS;
                return 0;
        default:
                return unexpected(p, t, "in, notin, =, ==, !=, gt, lt");
        }
}

/* What stands between the parentheses: words and commas, where no word is the empty string. */
static int parse_list(struct parser *p, struct words *values)
{
        for (;;) {
                struct token t = take_word(p), after = peek_word(p);

                if (t.kind == TOKEN_IDENTIFIER) {
                        words_add(p->build.mem, values, t.text);
                        if (after.kind == TOKEN_CLOSE)
                                return 0;
                        if (after.kind != TOKEN_COMMA)
                                return unexpected(p, after, "',' or ')'");
                        continue;
                }
                if (t.kind != TOKEN_COMMA)
                        return unexpected(p, t, "',', or identifier");
                if (!values->n || after.kind == TOKEN_CLOSE || after.kind == TOKEN_COMMA)
                        words_add(p->build.mem, values, "");
                if (after.kind == TOKEN_CLOSE)
                        return 0;
        }
}

static int parse_set(struct parser *p, struct words *values)
{
        struct token t = take_word(p);
        int r;

        if (t.kind != TOKEN_OPEN)
                return err_set(p->build.reterr, -EINVAL, "unable to parse requirement: found '%s' expected: '('",
                               t.text);
        t = peek_word(p);
        if (t.kind == TOKEN_CLOSE) {
                take(p);
                words_add(p->build.mem, values, "");
                return 0;
        }
        if (t.kind != TOKEN_IDENTIFIER && t.kind != TOKEN_COMMA)
                return unexpected(p, t, "',', ')' or identifier");
        r = parse_list(p, values);
        if (r)
                return r;
        take(p); /* parse_list stops before the ')' */
        return 0;
}

static int parse_exact(struct parser *p, struct words *values)
{
        struct token t = peek_word(p);

        if (t.kind == TOKEN_END || t.kind == TOKEN_COMMA) {
                words_add(p->build.mem, values, "");
                return 0;
        }
        take(p);
        if (t.kind != TOKEN_IDENTIFIER)
                return unexpected(p, t, "identifier");
        words_add(p->build.mem, values, t.text);
        return 0;
}

static int parse_requirement(struct parser *p)
{
        enum selector_op op = SELECTOR_EXISTS;
        struct words values = {0};
        const char *key = NULL;
        bool negated = false;
        int r = parse_key(p, &key, &negated);

        if (r)
                return r;
        if (p->next.kind == TOKEN_END || p->next.kind == TOKEN_COMMA) {
                op = negated ? SELECTOR_NOT_EXISTS : SELECTOR_EXISTS;
        } else if (!negated) {
                r = parse_operator(p, &op);
                if (!r)
                        r = op == SELECTOR_IN || op == SELECTOR_NOT_IN ? parse_set(p, &values)
                                                                       : parse_exact(p, &values);
                if (r)
                        return r;
        } else {
                op = SELECTOR_NOT_EXISTS; /* what follows is refused by the caller: "!a=b" is no requirement */
        }
        r = builder_add(&p->build, key, op, &values);
        return r ? err_prefix(p->build.reterr, r, "unable to parse requirement") : 0;
}

static int parse_all(struct parser *p)
{
        int r;

        for (;;) {
                struct token t = peek_word(p);

                if (t.kind == TOKEN_END)
                        return 0;
                if (t.kind != TOKEN_IDENTIFIER && t.kind != TOKEN_NOT)
                        return err_set(p->build.reterr, -EINVAL,
                                       "found '%s', expected: !, identifier, or 'end of string'", t.text);
                r = parse_requirement(p);
                if (r)
                        return r;
                t = take_word(p);
                if (t.kind == TOKEN_END)
                        return 0;
                if (t.kind != TOKEN_COMMA)
                        return err_set(p->build.reterr, -EINVAL, "found '%s', expected: ',' or 'end of string'",
                                       t.text);
                t = peek_word(p);
                if (t.kind != TOKEN_IDENTIFIER && t.kind != TOKEN_NOT)
                        return err_set(p->build.reterr, -EINVAL, "found '%s', expected: identifier after ','", t.text);
        }
}

static int compare_reqs(const void *a, const void *b)
{
        return strcmp(((const struct selector_req *)a)->key, ((const struct selector_req *)b)->key);
}

static void selector_finish(struct selector *s, struct builder *b)
{
        if (b->nreqs)
                qsort(b->reqs, b->nreqs, sizeof(*b->reqs), compare_reqs);
        s->reqs = b->reqs;
        s->nreqs = b->nreqs;
}

int selector_parse(const char *text, struct selector **ret, struct err *reterr)
{
        _cleanup_selector_ struct selector *s = mem_new(struct selector);
        struct parser p = {.pos = text, .build = {.mem = &s->mem, .reterr = reterr}};
        int r;

        lex(&p);
        r = parse_all(&p);
        if (r)
                return r;
        selector_finish(s, &p.build);
        *ret = TAKE_PTR(s);
        return 0;
}

static int add_map(struct builder *b, const struct json_object *map)
{
        json_foreach (map, key, val) {
                struct words values = {0};
                int r;

                if (!json_is_string(val))
                        return err_set(b->reterr, -EINVAL, "matchLabels[%s]: must be a string", key);
                words_add(b->mem, &values, arena_strdup(b->mem, json_object_get_string(val)));
                r = builder_add(b, arena_strdup(b->mem, key), SELECTOR_EQUALS, &values);
                if (r)
                        return r;
        }
        return 0;
}

static int expression_op(struct builder *b, const char *name, size_t nvalues, enum selector_op *ret)
{
        static const struct {
                const char *name;
                enum selector_op op;
                bool values;
        } ops[] = {
                {"In", SELECTOR_IN, true},
                {"NotIn", SELECTOR_NOT_IN, true},
                {"Exists", SELECTOR_EXISTS, false},
                {"DoesNotExist", SELECTOR_NOT_EXISTS, false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
                if (!str_eq(name, ops[i].name))
                        continue;
                if (ops[i].values && !nvalues)
                        return err_set(
                                b->reterr, -EINVAL,
                                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
                if (!ops[i].values && nvalues)
                        return err_set(b->reterr, -EINVAL,
                                       "values: values set must be empty for exists and does not exist");
                *ret = ops[i].op;
                return 0;
        }
        return err_set(b->reterr, -EINVAL, "\"%s\" is not a valid label selector operator", name ? name : "");
}

static int add_expression(struct builder *b, const struct json_object *o)
{
        const struct json_object *list = json_get(o, "values");
        const char *key = json_get_str(o, "key");
        struct words values = {0};
        enum selector_op op = SELECTOR_IN;
        int r = expression_op(b, json_get_str(o, "operator"), json_len(list), &op);

        if (r)
                return r;
        json_array_foreach (list, i, val) {
                if (!json_is_string(val))
                        return err_set(b->reterr, -EINVAL, "values[%zu]: must be a string", i);
                words_add(b->mem, &values, arena_strdup(b->mem, json_object_get_string(val)));
        }
        return builder_add(b, arena_strdup(b->mem, key ? key : ""), op, &values);
}

int selector_from_label_selector(const struct json_object *o, struct selector **ret, struct err *reterr)
{
        _cleanup_selector_ struct selector *s = mem_new(struct selector);
        struct builder b = {.mem = &s->mem, .reterr = reterr};
        int r = add_map(&b, json_get(o, "matchLabels"));

        if (r)
                return r;
        json_array_foreach (json_get(o, "matchExpressions"), i, e) {
                r = add_expression(&b, e);
                if (r)
                        return r;
        }
        s->nothing = !o;
        selector_finish(s, &b);
        *ret = TAKE_PTR(s);
        return 0;
}

int selector_from_map(const struct json_object *map, struct selector **ret, struct err *reterr)
{
        _cleanup_selector_ struct selector *s = mem_new(struct selector);
        struct builder b = {.mem = &s->mem, .reterr = reterr};
        int r = add_map(&b, map);

        if (r)
                return r;
        selector_finish(s, &b);
        *ret = TAKE_PTR(s);
        return 0;
}

void selector_free(struct selector *s)
{
        if (!s)
                return;
        arena_deinit(&s->mem);
        free(s);
}

static bool has_value(const struct selector_req *r, const char *value)
{
        for (size_t i = 0; i < r->nvalues; i++)
                if (strcmp(r->values[i], value) == 0)
                        return true;
        return false;
}

static bool req_match(const struct selector_req *r, const char *value)
{
        int64_t number;

        switch (r->op) {
        case SELECTOR_EQUALS:
        case SELECTOR_DOUBLE_EQUALS:
        case SELECTOR_IN:
                return value && has_value(r, value);
        case SELECTOR_NOT_EQUALS:
        case SELECTOR_NOT_IN:
                return !value || !has_value(r, value);
        case SELECTOR_EXISTS:
                return value != NULL;
        case SELECTOR_NOT_EXISTS:
                return value == NULL;
        case SELECTOR_GREATER:
                return value && !str_parse_i64(value, &number) && number > r->number;
        case SELECTOR_LESS:
                return value && !str_parse_i64(value, &number) && number < r->number;
        }
        return false;
}

bool selector_match(const struct selector *s, selector_lookup_fn lookup, const void *labels)
{
        if (!s)
                return true;
        if (s->nothing)
                return false;
        for (size_t i = 0; i < s->nreqs; i++)
                if (!req_match(&s->reqs[i], lookup(labels, s->reqs[i].key)))
                        return false;
        return true;
}

static const char *lookup_json(const void *labels, const char *key)
{
        return json_get_str(labels, key);
}

bool selector_match_json(const struct selector *s, const struct json_object *labels)
{
        return selector_match(s, lookup_json, labels);
}

static const char *lookup_array(const void *labels, const char *key)
{
        const struct label_array *a = labels;

        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->labels[i].key, key) == 0)
                        return a->labels[i].value;
        return NULL;
}

bool selector_match_labels(const struct selector *s, const struct label_array *labels)
{
        return selector_match(s, lookup_array, labels);
}

static void req_write(struct strbuf *b, const struct selector_req *r)
{
        static const char *const infix[] = {
                [SELECTOR_EQUALS] = "=",    [SELECTOR_DOUBLE_EQUALS] = "==", [SELECTOR_NOT_EQUALS] = "!=",
                [SELECTOR_IN] = " in (",    [SELECTOR_NOT_IN] = " notin (",  [SELECTOR_EXISTS] = "",
                [SELECTOR_NOT_EXISTS] = "", [SELECTOR_GREATER] = ">",        [SELECTOR_LESS] = "<",
        };

        if (r->op == SELECTOR_NOT_EXISTS)
                strbuf_add_char(b, '!');
        strbuf_add_str(b, r->key);
        strbuf_add_str(b, infix[r->op]);
        for (size_t i = 0; i < r->nvalues; i++) {
                if (i)
                        strbuf_add_char(b, ',');
                strbuf_add_str(b, r->values[i]);
        }
        if (r->op == SELECTOR_IN || r->op == SELECTOR_NOT_IN)
                strbuf_add_char(b, ')');
}

void selector_write(struct strbuf *b, const struct selector *s)
{
        for (size_t i = 0; s && i < s->nreqs; i++) {
                if (i)
                        strbuf_add_char(b, ',');
                req_write(b, &s->reqs[i]);
        }
}
