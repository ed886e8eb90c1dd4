/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/controllers.h"
#include "unit/controllers/world.h"

static const struct controller *const collector[] = {&controller_garbagecollector};

static struct world *world_with(uint64_t seed, unsigned int faults)
{
        return world_new(&(struct world_opts){.seed = seed,
                                              .controllers = collector,
                                              .ncontrollers = 1,
                                              .refuse = faults,
                                              .lose = faults,
                                              .crash = faults / 2,
                                              .lateness = faults ? 60 : 0});
}

static void make(struct world *w, const char *name, const char *owner, bool block)
{
        struct json_object *o = owner ? world_get(w, &res_configmaps, "d", owner) : NULL;

        if (o)
                world_apply(w,
                            "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'namespace':'d','name':'%s','"
                            "ownerReferences':"
                            "[{'apiVersion':'v1','kind':'ConfigMap','name':'%s','uid':'%s','controller':true,"
                            "'blockOwnerDeletion':%s}]}}",
                            name, owner, json_at_str(o, "metadata.uid"), block ? "true" : "false");
        else
                world_apply(w, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'namespace':'d','name':'%s'}}", name);
}

static bool there(struct world *w, const char *name)
{
        return world_get(w, &res_configmaps, "d", name) != NULL;
}

/* top owns middle, which owns bottom. */
static void make_chain(struct world *w)
{
        make(w, "top", NULL, false);
        make(w, "middle", "top", true);
        make(w, "bottom", "middle", true);
        make(w, "other", NULL, false);
        world_settle(w);
}

static void what_owners_leave_behind_goes(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0);

        make_chain(w);
        assert_int_equal(world_writes(w), 0);
        world_delete(w, &res_configmaps, "d", "top", "Background");
        world_settle(w);
        assert_false(there(w, "middle"));
        assert_false(there(w, "bottom"));
        assert_true(there(w, "other"));
}

static void an_owner_waits_for_what_blocks_it(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0);

        make_chain(w);
        world_patch(w, &res_configmaps, "d", "bottom", "{'metadata':{'finalizers':['test.dev/hold']}}");
        world_delete(w, &res_configmaps, "d", "top", "Foreground");
        world_settle(w);
        assert_true(there(w, "top"));
        assert_true(there(w, "middle"));
        world_patch(w, &res_configmaps, "d", "bottom", "{'metadata':{'finalizers':null}}");
        world_settle(w);
        assert_false(there(w, "top"));
        assert_false(there(w, "middle"));
        assert_false(there(w, "bottom"));
}

static void orphans_are_let_go(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0);

        make_chain(w);
        world_delete(w, &res_configmaps, "d", "top", "Orphan");
        world_settle(w);
        assert_false(there(w, "top"));
        assert_true(there(w, "middle"));
        assert_int_equal(json_len(json_at(world_get(w, &res_configmaps, "d", "middle"), "metadata.ownerReferences")),
                         0);
        assert_true(there(w, "bottom"));
}

/* Of two owners one is gone: the reference goes, the object stays. */
static void another_owner_keeps_it(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0);
        const char *a, *b;

        make(w, "a", NULL, false);
        make(w, "b", NULL, false);
        a = json_at_str(world_get(w, &res_configmaps, "d", "a"), "metadata.uid");
        b = json_at_str(world_get(w, &res_configmaps, "d", "b"), "metadata.uid");
        world_apply(
                w,
                "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'namespace':'d','name':'both','ownerReferences':["
                "{'apiVersion':'v1','kind':'ConfigMap','name':'a','uid':'%s'},"
                "{'apiVersion':'v1','kind':'ConfigMap','name':'b','uid':'%s'}]}}",
                a, b);
        world_settle(w);
        world_delete(w, &res_configmaps, "d", "a", "Background");
        world_settle(w);
        assert_int_equal(json_len(json_at(world_get(w, &res_configmaps, "d", "both"), "metadata.ownerReferences")), 1);
        world_delete(w, &res_configmaps, "d", "b", "Background");
        world_settle(w);
        assert_false(there(w, "both"));
}

/* An owner of that name that is another object does not count, and one of an unknown kind might be there. */
static void owners_are_known_by_their_uid(void **state)
{
        _cleanup_(world_freep) struct world *w = world_with(1, 0);

        make(w, "owner", NULL, false);
        world_apply(
                w,
                "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'namespace':'d','name':'false','ownerReferences':["
                "{'apiVersion':'v1','kind':'ConfigMap','name':'owner','uid':'another'}]}}");
        world_apply(
                w,
                "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'namespace':'d','name':'foreign','ownerReferences':["
                "{'apiVersion':'example.com/v1','kind':'Thing','name':'x','uid':'y'}]}}");
        world_settle(w);
        assert_false(there(w, "false"));
        assert_true(there(w, "foreign"));
        assert_true(there(w, "owner"));
}

