/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod runs as a service account: "default" unless said. The account's pull secrets are the pod's when it has none,
 * and each container finds the account's token, the CA and the namespace at a well-known path, unless pod or account do
 * not want that.
 */
#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/random.h"
#include "base/str.h"
#include "base/strbuf.h"

#define MIRROR        "kubernetes.io/config.mirror"
#define MOUNT_PATH    "/var/run/secrets/kubernetes.io/serviceaccount"
#define VOLUME_PREFIX "kube-api-access-"
#define TOKEN_SECONDS 3607 /* kube-apiserver's number for tokens that nobody has asked for by himself */

static int check_mirror_pod(const struct kctx *c, const struct json_object *obj, struct admit_result *ret)
{
        if (*str_of(json_get(obj, "spec"), "serviceAccountName"))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "a mirror pod may not reference service accounts");
        return 0;
}

/* ---- the token's volume ---- */

static bool mounts_tokens(const struct kctx *c, const struct json_object *spec, const struct json_object *account)
{
        bool by_account = json_get_bool(account, "automountServiceAccountToken", true);

        return c->config->mount_tokens && json_get_bool(spec, "automountServiceAccountToken", by_account);
}

/* The volume that is there already, as in a pod that was made of another's manifest; or NULL. */
static const char *present_volume(const struct json_object *spec)
{
        json_array_foreach (json_get(spec, "volumes"), i, v) {
                if (str_has_prefix(str_of(v, "name"), VOLUME_PREFIX))
                        return str_of(v, "name");
        }
        return NULL;
}

/* As names are generated: without vowels, so that no words come out. */
static const char *new_name(const struct kctx *c)
{
        static const char chars[] = "bcdfghjklmnpqrstvwxz2456789";
        char suffix[6] = "";

        for (size_t i = 0; i < 5; i++)
                suffix[i] = chars[random_below(sizeof(chars) - 1)];
        return arena_printf(c->arena, VOLUME_PREFIX "%s", suffix);
}

static bool mount_in(struct json_object *container, const char *volume)
{
        struct json_object *mounts = json_get(container, "volumeMounts"), *m;

        json_array_foreach (mounts, i, other) {
                if (str_eq(str_of(other, "mountPath"), MOUNT_PATH))
                        return false;
        }
        if (!mounts) {
                mounts = json_object_new_array();
                json_set(container, "volumeMounts", mounts);
        }
        m = json_object_new_object();
        json_set_str(m, "name", volume);
        json_set_bool(m, "readOnly", true);
        json_set_str(m, "mountPath", MOUNT_PATH);
        json_object_array_add(mounts, m);
        return true;
}

/* Whether any container has it now. */
static bool mount_in_all(struct json_object *spec, const char *volume)
{
        static const char *const lists[] = {"initContainers", "containers"};
        bool any = false;

        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_get(spec, lists[k]), i, container) {
                        any |= mount_in(container, volume);
                }
        }
        return any;
}

static struct json_object *token_volume(const char *name)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        struct json_object *o = NULL;

        strbuf_printf(
                &b,
                "{\"name\":\"%s\",\"projected\":{\"sources\":["
                "{\"serviceAccountToken\":{\"expirationSeconds\":%d,\"path\":\"token\"}},"
                "{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},"
                "{\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":"
                "{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.namespace\"}}]}}],\"defaultMode\":420}}",
                name, TOKEN_SECONDS);
        (void)json_parse(b.data, b.len, &o, NULL);
        return o;
}

static void mount_token(const struct kctx *c, struct json_object *spec)
{
        const char *present = present_volume(spec), *name = present ? present : new_name(c);
        struct json_object *volumes;

        if (!mount_in_all(spec, name) || present)
                return;
        volumes = json_get(spec, "volumes");
        if (!volumes) {
                volumes = json_object_new_array();
                json_set(spec, "volumes", volumes);
        }
        json_object_array_add(volumes, token_volume(name));
}

ADMIT_PLUGIN(service_account)
{
        _cleanup_json_ struct json_object *account = NULL;
        struct json_object *spec = json_get(obj, "spec"), *secrets;
        const char *name;

        if (!admit_is(c, "", "pods") || verb != ADMIT_CREATE || !spec)
                return 0;
        if (json_has(json_at(obj, "metadata.annotations"), MIRROR))
                return check_mirror_pod(c, obj, ret);
        if (!*str_of(spec, "serviceAccountName"))
                json_set_str(spec, "serviceAccountName", "default");
        name = str_of(spec, "serviceAccountName");
        json_set_str(spec, "serviceAccount", name);
        account = c->reader->get(c->reader->userdata, "", "serviceaccounts", c->namespace, name);
        /* The controllers make every namespace's default account; a pod may be quicker than they are. */
        if (!account && !str_eq(name, "default"))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "error looking up service account %s/%s: serviceaccount \"%s\" not found",
                                    c->namespace, name, name);
        secrets = json_get(account, "imagePullSecrets");
        if (json_len(secrets) && !json_has(spec, "imagePullSecrets"))
                json_set(spec, "imagePullSecrets", json_copy(secrets));
        if (mounts_tokens(c, spec, account))
                mount_token(c, spec);
        return 0;
}
