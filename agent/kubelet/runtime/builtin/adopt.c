/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is there when the kubelet starts. A record tells what was meant, a held lock that somebody of it lives, the
 * files of shim and holder who. What was half made when the kubelet was killed goes on by itself for a moment
 * (launchers are not killed with it); what never came to be is listed as not ready or unknown, and removed like
 * everything else.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/adopt.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* A launcher that was under way writes its file in milliseconds. */
#define PATIENCE_MS 2000
#define STEP_MS     5

/* The number in a file, 0 while there is none. */
static int64_t number_in(const char *folder, const char *name)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", folder, name), *text = NULL;
        int64_t v;
        size_t n;

        if (file_read(path, 32, &text, &n, NULL))
                return 0;
        text[strcspn(text, "\n")] = '\0';
        return str_parse_i64(text, &v) ? 0 : v;
}

/* Of a process that lives (it holds the lock); waits for one that is just being made. */
static pid_t living(const char *folder, const char *name, const char *also)
{
        static const struct timespec step = {0, STEP_MS * 1000000L};

        for (int ms = 0; ms < PATIENCE_MS && lock_is_held(folder); ms += STEP_MS) {
                int64_t pid = number_in(folder, name);

                if (pid > 0 && (!also || number_in(folder, also) > 0))
                        return (pid_t)pid;
                nanosleep(&step, NULL);
        }
        return 0;
}

/* crun opens the way of a created container by a fifo, and removes it then. */
static bool was_started(const struct container *c, int64_t *ret_ns)
{
        char root[512];
        _cleanup_free_ char *folder = mem_printf("%s/%s", crun_root(c->s->rt, root, sizeof(root)), c->id);
        _cleanup_free_ char *fifo = mem_printf("%s/exec.fifo", folder);
        struct stat st;

        if (access(fifo, F_OK) == 0 || stat(folder, &st))
                return false;
        *ret_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
        return true;
}

static void adopt_container(struct sandbox *s, const char *id, struct json_object *record)
{
        struct container *c = container_new(s, id, record);
        pid_t shim = living(c->folder, "shim", "pid");
        int64_t ns;

        if (!shim) {
                container_ended(c);
                return;
        }
        c->now = CONTAINER_CREATED;
        if (was_started(c, &ns)) {
                c->now = CONTAINER_RUNNING;
                if (!json_has(record, "started"))
                        json_set_i64(record, "started", ns);
        }
        container_watch(c, shim);
}

static void adopt_sandbox(struct builtin *rt, const char *id, struct json_object *record)
{
        struct sandbox *s = sandbox_new(rt, id, record);
        pid_t holder = living(s->folder, "holder", NULL);

        if (holder)
                sandbox_watch(s, holder);
        s->ready = json_get_bool(record, "ready", false) && witness_alive(&s->holder);
}

/* A folder without a record is what a removal had begun, or a making had not. */
static void sweep(struct builtin *rt, const char *folder, const char *id)
{
        _cleanup_free_ char *rootfs = mem_printf("%s/rootfs", folder), *shm = mem_printf("%s/shm", folder);
        _cleanup_free_ char *state = mem_printf("%s/containers/%s", rt->opts.state_folder, id);
        _cleanup_free_ char *crun = mem_printf("%s/crun/%s", rt->opts.run_folder, id);
        struct child_opts opts = {
                .argv = (const char *[]){"/bin/rm", "-rf", "--one-file-system", "--", crun, state, folder, NULL}};

        umount2(rootfs, MNT_DETACH);
        umount2(shm, MNT_DETACH);
        child_start(rt->opts.children, &opts, NULL, NULL, NULL);
}

/* Calls fn for each folder in a folder. */
static void each_folder(struct builtin *rt, const char *folder, void *userdata,
                        void (*fn)(struct builtin *rt, const char *path, const char *name, void *userdata))
{
        DIR *dir = opendir(folder);
        struct dirent *e;

        while (dir && (e = readdir(dir)))
                if (e->d_type == DT_DIR && e->d_name[0] != '.') {
                        _cleanup_free_ char *path = mem_printf("%s/%s", folder, e->d_name);

                        fn(rt, path, e->d_name, userdata);
                }
        if (dir)
                closedir(dir);
}

static struct json_object *load(struct builtin *rt, const char *folder, const char *id,
                                bool (*good)(const struct json_object *, const char *id))
{
        struct json_object *record = NULL;
        struct err err = ERR_NULL;
        int r = record_load(folder, &record, &err);

        if (!r && good(record, id))
                return record;
        if (r != -ENOENT)
                log_error("a record is broken: what it told of is removed", "folder=%s why=%s", folder,
                          r ? err.msg : "fields are missing");
        json_object_put(record);
        return NULL;
}

static void container_folder(struct builtin *rt, const char *path, const char *name, void *userdata)
{
        struct sandbox *s = userdata;
        struct json_object *record;

        if (strlen(name) != RUNTIME_ID_SIZE - 1) /* shm */
                return;
        record = load(rt, path, name, record_is_container);
        if (record)
                adopt_container(s, name, record);
        else
                sweep(rt, path, name);
}

static void sandbox_folder(struct builtin *rt, const char *path, const char *name, void *userdata)
{
        struct json_object *record = load(rt, path, name, record_is_sandbox);

        if (!record) {
                sweep(rt, path, name);
                return;
        }
        if (!str_eq(json_get_str(record, "uid"), userdata)) {
                json_object_put(record);
                return;
        }
        adopt_sandbox(rt, name, record);
        each_folder(rt, path, hashmap_get(&rt->sandboxes, name), container_folder);
}

static void pod_folder(struct builtin *rt, const char *path, const char *name, void *userdata)
{
        each_folder(rt, path, (void *)name, sandbox_folder);
        rmdir(path); /* when it is empty */
}

static void note_unowned(struct builtin *rt, const char *path, const char *name, void *userdata)
{
        struct words *w = userdata;

        if (strlen(name) == RUNTIME_ID_SIZE - 1 && !hashmap_get(&rt->containers, name))
                words_add(w, "%s", path);
}

/* What containers wrote is on the disk, and outlives a boot; their records do not. */
static void sweep_states(struct builtin *rt)
{
        static const char *const rm[] = {"/bin/rm", "-rf", "--one-file-system", "--"};
        _cleanup_free_ char *states = mem_printf("%s/containers", rt->opts.state_folder);
        _cleanup_words_ struct words w = WORDS_NULL;
        struct child_opts opts = {.argv = w.v};

        for (size_t i = 0; i < ARRAY_SIZE(rm); i++)
                words_add(&w, "%s", rm[i]);
        each_folder(rt, states, &w, note_unowned);
        if (w.n > ARRAY_SIZE(rm))
                child_start(rt->opts.children, &opts, NULL, NULL, NULL);
}

void adopt_all(struct builtin *rt)
{
        _cleanup_free_ char *pods = mem_printf("%s/pods", rt->opts.run_folder);

        each_folder(rt, pods, NULL, pod_folder);
        sweep_states(rt);
}
