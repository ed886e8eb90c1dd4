/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locking: one reader-writer lock per resource, which nobody takes twice. Who commits for the store is the only writer
 * of changes. An idle watcher's position is moved on by it when a change is none of its business, so that it is neither
 * woken nor left behind.
 *
 * `applied` is the revision of the last batch that is in all caches. A watcher that reads it before it looks at the
 * ring and then finds the ring empty has seen everything up to it: that is what bookmarks promise.
 */
#include <errno.h>
#include <time.h>

#include "apiserver/cache.h"
#include "apiserver/objindex.h"
#include "apiserver/storekey.h"
#include "base/clock.h"
#include "base/log.h"

#define CACHE_KEY_MAX  600 /* a namespace and a name of 253 bytes each, and more than either may be */
#define RING_MIN       256
#define RING_MAX       16384
#define RING_MAX_BYTES (32u << 20)
#define FORGET_STEP    256                   /* events that are dropped under one lock */
#define RING_KEEP_NS   (300ull * 1000000000) /* a ring grows rather than drop what is younger */
#define READ_BYTES_MAX (256u << 10)          /* one read ends behind the event that reaches it */

struct ring_slot {
        struct cache_event event;
        uint64_t time_ns; /* monotonic */
};

struct cache {
        struct cache_set *set;
        const struct schema_resource *resource;
        const struct kind_ops *ops;
        pthread_rwlock_t lock;
        struct objindex index;
        struct ring_slot *ring;
        size_t ring_cap;        /* a power of two */
        size_t ring_bytes;      /* of superseded versions that only the ring holds */
        uint64_t head, tail;    /* positions: [tail, head) are in the ring */
        uint64_t lost_revision; /* changes up to this one are not in the ring */
        uint64_t changed_revision;
        struct cache_watcher *watchers;
};

struct cache_set {
        struct store *store;
        struct cache *caches;
        size_t ncaches;
        cache_observer_fn observer;
        void *observer_data;
        _Atomic uint64_t applied;
        pthread_mutex_t wait_lock;
        pthread_cond_t wait_cond;
};

void object_list_deinit(struct object_list *l)
{
        for (size_t i = 0; i < l->n; i++)
                object_unref(l->items[i]);
        free(l->items);
        *l = OBJECT_LIST_NULL;
}

void object_list_take(struct object_list *l, struct object *o)
{
        if (l->n == l->cap) {
                size_t cap = l->cap ? l->cap * 2 : 64;
                struct object **p = realloc(l->items, cap * sizeof(*p));

                if (!p)
                        abort();
                l->items = p;
                l->cap = cap;
        }
        l->items[l->n++] = o;
}

/* "namespace/name" into key; false when it is longer than any object's. */
static bool object_key(char *key, size_t size, const char *namespace, const char *name)
{
        bool scoped = namespace && *namespace;

        return (size_t)snprintf(key, size, "%s%s%s", scoped ? namespace : "", scoped ? "/" : "", name) < size;
}

static bool filter_match(const struct cache_filter *f, const struct object *o)
{
        if (f->namespace && strcmp(f->namespace, o->namespace) != 0)
                return false;
        return !f->match || f->match(f->userdata, o);
}

/* ---- the ring ---- */

static struct ring_slot *ring_at(const struct cache *c, uint64_t position)
{
        return &c->ring[position & (c->ring_cap - 1)];
}

void cache_event_release(struct cache_event *e)
{
        object_unref(e->old);
        object_unref(e->new);
        *e = (struct cache_event){0};
}

static size_t event_bytes(const struct cache_event *e)
{
        return (e->old ? e->old->json->len : 0) + (e->deleted ? e->new->json->len : 0);
}

static void ring_drop_oldest(struct cache *c)
{
        struct ring_slot *s = ring_at(c, c->tail++);

        c->lost_revision = s->event.revision;
        c->ring_bytes -= event_bytes(&s->event);
        cache_event_release(&s->event);
}

static bool ring_grow(struct cache *c)
{
        size_t cap = c->ring_cap ? c->ring_cap * 2 : RING_MIN;
        struct ring_slot *ring = cap <= RING_MAX ? calloc(cap, sizeof(*ring)) : NULL;
        uint64_t p;

        if (!ring)
                return false;
        for (p = c->tail; p < c->head; p++)
                ring[p & (cap - 1)] = *ring_at(c, p);
        free(c->ring);
        c->ring = ring;
        c->ring_cap = cap;
        return true;
}

