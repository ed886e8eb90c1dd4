/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes: a holder of namespaces, /dev/shm, and two files of /etc. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "agent/kubelet/runtime/builtin/network.h"
#include "agent/kubelet/runtime/builtin/words.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define SHM_OPTIONS    "mode=1777,size=65536k"
#define GROUP_TRIES    500
#define GROUP_RETRY_MS 10

int64_t sandbox_number(const struct sandbox *s, const char *key)
{
        return json_get_i64(s->record, key, 0);
}

struct sandbox *sandbox_new(struct builtin *rt, const char *id, struct json_object *record)
{
        struct sandbox *s = mem_new(struct sandbox);
        const char *pod_group = json_get_str(record, "cgroup");

        *s = (struct sandbox){.rt = rt, .record = record, .holder.fd = -1};
        str_copy(s->id, sizeof(s->id), id);
        json_shrink(record);
        s->folder = mem_printf("%s/pods/%s/%s", rt->opts.run_folder, json_get_str(record, "uid"), id);
        s->pod_group = mem_strdup(pod_group);
        s->group = mem_printf("%s/%s", pod_group, id);
        hashmap_put(&rt->sandboxes, s->id, s);
        return s;
}

void sandbox_free(struct sandbox *s)
{
        while (s->containers) {
                struct container *c = s->containers;

                s->containers = c->next;
                container_free(c);
        }
        while (s->first) {
                struct operation *op = s->first;

                s->first = op->next;
                loop_timer_free(op->timer);
                free(op);
        }
        hashmap_del(&s->rt->sandboxes, s->id);
        witness_forget(&s->holder);
        json_object_put(s->record);
        free(s->folder);
        free(s->group);
        free(s->pod_group);
        free(s);
}

static bool own_network(const struct sandbox *s)
{
        return sandbox_number(s, "network") == NAMESPACE_POD;
}

static void save(struct sandbox *s)
{
        struct err err = ERR_NULL;

        json_set_bool(s->record, "ready", s->ready);
        if (record_save(s->folder, s->record, &err))
                log_error("a sandbox's record cannot be written", "sandbox=%s why=%s", s->id, err.msg);
}

static void holder_ended(void *userdata, unsigned int events)
{
        struct sandbox *s = userdata;
        struct builtin *rt = s->rt;

        witness_forget(&s->holder);
        if (!s->ready)
                return;
        s->ready = false;
        if (rt->changed)
                rt->changed(rt->changed_userdata, json_get_str(s->record, "uid"));
}

void sandbox_watch(struct sandbox *s, pid_t holder)
{
        if (witness_watch(s->rt, &s->holder, holder, holder_ended, s))
                return;
        if (own_network(s))
                snprintf(s->netns, sizeof(s->netns), "/proc/%d/ns/net", holder);
}

static void holder_words(const struct sandbox *s, struct words *w)
{
        char group[CGROUP_PATH_MAX];

        cgroup_path(s->rt->opts.cgroups, s->group, group);
        words_add(w, "%s", s->rt->opts.shim);
        words_add(w, "holder");
        words_add(w, "dir=%s", s->folder);
        words_add(w, "cgroup=%s", group);
        if (own_network(s)) {
                words_add(w, "net");
                words_add(w, "uts");
                words_add(w, "hostname=%s", json_get_str(s->record, "hostname"));
        }
        if (sandbox_number(s, "ipc") == NAMESPACE_POD)
                words_add(w, "ipc");
        if (sandbox_number(s, "pid") == NAMESPACE_POD)
                words_add(w, "pid");
        json_foreach (json_get(s->record, "sysctls"), key, value) {
                char *word;

                words_add(w, "sysctl=%s=%s", key, json_object_get_string(value));
                word = (char *)w->v[w->n - 1] + strlen("sysctl=");
                for (char *p = word; *p && *p != '='; p++)
                        *p = *p == '.' ? '/' : *p;
        }
}

static int write_text(const struct sandbox *s, const char *name, const char *text)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", s->folder, name);

        return file_write_atomic(path, text, strlen(text), 0644, NULL);
}

