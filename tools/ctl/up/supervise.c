/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a machine: started, started again when they end, their last words kept in files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/up/groups.h"
#include "ctl/up/init.h"
#include "ctl/up/net.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define HEALTHY_MS     10000     /* after so long it starts at once again */
#define LOG_MAX        (8 << 20) /* bytes; then the file becomes NAME.log.1 */
#define END_MS         5000      /* from SIGTERM to SIGKILL */
#define AFTER_LOOK_MS  5
#define AFTER_MAX_MS   3000 /* then a program is started anyway: it knows how to wait, though less closely */

struct service {
        struct supervisor *supervisor;
        const char *name;
        const struct json_object *argv;
        const char *after; /* the address of the API server that must accept first; or NULL */
        uint64_t after_ms; /* since when that is waited for */
        bool socket;
        pid_t pid; /* 0: it does not run */
        unsigned starts;
        uint64_t since_ms, backoff_ms;
        char last[64]; /* how it ended */
        struct loop_timer *again;
};

struct supervisor {
        struct loop *loop;
        struct loop_signal *child, *term;
        struct loop_timer *limit;
        struct service *services;
        size_t n;
        char home[32]; /* the path of the machine's folder */
        char group[256];
        bool ending;
};

/* ---- what others may know */

static struct json_object *service_json(const struct service *s)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "name", s->name);
        json_set_i64(o, "pid", s->pid);
        json_set_i64(o, "starts", s->starts);
        if (*s->last)
                json_set_str(o, "last", s->last);
        return o;
}

static void tell_status(const struct supervisor *sv)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        _cleanup_free_ char *path = mem_printf("%s/status.json", sv->home), *text = NULL;
        struct json_object *list = json_object_new_array();
        struct err err = ERR_NULL;

        for (size_t i = 0; i < sv->n; i++)
                json_object_array_add(list, service_json(&sv->services[i]));
        json_set(o, "services", list);
        text = json_text(o);
        if (file_write_atomic(path, text, strlen(text), 0600, &err))
                log_warn("the status cannot be written", "error=%s", err.msg);
}

/* ---- one service */

