/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a container's shim: what it is to the container before `crun create` runs, and what it leaves behind. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/kubelet/shim/plain.h"
#include "agent/kubelet/shim/serve.h"
#include "agent/kubelet/shim/shim.h"

#define CREATE_SECONDS_MAX 120

/* Pages of it are touched as they are needed. */
static struct container container;

static void say_error(int report, const char *what, int error)
{
        struct text t = {0};

        text_add(&t, what);
        text_add(&t, ": ");
        text_add(&t, strerrordesc_np(error) ?: "unknown error");
        write_all(report, t.s, t.n);
}

/* In the current folder, so that the path fits. -1 with errno. */
static int listen_at(const char *name)
{
        struct sockaddr_un sun = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strncpy(sun.sun_path, name, sizeof(sun.sun_path) - 1);
        unlink(name);
        if (fd >= 0 && !bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, CLIENTS_MAX))
                return fd;
        if (fd >= 0)
                close(fd);
        return -1;
}

struct stdio {
        int in[2], out[2], err[2]; /* read end, write end */
        int console;
};

static int open_stdio(const struct shim_words *w, struct stdio *s)
{
        *s = (struct stdio){{-1, -1}, {-1, -1}, {-1, -1}, -1};
        if (pipe2(s->err, O_CLOEXEC))
                return -errno;
        if (w->tty) {
                s->console = listen_at("console");
                return s->console < 0 ? -errno : 0;
        }
        if (pipe2(s->out, O_CLOEXEC))
                return -errno;
        return w->stdin_open && pipe2(s->in, O_CLOEXEC) ? -errno : 0;
}

static void __attribute__((__noreturn__)) become_crun(const struct shim_words *w, const struct stdio *s)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        dup2(s->in[0] >= 0 ? s->in[0] : null, STDIN_FILENO);
        dup2(s->out[1] >= 0 ? s->out[1] : null, STDOUT_FILENO);
        dup2(s->err[1], STDERR_FILENO);
        alarm(CREATE_SECONDS_MAX);
        enter_groups(w);
        exec_command(w);
}

/* The master of the terminal that crun made. */
static int receive_terminal(int listener)
{
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        char byte[64];
        struct iovec v = {byte, sizeof(byte)};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), master = -1;
        struct cmsghdr *h;

        if (fd >= 0 && recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) >= 0 && (h = CMSG_FIRSTHDR(&m)) &&
            h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&master, CMSG_DATA(h), sizeof(master));
        if (fd >= 0)
                close(fd);
        return master;
}

static void close_if(int fd)
{
        if (fd >= 0)
                close(fd);
}

static void unblock(int fd)
{
        if (fd >= 0)
                fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* The container's ends are closed here, so that the end of its output is seen. */
static int adopt_stdio(struct container *c, const struct stdio *s)
{
        close_if(s->in[0]);
        close_if(s->out[1]);
        close_if(s->err[1]);
        c->in = s->in[1];
        c->out = s->out[0];
        c->err = s->err[0];
        if (s->console >= 0) {
                fcntl(s->console, F_SETFL, O_NONBLOCK);
                c->in = c->out = receive_terminal(s->console);
                close(s->console);
                unlink("console");
                if (c->out < 0)
                        return -ENOTTY;
        }
        unblock(c->in);
        unblock(c->out);
        unblock(c->err);
        return 0;
}

/* What crun said is what is in the error output so far: the container has not begun. */
static int say_why(int err, int status, int report)
{
        char said[2048];
        ssize_t n;

        fcntl(err, F_SETFL, O_NONBLOCK);
        n = read(err, said, sizeof(said));
        while (n > 0 && said[n - 1] == '\n')
                n--;
        if (n > 0)
                write_all(report, said, (size_t)n);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
                say_error(report, "creating the container", ETIMEDOUT);
        else
                say_error(report, "crun ended without a word", EPROTO);
        return -EPROTO;
}

static int create(struct container *c, int report)
{
        const struct shim_words *w = c->words;
        struct stdio s;
        char pid[32];
        int status, r = open_stdio(w, &s);
        pid_t crun;

        if (r) {
                say_error(report, "pipes", -r);
                return r;
        }
        crun = fork_into(w->cgroup, w->v2root ? CLONE_NEWNS : 0);
        if (!crun)
                become_crun(w, &s);
        if (crun < 0) {
                say_error(report, w->cgroup ? w->cgroup : "clone", -crun);
                return crun;
        }
        while (waitpid(crun, &status, 0) < 0)
                ;
        if (status)
                return say_why(s.err[0], status, report);
        r = adopt_stdio(c, &s);
        if (!r && (read_file(c->dir, "pid", pid, sizeof(pid)) <= 0 || (c->init = atoi(pid)) <= 0))
                r = -ESRCH;
        if (r)
                say_error(report, "what crun left", -r);
        return r;
}

static int prepare(struct container *c, const struct shim_words *w)
{
        struct text pid = {0};
        sigset_t signals;
        int r;

        setsid();
        c->words = w;
        c->logs[0].name = "stdout";
        c->logs[1].name = "stderr";
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                c->clients[i].fd = -1;
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) || chdir(w->dir))
                return -errno;
        signal(SIGPIPE, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        c->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        c->dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        c->listener = listen_at("attach");
        if (c->signals < 0 || c->dir < 0 || c->listener < 0)
                return -errno;
        c->log.path = w->log;
        c->log.limit = w->log_limit;
        c->log.keep = w->log_files;
        r = log_file_open(&c->log);
        if (r)
                return r;
        text_add_i64(&pid, getpid());
        return write_file_atomic(c->dir, "shim", pid.s);
}

