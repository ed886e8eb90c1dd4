/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods and nodes are projected to values of their own. Of the others (Services, budgets, ...) the state keeps what
 * matters itself: their projection writes there, and the informer only keeps that the object exists, to tell when it is
 * gone.
 */
#include "scheduler/watch.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "scheduler/scheduler.h"

static char present; /* the value of objects that the state keeps itself */

/* ---- pods on nodes ---- */

static void pod_event(struct scheduler *s, const char *name, enum cluster_event event, const struct pod *pod,
                      const struct shape *before)
{
        const struct cluster_change change = {.event = event,
                                              .state = &s->state,
                                              .pod = pod->view->shape,
                                              .pod_before = before,
                                              .pod_node = pod->node};

        scheduler_event(s, name, &change);
}

/* The API server says where it is. */
static void pod_is_bound(struct scheduler *s, struct pod *pod)
{
        bool news = !pod->node || pod->assumed;

        queue_remove(&s->queue, pod);
        scheduler_denominate(s, pod);
        state_place(&s->state, pod, pod->view->node);
        bind_settled(s, pod);
        if (news)
                pod_event(s, "AssignedPodAdd", EVENT_POD_ADD, pod, NULL);
}

static bool asks_for_less(const struct shape *now, const struct shape *before)
{
        const struct resources *a = &now->request.exact, *b = &before->request.exact;

        if (a->milli_cpu < b->milli_cpu || a->memory < b->memory || a->ephemeral < b->ephemeral)
                return true;
        for (uint32_t i = 0; i < b->nothers; i++)
                if (resources_other(a, b->others[i].name) < b->others[i].value)
                        return true;
        return false;
}

static void placed_pod_changed(struct scheduler *s, struct pod *pod, const struct pod_view *old)
{
        const struct shape *now = pod->view->shape, *before = old->shape;

        if (pod->view->terminating && !old->terminating)
                pod_event(s, "AssignedPodUpdate", EVENT_POD_TERMINATING, pod, NULL);
        if (now == before)
                return;
        if (!label_set_equal(&now->labels, &before->labels))
                pod_event(s, "AssignedPodUpdate", EVENT_POD_LABEL, pod, before);
        if (asks_for_less(now, before))
                pod_event(s, "AssignedPodUpdate", EVENT_POD_SCALE_DOWN, pod, before);
}

static void pod_waits(struct scheduler *s, struct pod *pod, const struct pod_view *old)
{
        if (pod->assumed)
                return;
        if (pod->view->terminating || !scheduler_is_ours(s, pod->view->shape)) {
                queue_remove(&s->queue, pod);
                return;
        }
        if (pod->item.place == QUEUE_NOWHERE)
                queue_add(&s->queue, pod, clock_mono_ns());
        else if (!old || old->shape != pod->view->shape)
                queue_update(&s->queue, pod, clock_mono_ns());
        else
                return;
        scheduler_kick(s);
}

static void pod_gone(struct scheduler *s, const char *key, struct pod *pod)
{
        struct node *node = pod->node;

        queue_remove(&s->queue, pod);
        report_forget(s, pod);
        bind_settled(s, pod);
        scheduler_denominate(s, pod);
        if (node) {
                const struct cluster_change change = {.event = EVENT_POD_DELETE,
                                                      .state = &s->state,
                                                      .pod = pod->view->shape,
                                                      .pod_node = node->view ? node : NULL};

                state_remove(&s->state, pod);
                scheduler_event(s, "AssignedPodDelete", &change);
        }
        hashmap_del(&s->state.pods, key);
        free(pod);
}

static struct pod *pod_is_new(struct scheduler *s, const char *key, struct pod_view *view)
{
        struct pod *pod = mem_new(struct pod);

        pod->view = view;
        hashmap_put(&s->state.pods, key, pod);
        return pod;
}

/* Since the last view: our own nomination is not touched by a view that is older. */
static void follow_nomination(struct scheduler *s, struct pod *pod, const struct pod_view *old)
{
        if (pod->view->node || pod->assumed || pod->view->nominated == (old ? old->nominated : NULL))
                return;
        if (pod->view->nominated)
                state_nominate(&s->state, pod, pod->view->nominated);
        else
                scheduler_denominate(s, pod);
}

static void pod_is(struct scheduler *s, const char *key, struct pod *pod, const struct pod_view *old,
                   struct pod_view *now)
{
        bool placed = pod && pod->node;

        if (!pod)
                pod = pod_is_new(s, key, now);
        else
                state_set_view(&s->state, pod, now);
        follow_nomination(s, pod, old);
        if (now->node)
                pod_is_bound(s, pod);
        else
                pod_waits(s, pod, old);
        if (placed && old)
                placed_pod_changed(s, pod, old);
}

