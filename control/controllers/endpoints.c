/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints, what there was before EndpointSlices: one object for each Service that has a selector, with the addresses
 * of its first family.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/config.h"
#include "controllers/controllers.h"
#include "controllers/endpoint/drafts.h"
#include "controllers/endpoint/membership.h"
#include "controllers/endpoint/subsets.h"

#define LABEL_MANAGED "endpoints.kubernetes.io/managed-by"
#define MANAGER       "endpoint-controller"
#define OVER_CAPACITY "endpoints.kubernetes.io/over-capacity"
#define LEADER        "control-plane.alpha.kubernetes.io/leader"
#define CAPACITY      1000
/* What has changed is looked at later: mostly it is what was just written. */
#define ECHO_MS 1000

struct state {
        struct membership *membership;
        struct hashmap gone; /* keys of Services that were seen to go: their Endpoints go, whoever made them */
};

struct look {
        struct sync *sync;
        struct service service;
        const struct kobj *old; /* Endpoints, or NULL */
        struct subset_address *addresses;
        size_t n;
        struct subsets is, wanted;
        struct label *labels;
        size_t nlabels;
        bool truncated;
};

/* ---- what is wanted ---- */

static const int32_t *numbers_of(const struct look *l, const struct kobj *pod)
{
        int32_t *numbers = arena_array(l->sync->mem, int32_t, l->service.nports);

        for (size_t i = 0; i < l->service.nports; i++)
                numbers[i] = pod_target_port(pod->pod, &l->service.ports[i]);
        return numbers;
}

static void want_pod(struct look *l, const struct kobj *pod)
{
        const char *address = pod_address(pod->pod, l->service.first, l->sync->mem);
        bool any = l->service.publish_not_ready;

        if (!address || !pod_has_endpoint(pod) || (pod->deleted_s && !any))
                return;
        l->addresses[l->n++] = (struct subset_address){
                .e = {.address = address,
                      .hostname = pod_endpoint_hostname(pod, l->service.object),
                      .node = pod->pod->node,
                      .kind = "Pod",
                      .ns = pod->ns,
                      .name = pod->name,
                      .uid = pod->uid,
                      .ready = any || pod_is_ready(pod) ? TRI_TRUE : TRI_FALSE},
                .since_s = pod_ready_since(pod),
                .numbers = numbers_of(l, pod),
        };
}

static void want_subsets(struct look *l)
{
        const struct kobj *o = l->service.object;
        struct kobjs pods = lister_labelled(l->sync->lister, &res_pods, o->ns, l->service.selector,
                                            l->service.nselector, l->sync->mem);

        l->addresses = arena_array(l->sync->mem, struct subset_address, pods.n);
        kobjs_foreach (pods, pod)
                want_pod(l, pod);
        subsets_pack(&l->wanted, l->addresses, l->n, l->service.ports, l->service.nports, l->sync->mem);
        l->truncated = subsets_truncate(&l->wanted, CAPACITY);
}

static void want_labels(struct look *l)
{
        const struct kobj *o = l->service.object;

        l->labels = arena_array(l->sync->mem, struct label, (size_t)o->nlabels + 2);
        for (size_t i = 0; i < o->nlabels; i++)
                if (!str_eq(o->labels[i].key, LABEL_HEADLESS) && !str_eq(o->labels[i].key, LABEL_MANAGED))
                        l->labels[l->nlabels++] = o->labels[i];
        l->labels[l->nlabels++] = (struct label){LABEL_MANAGED, MANAGER};
        if (!l->service.has_ip)
                l->labels[l->nlabels++] = (struct label){LABEL_HEADLESS, ""};
}

/* ---- what is there ---- */

static bool labels_differ(const struct look *l)
{
        if (l->old->nlabels != l->nlabels)
                return true;
        for (size_t i = 0; i < l->nlabels; i++)
                if (!str_eq(kobj_label(l->old, l->labels[i].key), l->labels[i].value))
                        return true;
        return false;
}

static bool is_right(struct look *l)
{
        const char *over = l->old ? kobj_annotation(l->old, OVER_CAPACITY) : NULL;

        if (!l->old)
                return false;
        subsets_read(&l->is, l->old, l->sync->mem);
        return subsets_equal(&l->is, &l->wanted) && !labels_differ(l) &&
               str_eq(over, l->truncated ? "truncated" : NULL);
}

/* The time of the first change that is written: that of a pod that is new in there, or ready now and was not, or the
 * other way round. */
static int64_t trigger_of(const struct look *l)
{
        struct hashmap was;
        int64_t first = 0;

        if (!l->old)
                return l->service.object->created_s;
        hashmap_init(&was, HASHMAP_STR);
        for (size_t i = 0; i < l->is.n; i++)
                for (size_t j = 0; j < l->is.all[i].naddresses; j++)
                        hashmap_put(&was, l->is.all[i].addresses[j]->e.uid,
                                    (void *)(uintptr_t)l->is.all[i].addresses[j]);
        for (size_t i = 0; i < l->n; i++) {
                const struct subset_address *a = &l->addresses[i], *b = hashmap_get(&was, a->e.uid);

                if (a->since_s > 0 && (!b || b->e.ready != a->e.ready) && (!first || a->since_s < first))
                        first = a->since_s;
        }
        hashmap_deinit(&was);
        return first;
}

