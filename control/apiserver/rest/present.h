/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How objects look to a client: their own JSON, another version's, a PartialObjectMetadata, or rows of a Table. The own
 * JSON is by far the most common and costs nothing; the others parse the object.
 */
#pragma once

#include "apiserver/cache.h"
#include "apiserver/request.h"

/* What present needs of a request; outlives it (for watches) when copied with present_copy. */
struct present {
        const struct schema_resource *resource; /* the version that was asked for */
        enum api_format format;
        char objects; /* Table's includeObject: 'N'one, 'M'etadata, 'O'bject */
};

struct present present_of(const struct api_request *req);
/* The stored bytes are the answer. */
bool present_is_raw(const struct api_request *req);
bool present_raw(const struct present *p);
/* Appends one object in that form (a Table of one row with columns). */
void present_object(const struct present *p, const struct blob *json, bool columns, struct strbuf *b);

struct present_list {
        const char *continue_token;
        size_t remaining;
};

/* Appends the whole list (a List, a PartialObjectMetadataList or a Table). */
void present_list(struct api_request *req, const struct object_list *list, const struct present_list *pl,
                  struct strbuf *b);
