/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/job_view.h"

/* ---- podFailurePolicy ---- */

static bool in_values(const struct json_object *requirement, int32_t code)
{
        json_array_foreach (json_get(requirement, "values"), i, value)
                if (json_object_get_int64(value) == code)
                        return true;
        return false;
}

static bool code_matches(const struct json_object *requirement, const struct pod_container *c)
{
        const char *name = json_get_str(requirement, "containerName");

        if (!c->terminated || !c->exit_code || (name && !str_eq(name, c->name)))
                return false;
        return in_values(requirement, c->exit_code) == str_eq(json_get_str(requirement, "operator"), "In");
}

/* Init containers are asked last. */
static const struct pod_container *find_container(const struct json_object *requirement, const struct pod *pod)
{
        for (int init = 0; init < 2; init++)
                for (size_t i = 0; i < pod->ncontainers; i++)
                        if (pod->containers[i].init == (init != 0) && code_matches(requirement, &pod->containers[i]))
                                return &pod->containers[i];
        return NULL;
}

static bool condition_matches(const struct json_object *pattern, const struct pod_condition *c)
{
        static const char *const texts[] = {
                [TRI_UNSET] = "", [TRI_TRUE] = "True", [TRI_FALSE] = "False", [TRI_UNKNOWN] = "Unknown"};
        const char *status = json_get_str(pattern, "status");

        return str_eq(json_get_str(pattern, "type"), c->type) && str_eq(status ? status : "True", texts[c->status]);
}

static const struct pod_condition *find_condition(const struct json_object *patterns, const struct pod *pod)
{
        for (size_t i = 0; i < pod->nconditions; i++) {
                json_array_foreach (patterns, j, pattern)
                        if (condition_matches(pattern, &pod->conditions[i]))
                                return &pod->conditions[i];
        }
        return NULL;
}

/* What of the pod the rule is about, as the Job's condition tells it; NULL: the rule does not match. */
static const char *rule_matches(struct arena *mem, const struct json_object *rule, const struct kobj *pod)
{
        const struct json_object *codes = json_get(rule, "onExitCodes");
        const struct pod_container *c = codes ? find_container(codes, pod->pod) : NULL;
        const struct pod_condition *cond = codes ? NULL : find_condition(json_get(rule, "onPodConditions"), pod->pod);

        if (c)
                return arena_printf(mem, "Container %s for pod %s/%s failed with exit code %d", c->name, pod->ns,
                                    pod->name, c->exit_code);
        return cond ? arena_printf(mem, "Pod %s/%s has condition %s", pod->ns, pod->name, cond->type) : NULL;
}

static enum failure_action action_of(const struct json_object *rule)
{
        const char *action = json_get_str(rule, "action");

        if (str_eq(action, "Ignore"))
                return FAILURE_IGNORED;
        if (str_eq(action, "FailIndex"))
                return FAILURE_ENDS_INDEX;
        return str_eq(action, "FailJob") ? FAILURE_ENDS_JOB : FAILURE_COUNTS;
}

enum failure_action job_failure_action(const struct job_view *v, const struct kobj *pod, const char **ret_message)
{
        json_array_foreach (json_get(v->spec.failure_policy, "rules"), i, rule) {
                const char *what = rule_matches(v->sync->mem, rule, pod);

                if (!what)
                        continue;
                if (ret_message && action_of(rule) == FAILURE_ENDS_JOB)
                        *ret_message = arena_printf(v->sync->mem, "%s matching FailJob rule at index %zu", what, i);
                return action_of(rule);
        }
        return FAILURE_COUNTS;
}

/* ---- successPolicy ---- */

static bool is_met(const struct job_view *v, const struct json_object *rule)
{
        const char *text = json_get_str(rule, "succeededIndexes");
        struct indexes wanted;
        int64_t common;

        if (!text)
                return json_has(rule, "succeededCount") && v->done.total >= json_get_i64(rule, "succeededCount", 0);
        wanted = indexes_parse(v->sync->mem, text, v->spec.completions);
        common = indexes_common(&wanted, &v->done);
        return common >= json_get_i64(rule, "succeededCount", wanted.total);
}

const char *job_success_message(const struct job_view *v)
{
        if (!v->done.n)
                return NULL;
        json_array_foreach (json_get(v->spec.success_policy, "rules"), i, rule)
                if (is_met(v, rule))
                        return arena_printf(v->sync->mem, "Matched rules at index %zu", i);
        return NULL;
}