/* ---- writing ---- */

static void set_or_delete(struct json_object *o, const char *key, const char *text)
{
        if (text)
                json_set_str(o, key, text);
        else
                json_del(o, key);
}

static struct json_object *new_object(const struct kobj *service)
{
        struct json_object *o = json_object_new_object();

        json_set_str(json_ensure(o, "metadata"), "namespace", service->ns);
        json_set_str(json_ensure(o, "metadata"), "name", service->name);
        return o;
}

static struct json_object *body_of(const struct look *l)
{
        struct json_object *o = l->old ? kobj_json(l->old) : new_object(l->service.object);
        struct json_object *meta = json_ensure(o, "metadata"), *labels = json_object_new_object(), *notes;
        int64_t trigger_s = trigger_of(l);
        char text[CLOCK_TEXT_SIZE];

        for (size_t i = 0; i < l->nlabels; i++)
                json_set_str(labels, l->labels[i].key, l->labels[i].value);
        json_set(meta, "labels", labels);
        notes = json_ensure(meta, "annotations");
        set_or_delete(notes, ANNOTATION_TRIGGER, trigger_s > 0 ? clock_format(trigger_s, text) : NULL);
        set_or_delete(notes, OVER_CAPACITY, l->truncated ? "truncated" : NULL);
        json_set(o, "subsets", subsets_json(&l->wanted));
        return o;
}

static bool may_create(const struct look *l)
{
        return !l->service.object->deleted_s && !failure_of_ending_namespace(l->sync->failed);
}

static void write_endpoints(const struct look *l)
{
        struct arena *mem = l->sync->mem;
        const char *key = l->sync->key;
        struct telling telling = {
                .failed_reason = l->old ? "FailedToUpdateEndpoint" : "FailedToCreateEndpoint",
                .failed_text = l->old ? arena_printf(mem, "Failed to update endpoint %s: {error}", key)
                                      : arena_printf(mem, "Failed to create endpoint for service %s: {error}", key),
        };

        if (l->old)
                step_tell(plan_update(l->sync, &res_endpoints, body_of(l)), l->old, &telling);
        else if (may_create(l))
                step_tell(plan_create(l->sync, &res_endpoints, body_of(l)), l->service.object, &telling);
}

/* ---- the sync ---- */

/* Of a Service that is gone. Who elects a leader by Endpoints has no Service. */
static void delete_left(struct sync *s, const struct kobj *endpoints)
{
        struct state *state = s->state;
        bool ours = endpoints && str_eq(kobj_label(endpoints, LABEL_MANAGED), MANAGER);

        if (!endpoints)
                hashmap_del(&state->gone, s->key);
        else if ((ours || hashmap_find(&state->gone, s->key, strlen(s->key))) && !endpoints->deleted_s &&
                 !kobj_annotation(endpoints, LEADER))
                plan_delete(s, endpoints);
}

static void sync_service(struct sync *s)
{
        const struct kobj *o = lister_find(s->lister, &res_services, s->key);
        struct look l = {.sync = s, .old = lister_find(s->lister, &res_endpoints, s->key)};

        if (!o) {
                delete_left(s, l.old);
                return;
        }
        service_read(&l.service, o, s->mem);
        if (!service_selects(&l.service) || (l.old && l.old->deleted_s))
                return;
        want_subsets(&l);
        want_labels(&l);
        if (!is_right(&l))
                write_endpoints(&l);
}

/* ---- what has changed ---- */

static struct state *state_of(const struct runner *r)
{
        return runner_state(r);
}

static void on_service(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct state *state = state_of(r);

        if (now)
                hashmap_del(&state->gone, now->key);
        else
                hashmap_put(&state->gone, old->key, NULL);
        membership_service_changed(state->membership, r, old, now);
}

static void on_pod(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        membership_pod_changed(state_of(r)->membership, r, old, now);
}

static void on_endpoints(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        runner_add_after(r, (now ? now : old)->key,
                         (uint64_t)MAX(runner_config(r)->endpoint_batch_ms, (int64_t)ECHO_MS));
}

static void *state_new(struct runner *r)
{
        struct state *state = mem_new(struct state);

        state->membership = membership_new();
        hashmap_init(&state->gone, HASHMAP_STR_OWNED);
        return state;
}

static void state_free(void *data)
{
        struct state *state = data;

        membership_free(state->membership);
        hashmap_deinit(&state->gone);
        free(state);
}

const struct controller controller_endpoints = {
        .name = "endpoints",
        .event_source = "endpoint-controller",
        .watches =
                (const struct watch[]){
                        {&res_services, on_service},
                        {&res_pods, on_pod},
                        {&res_endpoints, on_endpoints},
                        {0},
                },
        .sync = sync_service,
        .workers = 64,
        .state_new = state_new,
        .state_free = state_free,
};
