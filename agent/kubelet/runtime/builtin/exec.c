/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/exec.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define EXEC_OUTPUT_MAX 65536

struct runtime_session {
        struct builtin *rt;
        struct child *child; /* of an exec; NULL when it has ended, or of an attach */
        char *container;     /* folder, of an attach */
        void (*ended)(void *userdata, int32_t exit_code);
        void *userdata;
};

static void exec_words(const struct container *c, const char *pid_file, const char *const *argv, struct words *w)
{
        const struct cgroups *cg = c->s->rt->opts.cgroups;
        char group[CGROUP_PATH_MAX], v1[CGROUP_CONTROLLERS][CGROUP_PATH_MAX];
        size_t n = cgroup_v1_procs(cg, c->group, v1);

        cgroup_path(cg, c->group, group);
        enter_words(c->s->rt, w);
        words_add(w, "cgroup=%s", group);
        for (size_t i = 0; i < n; i++)
                words_add(w, "v1=%s", v1[i]);
        crun_words(c->s->rt, w);
        words_add(w, "exec");
        if (pid_file)
                words_add(w, "--pid-file=%s", pid_file);
        words_add(w, "%s", c->id);
        for (; *argv; argv++)
                words_add(w, "%s", *argv);
}

static size_t count(const char *const *argv)
{
        size_t n = 0;

        while (argv[n])
                n++;
        return n;
}

static int find_running(struct builtin *rt, const char *id, const char *const *argv, struct container **ret)
{
        struct container *c = hashmap_get(&rt->containers, id);

        if (!c || c->now != CONTAINER_RUNNING || c->init < 0)
                return -ENOENT;
        if (argv && (!argv[0] || count(argv) > WORDS_MAX / 2))
                return -EINVAL;
        *ret = c;
        return 0;
}

struct sync {
        struct builtin *rt;
        struct child *child;
        struct loop_timer *timer;
        char *pid_file;
        bool timed_out;
        void (*done)(void *userdata, int result, const struct exec_result *r);
        void *userdata;
};

static void sync_free(struct sync *s)
{
        loop_timer_free(s->timer);
        if (s->pid_file)
                unlink(s->pid_file);
        free(s->pid_file);
        free(s);
}

static void sync_done(void *userdata, const struct child_end *end)
{
        struct sync *s = userdata;
        _cleanup_strbuf_ struct strbuf both = STRBUF_NULL;
        struct exec_result r = {.timed_out = s->timed_out};

        strbuf_add(&both, end->out, end->out_len);
        strbuf_add(&both, end->err, MIN(end->err_len, EXEC_OUTPUT_MAX - MIN(both.len, EXEC_OUTPUT_MAX)));
        r.exit_code = WIFSIGNALED(end->status) ? 128 + WTERMSIG(end->status) : WEXITSTATUS(end->status);
        r.output = both.data ?: "";
        r.len = both.len;
        s->done(s->userdata, 0, &r);
        sync_free(s);
}

/* The command is no child of ours and stands in the container's pid namespace: it is killed by its own number, which
 * crun wrote down, while crun, which has not waited for it yet, keeps that number taken. */
static void kill_command(const char *pid_file)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        long pid;

        if (file_read(pid_file, 32, &text, &n, NULL))
                return;
        pid = strtol(text, NULL, 10);
        if (pid > 1)
                kill((pid_t)pid, SIGKILL);
}

static void sync_out_of_time(void *userdata)
{
        struct sync *s = userdata;

        s->timed_out = true;
        kill_command(s->pid_file);
        child_kill(s->child);
}

static char *new_pid_file(const struct container *c)
{
        char id[RUNTIME_ID_SIZE];

        new_id(id);
        return mem_printf("%s/exec-%.16s", c->folder, id);
}

static int sync_start(struct sync *s, struct container *c, const char *const *argv, uint64_t timeout_ms)
{
        _cleanup_words_ struct words w = WORDS_NULL;
        struct child_opts opts = {.argv = w.v, .limit = EXEC_OUTPUT_MAX};
        int r;

        s->pid_file = new_pid_file(c);
        exec_words(c, s->pid_file, argv, &w);
        r = timeout_ms ? loop_timer_new(s->rt->opts.loop, sync_out_of_time, s, &s->timer) : 0;
        if (!r)
                r = child_start(s->rt->opts.children, &opts, sync_done, s, &s->child);
        if (!r && s->timer)
                loop_timer_set(s->timer, timeout_ms);
        return r;
}

struct no_exec {
        int result;
        void (*done)(void *userdata, int result, const struct exec_result *r);
        void *userdata;
};

static void tell_no_exec(void *userdata)
{
        _cleanup_free_ struct no_exec *n = userdata;

        n->done(n->userdata, n->result, &(struct exec_result){.output = ""});
}

void container_exec_sync(void *userdata, const char *id, const char *const *argv, uint64_t timeout_ms,
                         void (*done)(void *userdata, int result, const struct exec_result *r), void *done_userdata)
{
        struct builtin *rt = userdata;
        struct container *c = NULL;
        struct no_exec *none;
        struct sync *s;
        int r = find_running(rt, id, argv, &c);

        if (!r) {
                s = mem_new(struct sync);
                *s = (struct sync){.rt = rt, .done = done, .userdata = done_userdata};
                r = sync_start(s, c, argv, timeout_ms);
                if (r)
                        sync_free(s);
        }
        if (!r)
                return;
        none = mem_new(struct no_exec);
        *none = (struct no_exec){r, done, done_userdata};
        loop_post(rt->opts.loop, tell_no_exec, none);
}