/* Takes over the event's references. */
static void ring_push(struct cache *c, struct cache_event *e)
{
        uint64_t now = clock_mono_ns();

        if (c->head - c->tail == c->ring_cap) {
                bool young = !c->ring_cap || now - ring_at(c, c->tail)->time_ns < RING_KEEP_NS;

                if (!young || !ring_grow(c))
                        ring_drop_oldest(c);
        }
        *ring_at(c, c->head++) = (struct ring_slot){*e, now};
        c->ring_bytes += event_bytes(e);
        while (c->ring_bytes > RING_MAX_BYTES && c->head - c->tail > 1)
                ring_drop_oldest(c);
        c->changed_revision = e->revision;
}

void cache_forget_old(struct cache_set *set, uint64_t age_ns)
{
        uint64_t now = clock_mono_ns();

        for (size_t i = 0; i < set->ncaches; i++) {
                struct cache *c = &set->caches[i];

                for (size_t n = FORGET_STEP; n == FORGET_STEP;) {
                        pthread_rwlock_wrlock(&c->lock);
                        for (n = 0; n < FORGET_STEP && c->tail < c->head; n++) {
                                if (now - ring_at(c, c->tail)->time_ns <= age_ns)
                                        break;
                                ring_drop_oldest(c);
                        }
                        pthread_rwlock_unlock(&c->lock);
                }
        }
}

/* ---- applying changes ---- */

static bool event_concerns(const struct cache_filter *f, const struct cache_event *e)
{
        return (e->old && filter_match(f, e->old)) || (!e->deleted && filter_match(f, e->new));
}

static void wake_watchers(struct cache *c, const struct cache_event *e)
{
        struct cache_watcher *w;

        for (w = c->watchers; w; w = w->next) {
                if (!w->idle)
                        continue;
                if (!event_concerns(&w->filter, e)) {
                        w->position = c->head;
                        continue;
                }
                w->idle = false;
                w->wake(w);
        }
}

static struct cache *cache_by_key(struct cache_set *set, const char *key, struct arena *a, struct store_key_parts *ret)
{
        if (store_key_parse(a, key, ret))
                return NULL;
        return cache_find(set, ret->group, ret->plural);
}

/* A change on its way into its cache. */
struct change {
        const struct store_event *event;
        struct store_key_parts parts;
        struct cache *cache;   /* NULL: none of a resource, or applied already */
        struct object *object; /* reference; NULL: deleted */
};

/* The slow part, before anything is locked: makes the object. */
static void change_prepare(struct cache_set *set, struct change *ch, const struct store_event *e, struct arena *a)
{
        *ch = (struct change){.event = e};
        ch->cache = cache_by_key(set, e->key, a, &ch->parts);
        if (!ch->cache || !e->value)
                return;
        ch->object = object_new(ch->cache->ops, ch->parts.namespace, ch->parts.name, e->revision, e->create_revision,
                                e->value);
        if (ch->object)
                return;
        log_error("an object in the store cannot be read and is left out", "key=%s revision=%llu", e->key,
                  (unsigned long long)e->revision);
        ch->cache = NULL;
}

static void apply_locked(struct cache *c, struct change *ch)
{
        struct cache_event ev = {.revision = ch->event->revision, .deleted = !ch->event->value};
        char key[CACHE_KEY_MAX];

        ch->cache = NULL;
        if (ch->object) {
                ev.old = objindex_put(&c->index, ch->object);
                ev.new = TAKE_PTR(ch->object);
        } else if (object_key(key, sizeof(key), ch->parts.namespace, ch->parts.name)) {
                ev.old = objindex_remove(&c->index, key);
                ev.new = ev.old ? object_at_revision(c->ops, ev.old, ev.revision) : NULL;
        }
        if (ev.new) {
                ring_push(c, &ev);
                wake_watchers(c, &ev);
        } else {
                object_unref(ev.old);
        }
}

/* The changes of one transaction: those of one resource come into sight together, as they share a revision, and a list
 * or a watch that knows of one of them would otherwise never hear of the next. */
