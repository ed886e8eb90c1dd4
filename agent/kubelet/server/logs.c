/* SPDX-License-Identifier: Apache-2.0 */
/* /containerLogs: a source of the HTTP server reads the file; who follows is woken by logwatch. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/server/impl.h"
#include "agent/kubelet/server/logfilter.h"
#include "agent/kubelet/server/logwatch.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define READ_SIZE 65536

struct log_source {
        struct http_source source;
        struct kubelet_server *s;
        char *path;
        int fd;
        bool follow;
        int64_t tail; /* lines from the end; -1: all */
        struct log_filter filter;
        struct strbuf in, out; /* read and not shown yet; to be sent */
        size_t at;             /* of out, sent */
        struct log_follower follower;
};

static struct log_source *of(struct http_source *s)
{
        return container_of(s, struct log_source, source);
}

static void on_start(struct http_source *s, struct http_stream *stream)
{
        struct log_source *l = of(s);
        _cleanup_free_ char *folder = mem_strdup(l->path);

        l->follower.stream = stream;
        *strrchr(folder, '/') = '\0';
        if (l->tail >= 0)
                lseek(l->fd, MAX(0, log_tail(l->fd, (uint64_t)l->tail)), SEEK_SET);
        if (l->follow)
                logwatch_add(l->s->logwatch, &l->follower, folder);
}

/* Reads a piece and shows it. Bytes, 0 at the end of what there is, negative errno. */
static ssize_t read_piece(struct log_source *l)
{
        char *to = strbuf_reserve(&l->in, READ_SIZE);
        ssize_t n = read(l->fd, to, READ_SIZE - l->in.len);
        size_t used;

        if (n <= 0)
                return n < 0 ? -errno : 0;
        l->in.len += (size_t)n;
        used = log_filter(&l->filter, l->in.data, l->in.len, l->in.len == READ_SIZE, &l->out);
        memmove(l->in.data, l->in.data + used, l->in.len - used);
        l->in.len -= used;
        return n;
}

/* The log goes on in another file of that name. */
static bool is_rotated(const struct log_source *l)
{
        struct stat here, there;

        return !fstat(l->fd, &here) && !stat(l->path, &there) && here.st_ino != there.st_ino;
}

/* Of the names PREFIX.TIME in a folder: the first behind `after`; also the one of that file, "" when it is gone. */
static void find_rotated(DIR *dir, const char *prefix, const char *after, ino_t file, char next[static 256],
                         char own[static 256])
{
        size_t n = strlen(prefix);

        *next = *own = '\0';
        rewinddir(dir);
        for (const struct dirent *e; (e = readdir(dir));) {
                if (strncmp(e->d_name, prefix, n) != 0 || e->d_name[n] != '.')
                        continue;
                if (e->d_ino == file)
                        str_copy(own, 256, e->d_name);
                if (strcmp(e->d_name, after) > 0 && (!*next || strcmp(e->d_name, next) < 0))
                        str_copy(next, 256, e->d_name);
        }
}

/* The file after this one: who is slow may be several behind. When ours was removed, all that are left came after it.
 */
