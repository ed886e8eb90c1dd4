/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/json_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
        const char *at, *end, *begin;
        struct codec_report *duplicates;
        struct strbuf scratch; /* a string with escapes, a number's text */
        unsigned depth, containers;
        struct err *reterr;
};

static int read_value(struct reader *r, const struct schema_type *hint, const struct codec_path *path,
                      struct json_object **ret);

static int fail_end(struct reader *r)
{
        return err_set(r->reterr, -EINVAL, "unexpected end of JSON input");
}

static int fail_char(struct reader *r, const char *expected)
{
        unsigned char c;

        if (r->at >= r->end)
                return fail_end(r);
        c = (unsigned char)*r->at;
        if (c == '\'' || c == '\\')
                return err_set(r->reterr, -EINVAL, "invalid character '\\%c' %s", c, expected);
        if (c < 0x20 || c >= 0x7f)
                return err_set(r->reterr, -EINVAL, "invalid character '\\x%02x' %s", c, expected);
        return err_set(r->reterr, -EINVAL, "invalid character '%c' %s", c, expected);
}

static int fail_at(struct reader *r, const char *what)
{
        return err_set(r->reterr, -EINVAL, "%s at byte %zu", what, (size_t)(r->at - r->begin));
}

static void skip_space(struct reader *r)
{
        while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
                r->at++;
}

/* Bytes of the UTF-8 sequence at s, 0 when there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t n)
{
        static const struct {
                unsigned char first, last, low, high, more; /* of the lead byte, of the second byte, bytes after it */
        } rows[] = {
                {0x01, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
                {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
                {0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (*s < rows[i].first || *s > rows[i].last)
                        continue;
                if (!rows[i].more)
                        return 1;
                if (n <= rows[i].more || s[1] < rows[i].low || s[1] > rows[i].high)
                        return 0;
                for (size_t j = 2; j <= rows[i].more; j++)
                        if ((s[j] & 0xc0) != 0x80)
                                return 0;
                return rows[i].more + 1U;
        }
        return 0;
}

/* True when one of the eight bytes ends a run of plain ASCII: a quote, a backslash, a control or a byte >= 0x80. */
static bool has_special(uint64_t v)
{
        const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
        uint64_t quote = v ^ (ones * '"'), slash = v ^ (ones * '\\');

        return (((v - ones * 0x20) | (quote - ones) | (slash - ones) | v) & highs) != 0;
}

static void skip_plain(struct reader *r)
{
        uint64_t v;

        while (r->end - r->at >= 8) {
                memcpy(&v, r->at, 8);
                if (has_special(v))
                        break;
                r->at += 8;
        }
        while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)(*r->at - 0x20) < 0x60)
                r->at++;
}

static int read_hex4(struct reader *r, unsigned *ret)
{
        unsigned v = 0;

        if (r->end - r->at < 4)
                return fail_end(r);
        for (int i = 0; i < 4; i++, r->at++) {
                unsigned char c = (unsigned char)*r->at, lower = c | 0x20;

                if (c >= '0' && c <= '9')
                        v = v << 4 | (c - '0');
                else if (lower >= 'a' && lower <= 'f')
                        v = v << 4 | (lower - 'a' + 10U);
                else
                        return fail_char(r, "in \\u hexadecimal character escape");
        }
        *ret = v;
        return 0;
}

static void add_utf8(struct strbuf *b, unsigned c)
{
        if (c < 0x80) {
                strbuf_add_char(b, (char)c);
                return;
        }
        if (c < 0x800) {
                strbuf_add_char(b, (char)(0xc0 | c >> 6));
        } else {
                if (c < 0x10000) {
                        strbuf_add_char(b, (char)(0xe0 | c >> 12));
                } else {
                        strbuf_add_char(b, (char)(0xf0 | c >> 18));
                        strbuf_add_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
                }
                strbuf_add_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
        }
        strbuf_add_char(b, (char)(0x80 | (c & 0x3f)));
}

