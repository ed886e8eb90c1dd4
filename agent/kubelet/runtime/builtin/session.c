/* SPDX-License-Identifier: Apache-2.0 */
/* Commands with streams, and who is attached. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/exec.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/mem.h"
#include "base/str.h"

struct runtime_session {
        struct builtin *rt;
        char *container; /* folder, of an attach; else NULL */

        struct child *child; /* NULL when it has ended */
        struct loop_timer *begin;
        struct exec_request q; /* argv is not kept */
        struct runtime_streams streams;
        char *pid_file, *process; /* files; see exec_how */
        int terminal;             /* its master; -1: none */
        /* Where crun hands the terminal over: a socket in the container's folder, and its name there. */
        int folder, listener;
        struct loop_fd *knock;
        char name[32];
        bool started;
};

static void forget_console(struct runtime_session *s)
{
        if (s->listener < 0)
                return;
        loop_fd_free(TAKE_PTR(s->knock));
        close(TAKE_FD(s->listener));
        unlinkat(s->folder, s->name, 0);
        close(TAKE_FD(s->folder));
}

static void close_if(int fd)
{
        if (fd >= 0)
                close(fd);
}

static void session_free(struct runtime_session *s)
{
        forget_console(s);
        loop_timer_free(s->begin);
        close_if(s->terminal);
        if (!s->started) {
                close_if(s->streams.in);
                close_if(s->streams.out);
                close_if(s->streams.err);
        }
        exec_remove_file(s->pid_file);
        exec_remove_file(s->process);
        free(s->container);
        free(s);
}

static struct runtime_session *session_new(struct builtin *rt)
{
        struct runtime_session *s = mem_new(struct runtime_session);

        *s = (struct runtime_session){.rt = rt, .terminal = -1, .folder = -1, .listener = -1};
        s->streams = (struct runtime_streams){-1, -1, -1, false};
        return s;
}

static void tell_started(void *userdata)
{
        struct runtime_session *s = userdata;

        s->started = true;
        s->q.started(s->q.userdata, 0, &s->streams, "");
}

static void tell_failed(struct runtime_session *s, int result, const char *message)
{
        static const struct runtime_streams none = {-1, -1, -1, false};

        forget_console(s);
        s->q.started(s->q.userdata, result, &none, message);
}

static void exec_ended(void *userdata, const struct child_end *end)
{
        struct runtime_session *s = userdata;
        char why[512];

        s->child = NULL;
        if (!s->started && s->streams.out < 0) {
                tell_failed(s, -EPROTO, child_why(end, why, sizeof(why)));
                return;
        }
        if (!s->started)
                tell_started(s);
        s->q.ended(s->q.userdata, WIFSIGNALED(end->status) ? 128 + WTERMSIG(end->status) : WEXITSTATUS(end->status));
}

/* Pipes: [0] read end, [1] write end. */
struct exec_pipes {
        int in[2], out[2], err[2];
};

static void close_pipes(struct exec_pipes *p)
{
        for (int i = 0; i < 2; i++) {
                close_if(p->in[i]);
                close_if(p->out[i]);
                close_if(p->err[i]);
        }
}

static int open_pipes(struct exec_pipes *p, bool in)
{
        return (in && pipe2(p->in, O_CLOEXEC)) || pipe2(p->out, O_CLOEXEC) || pipe2(p->err, O_CLOEXEC) ? -errno : 0;
}

static int start_plain(struct runtime_session *s, const struct container *c)
{
        _cleanup_(close_pipes) struct exec_pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
        _cleanup_words_ struct words w = WORDS_NULL;
        struct child_opts opts = {.argv = w.v};
        int r = open_pipes(&p, s->q.in);

        exec_words(c, &(struct exec_how){s->pid_file, s->process, NULL}, &w);
        if (!r)
                r = loop_timer_new(s->rt->opts.loop, tell_started, s, &s->begin);
        if (r)
                return r;
        opts.in = MAX(p.in[0], 0);
        opts.out = p.out[1];
        opts.err = p.err[1];
        r = child_start(s->rt->opts.children, &opts, exec_ended, s, &s->child);
        if (r)
                return r;
        s->streams = (struct runtime_streams){TAKE_FD(p.in[1]), TAKE_FD(p.out[0]), TAKE_FD(p.err[0]), false};
        loop_timer_set(s->begin, 0);
        return 0;
}

/* The descriptor that came with a message on a connection to the listener; -1: none. */
static int receive_terminal(int listener)
{
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        char bytes[64];
        struct iovec v = {bytes, sizeof(bytes)};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        struct cmsghdr *h;
        int master = -1;

        if (fd >= 0 && recvmsg(fd, &m, MSG_CMSG_CLOEXEC) >= 0 && (h = CMSG_FIRSTHDR(&m)) &&
            h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&master, CMSG_DATA(h), sizeof(master));
        return master;
}

