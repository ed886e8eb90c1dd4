/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/probes/schedule.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define NO_ADDRESS_RETRY_MS 200
#define ADOPTED_MS          5000 /* a container that has run for so long when it is first seen was not started by us */
#define OUTPUT_IN_EVENT     1024

struct probe {
        struct instance *instance;
        enum probe_kind kind;
        const struct json_object *object; /* of the container; NULL: it has none */
        struct probe_spec spec;
        struct probe_state state;
        struct loop_timer *timer;
        struct handler_run *run; /* under way, or NULL */
        uint64_t began_ms;
        bool armed; /* the schedule has begun */
        char *why;  /* of the failure */
};

/* One life of a container. */
struct instance {
        struct pod_probes *pod;
        struct instance *next;
        char id[RUNTIME_ID_SIZE];
        const struct json_object *container; /* of the pod's spec */
        const char *list;                    /* "containers" */
        int64_t started_ms;                  /* wall */
        bool seen;
        struct probe probes[PROBE_KINDS];
};

struct pod_probes {
        struct probes *all;
        char *uid, *ip;
        struct json_object *pod;
        struct instance *instances;
        bool ending;
};

struct probes {
        struct probes_opts opts;
        struct hashmap pods; /* by uid */
};

int probes_new(const struct probes_opts *opts, struct probes **ret)
{
        struct probes *p = mem_new(struct probes);

        p->opts = *opts;
        hashmap_init(&p->pods, HASHMAP_STR);
        *ret = p;
        return 0;
}

static void end_schedule(struct probe *p)
{
        if (p->run)
                handler_cancel(TAKE_PTR(p->run));
        if (p->timer)
                loop_timer_cancel(p->timer);
        p->armed = false;
}

static void instance_free(struct instance *i)
{
        for (int k = 0; k < PROBE_KINDS; k++) {
                end_schedule(&i->probes[k]);
                loop_timer_free(i->probes[k].timer);
                free(i->probes[k].why);
        }
        free(i);
}

static void pod_free(struct pod_probes *pod)
{
        while (pod->instances) {
                struct instance *i = pod->instances;

                pod->instances = i->next;
                instance_free(i);
        }
        hashmap_del(&pod->all->pods, pod->uid);
        json_object_put(pod->pod);
        free(pod->uid);
        free(pod->ip);
        free(pod);
}

void probes_forget(struct probes *p, const char *uid)
{
        struct pod_probes *pod = hashmap_get(&p->pods, uid);

        if (pod)
                pod_free(pod);
}

void probes_free(struct probes *p)
{
        if (!p)
                return;
        for (struct hashmap_slot *slot; (slot = hashmap_next(&p->pods, p->pods.slots));)
                pod_free(slot->value);
        hashmap_deinit(&p->pods);
        free(p);
}

static void tell_event(const struct probe *p, const char *reason, const char *verb, const char *message)
{
        struct event_object about;
        struct events *events = p->instance->pod->all->opts.events;
        char field[128];

        if (!events)
                return;
        event_object_of(p->instance->pod->pod, &about);
        snprintf(field, sizeof(field), "spec.%s{%.63s}", p->instance->list,
                 json_get_str(p->instance->container, "name"));
        about.field_path = field;
        events_record(events, &about, true, reason, "%s probe %s: %.*s", probe_kind_name(p->kind), verb,
                      OUTPUT_IN_EVENT, message);
}

static void tell_outcome(const struct probe *p, enum handler_outcome outcome, const char *message)
{
        if (outcome == HANDLER_FAILURE)
                tell_event(p, "Unhealthy", "failed", message);
        else if (outcome == HANDLER_WARNING)
                tell_event(p, "ProbeWarning", "warning", message);
        else if (outcome == HANDLER_ERROR)
                tell_event(p, "Unhealthy", "errored and resulted in unknown state", message);
}

static void arm(struct instance *i);

/* It could not be tried: that is no result. */
static bool take_result(struct probe *p, enum handler_outcome outcome, const char *message)
{
        bool success = outcome == HANDLER_SUCCESS || outcome == HANDLER_WARNING;

        if (outcome == HANDLER_ERROR)
                return false;
        if (!success) {
                free(p->why);
                p->why = mem_strdup(message);
        }
        return probe_result(&p->state, p->kind, &p->spec, success);
}

static void ended(void *userdata, enum handler_outcome outcome, const char *message)
{
        struct probe *p = userdata;
        struct instance *i = p->instance;
        const struct probes_opts *opts = &i->pod->all->opts;
        bool changed;

        p->run = NULL;
        tell_outcome(p, outcome, message);
        changed = take_result(p, outcome, message);
        if (!p->state.on_hold && !(p->kind == PROBE_STARTUP && p->state.verdict == VERDICT_SUCCESS))
                loop_timer_set(p->timer, probe_next_ms(&p->spec, clock_mono_ms() - p->began_ms));
        if (!changed)
                return;
        arm(i);
        if (opts->changed)
                opts->changed(opts->userdata, i->pod->uid); /* may free it */
}

