/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps and Secrets that pods hold: a watch each while somebody does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "unit/kubelet/podworld.h"

static struct podworld world;

static int setup(void **state)
{
        podworld_init(&world);
        return 0;
}

static int teardown(void **state)
{
        podworld_deinit(&world);
        return 0;
}

static struct json_object *pod_of(const char *uid, const char *spec)
{
        _cleanup_free_ char *json = mem_printf("{\"metadata\":{\"uid\":\"%s\"},\"spec\":{%s}}", uid, spec);

        return podworld_pod(json);
}

static int get(enum object_kind kind, const char *name, struct json_object **ret)
{
        return objects_get(world.objects, kind, "ns", name, ret);
}

/* "data.k" of a ConfigMap. */
static const char *value(const char *name)
{
        struct json_object *o;

        return get(OBJECT_CONFIG_MAP, name, &o) ? NULL : json_at_str(o, "data.k");
}

static bool so_many_watches(void *userdata)
{
        return podworld_watches(&world) == *(int *)userdata;
}

static void wait_for_watches(int n)
{
        podworld_until(&world, so_many_watches, &n);
}

struct wanted {
        const char *name, *value;
};

static bool has_value(void *userdata)
{
        struct wanted *w = userdata;

        return str_eq(value(w->name), w->value);
}

static void wait_for_value(const char *name, const char *text)
{
        podworld_until(&world, has_value, &(struct wanted){name, text});
}

static void put(const char *name, const char *k, const char *more)
{
        _cleanup_free_ char *json = mem_printf(
                "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\"},\"data\":{\"k\":\"%s\"}%s}", name, k, more);

        podworld_put(&world, json);
}

static void all_places_of_a_pod_are_looked_at(void **state)
{
        static const char *const maps[] = {"volume", "projected", "env", "init", "ephemeral"};
        static const char *const secrets[] = {"volume", "projected", "env", "from", "pull"};
        _cleanup_json_ struct json_object *pod = pod_of(
                "u-1",
                "\"volumes\":[{\"configMap\":{\"name\":\"volume\"}},{\"secret\":{\"secretName\":\"volume\"}},{"
                "\"projected\":{"
                "\"sources\":[{\"configMap\":{\"name\":\"projected\"}},{\"secret\":{\"name\":\"projected\"}}]}}],"
                "\"containers\":[{\"env\":[{\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"env\"}}},{\"valueFrom\":{"
                "\"secretKeyRef\":{\"name\":\"env\"}}}],\"envFrom\":[{\"secretRef\":{\"name\":\"from\"}}]}],"
                "\"initContainers\":[{\"envFrom\":[{\"configMapRef\":{\"name\":\"init\"}}]}],"
                "\"ephemeralContainers\":[{\"envFrom\":[{\"configMapRef\":{\"name\":\"ephemeral\"}}]}],"
                "\"imagePullSecrets\":[{\"name\":\"pull\"}]");
        struct json_object *o;

        assert_int_equal(get(OBJECT_SECRET, "pull", &o), -EAGAIN);
        podworld_settle(&world, pod);
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
                assert_int_equal(get(OBJECT_CONFIG_MAP, maps[i], &o), -ENOENT);
        for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
                assert_int_equal(get(OBJECT_SECRET, secrets[i], &o), -ENOENT);
        assert_int_equal(get(OBJECT_CONFIG_MAP, "other", &o), -EAGAIN);
        wait_for_watches(10);
}

#define USES(name) "\"volumes\":[{\"configMap\":{\"name\":\"" name "\"}}]"

