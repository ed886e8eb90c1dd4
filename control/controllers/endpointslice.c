/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EndpointSlices of Services that have a selector: what their pods come to as endpoints, in as few writes as may be.
 * A sync compares all of a service's pods with all of its slices, and keeps nothing: that a slice is right is seen from
 * the slice.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/config.h"
#include "controllers/controllers.h"
#include "controllers/endpoint/membership.h"
#include "controllers/endpoint/metrics.h"
#include "controllers/endpoint/placement.h"
#include "controllers/endpoint/spread.h"

#define MANAGER "endpointslice-controller.k8s.io"
/* What has changed is looked at later: mostly it is what was just written. */
#define ECHO_MS 1000

struct state {
        struct membership *membership;
        struct zones zones;
        struct slice_metrics metrics;
};

struct look {
        struct sync *sync;
        struct state *state;
        struct service service;
        struct kobjs pods;
        struct drafts drafts;
        struct group *groups;
        struct placed placed;
        struct object_counts counts;
        const struct kobj *node; /* the last that was looked up */
};

/* ---- endpoints ---- */

static enum tri tri_of(bool v)
{
        return v ? TRI_TRUE : TRI_FALSE;
}

static const struct kobj *node_of(struct look *l, const char *name)
{
        if (!l->node || !str_eq(l->node->name, name))
                l->node = lister_find(l->sync->lister, &res_nodes, name);
        return l->node;
}

static void fill_hints(const struct look *l, struct slice_endpoint *e)
{
        bool hinted = !l->service.spread && e->ready == TRI_TRUE;

        e->for_zone = hinted && l->service.traffic != TRAFFIC_ANYWHERE ? e->zone : "";
        e->for_node = hinted && l->service.traffic == TRAFFIC_SAME_NODE ? e->node : "";
}

static void fill_endpoint(const struct look *l, const struct kobj *pod, const char *zone, struct slice_endpoint *e)
{
        bool serving = pod_is_ready(pod), ending = pod->deleted_s != 0;

        e->hostname = pod_endpoint_hostname(pod, l->service.object);
        e->node = pod->pod->node;
        e->zone = zone;
        e->kind = "Pod";
        e->ns = pod->ns;
        e->name = pod->name;
        e->uid = pod->uid;
        e->ready = tri_of(l->service.publish_not_ready || (serving && !ending));
        e->serving = tri_of(serving);
        e->terminating = tri_of(ending);
        fill_hints(l, e);
}

/* ---- groups of endpoints with the same ports ---- */

struct numbered {
        struct group group;
        const int32_t *numbers; /* of each of the service's ports; -1: the pod has no such port */
        size_t room;
};

static struct numbered *new_group(struct look *l, enum family f, const int32_t *numbers)
{
        const struct service *svc = &l->service;
        struct numbered *g = arena_new(l->sync->mem, struct numbered);
        struct slice_port *ports = arena_array(l->sync->mem, struct slice_port, svc->nports);

        g->numbers = numbers;
        g->group.family = f;
        g->group.ports = ports;
        for (size_t i = 0; i < svc->nports; i++)
                if (numbers[i] >= 0)
                        ports[g->group.nports++] = (struct slice_port){svc->ports[i].name, svc->ports[i].protocol,
                                                                       svc->ports[i].app, numbers[i]};
        g->group.next = l->groups;
        l->groups = &g->group;
        return g;
}

static struct numbered *group_of(struct look *l, enum family f, const struct kobj *pod)
{
        const struct service *svc = &l->service;
        int32_t numbers[svc->nports + 1], *kept;

        for (size_t i = 0; i < svc->nports; i++)
                numbers[i] = pod_target_port(pod->pod, &svc->ports[i]);
        for (struct group *g = l->groups; g; g = g->next) {
                struct numbered *n = (struct numbered *)g;

                if (g->family == f && !memcmp(n->numbers, numbers, svc->nports * sizeof(*numbers)))
                        return n;
        }
        kept = arena_array(l->sync->mem, int32_t, svc->nports);
        memcpy(kept, numbers, svc->nports * sizeof(*numbers));
        return new_group(l, f, kept);
}

static struct wanted *next_wanted(const struct look *l, struct numbered *g)
{
        struct wanted *all;