static bool needs_address(const struct probe *p)
{
        const struct json_object *http = json_get(p->object, "httpGet"), *tcp = json_get(p->object, "tcpSocket");

        return (http && str_empty(json_get_str(http, "host"))) || (tcp && str_empty(json_get_str(tcp, "host"))) ||
               json_has(p->object, "grpc");
}

static void due(void *userdata)
{
        struct probe *p = userdata;
        const struct instance *i = p->instance;
        struct handler_target target = {.container = i->container, .container_id = i->id, .pod_ip = i->pod->ip};

        if (str_empty(i->pod->ip) && needs_address(p)) {
                loop_timer_set(p->timer, NO_ADDRESS_RETRY_MS);
                return;
        }
        p->began_ms = clock_mono_ms();
        p->run = handler_start(i->pod->all->opts.handlers, p->object, &target, p->spec.timeout_ms, ended, p);
}

static double dice(void)
{
        uint32_t v;

        random_bytes(&v, sizeof(v));
        return v / 4294967296.0;
}

static void begin_schedule(struct probe *p)
{
        const struct instance *i = p->instance;
        int64_t now = clock_wall_ns() / (int64_t)NS_PER_MS;
        bool adopted =
                now - i->started_ms > (int64_t)p->spec.delay_ms + ADOPTED_MS && !i->probes[PROBE_STARTUP].state.run;

        if (!p->timer && loop_timer_new(i->pod->all->opts.loop, due, p, &p->timer))
                return;
        p->armed = true;
        loop_timer_set(p->timer, probe_first_ms(&p->spec, i->started_ms, now, adopted, adopted ? dice() : 0));
}

static enum verdict startup_of(const struct instance *i)
{
        const struct probe *p = &i->probes[PROBE_STARTUP];

        return p->object ? p->state.verdict : VERDICT_SUCCESS;
}

static bool wanted(const struct probe *p)
{
        const struct instance *i = p->instance;
        enum verdict startup = startup_of(i);

        if (!p->object || p->state.on_hold || (i->pod->ending && p->kind != PROBE_READINESS))
                return false;
        return p->kind == PROBE_STARTUP ? startup != VERDICT_SUCCESS : startup == VERDICT_SUCCESS;
}

/* Begins and ends schedules as startup and the pod's end have it. */
static void arm(struct instance *i)
{
        for (int k = 0; k < PROBE_KINDS; k++) {
                struct probe *p = &i->probes[k];

                if (p->armed && !wanted(p))
                        end_schedule(p);
                else if (!p->armed && wanted(p))
                        begin_schedule(p);
        }
}

static const struct json_object *find_in(const struct json_object *spec, const char *list, const char *name)
{
        json_array_foreach (json_get(spec, list), i, c)
                if (str_eq(json_get_str(c, "name"), name))
                        return c;
        return NULL;
}

/* "containers" or "initContainers", and the container there; NULL: the pod has none of that name. */
static const struct json_object *find_container(const struct json_object *pod, const char *name, const char **ret_list)
{
        static const char *const lists[] = {"containers", "initContainers"};

        for (size_t n = 0; n < ARRAY_SIZE(lists); n++) {
                const struct json_object *c = find_in(json_get(pod, "spec"), lists[n], name);

                if (c) {
                        *ret_list = lists[n];
                        return c;
                }
        }
        return NULL;
}

/* What was told of this very instance before we were started: it does not become unready by our restart. */
static const struct json_object *told_of(const struct instance *i)
{
        static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};

        for (size_t n = 0; n < ARRAY_SIZE(lists); n++) {
                const struct json_object *s =
                        find_in(json_get(i->pod->pod, "status"), lists[n], json_get_str(i->container, "name"));
                const char *id = json_get_str(s, "containerID");

                if (id && str_has_suffix(id, i->id))
                        return s;
        }
        return NULL;
}

static void remember(struct instance *i)
{
        const struct json_object *told = told_of(i);

        if (json_get_bool(told, "started", false))
                i->probes[PROBE_STARTUP].state.verdict = VERDICT_SUCCESS;
        if (json_get_bool(told, "ready", false))
                i->probes[PROBE_READINESS].state.verdict = VERDICT_SUCCESS;
}

/* The container's objects belong to the pod's tree, which may be a new one. */
static void refer(struct instance *i)
{
        for (int k = 0; k < PROBE_KINDS; k++) {
                struct probe *p = &i->probes[k];

                p->object = json_get(i->container, probe_kind_field((enum probe_kind)k));
                if (p->object)
                        probe_spec_read(p->object, &p->spec);
        }
}

