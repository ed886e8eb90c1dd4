/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON for who only reads it, and reads much of it: a text becomes a tree of small nodes that point into it, ten times
 * as fast as by json.h and without an allocation a value. Strings are unescaped where they are, so the text is
 * consumed. A jsontree owns the nodes and is used again for the next text; one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct json_object;
struct strbuf;

enum jnode_type {
        JNODE_NULL,
        JNODE_BOOL,
        JNODE_NUMBER,
        JNODE_STRING,
        JNODE_ARRAY,
        JNODE_OBJECT,
};

struct jnode {
        const struct jnode *next; /* of the same array or object; NULL: the last one */
        const char *key;          /* of an object's member: else NULL */
        union {
                const struct jnode *first; /* of an array or object; NULL: it is empty */
                const char *text;          /* a string with a NUL behind it; a number, without one */
                bool yes;
        };
        uint32_t n; /* bytes of the text, or members */
        uint8_t type;
};

struct jsontree_chunk;

struct jsontree {
        struct jsontree_chunk *chunks; /* the newest first */
        size_t used;                   /* nodes of the newest */
};

#define JSONTREE_NULL ((struct jsontree){0})

/*
 * Parses one JSON text as json_parse does (RFC 8259, strictly; depth <= JSON_DEPTH_MAX); text[len] may be read and must
 * be NUL. The nodes are borrowed: they live until the next call and as long as the text, which is changed. 0 or -EINVAL
 * with the byte's offset.
 */
int jsontree_parse(struct jsontree *t, char *text, size_t len, const struct jnode **ret, struct err *reterr);
void jsontree_deinit(struct jsontree *t);

/* As in json.h: of several members of one name the last counts; absent are no such key, null, and a parent that is no
 * object; NULL may be asked. path: "metadata.name". */
const struct jnode *jnode_get(const struct jnode *o, const char *key);
const struct jnode *jnode_at(const struct jnode *o, const char *path);
const char *jnode_str(const struct jnode *o, const char *key); /* NULL unless a string */
const char *jnode_at_str(const struct jnode *o, const char *path);
int64_t jnode_i64(const struct jnode *o, const char *key, int64_t otherwise); /* what is too large: the nearest */
int64_t jnode_at_i64(const struct jnode *o, const char *path, int64_t otherwise);
bool jnode_bool(const struct jnode *o, const char *key, bool otherwise);
/* The string itself; NULL unless it is one. */
const char *jnode_text(const struct jnode *o);
/* Elements of an array, 0 for anything else. */
size_t jnode_len(const struct jnode *array);

/* for each (const struct jnode *val) of an array; arr may be NULL or no array. */
#define jnode_foreach(arr, val)                                                                                        \
        for (const struct jnode *_a_##val = (arr),                                                                     \
                                *val = _a_##val && _a_##val->type == JNODE_ARRAY ? _a_##val->first : NULL;             \
             val; val = val->next)

/* The same as a tree of json.h; NULL for null. The caller owns it. */
struct json_object *jnode_json(const struct jnode *o);
/* Appends the compact text, without the members (at any depth) for which skip says so; NULL skips none. */
void jnode_write(struct strbuf *b, const struct jnode *o, bool (*skip)(const struct jnode *member));
