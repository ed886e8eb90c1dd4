/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/storekey.h"
#include "base/str.h"

static const struct {
        const char *group, *plural, *namespace, *name, *key, *prefix;
} rows[] = {
        {"", "pods", "default", "web-0", "/registry/pods/default/web-0", "/registry/pods/default/"},
        {"", "services", "ns", "a", "/registry/services/specs/ns/a", "/registry/services/specs/ns/"},
        {"", "endpoints", "ns", "a", "/registry/services/endpoints/ns/a", "/registry/services/endpoints/ns/"},
        {"", "nodes", NULL, "n1", "/registry/minions/n1", "/registry/minions/"},
        {"", "replicationcontrollers", "x", "rc", "/registry/controllers/x/rc", "/registry/controllers/x/"},
        {"", "namespaces", NULL, "default", "/registry/namespaces/default", "/registry/namespaces/"},
        {"", "events", "default", "e.1", "/registry/events/default/e.1", "/registry/events/default/"},
        {"apps", "deployments", "d", "web", "/registry/deployments/d/web", "/registry/deployments/d/"},
        {"rbac.authorization.k8s.io", "clusterroles", NULL, "system:admin", "/registry/clusterroles/system:admin",
         "/registry/clusterroles/"},
        {"networking.k8s.io", "ipaddresses", NULL, "2001:db8::1", "/registry/ipaddresses/2001:db8::1",
         "/registry/ipaddresses/"},
        {"discovery.k8s.io", "endpointslices", "s", "a-1", "/registry/endpointslices/s/a-1",
         "/registry/endpointslices/s/"},
        {"volumesnapshot.io", "volumeattributesclasses", NULL, "v",
         "/registry/volumesnapshot.io/volumeattributesclasses/v",
         "/registry/volumesnapshot.io/volumeattributesclasses/"},
        {"apiregistration.k8s.io", "apiservices", NULL, "v1.apps", "/registry/apiservices/v1.apps",
         "/registry/apiservices/"},
        {"example.com", "widgets", "ns", "w", "/registry/example.com/widgets/ns/w",
         "/registry/example.com/widgets/ns/"},
        {"example.com", "services", "ns", "w", "/registry/example.com/services/ns/w",
         "/registry/example.com/services/ns/"},
        {"gateway.networking.k8s.io", "gatewayclasses", NULL, "g",
         "/registry/gateway.networking.k8s.io/gatewayclasses/g", "/registry/gateway.networking.k8s.io/gatewayclasses/"},
};

static void each_object_has_its_key_and_back(void **state)
{
        struct arena a = ARENA_NULL;
        size_t i;

        for (i = 0; i < ARRAY_SIZE(rows); i++) {
                struct store_key_parts p;

                assert_string_equal(store_key(&a, rows[i].group, rows[i].plural, rows[i].namespace, rows[i].name),
                                    rows[i].key);
                assert_string_equal(store_key_prefix(&a, rows[i].group, rows[i].plural, rows[i].namespace),
                                    rows[i].prefix);
                assert_int_equal(store_key_parse(&a, rows[i].key, &p), 0);
                assert_string_equal(p.group, rows[i].group);
                assert_string_equal(p.plural, rows[i].plural);
                assert_string_equal(p.name, rows[i].name);
                assert_true(str_eq(p.namespace, rows[i].namespace));
        }
        arena_deinit(&a);
}

static void events_of_both_groups_share_a_key(void **state)
{
        struct arena a = ARENA_NULL;

        assert_string_equal(store_key(&a, "events.k8s.io", "events", "d", "e"), "/registry/events/d/e");
        arena_deinit(&a);
}

static void an_empty_namespace_is_none(void **state)
{
        struct arena a = ARENA_NULL;

        assert_string_equal(store_key(&a, "", "pods", "", "x"), "/registry/pods/x");
        assert_string_equal(store_key_prefix(&a, "", "pods", ""), "/registry/pods/");
        arena_deinit(&a);
}

static void what_is_no_object_key_is_told_apart(void **state)
{
        static const char *const others[] = {
                "",
                "/registry/",
                "/registry/pods",
                "/registry/pods/",
                "/registry/pods/default/",
                "/registry/pods/onlyname",
                "/registry/pods/a/b/c",
                "/registry/pods//b",
                "/registry/namespaces/a/b",
                "/registry/services/default/a",
                "/registry/services/specs/default",
                "/registry/nodes/n1",
                "/registry/ranges/nodeports/30000",
                "/registry/unknowns/x",
                "/other/pods/a/b",
                "/registry/example.com/widgets",
        };
        struct arena a = ARENA_NULL;
        size_t i;

        for (i = 0; i < ARRAY_SIZE(others); i++) {
                struct store_key_parts p;

                if (store_key_parse(&a, others[i], &p) != STORE_KEY_OTHER)
                        fail_msg("%s was taken for an object", others[i]);
        }
        arena_deinit(&a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_object_has_its_key_and_back),
                cmocka_unit_test(events_of_both_groups_share_a_key),
                cmocka_unit_test(an_empty_namespace_is_none),
                cmocka_unit_test(what_is_no_object_key_is_told_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
