/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/pods.h"
#include "unit/controllers/world.h"

/*
 * A controller of a few lines: as many pods as the ConfigMap "want"'s label says are to be there, made in slow start;
 * then it writes down in an annotation how many there are.
 */
static void on_map(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        runner_add_object(r, now ? now : old);
}

static void on_pod(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        runner_add_controller_of(r, now ? now : old, &res_configmaps);
}

static struct json_object *new_pod(const struct kobj *owner)
{
        struct json_object *template = json_object_new_object(), *pod, *c = json_object_new_object();

        json_set_str(c, "name", "c");
        json_set_str(c, "image", "i");
        json_set(json_ensure(template, "spec"), "containers", json_object_new_array());
        json_object_array_add(json_at(template, "spec.containers"), c);
        pod = pod_from_template(owner, template);
        json_object_put(template);
        return pod;
}

static void write_down(struct sync *s, const struct kobj *map, size_t n)
{
        const char *there = kobj_annotation(map, "there");
        struct json_object *patch;
        char text[24];

        snprintf(text, sizeof(text), "%zu", n);
        if (str_eq(there, text))
                return;
        patch = json_object_new_object();
        json_set_str(json_ensure(json_ensure(patch, "metadata"), "annotations"), "there", text);
        plan_patch(s, map, NULL, patch);
}

static void sync_map(struct sync *s)
{
        static const struct telling telling = {"Made", "made {name}", "Failed", "{error}"};
        const struct kobj *map = lister_find(s->lister, &res_configmaps, s->key);
        struct kobjs pods;
        int64_t want = 0;

        if (!map || map->deleted_s || !kobj_label(map, "want"))
                return;
        str_parse_i64(kobj_label(map, "want"), &want);
        pods = lister_controlled(s->lister, &res_pods, map->uid, s->mem);
        for (size_t i = pods.n; i < (size_t)want; i++) {
                struct step *st = plan_create(s, &res_pods, new_pod(map));

                step_slow_start(st);
                step_tell(st, map, &telling);
        }
        for (size_t i = (size_t)want; i < pods.n; i++)
                plan_delete(s, pods.items[i]);
        if (pods.n == (size_t)want)
                write_down(s, map, pods.n);
}

static const struct controller counting = {
        .name = "counting",
        .watches = (const struct watch[]){{&res_configmaps, on_map}, {&res_pods, on_pod}, {0}},
        .sync = sync_map,
};

static const struct controller *const only[] = {&counting};

static void want(struct world *w, int n)
{
        world_apply(
                w,
                "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'namespace':'d','name':'m','labels':{'want':'%d'}}}",
                n);
}

static const char *written(struct world *w)
{
        const char *there = json_at_str(world_get(w, &res_configmaps, "d", "m"), "metadata.annotations.there");

        return there ? there : "";
}

static void a_plan_is_carried_out_and_seen(void **state)
{
        _cleanup_(world_freep) struct world *w =
                world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1});

        want(w, 5);
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 5);
        assert_string_equal(written(w), "5");
        assert_int_equal(world_writes(w), 6);
        assert_non_null(strstr(world_events(w), "Normal Made ConfigMap d/m made m-"));
        want(w, 2);
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 2);
}

/* However the watch lags, what was written is not written again. */
static void late_watches_make_no_duplicates(void **state)
{
        for (uint64_t seed = 0; seed < 40; seed++) {
                _cleanup_(world_freep) struct world *w = world_new(
                        &(struct world_opts){.seed = seed, .controllers = only, .ncontrollers = 1, .lateness = 95});

                want(w, 7);
                world_settle(w);
                assert_int_equal(world_count(w, &res_pods, "d"), 7);
                assert_int_equal(world_writes(w), 8);
        }
}

