/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/images/store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static int compare_used(const void *a, const void *b)
{
        const struct image_record *x = *(struct image_record *const *)a, *y = *(struct image_record *const *)b;

        return (x->image.used_ns > y->image.used_ns) - (x->image.used_ns < y->image.used_ns);
}

/* What goes when this one goes and the others stay. While a pull may use them, blobs stay. */
static uint64_t own_blob_bytes(const struct images *im, const struct image_record *r)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < r->nblobs && !im->running; i++)
                if (!store_is_shared(im, r, r->blobs[i].digest))
                        bytes += r->blobs[i].bytes;
        return bytes;
}

static uint64_t remove_image(struct images *im, struct image_record *r)
{
        uint64_t bytes = r->rootfs_bytes + own_blob_bytes(im, r);
        const char *name = *r->image.tags ?: *r->image.digests ?: "";
        size_t before = im->nrecords;

        log_info("image removed", "image=%s name=%s bytes=%llu", r->image.id, name, (unsigned long long)bytes);
        store_remove(im, r);
        return im->nrecords < before ? bytes : 0;
}

/* Blobs of no image go first: they cost nobody anything but a download. */
uint64_t images_collect(struct images *im, uint64_t bytes, int64_t min_age_s,
                        bool (*in_use)(void *userdata, const char *id), void *userdata)
{
        _cleanup_free_ char *mounts = store_mounts();
        size_t n = im->nrecords;
        _cleanup_free_ struct image_record **order = n ? mem_array(struct image_record *, n) : NULL;
        int64_t before = clock_wall_ns() - min_age_s * (int64_t)NS_PER_S;
        uint64_t freed = store_sweep_blobs(im);

        store_sweep_roots(im);
        for (size_t i = 0; i < n; i++)
                order[i] = im->records[i];
        if (n)
                qsort(order, n, sizeof(struct image_record *), compare_used);
        for (size_t i = 0; i < n && freed < bytes; i++)
                if (order[i]->image.used_ns <= before && !(in_use && in_use(userdata, order[i]->image.id)) &&
                    !store_is_mounted(mounts, order[i]->image.rootfs))
                        freed += remove_image(im, order[i]);
        store_sweep_blobs(im);
        return freed;
}