static int read_unicode_escape(struct reader *r)
{
        unsigned c, low;
        int ret = read_hex4(r, &c);

        if (ret)
                return ret;
        if (!c)
                return fail_at(r, "\\u0000 is not allowed in a string");
        if (c >= 0xd800 && c < 0xe000) {
                if (c >= 0xdc00 || r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
                        return fail_at(r, "lone surrogate in a string");
                r->at += 2;
                ret = read_hex4(r, &low);
                if (ret)
                        return ret;
                if (low < 0xdc00 || low > 0xdfff)
                        return fail_at(r, "lone surrogate in a string");
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
        add_utf8(&r->scratch, c);
        return 0;
}

static int read_escape(struct reader *r)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *which;

        r->at++;
        if (r->at >= r->end)
                return fail_end(r);
        if (*r->at == 'u') {
                r->at++;
                return read_unicode_escape(r);
        }
        which = *r->at ? strchr(from, *r->at) : NULL;
        if (!which)
                return fail_char(r, "in string escape code");
        strbuf_add_char(&r->scratch, to[which - from]);
        r->at++;
        return 0;
}

/* One step over what is no plain ASCII inside a string: an escape or a UTF-8 sequence. Fills scratch when `copy`. */
static int read_special(struct reader *r, bool copy)
{
        size_t n;

        if (r->at >= r->end)
                return fail_end(r);
        if (*r->at == '\\')
                return read_escape(r);
        if ((unsigned char)*r->at < 0x20)
                return fail_char(r, "in string literal");
        n = utf8_sequence((const unsigned char *)r->at, (size_t)(r->end - r->at));
        if (!n)
                return fail_at(r, "invalid UTF-8 in a string");
        if (copy)
                strbuf_add(&r->scratch, r->at, n);
        r->at += n;
        return 0;
}

/* The string whose opening quote is at r->at. The bytes lie in the text or, when it has escapes, in scratch. */
static int read_string(struct reader *r, const char **ret, size_t *ret_len)
{
        const char *run = ++r->at;
        bool copy = false;
        int ret_code;

        for (;;) {
                skip_plain(r);
                if (r->at < r->end && *r->at == '"')
                        break;
                if (r->at < r->end && *r->at == '\\' && !copy) {
                        r->scratch.len = 0;
                        strbuf_add(&r->scratch, run, (size_t)(r->at - run));
                        copy = true;
                } else if (copy) {
                        strbuf_add(&r->scratch, run, (size_t)(r->at - run));
                }
                ret_code = read_special(r, copy);
                if (ret_code)
                        return ret_code;
                if (copy)
                        run = r->at;
        }
        if (copy)
                strbuf_add(&r->scratch, run, (size_t)(r->at - run));
        *ret = copy ? r->scratch.data : run;
        *ret_len = copy ? r->scratch.len : (size_t)(r->at - run);
        r->at++;
        return 0;
}

static size_t skip_digits(struct reader *r)
{
        const char *from = r->at;

        while (r->at < r->end && (unsigned char)(*r->at - '0') < 10)
                r->at++;
        return (size_t)(r->at - from);
}

/* Finds the end of the number at r->at; *ret_whole: it has neither fraction nor exponent. */
static int scan_number(struct reader *r, bool *ret_whole)
{
        *ret_whole = true;
        r->at += *r->at == '-';
        if (r->at < r->end && *r->at == '0')
                r->at++;
        else if (!skip_digits(r))
                return fail_char(r, "in numeric literal");
        if (r->at < r->end && *r->at == '.') {
                *ret_whole = false;
                r->at++;
                if (!skip_digits(r))
                        return fail_char(r, "after decimal point in numeric literal");
        }
        if (r->at < r->end && (*r->at | 0x20) == 'e') {
                *ret_whole = false;
                r->at++;
                if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
                        r->at++;
                if (!skip_digits(r))
                        return fail_char(r, "in exponent of numeric literal");
        }
        return 0;
}

static int read_whole(const char *text, struct json_object **ret)
{
        char *end;

        errno = 0;
        if (*text == '-') {
                int64_t v = strtoll(text, &end, 10);

                *ret = errno ? NULL : json_object_new_int64(v);
        } else {
                uint64_t v = strtoull(text, &end, 10);

                *ret = errno ? NULL : v > INT64_MAX ? json_object_new_uint64(v) : json_object_new_int64((int64_t)v);
        }
        return *ret ? 0 : -ERANGE;
}

#define SMALL_DIGITS 18

static struct json_object *small_number(const char *s, size_t n)
{
        bool negative = *s == '-';
        int64_t v = 0;

        for (size_t i = negative; i < n; i++)
                v = v * 10 + (s[i] - '0');
        return json_object_new_int64(negative ? -v : v);
}

static int read_number(struct reader *r, struct json_object **ret)
{
        const char *from = r->at;
        bool whole;
        double d;
        int ret_code = scan_number(r, &whole);
        size_t n = (size_t)(r->at - from);

        if (ret_code)
                return ret_code;
        if (whole && n <= SMALL_DIGITS) {
                *ret = small_number(from, n);
                return 0;
        }
        r->scratch.len = 0;
        strbuf_add(&r->scratch, from, n);
        if (whole && !read_whole(r->scratch.data, ret))
                return 0;
        d = strtod(r->scratch.data, NULL);
        if (!isfinite(d))
                return err_set(r->reterr, -EINVAL, "number %.40s%s is out of range", r->scratch.data,
                               n > 40 ? "..." : "");
        *ret = json_object_new_double_s(d, r->scratch.data);
        return 0;
}

static int read_word(struct reader *r, struct json_object **ret)
{
        static const struct {
                const char *word;
                size_t n;
        } words[] = {{"true", 4}, {"false", 5}, {"null", 4}};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                if (*r->at != *words[i].word)
                        continue;
                for (size_t j = 1; j < words[i].n; j++) {
                        r->at++;
                        if (r->at >= r->end)
                                return fail_end(r);
                        if (*r->at != words[i].word[j])
                                return fail_char(r, "in literal");
                }
                r->at++;
                *ret = i == 2 ? NULL : json_object_new_boolean(i == 0);
                return 0;
        }
        return fail_char(r, "looking for beginning of value");
}

