/* SPDX-License-Identifier: Apache-2.0 */
/* What is odd about a body without making it wrong (unknown and duplicate fields), and where in it something is. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* A place in a document, as a list from the leaf to the root on the caller's stack. */
struct codec_path {
        const struct codec_path *up; /* NULL at the root */
        const char *key;             /* NULL: an element of a list */
        size_t key_len; /* CODEC_KEY_STRING: key ends with a NUL; it is measured only when the path is written */
        size_t index;
};

#define CODEC_KEY_STRING SIZE_MAX

/* Appends "spec.containers[0].name"; nothing for the root. */
void codec_path_write(struct strbuf *b, const struct codec_path *path);
/* The same without indexes and map keys the way Go's JSON errors name a field: "spec.containers.name". */
void codec_path_write_fields(struct strbuf *b, const struct codec_path *path);

#define CODEC_REPORT_MAX 100 /* as sigs.k8s.io/json bounds it */

struct codec_report {
        char **items; /* each as Kubernetes words it: unknown field "spec.foo" */
        size_t n;
};

#define CODEC_REPORT_NULL ((struct codec_report){0})

/* what: "unknown field" or "duplicate field". A NULL report takes nothing. */
void codec_report_add(struct codec_report *report, const char *what, const struct codec_path *path);
/* All items, joined with ", ". */
void codec_report_write(struct strbuf *b, const struct codec_report *report);
void codec_report_deinit(struct codec_report *report);

#define _cleanup_report_ _cleanup_(codec_report_deinit)
