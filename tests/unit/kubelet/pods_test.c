/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of a played node: what is asked of the runtime, what people and the API are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "played/node.h"

static struct played node;

static int open_node(void **state)
{
        played_open(&node);
        return 0;
}

static int close_node(void **state)
{
        const char *broken = node.broken;

        played_close(&node);
        if (broken)
                print_error("%s\n", broken);
        return broken != NULL;
}

#define ONE(name, more)                                                                                                \
        "{\"metadata\": {\"name\": \"" name "\", \"generation\": 1}, \"spec\": {\"restartPolicy\": \"Always\", "       \
        "\"containers\": [{\"name\": \"app\", \"image\": \"busybox\"" more "}]}}"

static void assert_event(const char *text)
{
        if (!node.events.data || !strstr(node.events.data, text))
                fail_msg("no Event \"%s\" among\n%s", text, node.events.data ? node.events.data : "none");
}

static void a_pod_runs_and_is_told(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        assert_string_equal(node.log.data, "run 0; create app/0; start app/0; ");
        assert_string_equal(node.events.data, "Normal Pulled Container image \"busybox\" already present on machine\n"
                                              "Normal Created Created container: app\n"
                                              "Normal Started Started container app\n");
        assert_string_equal(played_status("web", "phase"), "Running");
        assert_string_equal(played_status("web", "podIP"), "10.1.0.5");
        assert_string_equal(played_status("web", "hostIP"), "192.0.2.1");
        assert_true(json_get_bool(played_container_status("web", "app"), "ready", false));
}

static void a_deleted_pod_is_ended_told_removed_and_forgotten(void **state)
{
        played_add(ONE("web", ""));
        played_settle();
        played_delete("web", 5);
        played_settle();
        assert_string_equal(node.log.data,
                            "run 0; create app/0; start app/0; stop app/0; stop-sandbox; remove-sandbox; ");
        assert_event("Normal Killing Stopping container app");
        assert_null(played_pod("web"));
        assert_int_equal(node.deletes, 1);
        assert_int_equal(node.nboxes, 0);
        assert_true(node.volumes_removed >= 1);
        assert_string_equal(node.told.data, "Pending Running Failed ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_pod_runs_and_is_told, open_node, close_node),
                cmocka_unit_test_setup_teardown(a_deleted_pod_is_ended_told_removed_and_forgotten, open_node,
                                                close_node),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