/* "CODE SIGNAL OOM FINISHED_NS" */
static void leave_word(const struct container *c)
{
        bool signalled = WIFSIGNALED(c->status);
        int code = signalled ? 128 + WTERMSIG(c->status) : WEXITSTATUS(c->status);
        struct text t = {0};

        text_add_i64(&t, code);
        text_add(&t, " ");
        text_add_i64(&t, signalled ? WTERMSIG(c->status) : 0);
        text_add(&t, c->oom && code ? " 1 " : " 0 ");
        text_add_i64(&t, c->finished_ns);
        text_add(&t, "\n");
        write_file_atomic(c->dir, "exit", t.s);
}

static void __attribute__((__noreturn__)) attend(const struct shim_words *w, int report)
{
        struct container *c = &container;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        int r = prepare(c, w);

        for (int fd = 0; null >= 0 && fd < 3; fd++)
                dup2(null, fd);
        if (r)
                say_error(report, w->dir, -r);
        if (r || create(c, report))
                _exit(1);
        write_all(report, "", 1);
        close(report);
        serve(c);
        leave_word(c);
        unlink("attach");
        _exit(0);
}

/* A NUL is good news; anything else is what went wrong. */
int shim_container(const struct shim_words *w)
{
        struct text t = {0};
        char said[2048];
        size_t n = 0;
        ssize_t r;
        int report[2];
        pid_t pid;

        if (pipe2(report, O_CLOEXEC))
                return complain("pipe", errno);
        if (w->lock >= 0)
                fcntl(w->lock, F_SETFD, FD_CLOEXEC);
        pid = fork_into(w->home, 0);
        if (pid < 0)
                return complain(w->home ? w->home : "clone", -pid);
        if (!pid)
                attend(w, report[1]);
        close(report[1]);
        while (n < sizeof(said) && (r = read(report[0], said + n, sizeof(said) - n)) > 0)
                n += (size_t)r;
        if (n != 1 || said[0] != '\0') {
                waitpid(pid, NULL, 0);
                write_all(STDERR_FILENO, said, n);
                return 1;
        }
        text_add_i64(&t, pid);
        text_add(&t, "\n");
        return write_all(STDOUT_FILENO, t.s, t.n) ? 1 : 0;
}

int shim_enter(const struct shim_words *w)
{
        int status;
        pid_t pid = fork_into(w->cgroup, w->v2root ? CLONE_NEWNS : 0);

        if (pid < 0)
                return complain(w->cgroup ? w->cgroup : "clone", -pid);
        if (!pid) {
                int r = w->oom_adj ? write_file("/proc/self/oom_score_adj", w->oom_adj) : 0;

                if (r)
                        _exit(complain("oom_score_adj", -r));
                enter_groups(w);
                exec_command(w);
        }
        while (waitpid(pid, &status, 0) < 0)
                ;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
