/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that many kinds share. Each adds what is wrong to e, in Kubernetes' words, and does nothing when all is well.
 * Functions that take `parent` and `name` look at one member of obj and build its path themselves.
 */
#pragma once

#include "apiserver/ferr.h"
#include "apiserver/kind.h"
#include "base/hashmap.h"
#include "kube/names.h"

#define MSG_NEGATIVE     "must be greater than or equal to 0"
#define MSG_IMMUTABLE    "field is immutable"
#define MSG_NOT_POSITIVE "must be greater than zero"
#define MSG_PORT_RANGE   "must be between 1 and 65535, inclusive"
#define MSG_ID_RANGE     "must be between 0 and 2147483647, inclusive"

/* The member's text, "" when absent. */
const char *str_of(const struct json_object *obj, const char *name);
/* Whether the IntOrString is a percentage such as "25%". */
bool is_percent(const struct json_object *v);
/* The number of an IntOrString; of "25%" it is 25, of any other text 0. */
int64_t int_or_percent_value(const struct json_object *v);

/* Every text that the rule has for the value is one error. */
void check_name(struct ferrs *e, const struct fpath *p, enum name_rule rule, const char *value);
/* The same when the member is there (and not empty). */
void check_name_if(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                   enum name_rule rule);
/* Required when absent, else by the rule. */
void check_name_required(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                         enum name_rule rule);
/* Required when absent or "". Returns whether it is there. */
bool check_required(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name);

/* Numbers: an absent member counts as 0. */
void check_non_negative(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name);
void check_non_negatives(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                         const char *const *names);
/* When there, it must lie in low..high. */
void check_range(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                 int64_t low, int64_t high);
void check_port_number(struct ferrs *e, const struct fpath *p, int64_t port);
/* An IntOrString; NULL counts as 0. */
void check_port_number_or_name(struct ferrs *e, const struct fpath *p, const struct json_object *port);
void check_int_or_percent(struct ferrs *e, const struct fpath *p, const struct json_object *v);
void check_at_most_100_percent(struct ferrs *e, const struct fpath *p, const struct json_object *v);

/* Whether the value is in the NULL-terminated list. */
bool one_of(const char *value, const char *const *supported);
/* When there, it must be one of them; with required, it must be there. */
void check_one_of(struct ferrs *e, const struct fpath *parent, const struct json_object *obj, const char *name,
                  const char *const *supported, bool required);

/* Both members are equal (or both absent). */
void check_immutable(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                     const struct json_object *old, const char *name);
/* The number did not become smaller ("must not be decremented" and the like are msg). */
void check_not_decremented(struct ferrs *e, const struct fpath *parent, const struct json_object *obj,
                           const struct json_object *old, const char *name, const char *msg);

void check_labels(struct ferrs *e, const struct fpath *p, const struct json_object *labels);
void check_annotations(struct ferrs *e, const struct fpath *p, const struct json_object *annotations);
/* A LabelSelector; NULL is fine. */
void check_label_selector(struct ferrs *e, const struct fpath *p, const struct json_object *selector);
/* No matchLabels and no matchExpressions. */
bool label_selector_is_empty(const struct json_object *selector);
/* Whether these labels are selected: {} selects everything, NULL and a malformed one nothing. */
bool label_selector_matches(const struct json_object *selector, const struct json_object *labels);
/* Labels a LabelSelector's keys are in. */
bool label_selector_has_key(const struct json_object *selector, const char *key);

void check_ip(struct ferrs *e, const struct fpath *p, const char *value);
void check_cidr(struct ferrs *e, const struct fpath *p, const char *value);
/* Of a text that check_ip or check_cidr accepts. */
bool is_ipv6_text(const char *value);

/* Paths inside a volume: relative, without "..". */
void check_no_backsteps(struct ferrs *e, const struct fpath *p, const char *value);
void check_descending_path(struct ferrs *e, const struct fpath *p, const char *value);
/* Also must not start with "..". */
void check_non_reserved_path(struct ferrs *e, const struct fpath *p, const char *value);

/* metadata of a template: only labels and annotations may be set. */
void check_template_meta(struct ferrs *e, const struct fpath *p, const struct json_object *meta);
/* The conditions' types are qualified names. */
bool condition_is_true(const struct json_object *status, const char *type);

/* Names seen so far, with what they name: a few in an array, many in a hash map. */
#define NAME_SET_FEW 12

struct name_set {
        const char *few[NAME_SET_FEW];
        const void *values[NAME_SET_FEW];
        size_t n;
        struct hashmap many;
};

#define NAME_SET_NULL ((struct name_set){0})

/* False when the name is there already; its value stays. value must not be NULL. */
bool name_set_put(struct name_set *s, const char *name, const void *value);
static inline bool name_set_add(struct name_set *s, const char *name)
{
        return name_set_put(s, name, name);
}
const void *name_set_get(const struct name_set *s, const char *name);
void name_set_deinit(struct name_set *s);
#define _cleanup_names_ _cleanup_(name_set_deinit)