static void apply_transaction(struct cache_set *set, const struct store_event *events, size_t n, struct arena *a)
{
        struct change one, *ch = n == 1 ? &one : arena_array(a, struct change, n);

        for (size_t i = 0; i < n; i++)
                change_prepare(set, &ch[i], &events[i], a);
        for (size_t i = 0; i < n; i++) {
                struct cache *c = ch[i].cache;

                if (!c)
                        continue;
                pthread_rwlock_wrlock(&c->lock);
                for (size_t k = i; k < n; k++)
                        if (ch[k].cache == c)
                                apply_locked(c, &ch[k]);
                pthread_rwlock_unlock(&c->lock);
        }
}

static void on_store_events(void *userdata, const struct store_event *events, size_t n)
{
        struct cache_set *set = userdata;
        struct arena a = ARENA_NULL;

        for (size_t from = 0, to; from < n; from = to) {
                for (to = from + 1; to < n && events[to].revision == events[from].revision;)
                        to++;
                apply_transaction(set, events + from, to - from, &a);
                for (size_t i = from; i < to && set->observer; i++)
                        set->observer(set->observer_data, events[i].key, events[i].value);
                arena_deinit(&a);
        }
        if (!n)
                return;
        atomic_store(&set->applied, events[n - 1].revision);
        pthread_mutex_lock(&set->wait_lock);
        pthread_cond_broadcast(&set->wait_cond);
        pthread_mutex_unlock(&set->wait_lock);
}

/* ---- loading ---- */

struct load {
        struct cache_set *set;
        struct arena arena;
};

static int load_one(void *userdata, const char *key, struct blob *value, uint64_t mod_revision,
                    uint64_t create_revision)
{
        struct load *l = userdata;
        _cleanup_object_ struct object *o = NULL;
        struct store_key_parts k;
        struct cache *c = cache_by_key(l->set, key, &l->arena, &k);

        if (l->set->observer)
                l->set->observer(l->set->observer_data, key, value);
        if (c) {
                o = object_new(c->ops, k.namespace, k.name, mod_revision, create_revision, value);
                if (o)
                        object_unref(objindex_put(&c->index, o));
                else
                        log_error("an object in the store cannot be read and is left out", "key=%s", key);
                if (o && mod_revision > c->changed_revision)
                        c->changed_revision = mod_revision;
        }
        arena_deinit(&l->arena);
        return 0;
}

static int cache_set_load(struct cache_set *set, struct err *reterr)
{
        struct store_range all = {.prefix = "/registry/"};
        struct load l = {.set = set, .arena = ARENA_NULL};
        uint64_t revision;
        int r;

        r = store_range(set->store, &all, load_one, &l, &revision, reterr);
        if (r)
                return r < 0 ? r : -EIO;
        for (size_t i = 0; i < set->ncaches; i++)
                set->caches[i].lost_revision = revision;
        atomic_store(&set->applied, revision);
        r = store_watch(set->store, revision, on_store_events, set, reterr);
        return r > 0 ? -EIO : r;
}

static int cache_order(const void *a, const void *b)
{
        const struct schema_resource *ra = ((const struct cache *)a)->resource,
                                     *rb = ((const struct cache *)b)->resource;
        int r = strcmp(ra->plural, rb->plural);

        return r ? r : strcmp(ra->group, rb->group);
}

static bool is_stored(const struct schema_resource *r)
{
        return r->verbs & VERB_LIST && r->verbs & VERB_CREATE && kind_storage(r) == r;
}

/* By default a reader-writer lock lets readers in as long as there are any: long lists would hold up every write. */
static void init_locks(struct cache_set *set)
{
        pthread_rwlockattr_t attr;

        pthread_rwlockattr_init(&attr);
        pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        for (size_t i = 0; i < set->ncaches; i++)
                pthread_rwlock_init(&set->caches[i].lock, &attr);
        pthread_rwlockattr_destroy(&attr);
}

int cache_set_open(struct store *store, cache_observer_fn observer, void *userdata, struct cache_set **ret,
                   struct err *reterr)
{
        struct cache_set *set = calloc(1, sizeof(*set));
        pthread_condattr_t attr;
        int r;

