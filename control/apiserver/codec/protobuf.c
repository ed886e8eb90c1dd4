/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format: https://protobuf.dev/programming-guides/encoding/. Spans point into the body; what is copied is what
 * the tree holds.
 */
#include "apiserver/codec/protobuf.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "apiserver/codec/json_read.h"
#include "apiserver/codec/normalise.h"
#include "apiserver/codec/scalar.h"
#include "base/clock.h"
#include "base/json.h"
#include "kube/schema.h"
#include "base/utf8.h"

enum wire {
        WIRE_VARINT = 0,
        WIRE_FIXED64 = 1,
        WIRE_BYTES = 2,
        WIRE_FIXED32 = 5,
};

struct span {
        const uint8_t *at, *end;
};

/* One field as it lies in the body. */
struct wire_field {
        uint64_t number;
        enum wire wire;
        uint64_t value;    /* varint, fixed */
        struct span bytes; /* WIRE_BYTES */
};

struct reader {
        unsigned depth, containers;
        struct err *reterr;
};

static int read_message(struct reader *r, const struct pb_message *message, struct span in, struct json_object *obj);

static int fail(struct reader *r, const char *what)
{
        return err_set(r->reterr, -EINVAL, "proto: %s", what);
}

static bool read_varint(struct span *in, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
                uint8_t byte = *in->at++;

                v |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret = v;
                        return true;
                }
        }
        return false;
}

static bool read_fixed(struct span *in, size_t n, uint64_t *ret)
{
        uint64_t v = 0;

        if ((size_t)(in->end - in->at) < n)
                return false;
        for (size_t i = 0; i < n; i++)
                v |= (uint64_t)in->at[i] << (8 * i);
        in->at += n;
        *ret = v;
        return true;
}

/* The next field of a message that is not at its end. */
static int read_field(struct reader *r, struct span *in, struct wire_field *ret)
{
        uint64_t tag, n;
        bool ok;

        if (!read_varint(in, &tag) || !(tag >> 3))
                return fail(r, "broken field tag");
        *ret = (struct wire_field){.number = tag >> 3, .wire = (enum wire)(tag & 7)};
        switch (ret->wire) {
        case WIRE_VARINT:
                ok = read_varint(in, &ret->value);
                break;
        case WIRE_FIXED64:
                ok = read_fixed(in, 8, &ret->value);
                break;
        case WIRE_FIXED32:
                ok = read_fixed(in, 4, &ret->value);
                break;
        case WIRE_BYTES:
                ok = read_varint(in, &n) && n <= (uint64_t)(in->end - in->at);
                if (ok) {
                        ret->bytes = (struct span){in->at, in->at + n};
                        in->at += n;
                }
                break;
        default:
                return fail(r, "wire type that is not known");
        }
        return ok ? 0 : fail(r, "unexpected EOF");
}

static const struct pb_field *find_field(const struct pb_message *message, uint64_t number)
{
        size_t low = 0, high = message->nfields;

        if (number <= high && message->fields[number - 1].number == number)
                return &message->fields[number - 1];
        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (message->fields[mid].number == number)
                        return &message->fields[mid];
                if (message->fields[mid].number < number)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

static int read_string(struct reader *r, struct span in, struct json_object **ret)
{
        size_t n = (size_t)(in.end - in.at);

        if (!utf8_valid((const char *)in.at, n))
                return fail(r, "a string holds NUL or is not UTF-8");
        *ret = json_object_new_string_len((const char *)in.at, (int)n);
        return 0;
}

static struct json_object *read_bytes(struct span in)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t n = (size_t)(in.end - in.at);
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        char *out = strbuf_reserve(&b, n / 3 * 4 + 4);
        size_t k = 0;

        for (size_t i = 0; i < n; i += 3) {
                size_t left = n - i;
                uint32_t v = (uint32_t)in.at[i] << 16;

                v |= left > 1 ? (uint32_t)in.at[i + 1] << 8 : 0;
                v |= left > 2 ? in.at[i + 2] : 0;
                out[k++] = digits[v >> 18];
                out[k++] = digits[v >> 12 & 63];
                out[k++] = left > 1 ? digits[v >> 6 & 63] : '=';
                out[k++] = left > 2 ? digits[v & 63] : '=';
        }
        return json_object_new_string_len(out, (int)k);
}

/* The fields of a small message that are not objects in JSON, by number: 1 to 3. */
struct small_message {
        struct wire_field fields[4];
        bool has[4];
};