static int open_log(const struct service *s)
{
        _cleanup_free_ char *path = mem_printf("%s/log/%s.log", s->supervisor->home, s->name);
        struct stat st;

        if (!stat(path, &st) && st.st_size > LOG_MAX) {
                _cleanup_free_ char *old = mem_printf("%s.1", path);

                rename(path, old);
        }
        return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Groups of v2 alone: limits are for pods. */
static void enter_group(const char *root, const char *name)
{
        _cleanup_free_ char *group = mem_printf("%s/system/%s", root, name),
                            *procs = mem_printf("%s/cgroup.procs", group);
        int fd = -1;

        if (file_mkdirs(group, 0755, NULL) == 0)
                fd = open(procs, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
                log_warn("a group cannot be entered", "group=%s error=%s", group, strerror(errno));
        closep(&fd);
}

static _noreturn_ void become(const struct service *s, int log)
{
        static char *const env[] = {
                (char *)"PATH=/opt/fairlead/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                (char *)"HOME=/root", (char *)"LANG=C.UTF-8", NULL};
        size_t n = json_len(s->argv);
        char **argv = mem_zalloc((n + 1) * sizeof(*argv));
        sigset_t none;

        for (size_t i = 0; i < n; i++)
                argv[i] = mem_strdup(json_object_get_string(json_idx(s->argv, i)));
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        setsid();
        enter_group(s->supervisor->group, s->name);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        if (s->socket)
                dup2(INIT_LISTEN, 3); /* not CLOEXEC */
        execve(argv[0], argv, env);
        dprintf(STDERR_FILENO, "%s cannot be run: %s\n", argv[0], strerror(errno));
        _exit(127);
}

/* Whoever finds nobody there tries again seconds later, which would be most of the time that a cluster takes to start.
 */
static bool must_wait(struct service *s)
{
        uint64_t now = clock_mono_ms();

        if (!s->after || s->starts)
                return false;
        s->after_ms = s->after_ms ?: now;
        return now - s->after_ms < AFTER_MAX_MS && !net_accepts(s->after, AFTER_LOOK_MS);
}

static void start(void *userdata)
{
        struct service *s = userdata;
        _cleanup_close_ int log = -1;

        if (must_wait(s)) {
                loop_timer_set(s->again, AFTER_LOOK_MS);
                return;
        }
        log = open_log(s);
        s->pid = fork();
        if (s->pid == 0)
                become(s, log);
        if (s->pid < 0) {
                log_error("a program cannot be started", "name=%s error=%s", s->name, strerror(errno));
                s->pid = 0;
                loop_timer_set(s->again, BACKOFF_MAX_MS);
                return;
        }
        s->starts++;
        s->since_ms = clock_mono_ms();
        log_info("started", "name=%s pid=%d", s->name, s->pid);
        tell_status(s->supervisor);
}

static void ended(struct service *s, int status)
{
        bool healthy = clock_mono_ms() - s->since_ms >= HEALTHY_MS;

        s->pid = 0;
        if (WIFSIGNALED(status))
                snprintf(s->last, sizeof(s->last), "killed by signal %d", WTERMSIG(status));
        else
                snprintf(s->last, sizeof(s->last), "exit status %d", WEXITSTATUS(status));
        s->backoff_ms = healthy || !s->backoff_ms ? BACKOFF_MIN_MS : MIN(2 * s->backoff_ms, BACKOFF_MAX_MS);
        log_warn("ended", "name=%s how=%s again_ms=%llu", s->name, s->last, (unsigned long long)s->backoff_ms);
        if (!s->supervisor->ending)
                loop_timer_set(s->again, s->backoff_ms);
        tell_status(s->supervisor);
}

/* ---- all of them */

static bool all_ended(const struct supervisor *sv)
{
        for (size_t i = 0; i < sv->n; i++)
                if (sv->services[i].pid)
                        return false;
        return true;
}

/* Orphans of anybody in this machine end here, too. */
static void reap(void *userdata)
{
        struct supervisor *sv = userdata;
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                for (size_t i = 0; i < sv->n; i++)
                        if (sv->services[i].pid == pid)
                                ended(&sv->services[i], status);
        if (sv->ending && all_ended(sv))
                loop_stop(sv->loop);
}

static void out_of_time(void *userdata)
{
        struct supervisor *sv = userdata;

        loop_stop(sv->loop); /* with pid 1 everything goes */
}

static void terminate(void *userdata)
{
        struct supervisor *sv = userdata;

        sv->ending = true;
        for (size_t i = 0; i < sv->n; i++) {
                loop_timer_cancel(sv->services[i].again);
                if (sv->services[i].pid)
                        kill(sv->services[i].pid, SIGTERM);
        }
        loop_timer_set(sv->limit, END_MS);
        if (all_ended(sv))
                loop_stop(sv->loop);
}

static int prepare(struct supervisor *sv, const struct json_object *spec)
{
        const struct json_object *list = json_get(spec, "services");
        int r = loop_signal_new(sv->loop, SIGCHLD, reap, sv, &sv->child);

        sv->n = json_len(list);
        sv->services = mem_zalloc(MAX(sv->n, (size_t)1) * sizeof(*sv->services));
        if (!r)
                r = loop_signal_new(sv->loop, SIGTERM, terminate, sv, &sv->term);
        if (!r)
                r = loop_timer_new(sv->loop, out_of_time, sv, &sv->limit);
        for (size_t i = 0; !r && i < sv->n; i++) {
                const struct json_object *o = json_idx(list, i);
                struct service *s = &sv->services[i];

                *s = (struct service){.supervisor = sv,
                                      .name = json_get_str(o, "name"),
                                      .argv = json_get(o, "argv"),
                                      .after = json_get_str(o, "after"),
                                      .socket = json_get_bool(o, "socket", false)};
                r = loop_timer_new(sv->loop, start, s, &s->again);
        }
        return r;
}

int init_supervise(const struct json_object *spec, int home, int talk, struct err *reterr)
{
        struct supervisor sv = {0};
        struct hierarchies h;
        int r = hierarchies_find(&h, reterr);

        if (r)
                return r;
        snprintf(sv.home, sizeof(sv.home), "/proc/self/fd/%d", home);
        str_copy(sv.group, sizeof(sv.group), h.items[0].mount);
        enter_group(sv.group, "init");
        r = loop_new(&sv.loop);
        if (!r)
                r = prepare(&sv, spec);
        if (r)
                return err_set(reterr, r, "the programs cannot be looked after: %s", strerror(-r));
        for (size_t i = 0; i < sv.n; i++)
                start(&sv.services[i]);
        tell_status(&sv);
        if (write(talk, "ok", 2) != 2)
                log_warn("nobody waits for this machine any more", "name=%s", json_get_str(spec, "name"));
        close(talk);
        r = loop_run(sv.loop);
        log_info("ending", "name=%s", json_get_str(spec, "name"));
        return r;
}