        if (g->group.n == g->room) { /* mostly there is one group of all pods */
                g->room = g->group.next ? MAX(2 * g->room, (size_t)4) : l->pods.n;
                all = arena_array(l->sync->mem, struct wanted, g->room);
                if (g->group.n)
                        memcpy(all, g->group.wanted, g->group.n * sizeof(*all));
                g->group.wanted = all;
        }
        return &g->group.wanted[g->group.n++];
}

/* A pod whose node is gone will be gone soon: it is an endpoint only where even what is not ready is wanted. When the
 * node comes, the service is looked at again. */
static void want_pod(struct look *l, enum family f, const struct kobj *pod)
{
        const char *address = pod_address(pod->pod, f, l->sync->mem);
        const struct kobj *node;
        struct wanted *w;

        if (!address || !pod_has_endpoint(pod))
                return;
        node = node_of(l, pod->pod->node);
        if (!node && !l->service.publish_not_ready)
                return;
        w = next_wanted(l, group_of(l, f, pod));
        *w = (struct wanted){.e.address = address, .since_s = pod_ready_since(pod)};
        fill_endpoint(l, pod, node ? node_zone(node) : "", &w->e);
}

/* ---- slices ---- */

static bool is_reserved(const char *label)
{
        return str_eq(label, LABEL_SERVICE) || str_eq(label, LABEL_MANAGED_BY) || str_eq(label, LABEL_HEADLESS);
}

/* Those of the service, and the controller's own. */
static void want_labels(struct look *l)
{
        const struct kobj *o = l->service.object;
        struct label *all = arena_array(l->sync->mem, struct label, (size_t)o->nlabels + 3);
        size_t n = 0;

        for (size_t i = 0; i < o->nlabels; i++)
                if (!is_reserved(o->labels[i].key))
                        all[n++] = o->labels[i];
        if (!l->service.has_ip)
                all[n++] = (struct label){LABEL_HEADLESS, ""};
        all[n++] = (struct label){LABEL_SERVICE, o->name};
        all[n++] = (struct label){LABEL_MANAGED_BY, MANAGER};
        l->drafts.labels = all;
        l->drafts.nlabels = n;
}

/* A service always has a slice of each family, so that it can be seen that it has no endpoints. */
static void ensure_placeholder(struct look *l, enum family f)
{
        struct draft *old = NULL;

        drafts_foreach (&l->drafts, d) {
                if (d->family != f)
                        continue;
                if (d->what != DRAFT_DELETE)
                        return;
                if (draft_is_owned(&l->drafts, d) && !d->was->slice->nports && !d->was->slice->nendpoints)
                        old = d;
        }
        l->counts.desired_slices++;
        if (!old)
                draft_new(&l->drafts, f, NULL, 0);
        else if (draft_is_mislabelled(&l->drafts, old))
                draft_change(&l->drafts, old);
        else
                old->what = DRAFT_KEEP;
}

static void place(struct look *l)
{
        for (struct group *g = l->groups; g; g = g->next) {
                l->counts.endpoints += (unsigned int)g->n;
                l->counts.desired_slices += (unsigned int)((g->n + l->drafts.max - 1) / l->drafts.max);
                placement_fill(&l->drafts, g, !l->service.spread, &l->placed);
        }
        for (enum family f = FAMILY_V4; f < FAMILY_COUNT; f++) {
                if (!l->service.families[f])
                        continue;
                ensure_placeholder(l, f);
                if (l->service.spread)
                        spread_hints(&l->drafts, f, &l->state->zones);
        }
}

/* ---- the sync ---- */

static void count(struct look *l, const struct draft_counts *c)
{
        struct slice_metrics *m = &l->state->metrics;
        enum traffic t = l->service.spread ? TRAFFIC_ANYWHERE : l->service.traffic;

        histogram_observe(&m->added, l->placed.added);
        histogram_observe(&m->removed, l->placed.removed);
        histogram_observe(&m->changed[l->service.spread][t], c->created + c->updated + c->deleted);
        slice_metrics_planned(m, l->sync, c);
        l->counts.slices = c->left;
        l->counts.traffic = t;
        slice_metrics_object(m, l->sync->key, &l->counts);
}

static struct telling telling_of(const struct sync *s)
{
        return (struct telling){
                .failed_reason = "FailedToUpdateEndpointSlices",
                .failed_text = arena_printf(s->mem,
                                            "Error updating Endpoint Slices for Service %s: failed to update {name} "
                                            "EndpointSlice: {error}",
                                            s->key),
        };
}

