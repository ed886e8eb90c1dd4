/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cni/code.h"
#include "cni/result.h"

static struct attachment example(void)
{
        struct attachment a = {.ifname = "eth0",
                               .host_ifname = "fl0123456789ab",
                               .host_mac = {{2, 0, 0, 0, 0, 1}},
                               .mac = {{2, 0, 0, 0, 0, 2}},
                               .naddresses = 2,
                               .mtu = 1450,
                               .netns = "/ns"};
        uint32_t bits;

        ip_parse("10.244.1.5", &a.addresses[0], &bits);
        ip_parse("fd00:1::5", &a.addresses[1], &bits);
        return a;
}

#define HOST_SIDE "{\"name\":\"fl0123456789ab\",\"mac\":\"02:00:00:00:00:01\""
#define POD_SIDE  "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:02\""
#define ROUTES    "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},{\"dst\":\"::/0\",\"gw\":\"fe80::1\"}]"
#define V4        "\"interface\":1,\"address\":\"10.244.1.5/32\",\"gateway\":\"169.254.1.1\"}"
#define V6        "\"interface\":1,\"address\":\"fd00:1::5/128\",\"gateway\":\"fe80::1\"}"

static void each_version_has_its_own_form(void **state)
{
        static const char *const want[CNI_VERSIONS] = {
                [CNI_0_3_1] = "{\"cniVersion\":\"0.3.1\",\"interfaces\":[" HOST_SIDE "}," POD_SIDE
                              ",\"sandbox\":\"/ns\"}],\"ips\":[{\"version\":\"4\"," V4 ",{\"version\":\"6\"," V6
                              "]," ROUTES ",\"dns\":{}}",
                [CNI_0_4_0] = "{\"cniVersion\":\"0.4.0\",\"interfaces\":[" HOST_SIDE "}," POD_SIDE
                              ",\"sandbox\":\"/ns\"}],\"ips\":[{\"version\":\"4\"," V4 ",{\"version\":\"6\"," V6
                              "]," ROUTES ",\"dns\":{}}",
                [CNI_1_0_0] = "{\"cniVersion\":\"1.0.0\",\"interfaces\":[" HOST_SIDE "}," POD_SIDE
                              ",\"sandbox\":\"/ns\"}],\"ips\":[{" V4 ",{" V6 "]," ROUTES ",\"dns\":{}}",
                [CNI_1_1_0] = "{\"cniVersion\":\"1.1.0\",\"interfaces\":[" HOST_SIDE ",\"mtu\":1450}," POD_SIDE
                              ",\"mtu\":1450,\"sandbox\":\"/ns\"}],\"ips\":[{" V4 ",{" V6 "]," ROUTES ",\"dns\":{}}",
        };
        struct attachment a = example();

        for (int v = 0; v < CNI_VERSIONS; v++) {
                struct cni_conf conf = {.version = (enum cni_version)v};
                _cleanup_json_ struct json_object *got = result_add(&a, &conf, NULL);
                _cleanup_free_ char *text = json_text(got);

                assert_string_equal(text, want[v]);
        }
}

static void a_previous_result_stays_in_front(void **state)
{
        struct attachment a = example();
        _cleanup_json_ struct json_object *prev = NULL, *dns = NULL, *got = NULL;
        const char *text = "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"lo\",\"sandbox\":\"/ns\"}],"
                           "\"ips\":[{\"interface\":0,\"address\":\"127.0.0.1/8\"}]}";
        struct cni_conf conf = {.version = CNI_1_0_0};
        size_t at = 99;

        assert_int_equal(json_parse(text, strlen(text), &prev, NULL), 0);
        assert_int_equal(json_parse("{\"search\":[\"x\"]}", 16, &dns, NULL), 0);
        conf.prev_result = prev;
        got = result_add(&a, &conf, dns);
        assert_int_equal(json_len(json_get(got, "interfaces")), 3);
        assert_non_null(result_find_interface(got, "eth0", true, &at));
        assert_int_equal(at, 2);
        assert_null(result_find_interface(got, "eth0", false, &at));
        assert_int_equal(json_len(json_get(got, "ips")), 3);
        assert_int_equal(json_get_i64(json_idx(json_get(got, "ips"), 1), "interface", -1), 2);
        assert_true(json_equal(json_get(got, "dns"), dns));
        assert_int_equal(json_len(json_get(prev, "interfaces")), 1);
}

static void errors_and_versions_are_told_as_the_specification_says(void **state)
{
        struct err err = {.code = CNI_TRY_LATER, .msg = "not \"yet\""};
        _cleanup_json_ struct json_object *error = result_error(CNI_0_4_0, &err, NULL),
                                          *detailed = result_error(CNI_1_1_0, &err, "a\nb"),
                                          *version = result_version(CNI_1_0_0);
        _cleanup_free_ char *a = json_text(error), *b = json_text(detailed), *c = json_text(version);

        assert_string_equal(a, "{\"cniVersion\":\"0.4.0\",\"code\":11,\"msg\":\"not \\\"yet\\\"\"}");
        assert_string_equal(b,
                            "{\"cniVersion\":\"1.1.0\",\"code\":11,\"msg\":\"not \\\"yet\\\"\",\"details\":\"a\\nb\"}");
        assert_string_equal(
                c, "{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_version_has_its_own_form),
                cmocka_unit_test(a_previous_result_stays_in_front),
                cmocka_unit_test(errors_and_versions_are_told_as_the_specification_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