static struct instance *instance_new(struct pod_probes *pod, const struct container_status *c,
                                     const struct json_object *container, const char *list)
{
        struct instance *i = mem_new(struct instance);

        *i = (struct instance){.pod = pod, .next = pod->instances, .container = container, .list = list};
        str_copy(i->id, sizeof(i->id), c->id);
        i->started_ms = c->started_ns / (int64_t)NS_PER_MS;
        for (int k = 0; k < PROBE_KINDS; k++)
                i->probes[k] = (struct probe){.instance = i, .kind = (enum probe_kind)k};
        pod->instances = i;
        remember(i);
        return i;
}

static struct instance *find_instance(const struct pod_probes *pod, const char *id)
{
        for (struct instance *i = pod->instances; i; i = i->next)
                if (str_eq(i->id, id))
                        return i;
        return NULL;
}

static bool has_probes(const struct json_object *container)
{
        for (int k = 0; k < PROBE_KINDS; k++)
                if (json_has(container, probe_kind_field((enum probe_kind)k)))
                        return true;
        return false;
}

static void follow_container(struct pod_probes *pod, const struct container_status *c)
{
        const char *list = NULL;
        const struct json_object *container = find_container(pod->pod, c->name, &list);
        struct instance *i = find_instance(pod, c->id);

        if (c->state != CONTAINER_RUNNING || !container || !has_probes(container))
                return;
        if (!i)
                i = instance_new(pod, c, container, list);
        i->container = container;
        i->list = list;
        i->seen = true;
        refer(i);
        arm(i);
}

static void drop_unseen(struct pod_probes *pod)
{
        for (struct instance **at = &pod->instances; *at;) {
                struct instance *i = *at;

                if (i->seen) {
                        at = &i->next;
                        continue;
                }
                *at = i->next;
                instance_free(i);
        }
}

static bool is_of(const struct runtime_list *there, const struct container_status *c, const char *uid)
{
        for (size_t i = 0; i < there->nsandboxes; i++)
                if (str_eq(there->sandboxes[i].id, c->sandbox))
                        return str_eq(there->sandboxes[i].uid, uid);
        return false;
}

static struct pod_probes *pod_of(struct probes *all, const char *uid)
{
        struct pod_probes *pod = hashmap_get(&all->pods, uid);

        if (pod)
                return pod;
        pod = mem_new(struct pod_probes);
        *pod = (struct pod_probes){.all = all, .uid = mem_strdup(uid)};
        hashmap_put(&all->pods, pod->uid, pod);
        return pod;
}

void probes_follow(struct probes *p, struct json_object *object, const struct runtime_list *there, const char *pod_ip,
                   bool ending)
{
        const char *uid = json_at_str(object, "metadata.uid");
        _cleanup_json_ struct json_object *old = NULL; /* what instances that go point to */
        struct pod_probes *pod;

        if (!uid)
                return;
        pod = pod_of(p, uid);
        old = pod->pod;
        pod->pod = json_object_get(object);
        free(pod->ip);
        pod->ip = mem_strdup(pod_ip ?: "");
        pod->ending = ending;
        for (struct instance *i = pod->instances; i; i = i->next)
                i->seen = false;
        for (size_t n = 0; n < there->ncontainers; n++)
                if (is_of(there, &there->containers[n], uid))
                        follow_container(pod, &there->containers[n]);
        drop_unseen(pod);
}

static enum verdict verdict_of(const struct json_object *container, const struct instance *i, enum probe_kind kind)
{
        if (!json_has(container, probe_kind_field(kind)))
                return VERDICT_SUCCESS;
        return i ? i->probes[kind].state.verdict : VERDICT_UNKNOWN;
}

static void name_failure(const struct instance *i, struct probe_verdicts *ret)
{
        for (int k = 0; k < PROBE_READINESS; k++) {
                const struct probe *p = &i->probes[k];

                if (p->object && p->state.verdict == VERDICT_FAILURE) {
                        ret->grace_s = p->spec.grace_s;
                        ret->why = p->why ?: "";
                        return;
                }
        }
}

void probes_verdicts(const struct probes *p, const char *uid, const char *name, const char *id,
                     struct probe_verdicts *ret)
{
        const struct pod_probes *pod = hashmap_get(&p->pods, uid);
        const char *list = NULL;
        const struct json_object *container = pod ? find_container(pod->pod, name, &list) : NULL;
        const struct instance *i = pod ? find_instance(pod, id) : NULL;

        *ret = (struct probe_verdicts){VERDICT_UNKNOWN, VERDICT_UNKNOWN, VERDICT_UNKNOWN, -1, ""};
        if (!container)
                return;
        ret->startup = verdict_of(container, i, PROBE_STARTUP);
        ret->liveness = verdict_of(container, i, PROBE_LIVENESS);
        ret->readiness = verdict_of(container, i, PROBE_READINESS);
        if (i)
                name_failure(i, ret);
}
