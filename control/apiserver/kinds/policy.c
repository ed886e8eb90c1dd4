/* SPDX-License-Identifier: Apache-2.0 */
/* Small kinds of policy: PodDisruptionBudgets, Leases, PriorityClasses, RuntimeClasses. */
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

static void check_amount(const struct json_object *spec, const char *field, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *v = json_get(spec, field);

        if (!v)
                return;
        check_int_or_percent(e, FP(p, field), v);
        check_at_most_100_percent(e, FP(p, field), v);
}

static void pdb_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const policies[] = {"AlwaysAllow", "IfHealthyBudget", NULL};
        const struct json_object *spec = json_get(obj, "spec");
        const struct fpath *p = FP(NULL, "spec");

        if (json_has(spec, "minAvailable") && json_has(spec, "maxUnavailable"))
                ferr_invalid(e, p, spec, "minAvailable and maxUnavailable cannot be both set");
        check_amount(spec, "minAvailable", p, e);
        check_amount(spec, "maxUnavailable", p, e);
        check_label_selector(e, FP(p, "selector"), json_get(spec, "selector"));
        check_one_of(e, p, spec, "unhealthyPodEvictionPolicy", policies, false);
}

static void pdb_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                struct ferrs *e)
{
        static const char *const numbers[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods",
                                              NULL};

        check_non_negatives(e, FP(NULL, "status"), json_get(obj, "status"), numbers);
}

const struct kind_ops kind_poddisruptionbudgets = {
        .group = "policy",
        .plural = "poddisruptionbudgets",
        .flags = KIND_GENERATION | KIND_STATUS_RESET | KIND_NO_UNCONDITIONAL_UPDATE,
        .validate = pdb_validate,
        .validate_status = pdb_validate_status,
};

static void check_strategy(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        static const char *const strategies[] = {"OldestEmulationVersion", NULL};
        const char *strategy = json_get_str(spec, "strategy");
        /* Upstream names the field twice. */
        const struct fpath *at = FP(FP(p, "strategy"), "strategy");

        if (strategy && strchr(strategy, '/'))
                check_name(e, at, NAME_LABEL_KEY, strategy);
        else if (strategy && !one_of(strategy, strategies))
                ferr_not_supported(e, at, strategy, strategies);
        if (!str_empty(str_of(spec, "preferredHolder")) && str_empty(strategy))
                ferr_forbidden(e, FP(p, "preferredHolder"), "may only be specified if `strategy` is defined");
}

static void lease_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct fpath *p = FP(NULL, "spec");
        int64_t seconds = json_get_i64(spec, "leaseDurationSeconds", 1);

        if (seconds <= 0)
                ferr_invalid_i64(e, FP(p, "leaseDurationSeconds"), seconds, "must be greater than 0");
        check_non_negative(e, p, spec, "leaseTransitions");
        check_strategy(spec, p, e);
}

const struct kind_ops kind_leases = {
        .group = "coordination.k8s.io",
        .plural = "leases",
        .flags = KIND_CREATE_ON_UPDATE | KIND_NO_UNCONDITIONAL_UPDATE,
        .validate = lease_validate,
};

#define HIGHEST_USER_PRIORITY 1000000000

static void priority_defaults(const struct kctx *c, struct json_object *obj)
{
        json_default_str(obj, "preemptionPolicy", "PreemptLowerPriority");
}

/* Why a name that starts with "system-" cannot be had; NULL when it is one of the two that the system knows. */
static const char *system_class_error(struct arena *a, const struct json_object *obj, const char *name)
{
        static const struct {
                const char *name;
                int64_t value;
        } known[] = {{"system-node-critical", 2000001000}, {"system-cluster-critical", 2000000000}};

        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (!str_eq(known[i].name, name))
                        continue;
                if (json_get_i64(obj, "value", 0) != known[i].value)
                        return arena_printf(a, "value of %s PriorityClass must be %lld", name,
                                            (long long)known[i].value);
                if (json_get_bool(obj, "globalDefault", false))
                        return arena_printf(a, "globalDefault of %s PriorityClass must be false", name);
                return NULL;
        }
        return arena_printf(a, "%s is not a known system priority class", name);
}