static int read_small(struct reader *r, struct span in, struct small_message *ret)
{
        *ret = (struct small_message){};
        while (in.at < in.end) {
                struct wire_field f = {};
                int ret_code = read_field(r, &in, &f);

                if (ret_code)
                        return ret_code;
                if (f.number < ARRAY_SIZE(ret->fields)) {
                        ret->fields[f.number] = f;
                        ret->has[f.number] = true;
                }
        }
        return 0;
}

static int read_quantity(struct reader *r, struct span in, struct json_object **ret)
{
        struct small_message m;
        int ret_code = read_small(r, in, &m);

        if (ret_code)
                return ret_code;
        if (!m.has[1] || m.fields[1].bytes.at == m.fields[1].bytes.end) {
                *ret = json_object_new_string("0");
                return 0;
        }
        return read_string(r, m.fields[1].bytes, ret);
}

static int read_int_or_string(struct reader *r, struct span in, struct json_object **ret)
{
        struct small_message m;
        int ret_code = read_small(r, in, &m);

        if (ret_code)
                return ret_code;
        if (m.fields[1].value == 1)
                return read_string(r, m.fields[3].bytes, ret);
        *ret = json_object_new_int64((int64_t)m.fields[2].value);
        return 0;
}

/* An empty message is the zero time: null. */
static int read_time(struct reader *r, struct span in, bool micro, struct json_object **ret)
{
        struct small_message m;
        char buf[CLOCK_TEXT_SIZE];
        struct timespec t;
        int ret_code = read_small(r, in, &m);

        if (ret_code || in.at == in.end)
                return ret_code;
        t.tv_sec = (int64_t)m.fields[1].value;
        t.tv_nsec = (int64_t)m.fields[2].value;
        if (t.tv_nsec < 0 || t.tv_nsec > 999999999 || !scalar_time_format(&t, micro, buf))
                return fail(r, "time out of range");
        *ret = json_object_new_string(buf);
        return 0;
}

static int read_raw(struct reader *r, struct span in, struct json_object **ret)
{
        struct small_message m;
        struct json_source source = {};
        int ret_code = read_small(r, in, &m);

        if (ret_code || !m.has[1] || m.fields[1].bytes.at == m.fields[1].bytes.end)
                return ret_code;
        source.data = (const char *)m.fields[1].bytes.at;
        source.len = (size_t)(m.fields[1].bytes.end - m.fields[1].bytes.at);
        return json_read(&source, ret, r->reterr);
}

/* The one field of a bare message: a message before anything else (JSONSchemaPropsOrBool has both). */
static struct json_object *bare_value(const struct pb_message *message, struct json_object *obj)
{
        struct json_object *first = NULL;

        for (size_t i = 0; i < message->nfields; i++) {
                struct json_object *val = json_get(obj, message->fields[i].name);

                if (val && message->fields[i].shape == PB_ONE && message->fields[i].kind == PB_MESSAGE)
                        return val;
                first = first ? first : val;
        }
        return first;
}

/* A schema inside a bare message lies in what the schema calls raw, out of the normaliser's sight: it is done here. */
static int read_bare(struct reader *r, const struct pb_message *message, struct span in, struct json_object **ret)
{
        _cleanup_json_ struct json_object *obj = json_object_new_object();
        struct json_object *val;
        int ret_code = read_message(r, message, in, obj);

        if (ret_code)
                return ret_code;
        val = bare_value(message, obj);
        for (size_t i = 0; i < message->nfields && json_is_object(val); i++) {
                const struct pb_field *f = &message->fields[i];
                const struct schema_struct *type = f->message ? schema_struct_find(f->message->name) : NULL;

                if (type && json_get(obj, f->name) == val)
                        ret_code = codec_normalise(val, type, NULL, r->reterr);
                if (ret_code)
                        return ret_code;
        }
        *ret = val ? json_object_get(val) : json_object_new_array_ext(1);
        return 0;
}

static int read_nested(struct reader *r, const struct pb_message *message, struct span in, struct json_object **ret)
{
        _cleanup_json_ struct json_object *obj = NULL;
        int ret_code;

        if (message->bare)
                return read_bare(r, message, in, ret);
        obj = json_object_new_object();
        ret_code = read_message(r, message, in, obj);
        if (ret_code)
                return ret_code;
        *ret = TAKE_PTR(obj);
        return 0;
}

