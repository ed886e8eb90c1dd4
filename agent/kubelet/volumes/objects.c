/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/volumes/objects.h"
#include "base/hashmap.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/informer.h"

/* Each watch is a connection. What comes on top of these is asked for again and again instead. */
#define WATCHES_MAX    256
#define POLL_PERIOD_MS 60000

static const struct kube_resource resources[] = {
        [OBJECT_CONFIG_MAP] = {"", "v1", "configmaps"},
        [OBJECT_SECRET] = {"", "v1", "secrets"},
};

struct entry {
        struct objects *o;
        enum object_kind kind;
        char *key, *ns, *name;
        struct informer *watch; /* NULL: polled, or immutable and there */
        struct kube_call *call; /* of a poll */
        struct json_object *object;
        size_t holders;
        bool answered, dirty;
};

/* What one pod holds. */
struct holding {
        char *uid;
        struct entry **v;
        size_t n, room;
};

struct objects {
        struct objects_opts opts;
        struct hashmap entries;  /* key -> struct entry * */
        struct hashmap holdings; /* uid -> struct holding * */
        struct loop_timer *tidy, *poll;
        size_t watches;
};

static bool is_immutable(const struct entry *e)
{
        return json_get_bool(e->object, "immutable", false);
}

/* Holders hear of it from the loop: they may let go of what is just being told of. */
static void learned(struct entry *e, struct json_object *now)
{
        json_object_put(e->object);
        e->object = json_object_get(now);
        e->answered = true;
        e->dirty = true;
        loop_timer_set(e->o->tidy, 0);
}

static void seen(void *userdata, const char *key, void *old, void *now)
{
        learned(userdata, now);
}

static void synced(void *userdata)
{
        struct entry *e = userdata;

        if (!e->answered)
                learned(e, NULL);
}

static void *keep(void *userdata, struct json_object *o)
{
        json_del(json_get(o, "metadata"), "managedFields");
        json_shrink(o);
        return json_object_get(o);
}

static void let_go(void *userdata, void *value)
{
        json_object_put(value);
}

static int start_watch(struct entry *e)
{
        _cleanup_free_ char *path = kube_path(&resources[e->kind], e->ns, NULL, NULL),
                            *selector = mem_printf("metadata.name=%s", e->name);
        struct informer_opts opts = {.client = e->o->opts.client,
                                     .path = path,
                                     .field_selector = selector,
                                     .project = keep,
                                     .release = let_go,
                                     .userdata = e};
        int r = informer_new(&opts, &e->watch);

        if (r)
                return r;
        e->o->watches++;
        informer_add_handler(e->watch, seen, e);
        informer_on_synced(e->watch, synced, e);
        informer_start(e->watch);
        return 0;
}

static void stop_watch(struct entry *e)
{
        if (!e->watch)
                return;
        informer_free(TAKE_PTR(e->watch));
        e->o->watches--;
}

static void polled(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct entry *e = userdata;
        bool gone = result == KUBE_REFUSED && status->code == 404;

        e->call = NULL;
        if (result && !gone)
                return;
        if (e->answered && json_equal(gone ? NULL : obj, e->object))
                return;
        learned(e, gone ? NULL : obj);
}

static void start_poll(struct entry *e)
{
        _cleanup_free_ char *path = kube_path(&resources[e->kind], e->ns, e->name, NULL);
        struct kube_request req = {.path = path};

        if (!e->call)
                e->call = kube_start(e->o->opts.client, &req, polled, e);
}

static void poll_all(void *userdata)
{
        struct objects *o = userdata;

        hashmap_foreach (&o->entries, slot) {
                struct entry *e = slot->value;

                if (!e->watch && e->holders && !(e->object && is_immutable(e)))
                        start_poll(e);
        }
        loop_timer_set(o->poll, POLL_PERIOD_MS);
}

