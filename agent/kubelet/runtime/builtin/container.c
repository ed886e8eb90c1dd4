/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container: created, started, stopped, removed. Making it is in create.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define GROUP_TRIES    500
#define GROUP_RETRY_MS 10
#define EXIT_FILE_MAX  256

const char *crun_root(const struct builtin *rt, char *buf, size_t size)
{
        snprintf(buf, size, "%s/crun", rt->opts.run_folder);
        return buf;
}

struct container *container_new(struct sandbox *s, const char *id, struct json_object *record)
{
        struct container *c = mem_new(struct container), **last = &s->containers;

        *c = (struct container){.s = s, .record = record, .shim.fd = -1, .init = -1, .now = CONTAINER_UNKNOWN};
        str_copy(c->id, sizeof(c->id), id);
        json_shrink(record);
        c->folder = mem_printf("%s/%s", s->folder, id);
        c->group = mem_printf("%s/%s", s->pod_group, id);
        c->rootfs = mem_printf("%s/rootfs", c->folder);
        c->state = mem_printf("%s/containers/%s", s->rt->opts.state_folder, id);
        snprintf(c->log_path, sizeof(c->log_path), "%s/%s", json_get_str(s->record, "logFolder") ?: "",
                 json_get_str(record, "logPath"));
        hashmap_put(&s->rt->containers, c->id, c);
        while (*last)
                last = &(*last)->next;
        *last = c;
        return c;
}

static void close_init(struct container *c)
{
        if (c->init >= 0)
                close(c->init);
        c->init = -1;
        c->pid = 0;
}

/* Its sandbox's list is the caller's. */
void container_free(struct container *c)
{
        hashmap_del(&c->s->rt->containers, c->id);
        while (c->waiters) {
                struct waiter *w = c->waiters;

                c->waiters = w->next;
                free(w);
        }
        loop_timer_free(c->grace);
        witness_forget(&c->shim);
        close_init(c);
        json_object_put(c->record);
        free(c->folder);
        free(c->group);
        free(c->rootfs);
        free(c->state);
        free(c);
}

static void save(struct container *c)
{
        struct err err = ERR_NULL;

        if (record_save(c->folder, c->record, &err))
                log_error("a container's record cannot be written", "container=%s why=%s", c->id, err.msg);
}

/* Code 137 without a word is what Kubernetes shows for a container that vanished; the state says that it is a guess. */
static void read_exit(struct container *c)
{
        _cleanup_free_ char *path = mem_printf("%s/exit", c->folder), *text = NULL;
        int code, signo, oom;
        long long finished;
        size_t n;

        if (file_read(path, EXIT_FILE_MAX, &text, &n, NULL) ||
            sscanf(text, "%d %d %d %lld", &code, &signo, &oom, &finished) != 4) {
                c->now = CONTAINER_UNKNOWN;
                return;
        }
        c->now = CONTAINER_EXITED;
        json_set_i64(c->record, "finished", finished);
        json_set_i64(c->record, "exitCode", code);
        json_set_i64(c->record, "signal", signo);
        json_set_bool(c->record, "oomKilled", oom);
}

static void tell_waiters(struct container *c)
{
        for (struct waiter *w = TAKE_PTR(c->waiters); w;) {
                struct waiter *next = w->next;

                if (w->go_on)
                        w->go_on(w->op);
                else
                        w->done(w->userdata, 0, c->id, "");
                free(w);
                w = next;
        }
}

void container_ended(struct container *c)
{
        witness_forget(&c->shim);
        close_init(c);
        loop_timer_free(TAKE_PTR(c->grace));
        read_exit(c);
        if (c->now == CONTAINER_UNKNOWN)
                cgroup_kill(c->s->rt->opts.cgroups, c->group);
        save(c);
        tell_waiters(c);
}

static void shim_ended(void *userdata, unsigned int events)
{
        struct container *c = userdata;
        struct builtin *rt = c->s->rt;
        _cleanup_free_ char *uid = mem_strdup(json_get_str(c->s->record, "uid"));

        container_ended(c);
        if (rt->changed)
                rt->changed(rt->changed_userdata, uid);
}

/* A pidfd of the container's first process. Its number cannot be another's: until its shim, which is still there, has
 * waited for it, it stays taken. */
static void watch_init(struct container *c)
{
        _cleanup_free_ char *path = mem_printf("%s/pid", c->folder), *text = NULL;
        size_t n;
        int64_t pid;

        if (file_read(path, 32, &text, &n, NULL))
                return;
        text[strcspn(text, "\n")] = '\0';
        if (str_parse_i64(text, &pid) || pid <= 0)
                return;
        c->init = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
        c->pid = c->init >= 0 ? pid : 0;
}

