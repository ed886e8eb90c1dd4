/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of configMap, secret, projected and downwardAPI volumes are. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "agent/kubelet/volumes/downward.h"
#include "agent/kubelet/volumes/impl.h"
#include "base/base64.h"
#include "base/file.h"
#include "base/str.h"

#define MODE_DEFAULT 0644
#define TOKEN_MODE   0600

struct files {
        const struct volume *vol;
        struct payload *p;
        mode_t mode; /* defaultMode */
};

static mode_t mode_of(const struct json_object *item, mode_t otherwise)
{
        return (mode_t)json_get_i64(item, "mode", otherwise);
}

struct keyed {
        enum object_kind kind;
        const char *name, *word, *no_key;
        bool optional;
        const struct json_object *items;
};

/* The bytes of a key, of `data` or `binaryData`; -ENOENT: none of that name. */
static int key_bytes(const struct keyed *k, const struct json_object *o, const char *key, struct arena *mem,
                     const char **ret, size_t *ret_n)
{
        struct json_object *text = json_get(json_get(o, "data"), key),
                           *binary = k->kind == OBJECT_SECRET ? text : json_get(json_get(o, "binaryData"), key);
        _cleanup_free_ char *bytes = NULL;

        if (text && k->kind == OBJECT_CONFIG_MAP) {
                *ret = json_object_get_string(text);
                *ret_n = (size_t)json_object_get_string_len(text);
                return 0;
        }
        if (!binary)
                return -ENOENT;
        if (base64_decode(json_object_get_string(binary), (size_t)json_object_get_string_len(binary), &bytes, ret_n))
                return -EINVAL;
        *ret = memcpy(arena_alloc(mem, *ret_n + 1), bytes, *ret_n);
        return 0;
}

static int add_key(struct files *f, const struct keyed *k, const struct json_object *o, const char *key,
                   const char *path, mode_t mode, struct err *reterr)
{
        const char *bytes;
        size_t n;
        int r = key_bytes(k, o, key, f->p->mem, &bytes, &n);

        if (r == -ENOENT && k->optional)
                return 0;
        if (r == -ENOENT)
                return err_set(reterr, -EAGAIN, "%s %s", k->no_key, key);
        if (r)
                return err_set(reterr, r, "%s \"%s\": key %s is no base64", k->word, k->name, key);
        return payload_add(f->p, path, bytes, n, mode, reterr);
}

static int add_all_keys(struct files *f, const struct keyed *k, const struct json_object *o, struct err *reterr)
{
        static const char *const maps[] = {"data", "binaryData"};
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                json_foreach (json_get(o, maps[i]), key, value) {
                        r = add_key(f, k, o, key, key, f->mode, reterr);
                        if (r)
                                return r;
                }
        }
        return 0;
}

static int add_object(struct files *f, const struct keyed *k, struct err *reterr)
{
        struct json_object *o = NULL;
        int r = objects_get(f->vol->v->opts.objects, k->kind, f->vol->ns, k->name, &o);

        if (r == -ENOENT && k->optional)
                return 0;
        if (r == -ENOENT)
                return err_set(reterr, -EAGAIN, "%s \"%s\" not found", k->word, k->name);
        if (r)
                return err_set(reterr, -EAGAIN, "%s \"%s\" is not known yet: the API has not answered", k->word,
                               k->name);
        if (!json_len(k->items))
                return add_all_keys(f, k, o, reterr);
        json_array_foreach (k->items, i, item) {
                r = add_key(f, k, o, json_get_str(item, "key") ?: "", json_get_str(item, "path") ?: "",
                            mode_of(item, f->mode), reterr);
                if (r)
                        return r;
        }
        return 0;
}

static int add_config_map(struct files *f, const struct json_object *source, struct err *reterr)
{
        struct keyed k = {OBJECT_CONFIG_MAP,
                          json_get_str(source, "name") ?: "",
                          "configmap",
                          "configmap references non-existent config key:",
                          json_get_bool(source, "optional", false),
                          json_get(source, "items")};

        return add_object(f, &k, reterr);
}

/* A volume says secretName, a projection name. */
static int add_secret(struct files *f, const struct json_object *source, struct err *reterr)
{
        struct keyed k = {OBJECT_SECRET,
                          json_get_str(source, "secretName") ?: json_get_str(source, "name") ?: "",
                          "secret",
                          "references non-existent secret key:",
                          json_get_bool(source, "optional", false),
                          json_get(source, "items")};

        return add_object(f, &k, reterr);
}