static int mount_shm(const struct sandbox *s)
{
        _cleanup_free_ char *path = mem_printf("%s/shm", s->folder);

        if (mkdir(path, 01777) && errno != EEXIST)
                return -errno;
        return mount("shm", path, "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, SHM_OPTIONS) ? -errno : 0;
}

static int furnish(const struct sandbox *s, const char *resolv_conf, struct err *reterr)
{
        const char *hostname = json_get_str(s->record, "hostname");
        _cleanup_free_ char *line = mem_printf("%s\n", hostname);
        int r = resolv_conf ? write_text(s, "resolv.conf", resolv_conf) : 0;

        if (!r && *hostname)
                r = write_text(s, "hostname", line);
        if (!r && sandbox_number(s, "ipc") == NAMESPACE_POD)
                r = mount_shm(s);
        return r ? err_set(reterr, r, "cannot prepare the sandbox in %s: %s", s->folder, strerror(-r)) : 0;
}

static void unmount_shm(const struct sandbox *s)
{
        _cleanup_free_ char *path = mem_printf("%s/shm", s->folder);

        umount2(path, MNT_DETACH);
}

static void is_ready(struct operation *op)
{
        op->s->ready = witness_alive(&op->s->holder);
        save(op->s);
        operation_end(op, op->s->ready ? 0 : -ESRCH, op->s->ready ? "" : "the sandbox's holder ended");
}

static void undone(struct operation *op, int result, struct json_object *ips, const char *message)
{
        if (!result)
                witness_kill(&op->s->holder, SIGKILL);
        operation_end(op, 0, "");
}

static void begin_undo(struct operation *op)
{
        pod_network_del(op, undone);
}

/* Who asked hears of it at once; what the plugins did is taken back behind that. Where it cannot be, removing the
 * sandbox tries again. */
static void connected(struct operation *op, int result, struct json_object *ips, const char *message)
{
        _cleanup_free_ char *text = mem_printf("failed to set up sandbox network: %s", message);

        if (!result) {
                json_set(op->s->record, "ips", json_object_get(ips));
                is_ready(op);
                return;
        }
        operation_queue(operation_new(op->s, NULL, begin_undo, NULL, NULL));
        operation_end(op, result, text);
}

static void holder_started(void *userdata, const struct child_end *end)
{
        struct operation *op = userdata;
        char why[MESSAGE_SIZE - 64], message[MESSAGE_SIZE];

        if (end->status) {
                snprintf(message, sizeof(message), "failed to start the sandbox's holder: %s",
                         child_why(end, why, sizeof(why)));
                operation_end(op, -EPROTO, message);
                return;
        }
        sandbox_watch(op->s, (pid_t)strtol(end->out, NULL, 10));
        if (own_network(op->s))
                pod_network_add(op, connected);
        else
                is_ready(op);
}

static void start_holder(struct operation *op)
{
        _cleanup_words_ struct words w = WORDS_NULL;
        _cleanup_close_ int lock = lock_hold(op->s->folder);
        int r = lock < 0 ? lock : 0;

        words_deinit(&w);
        holder_words(op->s, &w);
        if (!r) {
                words_add(&w, "lock=3");
                r = operation_child(op, w.v, lock, holder_started);
        }
        if (r)
                operation_end(op, r, "failed to start the sandbox's holder");
}

static bool is_name(const char *s)
{
        return !str_empty(s) && !strchr(s, '/') && !str_eq(s, ".") && !str_eq(s, "..");
}

static int check(const struct sandbox_config *c, struct err *reterr)
{
        if (!is_name(c->uid))
                return err_set(reterr, -EINVAL, "metadata.uid \"%s\" cannot be a folder's name", c->uid ?: "");
        if (c->user_namespace)
                return err_set(reterr, -EOPNOTSUPP,
                               "spec.hostUsers: false is not supported: pods have no user "
                               "namespaces of their own");
        if (str_empty(c->cgroup) || c->cgroup[0] == '/' || strstr(c->cgroup, ".."))
                return err_set(reterr, -EINVAL, "cgroup \"%s\" must be a path below the hierarchies' roots",
                               c->cgroup ?: "");
        return 0;
}

static int prepare(struct sandbox *s, const struct sandbox_config *c, struct err *reterr)
{
        int r = file_mkdirs(s->folder, 0700, reterr);

        if (!r)
                r = record_save(s->folder, s->record, reterr);
        if (!r)
                r = furnish(s, c->resolv_conf, reterr);
        if (!r)
                r = cgroup_make(s->rt->opts.cgroups, s->group, reterr);
        return r ?: cgroup_limit(s->rt->opts.cgroups, s->pod_group, &c->resources, reterr);
}

void sandbox_run(void *userdata, const struct sandbox_config *c, runtime_done_fn done, void *done_userdata)
{
        struct builtin *rt = userdata;
        struct err err = ERR_NULL;
        char id[RUNTIME_ID_SIZE];
        struct sandbox *s;
        int r = check(c, &err);

        new_id(id);
        if (!r && c->network == NAMESPACE_POD)
                r = pod_network_prepare(rt->network, id, c, &err);
        if (r) {
                tell_later(rt, done, done_userdata, r, "", err.msg);
                return;
        }
        s = sandbox_new(rt, id, sandbox_record(id, c));
        r = prepare(s, c, &err);
        if (r) /* it is listed, and removed as any other */
                tell_later(rt, done, done_userdata, r, id, err.msg);
        else
                operation_queue(operation_new(s, NULL, start_holder, done, done_userdata));
}

static void disconnected(struct operation *op, int result, struct json_object *ips, const char *why)
{
        _cleanup_free_ char *message = mem_printf("failed to tear down sandbox network: %s", why);
        struct sandbox *s = op->s;

        if (result) {
                operation_end(op, result, message);
                return;
        }
        witness_kill(&s->holder, SIGKILL);
        cgroup_kill(s->rt->opts.cgroups, s->group);
        unmount_shm(s);
        operation_end(op, 0, "");
}

/* One container after the other: all were killed at once, so that only the first is waited for. */
static void stop_next(struct operation *op)
{
        struct sandbox *s = op->s;

        for (struct container *c = s->containers; c; c = c->next)
                if (c->now == CONTAINER_CREATED || c->now == CONTAINER_RUNNING) {
                        container_kill(c);
                        container_after_end(c, op, stop_next);
                        return;
                }
        pod_network_del(op, disconnected);
}

static void begin_stop(struct operation *op)
{
        op->s->ready = false;
        save(op->s);
        for (struct container *c = op->s->containers; c; c = c->next)
                container_kill(c);
        stop_next(op);
}

/* What is gone already is a success. */
static void queue_unless_gone(struct builtin *rt, const char *id, void (*begin)(struct operation *op),
                              runtime_done_fn done, void *done_userdata)
{
        struct sandbox *s = hashmap_get(&rt->sandboxes, id);

        if (s)
                operation_queue(operation_new(s, NULL, begin, done, done_userdata));
        else
                tell_later(rt, done, done_userdata, 0, id, "");
}

void sandbox_stop(void *userdata, const char *id, runtime_done_fn done, void *done_userdata)
{
        queue_unless_gone(userdata, id, begin_stop, done, done_userdata);
}

/* What was asked of it meanwhile comes too late. */
static void refuse_rest(struct operation *op)
{
        for (struct operation *next = TAKE_PTR(op->next); next;) {
                struct operation *o = next;

                next = o->next;
                if (o->done)
                        tell_later(op->s->rt, o->done, o->userdata, -ENOENT, op->s->id, "the sandbox was removed");
                free(o);
        }
}

static void folder_is_gone(void *userdata, const struct child_end *end)
{
        struct operation *op = userdata;
        struct sandbox *s = op->s;
        _cleanup_free_ char *pod = mem_printf("%s/pods/%s", s->rt->opts.run_folder, json_get_str(s->record, "uid"));
        char why[MESSAGE_SIZE];
        bool gone = end->status == 0;

        if (gone) {
                rmdir(pod);
                refuse_rest(op);
                operation_end(op, 0, "");
                sandbox_free(s);
        } else {
                operation_end(op, -EIO, child_why(end, why, sizeof(why)));
        }
}

/* Processes that were killed a moment ago may still keep the group. */
static void remove_group(void *userdata)
{
        struct operation *op = userdata;
        struct sandbox *s = op->s;
        const char *argv[] = {"/bin/rm", "-rf", "--one-file-system", "--", s->folder, NULL};
        int r = cgroup_remove(s->rt->opts.cgroups, s->group);

        if (r && op->tries++ < GROUP_TRIES) {
                cgroup_kill(s->rt->opts.cgroups, s->group);
                if (!operation_again(op, GROUP_RETRY_MS, remove_group))
                        return;
        }
        cgroup_remove_empty(s->rt->opts.cgroups, s->pod_group);
        if (!r)
                r = operation_child(op, argv, 0, folder_is_gone);
        if (r)
                operation_end(op, r, "the sandbox's group or folder cannot be removed");
}

static void remove_disconnected(struct operation *op, int result, struct json_object *ips, const char *why)
{
        _cleanup_free_ char *message = mem_printf("failed to tear down sandbox network: %s", why);

        if (result) {
                operation_end(op, result, message);
                return;
        }
        witness_kill(&op->s->holder, SIGKILL);
        unmount_shm(op->s);
        remove_group(op);
}

static void remove_next(struct operation *op, int result)
{
        struct sandbox *s = op->s;

        if (result) {
                operation_end(op, result, "a container of the sandbox cannot be removed");
        } else if (s->containers) {
                container_erase(op, s->containers, remove_next);
        } else {
                pod_network_del(op, remove_disconnected);
        }
}

static void begin_remove(struct operation *op)
{
        op->s->ready = false;
        remove_next(op, 0);
}

void sandbox_remove(void *userdata, const char *id, runtime_done_fn done, void *done_userdata)
{
        queue_unless_gone(userdata, id, begin_remove, done, done_userdata);
}
