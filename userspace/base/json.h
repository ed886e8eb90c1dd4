/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON trees on json-c. Objects are `struct json_object`, reference counted and used by one thread at a time. Getters
 * borrow, setters (json_set) take over the reference they are given. "Absent" below means: no such key, a JSON null, or
 * a parent that is not an object.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

static inline void json_putp(struct json_object **o)
{
        json_object_put(*o);
}

#define _cleanup_json_ _cleanup_(json_putp)

/* for each (const char *key, struct json_object *val) of an object; obj may be NULL or no object. The current key may
 * be deleted inside the loop, nothing may be added. */
#define json_foreach(obj, key, val)                                                                                    \
        const char *key _unused_ = NULL;                                                                               \
        struct json_object *val _unused_ = NULL;                                                                       \
        for (struct lh_entry *_e_##key = json_is_object(obj) ? json_object_get_object(obj)->head : NULL,               \
                             *_n_##key = _e_##key ? _e_##key->next : NULL;                                             \
             _e_##key && (key = (const char *)_e_##key->k, val = (struct json_object *)lh_entry_v(_e_##key), true);    \
             _e_##key = _n_##key, _n_##key = _e_##key ? _e_##key->next : NULL)

/* for each element of an array; arr may be NULL or no array. i is a size_t. */
#define json_array_foreach(arr, i, val)                                                                                \
        struct json_object *val _unused_ = NULL;                                                                       \
        for (size_t i = 0, _len_##i = json_len(arr); i < _len_##i && (val = json_idx(arr, i), true); i++)

#define JSON_DEPTH_MAX 128
/* Objects and arrays of one document from outside: json-c takes some 700 bytes for even an empty object. */
#define JSON_CONTAINERS_MAX 50000

static inline bool json_is_object(const struct json_object *o)
{
        return o && json_object_is_type(o, json_type_object);
}

static inline bool json_is_array(const struct json_object *o)
{
        return o && json_object_is_type(o, json_type_array);
}

static inline bool json_is_string(const struct json_object *o)
{
        return o && json_object_is_type(o, json_type_string);
}

/* Elements of an array, 0 for anything else. */
size_t json_len(const struct json_object *arr);
/* Borrowed element; NULL for a JSON null or out of range. */
struct json_object *json_idx(const struct json_object *arr, size_t i);

/* Borrowed members; NULL when absent. */
struct json_object *json_get(const struct json_object *obj, const char *key);
const char *json_get_str(const struct json_object *obj, const char *key); /* NULL unless a string */
int64_t json_get_i64(const struct json_object *obj, const char *key, int64_t otherwise);
bool json_get_bool(const struct json_object *obj, const char *key, bool otherwise);
bool json_has(const struct json_object *obj, const char *key); /* present and not null */

/* The same by a dotted path of plain field names: json_at(pod, "spec.nodeName"). */
struct json_object *json_at(const struct json_object *obj, const char *path);
const char *json_at_str(const struct json_object *obj, const char *path);
int64_t json_at_i64(const struct json_object *obj, const char *path, int64_t otherwise);
bool json_at_bool(const struct json_object *obj, const char *path, bool otherwise);

/* Sets or replaces a member; val's reference is taken over. */
void json_set(struct json_object *obj, const char *key, struct json_object *val);
void json_set_str(struct json_object *obj, const char *key, const char *val);
void json_set_i64(struct json_object *obj, const char *key, int64_t val);
void json_set_bool(struct json_object *obj, const char *key, bool val);
/* Nothing when obj is NULL or has no such member. */
void json_del(struct json_object *obj, const char *key);
/* The object member of that name, made when absent; borrowed. */
struct json_object *json_ensure(struct json_object *obj, const char *key);
/* Set only when absent. */
void json_default_str(struct json_object *obj, const char *key, const char *val);
void json_default_i64(struct json_object *obj, const char *key, int64_t val);
void json_default_bool(struct json_object *obj, const char *key, bool val);

/* A finite number as JSON: whole ones as integers, others with the fewest digits that mean the same double. */
struct json_object *json_number(double d);
/* Deep copy; the caller owns it. NULL gives NULL. */
struct json_object *json_copy(const struct json_object *o);
/* Gives back the room for growth in every object and array below o: json-c makes room for 16 members and 32 elements
 * wherever there is one. For trees that stay long; they can still be changed. */
void json_shrink(struct json_object *o);
/* Deep equality; member order does not matter; NULL equals JSON null. */
bool json_equal(const struct json_object *a, const struct json_object *b);

/*
 * Parses one JSON text (RFC 8259, strictly: UTF-8, no trailing bytes, depth <= JSON_DEPTH_MAX). On success *ret is
 * owned by the caller; it is NULL for the text `null`. Returns -EINVAL with the byte offset in reterr.
 */
int json_parse(const char *data, size_t len, struct json_object **ret, struct err *reterr);
/* Appends the compact text. */
void json_write(struct strbuf *b, const struct json_object *o);
/* The compact text, owned by the caller. */
char *json_text(const struct json_object *o);
