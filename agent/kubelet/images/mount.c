/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/images/store.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define OPTIONS_MAX 4095 /* bytes that mount(2) takes: a page */

/* overlayfs reads a backslash before commas and colons of a path. */
static void add_path(struct strbuf *b, const char *key, const char *path)
{
        strbuf_add_str(b, key);
        for (; *path; path++) {
                if (strchr("\\,:", *path))
                        strbuf_add_char(b, '\\');
                strbuf_add_char(b, *path);
        }
}

/* The container's root is its upper folder: it looks as the image's does. */
static int copy_look(const char *from, const char *to, struct err *reterr)
{
        struct stat st;

        if (stat(from, &st))
                return err_set(reterr, -errno, "the image's root %s: %s", from, strerror(errno));
        if (chown(to, st.st_uid, st.st_gid) || chmod(to, st.st_mode & 07777))
                return err_set(reterr, -errno, "%s: cannot be made as the image's root is: %s", to, strerror(errno));
        return 0;
}

int image_mount(const struct image *image, const char *upper, const char *work, const char *target, struct err *reterr)
{
        _cleanup_strbuf_ struct strbuf options = STRBUF_NULL;
        int e = copy_look(image->rootfs, upper, reterr);

        if (e)
                return e;
        add_path(&options, "lowerdir=", image->rootfs);
        add_path(&options, ",upperdir=", upper);
        add_path(&options, ",workdir=", work);
        if (options.len > OPTIONS_MAX)
                return err_set(reterr, -ENAMETOOLONG, "overlayfs on %s: the paths are too long", target);
        if (mount("overlay", target, "overlay", 0, options.data)) {
                e = -errno;
                return err_set(reterr, e, "overlayfs of image %s on %s: %s", image->id, target, strerror(-e));
        }
        return 0;
}

int images_mount(void *images, const char *id, const char *upper, const char *work, const char *target,
                 struct err *reterr)
{
        struct images *im = images;
        struct image_record *r = store_by_id(im, id);
        int e;

        if (!r)
                return err_set(reterr, -ENOENT, "image %s is not on this node any more", id);
        e = image_mount(&r->image, upper, work, target, reterr);
        if (!e)
                store_used(im, r);
        return e;
}