struct default_search {
        const char *self;
        char *found;
        struct arena *arena;
};

static int find_other_default(void *arg, struct json_object *obj)
{
        struct default_search *s = arg;
        const char *name = json_at_str(obj, "metadata.name");

        if (!json_get_bool(obj, "globalDefault", false) || str_eq(name, s->self))
                return 0;
        s->found = arena_strdup(s->arena, name);
        return 1;
}

static void check_single_default(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct default_search s = {.self = json_at_str(obj, "metadata.name"), .arena = c->arena};

        if (!json_get_bool(obj, "globalDefault", false) || !c->reader)
                return;
        c->reader->each(c->reader->userdata, "scheduling.k8s.io", "priorityclasses", NULL, find_other_default, &s);
        if (s.found)
                ferr_forbidden(e, FP(NULL, "globalDefault"),
                               "PriorityClass %s is already marked as default. Only one default can exist", s.found);
}

static void priority_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const policies[] = {"Never", "PreemptLowerPriority", NULL};
        const char *name = json_at_str(obj, "metadata.name"), *error;

        if (name && str_has_prefix(name, "system-")) {
                error = system_class_error(c->arena, obj, name);
                if (error)
                        ferr_forbidden(e, FP(FP(NULL, "metadata"), "name"),
                                       "priority class names with 'system-' prefix are reserved for system use only. "
                                       "error: %s",
                                       error);
        } else if (json_get_i64(obj, "value", 0) > HIGHEST_USER_PRIORITY) {
                ferr_forbidden(e, FP(NULL, "value"), "maximum allowed value of a user defined priority is %d",
                               HIGHEST_USER_PRIORITY);
        }
        check_one_of(e, NULL, obj, "preemptionPolicy", policies, true);
        check_single_default(c, obj, e);
}

static void priority_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                     struct ferrs *e)
{
        if (json_get_i64(obj, "value", 0) != json_get_i64(old, "value", 0))
                ferr_forbidden(e, FP(NULL, "value"), "may not be changed in an update.");
        check_immutable_str(e, NULL, obj, old, "preemptionPolicy");
}

const struct kind_ops kind_priorityclasses = {
        .group = "scheduling.k8s.io",
        .plural = "priorityclasses",
        .flags = KIND_GENERATION,
        .defaults = priority_defaults,
        .validate = priority_validate,
        .validate_update = priority_validate_update,
};

static void check_tolerations(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        static const char *const operators[] = {"Equal", "Exists", "Gt", "Lt", NULL};
        static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

        json_array_foreach (list, i, toleration) {
                const struct fpath *at = FPI(p, i);

                check_name_if(e, at, toleration, "key", NAME_LABEL_KEY);
                check_one_of(e, at, toleration, "operator", operators, false);
                check_one_of(e, at, toleration, "effect", effects, false);
                for (size_t j = 0; j < i; j++)
                        if (json_equal(toleration, json_idx(list, j)))
                                ferr_duplicate(e, at, toleration);
        }
}

static void runtime_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *scheduling = json_get(obj, "scheduling");
        const struct fpath *p = FP(NULL, "scheduling");

        check_name(e, FP(NULL, "handler"), NAME_DNS1123_LABEL, str_of(obj, "handler"));
        check_labels(e, FP(p, "nodeSelector"), json_get(scheduling, "nodeSelector"));
        check_tolerations(json_get(scheduling, "tolerations"), FP(p, "tolerations"), e);
        json_foreach (json_at(obj, "overhead.podFixed"), resource, amount)
                check_name(e, FPK(FP(FP(NULL, "overhead"), "podFixed"), resource), NAME_LABEL_KEY, resource);
}

static void runtime_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                    struct ferrs *e)
{
        check_immutable_str(e, NULL, obj, old, "handler");
}

const struct kind_ops kind_runtimeclasses = {
        .group = "node.k8s.io",
        .plural = "runtimeclasses",
        .flags = KIND_NO_UNCONDITIONAL_UPDATE,
        .validate = runtime_validate,
        .validate_update = runtime_validate_update,
};
