/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reflector is a small state machine: at any time there is either one call under way (of the kind `phase`), or the
 * timer until the next one. A round is one telling of the whole state, by WatchList or by pages; at its end, what it
 * did not name is gone.
 *
 *     WATCHLIST --- end of initial events ---> (goes on as a watch)
 *         | 400, 404, 405, 422, silence            | clean end            | 410
 *         v                                        v                      v
 *       LIST --- last page ---> WATCH <--- resume at the last version    a new round
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "kube/informerstore.h"
#include "kube/jsonstream.h"

#define OBJECT_LIMIT    ((size_t)16 << 20)
#define KEY_MAX         1024 /* bytes of "namespace/name"; names have at most 253 letters */
#define PAGE_TIMEOUT_MS 300000
#define WATCH_SLACK_S   30   /* a watch that outlives its timeout by this is dead */
#define SHORT_WATCH_MS  1000 /* a watch that ends so soon without an event looks like a failure */
#define GOOD_CALL_MS    5000 /* one that has lasted so long was no failure until it ended */
#define OUTAGE_PART     4    /* the next try comes after this part of the time that the server has been away */

enum phase {
        PHASE_WATCHLIST,
        PHASE_LIST,
        PHASE_WATCH,
};

struct handler {
        struct handler *next;
        informer_fn fn;
        void *userdata;
};

struct informer {
        struct informer_opts opts;
        char *path, *selectors; /* selectors: "&labelSelector=...", or "" */
        struct informer_store store;
        struct handler *handlers;
        void (*on_synced)(void *userdata);
        void *synced_userdata;

        enum phase phase;
        struct kube_call *call;
        struct loop_timer *timer;   /* until the next call */
        struct loop_timer *silence; /* WATCHLIST before its end */
        struct jsonstream stream;
        struct jsontree tree; /* of the object that is read */
        bool streaming;       /* stream is initialised */

        char *version; /* of the last event, bookmark or list */
        char *page;    /* continue token */
        uint32_t round;
        bool in_round; /* the state is being told anew */
        bool synced, no_watchlist, expired, no_paging;
        uint64_t failing_since_ms;       /* 0: the last thing that came was good */
        uint64_t began_ms, began_events; /* of the present call */
        struct informer_stats stats;
};

static void begin(void *userdata);

static void *keep_json(void *userdata, struct json_object *o)
{
        return json_object_get(o);
}

static void drop_json(void *userdata, void *value)
{
        json_object_put(value);
}

static void release(struct informer *inf, void *value)
{
        if (value)
                inf->opts.release(inf->opts.userdata, value);
}

static void tell(struct informer *inf, const char *key, void *old, void *now)
{
        for (struct handler *h = inf->handlers; h; h = h->next)
                h->fn(h->userdata, key, old, now);
}

/* "ns/name" or "name" into buf; NULL when the object has no name, or one that the API could not have given it. */
static const char *key_of(const struct jnode *o, char buf[static KEY_MAX])
{
        const struct jnode *metadata = jnode_get(o, "metadata");
        const char *ns = jnode_str(metadata, "namespace"), *name = jnode_str(metadata, "name");
        size_t at = str_empty(ns) ? 0 : strlen(ns) + 1, n = str_empty(name) ? 0 : strlen(name);

        if (!n || at + n >= KEY_MAX)
                return NULL;
        if (at) {
                memcpy(buf, ns, at - 1);
                buf[at - 1] = '/';
        }
        memcpy(buf + at, name, n + 1);
        return buf;
}

static void forget(struct informer *inf, const char *key)
{
        struct informer_entry *e = informer_store_get(&inf->store, key);
        void *old;

        if (!e)
                return;
        old = informer_store_del(&inf->store, key);
        tell(inf, key, old, NULL);
        release(inf, old);
}

static void set_version(struct informer *inf, const char *version)
{
        if (str_empty(version) || str_eq(version, inf->version))
                return;
        free(inf->version);
        inf->version = mem_strdup(version);
}

static void *project(struct informer *inf, const struct jnode *o)
{
        _cleanup_json_ struct json_object *json = NULL;

        if (inf->opts.project_node)
                return inf->opts.project_node(inf->opts.userdata, o);
        json = jnode_json(o);
        return inf->opts.project(inf->opts.userdata, json);
}

