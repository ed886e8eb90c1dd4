/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/watchdir.h"
#include "base/mem.h"

#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

struct watchdir {
        struct loop_fd *source;
        void (*changed)(void *userdata);
        void *userdata;
        char *path;
        int fd, watch; /* watch -1: the folder is not there */
};

static void on_events(void *userdata, unsigned int events)
{
        struct watchdir *w = userdata;
        char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(w->fd, buf, sizeof(buf));

        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *e = (void *)(buf + at);

                if (e->mask & IN_IGNORED && e->wd == w->watch)
                        w->watch = -1;
                at += (ssize_t)sizeof(*e) + e->len;
        }
        if (n > 0)
                w->changed(w->userdata);
}

void watchdir_check(struct watchdir *w)
{
        if (w->watch >= 0)
                return;
        w->watch = inotify_add_watch(w->fd, w->path, EVENTS);
        if (w->watch >= 0)
                w->changed(w->userdata);
}

int watchdir_new(struct loop *loop, const char *path, void (*changed)(void *userdata), void *userdata,
                 struct watchdir **ret, struct err *reterr)
{
        _cleanup_(watchdir_freep) struct watchdir *w = mem_new(struct watchdir);
        int res;

        w->changed = changed;
        w->userdata = userdata;
        w->path = mem_strdup(path);
        w->watch = -1;
        w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        res = w->fd < 0 ? -errno : loop_fd_new(loop, w->fd, LOOP_READ, on_events, w, &w->source);
        if (res == 0) {
                w->watch = inotify_add_watch(w->fd, path, EVENTS);
                res = w->watch < 0 ? -errno : 0;
        }
        if (res < 0)
                return err_set(reterr, res, "cannot watch %s: %s", path, strerror(-res));
        *ret = TAKE_PTR(w);
        return 0;
}

void watchdir_free(struct watchdir *w)
{
        if (!w)
                return;
        if (w->source)
                loop_fd_free(w->source);
        if (w->fd >= 0)
                close(w->fd);
        free(w->path);
        free(w);
}
