/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pods/eviction: a delete that asks the PodDisruptionBudgets first (registry/core/pod/storage: EvictionREST). A budget
 * pays for the eviction in its status, by compare-and-swap, before the pod is deleted.
 */
#include "apiserver/rest/delete.h"
#include "apiserver/rest/rest.h"
#include "apiserver/server.h"
#include "apiserver/status.h"
#include "base/clock.h"
#include "base/str.h"
#include "kube/selector.h"

#define DISRUPTED_PODS_MAX 2000

struct budgets {
        const struct json_object *pod;
        struct object *found; /* reference */
        size_t n;
        struct cache *cache;
};

static bool covers(const struct json_object *pdb, const struct json_object *pod)
{
        _cleanup_selector_ struct selector *s = NULL;

        if (selector_from_label_selector(json_at(pdb, "spec.selector"), &s, NULL))
                return false;
        return selector_match_json(s, json_at(pod, "metadata.labels"));
}

static void find_budgets(struct api_request *req, struct budgets *b)
{
        struct cache_filter f = {.namespace = req->namespace};
        struct object_list list;

        b->cache = cache_find(req->server->caches, "policy", "poddisruptionbudgets");
        cache_list(b->cache, &f, NULL, 0, &list, NULL);
        for (size_t i = 0; i < list.n; i++) {
                _cleanup_json_ struct json_object *pdb = object_tree(list.items[i]);

                if (!covers(pdb, b->pod))
                        continue;
                b->n++;
                if (!b->found)
                        b->found = object_ref(list.items[i]);
        }
        object_list_deinit(&list);
}

static bool pod_is_ready(const struct json_object *pod)
{
        json_array_foreach (json_at(pod, "status.conditions"), i, c) {
                if (str_eq(json_get_str(c, "type"), "Ready"))
                        return str_eq(json_get_str(c, "status"), "True");
        }
        return false;
}

/* Pods whose end disrupts nothing. */
static bool needs_no_budget(const struct json_object *pod)
{
        const char *phase = json_at_str(pod, "status.phase");

        return json_at(pod, "metadata.deletionTimestamp") ||
               (phase && (str_eq(phase, "Succeeded") || str_eq(phase, "Failed") || str_eq(phase, "Pending")));
}

static int refuse(struct api_request *req, const char *cause, int retry_after)
{
        struct status_cause c = {"DisruptionBudget", cause, NULL};
        struct status s = {.code = 429,
                           .message = "Cannot evict pod as it would violate the pod's disruption budget.",
                           .causes = &c,
                           .ncauses = 1,
                           .retry_after_seconds = retry_after};

        return api_fail_status(req, &s);
}

static bool unhealthy_may_go(const struct json_object *pdb, const struct json_object *pod)
{
        const char *policy = json_at_str(pdb, "spec.unhealthyPodEvictionPolicy");

        if (pod_is_ready(pod))
                return false;
        if (policy && str_eq(policy, "AlwaysAllow"))
                return true;
        return json_at_i64(pdb, "status.currentHealthy", 0) >= json_at_i64(pdb, "status.desiredHealthy", 0) &&
               json_at_i64(pdb, "status.desiredHealthy", 0) > 0;
}

/* Takes one disruption from the budget in pdb (owned by the caller). Returns 0 or API_ANSWERED. */
static int spend(struct api_request *req, struct json_object *pdb)
{
        struct json_object *status = json_ensure(pdb, "status");
        const char *name = json_at_str(pdb, "metadata.name");
        int64_t allowed = json_get_i64(status, "disruptionsAllowed", 0);
        char now[CLOCK_TEXT_SIZE];

        if (json_get_i64(status, "observedGeneration", 0) < json_at_i64(pdb, "metadata.generation", 0))
                return refuse(req,
                              arena_printf(req->arena,
                                           "The disruption budget %s is still being processed by the server.", name),
                              10);
        if (allowed <= 0)
                return refuse(req,
                              arena_printf(req->arena,
                                           "The disruption budget %s needs %d healthy pods and has %d currently", name,
                                           (int)json_get_i64(status, "desiredHealthy", 0),
                                           (int)json_get_i64(status, "currentHealthy", 0)),
                              0);
        if (json_object_object_length(json_ensure(status, "disruptedPods")) > DISRUPTED_PODS_MAX)
                return api_fail_forbidden(
                        req, req->name,
                        "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
        json_set_i64(status, "disruptionsAllowed", allowed - 1);
        json_set_str(json_ensure(status, "disruptedPods"), req->name, clock_format(req->now_us / 1000000, now));
        return 0;
}

/* 0, API_ANSWERED or WRITE_RETRY. */
static int pay_once(struct api_request *req, const struct json_object *pod, bool dry_run)
{
        struct api_request pdb_req = *req;
        struct budgets b = {.pod = pod};
        struct write w;
        int r = 0;

        find_budgets(req, &b);
        if (b.n > 1) {
                object_unref(b.found);
                return api_fail(
                        req, 500,
                        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
                        "support.");
        }
        if (!b.n)
                return 0;
        pdb_req.resource = cache_resource(b.cache);
        write_open(&w, &pdb_req, b.found->namespace, arena_strdup(req->arena, b.found->name));
        w.kctx.dry_run |= dry_run;
        w.old = b.found;
        w.old_tree = object_tree(b.found);
        if (!unhealthy_may_go(w.old_tree, pod)) {
                w.obj = json_copy(w.old_tree);
                r = spend(req, w.obj);
                if (!r)
                        r = write_commit(&w);
        }
        write_close(&w);
        return r;
}

static int evict(struct api_request *req, const struct delete_options *o)
{
        struct status ok = {.code = 201, .reason = ""};
        struct write w;
        int r = 0;

        write_open(&w, req, req->namespace, req->name);
        write_load(&w);
        if (!w.old)
                return api_fail_not_found(req);
        for (unsigned i = 0; i < WRITE_ATTEMPTS && !needs_no_budget(w.old_tree); i++) {
                r = pay_once(req, w.old_tree, o->dry_run);
                if (r != WRITE_RETRY)
                        break;
        }
        if (r == WRITE_RETRY)
                r = refuse(req, "The disruption budget is being changed all the time.", 1);
        if (!r)
                r = delete_object(&w, o);
        write_close(&w);
        return r ? r : api_fail_status(req, &ok);
}

int rest_eviction(struct api_request *req)
{
        _cleanup_json_ struct json_object *body = NULL;
        struct delete_options o;
        const char *name;
        int r;

        r = body_of_resource(req, &body);
        if (r)
                return r;
        name = json_at_str(body, "metadata.name");
        if (!str_empty(name) && !str_eq(name, req->name))
                return api_fail(req, 400, "name in URL does not match name in Eviction object");
        r = delete_options_parse(req, json_get(body, "deleteOptions"), &o);
        return r ? r : evict(req, &o);
}