/* An object as it is now. */
static int upsert(struct informer *inf, const struct jnode *o)
{
        const char *version = jnode_at_str(o, "metadata.resourceVersion");
        char buf[KEY_MAX];
        const char *key = key_of(o, buf);
        struct informer_entry *e;
        void *old, *now;

        version = version ? version : "";
        if (!key || strlen(version) >= KEY_MAX)
                return -EBADMSG;
        e = informer_store_get(&inf->store, key);
        if (e && *version && str_eq(informer_entry_version(e), version)) {
                e->round = inf->round;
                return 0;
        }
        now = project(inf, o);
        if (!now) {
                forget(inf, key);
                return 0;
        }
        old = informer_store_set(&inf->store, key, now, version, inf->round);
        tell(inf, key, old, now);
        release(inf, old);
        return 0;
}

/* Everything of the round has been told: what it did not name is gone. */
static void round_end(struct informer *inf)
{
        size_t n = 0;
        char **gone = mem_array(char *, inf->store.entries.count);

        hashmap_foreach (&inf->store.entries, slot) {
                struct informer_entry *e = slot->value;

                if (e->round != inf->round)
                        gone[n++] = mem_strdup(e->key);
        }
        for (size_t i = 0; i < n; i++) {
                forget(inf, gone[i]);
                free(gone[i]);
        }
        free(gone);
        inf->in_round = false;
        inf->failing_since_ms = 0;
        loop_timer_cancel(inf->silence);
        if (inf->synced)
                return;
        inf->synced = true;
        log_debug("synced", "path=%s objects=%zu", inf->path, inf->store.entries.count);
        if (inf->on_synced)
                inf->on_synced(inf->synced_userdata);
}

static int on_error_event(struct informer *inf, const struct jnode *status)
{
        int64_t code = jnode_i64(status, "code", 0);
        const char *message = jnode_str(status, "message");

        inf->expired = code == 410 || str_eq(jnode_str(status, "reason"), "Expired");
        log_debug("watch ended by the server", "path=%s code=%d message=%s", inf->path, (int)code,
                  message ? message : "");
        return -ECONNABORTED;
}

static int on_bookmark(struct informer *inf, const struct jnode *o)
{
        const struct jnode *notes = jnode_at(o, "metadata.annotations");

        inf->failing_since_ms = 0;
        set_version(inf, jnode_at_str(o, "metadata.resourceVersion"));
        if (inf->in_round && str_eq(jnode_str(notes, "k8s.io/initial-events-end"), "true"))
                round_end(inf);
        return 0;
}

static int on_event(struct informer *inf, const struct jnode *event)
{
        const char *type = jnode_str(event, "type");
        const struct jnode *o = jnode_get(event, "object");
        int r = 0;

        if (!type || !o)
                return -EBADMSG;
        inf->stats.events++;
        if (str_eq(type, "ERROR"))
                return on_error_event(inf, o);
        if (str_eq(type, "BOOKMARK"))
                return on_bookmark(inf, o);
        if (str_eq(type, "DELETED")) {
                char buf[KEY_MAX];
                const char *key = key_of(o, buf);

                if (!key)
                        return -EBADMSG;
                forget(inf, key);
        } else if (str_eq(type, "ADDED") || str_eq(type, "MODIFIED")) {
                r = upsert(inf, o);
        }
        if (!r)
                inf->failing_since_ms = 0;
        if (!r && !inf->in_round) /* a version within a round is no place to resume at */
                set_version(inf, jnode_at_str(o, "metadata.resourceVersion"));
        return r;
}

/* One object out of the stream. */
static int on_object(void *userdata, char *data, size_t len)
{
        struct informer *inf = userdata;
        const struct jnode *o;
        int r = jsontree_parse(&inf->tree, data, len, &o, NULL);

        if (r)
                return -EBADMSG;
        return inf->phase == PHASE_LIST ? upsert(inf, o) : on_event(inf, o);
}