static int read_delimited(struct reader *r, const struct pb_field *f, struct span in, struct json_object **ret)
{
        switch (f->kind) {
        case PB_STRING:
                return read_string(r, in, ret);
        case PB_BYTES:
                *ret = read_bytes(in);
                return 0;
        case PB_QUANTITY:
                return read_quantity(r, in, ret);
        case PB_INT_OR_STRING:
                return read_int_or_string(r, in, ret);
        case PB_TIME:
        case PB_MICROTIME:
                return read_time(r, in, f->kind == PB_MICROTIME, ret);
        case PB_RAW:
                return read_raw(r, in, ret);
        default:
                return read_nested(r, f->message, in, ret);
        }
}

static enum wire wire_of(const struct pb_field *f)
{
        return f->kind == PB_INT || f->kind == PB_BOOL ? WIRE_VARINT : f->kind == PB_DOUBLE ? WIRE_FIXED64 : WIRE_BYTES;
}

static int read_number(struct reader *r, const struct pb_field *f, uint64_t value, struct json_object **ret)
{
        double d;

        if (f->kind == PB_BOOL) {
                *ret = json_object_new_boolean(value != 0);
                return 0;
        }
        if (f->kind == PB_INT) {
                *ret = json_object_new_int64((int64_t)value);
                return 0;
        }
        memcpy(&d, &value, sizeof(d));
        if (!isfinite(d))
                return fail(r, "infinity and NaN have no JSON");
        *ret = json_number(d);
        return 0;
}

static int read_one(struct reader *r, const struct pb_field *f, const struct wire_field *in, struct json_object **ret)
{
        if (in->wire != wire_of(f))
                return err_set(r->reterr, -EINVAL, "proto: wrong wireType = %d for field %s", (int)in->wire, f->name);
        return in->wire == WIRE_BYTES ? read_delimited(r, f, in->bytes, ret) : read_number(r, f, in->value, ret);
}

