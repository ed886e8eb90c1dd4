/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/exec.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define EXEC_OUTPUT_MAX 65536
#define CONFIG_MAX      (4 * 1024 * 1024)

static bool has_term(const struct json_object *env)
{
        json_array_foreach (env, i, one)
                if (str_has_prefix(json_object_get_string(one), "TERM="))
                        return true;
        return false;
}

static void set_command(struct json_object *process, const char *const *argv, bool terminal)
{
        struct json_object *args = json_object_new_array();

        for (; *argv; argv++)
                json_object_array_add(args, json_object_new_string(*argv));
        json_set(process, "args", args);
        json_set_bool(process, "terminal", terminal);
        if (terminal && !has_term(json_get(process, "env")))
                json_object_array_add(json_get(process, "env"), json_object_new_string("TERM=xterm"));
}

/* A bare command line is not enough for crun: it would run as root in /, and could gain privileges. */
int exec_write_process(const struct container *c, const char *const *argv, bool terminal, const char *path)
{
        _cleanup_free_ char *config_path = mem_printf("%s/config.json", c->folder), *text = NULL, *out = NULL;
        _cleanup_json_ struct json_object *config = NULL;
        struct json_object *process;
        size_t n;
        int r = file_read(config_path, CONFIG_MAX, &text, &n, NULL);

        if (!r)
                r = json_parse(text, n, &config, NULL);
        process = r ? NULL : json_get(config, "process");
        if (!process)
                return r ?: -EINVAL;
        set_command(process, argv, terminal);
        out = json_text(process);
        return file_replace(path, out, strlen(out), 0600, NULL);
}

void exec_words(const struct container *c, const struct exec_how *how, struct words *w)
{
        const struct cgroups *cg = c->s->rt->opts.cgroups;
        char group[CGROUP_PATH_MAX], v1[CGROUP_CONTROLLERS][CGROUP_PATH_MAX];
        size_t n = cgroup_v1_procs(cg, c->group, v1);
        int64_t adj = json_get_i64(c->record, "oomScoreAdj", -1);

        cgroup_path(cg, c->group, group);
        words_add(w, "%s", c->s->rt->opts.shim);
        words_add(w, "enter");
        words_add(w, "cgroup=%s", group);
        for (size_t i = 0; i < n; i++)
                words_add(w, "v1=%s", v1[i]);
        if (adj != -1)
                words_add(w, "oom_adj=%" PRId64, MAX(adj, c->s->rt->oom_score_adj_min));
        words_add(w, "--");
        crun_words(c->s->rt, w);
        words_add(w, "exec");
        words_add(w, "--pid-file=%s", how->pid_file);
        if (how->console)
                words_add(w, "--console-socket=%s", how->console);
        words_add(w, "--process=%s", how->process);
        words_add(w, "%s", c->id);
}

static size_t count(const char *const *argv)
{
        size_t n = 0;

        while (argv[n])
                n++;
        return n;
}

int exec_find(struct builtin *rt, const char *id, const char *const *argv, struct container **ret)
{
        struct container *c = hashmap_get(&rt->containers, id);

        if (!c || c->now != CONTAINER_RUNNING || c->init < 0)
                return -ENOENT;
        if (argv && (!argv[0] || count(argv) > WORDS_MAX / 2))
                return -EINVAL;
        *ret = c;
        return 0;
}

void exec_remove_file(char *path)
{
        if (path)
                unlink(path);
        free(path);
}

struct sync {
        struct builtin *rt;
        struct child *child;
        struct loop_timer *timer;
        char *pid_file, *process;
        bool timed_out;
        void (*done)(void *userdata, int result, const struct exec_result *r);
        void *userdata;
};

static void sync_free(struct sync *s)
{
        loop_timer_free(s->timer);
        exec_remove_file(s->pid_file);
        exec_remove_file(s->process);
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
 * crun wrote down, while crun, which has not waited for it yet, keeps that number taken. crun gives it a session of its
 * own, so its group is what it began. */
void exec_kill(const char *pid_file)
{
        _cleanup_free_ char *text = NULL;
        pid_t pid, group;
        size_t n;

        if (file_read(pid_file, 32, &text, &n, NULL))
                return;
        pid = (pid_t)strtol(text, NULL, 10);
        group = pid > 1 ? getpgid(pid) : -1;
        if (group > 1 && group != getpgrp())
                kill(-group, SIGKILL);
        if (pid > 1)
                kill(pid, SIGKILL);
}

static void sync_out_of_time(void *userdata)
{
        struct sync *s = userdata;

        s->timed_out = true;
        exec_kill(s->pid_file);
        child_kill(s->child);
}

char *exec_new_pid_file(const struct container *c)
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

        s->pid_file = exec_new_pid_file(c);
        s->process = mem_printf("%s.json", s->pid_file);
        exec_words(c, &(struct exec_how){s->pid_file, s->process, NULL}, &w);
        r = exec_write_process(c, argv, false, s->process);
        if (!r && timeout_ms)
                r = loop_timer_new(s->rt->opts.loop, sync_out_of_time, s, &s->timer);
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
        int r = exec_find(rt, id, argv, &c);

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
