/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies to normalised trees. */
#pragma once

#include "apiserver/codec/normalise.h"
#include "apiserver/codec/report.h"
#include "base/json.h"
#include "kube/schema.h"

enum codec_format {
        CODEC_JSON,
        CODEC_YAML,
        CODEC_PROTOBUF,
};

/* What becomes of unknown and duplicate fields (the query parameter fieldValidation). */
enum codec_validation {
        CODEC_IGNORE,
        CODEC_WARN,   /* they are in the report, for Warning headers */
        CODEC_STRICT, /* they are an error */
};

#define CODEC_BODY_MAX (3U * 1024 * 1024)

/* Positive outcomes of codec_decode; the message is in reterr. */
enum codec_outcome {
        CODEC_UNSUPPORTED = 1, /* 415: a media type that is not read */
        CODEC_TOO_LARGE,       /* 413 */
        CODEC_INVALID,         /* 400: not such an object */
};

struct codec_input {
        const char *data;
        size_t len;
        const char *content_type;           /* with parameters; NULL or empty is JSON */
        const struct schema_struct *type;   /* what the body must be */
        const char *group, *version, *kind; /* of type; kind NULL: not checked and not filled in */
        enum codec_validation validation;
};

/* 0 or CODEC_UNSUPPORTED. Media types are compared without case and parameters. */
int codec_format_of(const char *content_type, enum codec_format *ret);

/*
 * Decodes, checks apiVersion and kind (filled in when absent), normalises. *ret is owned by the caller. Findings go to
 * report (initialised by the caller; may be NULL) unless they are ignored. Returns 0, an enum codec_outcome, or a
 * negative errno.
 */
int codec_decode(const struct codec_input *in, struct json_object **ret, struct codec_report *report,
                 struct err *reterr);

/* Only the syntax: a patch, or a body whose kind is not known yet. For CODEC_JSON and CODEC_YAML. *ret is NULL for
 * null. Returns 0, CODEC_TOO_LARGE or CODEC_INVALID. */
int codec_parse(enum codec_format format, const char *data, size_t len, struct json_object **ret, struct err *reterr);
