/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/jsontree.h"
#include "base/mem.h"
#include "base/utf8.h"

#define CHUNK_NODES 512 /* about what a Kubernetes object has */

struct jsontree_chunk {
        struct jsontree_chunk *next;
        struct jnode nodes[CHUNK_NODES];
};

struct parser {
        struct jsontree *tree;
        char *p;
        const char *end; /* where a NUL is */
        unsigned depth_left;
};

static bool value(struct parser *s, struct jnode *ret);

static struct jnode *node_new(struct jsontree *t)
{
        struct jsontree_chunk *c;

        if (t->chunks && t->used < CHUNK_NODES)
                return &t->chunks->nodes[t->used++];
        c = mem_alloc(sizeof(*c));
        c->next = t->chunks;
        t->chunks = c;
        t->used = 1;
        return &c->nodes[0];
}

/* One chunk stays for the next text. */
static void forget(struct jsontree *t)
{
        while (t->chunks && t->chunks->next) {
                struct jsontree_chunk *next = t->chunks->next;

                free(t->chunks);
                t->chunks = next;
        }
        t->used = 0;
}

void jsontree_deinit(struct jsontree *t)
{
        forget(t);
        free(t->chunks);
        *t = JSONTREE_NULL;
}

/* ---- strings */

/* Bytes of a string that mean more than themselves: controls, the quote, the backslash, and all beyond ASCII. */
static bool is_special(unsigned char c)
{
        return c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
}

static bool hex4(struct parser *s, uint32_t *ret)
{
        uint32_t code = 0;

        for (int i = 0; i < 4; i++, s->p++) {
                char c = *s->p, lower = (char)(c | 0x20);

                if (c >= '0' && c <= '9')
                        code = code << 4 | (uint32_t)(c - '0');
                else if (lower >= 'a' && lower <= 'f')
                        code = code << 4 | (uint32_t)(lower - 'a' + 10);
                else
                        return false; /* the NUL at the end, too */
        }
        *ret = code;
        return true;
}

static char *put_utf8(char *to, uint32_t c)
{
        if (c < 0x80) {
                *to++ = (char)c;
                return to;
        }
        if (c < 0x800) {
                *to++ = (char)(0xc0 | c >> 6);
        } else {
                if (c < 0x10000) {
                        *to++ = (char)(0xe0 | c >> 12);
                } else {
                        *to++ = (char)(0xf0 | c >> 18);
                        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
                }
                *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        }
        *to++ = (char)(0x80 | (c & 0x3f));
        return to;
}

/* Behind "\u". Half a surrogate pair is no character: U+FFFD stands for it. What is written is never longer than what
 * was read. */