static int add_downward(struct files *f, const struct json_object *source, struct err *reterr)
{
        const struct volumes_opts *opts = &f->vol->v->opts;
        struct downward d = {.pod = f->vol->pod, .node = opts->node ? opts->node(opts->userdata) : NULL};
        int r = 0;

        json_array_foreach (json_get(source, "items"), i, item) {
                const struct json_object *resource = json_get(item, "resourceFieldRef");
                const char *field = json_get_str(json_get(item, "fieldRef"), "fieldPath"), *text = "";

                r = resource ? downward_resource(&d, resource, NULL, f->p->mem, &text, reterr)
                             : downward_field(&d, field, f->p->mem, &text, reterr);
                if (!r)
                        r = payload_add(f->p, json_get_str(item, "path"), text, strlen(text), mode_of(item, f->mode),
                                        reterr);
                if (r)
                        return r;
        }
        return 0;
}

/* The user that all containers of the pod run as; -1: they differ, or leave it to their image. */
static int64_t common_user(const struct json_object *pod)
{
        static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
        const struct json_object *spec = json_get(pod, "spec");
        int64_t of_pod = json_at_i64(spec, "securityContext.runAsUser", -1), user = -2;

        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_get(spec, lists[k]), i, c) {
                        int64_t own = json_at_i64(c, "securityContext.runAsUser", of_pod);

                        if (own < 0 || (user != -2 && own != user))
                                return -1;
                        user = own;
                }
        }
        return MAX(user, -1);
}

/* Others do not need to read a token when it is known who does. */
static int add_token(struct files *f, const struct json_object *source, struct err *reterr)
{
        int64_t user = common_user(f->vol->pod);
        bool narrow = user >= 0 || f->vol->fs_group >= 0;
        const char *token;
        int r = token_get(f->vol->v, f->vol->pod, source, &token, reterr);

        if (r)
                return r;
        token = arena_strdup(f->p->mem, token);
        r = payload_add(f->p, json_get_str(source, "path"), token, strlen(token), narrow ? TOKEN_MODE : f->mode,
                        reterr);
        if (!r)
                f->p->files[f->p->nfiles - 1].uid = user;
        return r;
}

static const struct projection {
        const char *field;
        int (*add)(struct files *f, const struct json_object *source, struct err *reterr);
} projections[] = {
        {"configMap", add_config_map},
        {"secret", add_secret},
        {"downwardAPI", add_downward},
        {"serviceAccountToken", add_token},
};

static int add_by_field(struct files *f, const char *field, const struct json_object *source, struct err *reterr)
{
        for (size_t i = 0; i < ARRAY_SIZE(projections); i++)
                if (str_eq(projections[i].field, field))
                        return projections[i].add(f, source, reterr);
        return err_set(reterr, -EOPNOTSUPP, "%s: not supported", field);
}

static int add_projected(struct files *f, struct err *reterr)
{
        int r = 0;

        json_array_foreach (json_get(f->vol->source, "sources"), i, one) {
                json_foreach (one, field, source) {
                        r = source ? add_by_field(f, field, source, reterr) : 0;
                        if (r)
                                return r;
                }
        }
        return 0;
}

static int fill(struct files *f, struct err *reterr)
{
        if (str_eq(f->vol->kind, "projected"))
                return add_projected(f, reterr);
        return add_by_field(f, f->vol->kind, f->vol->source, reterr);
}

/* Only ConfigMaps may come to lie on the disk. */
static int make_folder(const struct volume *vol, struct err *reterr)
{
        int r = file_mkdirs(vol->folder, 0755, reterr);

        if (r || str_eq(vol->kind, "configMap") || is_mount(vol->folder))
                return r;
        if (mount("tmpfs", vol->folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0777"))
                return err_set(reterr, -errno, "cannot mount a tmpfs on %s: %s", vol->folder, strerror(errno));
        return 0;
}

int files_prepare(const struct volume *vol, struct err *reterr)
{
        struct arena mem = ARENA_NULL;
        struct payload p = {.mem = &mem, .gid = vol->fs_group};
        struct files f = {vol, &p, (mode_t)json_get_i64(vol->source, "defaultMode", MODE_DEFAULT)};
        int r = fill(&f, reterr);

        if (!r)
                r = make_folder(vol, reterr);
        if (!r)
                r = payload_write(&p, vol->folder, reterr);
        /* What was there before goes on being there: without the API, and when its objects are gone. */
        else if (r == -EAGAIN && payload_is_written(vol->folder))
                r = 0;
        arena_deinit(&mem);
        return r;
}
