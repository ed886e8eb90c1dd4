/* SPDX-License-Identifier: Apache-2.0 */
/* Records of sandboxes and containers on the disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/kubelet/runtime/builtin/impl.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static char folder[64], path[96];

static int begin(void **state)
{
        str_copy(folder, sizeof(folder), "/tmp/fl-record-XXXXXX");
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/record.json", folder);
        return 0;
}

static int end(void **state)
{
        unlink(path);
        return rmdir(folder); /* a file that was left behind shows here */
}

static const struct port_mapping port = {80, 8080, "TCP", "127.0.0.1"};
static const struct runtime_label sysctl = {"net.ipv4.ip_forward", "1"};
static const struct sandbox_config config = {
        .ns = "default",
        .name = "web",
        .uid = "u",
        .attempt = 3,
        .log_folder = "/var/log/x",
        .cgroup = "kubepods/podu",
        .network = NAMESPACE_POD,
        .pid = NAMESPACE_CONTAINER,
        .ports = &port,
        .nports = 1,
        .sysctls = &sysctl,
        .nsysctls = 1,
};

static void what_is_saved_is_loaded(void **state)
{
        _cleanup_json_ struct json_object *record = sandbox_record("s1", &config), *back = NULL;
        struct stat st;

        assert_int_equal(record_save(folder, record, NULL), 0);
        json_set_bool(record, "ready", true);
        assert_int_equal(record_save(folder, record, NULL), 0);
        assert_int_equal(record_load(folder, &back, NULL), 0);
        assert_true(json_equal(record, back));
        assert_true(record_is_sandbox(back, "s1"));
        assert_false(record_is_sandbox(back, "s2"));
        assert_false(record_is_container(back, "s1"));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_record_says_what_was_asked(void **state)
{
        _cleanup_json_ struct json_object *r = sandbox_record("s1", &config);
        struct sandbox_config limited = config;
        _cleanup_json_ struct json_object *l = NULL;

        assert_int_equal(json_get_i64(r, "attempt", 0), 3);
        assert_false(json_get_bool(r, "ready", true));
        assert_false(json_get_bool(r, "limited", true));
        assert_string_equal(json_get_str(json_get(r, "sysctls"), "net.ipv4.ip_forward"), "1");
        assert_int_equal(json_get_i64(json_idx(json_get(r, "ports"), 0), "hostPort", 0), 80);
        limited.resources.memory_bytes = 1;
        l = sandbox_record("s1", &limited);
        assert_true(json_get_bool(l, "limited", false));
}

static void of_a_container(void **state)
{
        const struct runtime_label label = {"fairlead.dev/hash", "abc"};
        const struct container_config c = {
                .name = "app", .attempt = 1, .image_id = "i", .labels = &label, .nlabels = 1, .stop_signal = 2};
        _cleanup_json_ struct json_object *r = container_record("c1", &c);

        assert_true(record_is_container(r, "c1"));
        assert_false(record_is_sandbox(r, "c1"));
        assert_int_equal(json_get_i64(r, "stopSignal", 0), 2);
        json_del(r, "imageId");
        assert_false(record_is_container(r, "c1"));
}

static void what_is_damaged_is_told(void **state)
{
        static const struct {
                const char *text, *words;
        } cases[] = {{"", "end"}, {"{\"id\": ", "end"}, {"[]", "is no JSON object"}, {"null", "is no JSON object"}};
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(record_load(folder, &o, &err), -ENOENT);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(file_write_atomic(path, cases[i].text, strlen(cases[i].text), 0600, NULL), 0);
                assert_int_equal(record_load(folder, &o, &err), -EINVAL);
                if (!strstr(err.msg, cases[i].words))
                        fail_msg("%s: %s", cases[i].text, err.msg);
        }
}

static void ids_differ(void **state)
{
        char a[RUNTIME_ID_SIZE], b[RUNTIME_ID_SIZE];

        new_id(a);
        new_id(b);
        assert_int_equal(strlen(a), 64);
        assert_int_equal(strspn(a, "0123456789abcdef"), 64);
        assert_string_not_equal(a, b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, begin, end),
                cmocka_unit_test(a_record_says_what_was_asked),
                cmocka_unit_test(of_a_container),
                cmocka_unit_test_setup_teardown(what_is_damaged_is_told, begin, end),
                cmocka_unit_test(ids_differ),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
