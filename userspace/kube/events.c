/* SPDX-License-Identifier: Apache-2.0 */
/* Recording puts an Event into a bounded queue and wakes the loop; the loop correlates and sends one at a time. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/eventscorrelator.h"

#define QUEUE_MAX   1000
#define TRIES       5    /* of one Event, while the server cannot be reached */
#define MESSAGE_MAX 1024 /* Kubernetes' limit on an Event's message */

/* What posts to the loop refer to; it outlives the recorder while one is under way. */
struct waker {
        struct events *ev; /* NULL: gone. Loop's thread only */
        atomic_int refs;
};

struct events {
        struct kube_client *client;
        char *component, *host;
        struct waker *waker;
        struct loop_timer *timer; /* the next try */
        struct kube_call *call;
        struct event_note *current;
        char *current_name; /* of the Event on the server, or the one to be made */
        char *record_key;
        unsigned int tries;
        bool patching;
        struct events_correlator correlator;
        struct events_stats stats;

        pthread_mutex_t lock; /* what follows */
        struct event_note *head, **tail;
        size_t queued;
        bool waking; /* a post is under way */
        uint64_t overflow;
};

static void next(struct events *ev);
static void send(void *userdata);

static void waker_unref(struct waker *w)
{
        if (atomic_fetch_sub(&w->refs, 1) == 1)
                free(w);
}

static void on_wake(void *userdata)
{
        struct waker *w = userdata;

        if (w->ev) {
                pthread_mutex_lock(&w->ev->lock);
                w->ev->waking = false;
                pthread_mutex_unlock(&w->ev->lock);
                if (!w->ev->current)
                        next(w->ev);
        }
        waker_unref(w);
}

void event_object_of(const struct json_object *o, struct event_object *ret)
{
        *ret = (struct event_object){
                .api_version = json_get_str(o, "apiVersion"),
                .kind = json_get_str(o, "kind"),
                .ns = json_at_str(o, "metadata.namespace"),
                .name = json_at_str(o, "metadata.name"),
                .uid = json_at_str(o, "metadata.uid"),
                .version = json_at_str(o, "metadata.resourceVersion"),
        };
}

static char *format_message(const char *fmt, va_list ap)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_vprintf(&b, fmt, ap);
        if (b.len > MESSAGE_MAX) {
                while (b.len > MESSAGE_MAX - 3 || ((unsigned char)b.data[b.len] & 0xc0) == 0x80)
                        b.len--; /* not inside a character */
                strbuf_add_str(&b, "...");
        }
        return strbuf_take(&b, NULL);
}

static void enqueue(struct events *ev, struct event_note *e)
{
        bool wake = false;

        pthread_mutex_lock(&ev->lock);
        if (ev->queued == QUEUE_MAX) {
                ev->overflow++;
        } else {
                *ev->tail = e;
                ev->tail = &TAKE_PTR(e)->next;
                ev->queued++;
                wake = !ev->waking;
                ev->waking = true;
        }
        if (wake) {
                atomic_fetch_add(&ev->waker->refs, 1);
                loop_post(kube_client_loop(ev->client), on_wake, ev->waker);
        }
        pthread_mutex_unlock(&ev->lock);
        event_note_free(e);
}

void events_record(struct events *ev, const struct event_object *about, bool warning, const char *reason,
                   const char *fmt, ...)
{
        struct event_note *e = mem_new(struct event_note);
        va_list ap;

        *e = (struct event_note){
                .api_version = mem_strdup(about->api_version),
                .kind = mem_strdup(about->kind),
                .ns = mem_strdup(about->ns),
                .name = mem_strdup(about->name),
                .uid = mem_strdup(about->uid),
                .version = mem_strdup(about->version),
                .field_path = mem_strdup(about->field_path),
                .reason = mem_strdup(reason),
                .warning = warning,
                .wall_s = clock_wall_s(),
        };
        va_start(ap, fmt);
        e->message = format_message(fmt, ap);
        va_end(ap);
        enqueue(ev, e);
}

static struct event_note *dequeue(struct events *ev)
{
        struct event_note *e;

        pthread_mutex_lock(&ev->lock);
        e = ev->head;
        if (e) {
                ev->head = e->next;
                if (!ev->head)
                        ev->tail = &ev->head;
                ev->queued--;
        }
        pthread_mutex_unlock(&ev->lock);
        return e;
}

static const char *event_ns(const struct event_note *e)
{
        return str_empty(e->ns) ? "default" : e->ns;
}

static void set_if(struct json_object *o, const char *key, const char *value)
{
        if (!str_empty(value))
                json_set_str(o, key, value);
}

static struct json_object *object_reference(const struct event_note *e)
{
        struct json_object *o = json_object_new_object();

        set_if(o, "apiVersion", e->api_version);
        set_if(o, "kind", e->kind);
        set_if(o, "namespace", e->ns);
        set_if(o, "name", e->name);
        set_if(o, "uid", e->uid);
        set_if(o, "resourceVersion", e->version);
        set_if(o, "fieldPath", e->field_path);
        return o;
}

static struct event_record *current_record(struct events *ev)
{
        return hashmap_get(&ev->correlator.records, ev->record_key);
}

static struct json_object *new_event(struct events *ev, const struct event_record *rec)
{
        const struct event_note *e = ev->current;
        struct json_object *o = json_object_new_object();
        char text[CLOCK_TEXT_SIZE];

