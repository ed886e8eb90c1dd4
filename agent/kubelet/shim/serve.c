/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/kubelet/shim/plain.h"
#include "agent/kubelet/shim/serve.h"

/* A container's output waits that long for somebody attached who does not read; then he is cut off. */
#define PATIENCE_MS 10000
/* After the end, output that others hold open is waited for that long. */
#define DRAIN_MS 2000

int64_t wall_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void write_log(void *userdata, const struct iovec *v, size_t n)
{
        struct container *c = userdata;

        log_file_write(&c->log, wall_ns(), v, n);
}

static void drop_client(struct client *k)
{
        close(k->fd);
        k->fd = -1;
}

static bool send_patiently(int fd, const char *data, size_t n)
{
        while (n) {
                ssize_t w = send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
                struct pollfd p = {.fd = fd, .events = POLLOUT};

                if (w < 0 && (errno != EAGAIN || poll(&p, 1, PATIENCE_MS) != 1))
                        return false;
                data += w > 0 ? w : 0;
                n -= w > 0 ? (size_t)w : 0;
        }
        return true;
}

static void tell_clients(struct container *c, char kind, const char *data, size_t n)
{
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                if (c->clients[i].fd >= 0 && c->clients[i].kind == kind && !send_patiently(c->clients[i].fd, data, n))
                        drop_client(&c->clients[i]);
}

static void hang_up(struct container *c, char kind)
{
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                if (c->clients[i].fd >= 0 && c->clients[i].kind == kind)
                        drop_client(&c->clients[i]);
}

static void close_output(struct container *c, int *fd)
{
        if (c->in == *fd) /* a terminal */
                c->in = -1;
        close(*fd);
        *fd = -1;
}

static void take_output(struct container *c, int *fd, struct log_stream *log, char kind)
{
        ssize_t n = read(*fd, log->buf + log->used, sizeof(log->buf) - log->used);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n > 0) {
                tell_clients(c, kind, log->buf + log->used, (size_t)n);
                log->used += (size_t)n;
                log_lines(log, wall_ns(), 0, write_log, c);
                return;
        }
        log_lines(log, wall_ns(), 1, write_log, c);
        hang_up(c, kind);
        close_output(c, fd);
}

/* A terminal's input and output are one descriptor, which output closes. */
static void close_input(struct container *c)
{
        if (c->in >= 0 && c->in != c->out)
                close(c->in);
        c->in = -1;
}

static void give_input(struct container *c)
{
        ssize_t w = write(c->in, c->input + c->input_at, c->input_used - c->input_at);

        if (w < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (w < 0) {
                close_input(c);
                w = (ssize_t)(c->input_used - c->input_at);
        }
        c->input_at += (size_t)w;
        if (c->input_at == c->input_used)
                c->input_at = c->input_used = 0;
}

static void take_input(struct container *c, struct client *k)
{
        ssize_t n = recv(k->fd, c->input, sizeof(c->input), MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n > 0) {
                c->input_used = c->in >= 0 ? (size_t)n : 0;
                return;
        }
        drop_client(k);
        if (c->words->stdin_once && !c->words->tty)
                close_input(c);
}

static void take_size(struct container *c, struct client *k)
{
        unsigned char b[4];
        ssize_t n = recv(k->fd, b, sizeof(b), MSG_DONTWAIT);
        struct winsize size = {.ws_col = (unsigned short)(b[0] << 8 | b[1]),
                               .ws_row = (unsigned short)(b[2] << 8 | b[3])};

        if (n < 0 && errno == EAGAIN)
                return;
        if (n == sizeof(b) && c->words->tty && c->out >= 0)
                ioctl(c->out, TIOCSWINSZ, &size);
        drop_client(k);
}

static void hear_client(struct container *c, struct client *k)
{
        char kind;

        if (k->kind == 'i') {
                take_input(c, k);
        } else if (k->kind == 'r') {
                take_size(c, k);
        } else if (recv(k->fd, &kind, 1, MSG_DONTWAIT) != 1 || k->kind || !strchr("ioer", kind)) {
                drop_client(k); /* who reads only has nothing to say but that he goes */
        } else {
                k->kind = kind;
        }
}

static void accept_client(struct container *c)
{
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

        for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++)
                if (c->clients[i].fd < 0) {
                        c->clients[i] = (struct client){.fd = fd};
                        return;
                }
        if (fd >= 0)
                close(fd);
}