/* crun connects and sends at once, before it lets the command go: nothing waits here. */
static void on_knock(void *userdata, unsigned int events)
{
        struct runtime_session *s = userdata;

        s->terminal = receive_terminal(s->listener);
        forget_console(s);
        if (s->terminal < 0)
                return; /* crun's end tells why */
        s->streams.out = fcntl(s->terminal, F_DUPFD_CLOEXEC, 3);
        s->streams.in = s->q.in ? fcntl(s->terminal, F_DUPFD_CLOEXEC, 3) : -1;
        s->streams.tty = true;
        tell_started(s);
}

/* By paths of /proc, which are short, whatever the folder's is: a socket's has 108 bytes. */
static int listen_for_terminal(struct runtime_session *s, const struct container *c)
{
        struct sockaddr_un sun = {.sun_family = AF_UNIX};
        char id[RUNTIME_ID_SIZE];

        new_id(id);
        snprintf(s->name, sizeof(s->name), "tty-%.16s", id);
        s->folder = open(c->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s->folder < 0 || s->listener < 0)
                return -errno;
        snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s", s->folder, s->name);
        if (bind(s->listener, (struct sockaddr *)&sun, sizeof(sun)) || listen(s->listener, 1))
                return -errno;
        return loop_fd_new(s->rt->opts.loop, s->listener, LOOP_READ, on_knock, s, &s->knock);
}

static int start_terminal(struct runtime_session *s, const struct container *c)
{
        _cleanup_words_ struct words w = WORDS_NULL;
        struct child_opts opts = {.argv = w.v};
        char console[64];
        int r = listen_for_terminal(s, c);

        if (r)
                return r;
        snprintf(console, sizeof(console), "/proc/%d/fd/%d/%s", getpid(), s->folder, s->name);
        exec_words(c, &(struct exec_how){s->pid_file, s->process, console}, &w);
        return child_start(s->rt->opts.children, &opts, exec_ended, s, &s->child);
}

int container_exec(void *userdata, const char *id, const struct exec_request *q, struct runtime_session **ret)
{
        struct builtin *rt = userdata;
        struct container *c = NULL;
        struct runtime_session *s;
        int r = exec_find(rt, id, q->argv, &c);

        if (r)
                return r;
        s = session_new(rt);
        s->q = *q;
        s->pid_file = exec_new_pid_file(c);
        s->process = mem_printf("%s.json", s->pid_file);
        r = exec_write_process(c, q->argv, q->tty, s->process);
        if (!r)
                r = q->tty ? start_terminal(s, c) : start_plain(s, c);
        s->q.argv = NULL;
        if (r)
                session_free(s);
        else
                *ret = s;
        return r;
}

/* By a short path, whatever the folder's is. Does not wait for a shim that does not accept: that is -EAGAIN. */
static int connect_to(const char *folder, const char *hello, size_t n)
{
        struct sockaddr_un sun = {.sun_family = AF_UNIX};
        _cleanup_close_ int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

        if (dir < 0)
                return -errno;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/attach", dir);
        if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
            send(fd, hello, n, MSG_NOSIGNAL) != (ssize_t)n || fcntl(fd, F_SETFL, 0))
                return -errno;
        return TAKE_FD(fd);
}

int container_attach(void *userdata, const char *id, bool in, struct runtime_streams *ret,
                     struct runtime_session **ret_session)
{
        struct builtin *rt = userdata;
        struct container *c = NULL;
        struct runtime_session *s;
        _cleanup_close_ int out = -1, err = -1, input = -1;
        int r = exec_find(rt, id, NULL, &c);
        bool tty;

        if (r)
                return r;
        tty = json_get_bool(c->record, "tty", false);
        out = connect_to(c->folder, "o", 1);
        err = tty ? -1 : connect_to(c->folder, "e", 1);
        input = in ? connect_to(c->folder, "i", 1) : -1;
        if (out < 0 || (!tty && err < 0) || (in && input < 0))
                return out < 0 ? out : -ECONNREFUSED;
        s = session_new(rt);
        s->container = mem_strdup(c->folder);
        s->started = true;
        *ret = (struct runtime_streams){TAKE_FD(input), TAKE_FD(out), tty ? -1 : TAKE_FD(err), tty};
        *ret_session = s;
        return 0;
}

void container_session_resize(struct runtime_session *s, uint16_t columns, uint16_t rows)
{
        const char hello[] = {'r', (char)(columns >> 8), (char)columns, (char)(rows >> 8), (char)rows};
        struct winsize size = {.ws_col = columns, .ws_row = rows};
        int fd = s->container ? connect_to(s->container, hello, sizeof(hello)) : -1;

        if (s->terminal >= 0)
                ioctl(s->terminal, TIOCSWINSZ, &size);
        if (fd >= 0)
                close(fd);
}

/* Who has a terminal hears of its end as of any other's, by SIGHUP to what runs in front. */
static void hang_up(const struct runtime_session *s)
{
        pid_t front = 0;

        if (s->terminal >= 0 && !ioctl(s->terminal, TIOCGPGRP, &front) && front > 1)
                kill(-front, SIGHUP);
}

void container_session_end(struct runtime_session *s)
{
        if (s->child) {
                child_forget(s->child);
                hang_up(s);
                exec_kill(s->pid_file);
                child_kill(s->child);
        }
        session_free(s);
}