static const struct schema_field *find_field(const struct schema_struct *s, const char *key, size_t n)
{
        size_t low = 0, high = s->nfields;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                const char *name = s->fields[mid].name;
                int order = strncmp(key, name, n);

                if (!order && !name[n])
                        return &s->fields[mid];
                if (order > 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

/* Adds a member, or replaces it and reports the duplicate. Takes over val. name: the key as constant data, or NULL. */
static void add_member(struct reader *r, struct json_object *obj, const struct codec_path *path, const char *name,
                       struct json_object *val)
{
        struct lh_table *table = json_object_get_object(obj);
        char *key = name ? (char *)name : strndup(path->key, path->key_len);
        unsigned long hash = lh_get_hash(table, key);
        struct lh_entry *old = lh_table_lookup_entry_w_hash(table, key, hash);

        if (!old) {
                lh_table_insert_w_hash(table, key, val, hash, name ? JSON_C_OBJECT_ADD_CONSTANT_KEY : 0);
                return;
        }
        codec_report_add(r->duplicates, "duplicate field", path);
        json_object_put(lh_entry_v(old));
        old->v = val;
        if (!name)
                free(key);
}

static int read_member(struct reader *r, const struct schema_type *hint, const struct codec_path *up,
                       struct json_object *obj)
{
        const struct schema_field *field = NULL;
        _cleanup_free_ char *escaped = NULL;
        struct codec_path path = {.up = up};
        struct json_object *val = NULL;
        int ret;

        if (r->at >= r->end || *r->at != '"')
                return fail_char(r, "looking for beginning of object key string");
        ret = read_string(r, &path.key, &path.key_len);
        if (ret)
                return ret;
        if (path.key == r->scratch.data) { /* the value will use scratch again */
                escaped = strndup(path.key, path.key_len);
                path.key = escaped;
        }
        skip_space(r);
        if (r->at >= r->end || *r->at != ':')
                return fail_char(r, "after object key");
        r->at++;
        if (hint && hint->kind == SCHEMA_OBJECT)
                field = find_field(hint->object, path.key, path.key_len);
        ret = read_value(r, field ? &field->type : hint && hint->kind == SCHEMA_MAP ? hint->elem : NULL, &path, &val);
        if (ret)
                return ret;
        add_member(r, obj, &path, field ? field->name : NULL, val);
        return 0;
}

static int read_object(struct reader *r, const struct schema_type *hint, const struct codec_path *path,
                       struct json_object **ret)
{
        _cleanup_json_ struct json_object *obj = json_object_new_object();
        int ret_code;

        r->at++;
        skip_space(r);
        if (r->at < r->end && *r->at == '}') {
                r->at++;
                *ret = TAKE_PTR(obj);
                return 0;
        }
        for (;;) {
                ret_code = read_member(r, hint, path, obj);
                if (ret_code)
                        return ret_code;
                skip_space(r);
                if (r->at >= r->end || (*r->at != ',' && *r->at != '}'))
                        return fail_char(r, "after object key:value pair");
                if (*r->at++ == '}')
                        break;
                skip_space(r);
        }
        *ret = TAKE_PTR(obj);
        return 0;
}

static int read_array(struct reader *r, const struct schema_type *hint, const struct codec_path *up,
                      struct json_object **ret)
{
        _cleanup_json_ struct json_object *arr = json_object_new_array_ext(4);
        const struct schema_type *elem = hint && hint->kind == SCHEMA_ARRAY ? hint->elem : NULL;
        struct codec_path path = {.up = up};
        int ret_code;

        r->at++;
        skip_space(r);
        if (r->at < r->end && *r->at == ']') {
                r->at++;
                *ret = TAKE_PTR(arr);
                return 0;
        }
        for (;; path.index++) {
                struct json_object *val = NULL;

                ret_code = read_value(r, elem, &path, &val);
                if (ret_code)
                        return ret_code;
                json_object_array_add(arr, val);
                skip_space(r);
                if (r->at >= r->end || (*r->at != ',' && *r->at != ']'))
                        return fail_char(r, "after array element");
                if (*r->at++ == ']')
                        break;
        }
        *ret = TAKE_PTR(arr);
        return 0;
}

static int read_nested(struct reader *r, const struct schema_type *hint, const struct codec_path *path,
                       struct json_object **ret)
{
        int ret_code;

        if (r->depth == JSON_DEPTH_MAX)
                return fail_at(r, "exceeded max depth");
        if (++r->containers > JSON_CONTAINERS_MAX)
                return fail_at(r, "too many objects and arrays");
        r->depth++;
        ret_code = *r->at == '{' ? read_object(r, hint, path, ret) : read_array(r, hint, path, ret);
        r->depth--;
        return ret_code;
}

static int read_value(struct reader *r, const struct schema_type *hint, const struct codec_path *path,
                      struct json_object **ret)
{
        const char *s;
        size_t n;
        int ret_code;

        skip_space(r);
        if (r->at >= r->end)
                return fail_end(r);
        if (*r->at == '"') {
                ret_code = read_string(r, &s, &n);
                if (!ret_code)
                        *ret = json_object_new_string_len(s, (int)n);
                return ret_code;
        }
        if (*r->at == '{' || *r->at == '[')
                return read_nested(r, hint, path, ret);
        if (*r->at == '-' || (unsigned char)(*r->at - '0') < 10)
                return read_number(r, ret);
        return read_word(r, ret);
}

int json_read(const struct json_source *source, struct json_object **ret, struct err *reterr)
{
        const struct schema_type hint = {.kind = SCHEMA_OBJECT, .object = source->type};
        _cleanup_json_ struct json_object *tree = NULL;
        struct reader r = {
                .at = source->data,
                .begin = source->data,
                .end = source->data + source->len,
                .duplicates = source->duplicates,
                .reterr = reterr,
        };
        int ret_code;

        ret_code = read_value(&r, source->type ? &hint : NULL, NULL, &tree);
        if (!ret_code) {
                skip_space(&r);
                if (r.at < r.end)
                        ret_code = fail_char(&r, "after top-level value");
        }
        strbuf_deinit(&r.scratch);
        if (ret_code)
                return ret_code;
        *ret = TAKE_PTR(tree);
        return 0;
}
