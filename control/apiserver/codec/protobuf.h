/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf bodies (application/vnd.kubernetes.protobuf) to JSON trees, by tables generated from
 * userspace/kube/schema/protobuf.txt. Only decoding: answers are JSON.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_kind {
        PB_STRING,
        PB_INT, /* int32 and int64: both travel as a 64 bit varint */
        PB_BOOL,
        PB_DOUBLE,
        PB_BYTES, /* base64 in JSON */
        PB_MESSAGE,
        /* Messages whose JSON is no object. */
        PB_QUANTITY,
        PB_INT_OR_STRING,
        PB_TIME,
        PB_MICROTIME,
        PB_RAW, /* bytes that hold JSON: RawExtension, FieldsV1, JSON */
};

enum pb_shape {
        PB_ONE,
        PB_REPEATED,
        PB_MAP,    /* string keys; kind is that of the values */
        PB_INLINE, /* a message whose fields belong to the enclosing object */
};

struct pb_message;

struct pb_field {
        uint16_t number;
        uint8_t kind;                     /* enum pb_kind */
        uint8_t shape;                    /* enum pb_shape */
        const char *name;                 /* in JSON */
        const struct pb_message *message; /* PB_MESSAGE */
};

struct pb_message {
        const char *name;              /* that of the schema_struct, or of a message that only protobuf has */
        const struct pb_field *fields; /* sorted by number */
        uint16_t nfields;
        bool bare; /* in JSON it is the value of the one field that is set */
};

extern const struct pb_message pb_messages[]; /* sorted by name */
extern const size_t pb_nmessages;

struct err;
struct json_object;
struct schema_struct;

/*
 * Decodes a body: the four bytes of Kubernetes' envelope, runtime.Unknown, then the message of the kind that it names
 * (of `type` when it names none). The tree has apiVersion and kind when the envelope has them; unknown fields are
 * skipped, as Go does; zero values are there as they came. *ret is owned by the caller. Returns 0, or -EINVAL with what
 * is wrong.
 */
int protobuf_read(const char *data, size_t len, const struct schema_struct *type, struct json_object **ret,
                  struct err *reterr);
