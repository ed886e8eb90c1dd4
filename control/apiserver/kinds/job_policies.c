/* SPDX-License-Identifier: Apache-2.0 */
/* podFailurePolicy and successPolicy of Jobs. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/kinds/jobs.h"
#include "base/str.h"

#define RULES_MAX         20
#define EXIT_CODES_MAX    255
#define CONDITIONS_MAX    20
#define INDEXES_MAX_BYTES (64 << 10)

static bool has_container(const struct json_object *pod_spec, const char *name)
{
        static const char *const lists[] = {"containers", "initContainers", NULL};

        for (const char *const *list = lists; *list; list++) {
                json_array_foreach (json_get(pod_spec, *list), i, container) {
                        if (str_eq(str_of(container, "name"), name))
                                return true;
                }
        }
        return false;
}

static void check_action(struct ferrs *e, const struct fpath *parent, const struct json_object *spec,
                         const struct json_object *rule)
{
        static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
        const char *action = str_of(rule, "action");
        struct fpath p = fpath_child(parent, "action");

        if (!*action)
                ferr_required(e, &p, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
        else if (!one_of(action, actions))
                ferr_not_supported(e, &p, action, actions);
        else if (str_eq(action, "FailIndex") && !json_has(spec, "backoffLimitPerIndex"))
                ferr_invalid_str(e, &p, action, "requires the backoffLimitPerIndex to be set");
}

static void check_codes(struct ferrs *e, const struct fpath *p, const struct json_object *codes, bool in)
{
        size_t n = json_len(codes);
        bool ordered = true;

        if (!n)
                ferr_invalid(e, p, codes, "at least one value is required");
        else if (n > EXIT_CODES_MAX)
                ferr_too_many(e, p, n, EXIT_CODES_MAX);
        json_array_foreach (codes, i, code) {
                int64_t v = json_object_get_int64(code), before = i ? json_object_get_int64(json_idx(codes, i - 1)) : v;
                struct fpath at = fpath_index(p, i);

                if (in && !v)
                        ferr_invalid_i64(e, &at, v, "must not be 0 for the In operator");
                if (i && before == v)
                        ferr_duplicate(e, &at, code);
                ordered &= before <= v;
        }
        if (!ordered)
                ferr_invalid(e, p, codes, "must be ordered");
}

static void check_exit_codes(struct ferrs *e, const struct fpath *p, const struct json_object *pod_spec,
                             const struct json_object *on)
{
        static const char *const operators[] = {"In", "NotIn", NULL};
        struct fpath op = fpath_child(p, "operator"), name = fpath_child(p, "containerName"),
                     values = fpath_child(p, "values");
        const char *operator= str_of(on, "operator"), *container = json_get_str(on, "containerName");

        if (!*operator)
                ferr_required(e, &op, "valid values: [\"In\" \"NotIn\"]");
        else if (!one_of(operator, operators))
                ferr_not_supported(e, &op, operator, operators);
        if (container && !has_container(pod_spec, container))
                ferr_invalid_str(e, &name, container,
                                 "must be one of the container or initContainer names in the pod template");
        check_codes(e, &values, json_get(on, "values"), str_eq(operator, "In"));
}

static void check_conditions(struct ferrs *e, const struct fpath *p, const struct json_object *patterns)
{
        static const char *const statuses[] = {"False", "True", "Unknown", NULL};

        if (json_len(patterns) > CONDITIONS_MAX)
                ferr_too_many(e, p, json_len(patterns), CONDITIONS_MAX);
        json_array_foreach (patterns, i, pattern) {
                struct fpath at = fpath_index(p, i), type = fpath_child(&at, "type"),
                             status = fpath_child(&at, "status");
                const char *text = str_of(pattern, "status");

                check_name(e, &type, NAME_LABEL_KEY, str_of(pattern, "type"));
                if (!*text)
                        ferr_required(e, &status, "valid values: [\"False\" \"True\" \"Unknown\"]");
                else if (!one_of(text, statuses))
                        ferr_not_supported(e, &status, text, statuses);
        }
}

static void invalid_rule(struct ferrs *e, const struct fpath *p, const struct json_object *rule, const char *msg)
{
        ferr_invalid(e, p, rule, "%s", msg);
}

void job_check_failure_policy(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        struct fpath p = fpath_child(spec_path, "podFailurePolicy"), rules = fpath_child(&p, "rules");
        struct json_object *list = json_at(spec, "podFailurePolicy.rules"), *pod_spec = json_at(spec, "template.spec");

        if (json_len(list) > RULES_MAX)
                ferr_too_many(e, &rules, json_len(list), RULES_MAX);
        json_array_foreach (list, i, rule) {
                struct fpath at = fpath_index(&rules, i), codes = fpath_child(&at, "onExitCodes"),
                             conditions = fpath_child(&at, "onPodConditions");
                struct json_object *on_codes = json_get(rule, "onExitCodes"),
                                   *on_conditions = json_get(rule, "onPodConditions");

                check_action(e, &at, spec, rule);
                if (on_codes)
                        check_exit_codes(e, &codes, pod_spec, on_codes);
                check_conditions(e, &conditions, on_conditions);
                if (on_codes && json_len(on_conditions))
                        invalid_rule(e, &at, rule, "specifying both OnExitCodes and OnPodConditions is not supported");
                if (!on_codes && !json_len(on_conditions))
                        invalid_rule(e, &at, rule, "specifying one of OnExitCodes and OnPodConditions is required");
        }
}

static const char *parse_index(struct arena *a, struct str_span text, int64_t completions, int64_t *ret)
{
        char *s = arena_strndup(a, text.s, text.n);

        if (str_parse_i64(s, ret))
                return arena_printf(a, "cannot convert string to integer for index: \"%s\"", s);
        if (*ret >= completions)
                return arena_printf(a, "too large index: \"%s\"", s);
        return NULL;
}

static const char *order_error(struct arena *a, int64_t previous, int64_t current)
{
        return arena_printf(a, "non-increasing order, previous: %lld, current: %lld", (long long)previous,
                            (long long)current);
}

/* "1,3-5,7": the message that it is refused with, or NULL; *total counts the indexes. */
const char *job_indexes_error(struct arena *a, const char *indexes, int64_t completions, int64_t *total)
{
        struct str_span interval, part;
        int64_t last = -1;

        for (const char *rest = *indexes ? indexes : NULL; rest && str_split(&rest, ',', &interval);) {
                const char *text = arena_strndup(a, interval.s, interval.n), *cursor = text, *msg;
                int64_t ends[2] = {0, 0};
                int n = 0;

                while (str_split(&cursor, '-', &part)) {
                        if (n == 2)
                                return arena_printf(a,
                                                    "the fragment \"%s\" violates the requirement that an index "
                                                    "interval can have at most two parts separated by '-'",
                                                    text);
                        msg = parse_index(a, part, completions, &ends[n++]);
                        if (msg)
                                return msg;
                }
                if (n == 1)
                        ends[1] = ends[0];
                else if (ends[0] >= ends[1])
                        return order_error(a, ends[0], ends[1]);
                if (last >= ends[0])
                        return order_error(a, last, ends[0]);
                *total += ends[1] - ends[0] + 1;
                last = ends[1];
        }
        return NULL;
}

