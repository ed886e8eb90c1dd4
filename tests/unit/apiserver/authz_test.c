/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/authz.h"
#include "base/cleanup.h"

static struct user_info user_of(const char *name, const char *group, const char *storage[3])
{
        storage[0] = group;
        storage[1] = strcmp(group, "system:unauthenticated") == 0 ? NULL : "system:authenticated";
        storage[2] = NULL;
        return (struct user_info){.name = name, .groups = storage};
}

static void who_may_what(void **state _unused_)
{
        static const struct {
                const char *user, *group, *verb, *api_group, *resource, *sub;
                bool yes;
        } rows[] = {
                {"admin", "system:masters", "delete", "", "pods", NULL, true},
                {"admin", "system:masters", "impersonate", "x.y", "anything", "at/all", true},
                {"joe", "people", "get", "", "pods", NULL, false},
                {"joe", "people", "create", "authorization.k8s.io", "selfsubjectaccessreviews", NULL, true},
                {"joe", "people", "create", "authorization.k8s.io", "subjectaccessreviews", NULL, false},
                {"joe", "people", "create", "authentication.k8s.io", "selfsubjectreviews", NULL, true},
                {"joe", "people", "create", "authentication.k8s.io", "tokenreviews", NULL, false},
                {"system:anonymous", "system:unauthenticated", "list", "", "pods", NULL, false},
                {"system:anonymous", "system:unauthenticated", "create", "authentication.k8s.io", "selfsubjectreviews",
                 NULL, false},
                /* a user's name is not a group's and the other way round */
                {"system:masters", "people", "get", "", "pods", NULL, false},
                {"group:system:masters", "people", "get", "", "pods", NULL, false},
                {"joe", "system:kube-scheduler", "create", "", "pods", "binding", false},
                {"system:kube-scheduler", "people", "create", "", "pods", "binding", true},
                {"system:kube-scheduler", "people", "create", "", "pods", "exec", false},
                {"system:kube-scheduler", "people", "delete", "", "nodes", NULL, false},
                {"system:node:a", "system:nodes", "update", "", "pods", "status", true},
                {"system:node:a", "system:nodes", "update", "", "pods", NULL, false},
                {"system:node:a", "system:nodes", "list", "", "services", NULL, true},
                {"system:node:a", "system:nodes", "list", "apps", "services", NULL, false},
                {"system:node:a", "system:nodes", "deletecollection", "", "pods", NULL, false},
                {"system:kube-proxy", "people", "watch", "discovery.k8s.io", "endpointslices", NULL, true},
                {"system:kube-proxy", "people", "watch", "", "secrets", NULL, false},
                {"system:kube-proxy", "people", "patch", "events.k8s.io", "events", NULL, true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *groups[3], *why = NULL;
                struct user_info u = user_of(rows[i].user, rows[i].group, groups);
                struct authz_attributes a = {.user = &u,
                                             .verb = rows[i].verb,
                                             .is_resource = true,
                                             .group = rows[i].api_group,
                                             .resource = rows[i].resource,
                                             .subresource = rows[i].sub};

                if (authorize(&a, &why) != rows[i].yes)
                        fail_msg("row %zu: %s %s %s/%s: %s", i, rows[i].user, rows[i].verb, rows[i].resource,
                                 rows[i].sub ? rows[i].sub : "", rows[i].yes ? "refused" : "allowed");
                assert_int_equal(*why != '\0', rows[i].yes);
        }
}

static void who_may_see_what_path(void **state _unused_)
{
        static const struct {
                const char *group, *verb, *path;
                bool yes;
        } rows[] = {
                {"system:unauthenticated", "get", "/healthz", true},
                {"system:unauthenticated", "get", "/readyz/etcd", true},
                {"system:unauthenticated", "get", "/healthzz", false},
                {"system:unauthenticated", "get", "/version", false},
                {"system:unauthenticated", "get", "/metrics", false},
                {"system:unauthenticated", "post", "/healthz", false},
                {"people", "get", "/version", true},
                {"people", "get", "/apis/apps/v1", true},
                {"people", "get", "/openapi/v3", true},
                {"people", "get", "/metrics", false},
                {"system:masters", "get", "/metrics", true},
                {"system:masters", "post", "/anything", true},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *groups[3];
                struct user_info u = user_of("joe", rows[i].group, groups);
                struct authz_attributes a = {.user = &u, .verb = rows[i].verb, .path = rows[i].path};

                if (authorize(&a, NULL) != rows[i].yes)
                        fail_msg("%s %s %s", rows[i].group, rows[i].verb, rows[i].path);
        }
}

static void count(void *arg, const struct authz_rule *rule)
{
        size_t *n = arg;

        assert_non_null(rule->verbs);
        assert_true((rule->groups && rule->resources) != (rule->paths != NULL)); /* one or the other */
        (*n)++;
}

static void a_user_is_told_his_own_rules(void **state _unused_)
{
        const char *groups[3];
        struct user_info joe = user_of("joe", "people", groups);
        size_t n = 0, all = 0;

        authz_each_rule(&joe, count, &n);
        assert_int_equal(n, 3); /* what every authenticated user has */
        joe.name = NULL;
        authz_each_rule(&joe, count, &all);
        assert_int_equal(all, 3);
        joe = user_of("admin", "system:masters", groups);
        all = 0;
        authz_each_rule(&joe, count, &all);
        assert_int_equal(all, 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_may_what),
                cmocka_unit_test(who_may_see_what_path),
                cmocka_unit_test(a_user_is_told_his_own_rules),
        };

        return cmocka_run_group_tests_name("authz", tests, NULL, NULL);
}