static bool has_slices(const struct look *l)
{
        drafts_foreach (&l->drafts, d)
                if (draft_is_owned(&l->drafts, d))
                        return true;
        return false;
}

static void sync_selected(struct look *l)
{
        struct telling telling = telling_of(l->sync);
        const struct kobj *o = l->service.object;
        struct draft_counts counts;
        int64_t trigger_s;

        l->pods = lister_labelled(l->sync->lister, &res_pods, o->ns, l->service.selector, l->service.nselector,
                                  l->sync->mem);
        for (enum family f = FAMILY_V4; f < FAMILY_COUNT; f++)
                for (size_t i = 0; l->service.families[f] && i < l->pods.n; i++)
                        want_pod(l, f, l->pods.items[i]);
        drafts_init(&l->drafts, l->sync, o);
        l->drafts.max = l->sync->config->endpoints_per_slice;
        l->drafts.foreign_annotations = true;
        want_labels(l);
        placement_take(&l->drafts, MANAGER, l->groups, l->service.families);
        trigger_s = has_slices(l) ? 0 : o->created_s;
        place(l);
        counts = drafts_plan(&l->drafts, trigger_s ? trigger_s : l->placed.trigger_s, &telling);
        count(l, &counts);
}

/* The garbage collector would do it, too, but later. */
static void delete_left(struct sync *s)
{
        struct kobjs slices = placement_slices(s, MANAGER);

        kobjs_foreach (slices, o)
                for (size_t i = 0; i < o->nowners && !o->deleted_s; i++) {
                        if (!str_eq(o->owners[i].kind, "Service") || !str_eq(o->owners[i].name, s->name))
                                continue;
                        plan_delete(s, o);
                        break;
                }
}

static void sync_service(struct sync *s)
{
        const struct kobj *o = lister_find(s->lister, &res_services, s->key);
        struct state *state = s->state;
        struct look l = {.sync = s, .state = state};

        if (!o) {
                slice_metrics_object(&state->metrics, s->key, NULL);
                delete_left(s);
                return;
        }
        service_read(&l.service, o, s->mem);
        if (service_selects(&l.service))
                sync_selected(&l);
        else
                slice_metrics_object(&state->metrics, s->key, NULL);
}

/* ---- what has changed ---- */

static struct state *state_of(const struct runner *r)
{
        return runner_state(r);
}

static void on_service(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        membership_service_changed(state_of(r)->membership, r, old, now);
}

static void on_pod(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        membership_pod_changed(state_of(r)->membership, r, old, now);
}

static void on_node(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct state *state = state_of(r);

        membership_node_changed(state->membership, r, old, now);
        if (zones_node_changed(&state->zones, old, now))
                membership_add_spread(state->membership, r);
}

static void add_service_of(struct runner *r, const struct kobj *slice)
{
        const char *name = kobj_label(slice, LABEL_SERVICE);
        _cleanup_free_ char *key = NULL;

        if (!name || !str_eq(kobj_label(slice, LABEL_MANAGED_BY), MANAGER))
                return;
        key = mem_printf("%s/%s", slice->ns, name);
        runner_add_after(r, key, (uint64_t)MAX(runner_config(r)->endpoint_batch_ms, (int64_t)ECHO_MS));
}

static void on_slice(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        if (old)
                add_service_of(r, old);
        if (now)
                add_service_of(r, now);
}

static void *state_new(struct runner *r)
{
        struct state *state = mem_new(struct state);

        state->membership = membership_new();
        slice_metrics_init(&state->metrics);
        return state;
}

static void state_free(void *data)
{
        struct state *state = data;

        membership_free(state->membership);
        zones_deinit(&state->zones);
        slice_metrics_deinit(&state->metrics);
        free(state);
}

static void metrics(const struct runner *r, struct strbuf *b)
{
        slice_metrics_write(&state_of(r)->metrics, b);
}

const struct controller controller_endpointslice = {
        .name = "endpointslice",
        .event_source = "endpoint-slice-controller",
        .watches =
                (const struct watch[]){
                        {&res_nodes, on_node},
                        {&res_services, on_service},
                        {&res_pods, on_pod},
                        {&res_endpointslices, on_slice},
                        {0},
                },
        .sync = sync_service,
        .workers = 64,
        .state_new = state_new,
        .state_free = state_free,
        .metrics = metrics,
};
