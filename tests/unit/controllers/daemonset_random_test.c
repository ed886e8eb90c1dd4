/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a DaemonSet: nodes come, go, are tainted, templates are edited, pods fail, writes are refused or
 * lost, the controller crashes. After each change of the API's state: no more pods on a node than may be, and no more
 * nodes without a pod that serves, by the controller's own doing, than the limit says. At rest: one on each node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/histories.h"

#define NODES  6
#define PODS   128
#define SEEDS  5 /* of each kind; FAIRLEAD_SEEDS=200 for more */
#define STEPS  30
#define ROUNDS 200 /* until it is at rest */

struct seen {
        char name[128];
        int node;
        bool serves, ends, kept; /* kept: it was there at this look, too */
};

struct story {
        struct world *w;
        uint64_t seed;
        struct seen pods[PODS];
        size_t npods;
        bool there[NODES], tainted[NODES];
        bool disturbed[NODES]; /* by users or kubelets, since all was at rest */
        bool down[NODES];      /* by the controller */
        bool by_others, surges;
        int limit, version;
};

/* ---- looking ---- */

static int node_of(struct json_object *pod)
{
        struct json_object *required =
                json_at(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        struct json_object *term = json_idx(json_get(required, "nodeSelectorTerms"), 0);
        struct json_object *values = json_get(json_idx(json_get(term, "matchFields"), 0), "values");
        const char *name = json_object_get_string(json_idx(values, 0));

        return name[strlen(name) - 1] - '0';
}

static bool is_ready(struct json_object *pod)
{
        json_array_foreach (json_at(pod, "status.conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), "Ready"))
                        return str_eq(json_get_str(c, "status"), "True");
        return false;
}

static struct seen *find(struct story *s, const char *name)
{
        for (size_t i = 0; i < s->npods; i++)
                if (str_eq(s->pods[i].name, name))
                        return &s->pods[i];
        return NULL;
}

static bool is_finished(struct json_object *pod)
{
        const char *phase = json_at_str(pod, "status.phase");

        return str_eq(phase, "Failed") || str_eq(phase, "Succeeded");
}

/* A pod that served has been told to go, or is gone. */
static void note_end(struct story *s, const struct seen *was)
{
        if (was->serves && !s->by_others)
                s->down[was->node] = true;
}

static void look_at(struct story *s, struct json_object *pod)
{
        const char *name = json_at_str(pod, "metadata.name");
        bool ends = json_has(json_get(pod, "metadata"), "deletionTimestamp");
        struct seen *was = find(s, name);

        if (!was) {
                assert_true(s->npods < PODS);
                was = &s->pods[s->npods++];
                *was = (struct seen){.node = node_of(pod)};
                str_copy(was->name, sizeof(was->name), name);
        }
        if (ends && !was->ends)
                note_end(s, was);
        was->ends = ends;
        was->serves = !ends && is_ready(pod) && !is_finished(pod);
        was->kept = true;
}

static void forget_gone(struct story *s)
{
        size_t n = 0;

        for (size_t i = 0; i < s->npods; i++) {
                if (s->pods[i].kept)
                        s->pods[n++] = s->pods[i];
                else if (!s->pods[i].ends)
                        note_end(s, &s->pods[i]);
        }
        s->npods = n;
        for (size_t i = 0; i < n; i++)
                s->pods[i].kept = false;
}

/* Of the pods on one node. Who does not surge waits until a pod is gone before there is the next. */
static void check_node(const struct story *s, int node, int all, int active)
{
        if (active > 1 + s->surges || (!s->surges && all > 1))
                fail_msg("seed %llu: node-%d has %d pods, of which %d do not end", (unsigned long long)s->seed, node,
                         all, active);
}

static void check_limits(const struct story *s, const int *active)
{
        int down = 0, doubled = 0;

        for (int i = 0; i < NODES; i++) {
                down += s->down[i] && !s->disturbed[i];
                doubled += active[i] > 1 && !s->disturbed[i];
        }
        if (down > (s->surges ? 0 : s->limit) || doubled > (s->surges ? s->limit : 0))
                fail_msg("seed %llu: %d nodes are down, %d have two pods; the limit is %d %s",
                         (unsigned long long)s->seed, down, doubled, s->limit, s->surges ? "more" : "down");
}

static void check(struct world *w, void *userdata)
{
        struct story *s = userdata;
        int active[NODES] = {0}, all[NODES] = {0};
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++) {
                int node = node_of(pods[i]);

                look_at(s, pods[i]);
                all[node] += !is_finished(pods[i]);
                active[node] += !is_finished(pods[i]) && !json_has(json_get(pods[i], "metadata"), "deletionTimestamp");
        }
        forget_gone(s);
        for (size_t i = 0; i < s->npods; i++)
                if (s->pods[i].serves)
                        s->down[s->pods[i].node] = false;
        for (int i = 0; i < NODES; i++)
                check_node(s, i, all[i], active[i]);
        check_limits(s, active);
}

/* ---- acting ---- */

static void toggle_node(struct story *s, int i)
{
        char name[16];

        snprintf(name, sizeof(name), "node-%d", i);
        s->disturbed[i] = true;
        s->there[i] = !s->there[i];
        s->tainted[i] = false;
        if (!s->there[i]) {
                world_delete(s->w, &res_nodes, NULL, name, NULL);
                return;
        }
        world_apply(s->w, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'}}", name);
        world_patch(s->w, &res_nodes, NULL, name, "{'spec':{'taints':null}}");
}

static void toggle_taint(struct story *s, int i)
{
        char name[16];

        if (!s->there[i])
                return;
        snprintf(name, sizeof(name), "node-%d", i);
        s->disturbed[i] = true;
        s->tainted[i] = !s->tainted[i];
        world_patch(s->w, &res_nodes, NULL, name, "{'spec':{'taints':%s}}",
                    s->tainted[i] ? "[{'key':'k','effect':'NoExecute'}]" : "null");
}

static void edit(struct story *s)
{
        s->version++;
        world_patch(s->w, &res_daemonsets, "d", "log",
                    "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'v%d'}]}}}}",
                    (int)world_random(s->w, 2) ? s->version : s->version / 2);
}

static void harm_pod(struct story *s)
{
        struct seen *pod = s->npods ? &s->pods[world_random(s->w, s->npods)] : NULL;
        char name[128];

        if (!pod || pod->ends || !json_at_str(world_get(s->w, &res_pods, "d", pod->name), "spec.nodeName"))
                return;
        s->disturbed[pod->node] = true;
        str_copy(name, sizeof(name), pod->name);
        switch (world_random(s->w, 3)) {
        case 0:
                world_pod_status(s->w, "d", name, "Failed", false);
                break;
        case 1:
                world_pod_status(s->w, "d", name, "Running", world_random(s->w, 2));
                break;
        default:
                world_delete(s->w, &res_pods, "d", name, NULL);
        }
}

static void act(void *story)
{
        struct story *s = story;
        s->by_others = true;
        switch (world_random(s->w, 8)) {
        case 0:
                toggle_node(s, (int)world_random(s->w, NODES));
                break;
        case 1:
                toggle_taint(s, (int)world_random(s->w, NODES));
                break;
        case 2:
        case 3:
                edit(s);
                break;
        case 4:
                harm_pod(s);
                break;
        default:
                world_kubelet(s->w, NODES, NULL, NULL);
        }
        s->by_others = false;
}

/* What pod garbage collection does: a bound pod of a node that is gone would stay. */
static void collect(struct story *s)
{
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(s->w, &res_pods, "d", &n);

        for (size_t i = 0; i < n; i++)
                if (!s->there[node_of(pods[i])])
                        world_delete(s->w, &res_pods, "d", json_at_str(pods[i], "metadata.name"), NULL);
}

static const char *mend(void *userdata, struct json_object *pod)
{
        return is_finished(pod) || (str_eq(json_at_str(pod, "status.phase"), "Running") && is_ready(pod)) ? NULL
                                                                                                          : "Running";
}

/* A kubelet of a pod that runs and is not ready writes nothing by itself. */
static void make_ready(struct story *s)
{
        for (size_t i = 0; i < s->npods; i++) {
                struct json_object *pod = world_get(s->w, &res_pods, "d", s->pods[i].name);

                if (pod && !s->pods[i].ends && !s->pods[i].serves && !is_finished(pod) &&
                    json_at_str(pod, "spec.nodeName"))
                        world_pod_status(s->w, "d", s->pods[i].name, "Running", true);
        }
}

static void come_to_rest(struct story *s)
{
        uint64_t before, quiet = 0;

        for (int round = 0; quiet < 2; round++) {
                if (round == ROUNDS)
                        fail_msg("seed %llu: it does not come to rest", (unsigned long long)s->seed);
                before = world_writes(s->w);
                s->by_others = true;
                collect(s);
                world_kubelet(s->w, NODES, mend, NULL);
                make_ready(s);
                s->by_others = false;
                world_pass(s->w, quiet ? 30000 : 1500);
                quiet = world_writes(s->w) == before ? quiet + 1 : 0;
        }
        memset(s->disturbed, 0, sizeof(s->disturbed));
        memset(s->down, 0, sizeof(s->down));
}

static void check_rest(struct story *s)
{
        struct json_object *set = world_get(s->w, &res_daemonsets, "d", "log");
        const char *image = json_get_str(json_idx(json_at(set, "spec.template.spec.containers"), 0), "image");
        int64_t wanted = 0;
        size_t n;
        _cleanup_free_ struct json_object **pods = world_list(s->w, &res_pods, "d", &n);

        for (int i = 0; i < NODES; i++) {
                int here = 0;

                for (size_t j = 0; j < n; j++)
                        here += node_of(pods[j]) == i;
                wanted += s->there[i] && !s->tainted[i];
                if (here != (s->there[i] && !s->tainted[i]))
                        fail_msg("seed %llu: %d pods on node-%d at rest", (unsigned long long)s->seed, here, i);
        }
        for (size_t j = 0; j < n; j++)
                assert_string_equal(json_get_str(json_idx(json_at(pods[j], "spec.containers"), 0), "image"), image);
        set = json_get(set, "status");
        assert_int_equal(json_get_i64(set, "desiredNumberScheduled", 0), wanted);
        assert_int_equal(json_get_i64(set, "currentNumberScheduled", 0), wanted);
        assert_int_equal(json_get_i64(set, "updatedNumberScheduled", 0), wanted);
        assert_int_equal(json_get_i64(set, "numberAvailable", 0), wanted);
        assert_int_equal(json_get_i64(set, "numberMisscheduled", 0), 0);
}

static void make_set(struct story *s)
{
        world_apply(s->w,
                    "{'apiVersion':'apps/v1','kind':'DaemonSet','metadata':{'namespace':'d','name':'log'},'spec':{"
                    "'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'%s':%d,'%s':0}},"
                    "'selector':{'matchLabels':{'app':'log'}},'template':{'metadata':{'labels':{'app':'log'}},'spec':{"
                    "'containers':[{'name':'c','image':'v1'}]}}}}",
                    s->surges ? "maxSurge" : "maxUnavailable", s->limit, s->surges ? "maxUnavailable" : "maxSurge");
}

static void tell(uint64_t seed, bool surges)
{
        static const struct controller *const only[] = {&controller_daemonset};
        struct story s = {.seed = seed, .surges = surges, .limit = 1 + (int)(seed % 2), .version = 1};
        _cleanup_(world_freep) struct world *w = world_new(&(struct world_opts){.seed = seed,
                                                                                .controllers = only,
                                                                                .ncontrollers = 1,
                                                                                .refuse = 10,
                                                                                .lose = 10,
                                                                                .crash = 5,
                                                                                .lateness = 60,
                                                                                .check = check,
                                                                                .userdata = &s});

        s.w = w;
        s.by_others = true;
        for (int i = 0; i < NODES - 2; i++)
                toggle_node(&s, i);
        make_set(&s);
        come_to_rest(&s);
        for (int round = 0; round < 2; round++) {
                histories_live(w, STEPS, act, &s);
                come_to_rest(&s);
                check_rest(&s);
        }
}

static void histories_with_a_limit_on_what_is_down(void **state)
{
        histories_tell(SEEDS, tell, false);
}

static void histories_with_a_surge(void **state)
{
        histories_tell(SEEDS, tell, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(histories_with_a_limit_on_what_is_down),
                cmocka_unit_test(histories_with_a_surge),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
