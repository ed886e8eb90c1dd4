/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps and Secrets. */
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/base64.h"
#include "base/str.h"

#define DATA_MAX_BYTES (1 << 20)

#define WHEN_IMMUTABLE "field is immutable when `immutable` is set"

static size_t text_len(const struct json_object *v)
{
        return json_is_string(v) ? (size_t)json_object_get_string_len((struct json_object *)v) : 0;
}

/* How many bytes the base64 text stands for. */
static size_t bytes_len(const struct json_object *v)
{
        size_t n = text_len(v);
        const char *s = n ? json_object_get_string((struct json_object *)v) : "";

        while (n && s[n - 1] == '=')
                n--;
        return n * 3 / 4;
}

static void check_keys(struct ferrs *e, const struct fpath *p, const struct json_object *map)
{
        json_foreach (map, key, val)
                check_name(e, FPK(p, key), NAME_CONFIG_KEY, key);
}

static void check_unchanged(struct ferrs *e, const struct json_object *obj, const struct json_object *old,
                            const char *field)
{
        if (!json_equal(json_get(obj, field), json_get(old, field)))
                ferr_forbidden(e, FP(NULL, field), WHEN_IMMUTABLE);
}

static void check_immutable_data(struct ferrs *e, const struct json_object *obj, const struct json_object *old)
{
        if (!json_get_bool(old, "immutable", false))
                return;
        if (!json_get_bool(obj, "immutable", false))
                ferr_forbidden(e, FP(NULL, "immutable"), WHEN_IMMUTABLE);
        check_unchanged(e, obj, old, "data");
        check_unchanged(e, obj, old, "binaryData");
}

static void config_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *data = json_get(obj, "data"), *binary = json_get(obj, "binaryData");
        size_t total = 0;

        check_keys(e, FP(NULL, "data"), data);
        json_foreach (data, key, val) {
                if (json_has(binary, key))
                        ferr_invalid_str(e, FPK(FP(NULL, "data"), key), key, "duplicate of key present in binaryData");
                total += text_len(val);
        }
        check_keys(e, FP(NULL, "binaryData"), binary);
        json_foreach (binary, bkey, bval)
                total += bytes_len(bval);
        /* The whole object is meant; kubectl users know it as "[]: Too long". */
        if (total > DATA_MAX_BYTES)
                ferr_too_long(e, FPK(NULL, ""), DATA_MAX_BYTES);
}

static void config_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        check_immutable_data(e, obj, old);
}

const struct kind_ops kind_configmaps = {
        .group = "",
        .plural = "configmaps",
        .validate = config_validate,
        .validate_update = config_validate_update,
};

/* stringData is for writing only: each of its values becomes one of data. */
static void secret_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *data;

        json_default_str(obj, "type", "Opaque");
        if (!json_has(obj, "stringData"))
                return;
        data = json_ensure(obj, "data");
        json_foreach (json_get(obj, "stringData"), key, val) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

                base64_encode(&b, json_object_get_string(val), text_len(val));
                json_set_str(data, key, b.len ? b.data : "");
        }
        json_del(obj, "stringData");
}

static bool has_data(const struct json_object *obj, const char *key)
{
        return json_has(json_get(obj, "data"), key);
}

static void require_data(struct ferrs *e, const struct json_object *obj, const char *key)
{
        if (!has_data(obj, key))
                ferr_required(e, FPK(FP(NULL, "data"), key), NULL);
}

/* The value is a JSON object. */
static void require_json(struct ferrs *e, const struct json_object *obj, const char *key)
{
        const char *text = json_get_str(json_get(obj, "data"), key);
        _cleanup_json_ struct json_object *value = NULL;
        _cleanup_free_ char *bytes = NULL;
        struct err err = ERR_NULL;
        size_t len = 0;

        if (!text) {
                require_data(e, obj, key);
                return;
        }
        if (base64_decode(text, strlen(text), &bytes, &len) == 0 && json_parse(bytes, len, &value, &err) == 0 &&
            json_is_object(value))
                return;
        ferr_invalid_str(e, FPK(FP(NULL, "data"), key), "<secret contents redacted>", "%s",
                         *err.msg ? err.msg : "must be a JSON object");
}

#define ACCOUNT_NAME "kubernetes.io/service-account.name"

static void check_type_data(struct ferrs *e, const struct json_object *obj)
{
        const char *type = str_of(obj, "type");
        const struct fpath *meta = FP(NULL, "metadata");

        if (str_eq(type, "kubernetes.io/service-account-token")) {
                if (str_empty(json_get_str(json_at(obj, "metadata.annotations"), ACCOUNT_NAME)))
                        ferr_required(e, FPK(FP(meta, "annotations"), ACCOUNT_NAME), NULL);
        } else if (str_eq(type, "kubernetes.io/dockercfg")) {
                require_json(e, obj, ".dockercfg");
        } else if (str_eq(type, "kubernetes.io/dockerconfigjson")) {
                require_json(e, obj, ".dockerconfigjson");
        } else if (str_eq(type, "kubernetes.io/basic-auth")) {
                if (!has_data(obj, "username") && !has_data(obj, "password")) {
                        require_data(e, obj, "username");
                        require_data(e, obj, "password");
                }
        } else if (str_eq(type, "kubernetes.io/ssh-auth")) {
                if (str_empty(json_get_str(json_get(obj, "data"), "ssh-privatekey")))
                        ferr_required(e, FPK(FP(NULL, "data"), "ssh-privatekey"), NULL);
        } else if (str_eq(type, "kubernetes.io/tls")) {
                require_data(e, obj, "tls.crt");
                require_data(e, obj, "tls.key");
        }
}

static void secret_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *data = json_get(obj, "data");
        size_t total = 0;

        check_keys(e, FP(NULL, "data"), data);
        json_foreach (data, key, val)
                total += bytes_len(val);
        if (total > DATA_MAX_BYTES)
                ferr_too_long(e, FP(NULL, "data"), DATA_MAX_BYTES);
        check_type_data(e, obj);
}

/* Who puts a Secret without a type keeps the one that it has. */
static void secret_prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        if (str_eq(str_of(obj, "type"), "") && json_has(old, "type"))
                json_set_str(obj, "type", str_of(old, "type"));
}

static void secret_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        check_immutable_str(e, NULL, obj, old, "type");
        check_immutable_data(e, obj, old);
}

static const struct kind_field secret_fields[] = {{.label = "type", .path = "type"}, {0}};

const struct kind_ops kind_secrets = {
        .group = "",
        .plural = "secrets",
        .defaults = secret_defaults,
        .prepare_update = secret_prepare_update,
        .validate = secret_validate,
        .validate_update = secret_validate_update,
        .fields = secret_fields,
};
