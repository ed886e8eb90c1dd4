/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/daemonset.h"

#define BURST               250 /* of each in one sync: between two of these it looks at the spec again */
#define LABEL_HASH          "controller-revision-hash"
#define LABEL_GENERATION    "pod-template-generation"
#define TEMPLATE_GENERATION "deprecated.daemonset.template.generation"

static const struct telling telling_create = {"SuccessfulCreate", "Created pod: {name}", "FailedCreate",
                                              "Error creating: {error}"};
static const struct telling telling_delete = {"SuccessfulDelete", "Deleted pod: {name}", "FailedDelete",
                                              "Error deleting: {error}"};

/* ---- the template ---- */

static bool is_same_toleration(const struct json_object *a, const struct json_object *b)
{
        static const char *const keys[] = {"key", "operator", "value", "effect"};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                const char *x = json_get_str(a, keys[i]), *y = json_get_str(b, keys[i]);

                if (!str_eq(x ? x : "", y ? y : ""))
                        return false;
        }
        return true;
}

/* One that is there already loses its tolerationSeconds. */
static void tolerate(struct json_object *list, const char *key, const char *effect)
{
        struct json_object *t = json_object_new_object();

        json_set_str(t, "key", key);
        json_set_str(t, "operator", "Exists");
        json_set_str(t, "effect", effect);
        for (size_t i = 0; i < json_len(list); i++)
                if (is_same_toleration(json_idx(list, i), t)) {
                        json_object_array_put_idx(list, i, t);
                        return;
                }
        json_object_array_add(list, t);
}

/* A node's daemons run while it is in trouble: some of them are what helps it out. */
static void add_tolerations(struct json_object *spec)
{
        static const char *const no_execute[] = {"not-ready", "unreachable"};
        static const char *const no_schedule[] = {"disk-pressure", "memory-pressure", "pid-pressure", "unschedulable",
                                                  "network-unavailable"};
        bool host_network = json_get_bool(spec, "hostNetwork", false);
        struct json_object *list = json_get(spec, "tolerations");
        char key[64];

        if (!json_is_array(list))
                json_set(spec, "tolerations", list = json_object_new_array());
        for (size_t i = 0; i < ARRAY_SIZE(no_execute); i++) {
                snprintf(key, sizeof(key), "node.kubernetes.io/%s", no_execute[i]);
                tolerate(list, key, "NoExecute");
        }
        for (size_t i = 0; i < ARRAY_SIZE(no_schedule) - !host_network; i++) {
                snprintf(key, sizeof(key), "node.kubernetes.io/%s", no_schedule[i]);
                tolerate(list, key, "NoSchedule");
        }
}

void daemons_read_template(struct daemons *d)
{
        struct json_object *labels;
        int64_t n;

        d->hash = revision_hash(&d->history, d->current);
        d->generation = kobj_annotation(d->set, TEMPLATE_GENERATION);
        if (d->generation && str_parse_i64(d->generation, &n))
                d->generation = NULL;
        d->template = json_copy(json_at(d->json, "spec.template"));
        labels = json_ensure(json_ensure(d->template, "metadata"), "labels");
        if (d->generation)
                json_set_str(labels, LABEL_GENERATION, d->generation);
        json_set_str(labels, LABEL_HASH, d->hash);
        add_tolerations(json_ensure(d->template, "spec"));
}

/* ---- nodes ---- */

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct place *)a)->name, ((const struct place *)b)->name);
}

static void judge(struct place *p, const struct nodefit *fit)
{
        bool matches = nodefit_matches(fit, p->node);

        p->wanted = matches && nodefit_tolerates(fit, p->node, TAINT_NO_SCHEDULE | TAINT_NO_EXECUTE);
        p->tolerated = p->wanted || (matches && nodefit_tolerates(fit, p->node, TAINT_NO_EXECUTE));
}

static void add_nodes(struct daemons *d, struct kobjs nodes)
{
        const struct nodefit *fit = nodefit_new(d->sync->mem, json_get(d->template, "spec"));

        kobjs_foreach (nodes, node) {
                struct place *p = &d->places[d->nplaces++];

                *p = (struct place){.name = node->name, .node = node};
                judge(p, fit);
                d->desired += p->wanted;
        }
}

/* ---- their pods ---- */

static const char *target_of(const struct kobj *pod)
{
        return *pod->pod->node ? pod->pod->node : pod->pod->wants_node;
}

