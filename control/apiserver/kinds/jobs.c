/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "apiserver/kinds/jobs.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"

#define LEGACY_UID  "controller-uid"
#define LEGACY_NAME "job-name"
#define UID_LABEL   "batch.kubernetes.io/controller-uid"
#define NAME_LABEL  "batch.kubernetes.io/job-name"

#define INDEXED_PARALLELISM_MAX 100000
#define COMPLETIONS_SOFT_LIMIT  100000
#define PARALLELISM_HIGH_LIMIT  10000
#define FAILED_INDEXES_HIGH     10000
#define FAILED_INDEXES_MAX      100000
#define MANAGED_BY_MAX          63

void job_failure_policy_defaults(struct json_object *spec)
{
        json_array_foreach (json_at(spec, "podFailurePolicy.rules"), i, rule) {
                json_array_foreach (json_get(rule, "onPodConditions"), j, pattern) {
                        json_default_str(pattern, "status", "True");
                }
        }
}

static void jobs_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *meta = json_ensure(obj, "metadata"),
                           *labels = json_at(spec, "template.metadata.labels");

        pod_template_defaults(json_get(spec, "template"));
        if (!json_has(spec, "completions") && !json_has(spec, "parallelism"))
                json_set_i64(spec, "completions", 1);
        json_default_i64(spec, "parallelism", 1);
        json_default_i64(spec, "backoffLimit", json_has(spec, "backoffLimitPerIndex") ? INT32_MAX : 6);
        if (labels && !json_has(meta, "labels"))
                json_set(meta, "labels", json_copy(labels));
        json_default_str(spec, "completionMode", "NonIndexed");
        json_default_bool(spec, "suspend", false);
        json_default_str(spec, "podReplacementPolicy",
                         json_has(spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
        json_default_bool(spec, "manualSelector", false);
        job_failure_policy_defaults(spec);
}

/* The selector is the job's uid, the template's labels hold it; what the user set himself stays, and is refused later
 * when it contradicts. */
static void jobs_prepare_create(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec"), *labels, *match;
        const char *uid = json_at_str(obj, "metadata.uid"), *name = json_at_str(obj, "metadata.name");

        if (json_get_bool(spec, "manualSelector", false) || !json_has(spec, "template") || !uid || !name)
                return;
        labels = json_ensure(json_ensure(json_get(spec, "template"), "metadata"), "labels");
        if (!json_has(labels, LEGACY_NAME)) {
                json_set_str(labels, LEGACY_NAME, name);
                json_set_str(labels, NAME_LABEL, name);
        }
        if (!json_has(labels, LEGACY_UID)) {
                json_set_str(labels, LEGACY_UID, uid);
                json_set_str(labels, UID_LABEL, uid);
        }
        match = json_ensure(json_ensure(spec, "selector"), "matchLabels");
        json_default_str(match, UID_LABEL, uid);
}

static void check_managed_by(struct ferrs *e, const struct fpath *spec, const char *text)
{
        struct fpath p = fpath_child(spec, "managedBy");
        const char *slash = text ? strchr(text, '/') : NULL;

        if (!text)
                return;
        if (!slash || !slash[1] || slash == text)
                ferr_invalid_str(e, &p, text, "must be a domain-prefixed path (such as \"acme.io/foo\")");
        else
                check_name(e, &p, NAME_DNS1123_SUBDOMAIN, arena_strndup(e->arena, text, (size_t)(slash - text)));
        if (strlen(text) > MANAGED_BY_MAX)
                ferr_too_long(e, &p, MANAGED_BY_MAX);
}

/* Many indexes with a backoff limit each need bounds on what may fail. */
static void check_high_completions(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        struct fpath failed = fpath_child(p, "maxFailedIndexes"), parallel = fpath_child(p, "parallelism");
        int64_t max_failed = json_get_i64(spec, "maxFailedIndexes", 0), n = json_get_i64(spec, "parallelism", 0);

        if (json_get_i64(spec, "completions", 0) <= COMPLETIONS_SOFT_LIMIT || !json_has(spec, "backoffLimitPerIndex"))
                return;
        if (!json_has(spec, "maxFailedIndexes"))
                ferr_required(e, &failed, "must be specified when completions is above %d", COMPLETIONS_SOFT_LIMIT);
        if (n > PARALLELISM_HIGH_LIMIT)
                ferr_invalid_i64(e, &parallel, n,
                                 "must be less than or equal to %d when completions are above %d and used with backoff "
                                 "limit per index",
                                 PARALLELISM_HIGH_LIMIT, COMPLETIONS_SOFT_LIMIT);
        if (max_failed > FAILED_INDEXES_HIGH)
                ferr_invalid_i64(e, &failed, max_failed,
                                 "must be less than or equal to %d when completions are above %d and used with backoff "
                                 "limit per index",
                                 FAILED_INDEXES_HIGH, COMPLETIONS_SOFT_LIMIT);
}

static void check_indexed(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        struct fpath completions = fpath_child(p, "completions"), parallel = fpath_child(p, "parallelism"),
                     failed = fpath_child(p, "maxFailedIndexes");
        int64_t max_failed = json_get_i64(spec, "maxFailedIndexes", 0), n = json_get_i64(spec, "parallelism", 0);

        if (!json_has(spec, "completions"))
                ferr_required(e, &completions, "when completion mode is Indexed");
        if (n > INDEXED_PARALLELISM_MAX)
                ferr_invalid_i64(e, &parallel, n, "must be less than or equal to %d when completion mode is Indexed",
                                 INDEXED_PARALLELISM_MAX);
        if (json_has(spec, "completions") && max_failed > json_get_i64(spec, "completions", 0))
                ferr_invalid_i64(e, &failed, max_failed, "must be less than or equal to completions");
        if (max_failed > FAILED_INDEXES_MAX)
                ferr_invalid_i64(e, &failed, max_failed, "must be less than or equal to %d", FAILED_INDEXES_MAX);
        check_high_completions(e, p, spec);
}

static void check_completion_mode(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        static const char *const modes[] = {"NonIndexed", "Indexed", NULL};
        static const char *const indexed_only[] = {"backoffLimitPerIndex", "maxFailedIndexes", NULL};
        const char *mode = json_get_str(spec, "completionMode");

        check_one_of(e, p, spec, "completionMode", modes, false);
        if (str_eq(mode, "Indexed"))
                check_indexed(e, p, spec);
        for (const char *const *name = indexed_only; *name && (!mode || str_eq(mode, "NonIndexed")); name++) {
                struct fpath at = fpath_child(p, *name);

                if (json_has(spec, *name))
                        ferr_invalid(e, &at, json_get(spec, *name), "requires indexed completion mode");
        }
}

static void check_replacement(struct ferrs *e, const struct fpath *p, const struct json_object *spec)
{
        static const char *const any[] = {"Failed", "TerminatingOrFailed", NULL};
        static const char *const failed[] = {"Failed", NULL};

        check_one_of(e, p, spec, "podReplacementPolicy", json_has(spec, "podFailurePolicy") ? failed : any, false);
}

static void check_restart_policy(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        static const char *const policies[] = {"OnFailure", "Never", NULL};
        struct fpath template = fpath_child(spec_path, "template"), pod = fpath_child(&template, "spec"),
                     p = fpath_child(&pod, "restartPolicy");
        const char *policy = json_at_str(spec, "template.spec.restartPolicy");

        if (str_empty(policy) || str_eq(policy, "Always"))
                ferr_required(e, &p, "valid values: \"OnFailure\", \"Never\"");
        else if (!one_of(policy, policies))
                ferr_not_supported(e, &p, policy, policies);
        else if (json_has(spec, "podFailurePolicy") && !str_eq(policy, "Never"))
                ferr_invalid_str(e, &p, policy, "only \"Never\" is supported when podFailurePolicy is specified");
}

void job_check_spec(const struct kctx *c, const struct fpath *p, const struct json_object *spec, struct ferrs *e)
{
        static const char *const numbers[] = {"parallelism",
                                              "completions",
                                              "activeDeadlineSeconds",
                                              "backoffLimit",
                                              "ttlSecondsAfterFinished",
                                              "backoffLimitPerIndex",
                                              "maxFailedIndexes",
                                              NULL};
        struct fpath per_index = fpath_child(p, "backoffLimitPerIndex"), template = fpath_child(p, "template");

        check_non_negatives(e, p, spec, numbers);
        if (json_has(spec, "maxFailedIndexes") && !json_has(spec, "backoffLimitPerIndex"))
                ferr_required(e, &per_index, "when maxFailedIndexes is specified");
        check_managed_by(e, p, json_get_str(spec, "managedBy"));
        check_completion_mode(e, p, spec);
        if (json_has(spec, "podFailurePolicy"))
                job_check_failure_policy(e, p, spec);
        if (json_has(spec, "successPolicy"))
                job_check_success_policy(e, p, spec);
        check_replacement(e, p, spec);
        pod_template_validate(c, &template, json_get(spec, "template"), e);
        check_restart_policy(e, p, spec);
}

static void check_has_label(struct ferrs *e, const struct fpath *labels_path, const struct json_object *labels,
                            const char *key, const char *expected)
{
        const char *value = json_get_str(labels, key);
        struct fpath p = fpath_key(labels_path, key);

        if (!value)
                ferr_required(e, &p, "must be '%s'", expected);
        else if (!str_eq(value, expected))
                ferr_invalid(e, &p, labels, "must be '%s'", expected);
}

static void check_generated(struct ferrs *e, const struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec"), *selector = json_get(spec, "selector"),
                           *labels = json_at(spec, "template.metadata.labels");
        struct fpath p = fpath_child(NULL, "spec"), template = fpath_child(&p, "template"),
                     meta = fpath_child(&template, "metadata"), at = fpath_child(&meta, "labels"),
                     at_selector = fpath_child(&p, "selector");
        const char *uid = str_of(json_get(obj, "metadata"), "uid"), *name = str_of(json_get(obj, "metadata"), "name");
        _cleanup_json_ struct json_object *expected = NULL;

        if (json_get_bool(spec, "manualSelector", false) || !selector)
                return;
        check_has_label(e, &at, labels, LEGACY_UID, uid);
        check_has_label(e, &at, labels, LEGACY_NAME, name);
        check_has_label(e, &at, labels, UID_LABEL, uid);
        check_has_label(e, &at, labels, NAME_LABEL, name);
        expected = json_object_new_object();
        json_set_str(expected, UID_LABEL, uid);
        json_set_str(expected, NAME_LABEL, name);
        json_set_str(expected, LEGACY_UID, uid);
        json_set_str(expected, LEGACY_NAME, name);
        if (!label_selector_matches(selector, expected))
                ferr_invalid(e, &at_selector, selector, "`selector` not auto-generated");
}

/* The pod of an index is named after job and index. */
static void check_indexed_name(struct ferrs *e, const struct json_object *obj)
{
        int64_t completions = json_at_i64(obj, "spec.completions", 0);
        struct fpath meta = fpath_child(NULL, "metadata"), p = fpath_child(&meta, "name");
        const char *name = str_of(json_get(obj, "metadata"), "name"), *host;

        if (!str_eq(json_at_str(obj, "spec.completionMode"), "Indexed") || completions <= 0)
                return;
        host = arena_printf(e->arena, "%s-%" PRIi64, name, completions - 1);
        if (name_error(NAME_DNS1123_LABEL, host))
                ferr_invalid_str(e, &p, name, "will not able to create pod with invalid DNS label: %s", host);
}

static void jobs_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec"), *selector = json_get(spec, "selector"),
                           *labels = json_at(spec, "template.metadata.labels");
        struct fpath p = fpath_child(NULL, "spec"), at = fpath_child(&p, "selector"),
                     template = fpath_child(&p, "template"), meta = fpath_child(&template, "metadata"),
                     at_labels = fpath_child(&meta, "labels");

        check_generated(e, obj);
        job_check_spec(c, &p, spec, e);
        if (!selector)
                ferr_required(e, &at, NULL);
        check_label_selector(e, &at, selector);
        if (!label_selector_matches(selector, labels))
                ferr_invalid(e, &at_labels, labels, "`selector` does not match template `labels`");
        check_indexed_name(e, obj);
}