static int on_data(void *userdata, const char *data, size_t len)
{
        struct informer *inf = userdata;

        if (inf->phase == PHASE_WATCHLIST && inf->in_round)
                loop_timer_set(inf->silence, inf->opts.sync_timeout_ms);
        return jsonstream_feed(&inf->stream, data, len);
}

static void schedule(struct informer *inf, enum phase phase, uint64_t delay_ms)
{
        inf->phase = phase;
        loop_timer_set(inf->timer, delay_ms);
}

/* How to tell the state anew. */
static enum phase round_phase(const struct informer *inf)
{
        return inf->no_watchlist ? PHASE_LIST : PHASE_WATCHLIST;
}

/* In proportion to the outage: a server that restarts is found again soon, however often that was so before, and one
 * that stays away is asked less and less. */
static uint64_t backoff(struct informer *inf)
{
        uint64_t now = clock_mono_ms(), away;

        if (!inf->failing_since_ms || now - inf->began_ms >= GOOD_CALL_MS)
                inf->failing_since_ms = now;
        away = now - inf->failing_since_ms;
        return random_jitter(
                MIN(MAX(away / OUTAGE_PART, inf->opts.backoff_min_ms), MAX(inf->opts.backoff_max_ms, (uint64_t)1)),
                100);
}

/* The page's metadata: the next page, or the end of the round. */
static void page_end(struct informer *inf)
{
        _cleanup_json_ struct json_object *list = NULL;
        const char *token;

        if (!jsonstream_complete(&inf->stream) ||
            json_parse(inf->stream.rest.data, inf->stream.rest.len, &list, NULL)) {
                schedule(inf, PHASE_LIST, backoff(inf));
                return;
        }
        token = json_at_str(list, "metadata.continue");
        free(inf->page);
        inf->page = str_empty(token) ? NULL : mem_strdup(token);
        if (inf->page) {
                schedule(inf, PHASE_LIST, 0);
                return;
        }
        set_version(inf, json_at_str(list, "metadata.resourceVersion"));
        round_end(inf);
        schedule(inf, PHASE_WATCH, 0);
}

/* The server has forgotten the version or the page we are at. */
static void start_over(struct informer *inf)
{
        bool paging = inf->phase == PHASE_LIST && inf->page;

        inf->stats.expired++;
        inf->expired = false;
        inf->no_paging = paging; /* the collection changes faster than we turn pages: all at once */
        free(inf->page);
        inf->page = NULL;
        free(inf->version);
        inf->version = NULL;
        inf->in_round = false;
        schedule(inf, round_phase(inf), backoff(inf));
}

/* A watch has ended as it should. A short random delay, so that not all watches come back at once. */
static void watch_end(struct informer *inf)
{
        bool fruitless = inf->stats.events == inf->began_events && clock_mono_ms() - inf->began_ms < SHORT_WATCH_MS;

        schedule(inf, PHASE_WATCH, fruitless ? backoff(inf) : random_below(100));
}

static bool refuses_watchlist(const struct informer *inf, int result, const struct kube_status *status)
{
        return inf->phase == PHASE_WATCHLIST && result == KUBE_REFUSED &&
               (status->code == 400 || status->code == 404 || status->code == 405 || status->code == 422);
}

static void on_failure(struct informer *inf, int result, const struct kube_status *status)
{
        enum phase next = inf->in_round || inf->phase == PHASE_LIST ? round_phase(inf) : PHASE_WATCH;
        uint64_t delay = backoff(inf);

        inf->stats.failures++;
        if (status->retry_after_s > 0)
                delay = MAX(delay, (uint64_t)status->retry_after_s * 1000);
        log_limited(LOG_LEVEL_WARN, 10000, "cannot follow the API, trying again",
                    "path=%s code=%d reason=%s message=%s retry_ms=%llu", inf->path, status->code, status->reason,
                    status->message, (unsigned long long)delay);
        if (next == PHASE_LIST && !inf->page)
                inf->in_round = false;
        schedule(inf, next, delay);
}