/* Bound ones first, then the older one. */
static bool goes_before(const struct kobj *a, const struct kobj *b)
{
        bool bound_a = *a->pod->node, bound_b = *b->pod->node;

        if (bound_a != bound_b)
                return bound_a;
        return a->created_s != b->created_s ? a->created_s < b->created_s : strcmp(a->name, b->name) < 0;
}

static void put(struct daemons *d, struct place *p, const struct kobj *pod)
{
        struct placed *entry = arena_new(d->sync->mem, struct placed), **at = &p->pods;

        while (*at && goes_before((*at)->pod, pod))
                at = &(*at)->next;
        *entry = (struct placed){*at, pod};
        *at = entry;
}

static struct place *place_of(struct daemons *d, struct hashmap *by_node, const char *name)
{
        struct place *p = hashmap_get(by_node, name);

        if (p)
                return p;
        p = &d->places[d->nplaces++];
        *p = (struct place){.name = name};
        hashmap_put(by_node, p->name, p);
        return p;
}

/* One that has ended and is being deleted waits for others to let go of it. */
static void add_pods(struct daemons *d, struct kobjs pods)
{
        struct hashmap by_node;

        hashmap_init(&by_node, HASHMAP_STR);
        for (size_t i = 0; i < d->nplaces; i++)
                hashmap_put(&by_node, d->places[i].name, &d->places[i]);
        kobjs_foreach (pods, pod) {
                if (*target_of(pod) && !(pod_is_finished(pod) && pod->deleted_s))
                        put(d, place_of(d, &by_node, target_of(pod)), pod);
        }
        hashmap_deinit(&by_node);
}

/* In order of names: so a look that is not up to date chooses the same nodes again. */
void daemons_find_places(struct daemons *d, struct kobjs pods)
{
        struct kobjs nodes = lister_all(d->sync->lister, &res_nodes, d->sync->mem);

        d->places = arena_array(d->sync->mem, struct place, nodes.n + pods.n + 1);
        add_nodes(d, nodes);
        add_pods(d, pods);
        qsort(d->places, d->nplaces, sizeof(*d->places), by_name);
}

bool daemon_is_updated(const struct daemons *d, const struct kobj *pod)
{
        return str_eq(kobj_label(pod, LABEL_HASH), d->hash) ||
               (d->generation && str_eq(kobj_label(pod, LABEL_GENERATION), d->generation));
}

bool daemon_is_available(const struct daemons *d, const struct kobj *pod)
{
        return pod_is_available(pod, d->min_ready_s, d->sync->now_ms, NULL);
}

/* ---- a pod more, a pod less ---- */

/* The scheduler shall put it there and nowhere else. What the template requires of nodes has been looked at. */
static void bind_to(struct json_object *spec, const char *node)
{
        struct json_object *term = json_object_new_object(), *field = json_object_new_object(),
                           *fields = json_object_new_array(), *values = json_object_new_array(),
                           *terms = json_object_new_array(), *required = json_object_new_object();

        json_object_array_add(values, json_object_new_string(node));
        json_set_str(field, "key", "metadata.name");
        json_set_str(field, "operator", "In");
        json_set(field, "values", values);
        json_object_array_add(fields, field);
        json_set(term, "matchFields", fields);
        json_object_array_add(terms, term);
        json_set(required, "nodeSelectorTerms", terms);
        json_set(json_ensure(json_ensure(spec, "affinity"), "nodeAffinity"),
                 "requiredDuringSchedulingIgnoredDuringExecution", required);
}

void daemons_create(struct daemons *d, const struct place *p)
{
        struct json_object *pod;
        struct step *st;

        if (failure_of_ending_namespace(d->sync->failed))
                return;
        if (d->ncreated++ >= BURST) {
                plan_after(d->sync, 0);
                return;
        }
        pod = pod_from_template(d->set, d->template);
        bind_to(json_get(pod, "spec"), p->name);
        st = plan_create(d->sync, &res_pods, pod);
        step_slow_start(st);
        step_tell(st, d->set, &telling_create);
}

void daemons_delete(struct daemons *d, const struct kobj *pod)
{
        if (d->ndeleted++ >= BURST)
                plan_after(d->sync, 0);
        else
                step_tell(plan_delete(d->sync, pod), d->set, &telling_delete);
}