/* Before it ever started, a suspended job's pods may be sent elsewhere. */
static struct json_object *comparable_template(const struct json_object *template, bool schedulable)
{
        static const char *const directives[] = {"nodeSelector", "tolerations", "schedulingGates", NULL};
        struct json_object *copy = json_copy(template), *spec = json_get(copy, "spec"), *affinity;

        if (!schedulable || !spec)
                return copy;
        for (const char *const *name = directives; *name; name++)
                json_del(spec, *name);
        affinity = json_get(spec, "affinity");
        if (affinity)
                json_del(affinity, "nodeAffinity");
        if (affinity && !json_object_object_length(affinity))
                json_del(spec, "affinity");
        if (json_has(copy, "metadata")) {
                json_del(json_get(copy, "metadata"), "labels");
                json_del(json_get(copy, "metadata"), "annotations");
                if (!json_object_object_length(json_get(copy, "metadata")))
                        json_del(copy, "metadata");
        }
        return copy;
}

static void check_completions_update(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec,
                                     const struct json_object *was)
{
        struct json_object *n = json_get(spec, "completions");
        struct fpath p = fpath_child(spec_path, "completions");

        if (!str_eq(json_get_str(spec, "completionMode"), "Indexed"))
                check_immutable(e, spec_path, spec, was, "completions");
        else if (n && !json_equal(n, json_get(was, "completions")) && !json_equal(n, json_get(spec, "parallelism")))
                ferr_invalid(e, &p, n, "can only be modified in tandem with spec.parallelism");
}