static void session_free(struct runtime_session *s)
{
        free(s->container);
        free(s);
}

static void exec_ended(void *userdata, const struct child_end *end)
{
        struct runtime_session *s = userdata;

        s->child = NULL;
        s->ended(s->userdata, WIFSIGNALED(end->status) ? 128 + WTERMSIG(end->status) : WEXITSTATUS(end->status));
}

/* Pipes: [0] read end, [1] write end. */
struct exec_pipes {
        int in[2], out[2], err[2];
};

static void close_pipe(int p[2])
{
        for (int i = 0; i < 2; i++)
                if (p[i] >= 0)
                        close(TAKE_FD(p[i]));
}

static int open_pipes(struct exec_pipes *p, bool in)
{
        *p = (struct exec_pipes){{-1, -1}, {-1, -1}, {-1, -1}};
        return (in && pipe2(p->in, O_CLOEXEC)) || pipe2(p->out, O_CLOEXEC) || pipe2(p->err, O_CLOEXEC) ? -errno : 0;
}

static int start_exec(struct runtime_session *s, const struct container *c, const char *const *argv,
                      struct exec_pipes *p)
{
        _cleanup_words_ struct words w = WORDS_NULL;
        struct child_opts opts = {.argv = w.v, .out = p->out[1], .err = p->err[1], .in = MAX(p->in[0], 0)};

        exec_words(c, NULL, argv, &w);
        return child_start(s->rt->opts.children, &opts, exec_ended, s, &s->child);
}

int container_exec(void *userdata, const char *id, const char *const *argv, bool in, bool tty,
                   void (*ended)(void *userdata, int32_t exit_code), void *ended_userdata, struct runtime_streams *ret,
                   struct runtime_session **ret_session)
{
        struct builtin *rt = userdata;
        struct container *c = NULL;
        struct runtime_session *s;
        struct exec_pipes p;
        int r = tty ? -EOPNOTSUPP : find_running(rt, id, argv, &c);

        if (r)
                return r;
        s = mem_new(struct runtime_session);
        *s = (struct runtime_session){.rt = rt, .ended = ended, .userdata = ended_userdata};
        r = open_pipes(&p, in);
        if (!r)
                r = start_exec(s, c, argv, &p);
        if (!r) {
                *ret = (struct runtime_streams){TAKE_FD(p.in[1]), TAKE_FD(p.out[0]), TAKE_FD(p.err[0]), false};
                *ret_session = s;
        } else {
                session_free(s);
        }
        close_pipe(p.in);
        close_pipe(p.out);
        close_pipe(p.err);
        return r;
}

/* By a short path, whatever the folder's is. */
static int connect_to(const char *folder, const char *hello, size_t n)
{
        struct sockaddr_un sun = {.sun_family = AF_UNIX};
        _cleanup_close_ int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

        if (dir < 0)
                return -errno;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/attach", dir);
        if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
            send(fd, hello, n, MSG_NOSIGNAL) != (ssize_t)n)
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
        int r = find_running(rt, id, NULL, &c);
        bool tty;

        if (r)
                return r;
        tty = json_get_bool(c->record, "tty", false);
        out = connect_to(c->folder, "o", 1);
        err = tty ? -1 : connect_to(c->folder, "e", 1);
        input = in ? connect_to(c->folder, "i", 1) : -1;
        if (out < 0 || (!tty && err < 0) || (in && input < 0))
                return out < 0 ? out : -ECONNREFUSED;
        s = mem_new(struct runtime_session);
        *s = (struct runtime_session){.rt = rt, .container = mem_strdup(c->folder)};
        *ret = (struct runtime_streams){TAKE_FD(input), TAKE_FD(out), tty ? -1 : TAKE_FD(err), tty};
        *ret_session = s;
        return 0;
}

void session_resize(struct runtime_session *s, uint16_t columns, uint16_t rows)
{
        const char hello[] = {'r', (char)(columns >> 8), (char)columns, (char)(rows >> 8), (char)rows};
        int fd = s->container ? connect_to(s->container, hello, sizeof(hello)) : -1;

        if (fd >= 0)
                close(fd);
}

void session_end(struct runtime_session *s)
{
        if (s->child) {
                child_forget(s->child);
                child_kill(s->child);
        }
        session_free(s);
}

int container_reopen_log(void *userdata, const char *id)
{
        struct builtin *rt = userdata;
        struct container *c = hashmap_get(&rt->containers, id);

        return c ? witness_kill(&c->shim, SIGHUP) : -ENOENT;
}

int container_usage(void *userdata, const char *id, uint64_t *ret_cpu_ns, uint64_t *ret_memory,
                    uint64_t *ret_working_set)
{
        struct builtin *rt = userdata;
        struct container *c = hashmap_get(&rt->containers, id);

        return c ? cgroup_usage(rt->opts.cgroups, c->group, ret_cpu_ns, ret_memory, ret_working_set) : -ENOENT;
}