/*
 * The watches of owners and of their dependents come in any order, and the controllers may not have seen an owner that
 * is there: nothing that has one goes, whatever fails.
 */
static void nothing_that_has_an_owner_goes(void **state)
{
        for (uint64_t seed = 0; seed < 60; seed++) {
                _cleanup_(world_freep) struct world *w = world_with(seed, 20);

                make_chain(w);
                for (int i = 0; i < 5; i++) {
                        char name[16];

                        snprintf(name, sizeof(name), "more-%d", i);
                        make(w, name, i % 2 ? "other" : "top", i % 3);
                        for (int k = 0; k < i; k++)
                                world_step(w);
                }
                world_delete(w, &res_configmaps, "d", "top", seed % 2 ? "Background" : "Foreground");
                world_pass(w, 300000);
                if (there(w, "top") || there(w, "middle") || there(w, "bottom") || there(w, "more-0") ||
                    !there(w, "other") || !there(w, "more-1") || !there(w, "more-3"))
                        fail_msg("seed %llu", (unsigned long long)seed);
        }
}

/* ---- namespaces ---- */

static const struct controller *const caretakers[] = {&controller_namespace, &controller_rootca,
                                                      &controller_serviceaccount};

static struct world *cared_for(uint64_t seed, unsigned int faults)
{
        return world_new(&(struct world_opts){.seed = seed,
                                              .controllers = caretakers,
                                              .ncontrollers = 3,
                                              .refuse = faults,
                                              .lose = faults,
                                              .crash = faults / 2,
                                              .lateness = faults ? 60 : 0});
}

static void a_namespace_has_its_account_and_certificate(void **state)
{
        _cleanup_(world_freep) struct world *w = cared_for(1, 0);

        world_settle(w);
        assert_non_null(world_get(w, &res_serviceaccounts, "d", "default"));
        assert_string_equal(
                json_get_str(json_get(world_get(w, &res_configmaps, "d", "kube-root-ca.crt"), "data"), "ca.crt"),
                "a certificate\n");
        world_patch(w, &res_configmaps, "d", "kube-root-ca.crt", "{'data':{'ca.crt':'forged','more':'x'}}");
        world_delete(w, &res_serviceaccounts, "d", "default", NULL);
        world_settle(w);
        assert_non_null(world_get(w, &res_serviceaccounts, "d", "default"));
        assert_string_equal(
                json_get_str(json_get(world_get(w, &res_configmaps, "d", "kube-root-ca.crt"), "data"), "ca.crt"),
                "a certificate\n");
        assert_int_equal(
                json_object_object_length(json_get(world_get(w, &res_configmaps, "d", "kube-root-ca.crt"), "data")), 1);
}

static void a_namespace_ends_when_nothing_is_left(void **state)
{
        for (uint64_t seed = 0; seed < 30; seed++) {
                _cleanup_(world_freep) struct world *w = cared_for(seed, seed ? 15 : 0);

                make(w, "held", NULL, false);
                world_patch(w, &res_configmaps, "d", "held", "{'metadata':{'finalizers':['test.dev/hold']}}");
                make(w, "free", NULL, false);
                world_pass(w, 1000);
                world_delete(w, &res_namespaces, NULL, "d", NULL);
                world_pass(w, 60000);
                assert_false(there(w, "free"));
                assert_true(there(w, "held"));
                assert_non_null(strstr(json_object_to_json_string(world_get(w, &res_namespaces, NULL, "d")),
                                       "test.dev\\/hold in 1 resource instances"));
                world_patch(w, &res_configmaps, "d", "held", "{'metadata':{'finalizers':null}}");
                world_pass(w, 120000);
                if (world_get(w, &res_namespaces, NULL, "d"))
                        fail_msg("seed %llu: %s", (unsigned long long)seed,
                                 json_object_to_json_string(world_get(w, &res_namespaces, NULL, "d")));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_owners_leave_behind_goes),
                cmocka_unit_test(an_owner_waits_for_what_blocks_it),
                cmocka_unit_test(orphans_are_let_go),
                cmocka_unit_test(another_owner_keeps_it),
                cmocka_unit_test(owners_are_known_by_their_uid),
                cmocka_unit_test(nothing_that_has_an_owner_goes),
                cmocka_unit_test(a_namespace_has_its_account_and_certificate),
                cmocka_unit_test(a_namespace_ends_when_nothing_is_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