static void on_done(void *userdata, int result, struct json_object *obj, const struct kube_status *status)
{
        struct informer *inf = userdata;

        inf->call = NULL;
        loop_timer_cancel(inf->silence);
        if (refuses_watchlist(inf, result, status)) {
                inf->no_watchlist = true;
                inf->in_round = false;
                schedule(inf, PHASE_LIST, 0);
        } else if (inf->expired || (result == KUBE_REFUSED && status->code == 410)) {
                start_over(inf);
        } else if (result) {
                on_failure(inf, result, status);
        } else if (inf->phase == PHASE_LIST) {
                page_end(inf);
        } else if (inf->in_round || !jsonstream_complete(&inf->stream)) {
                on_failure(inf, -ECONNRESET, status);
        } else {
                watch_end(inf);
        }
}

/* A server that does not know sendInitialEvents says nothing of the end of them, ever. */
static void on_silence(void *userdata)
{
        struct informer *inf = userdata;

        log_debug("no end of initial events, listing instead", "path=%s", inf->path);
        kube_cancel(TAKE_PTR(inf->call));
        inf->no_watchlist = true;
        inf->in_round = false;
        schedule(inf, PHASE_LIST, 0);
}

static uint32_t watch_timeout_s(const struct informer *inf)
{
        return inf->opts.watch_timeout_s ? inf->opts.watch_timeout_s : 300 + (uint32_t)random_below(300);
}

static void add_param(struct strbuf *b, const char *name, const char *value)
{
        if (str_empty(value))
                return;
        strbuf_printf(b, "&%s=", name);
        http_escape(b, value);
}

static char *call_path(struct informer *inf, uint32_t timeout_s)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_add_str(&b, inf->path);
        switch (inf->phase) {
        case PHASE_LIST:
                strbuf_add_str(&b, inf->no_paging ? "?limit=0" : "?limit=500");
                if (inf->page)
                        add_param(&b, "continue", inf->page);
                else if (!inf->no_paging)
                        strbuf_add_str(&b, "&resourceVersion=0");
                break;
        case PHASE_WATCHLIST:
                strbuf_printf(&b,
                              "?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
                              "&resourceVersionMatch=NotOlderThan&timeoutSeconds=%u",
                              timeout_s);
                add_param(&b, "resourceVersion", inf->version);
                break;
        case PHASE_WATCH:
                strbuf_printf(&b, "?watch=true&allowWatchBookmarks=true&timeoutSeconds=%u", timeout_s);
                add_param(&b, "resourceVersion", inf->version);
                break;
        }
        strbuf_add_str(&b, inf->selectors);
        return strbuf_take(&b, NULL);
}

static void count_call(struct informer *inf)
{
        switch (inf->phase) {
        case PHASE_LIST:
                inf->stats.lists++;
                break;
        case PHASE_WATCHLIST:
                inf->stats.watchlists++;
                break;
        case PHASE_WATCH:
                inf->stats.watches++;
                break;
        }
}

static void begin(void *userdata)
{
        struct informer *inf = userdata;
        bool list = inf->phase == PHASE_LIST;
        uint32_t timeout_s = watch_timeout_s(inf);
        _cleanup_free_ char *path = NULL;
        struct kube_request req = {0};

        if (inf->phase != PHASE_WATCH && !inf->page) {
                inf->round++;
                inf->in_round = true;
        }
        if (inf->phase == PHASE_WATCHLIST)
                loop_timer_set(inf->silence, inf->opts.sync_timeout_ms);
        if (inf->streaming)
                jsonstream_deinit(&inf->stream);
        jsonstream_init(&inf->stream, list ? JSONSTREAM_LIST : JSONSTREAM_VALUES, OBJECT_LIMIT, on_object, inf);
        inf->streaming = true;
        inf->began_ms = clock_mono_ms();
        inf->began_events = inf->stats.events;
        count_call(inf);
        path = call_path(inf, timeout_s);
        req.path = path;
        req.timeout_ms = list ? PAGE_TIMEOUT_MS : (timeout_s + WATCH_SLACK_S) * 1000;
        inf->call = kube_stream(inf->opts.client, &req, on_data, on_done, inf);
}

static char *selector_params(const struct informer_opts *opts)
{
        struct strbuf b = STRBUF_NULL;

        add_param(&b, "labelSelector", opts->label_selector);
        add_param(&b, "fieldSelector", opts->field_selector);
        return strbuf_take(&b, NULL);
}