static void check_success_rule(struct ferrs *e, const struct fpath *p, const struct json_object *rule,
                               int64_t completions)
{
        struct fpath indexes = fpath_child(p, "succeededIndexes"), count = fpath_child(p, "succeededCount");
        const char *text = json_get_str(rule, "succeededIndexes"), *msg;
        int64_t n = json_get_i64(rule, "succeededCount", 0), total = 0;

        if (!text && !json_has(rule, "succeededCount"))
                ferr_required(e, p, "at least one of succeededCount or succeededIndexes must be specified");
        if (text && strlen(text) > INDEXES_MAX_BYTES)
                ferr_too_long(e, &indexes, INDEXES_MAX_BYTES);
        else if (text && (msg = job_indexes_error(e->arena, text, completions, &total)))
                ferr_invalid_str(e, &indexes, text, "error parsing succeededIndexes: %s", msg);
        check_non_negative(e, p, rule, "succeededCount");
        if (n > completions)
                ferr_invalid_i64(e, &count, n,
                                 "must be less than or equal to %lld (the number of specified completions)",
                                 (long long)completions);
        if (text && n > total)
                ferr_invalid_i64(e, &count, n,
                                 "must be less than or equal to %lld (the number of indexes in the specified "
                                 "succeededIndexes field)",
                                 (long long)total);
}

void job_check_success_policy(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        struct fpath p = fpath_child(spec_path, "successPolicy"), rules = fpath_child(&p, "rules");
        struct json_object *policy = json_get(spec, "successPolicy"), *list = json_get(policy, "rules");

        if (!str_eq(json_get_str(spec, "completionMode"), "Indexed")) {
                ferr_invalid(e, &p, policy, "requires indexed completion mode");
                return;
        }
        if (!json_len(list))
                ferr_required(e, &rules, "at least one rules must be specified when the successPolicy is specified");
        if (json_len(list) > RULES_MAX)
                ferr_too_many(e, &rules, json_len(list), RULES_MAX);
        json_array_foreach (list, i, rule) {
                struct fpath at = fpath_index(&rules, i);

                check_success_rule(e, &at, rule, json_get_i64(spec, "completions", 0));
        }
}
