/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "controllers/api.h"

struct api_call {
        struct api_call *next, **at;
        struct kube_call *call;
        kube_done_fn done;
        void *userdata;
};

static void call_free(struct api_call *c)
{
        *c->at = c->next;
        if (c->next)
                c->next->at = c->at;
        free(c);
}

static struct api_call *call_new(struct api_server *a, kube_done_fn done, void *userdata)
{
        struct api_call *c = mem_new(struct api_call);

        *c = (struct api_call){.next = a->calls, .at = &a->calls, .done = done, .userdata = userdata};
        if (c->next)
                c->next->at = &c->next;
        a->calls = c;
        return c;
}

static void on_done(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct api_call *c = userdata;
        kube_done_fn done = c->done;
        void *theirs = c->userdata;

        call_free(c);
        done(theirs, result, o, status);
}

static void submit(struct api *api, const struct step *st, kube_done_fn done, void *userdata)
{
        struct api_server *a = container_of(api, struct api_server, api);
        _cleanup_free_ char *path = step_path(st);
        struct api_call *c = call_new(a, done, userdata);

        c->call = kube_start(a->client,
                             &(struct kube_request){.method = step_method(st),
                                                    .path = path,
                                                    .body = st->body,
                                                    .content_type = step_content_type(st)},
                             on_done, c);
}

/* Events name the controller that they come from, as upstream's do. */
struct recorder {
        struct recorder *next;
        struct events *events;
        char component[];
};

static struct events *recorder_of(struct api_server *a, const char *component)
{
        struct recorder *r = a->recorders;

        while (r && !str_eq(r->component, component))
                r = r->next;
        if (r)
                return r->events;
        r = mem_zalloc(sizeof(*r) + strlen(component) + 1);
        strcpy(r->component, component);
        if (events_new(&(struct events_opts){.client = a->client, .component = r->component}, &r->events)) {
                free(r);
                return NULL;
        }
        r->next = a->recorders;
        a->recorders = r;
        return r->events;
}

static void event(struct api *api, const char *component, const struct kobj *about, bool warning, const char *reason,
                  const char *text)
{
        struct api_server *a = container_of(api, struct api_server, api);
        struct events *recorder = recorder_of(a, component);
        char api_version[RESOURCE_API_VERSION_SIZE], version[24];
        struct event_object o = {.api_version = resource_api_version(about->resource, api_version),
                                 .kind = about->resource->kind,
                                 .ns = str_empty(about->ns) ? NULL : about->ns,
                                 .name = about->name,
                                 .uid = about->uid,
                                 .version = version};

        snprintf(version, sizeof(version), "%llu", (unsigned long long)about->version);
        if (recorder)
                events_record(recorder, &o, warning, reason, "%s", text);
}

static int64_t wall_ms(struct api *api)
{
        return clock_wall_ns() / (int64_t)NS_PER_MS;
}

void api_server_init(struct api_server *a, struct kube_client *client)
{
        *a = (struct api_server){
                .api = {.submit = submit,
                        .event = event,
                        .wall_ms = wall_ms,
                        .mono_ns = clock_mono_ns,
                        .random_below = random_below},
                .client = client,
        };
}

void api_server_deinit(struct api_server *a)
{
        while (a->calls) {
                kube_cancel(a->calls->call);
                call_free(a->calls);
        }
        for (struct recorder *r = a->recorders, *next; r; r = next) {
                next = r->next;
                events_free(r->events);
                free(r);
        }
}
