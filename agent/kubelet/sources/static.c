/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/sources/static.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "agent/kubelet/sources/manifest.h"
#include "base/file.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/watchdir.h"

#define LOOK_MS       5000 /* for folders that come later, and calls that failed */
#define SOON_MS       20   /* a file that is being written gets its end */
#define MANIFEST_SIZE (1024 * 1024)

/* What there is under one key: a file, a mirror in the API, or both. */
struct twin {
        char *key;                        /* "ns/name" */
        struct json_object *pod, *mirror; /* or NULL */
        struct kube_call *call;           /* under way: at most one */
        bool seen;                        /* in the present round */
        struct source_static *source;
};

struct source_static {
        struct source_static_opts opts;
        struct hashmap twins;
        struct watchdir *watch;
        struct loop_timer *timer;
        bool synced;
};

static struct twin *twin_get(struct source_static *s, const char *key)
{
        struct twin *t = hashmap_get(&s->twins, key);

        if (t)
                return t;
        t = mem_new(struct twin);
        *t = (struct twin){.key = mem_strdup(key), .source = s};
        hashmap_put(&s->twins, t->key, t);
        return t;
}

static void twin_free(struct twin *t)
{
        kube_cancel(t->call);
        json_object_put(t->pod);
        json_object_put(t->mirror);
        free(t->key);
        free(t);
}

static const char *pod_uid(const struct twin *t)
{
        return t->pod ? json_at_str(t->pod, "metadata.uid") : NULL;
}

static const char *mirrored_uid(const struct twin *t)
{
        return t->mirror ? json_get_str(json_at(t->mirror, "metadata.annotations"), CONFIG_MIRROR_ANNOTATION) : NULL;
}

/* ---- mirrors ---- */

static void later(struct source_static *s, uint64_t ms)
{
        loop_timer_set(s->timer, ms);
}

static void on_called(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct twin *t = userdata;

        t->call = NULL;
        if (result == KUBE_REFUSED && status->code != 404 && status->code != 409)
                log_warn("a mirror pod cannot be made or deleted", "pod=%s why=%s", t->key, status->message);
        later(t->source, result ? LOOK_MS : SOON_MS);
}

static void call(struct twin *t, const char *method, const char *path, const struct json_object *body)
{
        t->call = kube_start(t->source->opts.client,
                             &(struct kube_request){.method = method, .path = path, .body = body}, on_called, t);
}

static void make_mirror(struct twin *t)
{
        const struct source_static_opts *o = &t->source->opts;
        const struct json_object *node = o->node ? o->node(o->userdata) : NULL;
        _cleanup_json_ struct json_object *mirror =
                manifest_mirror(t->pod, o->node_name, json_at_str(node, "metadata.uid"));
        _cleanup_free_ char *path = mem_printf("/api/v1/namespaces/%s/pods", json_at_str(t->pod, "metadata.namespace"));

        call(t, "POST", path, mirror);
}

static void delete_mirror(struct twin *t)
{
        const char *slash = strchr(t->key, '/');
        _cleanup_free_ char *path =
                mem_printf("/api/v1/namespaces/%.*s/pods/%s", (int)(slash - t->key), t->key, slash + 1);
        _cleanup_json_ struct json_object *options = json_object_new_object();

        json_set_i64(options, "gracePeriodSeconds", 0);
        json_set_str(json_ensure(options, "preconditions"), "uid", json_at_str(t->mirror, "metadata.uid"));
        call(t, "DELETE", path, options);
}

/* The mirror that is there is of another file, or somebody is deleting it. */
static bool is_stale(const struct twin *t)
{
        return t->mirror &&
               (!str_eq(pod_uid(t), mirrored_uid(t)) || json_at_str(t->mirror, "metadata.deletionTimestamp"));
}

static void level(struct twin *t)
{
        struct source_static *s = t->source;

        if (!s->synced || t->call)
                return;
        if (is_stale(t))
                delete_mirror(t);
        else if (t->pod && !t->mirror)
                make_mirror(t);
}

static void level_all(struct source_static *s)
{
        hashmap_foreach (&s->twins, slot)
                level(slot->value);
}

void source_static_mirror(struct source_static *s, const char *key, const char *static_uid, struct json_object *mirror)
{
        struct twin *t = twin_get(s, key);

        json_object_put(t->mirror);
        t->mirror = json_object_get(mirror);
        if (t->pod && str_eq(pod_uid(t), static_uid))
                pods_set_mirror(s->opts.pods, static_uid, mirror);
        level(t);
}

void source_static_synced(struct source_static *s)
{
        s->synced = true;
        level_all(s);
}