/* "oom_kill N" of memory.events (v2) or memory.oom_control (v1). */
static bool was_oom_killed(const struct container *c)
{
        char buf[512], *line;

        if (!c->words->oom || read_file(AT_FDCWD, c->words->oom, buf, sizeof(buf)) <= 0)
                return false;
        line = strstr(buf, "\noom_kill ");
        return line && line[sizeof("\noom_kill ") - 1] != '0';
}

/* What is left of it (exec'd, or in a shared pid namespace) ends with the first process. */
static void kill_rest(const struct container *c)
{
        struct text path = {0};

        if (!c->words->cgroup)
                return;
        text_add(&path, c->words->cgroup);
        text_add(&path, "/cgroup.kill");
        write_file(path.s, "1");
}

static void reap(struct container *c)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid != c->init || c->ended)
                        continue;
                c->ended = true;
                c->status = status;
                c->finished_ns = wall_ns();
                c->oom = was_oom_killed(c);
                kill_rest(c);
        }
}

static void hear_signals(struct container *c)
{
        struct signalfd_siginfo info;

        while (read(c->signals, &info, sizeof(info)) == sizeof(info))
                if (info.ssi_signo == SIGHUP)
                        log_file_reopen(&c->log);
        reap(c);
}

enum { AT_SIGNALS, AT_LISTENER, AT_OUT, AT_ERR, AT_IN, AT_CLIENTS, AT_END = AT_CLIENTS + CLIENTS_MAX };

static void listen_for(const struct container *c, struct pollfd p[AT_END])
{
        p[AT_SIGNALS] = (struct pollfd){.fd = c->signals, .events = POLLIN};
        p[AT_LISTENER] = (struct pollfd){.fd = c->listener, .events = POLLIN};
        p[AT_OUT] = (struct pollfd){.fd = c->out, .events = POLLIN};
        p[AT_ERR] = (struct pollfd){.fd = c->err, .events = POLLIN};
        p[AT_IN] = (struct pollfd){.fd = c->input_used ? c->in : -1, .events = POLLOUT};
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                bool full = c->clients[i].kind == 'i' && c->input_used;

                p[AT_CLIENTS + i] = (struct pollfd){.fd = full ? -1 : c->clients[i].fd, .events = POLLIN};
        }
}

static void handle(struct container *c, const struct pollfd p[AT_END])
{
        if (p[AT_SIGNALS].revents)
                hear_signals(c);
        if (p[AT_IN].revents && c->in >= 0)
                give_input(c);
        if (p[AT_OUT].revents && c->out >= 0)
                take_output(c, &c->out, &c->logs[0], 'o');
        if (p[AT_ERR].revents && c->err >= 0)
                take_output(c, &c->err, &c->logs[1], 'e');
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                if (p[AT_CLIENTS + i].revents && c->clients[i].fd == p[AT_CLIENTS + i].fd)
                        hear_client(c, &c->clients[i]);
        if (p[AT_LISTENER].revents)
                accept_client(c);
        if (c->in < 0)
                c->input_used = c->input_at = 0;
}

void serve(struct container *c)
{
        struct pollfd p[AT_END];
        int left = DRAIN_MS;

        reap(c);
        while (!c->ended || ((c->out >= 0 || c->err >= 0 || waitpid(-1, NULL, WNOHANG) == 0) && left > 0)) {
                listen_for(c, p);
                if (poll(p, AT_END, c->ended ? 10 : -1) > 0)
                        handle(c, p);
                else if (c->ended)
                        left -= 10;
        }
        log_lines(&c->logs[0], wall_ns(), 1, write_log, c);
        log_lines(&c->logs[1], wall_ns(), 1, write_log, c);
}