static void on_pod(void *userdata, const char *key, void *old, void *now)
{
        struct pod_view *before = old, *after = now;
        struct scheduler *s = userdata;
        struct pod *pod = hashmap_get(&s->state.pods, key);

        /* Deleted and made again, which was told as a change. */
        if (pod && after && strcmp(pod->view->uid, after->uid) != 0) {
                pod_gone(s, key, pod);
                pod = NULL;
                before = NULL;
        }
        if (after)
                pod_is(s, key, pod, before, after);
        else if (pod)
                pod_gone(s, key, pod);
}

static void *project_pod(void *userdata, const struct jnode *o)
{
        struct scheduler *s = userdata;
        struct pod_view *v = pod_view_new(&s->state.shapes, o);

        if (!v || !v->ended)
                return v;
        pod_view_free(&s->state.shapes, v); /* as good as gone: it needs nothing any more */
        return NULL;
}

static void release_pod(void *userdata, void *value)
{
        struct scheduler *s = userdata;

        pod_view_free(&s->state.shapes, value);
}

/* ---- nodes ---- */

static void node_event(struct scheduler *s, const char *name, enum cluster_event event, const struct node *n,
                       const struct node_view *before)
{
        const struct cluster_change change = {.event = event, .state = &s->state, .node = n, .before = before};

        scheduler_event(s, name, &change);
}

static void node_changed(struct scheduler *s, const struct node *n, const struct node_view *old)
{
        const struct node_marks *a = &n->view->marks, *b = &old->marks;

        if (a->labels != b->labels)
                node_event(s, "NodeLabelChange", EVENT_NODE_LABEL, n, old);
        if (a->taints != b->taints)
                node_event(s, "NodeTaintChange", EVENT_NODE_TAINT, n, old);
        if (a->allocatable != b->allocatable)
                node_event(s, "NodeAllocatableChange", EVENT_NODE_ALLOCATABLE, n, old);
}

static void on_node(void *userdata, const char *key, void *old, void *now)
{
        struct node_view *before = old, *after = now;
        const struct atom *name = (after ? after : before)->name;
        struct scheduler *s = userdata;

        if (before == after)
                return;
        state_set_node(&s->state, name, after);
        if (after && before)
                node_changed(s, state_node(&s->state, name), before);
        else if (after)
                node_event(s, "NodeAdd", EVENT_NODE_ADD, state_node(&s->state, name), NULL);
        else
                node_event(s, "NodeDelete", EVENT_NODE_DELETE, NULL, before);
}

static void *project_node(void *userdata, const struct jnode *o)
{
        struct scheduler *s = userdata;
        const char *name = jnode_at_str(o, "metadata.name");
        const struct atom *atom = name ? atoms_find(&s->state.atoms, name, strlen(name)) : NULL;
        const struct node *n = state_node(&s->state, atom);

        return node_view_new(&s->state.atoms, o, n ? n->view : NULL);
}

static void release_node(void *userdata, void *value)
{
        node_view_put(value);
}

/* ---- the others ---- */

/* "ns/name", or "name". */
static const char *key_of(const struct jnode *o, char *buf, size_t size)
{
        const char *ns = jnode_at_str(o, "metadata.namespace"), *name = jnode_at_str(o, "metadata.name");

        snprintf(buf, size, "%s%s%s", ns ? ns : "", ns ? "/" : "", name ? name : "");
        return buf;
}

static const struct jnode *or_empty(const struct jnode *o)
{
        static const struct jnode empty = {.type = JNODE_OBJECT};

        return o ? o : &empty;
}

static void *project_namespace(void *userdata, const struct jnode *o)
{
        struct scheduler *s = userdata;
        char key[600];

        state_set_namespace(&s->state, key_of(o, key, sizeof(key)), or_empty(jnode_at(o, "metadata.labels")));
        return &present;
}

static void on_namespace(void *userdata, const char *key, void *old, void *now)
{
        const struct cluster_change change = {.event = EVENT_NAMESPACE_LABEL};
        struct scheduler *s = userdata;

        if (!now)
                state_set_namespace(&s->state, key, NULL);
        scheduler_event(s, "NamespaceChange", &change);
}

static void *set_owner(struct scheduler *s, enum owner_kind kind, const struct jnode *o)
{
        char key[600];

        owners_set(&s->state.owners, &s->state.atoms, kind, key_of(o, key, sizeof(key)),
                   or_empty(jnode_at(o, "spec.selector")));
        return &present;
}

#define OWNER(name, kind)                                                                                              \
        static void *project_##name(void *userdata, const struct jnode *o)                                             \
        {                                                                                                              \
                return set_owner(userdata, kind, o);                                                                   \
        }                                                                                                              \
                                                                                                                       \
        static void on_##name(void *userdata, const char *key, void *old, void *now)                                   \
        {                                                                                                              \
                struct scheduler *s = userdata;                                                                        \
                                                                                                                       \
                if (!now)                                                                                              \
                        owners_set(&s->state.owners, &s->state.atoms, kind, key, NULL);                                \
        }

