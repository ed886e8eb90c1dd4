/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "hollow/control.h"

#define LINE_MAX_BYTES 1024
#define ANSWER_MS      1000 /* so long may somebody not read his answer */

struct session {
        struct control *control;
        struct session *next;
        struct loop_fd *source;
        int in, out;
        struct strbuf line;
};

struct control {
        struct control_opts opts;
        int fd;
        struct loop_fd *source;
        struct session *sessions;
};

/* ---- the commands ---- */

static bool help(struct control *c, const char *argument, struct strbuf *out)
{
        strbuf_add_str(out,
                       "kill NODE     it falls silent: no heartbeats, its pods stay as they are\n"
                       "revive NODE   it goes on\n"
                       "restart NODE  as if its machine had started anew: the containers start again, or have ended\n"
                       "stats         counters, name=value\n"
                       "A NODE may be a pattern: hollow-1*, or * for all.\n");
        return true;
}

static bool stats(struct control *c, const char *argument, struct strbuf *out)
{
        struct kubelet_stats pods;
        struct calls_stats calls;

        kubelet_stats(c->opts.kubelet, &pods);
        calls_stats(c->opts.calls, &calls);
        strbuf_printf(out, "ready=%d\nstopped_nodes=%u\n", pods.synced && nodes_all_registered(c->opts.nodes),
                      nodes_count_stopped(c->opts.nodes));
        strbuf_printf(out, "pods=%u\npending=%u\nrunning=%u\nready_pods=%u\nended=%u\nstopping=%u\n", pods.pods,
                      pods.pending, pods.running, pods.ready, pods.ended, pods.stopping);
        strbuf_printf(out, "statuses=%" PRIu64 "\ndeletes=%" PRIu64 "\nfailures=%" PRIu64 "\n", pods.statuses,
                      pods.deletes, pods.failures);
        strbuf_printf(out, "requests=%" PRIu64 "\nrefused=%" PRIu64 "\nfailed=%" PRIu64 "\n", calls.sent, calls.refused,
                      calls.failed);
        strbuf_printf(out, "under_way=%u\nwaiting=%u\n", calls.under_way, calls.waiting);
        return true;
}

static bool each_node(struct control *c, const char *pattern, struct strbuf *out, void (*fn)(struct node *node))
{
        struct node *node;
        bool any = false;

        for (uint32_t i = 0; (node = nodes_at(c->opts.nodes, i)); i++) {
                if (fnmatch(pattern, node->name, 0))
                        continue;
                any = true;
                fn(node);
        }
        if (!any)
                strbuf_printf(out, "error: %s: there is no such node here\n", *pattern ? pattern : "\"\"");
        return any;
}

static bool kill_nodes(struct control *c, const char *pattern, struct strbuf *out)
{
        return each_node(c, pattern, out, node_stop);
}

static bool revive_nodes(struct control *c, const char *pattern, struct strbuf *out)
{
        return each_node(c, pattern, out, node_revive);
}

static bool restart_nodes(struct control *c, const char *pattern, struct strbuf *out)
{
        return each_node(c, pattern, out, node_restart);
}

static const struct command {
        const char *name;
        bool (*run)(struct control *c, const char *argument, struct strbuf *out); /* false: the error was written */
} commands[] = {
        {"kill", kill_nodes}, {"revive", revive_nodes}, {"restart", restart_nodes}, {"stats", stats}, {"help", help},
};

static void run_command(struct control *c, char *line, struct strbuf *out)
{
        char *rest = line, *name = strsep(&rest, " \t\r");

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
                if (!str_eq(commands[i].name, name))
                        continue;
                if (commands[i].run(c, rest ? rest + strspn(rest, " \t") : "", out))
                        strbuf_add_str(out, "ok\n");
                return;
        }
        strbuf_printf(out, "error: %s: no such command; there are kill, revive, restart, stats, help\n", name);
}

/* ---- who asks ---- */

static void session_free(struct session *s)
{
        struct session **at = &s->control->sessions;

        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        loop_fd_free(s->source);
        if (s->in != STDIN_FILENO)
                close(s->in);
        strbuf_deinit(&s->line);
        free(s);
}

/* Answers are small, and whoever asked waits for his. */
static void answer(struct session *s, const struct strbuf *out)
{
        size_t at = 0;

        while (at < out->len) {
                ssize_t n = write(s->out, out->data + at, out->len - at);

                if (n <= 0)
                        return;
                at += (size_t)n;
        }
}

static void run_lines(struct session *s)
{
        char *text = s->line.data, *end;

        while (text && (end = strchr(text, '\n'))) {
                _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;

                *end = '\0';
                end[-(end > text && end[-1] == '\r')] = '\0';
                if (*text)
                        run_command(s->control, text, &out);
                answer(s, &out);
                text = end + 1;
        }
        if (text && text != s->line.data) {
                s->line.len -= (size_t)(text - s->line.data);
                memmove(s->line.data, text, s->line.len + 1);
        }
}

static void on_input(void *userdata, unsigned int events)
{
        struct session *s = userdata;
        char *at = strbuf_reserve(&s->line, LINE_MAX_BYTES);
        ssize_t n = read(s->in, at, LINE_MAX_BYTES);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0 || memchr(at, '\0', (size_t)n)) {
                session_free(s);
                return;
        }
        s->line.len += (size_t)n;
        s->line.data[s->line.len] = '\0';
        run_lines(s);
        if (s->line.len > LINE_MAX_BYTES)
                session_free(s);
}

static int session_new(struct control *c, int in, int out)
{
        struct session *s = mem_new(struct session);
        int r;

        *s = (struct session){.control = c, .next = c->sessions, .in = in, .out = out};
        c->sessions = s;
        r = loop_fd_new(c->opts.loop, in, LOOP_READ, on_input, s, &s->source);
        if (r)
                session_free(s);
        return r;
}

static void on_connection(void *userdata, unsigned int events)
{
        const struct timeval patience = {.tv_usec = ANSWER_MS * 1000 % 1000000, .tv_sec = ANSWER_MS / 1000};
        struct control *c = userdata;
        int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        session_new(c, fd, fd);
}

static int open_socket(struct control *c, struct err *reterr)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        const char *path = c->opts.path;
        int r;

        if (!str_copy(addr.sun_path, sizeof(addr.sun_path), path))
                return err_set(reterr, -ENAMETOOLONG, "--control %s: a socket's path has at most %zu bytes", path,
                               sizeof(addr.sun_path) - 1);
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return err_set(reterr, -errno, "cannot make a socket: %s", strerror(errno));
        unlink(path); /* of one that was killed */
        if (bind(c->fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(c->fd, 16)) {
                r = -errno;
                return err_set(reterr, r, "--control %s: %s", path, strerror(-r));
        }
        return loop_fd_new(c->opts.loop, c->fd, LOOP_READ, on_connection, c, &c->source);
}

int control_new(const struct control_opts *opts, struct control **ret, struct err *reterr)
{
        struct control *c = mem_new(struct control);
        int r = 0;

        *c = (struct control){.opts = *opts, .fd = -1};
        if (opts->path)
                r = open_socket(c, reterr);
        if (!r && opts->use_stdin)
                r = session_new(c, STDIN_FILENO, STDOUT_FILENO);
        if (r) {
                control_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void control_free(struct control *c)
{
        if (!c)
                return;
        while (c->sessions)
                session_free(c->sessions);
        loop_fd_free(c->source);
        if (c->fd >= 0)
                close(c->fd);
        if (c->opts.path)
                unlink(c->opts.path);
        free(c);
}
