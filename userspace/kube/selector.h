/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors ("app=web,tier in (a,b),!canary" and the LabelSelector of specs) and field selectors
 * ("metadata.name=x,status.phase!=Running"), with the grammar and the error texts of apimachinery's labels and fields
 * packages. A parsed selector owns everything it points to, is immutable, and may be used by any number of threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum selector_op {
        SELECTOR_EQUALS, /* = */
        SELECTOR_DOUBLE_EQUALS,
        SELECTOR_NOT_EQUALS,
        SELECTOR_IN,
        SELECTOR_NOT_IN,
        SELECTOR_EXISTS,
        SELECTOR_NOT_EXISTS,
        SELECTOR_GREATER,
        SELECTOR_LESS,
};

struct selector_req {
        const char *key;
        enum selector_op op;
        const char *const *values; /* sorted, none twice */
        size_t nvalues;
        int64_t number; /* SELECTOR_GREATER, SELECTOR_LESS */
};

struct selector {
        struct arena mem;
        bool nothing;                    /* matches no object (an absent LabelSelector) */
        const struct selector_req *reqs; /* all must hold; sorted by key */
        size_t nreqs;
};

/* The text form; "" selects everything. 0 or -EINVAL with apimachinery's message. */
int selector_parse(const char *s, struct selector **ret, struct err *reterr);
/* A LabelSelector object: {} selects everything, NULL nothing. 0 or -EINVAL. */
int selector_from_label_selector(const struct json_object *o, struct selector **ret, struct err *reterr);
/* A plain map of labels that must all be there (a Service's spec.selector). NULL and {} select everything. */
int selector_from_map(const struct json_object *map, struct selector **ret, struct err *reterr);
void selector_free(struct selector *s);
DEFINE_CLEANUP(struct selector *, selector_free)
#define _cleanup_selector_ _cleanup_(selector_freep)

/* True when it selects everything; NULL does. */
static inline bool selector_is_empty(const struct selector *s)
{
        return !s || (!s->nothing && !s->nreqs);
}

/* Looks up one label: its value, or NULL when there is no such label. */
typedef const char *(*selector_lookup_fn)(const void *labels, const char *key);

/* Whether an object with these labels is selected. A NULL selector selects everything. */
bool selector_match(const struct selector *s, selector_lookup_fn lookup, const void *labels);
/* labels: metadata.labels, or NULL. */
bool selector_match_json(const struct selector *s, const struct json_object *labels);

/* Labels without a JSON tree. */
struct label {
        const char *key, *value;
};

struct label_array {
        const struct label *labels;
        size_t n;
};

bool selector_match_labels(const struct selector *s, const struct label_array *labels);

/* The canonical text. */
void selector_write(struct strbuf *b, const struct selector *s);

struct field_req {
        const char *field;
        const char *value;
        bool negate;
};

struct field_selector {
        struct arena mem;
        const struct field_req *reqs; /* all must hold */
        size_t nreqs;
};

/* "a=b,c!=d", with \, \= and \\ escaped in values; "" selects everything. 0 or -EINVAL with apimachinery's message.
 * Which fields there are is the caller's business. */
int field_selector_parse(const char *s, struct field_selector **ret, struct err *reterr);
void field_selector_free(struct field_selector *s);
DEFINE_CLEANUP(struct field_selector *, field_selector_free)
#define _cleanup_field_selector_ _cleanup_(field_selector_freep)

/* lookup's NULL counts as "". A NULL selector selects everything. */
bool field_selector_match(const struct field_selector *s, selector_lookup_fn lookup, const void *fields);
/* The value that the field must equal, or NULL when the selector does not say. */
const char *field_selector_exact(const struct field_selector *s, const char *field);
void field_selector_write(struct strbuf *b, const struct field_selector *s);