void container_watch(struct container *c, pid_t shim)
{
        if (witness_watch(c->s->rt, &c->shim, shim, shim_ended, c)) {
                container_ended(c);
                return;
        }
        watch_init(c);
        if (!witness_alive(&c->shim))
                close_init(c);
}

static int signal_init(struct container *c, int signo)
{
        return c->init < 0 || syscall(SYS_pidfd_send_signal, c->init, signo, NULL, 0) ? -errno : 0;
}

void container_kill(struct container *c)
{
        if (c->init >= 0)
                signal_init(c, SIGKILL);
        else if (c->now == CONTAINER_UNKNOWN)
                cgroup_kill(c->s->rt->opts.cgroups, c->group);
}

static bool lives(const struct container *c)
{
        return c->shim.fd >= 0;
}

void container_after_end(struct container *c, struct operation *op, void (*go_on)(struct operation *op))
{
        struct waiter *w;

        if (!lives(c)) {
                go_on(op);
                return;
        }
        w = mem_new(struct waiter);
        *w = (struct waiter){.next = c->waiters, .op = op, .go_on = go_on};
        c->waiters = w;
}

static void runs(struct operation *op)
{
        struct container *c = op->c;

        json_set_i64(c->record, "started", clock_wall_ns());
        if (c->now == CONTAINER_CREATED)
                c->now = CONTAINER_RUNNING;
        save(c);
        operation_end(op, 0, "");
}

static void started(void *userdata, const struct child_end *end)
{
        struct operation *op = userdata;
        char why[MESSAGE_SIZE];

        if (end->status)
                operation_end(op, -EPROTO, child_why(end, why, sizeof(why)));
        else
                runs(op);
}

void crun_words(const struct builtin *rt, struct words *w)
{
        char root[CGROUP_PATH_MAX];

        words_add(w, "%s", rt->crun_path[0] ? rt->crun_path : rt->opts.crun);
        words_add(w, "--root=%s", crun_root(rt, root, sizeof(root)));
        words_add(w, "--cgroup-manager=disabled");
}

/*
 * What `crun start` does, without its start of 5 ms: a created container reads from a fifo, and goes on when it could
 * read a byte. Whoever opens the fifo without anybody to read from it gets ENXIO; then, or should it be missing, crun
 * itself says what is wrong.
 */
static int open_way(const struct container *c)
{
        char root[CGROUP_PATH_MAX];
        _cleanup_free_ char *fifo = mem_printf("%s/%s/exec.fifo", crun_root(c->s->rt, root, sizeof(root)), c->id);
        _cleanup_close_ int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 || unlink(fifo) || write(fd, "0", 1) != 1)
                return -errno;
        return 0;
}

static void begin_start(struct operation *op)
{
        _cleanup_words_ struct words w = WORDS_NULL;
        int r;

        if (!operation_find(op)) {
                operation_end(op, -ENOENT, "the container was removed");
                return;
        }
        r = op->c->now == CONTAINER_CREATED ? 0 : -EINVAL;
        if (!r && open_way(op->c) == 0) {
                runs(op);
                return;
        }
        if (!r) {
                crun_words(op->s->rt, &w);
                words_add(&w, "start");
                words_add(&w, "%s", op->c->id);
                r = operation_child(op, w.v, 0, started);
        }
        if (r)
                operation_end(op, r, "only a container that was created and never started can be started");
}

void container_start(void *userdata, const char *id, runtime_done_fn done, void *done_userdata)
{
        struct builtin *rt = userdata;
        struct container *c = hashmap_get(&rt->containers, id);

        if (c)
                operation_queue(operation_new(c->s, c, begin_start, done, done_userdata));
        else
                tell_later(rt, done, done_userdata, -ENOENT, id, "there is no such container");
}

static void grace_is_over(void *userdata)
{
        container_kill(userdata);
}

/* A second stop with less grace shortens the first one. */
static int begin_grace(struct container *c, uint64_t ms)
{
        loop_timer_free(TAKE_PTR(c->grace));
        if (loop_timer_new(c->s->rt->opts.loop, grace_is_over, c, &c->grace))
                return -ENOMEM;
        loop_timer_set(c->grace, ms);
        return 0;
}

/* Does not wait for its turn: a pod's other containers go on while one has its time to end. */
void container_stop(void *userdata, const char *id, int signo, uint64_t grace_ms, runtime_done_fn done,
                    void *done_userdata)
{
        struct builtin *rt = userdata;
        struct container *c = hashmap_get(&rt->containers, id);
        struct waiter *w;

        if (!c || !lives(c)) {
                tell_later(rt, done, done_userdata, 0, id, "");
                return;
        }
        signo = signo ?: (int)json_get_i64(c->record, "stopSignal", 0) ?: SIGTERM;
        if (!grace_ms || c->now != CONTAINER_RUNNING || signal_init(c, signo) || begin_grace(c, grace_ms))
                container_kill(c);
        w = mem_new(struct waiter);
        *w = (struct waiter){.next = c->waiters, .done = done, .userdata = done_userdata};
        c->waiters = w;
}