static void jobs_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                 struct ferrs *e)
{
        static const char *const immutable[] = {"completionMode", "podFailurePolicy", "backoffLimitPerIndex",
                                                "managedBy",      "successPolicy",    NULL};
        struct json_object *spec = json_get(obj, "spec"), *was = json_get(old, "spec");
        bool schedulable = json_get_bool(was, "suspend", false) && !json_at(old, "status.startTime");
        _cleanup_json_ struct json_object *is_template = comparable_template(json_get(spec, "template"), schedulable),
                                          *was_template = comparable_template(json_get(was, "template"), schedulable);
        struct fpath p = fpath_child(NULL, "spec"), template = fpath_child(&p, "template");

        check_completions_update(e, &p, spec, was);
        check_immutable(e, &p, spec, was, "selector");
        if (!json_equal(is_template, was_template))
                ferr_invalid(e, &template, json_get(spec, "template"), MSG_IMMUTABLE);
        for (const char *const *name = immutable; *name; name++)
                check_immutable(e, &p, spec, was, *name);
}

static void check_terminal(struct ferrs *e, const struct fpath *p, const struct json_object *status,
                           const struct json_object *was)
{
        static const char *const terminal[] = {"Failed", "Complete", "FailureTarget", "SuccessCriteriaMet", NULL};
        struct fpath at = fpath_child(p, "conditions");

        for (const char *const *type = terminal; *type; type++) {
                if (!condition_is_true(was, *type) || condition_is_true(status, *type))
                        continue;
                ferr_invalid(e, &at, json_get(status, "conditions"), "cannot disable the %s%s=True condition",
                             str_eq(*type, "SuccessCriteriaMet") ? "" : "terminal ", *type);
        }
}