int informer_new(const struct informer_opts *opts, struct informer **ret)
{
        _cleanup_(informer_freep) struct informer *inf = mem_new(struct informer);
        struct loop *loop = kube_client_loop(opts->client);
        int r;

        inf->opts = *opts;
        if (!opts->project && !opts->project_node) {
                inf->opts.project = keep_json;
                inf->opts.release = drop_json;
        }
        if (!opts->backoff_min_ms)
                inf->opts.backoff_min_ms = 800;
        if (!opts->backoff_max_ms)
                inf->opts.backoff_max_ms = 30000;
        if (!opts->sync_timeout_ms)
                inf->opts.sync_timeout_ms = 10000;
        inf->path = mem_strdup(opts->path);
        inf->selectors = selector_params(opts);
        informer_store_init(&inf->store);
        inf->store.release = inf->opts.release;
        inf->store.userdata = opts->userdata;
        r = loop_timer_new(loop, begin, inf, &inf->timer);
        if (!r)
                r = loop_timer_new(loop, on_silence, inf, &inf->silence);
        if (r)
                return r;
        *ret = TAKE_PTR(inf);
        return 0;
}

void informer_free(struct informer *inf)
{
        struct handler *next;

        if (!inf)
                return;
        kube_cancel(inf->call);
        loop_timer_free(inf->timer);
        loop_timer_free(inf->silence);
        if (inf->streaming)
                jsonstream_deinit(&inf->stream);
        jsontree_deinit(&inf->tree);
        for (struct handler *h = inf->handlers; h; h = next) {
                next = h->next;
                free(h);
        }
        informer_store_deinit(&inf->store);
        free(inf->path);
        free(inf->selectors);
        free(inf->version);
        free(inf->page);
        free(inf);
}

void informer_add_handler(struct informer *inf, informer_fn fn, void *userdata)
{
        struct handler *h = mem_new(struct handler), **end = &inf->handlers;

        *h = (struct handler){.fn = fn, .userdata = userdata};
        while (*end)
                end = &(*end)->next;
        *end = h;
        hashmap_foreach (&inf->store.entries, slot) {
                struct informer_entry *e = slot->value;

                fn(userdata, e->key, NULL, e->value);
        }
}

void informer_on_synced(struct informer *inf, void (*fn)(void *userdata), void *userdata)
{
        inf->on_synced = fn;
        inf->synced_userdata = userdata;
}

void informer_add_index(struct informer *inf, const char *name, informer_index_fn fn)
{
        struct informer_index *i = &inf->store.indexes[inf->store.nindexes];

        if (inf->store.nindexes == INFORMER_INDEXES_MAX)
                abort(); /* a mistake in the program */
        inf->store.nindexes++;
        i->name = mem_strdup(name);
        i->fn = fn;
        hashmap_init(&i->buckets, HASHMAP_STR_OWNED);
}

void informer_start(struct informer *inf)
{
        schedule(inf, round_phase(inf), 0);
}

bool informer_has_synced(const struct informer *inf)
{
        return inf->synced;
}

void *informer_get(const struct informer *inf, const char *key)
{
        struct informer_entry *e = informer_store_get(&inf->store, key);

        return e ? e->value : NULL;
}

size_t informer_count(const struct informer *inf)
{
        return inf->store.entries.count;
}

void informer_each(const struct informer *inf, void (*fn)(void *userdata, const char *key, void *value), void *userdata)
{
        hashmap_foreach (&inf->store.entries, slot) {
                struct informer_entry *e = slot->value;

                fn(userdata, e->key, e->value);
        }
}

void informer_each_by_index(const struct informer *inf, const char *name, const char *index_value,
                            void (*fn)(void *userdata, const char *key, void *value), void *userdata)
{
        informer_store_by_index(&inf->store, name, index_value, fn, userdata);
}

const char *informer_version(const struct informer *inf)
{
        return inf->version ? inf->version : "";
}

void informer_stats(const struct informer *inf, struct informer_stats *ret)
{
        *ret = inf->stats;
}
