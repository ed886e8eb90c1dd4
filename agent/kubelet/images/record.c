/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/kubelet/images/config.h"
#include "agent/kubelet/images/record.h"
#include "agent/kubelet/images/reference.h"
#include "base/mem.h"
#include "base/str.h"

#define NAMES_MAX 4096
#define BLOBS_MAX 4096

/* Names are normal forms, since they are compared as they are. */
static int names(struct image_record *r, struct json_object *o, const char *key, const char *const **ret,
                 struct err *reterr)
{
        struct json_object *a = json_get(o, key);
        const char **v = arena_array(&r->mem, const char *, json_len(a) + 1);

        if (!json_is_array(a) || json_len(a) > NAMES_MAX)
                return err_set(reterr, -EINVAL, "%s: a list of names is expected", key);
        json_array_foreach (a, i, s) {
                _cleanup_reference_ struct reference ref = {0};
                const char *name = json_is_string(s) ? json_object_get_string(s) : "";
                int e = reference_parse(name, &ref, reterr);

                if (!e && !str_eq(ref.text, name))
                        e = err_set(reterr, -EINVAL, "\"%s\" is meant by \"%.200s\"", ref.text, name);
                if (e)
                        return err_prefix(reterr, e, "%s[%zu]", key, i);
                v[i] = arena_strdup(&r->mem, name);
        }
        *ret = v;
        return 0;
}

static int blobs(struct image_record *r, struct json_object *o, struct err *reterr)
{
        struct json_object *a = json_get(o, "blobs");
        struct blob *v;

        if (!json_is_array(a) || json_len(a) > BLOBS_MAX)
                return err_set(reterr, -EINVAL, "blobs: a list of at most %d is expected", BLOBS_MAX);
        v = arena_array(&r->mem, struct blob, json_len(a) + 1);
        json_array_foreach (a, i, b) {
                int64_t size = json_get_i64(b, "size", -1);

                if (!reference_is_sha256(json_get_str(b, "digest")) || size < 0)
                        return err_set(reterr, -EINVAL, "blobs[%zu]: a digest and a size are expected", i);
                v[i] = (struct blob){arena_strdup(&r->mem, json_get_str(b, "digest")), (uint64_t)size};
        }
        r->blobs = v;
        r->nblobs = json_len(a);
        return 0;
}

static bool is_file_name(const char *s)
{
        return !str_empty(s) && *s != '.' && strlen(s) < 128 && s[strspn(s, "0123456789abcdef-")] == '\0';
}

static int config(struct image_record *r, struct json_object *o, struct err *reterr)
{
        _cleanup_free_ char *text = json_text(json_get(o, "config"));
        struct image_config c;
        int e = image_config_parse(&r->mem, text, strlen(text), &c, reterr);

        if (e)
                return e;
        r->image.entrypoint = c.entrypoint;
        r->image.cmd = c.cmd;
        r->image.env = c.env;
        r->image.user = c.user;
        r->image.cwd = c.cwd;
        r->image.stop_signal = c.stop_signal;
        r->image.volumes = c.volumes;
        r->image.labels = c.labels;
        r->image.nlabels = c.nlabels;
        return 0;
}

static int fill(struct image_record *r, struct json_object *o, const char *folder, struct err *reterr)
{
        const char *id = json_get_str(o, "id"), *rootfs = json_get_str(o, "rootfs");
        int64_t bytes = json_get_i64(o, "rootfsBytes", -1);
        int e;

        if (!reference_is_sha256(id))
                return err_set(reterr, -EINVAL, "id: \"sha256:\" and 64 digits are expected");
        if (!is_file_name(rootfs))
                return err_set(reterr, -EINVAL, "rootfs: the name of a folder is expected");
        if (bytes < 0)
                return err_set(reterr, -EINVAL, "rootfsBytes: a number is expected");
        r->image.id = arena_strdup(&r->mem, id);
        r->rootfs_name = arena_strdup(&r->mem, rootfs);
        r->image.rootfs = arena_printf(&r->mem, "%s/rootfs/%s", folder, rootfs);
        r->rootfs_bytes = (uint64_t)bytes;
        r->updated_ns = json_get_i64(o, "updated", 0);
        e = names(r, o, "tags", &r->image.tags, reterr);
        e = e ?: names(r, o, "digests", &r->image.digests, reterr);
        e = e ?: blobs(r, o, reterr);
        e = e ?: config(r, o, reterr);
        r->image.bytes = image_record_bytes(r);
        return e;
}

int image_record_parse(const char *text, size_t n, const char *folder, struct image_record **ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct image_record *r;
        int e = json_parse(text, n, &o, reterr);

        if (e)
                return e;
        r = mem_new(struct image_record);
        e = fill(r, o, folder, reterr);
        if (e) {
                image_record_free(r);
                return e;
        }
        *ret = r;
        return 0;
}

void image_record_free(struct image_record *r)
{
        if (!r)
                return;
        arena_deinit(&r->mem);
        free(r);
}

uint64_t image_record_bytes(const struct image_record *r)
{
        uint64_t bytes = r->rootfs_bytes;

        for (size_t i = 0; i < r->nblobs; i++)
                bytes += r->blobs[i].bytes;
        return bytes;
}
