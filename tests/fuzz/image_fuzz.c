/* SPDX-License-Identifier: Apache-2.0 */
/* References, image configurations, records and what skopeo says: nothing crashes, what is accepted keeps its promises.
 * The first byte chooses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/images/config.h"
#include "agent/kubelet/images/layout.h"
#include "agent/kubelet/images/outcome.h"
#include "agent/kubelet/images/record.h"
#include "agent/kubelet/images/reference.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
        if (!holds)
                abort();
}

/* A normal form is its own, and no path of it leads up. */
static void fuzz_reference(const char *text)
{
        _cleanup_reference_ struct reference r = {0}, again = {0};
        struct err err = ERR_NULL;

        if (reference_parse(text, &r, &err)) {
                must(*err.msg && utf8_valid(err.msg, strlen(err.msg)));
                return;
        }
        must(!reference_parse(r.text, &again, &err));
        must(str_eq(r.text, again.text) && str_eq(r.domain, again.domain) && str_eq(r.repository, again.repository) &&
             str_eq(r.tag, again.tag) && str_eq(r.digest, again.digest) && str_eq(r.path, again.path));
        must((r.path != NULL) != (r.domain != NULL));
        must(r.path || r.tag || reference_is_sha256(r.digest));
        must(!strstr(r.path ?: r.repository, "/../"));
}

static void must_end(const char *const *list)
{
        for (; *list; list++)
                must(strlen(*list) < IMAGE_CONFIG_MAX);
}

static void fuzz_config(const char *text, size_t n)
{
        struct arena mem = ARENA_NULL;
        struct image_config c;
        struct err err = ERR_NULL;

        if (image_config_parse(&mem, text, n, &c, &err)) {
                must(str_has_prefix(err.msg, "the image's configuration"));
        } else {
                must_end(c.entrypoint);
                must_end(c.cmd);
                must_end(c.env);
                must_end(c.volumes);
                must(!*c.cwd || *c.cwd == '/');
                must(c.stop_signal >= 0 && c.stop_signal <= 64);
        }
        arena_deinit(&mem);
}

static void fuzz_record(const char *text, size_t n)
{
        struct image_record *r;
        struct err err = ERR_NULL;

        if (image_record_parse(text, n, "/images", &r, &err)) {
                must(*err.msg);
                return;
        }
        must(reference_is_sha256(r->image.id));
        must(str_has_prefix(r->image.rootfs, "/images/rootfs/") && !strchr(r->rootfs_name, '/') &&
             *r->rootfs_name != '.');
        for (size_t i = 0; i < r->nblobs; i++)
                must(reference_is_sha256(r->blobs[i].digest));
        image_record_free(r);
}

static void fuzz_outcome(const char *text)
{
        char buf[300];
        _cleanup_free_ char *copy = mem_strdup(text);

        outcome_clean(copy);
        must(utf8_valid(copy, strlen(copy)));
        outcome_of_skopeo(text, false, "x", buf, sizeof(buf));
        must(strlen(buf) < sizeof(buf) && !strchr(buf, '\n') && str_has_prefix(buf, "x: "));
        outcome_of_umoci(text, "x", buf, sizeof(buf));
        must(strlen(buf) < sizeof(buf) && !strchr(buf, '\n') && str_has_prefix(buf, "x: "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = size ? mem_strndup((const char *)data + 1, size - 1) : NULL;

        switch (size ? data[0] % 5 : 5) {
        case 0:
                fuzz_reference(text);
                break;
        case 1:
                fuzz_config(text, size - 1);
                break;
        case 2:
                fuzz_record(text, size - 1);
                break;
        case 3:
                fuzz_outcome(text);
                break;
        case 4:
                manifest_bytes(text, size - 1);
                break;
        default:
                break;
        }
        return 0;
}