static void pods_share_a_watch_and_the_last_one_ends_it(void **state)
{
        _cleanup_json_ struct json_object *a = pod_of("u-a", USES("x")), *b = pod_of("u-b", USES("x")),
                                          *other = pod_of("u-b", USES("y"));
        struct json_object *o;

        put("x", "1", "");
        podworld_settle(&world, a);
        podworld_settle(&world, b);
        wait_for_watches(1);
        assert_string_equal(value("x"), "1");
        objects_release(world.objects, "u-a");
        wait_for_watches(1);
        assert_string_equal(value("x"), "1");
        podworld_settle(&world, other); /* u-b names another one now */
        wait_for_watches(1);
        assert_int_equal(get(OBJECT_CONFIG_MAP, "x", &o), -EAGAIN);
        objects_release(world.objects, "u-b");
        objects_release(world.objects, "u-unknown");
        wait_for_watches(0);
}

static void changes_come_and_say_whose_they_are(void **state)
{
        _cleanup_json_ struct json_object *a = pod_of("u-a", USES("x")), *b = pod_of("u-b", USES("y"));
        struct json_object *o;

        put("x", "1", "");
        podworld_settle(&world, a);
        podworld_settle(&world, b);
        loop_run_for(world.loop, 50);
        world.changed = 0;
        put("x", "2", "");
        wait_for_value("x", "2");
        loop_run_for(world.loop, 50);
        assert_int_equal(world.changed, 1);
        assert_string_equal(world.changed_uid, "u-a");
        podworld_delete(&world, "configmaps", "x");
        wait_for_value("x", NULL);
        assert_int_equal(get(OBJECT_CONFIG_MAP, "x", &o), -ENOENT);
        put("x", "3", "");
        wait_for_value("x", "3");
}

static void what_cannot_change_needs_no_watch(void **state)
{
        _cleanup_json_ struct json_object *a = pod_of("u-a", USES("x"));

        put("x", "1", ",\"immutable\":true");
        podworld_settle(&world, a);
        wait_for_watches(0);
        assert_string_equal(value("x"), "1");
}

static void what_is_known_outlives_the_api(void **state)
{
        _cleanup_json_ struct json_object *a = pod_of("u-a", USES("x")), *b = pod_of("u-b", USES("y"));
        struct json_object *o;

        put("x", "1", "");
        podworld_settle(&world, a);
        podworld_silence(&world, true);
        objects_hold(world.objects, b);
        loop_run_for(world.loop, 100);
        assert_string_equal(value("x"), "1");
        assert_int_equal(get(OBJECT_CONFIG_MAP, "y", &o), -EAGAIN);
        assert_false(objects_answered(world.objects, "u-b"));
        podworld_silence(&world, false);
        put("y", "2", "");
        wait_for_value("y", "2");
}

/* More than are watched: these are asked for, once at first. */
static void watches_are_bounded(void **state)
{
        enum { PODS = 300 };
        struct json_object *pods[PODS];

        put("x299", "late", "");
        for (int i = 0; i < PODS; i++) {
                _cleanup_free_ char *uid = mem_printf("u-%d", i),
                                    *uses = mem_printf("\"volumes\":[{\"configMap\":{\"name\":\"x%d\"}}]", i);

                pods[i] = pod_of(uid, uses);
                objects_hold(world.objects, pods[i]);
        }
        for (int i = 0; i < PODS; i++)
                podworld_settle(&world, pods[i]);
        assert_string_equal(value("x299"), "late");
        assert_true(podworld_watches(&world) <= 256);
        for (int i = 0; i < PODS; i++) {
                objects_release(world.objects, json_at_str(pods[i], "metadata.uid"));
                json_object_put(pods[i]);
        }
        wait_for_watches(0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(all_places_of_a_pod_are_looked_at, setup, teardown),
                cmocka_unit_test_setup_teardown(pods_share_a_watch_and_the_last_one_ends_it, setup, teardown),
                cmocka_unit_test_setup_teardown(changes_come_and_say_whose_they_are, setup, teardown),
                cmocka_unit_test_setup_teardown(what_cannot_change_needs_no_watch, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_known_outlives_the_api, setup, teardown),
                cmocka_unit_test_setup_teardown(watches_are_bounded, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
