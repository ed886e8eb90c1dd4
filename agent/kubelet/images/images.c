/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/images/pull.h"
#include "base/mem.h"
#include "base/str.h"

#define MAX_BYTES     (64ULL << 30)
#define RESERVE_BYTES (256ULL << 20)

static int check_opts(const struct images_opts *o, struct err *reterr)
{
        if (str_empty(o->folder) || *o->folder != '/' || strpbrk(o->folder, ":,\\"))
                return err_set(reterr, -EINVAL,
                               "the images' folder: an absolute path without colons, commas and "
                               "backslashes is expected, not \"%s\"",
                               o->folder ?: "");
        return 0;
}

int images_new(const struct images_opts *o, struct images **ret, struct err *reterr)
{
        struct images *im;
        int e = check_opts(o, reterr);

        if (e)
                return e;
        im = mem_new(struct images);
        *im = (struct images){.loop = o->loop,
                              .children = o->children,
                              .folder = mem_strdup(o->folder),
                              .skopeo = mem_strdup(o->skopeo ?: "/usr/bin/skopeo"),
                              .umoci = mem_strdup(o->umoci ?: "/usr/bin/umoci"),
                              .registries_conf = mem_strdup(o->registries_conf),
                              .cert_folder = mem_strdup(o->cert_folder),
                              .disk_folder = mem_strdup(o->disk_folder),
                              .parallel_pulls = o->parallel_pulls ?: 3,
                              .max_bytes = o->max_bytes ?: MAX_BYTES,
                              .reserve_bytes = o->reserve_bytes ?: RESERVE_BYTES,
                              .stall_ms = (o->stall_s ?: 60) * 1000ULL,
                              .timeout_ms = (o->timeout_s ?: 3600) * 1000ULL,
                              .progress_ms = (o->progress_s ?: 10) * 1000ULL,
                              .lock = -1};
        e = store_open(im, reterr);
        e = e ?: load_watch_new(im, reterr);
        if (e) {
                images_free(im);
                return e;
        }
        *ret = im;
        return 0;
}

void images_free(struct images *im)
{
        if (!im)
                return;
        load_watch_free(im->load);
        pulls_free(im);
        store_close(im);
        free(im->folder);
        free(im->skopeo);
        free(im->umoci);
        free(im->registries_conf);
        free(im->cert_folder);
        free(im->disk_folder);
        free(im);
}

const struct image *images_find(const struct images *im, const char *reference)
{
        _cleanup_reference_ struct reference ref = {0};
        struct image_record *r = store_by_id(im, reference);

        if (!r && !reference_parse(reference, &ref, NULL))
                r = store_find(im, &ref);
        return r ? &r->image : NULL;
}

void images_each(const struct images *im, void (*fn)(void *userdata, const struct image *image), void *userdata)
{
        for (size_t i = 0; i < im->nrecords; i++)
                fn(userdata, &im->records[i]->image);
}