/* A create whose answer got lost is sent again under its name. */
static void lost_answers_make_no_duplicates(void **state)
{
        for (uint64_t seed = 0; seed < 40; seed++) {
                _cleanup_(world_freep) struct world *w = world_new(
                        &(struct world_opts){.seed = seed, .controllers = only, .ncontrollers = 1, .lose = 30});

                want(w, 7);
                world_pass(w, 60000);
                assert_int_equal(world_count(w, &res_pods, "d"), 7);
                assert_int_equal(world_writes(w), 8);
        }
}

/* Nobody decides by a cache that does not show yet what such a write came to. */
static void what_a_lost_answer_left_is_seen_before_more_is_written(void **state)
{
        for (uint64_t seed = 0; seed < 40; seed++) {
                _cleanup_(world_freep) struct world *w = world_new(&(struct world_opts){
                        .seed = seed, .controllers = only, .ncontrollers = 1, .lose = 50, .lateness = 95});

                want(w, 3);
                for (int i = 0; i < 300; i++) { /* there is always a reason to look at it again */
                        world_step(w);
                        world_patch(w, &res_configmaps, "d", "m", "{'metadata':{'annotations':{'i':'%d'}}}", i);
                }
                world_pass(w, 60000);
                assert_string_equal(written(w), "3");
                assert_int_equal(world_writes(w), 4);
        }
}

static void it_converges_through_refusals_and_crashes(void **state)
{
        for (uint64_t seed = 0; seed < 40; seed++) {
                _cleanup_(world_freep) struct world *w = world_new(&(struct world_opts){.seed = seed,
                                                                                        .controllers = only,
                                                                                        .ncontrollers = 1,
                                                                                        .refuse = 20,
                                                                                        .lose = 10,
                                                                                        .crash = 10,
                                                                                        .lateness = 50});

                want(w, 7);
                world_pass(w, 2000);
                want(w, 3);
                world_pass(w, 120000);
                assert_int_equal(world_count(w, &res_pods, "d"), 3);
                assert_string_equal(written(w), "3");
        }
}

/* What is refused once is not asked for as often as there are pods to be made. */
static void refusals_end_a_slow_start(void **state)
{
        _cleanup_(world_freep) struct world *w =
                world_new(&(struct world_opts){.seed = 1, .controllers = only, .ncontrollers = 1, .refuse = 100});

        want(w, 100);
        world_settle(w);
        assert_int_equal(world_count(w, &res_pods, "d"), 0);
        assert_null(strstr(strchr(world_events(w), '\n') + 1, "\n"));
}

/* Somebody deletes pods the moment they are there, before the answers to their creation come: nothing waits for them.
 */
static void delete_all(struct world *w, void *userdata)
{
        bool *busy = userdata;
        size_t n;

        if (*busy)
                return;
        *busy = true;
        if (world_random(w, 2)) {
                _cleanup_free_ struct json_object **pods = world_list(w, &res_pods, "d", &n);

                for (size_t i = 0; i < n; i++)
                        world_delete(w, &res_pods, "d", json_at_str(pods[i], "metadata.name"), NULL);
        }
        *busy = false;
}

static void what_others_deleted_at_once_is_not_waited_for(void **state)
{
        for (uint64_t seed = 0; seed < 20; seed++) {
                bool busy = true;
                _cleanup_(world_freep) struct world *w = world_new(&(struct world_opts){
                        .seed = seed, .controllers = only, .ncontrollers = 1, .check = delete_all, .userdata = &busy});

                want(w, 3);
                busy = false;
                for (int i = 0; i < 300; i++)
                        world_step(w);
                busy = true;
                world_pass(w, 5000);
                assert_int_equal(world_count(w, &res_pods, "d"), 3);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_plan_is_carried_out_and_seen),
                cmocka_unit_test(late_watches_make_no_duplicates),
                cmocka_unit_test(lost_answers_make_no_duplicates),
                cmocka_unit_test(what_a_lost_answer_left_is_seen_before_more_is_written),
                cmocka_unit_test(it_converges_through_refusals_and_crashes),
                cmocka_unit_test(refusals_end_a_slow_start),
                cmocka_unit_test(what_others_deleted_at_once_is_not_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
