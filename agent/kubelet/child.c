/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/kubelet/child.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define LIMIT_DEFAULT 65536
#define LOCK_FD       3
#define READ_SIZE     16384
#define READS_A_TURN  8

struct children {
        struct loop *loop;
        struct loop_signal *sigchld;
        struct hashmap by_pid;
};

struct stream {
        struct child *child;
        int fd;
        struct loop_fd *watch;
        struct strbuf said;
        bool truncated;
};

struct child {
        struct children *cs;
        pid_t pid;
        struct stream out, err;
        struct loop_timer *timer;
        size_t limit;
        bool timed_out;
        child_done_fn done;
        void *userdata;
};

static void stream_close(struct stream *s)
{
        loop_fd_free(TAKE_PTR(s->watch));
        if (s->fd >= 0)
                close(TAKE_FD(s->fd));
}

/* Keeps what the limit allows; the rest is read, too, so that nobody waits for it. Bytes read, 0 when there is no more
 * for now or for ever. */
static size_t stream_take(struct stream *s, size_t max)
{
        char buf[READ_SIZE];
        ssize_t n = read(s->fd, buf, MIN(max, sizeof(buf)));
        size_t room = s->child->limit - MIN(s->said.len, s->child->limit);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                stream_close(s);
        if (n <= 0)
                return 0;
        s->truncated |= (size_t)n > room;
        strbuf_add(&s->said, buf, MIN((size_t)n, room));
        return (size_t)n;
}

/* Whoever writes without end gets his turns, as everybody on the loop does. */
static void stream_read(void *userdata, unsigned int events)
{
        struct stream *s = userdata;

        for (int i = 0; i < READS_A_TURN && stream_take(s, READ_SIZE); i++)
                ;
}

/* What is in the pipe now; what others that keep it open add meanwhile does not count. */
static void stream_read_rest(struct stream *s)
{
        int there = 0;
        size_t left, n = 1;

        if (s->fd < 0 || ioctl(s->fd, FIONREAD, &there))
                return;
        for (left = (size_t)there; left && n; left -= n)
                n = stream_take(s, left);
}

static int stream_open(struct child *c, struct stream *s, int *ret_other)
{
        int p[2], r;

        if (pipe2(p, O_CLOEXEC | O_NONBLOCK))
                return -errno;
        fcntl(p[1], F_SETFL, 0);
        *s = (struct stream){.child = c, .fd = p[0]};
        *ret_other = p[1];
        r = loop_fd_new(c->cs->loop, p[0], LOOP_READ, stream_read, s, &s->watch);
        return r;
}

static void child_free(struct child *c)
{
        stream_close(&c->out);
        stream_close(&c->err);
        strbuf_deinit(&c->out.said);
        strbuf_deinit(&c->err.said);
        loop_timer_free(c->timer);
        free(c);
}

/* The outputs may be held open by what it left behind: what was said until now is what counts. */
static void child_ended(struct child *c, int status)
{
        struct child_end end = {.status = status, .timed_out = c->timed_out};

        hashmap_del_u64(&c->cs->by_pid, (uint64_t)c->pid);
        stream_read_rest(&c->out);
        stream_read_rest(&c->err);
        strbuf_reserve(&c->out.said, 0);
        strbuf_reserve(&c->err.said, 0);
        c->out.said.data[c->out.said.len] = c->err.said.data[c->err.said.len] = '\0';
        end.out = c->out.said.data, end.out_len = c->out.said.len;
        end.err = c->err.said.data, end.err_len = c->err.said.len;
        end.truncated = c->out.truncated || c->err.truncated;
        if (c->done)
                c->done(c->userdata, &end);
        child_free(c);
}

static void reap(void *userdata)
{
        struct children *cs = userdata;
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                struct child *c = hashmap_get_u64(&cs->by_pid, (uint64_t)pid);

                if (c)
                        child_ended(c, status);
        }
}