static void unlink_from_sandbox(struct container *c)
{
        for (struct container **at = &c->s->containers; *at; at = &(*at)->next)
                if (*at == c) {
                        *at = c->next;
                        return;
                }
}

/* Removing one container, which may be one of many that an operation removes. */
struct erase {
        struct operation *op;
        struct container *c;
        void (*removed)(struct operation *op, int result);
        unsigned int tries;
        struct loop_timer *timer;
};

static void erase_end(struct erase *e, int result)
{
        struct operation *op = e->op;
        void (*removed)(struct operation *, int) = e->removed;

        if (!result) {
                unlink_from_sandbox(e->c);
                if (op->c == e->c)
                        op->c = NULL;
                container_free(e->c);
        }
        loop_timer_free(e->timer);
        free(e);
        removed(op, result);
}

static void folders_are_gone(void *userdata, const struct child_end *end)
{
        erase_end(userdata, end->status ? -EIO : 0);
}

/* Nothing of it runs any more: what crun knows of it is a folder as well, and `crun delete` would do no more than this.
 */
static void erase_folders(void *userdata)
{
        struct erase *e = userdata;
        struct container *c = e->c;
        char root[CGROUP_PATH_MAX];
        _cleanup_free_ char *crun = mem_printf("%s/%s", crun_root(c->s->rt, root, sizeof(root)), c->id);
        struct child_opts opts = {
                .argv = (const char *[]){"/bin/rm", "-rf", "--one-file-system", "--", crun, c->state, c->folder, NULL}};
        int r = cgroup_remove(c->s->rt->opts.cgroups, c->group);

        if (r == -EBUSY && e->tries++ < GROUP_TRIES) {
                cgroup_kill(c->s->rt->opts.cgroups, c->group);
                loop_timer_set(e->timer, GROUP_RETRY_MS);
                return;
        }
        umount2(c->rootfs, MNT_DETACH);
        if (!r)
                r = child_start(c->s->rt->opts.children, &opts, folders_are_gone, e, NULL);
        if (r)
                erase_end(e, r);
}

static void erase_now(struct operation *op);

void container_erase(struct operation *op, struct container *c, void (*removed)(struct operation *op, int result))
{
        struct erase *e = mem_new(struct erase);

        *e = (struct erase){.op = op, .c = c, .removed = removed};
        if (loop_timer_new(c->s->rt->opts.loop, erase_folders, e, &e->timer)) {
                free(e);
                removed(op, -ENOMEM);
                return;
        }
        op->erase = e;
        container_kill(c);
        container_after_end(c, op, erase_now);
}

static void erase_now(struct operation *op)
{
        erase_folders(TAKE_PTR(op->erase));
}

static void removed_one(struct operation *op, int result)
{
        operation_end(op, result, result ? "the container's group or folders cannot be removed" : "");
}

static void begin_remove(struct operation *op)
{
        if (operation_find(op))
                container_erase(op, op->c, removed_one);
        else
                operation_end(op, 0, "");
}

void container_remove(void *userdata, const char *id, runtime_done_fn done, void *done_userdata)
{
        struct builtin *rt = userdata;
        struct container *c = hashmap_get(&rt->containers, id);

        if (c)
                operation_queue(operation_new(c->s, c, begin_remove, done, done_userdata));
        else
                tell_later(rt, done, done_userdata, 0, id, "");
}

static void begin_update(struct operation *op)
{
        const struct cgroups *cg = op->s->rt->opts.cgroups;
        struct err err = ERR_NULL;
        int r;

        if (!operation_find(op)) {
                operation_end(op, -ENOENT, "the container was removed");
                return;
        }
        r = cgroup_limit(cg, op->c->group, &op->limits, &err);
        if (!r)
                cgroup_follow(cg, op->c->group);
        operation_end(op, r, err.msg);
}

void container_update(void *userdata, const char *id, const struct container_resources *res, runtime_done_fn done,
                      void *done_userdata)
{
        struct builtin *rt = userdata;
        struct container *c = hashmap_get(&rt->containers, id);
        struct operation *op;

        if (!c) {
                tell_later(rt, done, done_userdata, -ENOENT, id, "there is no such container");
                return;
        }
        op = operation_new(c->s, c, begin_update, done, done_userdata);
        op->limits = *res;
        if (res->cpuset) {
                str_copy(op->cpuset, sizeof(op->cpuset), res->cpuset);
                op->limits.cpuset = op->cpuset;
        }
        operation_queue(op);
}