static bool unicode(struct parser *s, char **to)
{
        uint32_t code, low;

        if (!hex4(s, &code))
                return false;
        if (code >= 0xd800 && code < 0xdc00 && s->p[0] == '\\' && s->p[1] == 'u') {
                char *behind = s->p;

                s->p += 2;
                if (!hex4(s, &low))
                        return false;
                if (low >= 0xdc00 && low < 0xe000)
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                else
                        s->p = behind;
        }
        *to = put_utf8(*to, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
        return true;
}

static bool escape(struct parser *s, char **to)
{
        static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
        const char *at;

        if (*s->p == 'u') {
                s->p++;
                return unicode(s, to);
        }
        at = *s->p ? strchr(names, *s->p) : NULL;
        if (!at)
                return false;
        *(*to)++ = means[at - names];
        s->p++;
        return true;
}

/* Behind the opening quote. */
static bool string(struct parser *s, const char **ret, uint32_t *ret_n)
{
        char *start = s->p, *to;

        while (!is_special((unsigned char)*s->p))
                s->p++;
        to = s->p;
        while (*s->p != '"') {
                unsigned char c = (unsigned char)*s->p;
                size_t n = 1;

                if (c < 0x20)
                        return false;
                if (c == '\\') {
                        s->p++;
                        if (!escape(s, &to))
                                return false;
                        continue;
                }
                if (c >= 0x80)
                        n = utf8_len((const unsigned char *)s->p, (size_t)(s->end - s->p));
                if (!n)
                        return false;
                memmove(to, s->p, n);
                to += n;
                s->p += n;
        }
        *to = '\0';
        s->p++;
        *ret = start;
        *ret_n = (uint32_t)(to - start);
        return true;
}

/* ---- other values */

static void blanks(struct parser *s)
{
        while (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t')
                s->p++;
}

static bool byte(struct parser *s, char c)
{
        if (*s->p != c)
                return false;
        s->p++;
        return true;
}

static bool word(struct parser *s, const char *w, size_t n)
{
        if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
                return false;
        s->p += n;
        return true;
}

static bool digits(struct parser *s)
{
        const char *start = s->p;

        while (*s->p >= '0' && *s->p <= '9')
                s->p++;
        return s->p > start;
}

static bool number(struct parser *s, struct jnode *ret)
{
        ret->type = JNODE_NUMBER;
        ret->text = s->p;
        byte(s, '-');
        if (!byte(s, '0') && !digits(s))
                return false;
        if (byte(s, '.') && !digits(s))
                return false;
        if (byte(s, 'e') || byte(s, 'E')) {
                if (!byte(s, '+'))
                        byte(s, '-');
                if (!digits(s))
                        return false;
        }
        ret->n = (uint32_t)(s->p - ret->text);
        return true;
}

static bool member(struct parser *s, struct jnode *ret)
{
        uint32_t n;

        blanks(s);
        if (!byte(s, '"') || !string(s, &ret->key, &n))
                return false;
        blanks(s);
        return byte(s, ':') && value(s, ret);
}

static bool element(struct parser *s, struct jnode *ret)
{
        ret->key = NULL;
        return value(s, ret);
}

/* Behind the opening bracket: elements with commas between them, up to the closing one. */
static bool elements(struct parser *s, char close, struct jnode *ret, bool (*one)(struct parser *s, struct jnode *ret))
{
        const struct jnode **at = &ret->first;

        ret->first = NULL;
        ret->n = 0;
        if (!s->depth_left)
                return false;
        blanks(s);
        if (byte(s, close))
                return true;
        s->depth_left--;
        do {
                struct jnode *o = node_new(s->tree);

                if (!one(s, o))
                        return false;
                o->next = NULL;
                *at = o;
                at = &o->next;
                ret->n++;
                blanks(s);
        } while (byte(s, ','));
        s->depth_left++;
        return byte(s, close);
}

/* Sets all of *ret but key and next. */
static bool value(struct parser *s, struct jnode *ret)
{
        blanks(s);
        switch (*s->p) {
        case '{':
                s->p++;
                ret->type = JNODE_OBJECT;
                return elements(s, '}', ret, member);
        case '[':
                s->p++;
                ret->type = JNODE_ARRAY;
                return elements(s, ']', ret, element);
        case '"':
                s->p++;
                ret->type = JNODE_STRING;
                return string(s, &ret->text, &ret->n);
        case 't':
        case 'f':
                ret->type = JNODE_BOOL;
                ret->yes = *s->p == 't';
                return ret->yes ? word(s, "true", 4) : word(s, "false", 5);
        case 'n':
                ret->type = JNODE_NULL;
                return word(s, "null", 4);
        default:
                return number(s, ret);
        }
}

int jsontree_parse(struct jsontree *t, char *text, size_t len, const struct jnode **ret, struct err *reterr)
{
        struct parser s = {.tree = t, .p = text, .end = text + len, .depth_left = JSON_DEPTH_MAX};
        struct jnode *root;

        if (len > INT32_MAX)
                return err_set(reterr, -EINVAL, "the text is longer than 2 GiB");
        forget(t);
        root = node_new(t);
        root->key = NULL;
        root->next = NULL;
        if (value(&s, root)) {
                blanks(&s);
                if (s.p == s.end) {
                        *ret = root;
                        return 0;
                }
        }
        return err_set(reterr, -EINVAL, "invalid JSON at byte %zu", (size_t)(s.p - text));
}

/* ---- reading */

static const struct jnode *get_n(const struct jnode *o, const char *key, size_t n)
{
        const struct jnode *found = NULL;

        if (!o || o->type != JNODE_OBJECT)
                return NULL;
        for (const struct jnode *m = o->first; m; m = m->next)
                if (*m->key == *key && strncmp(m->key, key, n) == 0 && !m->key[n])
                        found = m;
        return found && found->type != JNODE_NULL ? found : NULL;
}

const struct jnode *jnode_get(const struct jnode *o, const char *key)
{
        return get_n(o, key, strlen(key));
}

const struct jnode *jnode_at(const struct jnode *o, const char *path)
{
        while (o && *path) {
                size_t n = strcspn(path, ".");

                o = get_n(o, path, n);
                path += n + (path[n] == '.');
        }
        return o;
}

const char *jnode_text(const struct jnode *o)
{
        return o && o->type == JNODE_STRING ? o->text : NULL;
}

const char *jnode_str(const struct jnode *o, const char *key)
{
        return jnode_text(jnode_get(o, key));
}

const char *jnode_at_str(const struct jnode *o, const char *path)
{
        return jnode_text(jnode_at(o, path));
}

/* A number as json-c knows it: one that is written with a point or an exponent is a double. */
static struct json_object *make_number(const struct jnode *o)
{
        char buf[64], *text = o->n < sizeof(buf) ? buf : mem_alloc(o->n + 1), *end;
        struct json_object *made;

        memcpy(text, o->text, o->n);
        text[o->n] = '\0';
        errno = 0;
        if (strpbrk(text, ".eE")) {
                made = json_object_new_double_s(strtod(text, NULL), text);
        } else {
                int64_t i = strtoll(text, &end, 10);

                made = errno && *text != '-' ? json_object_new_uint64(strtoull(text, NULL, 10))
                                             : json_object_new_int64(i);
        }
        if (text != buf)
                free(text);
        return made;
}

static int64_t as_i64(const struct jnode *o, int64_t otherwise)
{
        int64_t value = 0;
        struct json_object *slow;

        if (!o || o->type != JNODE_NUMBER)
                return otherwise;
        if (o->n <= 18) {
                uint32_t i = *o->text == '-';

                while (i < o->n && o->text[i] >= '0' && o->text[i] <= '9')
                        value = 10 * value + (o->text[i++] - '0');
                if (i == o->n)
                        return *o->text == '-' ? -value : value;
        }
        slow = make_number(o);
        value = json_object_get_int64(slow);
        json_object_put(slow);
        return value;
}

int64_t jnode_i64(const struct jnode *o, const char *key, int64_t otherwise)
{
        return as_i64(jnode_get(o, key), otherwise);
}

int64_t jnode_at_i64(const struct jnode *o, const char *path, int64_t otherwise)
{
        return as_i64(jnode_at(o, path), otherwise);
}

bool jnode_bool(const struct jnode *o, const char *key, bool otherwise)
{
        const struct jnode *v = jnode_get(o, key);

        return v && v->type == JNODE_BOOL ? v->yes : otherwise;
}

size_t jnode_len(const struct jnode *array)
{
        return array && array->type == JNODE_ARRAY ? array->n : 0;
}

struct json_object *jnode_json(const struct jnode *o)
{
        struct json_object *made = NULL;

        switch (o ? o->type : JNODE_NULL) {
        case JNODE_BOOL:
                return json_object_new_boolean(o->yes);
        case JNODE_NUMBER:
                return make_number(o);
        case JNODE_STRING:
                return json_object_new_string_len(o->text, (int)o->n);
        case JNODE_ARRAY:
                made = json_object_new_array();
                for (const struct jnode *e = o->first; e; e = e->next)
                        json_object_array_add(made, jnode_json(e));
                return made;
        case JNODE_OBJECT:
                made = json_object_new_object();
                for (const struct jnode *m = o->first; m; m = m->next)
                        json_set(made, m->key, jnode_json(m));
                return made;
        default:
                return NULL;
        }
}

static void write_members(struct strbuf *b, const struct jnode *o, bool (*skip)(const struct jnode *member))
{
        bool some = false;

        for (const struct jnode *m = o->first; m; m = m->next) {
                if (m->key && skip && skip(m))
                        continue;
                if (some)
                        strbuf_add_char(b, ',');
                some = true;
                if (o->type == JNODE_OBJECT) {
                        strbuf_add_json_str(b, m->key, strlen(m->key));
                        strbuf_add_char(b, ':');
                }
                jnode_write(b, m, skip);
        }
}

void jnode_write(struct strbuf *b, const struct jnode *o, bool (*skip)(const struct jnode *member))
{
        switch (o ? o->type : JNODE_NULL) {
        case JNODE_BOOL:
                strbuf_add_str(b, o->yes ? "true" : "false");
                break;
        case JNODE_NUMBER:
                strbuf_add(b, o->text, o->n);
                break;
        case JNODE_STRING:
                strbuf_add_json_str(b, o->text, o->n);
                break;
        case JNODE_ARRAY:
                strbuf_add_char(b, '[');
                write_members(b, o, skip);
                strbuf_add_char(b, ']');
                break;
        case JNODE_OBJECT:
                strbuf_add_char(b, '{');
                write_members(b, o, skip);
                strbuf_add_char(b, '}');
                break;
        default:
                strbuf_add_str(b, "null");
        }
}
