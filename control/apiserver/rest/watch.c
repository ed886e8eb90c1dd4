/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch: a position in the resource's ring of changes, read whenever the connection can take more. A watcher whose
 * selector sees an object come into or go out of sight is told ADDED or DELETED, whatever the change was.
 */
#include <inttypes.h>

#include "apiserver/rest/list.h"
#include "apiserver/rest/present.h"
#include "apiserver/rest/rest.h"
#include "apiserver/rest/watch.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define READ_EVENTS   32
#define BOOKMARK_NS   (60 * NS_PER_S)
#define TIMEOUT_MAX_S (365 * 86400)
#define TIMEOUT_MIN_S 1800 /* as kube-apiserver: a random time between this and twice it */

struct watch {
        struct http_source source;
        struct http_stream *stream;
        struct cache_watcher watcher;
        struct object_selector selector;
        char *namespace;
        char *name; /* of the old form /watch/.../NAME: only this object */
        struct present present;
        struct object_list initial; /* still to be sent as ADDED, from initial_next */
        size_t initial_next;
        bool initial_end; /* WatchList: a bookmark says when the initial events are over */
        bool bookmarks;
        bool columns_sent; /* Table: only the first event carries the columns */
        bool ended;
        uint64_t revision;               /* everything up to it has been sent */
        uint64_t deadline_ns;            /* monotonic */
        _Atomic uint64_t bookmark_at_ns; /* the timers' thread looks at it */
        struct strbuf pending;           /* bytes that did not fit the last read */
        size_t pending_at;
};

/* ---- encoding ---- */

static void add_event(struct watch *w, const char *type, const struct blob *json)
{
        strbuf_printf(&w->pending, "{\"type\":\"%s\",\"object\":", type);
        if (present_raw(&w->present))
                strbuf_add(&w->pending, json->data, json->len);
        else
                present_object(&w->present, json, !w->columns_sent, &w->pending);
        w->columns_sent = true;
        strbuf_add_str(&w->pending, "}\n");
}