static void set(struct json_object *obj, const char *name, struct json_object *val)
{
        json_object_object_add_ex(obj, name, val, JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

/* The collection that a repeated field or map fills; made with the first element. */
static struct json_object *collection(struct json_object *obj, const struct pb_field *f)
{
        struct json_object *have = json_get(obj, f->name);

        if (!have) {
                have = f->shape == PB_MAP ? json_object_new_object() : json_object_new_array_ext(4);
                set(obj, f->name, have);
        }
        return have;
}

static int read_packed(struct reader *r, const struct pb_field *f, struct span in, struct json_object *arr)
{
        while (in.at < in.end) {
                struct json_object *val = NULL;
                uint64_t v;
                int ret_code;

                if (f->kind == PB_DOUBLE ? !read_fixed(&in, 8, &v) : !read_varint(&in, &v))
                        return fail(r, "unexpected EOF");
                ret_code = read_number(r, f, v, &val);
                if (ret_code)
                        return ret_code;
                json_object_array_add(arr, val);
        }
        return 0;
}

static int read_repeated(struct reader *r, const struct pb_field *f, const struct wire_field *in,
                         struct json_object *obj)
{
        struct json_object *arr = collection(obj, f), *val = NULL;
        int ret_code;

        if (in->wire == WIRE_BYTES && wire_of(f) != WIRE_BYTES)
                return read_packed(r, f, in->bytes, arr);
        ret_code = read_one(r, f, in, &val);
        if (!ret_code)
                json_object_array_add(arr, val);
        return ret_code;
}

/* A map's entry is a message of key and value. */
static int read_entry(struct reader *r, const struct pb_field *f, const struct wire_field *in, struct json_object *obj)
{
        _cleanup_json_ struct json_object *key = NULL, *val = NULL;
        struct small_message m;
        int ret_code;

        if (in->wire != WIRE_BYTES)
                return fail(r, "a map entry that is no message");
        ret_code = read_small(r, in->bytes, &m);
        if (!ret_code)
                ret_code = read_string(r, m.fields[1].bytes, &key);
        if (!ret_code && m.has[2])
                ret_code = read_one(r, f, &m.fields[2], &val);
        if (ret_code)
                return ret_code;
        if (!val && (f->kind == PB_STRING || f->kind == PB_BYTES))
                val = json_object_new_string("");
        json_object_object_add(collection(obj, f), json_object_get_string(key), TAKE_PTR(val));
        return 0;
}

static int read_member(struct reader *r, const struct pb_field *f, const struct wire_field *in, struct json_object *obj)
{
        struct json_object *val = NULL;
        int ret_code;

        switch (f->shape) {
        case PB_REPEATED:
                return read_repeated(r, f, in, obj);
        case PB_MAP:
                return read_entry(r, f, in, obj);
        case PB_INLINE:
                return in->wire == WIRE_BYTES ? read_message(r, f->message, in->bytes, obj)
                                              : fail(r, "an embedded message that is none");
        default:
                ret_code = read_one(r, f, in, &val);
                if (!ret_code)
                        set(obj, f->name, val);
                return ret_code;
        }
}

static int read_message(struct reader *r, const struct pb_message *message, struct span in, struct json_object *obj)
{
        int ret_code = 0;

        if (r->depth == JSON_DEPTH_MAX)
                return fail(r, "exceeded max depth");
        if (++r->containers > JSON_CONTAINERS_MAX)
                return fail(r, "too many messages");
        r->depth++;
        while (!ret_code && in.at < in.end) {
                const struct pb_field *f;
                struct wire_field field;

                ret_code = read_field(r, &in, &field);
                if (ret_code)
                        break;
                f = find_field(message, field.number);
                if (f)
                        ret_code = read_member(r, f, &field, obj);
        }
        r->depth--;
        return ret_code;
}

static const struct pb_message *find_message(const char *name)
{
        size_t low = 0, high = pb_nmessages;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int order = strcmp(name, pb_messages[mid].name);

                if (!order)
                        return &pb_messages[mid];
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return NULL;
}

/* runtime.TypeMeta: 1 apiVersion, 2 kind. *type becomes the struct that they name. */
static int read_type_meta(struct reader *r, struct span in, struct json_object *obj, const struct schema_struct **type)
{
        _cleanup_json_ struct json_object *version = NULL, *kind = NULL;
        const struct schema_struct *named;
        const char *text, *slash;
        char group[128] = "";
        struct small_message m;
        int ret_code = read_small(r, in, &m);

        if (!ret_code)
                ret_code = read_string(r, m.fields[1].bytes, &version);
        if (!ret_code)
                ret_code = read_string(r, m.fields[2].bytes, &kind);
        if (ret_code)
                return ret_code;
        text = json_object_get_string(version);
        slash = strchr(text, '/');
        if (slash && (size_t)(slash - text) < sizeof(group))
                memcpy(group, text, (size_t)(slash - text));
        named = schema_kind_find(group, slash ? slash + 1 : text, json_object_get_string(kind));
        *type = named ? named : *type;
        if (*text)
                set(obj, "apiVersion", TAKE_PTR(version));
        if (json_object_get_string_len(kind))
                set(obj, "kind", TAKE_PTR(kind));
        return 0;
}

/* runtime.Unknown: 1 typeMeta, 2 raw, 3 contentEncoding, 4 contentType. */
static int read_envelope(struct reader *r, struct span in, const struct schema_struct *type, struct json_object *obj)
{
        const struct pb_message *message;
        struct wire_field type_meta = {}, raw = {};

        while (in.at < in.end) {
                struct wire_field f = {};
                int ret_code = read_field(r, &in, &f);

                if (ret_code)
                        return ret_code;
                if (f.number == 1)
                        type_meta = f;
                else if (f.number == 2)
                        raw = f;
                else if (f.number == 3 && f.bytes.at != f.bytes.end)
                        return fail(r, "content encodings are not supported");
        }
        if (read_type_meta(r, type_meta.bytes, obj, &type))
                return -EINVAL;
        message = find_message(type->name);
        if (!message)
                return err_set(r->reterr, -EINVAL, "proto: %s has no protobuf form", type->name);
        return read_message(r, message, raw.bytes, obj);
}

int protobuf_read(const char *data, size_t len, const struct schema_struct *type, struct json_object **ret,
                  struct err *reterr)
{
        static const char magic[] = "k8s"; /* its NUL is the fourth byte */
        _cleanup_json_ struct json_object *obj = json_object_new_object();
        const uint8_t *bytes = (const uint8_t *)data;
        struct reader r = {.reterr = reterr};
        int ret_code;

        if (len < sizeof(magic) || memcmp(data, magic, sizeof(magic)))
                return err_set(reterr, -EINVAL,
                               "provided data does not appear to be a protobuf message, expected prefix "
                               "[107 56 115 0]");
        ret_code = read_envelope(&r, (struct span){bytes + sizeof(magic), bytes + len}, type, obj);
        if (ret_code)
                return ret_code;
        *ret = TAKE_PTR(obj);
        return 0;
}