static struct entry *entry_get(struct objects *o, enum object_kind kind, const char *ns, const char *name)
{
        _cleanup_free_ char *key = mem_printf("%d/%s/%s", (int)kind, ns, name);
        struct entry *e = hashmap_get(&o->entries, key);

        if (e)
                return e;
        e = mem_new(struct entry);
        *e = (struct entry){.o = o, .kind = kind, .key = TAKE_PTR(key), .ns = mem_strdup(ns), .name = mem_strdup(name)};
        hashmap_put(&o->entries, e->key, e);
        if (o->watches >= WATCHES_MAX || start_watch(e))
                start_poll(e);
        return e;
}

static void entry_free(struct entry *e)
{
        stop_watch(e);
        kube_cancel(e->call);
        json_object_put(e->object);
        free(e->key);
        free(e->ns);
        free(e->name);
        free(e);
}

/* Ends watches that are not needed, forgets what nobody holds, and returns the next such entry. */
static struct entry *find_unheld(struct objects *o)
{
        hashmap_foreach (&o->entries, slot) {
                struct entry *e = slot->value;

                if (!e->holders)
                        return e;
                if (e->object && is_immutable(e))
                        stop_watch(e);
        }
        return NULL;
}

static bool holds_dirty(const struct holding *h)
{
        for (size_t i = 0; i < h->n; i++)
                if (h->v[i]->dirty)
                        return true;
        return false;
}

/* The callback may hold and release as it likes, so who is to hear is written down first. */
static void tell(struct objects *o)
{
        struct hashmap uids;

        hashmap_init(&uids, HASHMAP_STR_OWNED);
        hashmap_foreach (&o->holdings, slot)
                if (holds_dirty(slot->value))
                        hashmap_put(&uids, slot->key.str, NULL);
        hashmap_foreach (&o->entries, e)
                ((struct entry *)e->value)->dirty = false;
        hashmap_foreach (&uids, uid)
                o->opts.changed(o->opts.userdata, uid->key.str);
        hashmap_deinit(&uids);
}

static void tidy(void *userdata)
{
        struct objects *o = userdata;
        struct entry *e;

        tell(o);
        while ((e = find_unheld(o))) {
                hashmap_del(&o->entries, e->key);
                entry_free(e);
        }
}

int objects_new(const struct objects_opts *opts, struct objects **ret)
{
        struct objects *o = mem_new(struct objects);
        struct loop *loop = kube_client_loop(opts->client);
        int r;

        o->opts = *opts;
        hashmap_init(&o->entries, HASHMAP_STR);
        hashmap_init(&o->holdings, HASHMAP_STR);
        r = loop_timer_new(loop, tidy, o, &o->tidy);
        if (!r)
                r = loop_timer_new(loop, poll_all, o, &o->poll);
        if (r) {
                objects_free(o);
                return r;
        }
        loop_timer_set(o->poll, POLL_PERIOD_MS);
        *ret = o;
        return 0;
}

static void add(struct objects *o, struct holding *h, enum object_kind kind, const char *ns, const char *name)
{
        struct entry *e;

        if (str_empty(name))
                return;
        e = entry_get(o, kind, ns, name);
        for (size_t i = 0; i < h->n; i++)
                if (h->v[i] == e)
                        return;
        if (h->n == h->room) {
                h->room = h->room ? h->room * 2 : 4;
                h->v = mem_realloc(h->v, h->room, sizeof(struct entry *));
        }
        e->holders++;
        h->v[h->n++] = e;
}

static void add_volume(struct objects *o, struct holding *h, const char *ns, const struct json_object *volume)
{
        add(o, h, OBJECT_CONFIG_MAP, ns, json_get_str(json_get(volume, "configMap"), "name"));
        add(o, h, OBJECT_SECRET, ns, json_get_str(json_get(volume, "secret"), "secretName"));
        json_array_foreach (json_get(json_get(volume, "projected"), "sources"), i, source) {
                add(o, h, OBJECT_CONFIG_MAP, ns, json_get_str(json_get(source, "configMap"), "name"));
                add(o, h, OBJECT_SECRET, ns, json_get_str(json_get(source, "secret"), "name"));
        }
}

