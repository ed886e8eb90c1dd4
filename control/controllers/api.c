/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "controllers/api.h"

#define TIMEOUT_MS 30000

struct api_call {
        struct api_call *next, **at;
        struct api_server *server;
        struct kube_call *call;
        step_done_fn done;
        void *userdata;
        bool wanted; /* the answer's object */
        struct strbuf body;
};

static void call_free(struct api_call *c)
{
        strbuf_deinit(&c->body);
        *c->at = c->next;
        if (c->next)
                c->next->at = c->at;
        free(c);
}

static struct api_call *call_new(struct api_server *a, step_done_fn done, void *userdata)
{
        struct api_call *c = mem_new(struct api_call);

        *c = (struct api_call){.server = a, .next = a->calls, .at = &a->calls, .done = done, .userdata = userdata};
        if (c->next)
                c->next->at = &c->next;
        a->calls = c;
        return c;
}

/* All that was deleted is told by the answer to the deletion of all: that may be much, and nobody asked. */
static int on_data(void *userdata, const char *data, size_t len)
{
        struct api_call *c = userdata;

        if (c->wanted)
                strbuf_add(&c->body, data, len);
        return 0;
}

static void on_done(void *userdata, int result, struct json_object *o, const struct kube_status *status)
{
        struct api_call *c = userdata;
        struct api_server *a = c->server;
        step_done_fn done = c->done;
        void *theirs = c->userdata;
        struct answer answer = {0};
        const struct jnode *node;

        if (c->body.len && !jsontree_parse(&a->tree, c->body.data, c->body.len, &node, NULL))
                answer_read(&answer, node);
        call_free(c);
        done(theirs, result, &answer, status);
}

static void submit(struct api *api, const struct step *st, step_done_fn done, void *userdata)
{
        struct api_server *a = container_of(api, struct api_server, api);
        _cleanup_free_ char *path = step_path(st);
        struct api_call *c = call_new(a, done, userdata);

        c->wanted = st->verb != STEP_DELETE;
        c->call = kube_stream(a->client,
                              &(struct kube_request){.method = step_method(st),
                                                     .path = path,
                                                     .body = st->body,
                                                     .timeout_ms = TIMEOUT_MS,
                                                     .content_type = step_content_type(st)},
                              on_data, on_done, c);
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
        jsontree_deinit(&a->tree);
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
