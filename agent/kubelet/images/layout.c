/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/kubelet/images/layout.h"
#include "agent/kubelet/images/reference.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define MANIFEST_MAX (4 * 1024 * 1024)
#define LAYERS_MAX   1000

char *sha256_text(const void *data, size_t n, char buf[static SHA256_TEXT_SIZE])
{
        unsigned char hash[32];
        char *out = buf + sprintf(buf, "sha256:");

        if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, n, hash))
                abort();
        for (size_t i = 0; i < sizeof(hash); i++)
                out += sprintf(out, "%02x", hash[i]);
        return buf;
}

static char *blob_path(const char *folder, const char *digest)
{
        return mem_printf("%s/blobs/sha256/%s", folder, digest + strlen("sha256:"));
}

static void note_blob(struct layout *l, const char *folder, const char *digest)
{
        _cleanup_free_ char *path = blob_path(folder, digest);
        struct stat st;

        for (size_t i = 0; i < l->nblobs; i++)
                if (str_eq(l->blobs[i].digest, digest))
                        return;
        l->blobs[l->nblobs++] =
                (struct blob){arena_strdup(&l->mem, digest), stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512};
}

/* The text of a blob, which is what its digest says. */
static int read_blob(const char *folder, const char *digest, const char *what, char **ret, size_t *ret_n,
                     struct err *reterr)
{
        _cleanup_free_ char *path = blob_path(folder, digest), *text = NULL;
        char is[SHA256_TEXT_SIZE];
        size_t n;
        int e = file_read(path, MANIFEST_MAX, &text, &n, reterr);

        if (e)
                return err_prefix(reterr, e, "the image's %s", what);
        if (!str_eq(sha256_text(text, n, is), digest))
                return err_set(reterr, -EBADMSG, "the image's %s: should be %s, but is %s", what, digest, is);
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 0;
}

static int digest_of(struct json_object *descriptor, const char *what, const char **ret, struct err *reterr)
{
        const char *digest = json_get_str(descriptor, "digest");

        if (!reference_is_sha256(digest))
                return err_set(reterr, -EINVAL, "the image's manifest: %s: a sha256 digest is expected", what);
        *ret = digest;
        return 0;
}

static int read_layers(struct layout *l, const char *folder, struct json_object *manifest, struct err *reterr)
{
        struct json_object *layers = json_get(manifest, "layers");

        if (!json_is_array(layers) || json_len(layers) > LAYERS_MAX)
                return err_set(reterr, -EINVAL, "the image's manifest: layers: a list of at most %d is expected",
                               LAYERS_MAX);
        json_array_foreach (layers, i, layer) {
                const char *digest = NULL;
                int e = digest_of(layer, "layers", &digest, reterr);

                if (e)
                        return e;
                note_blob(l, folder, digest);
                if (strstr(json_get_str(layer, "mediaType") ?: "", "+zstd"))
                        l->zstd[l->nzstd++] = arena_strdup(&l->mem, digest);
        }
        return 0;
}

static int read_manifest(struct layout *l, const char *folder, struct json_object *manifest, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        const char *digest = NULL;
        size_t n;
        int e = read_layers(l, folder, manifest, reterr);

        e = e ?: digest_of(json_get(manifest, "config"), "config", &digest, reterr);
        if (e)
                return e;
        note_blob(l, folder, digest);
        e = read_blob(folder, digest, "configuration", &text, &n, reterr);
        if (e)
                return e;
        l->id = arena_strdup(&l->mem, digest);
        l->config = arena_strndup(&l->mem, text, n);
        return 0;
}

static int parse_file(const char *path, struct json_object **ret, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int e = file_read(path, MANIFEST_MAX, &text, &n, reterr);

        e = e ?: json_parse(text, n, ret, reterr);
        return e ? err_prefix(reterr, e, "the image's index") : 0;
}

static int read_all(struct layout *l, const char *folder, struct err *reterr)
{
        _cleanup_free_ char *path = mem_printf("%s/index.json", folder), *text = NULL;
        _cleanup_json_ struct json_object *index = NULL, *manifest = NULL;
        const char *digest = NULL;
        size_t n;
        int e = parse_file(path, &index, reterr);

        e = e ?: digest_of(json_idx(json_get(index, "manifests"), 0), "its own", &digest, reterr);
        if (e)
                return e;
        note_blob(l, folder, digest);
        e = read_blob(folder, digest, "manifest", &text, &n, reterr);
        e = e ?: json_parse(text, n, &manifest, reterr);
        return e ?: read_manifest(l, folder, manifest, reterr);
}

int layout_read(const char *folder, struct layout *ret, struct err *reterr)
{
        *ret = (struct layout){0};
        ret->blobs = arena_array(&ret->mem, struct blob, LAYERS_MAX + 2);
        ret->zstd = arena_array(&ret->mem, const char *, LAYERS_MAX);
        return read_all(ret, folder, reterr);
}

void layout_deinit(struct layout *l)
{
        arena_deinit(&l->mem);
        *l = (struct layout){0};
}

uint64_t manifest_bytes(const char *text, size_t n)
{
        _cleanup_json_ struct json_object *o = NULL;
        uint64_t bytes = 0;

        if (json_parse(text, n, &o, NULL))
                return 0;
        json_array_foreach (json_get(o, "layers"), i, layer)
                bytes += (uint64_t)MAX(json_get_i64(layer, "size", 0), 0);
        return bytes;
}