static void add_bookmark(struct watch *w, uint64_t revision, bool initial_end)
{
        const struct schema_resource *r = w->present.resource;
        bool table = w->present.format == API_TABLE, partial = w->present.format == API_PARTIAL;

        strbuf_add_str(&w->pending, "{\"type\":\"BOOKMARK\",\"object\":");
        if (table)
                strbuf_printf(&w->pending,
                              "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/"
                              "v1\",\"metadata\":{\"resourceVersion\":\"%" PRIu64
                              "\"},\"columnDefinitions\":[],\"rows\":[]}}\n",
                              revision);
        else
                strbuf_printf(&w->pending,
                              "{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\",\"metadata\":{\"resourceVersion\":\"%" PRIu64
                              "\"%s}}}\n",
                              partial ? "PartialObjectMetadata" : r->kind, partial ? "meta.k8s.io" : r->group,
                              partial || *r->group ? "/" : "", partial ? "v1" : r->version, revision,
                              initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

static void add_gone(struct watch *w)
{
        struct status s = {
                .code = 410, .reason = "Expired", .message = "The resourceVersion for the provided watch is too old."};
        _cleanup_json_ struct json_object *o = status_object(&s);

        strbuf_add_str(&w->pending, "{\"type\":\"ERROR\",\"object\":");
        json_write(&w->pending, o);
        strbuf_add_str(&w->pending, "}\n");
}

/* One change as this watcher sees it, or nothing. */
static void add_change(struct watch *w, const struct cache_event *e)
{
        const struct cache_filter *f = &w->watcher.filter;
        bool was = e->old && (!f->match || f->match(f->userdata, e->old));
        bool is = !e->deleted && (!f->match || f->match(f->userdata, e->new));
        _cleanup_object_ struct object *last = NULL;

        if (is)
                add_event(w, was ? "MODIFIED" : "ADDED", e->new->json);
        else if (was && e->deleted)
                add_event(w, "DELETED", e->new->json);
        else if (was) {
                /* Out of sight, not deleted: its last visible state, at the revision of the change. */
                last = object_at_revision(cache_ops(w->watcher.cache), e->old, e->revision);
                if (last)
                        add_event(w, "DELETED", last->json);
        }
}

/* ---- reading ---- */

static void read_initial(struct watch *w, size_t want)
{
        while (w->initial_next < w->initial.n && w->pending.len < want) {
                struct object **o = &w->initial.items[w->initial_next++];

                add_event(w, "ADDED", (*o)->json);
                object_unref(TAKE_PTR(*o));
        }
        if (w->initial_next < w->initial.n)
                return;
        if (w->initial_end)
                add_bookmark(w, w->revision, true);
        w->initial_end = false;
        free(w->initial.items);
        w->initial = OBJECT_LIST_NULL;
        w->initial_next = 0;
}

/* False when there is nothing new. */
static bool read_changes(struct watch *w)
{
        struct cache_event events[READ_EVENTS];
        uint64_t seen;
        size_t n;

        if (cache_watch_read(&w->watcher, events, READ_EVENTS, &n, &seen)) {
                add_gone(w);
                w->ended = true;
                return true;
        }
        for (size_t i = 0; i < n; i++) {
                add_change(w, &events[i]);
                w->revision = events[i].revision;
                cache_event_release(&events[i]);
        }
        if (!n && seen > w->revision)
                w->revision = seen;
        return n > 0;
}

/* The bookmark that is due, when everything before it has been sent. */
static void check_bookmark(struct watch *w, uint64_t now)
{
        if (!w->bookmarks || now < w->bookmark_at_ns)
                return;
        add_bookmark(w, w->revision, false);
        w->bookmark_at_ns = now + BOOKMARK_NS;
}

static ssize_t take_pending(struct watch *w, char *buf, size_t max)
{
        size_t n = MIN(max, w->pending.len - w->pending_at);

        memcpy(buf, w->pending.data + w->pending_at, n);
        w->pending_at += n;
        if (w->pending_at == w->pending.len) {
                w->pending_at = 0;
                strbuf_deinit(&w->pending);
        }
        return (ssize_t)n;
}

static ssize_t watch_read(struct http_source *s, char *buf, size_t max)
{
        struct watch *w = container_of(s, struct watch, source);
        uint64_t now = clock_mono_ns();

        if (w->pending.len)
                return take_pending(w, buf, max);
        w->ended |= now >= w->deadline_ns;
        while (!w->ended && w->pending.len < max) {
                if (w->initial_end || w->initial.n) {
                        read_initial(w, max);
                        continue;
                }
                if (!read_changes(w))
                        break;
        }
        if (!w->pending.len && !w->ended)
                check_bookmark(w, now);
        if (w->pending.len)
                return take_pending(w, buf, max);
        return w->ended ? -1 : 0;
}

static void watch_start(struct http_source *s, struct http_stream *stream)
{
        struct watch *w = container_of(s, struct watch, source);

        __atomic_store_n(&w->stream, stream, __ATOMIC_RELEASE);
}

static void watch_wake(struct cache_watcher *cw)
{
        struct watch *w = container_of(cw, struct watch, watcher);
        struct http_stream *stream = __atomic_load_n(&w->stream, __ATOMIC_ACQUIRE);

        if (stream)
                http_stream_wake(stream);
}

static void watch_free(struct watch *w)
{
        cache_watch_detach(&w->watcher);
        for (size_t i = w->initial_next; i < w->initial.n; i++)
                object_unref(w->initial.items[i]);
        free(w->initial.items);
        object_selector_deinit(&w->selector);
        strbuf_deinit(&w->pending);
        free(w->namespace);
        free(w->name);
        free(w);
}

static void watch_close(struct http_source *s)
{
        watch_free(container_of(s, struct watch, source));
}

static void tick_one(void *arg, struct cache_watcher *cw)
{
        struct watch *w = container_of(cw, struct watch, watcher);
        uint64_t now = *(uint64_t *)arg;

        if (now >= w->deadline_ns || (w->bookmarks && now >= w->bookmark_at_ns))
                watch_wake(cw);
}

void watch_tick(struct cache_set *set)
{
        uint64_t now = clock_mono_ns();

        for (size_t i = 0; i < cache_count(set); i++)
                cache_each_watcher(cache_at(set, i), tick_one, &now);
}

/* ---- opening ---- */

struct watch_options {
        struct list_version version;
        bool initial_given, initial_events, bookmarks;
        int64_t timeout_s;
};

static int parse_options(struct api_request *req, struct watch_options *o)
{
        const char *initial = api_query_get(req, "sendInitialEvents");
        int r;

        *o = (struct watch_options){.initial_given = !str_empty(initial)};
        r = list_version_parse(req, true, &o->version);
        if (!r)
                r = api_query_bool(req, "sendInitialEvents", &o->initial_events);
        if (!r)
                r = api_query_bool(req, "allowWatchBookmarks", &o->bookmarks);
        if (!r)
                r = api_query_i64(req, "timeoutSeconds", 0, &o->timeout_s);
        if (r)
                return r;
        if (o->initial_given && (!o->version.match || !str_eq(o->version.match, "NotOlderThan")))
                return api_fail(req, 422,
                                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
                                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        if (o->version.match && !o->initial_given)
                return api_fail(req, 422,
                                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "
                                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        return 0;
}

static int attach(struct api_request *req, struct watch *w, const struct watch_options *o)
{
        struct cache *c = cache_of(req->server->caches, req->resource);
        bool replay = o->initial_given ? o->initial_events : !o->version.revision;

        if (replay || (o->initial_given && !o->version.revision)) {
                if (o->version.revision && cache_wait(req->server->caches, o->version.revision, 3000))
                        return api_fail(req, 504, "Too large resource version: %" PRIu64 ", current: %" PRIu64,
                                        o->version.revision, cache_revision(req->server->caches));
                cache_watch_now(c, &w->watcher, replay ? &w->initial : NULL);
                w->revision = replay ? w->initial.revision : cache_revision(req->server->caches);
                w->initial_end = replay && o->initial_given && o->bookmarks;
                return 0;
        }
        if (cache_watch_after(c, &w->watcher, o->version.revision) == CACHE_LOST)
                return api_fail_gone(req, "too old resource version: %" PRIu64 " (%" PRIu64 ")", o->version.revision,
                                     cache_revision(req->server->caches));
        w->revision = o->version.revision;
        return 0;
}

static void set_times(struct watch *w, const struct watch_options *o)
{
        uint64_t now = clock_mono_ns();
        uint64_t bookmark;
        uint64_t timeout_s = o->timeout_s > 0 ? (uint64_t)o->timeout_s : TIMEOUT_MIN_S + random_below(TIMEOUT_MIN_S);

        w->bookmarks = o->bookmarks;
        /* Spread over time, so that thousands of watchers do not get theirs in one second. */
        bookmark = now + BOOKMARK_NS - random_below(BOOKMARK_NS / 4);
        w->deadline_ns = now + MIN(timeout_s, (uint64_t)TIMEOUT_MAX_S) * NS_PER_S;
        if (o->bookmarks && timeout_s > 3) /* one shortly before the end, so that the client can go on from there */
                bookmark = MIN(bookmark, w->deadline_ns - 2 * NS_PER_S);
        w->bookmark_at_ns = bookmark;
}

static bool watch_match(const void *userdata, const struct object *o)
{
        const struct watch *w = userdata;

        return (!w->name || str_eq(w->name, o->name)) && object_selector_match(&w->selector, o);
}

int rest_watch(struct api_request *req)
{
        struct watch_options o;
        struct watch *w;
        int r;

        r = parse_options(req, &o);
        if (r)
                return r;
        w = mem_new(struct watch);
        w->source = (struct http_source){watch_start, watch_read, watch_close};
        w->present = present_of(req);
        w->namespace = mem_strdup(req->namespace);
        w->name = mem_strdup(req->name);
        w->watcher.wake = watch_wake;
        set_times(w, &o);
        r = object_selector_parse(req, &w->selector);
        w->watcher.filter = (struct cache_filter){
                w->namespace, w->name || !object_selector_is_all(&w->selector) ? watch_match : NULL, w};
        if (!r)
                r = attach(req, w, &o);
        if (r) {
                watch_free(w);
                return r;
        }
        req->res->status = 200;
        req->res->content_type = "application/json";
        req->res->kind = HTTP_BODY_SOURCE;
        req->res->source = &w->source;
        return API_ANSWERED;
}