        json_set_str(o, "apiVersion", "v1");
        json_set_str(o, "kind", "Event");
        json_set_str(json_ensure(o, "metadata"), "name", ev->current_name);
        json_set_str(json_ensure(o, "metadata"), "namespace", event_ns(e));
        json_set(o, "involvedObject", object_reference(e));
        json_set_str(o, "reason", e->reason);
        json_set_str(o, "message", e->message);
        json_set_str(json_ensure(o, "source"), "component", ev->component);
        set_if(json_ensure(o, "source"), "host", ev->host);
        json_set_str(o, "firstTimestamp", clock_format(rec->first_s, text));
        json_set_str(o, "lastTimestamp", clock_format(e->wall_s, text));
        json_set_i64(o, "count", rec->count);
        json_set_str(o, "type", e->warning ? "Warning" : "Normal");
        json_set_str(o, "reportingComponent", ev->component);
        json_set_str(o, "reportingInstance", ev->host ? ev->host : "");
        return o;
}

static struct json_object *count_patch(const struct events *ev, const struct event_record *rec)
{
        struct json_object *o = json_object_new_object();
        char text[CLOCK_TEXT_SIZE];

        json_set_str(o, "message", ev->current->message);
        json_set_str(o, "lastTimestamp", clock_format(ev->current->wall_s, text));
        json_set_i64(o, "count", rec->count);
        return o;
}

static void finish(struct events *ev)
{
        event_note_free(TAKE_PTR(ev->current));
        free(TAKE_PTR(ev->current_name));
        free(TAKE_PTR(ev->record_key));
        next(ev);
}

static void on_sent(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct event_record *rec;
        struct events *ev = userdata;

        ev->call = NULL;
        rec = current_record(ev);
        if (!result && rec) {
                ev->stats.created += !ev->patching;
                ev->stats.patched += ev->patching;
                free(rec->event_name);
                rec->event_name = mem_strdup(ev->current_name);
                finish(ev);
        } else if (result == KUBE_REFUSED && status->code == 404 && ev->patching && rec) {
                free(rec->event_name); /* it has expired on the server: made anew */
                rec->event_name = mem_strdup("");
                rec->count = 1;
                rec->first_s = ev->current->wall_s;
                send(ev);
        } else if ((result < 0 || status->code == 429 || status->code >= 500) && ++ev->tries < TRIES) {
                loop_timer_set(ev->timer, status->retry_after_s > 0 ? (uint64_t)status->retry_after_s * 1000
                                                                    : 100ull << ev->tries);
        } else {
                ev->stats.failed++;
                log_limited(LOG_LEVEL_WARN, 60000, "cannot record an event",
                            "object=%s/%s reason=%s code=%d message=%s", ev->current->kind, ev->current->name,
                            ev->current->reason, status->code, status->message);
                finish(ev);
        }
}

static void send(void *userdata)
{
        static const struct kube_resource resource = {"", "v1", "events"};
        struct events *ev = userdata;
        struct event_record *rec = current_record(ev);
        _cleanup_json_ struct json_object *body = NULL;
        _cleanup_free_ char *path = NULL;
        struct kube_request req = {0};

        ev->patching = !str_empty(rec->event_name);
        free(ev->current_name);
        if (ev->patching) {
                ev->current_name = mem_strdup(rec->event_name);
                body = count_patch(ev, rec);
        } else {
                ev->current_name = mem_printf("%s.%llx", ev->current->name, (unsigned long long)clock_wall_ns());
                body = new_event(ev, rec);
        }
        path = kube_path(&resource, event_ns(ev->current), ev->patching ? ev->current_name : NULL, NULL);
        req.method = ev->patching ? "PATCH" : "POST";
        req.path = path;
        req.body = body;
        req.content_type = ev->patching ? KUBE_STRATEGIC_PATCH : NULL;
        ev->call = kube_start(ev->client, &req, on_sent, ev);
}

/* Takes the next Event that is to be sent. */
static void next(struct events *ev)
{
        struct event_note *e;

        while ((e = dequeue(ev))) {
                struct event_record *rec = events_correlate(&ev->correlator, e, clock_mono_ms());

                if (rec) {
                        ev->current = e;
                        ev->record_key = mem_strdup(rec->key);
                        ev->tries = 0;
                        send(ev);
                        return;
                }
                ev->stats.spam++;
                event_note_free(e);
        }
}

int events_new(const struct events_opts *opts, struct events **ret)
{
        struct events *ev = mem_new(struct events);
        int r = loop_timer_new(kube_client_loop(opts->client), send, ev, &ev->timer);

        if (r) {
                free(ev);
                return r;
        }
        ev->client = opts->client;
        ev->component = mem_strdup(opts->component);
        ev->host = mem_strdup(opts->host);
        ev->waker = mem_new(struct waker);
        ev->waker->ev = ev;
        atomic_init(&ev->waker->refs, 1);
        ev->tail = &ev->head;
        pthread_mutex_init(&ev->lock, NULL);
        events_correlator_init(&ev->correlator);
        *ret = ev;
        return 0;
}

void events_free(struct events *ev)
{
        struct event_note *e;

        if (!ev)
                return;
        ev->waker->ev = NULL;
        waker_unref(ev->waker);
        kube_cancel(ev->call);
        loop_timer_free(ev->timer);
        while ((e = dequeue(ev)))
                event_note_free(e);
        event_note_free(ev->current);
        free(ev->current_name);
        free(ev->record_key);
        events_correlator_deinit(&ev->correlator);
        pthread_mutex_destroy(&ev->lock);
        free(ev->component);
        free(ev->host);
        free(ev);
}

void events_stats(const struct events *ev, struct events_stats *ret)
{
        struct events *rw = (struct events *)ev; /* for its lock */

        *ret = ev->stats;
        pthread_mutex_lock(&rw->lock);
        ret->overflow = ev->overflow;
        pthread_mutex_unlock(&rw->lock);
}