static void check_finished(struct ferrs *e, const struct fpath *p, const struct json_object *status)
{
        bool complete = condition_is_true(status, "Complete"), failed = condition_is_true(status, "Failed");
        struct fpath conditions = fpath_child(p, "conditions"), completion = fpath_child(p, "completionTime"),
                     start = fpath_child(p, "startTime"), active = fpath_child(p, "active");
        struct json_object *list = json_get(status, "conditions");

        if (complete && failed)
                ferr_invalid(e, &conditions, list, "cannot set Complete=True and Failed=true conditions");
        if (json_has(status, "completionTime") && !complete)
                ferr_invalid(e, &completion, json_get(status, "completionTime"),
                             "cannot set completionTime when there is no Complete=True condition");
        if (complete && !json_has(status, "completionTime"))
                ferr_required(e, &completion, "completionTime is required for Complete jobs");
        if (failed && !condition_is_true(status, "FailureTarget"))
                ferr_invalid(e, &conditions, list,
                             "cannot set Failed=True condition without the FailureTarget=true condition");
        if (complete && !condition_is_true(status, "SuccessCriteriaMet"))
                ferr_invalid(e, &conditions, list,
                             "cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
        if ((complete || failed) && json_get_i64(status, "active", 0) > 0)
                ferr_invalid_i64(e, &active, json_get_i64(status, "active", 0), "active>0 is invalid for finished job");
        if ((complete || failed) && !json_has(status, "startTime"))
                ferr_required(e, &start, "startTime is required for finished job");
}

/* One that was made smaller: pods of indexes that it has not any more count no more. */
static bool is_elastic(const struct json_object *spec)
{
        return str_eq(json_get_str(spec, "completionMode"), "Indexed") &&
               json_get_i64(spec, "completions", 0) == json_get_i64(spec, "parallelism", 0);
}

static void jobs_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                 struct ferrs *e)
{
        static const char *const numbers[] = {"active", "succeeded", "failed", "ready", "terminating", NULL};
        struct json_object *status = json_get(obj, "status"), *was = json_get(old, "status");
        struct fpath p = fpath_child(NULL, "status"), ready = fpath_child(&p, "ready");

        check_non_negatives(e, &p, status, numbers);
        check_finished(e, &p, status);
        if (json_get_i64(status, "ready", 0) > json_get_i64(status, "active", 0))
                ferr_invalid_i64(e, &ready, json_get_i64(status, "ready", 0), "cannot set more ready pods than active");
        check_terminal(e, &p, status, was);
        check_not_decremented(e, &p, status, was, "failed", "cannot decrease the failed counter");
        if (!is_elastic(json_get(obj, "spec")))
                check_not_decremented(e, &p, status, was, "succeeded", "cannot decrease the succeeded counter");
}

static const struct kind_field job_fields[] = {
        {.label = "status.successful", .path = "status.succeeded", .otherwise = "0"},
        {0},
};

const struct kind_ops kind_jobs = {
        .group = "batch",
        .plural = "jobs",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = jobs_defaults,
        .prepare_create = jobs_prepare_create,
        .validate = jobs_validate,
        .validate_update = jobs_validate_update,
        .validate_status = jobs_validate_status,
        .fields = job_fields,
};