        if (!set || !(set->caches = calloc(schema_nresources, sizeof(*set->caches)))) {
                free(set);
                return -ENOMEM;
        }
        set->store = store;
        set->observer = observer;
        set->observer_data = userdata;
        pthread_mutex_init(&set->wait_lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* the wall clock may be set back */
        pthread_cond_init(&set->wait_cond, &attr);
        pthread_condattr_destroy(&attr);
        for (size_t i = 0; i < schema_nresources; i++) {
                const struct schema_resource *res = &schema_resources[i];

                if (is_stored(res))
                        set->caches[set->ncaches++] = (struct cache){
                                .set = set, .resource = res, .ops = kind_ops_find(res->group, res->plural)};
        }
        qsort(set->caches, set->ncaches, sizeof(*set->caches), cache_order);
        init_locks(set);
        r = cache_set_load(set, reterr);
        if (r) {
                cache_set_close(set);
                return r;
        }
        *ret = set;
        return 0;
}

void cache_set_close(struct cache_set *set)
{
        if (!set)
                return;
        for (size_t i = 0; i < set->ncaches; i++) {
                struct cache *c = &set->caches[i];

                while (c->tail < c->head)
                        ring_drop_oldest(c);
                free(c->ring);
                objindex_deinit(&c->index);
                pthread_rwlock_destroy(&c->lock);
        }
        pthread_mutex_destroy(&set->wait_lock);
        pthread_cond_destroy(&set->wait_cond);
        free(set->caches);
        free(set);
}

/* ---- reading ---- */

struct cache *cache_find(struct cache_set *set, const char *group, const char *plural)
{
        struct schema_resource r = {.group = group, .plural = plural};
        struct cache key = {.resource = &r};

        return bsearch(&key, set->caches, set->ncaches, sizeof(key), cache_order);
}

struct cache *cache_of(struct cache_set *set, const struct schema_resource *r)
{
        r = kind_storage(r);
        return cache_find(set, r->group, r->plural);
}

struct cache *cache_at(struct cache_set *set, size_t i)
{
        return &set->caches[i];
}

size_t cache_count(const struct cache_set *set)
{
        return set->ncaches;
}

const struct schema_resource *cache_resource(const struct cache *c)
{
        return c->resource;
}

const struct kind_ops *cache_ops(const struct cache *c)
{
        return c->ops;
}

size_t cache_objects(struct cache *c)
{
        size_t n;

        pthread_rwlock_rdlock(&c->lock);
        n = c->index.n;
        pthread_rwlock_unlock(&c->lock);
        return n;
}

uint64_t cache_revision(struct cache_set *set)
{
        return atomic_load(&set->applied);
}

int cache_wait(struct cache_set *set, uint64_t revision, unsigned timeout_ms)
{
        struct timespec until;
        int r = 0;

        if (cache_revision(set) >= revision)
                return 0;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_mutex_lock(&set->wait_lock);
        while (!r && cache_revision(set) < revision)
                r = pthread_cond_timedwait(&set->wait_cond, &set->wait_lock, &until);
        pthread_mutex_unlock(&set->wait_lock);
        return cache_revision(set) >= revision ? 0 : -r;
}

uint64_t cache_changed(struct cache *c)
{
        uint64_t r;

        pthread_rwlock_rdlock(&c->lock);
        r = c->changed_revision;
        pthread_rwlock_unlock(&c->lock);
        return r;
}

struct object *cache_get(struct cache *c, const char *namespace, const char *name)
{
        char key[CACHE_KEY_MAX];
        struct object *o;

        if (!object_key(key, sizeof(key), namespace, name))
                return NULL;
        pthread_rwlock_rdlock(&c->lock);
        o = object_ref(objindex_get(&c->index, key));
        pthread_rwlock_unlock(&c->lock);
        return o;
}

static void list_locked(struct cache *c, const struct cache_filter *filter, const char *start_after, size_t limit,
                        struct object_list *ret, size_t *ret_more)
{
        struct objindex_pos pos = {0, 0};
        char prefix[300] = "";
        struct object *o;