static int open_after(const struct log_source *l)
{
        const char *base = strrchr(l->path, '/') + 1;
        _cleanup_free_ char *folder = mem_strndup(l->path, (size_t)(base - l->path)), *path = NULL;
        char next[256], own[256], unused[256];
        DIR *dir = opendir(folder);
        struct stat st;

        if (!dir || fstat(l->fd, &st)) {
                if (dir)
                        closedir(dir);
                return open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        }
        find_rotated(dir, base, "", st.st_ino, next, own);
        find_rotated(dir, base, own, st.st_ino, next, unused);
        closedir(dir);
        path = mem_printf("%s%s", folder, *next ? next : base);
        return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool open_next(struct log_source *l)
{
        int fd = open_after(l);

        if (fd < 0)
                return false;
        close(l->fd);
        l->fd = fd;
        l->in.len = 0;
        return true;
}

/* Nothing was left of the file. 1: there is more to be read; 0: there may be later; -1: that was all. What ended the
 * file is looked at before its rest is read, so that nothing is missed. */
static int at_end(struct log_source *l)
{
        bool ended = atomic_load(&l->follower.ended), rotated = is_rotated(l);
        ssize_t n = l->follow ? read_piece(l) : -1;

        if (n)
                return n > 0 ? 1 : -1;
        if (rotated && open_next(l))
                return 1;
        return ended ? -1 : 0;
}

/* Who waits holds no buffers. */
static void idle(struct log_source *l)
{
        strbuf_deinit(&l->out);
        l->at = 0;
        if (!l->in.len)
                strbuf_deinit(&l->in);
}

static ssize_t hand_out(struct log_source *l, char *buf, size_t max)
{
        size_t n = MIN(l->out.len - l->at, max);

        memcpy(buf, l->out.data + l->at, n);
        l->at += n;
        if (l->at == l->out.len)
                l->out.len = l->at = 0;
        return (ssize_t)n;
}

static ssize_t on_read(struct http_source *s, char *buf, size_t max)
{
        struct log_source *l = of(s);
        int more = 1;

        while (l->out.len == l->at && more > 0) {
                ssize_t n = l->filter.done ? -1 : read_piece(l);

                if (n <= 0)
                        more = n < 0 ? -1 : at_end(l);
        }
        if (l->out.len > l->at)
                return hand_out(l, buf, max);
        idle(l);
        return more;
}

static void log_source_free(struct log_source *l)
{
        if (l->fd >= 0)
                close(l->fd);
        strbuf_deinit(&l->in);
        strbuf_deinit(&l->out);
        server_unref(l->s);
        free(l->path);
        free(l);
}

static void on_close(struct http_source *s)
{
        struct log_source *l = of(s);

        if (l->follow)
                logwatch_remove(l->s->logwatch, &l->follower);
        log_source_free(l);
}

/* ---- the request, on the kubelet's loop ---- */

static int number(struct ask *a, const char *name, int64_t least, int64_t *ret)
{
        const char *text = ask_param(a, name, 0);

        if (!text)
                return 0;
        return str_parse_i64(text, ret) || *ret < least ? -EINVAL : 0;
}

static int since(struct ask *a, struct log_filter *f)
{
        const char *time = ask_param(a, "sinceTime", 0);
        int64_t seconds = 0;
        struct timespec ts;

        f->since_ns = INT64_MIN;
        if (time && clock_parse(time, &ts))
                return -EINVAL;
        if (time)
                f->since_ns = log_time_ns(&ts);
        if (number(a, "sinceSeconds", 1, &seconds) || (seconds && time) || seconds > INT32_MAX)
                return -EINVAL;
        if (seconds)
                f->since_ns = clock_wall_ns() - seconds * (int64_t)NS_PER_S;
        return 0;
}

/* NULL, or the parameter that is wrong. */
static const char *take_options(struct ask *a, struct log_source *l)
{
        const char *stream = ask_param(a, "stream", 0);

        l->filter.limit = l->tail = -1;
        if (number(a, "tailLines", 0, &l->tail))
                return "tailLines: it is the number of lines, 0 or more";
        if (number(a, "limitBytes", 1, &l->filter.limit))
                return "limitBytes: it is a number of bytes, 1 or more";
        if (since(a, &l->filter))
                return "sinceSeconds or sinceTime: one of them, seconds from 1 on or a time like 2006-01-02T15:04:05Z";
        if (stream && !str_eq(stream, "All") && !str_eq(stream, "Stdout") && !str_eq(stream, "Stderr"))
                return "stream: it is one of All, Stdout, Stderr";
        l->filter.no_err = str_eq(stream, "Stdout");
        l->filter.no_out = str_eq(stream, "Stderr");
        l->filter.timestamps = ask_flag(a, "timestamps", "timestamps");
        l->follow = ask_flag(a, "follow", "follow");
        return NULL;
}

/* The element of that name of one of the lists; NULL: none. */
static const struct json_object *find_named(const struct json_object *o, const char *const lists[3], const char *name)
{
        for (size_t i = 0; i < 3; i++) {
                json_array_foreach (json_get(o, lists[i]), k, one)
                        if (str_eq(json_get_str(one, "name"), name))
                                return one;
        }
        return NULL;
}

static const char *waiting_words(const char *reason)
{
        if (!reason)
                return NULL;
        return str_eq(reason, "ErrImagePull")       ? "image can't be pulled"
               : str_eq(reason, "ImagePullBackOff") ? "trying and failing to pull image"
                                                    : reason;
}

/* What the pod's status says about a container that has no log; upstream's words. */
static void fail_without(struct ask *a, const struct pod_view *pod, const struct json_object *status, bool previous)
{
        const char *name = a->segments[2];
        const char *waiting = waiting_words(json_at_str(status, "state.waiting.reason"));

        if (previous)
                ask_fail(a, 400, "previous terminated container \"%s\" in pod \"%s\" not found", name, pod->name);
        else if (!status)
                ask_fail(a, 400, "container \"%s\" in pod \"%s\" is not available", name, pod->name);
        else if (waiting)
                ask_fail(a, 400, "container \"%s\" in pod \"%s\" is waiting to start: %s", name, pod->name, waiting);
        else
                ask_fail(a, 400, "container \"%s\" in pod \"%s\" is waiting to start - no logs yet", name, pod->name);
}

static bool names_container(const struct json_object *pod, const char *name)
{
        static const char *const lists[3] = {"containers", "initContainers", "ephemeralContainers"};

        return find_named(json_get(pod, "spec"), lists, name);
}

static const struct json_object *status_of(const struct pod_view *pod, const char *container)
{
        static const char *const lists[3] = {"containerStatuses", "initContainerStatuses",
                                             "ephemeralContainerStatuses"};

        return find_named(pod->status, lists, container);
}

/* The one that ended before it waits to be started again is the previous one, though nothing came after it yet. */
static bool find_log(struct ask *a, const struct pod_view *pod, bool previous, struct container_status *ret)
{
        const char *name = a->segments[2];

        if (previous && pods_container(a->s->opts.pods, pod->uid, name, false, ret) && ret->state == CONTAINER_EXITED &&
            json_at(status_of(pod, name), "state.waiting"))
                return true;
        return pods_container(a->s->opts.pods, pod->uid, name, previous, ret);
}

/* The instance whose log is meant; false: it was answered. */
static bool find_instance(struct ask *a, struct container_status *ret)
{
        bool previous = ask_flag(a, "previous", "previous");
        struct pod_view pod;

        if (!pods_find(a->s->opts.pods, a->segments[0], a->segments[1], &pod)) {
                ask_fail(a, 404, "pod \"%s\" does not exist", a->segments[1]);
                return false;
        }
        if (!names_container(pod.pod, a->segments[2])) {
                ask_fail(a, 404, "container \"%s\" not found in pod \"%s\"", a->segments[2], a->segments[1]);
                return false;
        }
        if (find_log(a, &pod, previous, ret) && !str_empty(ret->log_path))
                return true;
        fail_without(a, &pod, status_of(&pod, a->segments[2]), previous);
        return false;
}

static struct log_source *log_source_new(struct ask *a, const struct container_status *c)
{
        struct log_source *l = mem_new(struct log_source);

        *l = (struct log_source){.source = {on_start, on_read, on_close}, .s = server_ref(a->s), .fd = -1};
        l->path = mem_strdup(c->log_path);
        str_copy(l->follower.container, sizeof(l->follower.container), c->id);
        atomic_init(&l->follower.ended, c->state != CONTAINER_RUNNING && c->state != CONTAINER_CREATED);
        return l;
}

void logs_get(struct ask *a)
{
        struct http_response res = {.status = 200, .content_type = "text/plain", .kind = HTTP_BODY_SOURCE};
        struct container_status c;
        struct log_source *l;
        const char *wrong;

        if (!find_instance(a, &c))
                return;
        l = log_source_new(a, &c);
        wrong = take_options(a, l);
        l->fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (wrong) {
                ask_fail(a, 400, "unable to decode query parameter %s", wrong);
        } else if (l->fd < 0) {
                ask_fail(a, 500, "failed to open log file \"%s\": %s", l->path, strerror(errno));
        } else {
                res.source = &l->source;
                ask_respond(a, &res);
                return;
        }
        log_source_free(l);
}