OWNER(service, OWNER_OTHER)
OWNER(replica_set, OWNER_REPLICA_SET)
OWNER(replication_controller, OWNER_REPLICATION_CONTROLLER)
OWNER(stateful_set, OWNER_STATEFUL_SET)

static void *project_budget(void *userdata, const struct jnode *o)
{
        struct scheduler *s = userdata;
        char key[600];

        disruption_set(&s->state.disruption, &s->state.atoms, key_of(o, key, sizeof(key)), o);
        return &present;
}

static void on_budget(void *userdata, const char *key, void *old, void *now)
{
        struct scheduler *s = userdata;

        s->state.generation++;
        if (!now)
                disruption_set(&s->state.disruption, &s->state.atoms, key, NULL);
}

static void volumes_changed(struct scheduler *s)
{
        const struct cluster_change change = {.event = EVENT_CLAIM, .state = &s->state};

        s->state.generation++;
        scheduler_event(s, "PvcOrPvChange", &change);
}

static void *project_claim(void *userdata, const struct jnode *o)
{
        struct scheduler *s = userdata;
        char key[600];

        volumes_set_claim(&s->state.volumes, &s->state.atoms, key_of(o, key, sizeof(key)), o);
        return &present;
}

static void on_claim(void *userdata, const char *key, void *old, void *now)
{
        struct scheduler *s = userdata;

        if (!now)
                volumes_set_claim(&s->state.volumes, &s->state.atoms, key, NULL);
        volumes_changed(s);
}

static void *project_volume(void *userdata, const struct jnode *o)
{
        struct scheduler *s = userdata;
        char key[600];

        volumes_set_volume(&s->state.volumes, &s->state.atoms, key_of(o, key, sizeof(key)), o);
        return &present;
}

static void on_volume(void *userdata, const char *key, void *old, void *now)
{
        struct scheduler *s = userdata;

        if (!now)
                volumes_set_volume(&s->state.volumes, &s->state.atoms, key, NULL);
        volumes_changed(s);
}

static void release_nothing(void *userdata, void *value)
{
}

/* ---- all of them ---- */

static const struct watch {
        const char *path, *fields;
        void *(*project)(void *userdata, const struct jnode *o);
        informer_fn handle;
        void (*release)(void *userdata, void *value);
} watches[] = {
        {"/api/v1/nodes", NULL, project_node, on_node, release_node},
        {"/api/v1/pods", "status.phase!=Succeeded,status.phase!=Failed", project_pod, on_pod, release_pod},
        {"/api/v1/namespaces", NULL, project_namespace, on_namespace, release_nothing},
        {"/api/v1/services", NULL, project_service, on_service, release_nothing},
        {"/api/v1/replicationcontrollers", NULL, project_replication_controller, on_replication_controller,
         release_nothing},
        {"/apis/apps/v1/replicasets", NULL, project_replica_set, on_replica_set, release_nothing},
        {"/apis/apps/v1/statefulsets", NULL, project_stateful_set, on_stateful_set, release_nothing},
        {"/apis/policy/v1/poddisruptionbudgets", NULL, project_budget, on_budget, release_nothing},
        {"/api/v1/persistentvolumeclaims", NULL, project_claim, on_claim, release_nothing},
        {"/api/v1/persistentvolumes", NULL, project_volume, on_volume, release_nothing},
};

_Static_assert(ARRAY_SIZE(watches) <= WATCHES_MAX, "room for all");

static void on_synced(void *userdata)
{
        struct scheduler *s = userdata;

        if (--s->watches.unsynced)
                return;
        log_info("the cluster is known", "nodes=%u pods=%zu pending=%u", s->state.nnodes, s->state.pods.count,
                 queue_count(&s->queue, QUEUE_ACTIVE));
        scheduler_kick(s);
}

int watch_start(struct scheduler *s, struct err *reterr)
{
        s->watches.unsynced = ARRAY_SIZE(watches);
        for (size_t i = 0; i < ARRAY_SIZE(watches); i++) {
                const struct watch *w = &watches[i];
                struct informer **inf = &s->watches.informers[i];
                int r = informer_new(&(struct informer_opts){.client = s->client,
                                                             .path = w->path,
                                                             .field_selector = w->fields,
                                                             .project_node = w->project,
                                                             .release = w->release,
                                                             .userdata = s},
                                     inf);

                if (r)
                        return err_set(reterr, r, "cannot watch %s: %s", w->path, strerror(-r));
                s->watches.n++;
                informer_add_handler(*inf, w->handle, s);
                informer_on_synced(*inf, on_synced, s);
                informer_start(*inf);
        }
        return 0;
}

/* Views are the informers': what points to them goes first. */
void watch_free(struct scheduler *s)
{
        hashmap_foreach (&s->state.pods, slot) {
                struct pod *pod = slot->value;

                state_nominate(&s->state, pod, NULL);
                state_remove(&s->state, pod);
        }
        for (uint32_t i = 0; i < s->watches.n; i++)
                informer_free(s->watches.informers[i]);
}
