/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing objects by selectors, and sending many. Shared by list, watch and deletecollection. */
#pragma once

#include "apiserver/cache.h"
#include "apiserver/request.h"
#include "kube/selector.h"

/* labelSelector and fieldSelector of a request, ready to match objects of one resource. */
struct object_selector {
        struct selector *labels;       /* NULL: all */
        struct field_selector *fields; /* NULL: all */
        const struct kind_ops *ops;    /* of the stored kind, whose fields objects carry */
        const struct kind_ops *asked;  /* of the requested version, whose labels the selector uses */
};

/* Parses both; unknown fields are refused. Returns 0 or API_ANSWERED (400). object_selector_deinit in both cases. */
int object_selector_parse(struct api_request *req, struct object_selector *ret);
void object_selector_deinit(struct object_selector *s);
bool object_selector_is_all(const struct object_selector *s);
/* For cache_filter.match. */
bool object_selector_match(const void *selector, const struct object *o);

/* All objects that the request's URL and selectors name. Returns 0 or API_ANSWERED. */
int list_matching(struct api_request *req, struct object_list *ret);
/* Answers with the list (taken over) in the requested format. continue_token may be NULL. */
int list_answer(struct api_request *req, struct object_list *list, const char *continue_token, size_t remaining);

/* resourceVersion and resourceVersionMatch of a list, or of a watch. */
struct list_version {
        bool given; /* resourceVersion is there and not "" */
        uint64_t revision;
        const char *match; /* "Exact", "NotOlderThan" or NULL */
};

int list_version_parse(struct api_request *req, bool watch, struct list_version *ret);