/* ---- files ---- */

static void set_pod(struct source_static *s, struct json_object *pod, const char *file)
{
        _cleanup_free_ char *key =
                mem_printf("%s/%s", json_at_str(pod, "metadata.namespace"), json_at_str(pod, "metadata.name"));
        struct twin *t = twin_get(s, key);

        if (t->seen) {
                log_error("two static pods have one name", "pod=%s file=%s", key, file);
                json_object_put(pod);
                return;
        }
        t->seen = true;
        if (str_eq(pod_uid(t), json_at_str(pod, "metadata.uid"))) {
                json_object_put(pod);
                return;
        }
        if (t->pod)
                pods_gone(s->opts.pods, pod_uid(t));
        json_object_put(t->pod);
        t->pod = pod;
        pods_set(s->opts.pods, POD_STATIC, pod);
        if (t->mirror && str_eq(mirrored_uid(t), pod_uid(t)))
                pods_set_mirror(s->opts.pods, pod_uid(t), t->mirror);
}

static bool is_manifest(const char *name)
{
        return name[0] != '.' &&
               (str_has_suffix(name, ".yaml") || str_has_suffix(name, ".yml") || str_has_suffix(name, ".json"));
}

static void read_manifest(struct source_static *s, const char *name)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", s->opts.folder, name), *text = NULL;
        struct json_object *pod = NULL;
        struct err err = ERR_NULL;
        size_t len;
        int r = file_read(path, MANIFEST_SIZE, &text, &len, &err);

        if (!r)
                r = manifest_read(text, len, name, s->opts.node_name, &pod, &err);
        if (r)
                log_error("a static pod's file is left out", "file=%s why=%s", path, err.msg);
        else
                set_pod(s, pod, path);
}

static void drop_unseen(struct source_static *s)
{
        hashmap_foreach (&s->twins, slot) {
                struct twin *t = slot->value;

                if (t->seen || !t->pod)
                        continue;
                pods_gone(s->opts.pods, pod_uid(t));
                json_object_put(TAKE_PTR(t->pod));
        }
}

/* Twins of which nothing is left. */
static void forget_empty(struct source_static *s)
{
        for (struct hashmap_slot *slot = hashmap_next(&s->twins, s->twins.slots); slot;) {
                struct twin *t = slot->value;

                if (t->pod || t->mirror || t->call) {
                        slot = hashmap_next(&s->twins, slot + 1);
                        continue;
                }
                hashmap_del(&s->twins, t->key);
                twin_free(t);
                slot = hashmap_next(&s->twins, s->twins.slots);
        }
}

/* A folder that cannot be read says nothing: what runs goes on. One that is not there has no pods. */
static void look(struct source_static *s)
{
        struct dirent **entries = NULL;
        int n = scandir(s->opts.folder, &entries, NULL, alphasort);

        if (n < 0 && errno != ENOENT) {
                log_error("static pods cannot be read", "folder=%s why=%s", s->opts.folder, strerror(errno));
                return;
        }
        hashmap_foreach (&s->twins, slot)
                ((struct twin *)slot->value)->seen = false;
        for (int i = 0; i < n; i++) {
                if (is_manifest(entries[i]->d_name))
                        read_manifest(s, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        drop_unseen(s);
        forget_empty(s);
        level_all(s);
}

static void on_folder(void *userdata)
{
        later(userdata, SOON_MS);
}

static void on_timer(void *userdata)
{
        struct source_static *s = userdata;

        if (!s->watch)
                watchdir_new(s->opts.loop, s->opts.folder, on_folder, s, &s->watch, NULL);
        else
                watchdir_check(s->watch);
        look(s);
        later(s, LOOK_MS);
}

int source_static_new(const struct source_static_opts *opts, struct source_static **ret, struct err *reterr)
{
        struct source_static *s = mem_new(struct source_static);
        int r;

        s->opts = *opts;
        hashmap_init(&s->twins, HASHMAP_STR);
        r = loop_timer_new(opts->loop, on_timer, s, &s->timer);
        if (r) {
                free(s);
                return r;
        }
        watchdir_new(opts->loop, opts->folder, on_folder, s, &s->watch, NULL);
        look(s);
        later(s, LOOK_MS);
        *ret = s;
        return 0;
}

void source_static_free(struct source_static *s)
{
        if (!s)
                return;
        hashmap_foreach (&s->twins, slot)
                twin_free(slot->value);
        hashmap_deinit(&s->twins);
        watchdir_free(s->watch);
        loop_timer_free(s->timer);
        free(s);
}