static void add_container(struct objects *o, struct holding *h, const char *ns, const struct json_object *container)
{
        json_array_foreach (json_get(container, "envFrom"), i, from) {
                add(o, h, OBJECT_CONFIG_MAP, ns, json_get_str(json_get(from, "configMapRef"), "name"));
                add(o, h, OBJECT_SECRET, ns, json_get_str(json_get(from, "secretRef"), "name"));
        }
        json_array_foreach (json_get(container, "env"), k, var) {
                struct json_object *ref = json_get(var, "valueFrom");

                add(o, h, OBJECT_CONFIG_MAP, ns, json_get_str(json_get(ref, "configMapKeyRef"), "name"));
                add(o, h, OBJECT_SECRET, ns, json_get_str(json_get(ref, "secretKeyRef"), "name"));
        }
}

static void add_all(struct objects *o, struct holding *h, const struct json_object *pod)
{
        static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
        const struct json_object *spec = json_get(pod, "spec");
        const char *ns = json_at_str(pod, "metadata.namespace") ?: "";

        json_array_foreach (json_get(spec, "volumes"), i, volume)
                add_volume(o, h, ns, volume);
        for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
                json_array_foreach (json_get(spec, lists[k]), j, container)
                        add_container(o, h, ns, container);
        }
        json_array_foreach (json_get(spec, "imagePullSecrets"), s, secret)
                add(o, h, OBJECT_SECRET, ns, json_get_str(secret, "name"));
}

static void let_all_go(struct objects *o, struct holding *h)
{
        for (size_t i = 0; i < h->n; i++)
                h->v[i]->holders--;
        free(h->v);
        loop_timer_set(o->tidy, 0);
}

void objects_hold(struct objects *o, const struct json_object *pod)
{
        const char *uid = json_at_str(pod, "metadata.uid") ?: "";
        struct holding *h = hashmap_get(&o->holdings, uid), old;

        if (!h) {
                h = mem_new(struct holding);
                h->uid = mem_strdup(uid);
                hashmap_put(&o->holdings, h->uid, h);
        }
        old = *h;
        *h = (struct holding){.uid = old.uid};
        add_all(o, h, pod);
        let_all_go(o, &old);
}

void objects_release(struct objects *o, const char *pod_uid)
{
        struct holding *h = hashmap_del(&o->holdings, pod_uid);

        if (!h)
                return;
        let_all_go(o, h);
        free(h->uid);
        free(h);
}

bool objects_answered(const struct objects *o, const char *pod_uid)
{
        const struct holding *h = hashmap_get(&o->holdings, pod_uid);

        for (size_t i = 0; h && i < h->n; i++)
                if (!h->v[i]->answered)
                        return false;
        return h != NULL;
}

int objects_get(const struct objects *o, enum object_kind kind, const char *ns, const char *name,
                struct json_object **ret)
{
        _cleanup_free_ char *key = mem_printf("%d/%s/%s", (int)kind, ns, name);
        const struct entry *e = hashmap_get(&o->entries, key);

        if (!e || !e->answered)
                return -EAGAIN;
        if (!e->object)
                return -ENOENT;
        *ret = e->object;
        return 0;
}

void objects_free(struct objects *o)
{
        if (!o)
                return;
        hashmap_foreach (&o->holdings, slot) {
                struct holding *h = slot->value;

                free(h->v);
                free(h->uid);
                free(h);
        }
        hashmap_foreach (&o->entries, e)
                entry_free(e->value);
        hashmap_deinit(&o->holdings);
        hashmap_deinit(&o->entries);
        loop_timer_free(o->tidy);
        loop_timer_free(o->poll);
        free(o);
}