int children_new(struct loop *l, struct children **ret)
{
        struct children *cs;
        int r;

        if (prctl(PR_SET_CHILD_SUBREAPER, 1))
                return -errno;
        cs = mem_new(struct children);
        cs->loop = l;
        hashmap_init(&cs->by_pid, HASHMAP_U64);
        r = loop_signal_new(l, SIGCHLD, reap, cs, &cs->sigchld);
        if (r) {
                free(cs);
                return r;
        }
        *ret = cs;
        return 0;
}

void children_free(struct children *cs)
{
        if (!cs)
                return;
        hashmap_foreach (&cs->by_pid, slot)
                child_free(slot->value);
        hashmap_deinit(&cs->by_pid);
        loop_signal_free(cs->sigchld);
        free(cs);
}

static void out_of_time(void *userdata)
{
        struct child *c = userdata;

        c->timed_out = true;
        child_kill(c);
}

static int input_of(const struct child_opts *o)
{
        int fd;

        if (o->in)
                return fcntl(o->in, F_DUPFD_CLOEXEC, 4);
        if (!o->input)
                return open("/dev/null", O_RDONLY | O_CLOEXEC);
        fd = memfd_create("input", MFD_CLOEXEC);
        if (fd >= 0 && (write(fd, o->input, o->input_len) != (ssize_t)o->input_len || lseek(fd, 0, SEEK_SET))) {
                close(fd);
                errno = EIO;
                return -1;
        }
        return fd;
}

static int spawn(const struct child_opts *o, int in, int out, int err, pid_t *ret)
{
        static const char *const plain[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setpgroup(&attr, 0);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setsigdefault(&attr, &all);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
        if (o->lock)
                posix_spawn_file_actions_adddup2(&actions, o->lock, LOCK_FD);
        r = -posix_spawn(ret, o->argv[0], &actions, &attr, (char *const *)o->argv,
                         (char *const *)(o->env ? o->env : plain));
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attr);
        return r;
}

static int start(struct child *c, const struct child_opts *o)
{
        _cleanup_close_ int in = input_of(o), out = -1, err = -1;
        int r;

        if (in < 0)
                return -errno;
        r = o->out ? 0 : stream_open(c, &c->out, &out);
        if (!r)
                r = o->err ? 0 : stream_open(c, &c->err, &err);
        if (!r && o->timeout_ms)
                r = loop_timer_new(c->cs->loop, out_of_time, c, &c->timer);
        return r ?: spawn(o, in, o->out ? o->out : out, o->err ? o->err : err, &c->pid);
}

int child_start(struct children *cs, const struct child_opts *o, child_done_fn done, void *userdata, struct child **ret)
{
        struct child *c = mem_new(struct child);
        int r;

        *c = (struct child){.cs = cs, .done = done, .userdata = userdata, .limit = o->limit ? o->limit : LIMIT_DEFAULT};
        c->out.fd = c->err.fd = -1;
        c->out.child = c->err.child = c;
        r = start(c, o);
        if (r) {
                child_free(c);
                return r;
        }
        if (c->timer)
                loop_timer_set(c->timer, o->timeout_ms);
        hashmap_put_u64(&cs->by_pid, (uint64_t)c->pid, c);
        if (ret)
                *ret = c;
        return 0;
}

pid_t child_pid(const struct child *c)
{
        return c->pid;
}

void child_kill(struct child *c)
{
        kill(-c->pid, SIGKILL);
}

void child_forget(struct child *c)
{
        c->done = NULL;
}

const char *child_why(const struct child_end *end, char *buf, size_t size)
{
        const char *said = end->err_len ? end->err : end->out;
        size_t n = strcspn(said, "\n");

        if (end->timed_out)
                snprintf(buf, size, "it took too long and was killed");
        else if (n)
                snprintf(buf, size, "%.*s", (int)MIN(n, size - 1), said);
        else if (WIFSIGNALED(end->status))
                snprintf(buf, size, "it was killed by signal %d", WTERMSIG(end->status));
        else
                snprintf(buf, size, "it ended with %d", WEXITSTATUS(end->status));
        return buf;
}