        if (filter->namespace) {
                snprintf(prefix, sizeof(prefix), "%s/", filter->namespace);
                pos = objindex_seek(&c->index, prefix, false);
        }
        if (start_after && strcmp(start_after, prefix) > 0)
                pos = objindex_seek(&c->index, start_after, true);
        *ret_more = 0;
        while ((o = objindex_next(&c->index, &pos))) {
                if (filter->namespace && strncmp(o->key, prefix, strlen(prefix)) != 0)
                        break;
                if (!filter_match(filter, o))
                        continue;
                if (limit && ret->n == limit) {
                        (*ret_more)++;
                        if (filter->match)
                                break; /* counting them all would cost as much as sending them */
                } else {
                        object_list_take(ret, object_ref(o));
                }
        }
        ret->revision = cache_revision(c->set);
        if (ret->revision < c->changed_revision)
                ret->revision = c->changed_revision; /* in the middle of a batch: this resource is that far */
}

void cache_list(struct cache *c, const struct cache_filter *filter, const char *start_after, size_t limit,
                struct object_list *ret, size_t *ret_more)
{
        size_t more;

        *ret = OBJECT_LIST_NULL;
        pthread_rwlock_rdlock(&c->lock);
        list_locked(c, filter, start_after, limit, ret, &more);
        pthread_rwlock_unlock(&c->lock);
        if (ret_more)
                *ret_more = more;
}

/* ---- watching ---- */

static void watcher_link(struct cache *c, struct cache_watcher *w)
{
        w->cache = c;
        w->idle = false;
        w->prev = NULL;
        w->next = c->watchers;
        if (w->next)
                w->next->prev = w;
        c->watchers = w;
}

void cache_watch_now(struct cache *c, struct cache_watcher *w, struct object_list *ret)
{
        size_t more;

        pthread_rwlock_wrlock(&c->lock);
        if (ret) {
                *ret = OBJECT_LIST_NULL;
                list_locked(c, &w->filter, NULL, 0, ret, &more);
        }
        w->position = c->head;
        watcher_link(c, w);
        pthread_rwlock_unlock(&c->lock);
}

int cache_watch_after(struct cache *c, struct cache_watcher *w, uint64_t revision)
{
        uint64_t lo, hi;

        pthread_rwlock_wrlock(&c->lock);
        if (revision < c->lost_revision) {
                pthread_rwlock_unlock(&c->lock);
                return CACHE_LOST;
        }
        for (lo = c->tail, hi = c->head; lo < hi;) {
                uint64_t mid = lo + (hi - lo) / 2;

                if (ring_at(c, mid)->event.revision <= revision)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        w->position = lo;
        watcher_link(c, w);
        pthread_rwlock_unlock(&c->lock);
        return 0;
}

int cache_watch_read(struct cache_watcher *w, struct cache_event *events, size_t max, size_t *ret_n,
                     uint64_t *ret_revision)
{
        struct cache *c = w->cache;
        uint64_t applied = cache_revision(c->set);
        size_t n = 0, bytes = 0;
        int r = 0;

        pthread_rwlock_rdlock(&c->lock);
        if (w->position < c->tail)
                r = CACHE_LOST;
        while (!r && n < max && bytes < READ_BYTES_MAX && w->position < c->head) {
                const struct cache_event *e = &ring_at(c, w->position++)->event;

                if (!event_concerns(&w->filter, e))
                        continue;
                events[n] = *e;
                object_ref(events[n].old);
                object_ref(events[n].new);
                bytes += e->new->json->len;
                n++;
        }
        if (!r && n == 0)
                w->idle = true;
        pthread_rwlock_unlock(&c->lock);
        *ret_n = n;
        *ret_revision = applied;
        return r;
}

void cache_watch_detach(struct cache_watcher *w)
{
        struct cache *c = w->cache;

        if (!c)
                return;
        pthread_rwlock_wrlock(&c->lock);
        if (w->prev)
                w->prev->next = w->next;
        else
                c->watchers = w->next;
        if (w->next)
                w->next->prev = w->prev;
        w->cache = NULL;
        pthread_rwlock_unlock(&c->lock);
}

void cache_each_watcher(struct cache *c, void (*fn)(void *arg, struct cache_watcher *w), void *arg)
{
        struct cache_watcher *w;

        pthread_rwlock_rdlock(&c->lock);
        for (w = c->watchers; w; w = w->next)
                fn(arg, w);
        pthread_rwlock_unlock(&c->lock);
}
