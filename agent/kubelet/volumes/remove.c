/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a pod's volumes: first nothing is mounted below its folder any more, then the folder goes, piece by piece,
 * so that the loop does not wait for a million files. Killed in the middle, it is done again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "agent/kubelet/volumes/impl.h"
#include "agent/kubelet/volumes/mounts.h"
#include "agent/kubelet/volumes/tree.h"
#include "base/mem.h"
#include "base/str.h"

#define FILES_A_STEP 200

struct removal {
        struct removal *next;
        struct volumes *v;
        char *uid;
        struct loop_timer *timer;
        struct tree_removal *tree;
        void (*done)(void *userdata, int result, const char *message);
        void *userdata;
};

static void removal_free(struct removal *m)
{
        tree_removal_free(m->tree);
        loop_timer_free(m->timer);
        free(m->uid);
        free(m);
}

static void unlink_removal(struct removal *m)
{
        struct removal **at = &m->v->removals;

        while (*at != m)
                at = &(*at)->next;
        *at = m->next;
}

static void finish(struct removal *m, int result, const char *message)
{
        void (*done)(void *userdata, int result, const char *message) = m->done;
        void *userdata = m->userdata;

        unlink_removal(m);
        removal_free(m);
        done(userdata, result, message);
}

static void finish_failed(struct removal *m, int result)
{
        _cleanup_free_ char *message = mem_printf("cannot remove the volumes of pod %s: %s", m->uid, strerror(-result));

        finish(m, result, message);
}

/* The last mounted first. */
static int unmount_all(struct removal *m)
{
        _cleanup_free_ char *folder = mem_printf("%s/pods/%s", m->v->root, m->uid);
        struct arena mem = ARENA_NULL;
        struct textlist mounts = TEXTLIST(&mem);
        int r = mounts_below(folder, &mounts);

        for (size_t i = mounts.n; !r && i-- > 0;)
                if (umount2(mounts.v[i], MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
                        r = -errno;
        arena_deinit(&mem);
        return r;
}

static int begin(struct removal *m)
{
        _cleanup_free_ char *pods = mem_printf("%s/pods", m->v->root);
        _cleanup_close_ int at = open(pods, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (at < 0)
                return errno == ENOENT ? 0 : -errno;
        r = unmount_all(m);
        if (r)
                return r;
        m->tree = tree_removal_new(at, m->uid);
        return m->tree ? 1 : -EMFILE;
}

static void step(void *userdata)
{
        struct removal *m = userdata;
        int r = m->tree ? 1 : begin(m);

        if (r == 1)
                r = tree_removal_step(m->tree, FILES_A_STEP);
        if (r == 1)
                loop_timer_set(m->timer, 0);
        else if (r)
                finish_failed(m, r);
        else
                finish(m, 0, "");
}

void volumes_remove(struct volumes *v, const char *uid, void (*done)(void *userdata, int result, const char *message),
                    void *userdata)
{
        struct removal *m = mem_new(struct removal);

        tokens_forget(v, uid);
        *m = (struct removal){.next = v->removals, .v = v, .uid = mem_strdup(uid), .done = done, .userdata = userdata};
        v->removals = m;
        if (!volume_is_name(uid))
                finish_failed(m, -EINVAL);
        else if (loop_timer_new(v->opts.loop, step, m, &m->timer) == 0)
                loop_timer_set(m->timer, 0);
        else
                finish_failed(m, -ENOMEM);
}

void removals_deinit(struct volumes *v)
{
        while (v->removals) {
                struct removal *m = v->removals;

                v->removals = m->next;
                removal_free(m);
        }
}
