/* SPDX-License-Identifier: Apache-2.0 */
/* What CNI's specification says in JSON: configurations, what plugins are given, what they answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/kubelet/runtime/builtin/cni_conf.h"
#include "base/str.h"

static struct json_object *parse_list(const char *text)
{
        struct json_object *o = NULL;
        struct err err = ERR_NULL;

        if (cni_list_parse(text, strlen(text), &o, &err))
                fail_msg("%s: %s", text, err.msg);
        return o;
}

static struct json_object *parse(const char *text)
{
        struct json_object *o = NULL;

        assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
        return o;
}

static void assert_json(const struct json_object *got, const char *want)
{
        _cleanup_json_ struct json_object *w = parse(want);
        _cleanup_free_ char *text = json_text(got);

        if (!json_equal(got, w))
                fail_msg("got  %s\nwant %s", text, want);
}

static void the_newest_version_that_both_know_is_spoken(void **state)
{
        static const struct {
                const char *versions, *want;
        } cases[] = {
                {"\"cniVersion\": \"0.3.1\"", "0.3.1"},
                {"\"cniVersion\": \"1.0.0\", \"cniVersions\": [\"0.4.0\", \"1.1.0\"]", "1.1.0"},
                {"\"cniVersion\": \"0.4.0\", \"cniVersions\": [\"2.0.0\", \"0.3.1\"]", "0.4.0"},
                {"\"cniVersions\": [\"1.0.0\", null, 7]", "1.0.0"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_json_ struct json_object *list = NULL;

                assert_true(asprintf(&text, "{%s, \"name\": \"n\", \"plugins\": [{\"type\": \"a\"}]}",
                                     cases[i].versions) > 0);
                list = parse_list(text);
                assert_string_equal(json_get_str(list, "cniVersion"), cases[i].want);
        }
}

static void one_plugins_configuration_is_a_list_of_one(void **state)
{
        _cleanup_json_ struct json_object *list =
                parse_list("{\"cniVersion\": \"0.4.0\", \"name\": \"n\", \"type\": \"ptp\", "
                           "\"mtu\": 9000}");
        _cleanup_json_ struct json_object *in = cni_plugin_input(list, 0, NULL, NULL);

        assert_string_equal(cni_plugin_type(list, 0), "ptp");
        assert_json(in, "{\"cniVersion\": \"0.4.0\", \"name\": \"n\", \"type\": \"ptp\", \"mtu\": 9000}");
        assert_true(cni_list_speaks(list, "0.4.0"));
        assert_false(cni_list_speaks(list, "1.0.0"));
}

static void bad_configurations_are_told_what_would_be_right(void **state)
{
        static const struct {
                const char *text, *words;
        } cases[] = {
                {"[]", "JSON object"},
                {"{", "unexpected end"},
                {"{\"name\": \"n\", \"plugins\": [{\"type\": \"a\"}]}", "cniVersion \"\""},
                {"{\"cniVersion\": \"0.2.0\", \"name\": \"n\", \"plugins\": [{\"type\": \"a\"}]}",
                 "cniVersion \"0.2.0\""},
                {"{\"cniVersion\": \"1.0.0\", \"plugins\": [{\"type\": \"a\"}]}", "name \"\""},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"a/b\", \"plugins\": [{\"type\": \"a\"}]}", "name \"a/b\""},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"-a\", \"plugins\": [{\"type\": \"a\"}]}", "name \"-a\""},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": []}", "plugins"},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": {}}", "plugins"},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [{\"type\": \"a\"}, {}]}",
                 "plugins[1].type"},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [{\"type\": \"../a\"}]}",
                 "plugins[0].type"},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [null]}", "plugins[0].type"},
                {"{\"cniVersion\": \"1.0.0\", \"name\": \"n\"}", "plugins[0].type"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct json_object *list = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(cni_list_parse(cases[i].text, strlen(cases[i].text), &list, &err), -EINVAL);
                assert_null(list);
                if (!strstr(err.msg, cases[i].words))
                        fail_msg("%s: %s", cases[i].text, err.msg);
        }
}

static const struct port_mapping ports[] = {{80, 8080, "TCP", NULL}, {53, 5353, "UDP", "127.0.0.1"}};
static const struct runtime_label annotations[] = {{"a.b/c", "d"}};

static void what_a_pod_asks_is_named_as_cni_has_it(void **state)
{
        const struct sandbox_config c = {
                .ports = ports,
                .nports = 2,
                .ingress_bits = 1000,
                .resolv_conf = "# search x\nnameserver 10.0.0.1\nnameserver\tfd00::1\nsearch a\nsearch  b c \noptions "
                               "ndots:5\n",
                .annotations = annotations,
                .nannotations = 1,
                .ips = (const char *[]){"10.1.1.1", NULL},
        };
        _cleanup_json_ struct json_object *asked = cni_asked(&c);

        assert_json(asked,
                    "{\"portMappings\": [{\"hostPort\": 80, \"containerPort\": 8080, \"protocol\": \"tcp\"}, "
                    "{\"hostPort\": 53, \"containerPort\": 5353, \"protocol\": \"udp\", \"hostIP\": \"127.0.0.1\"}], "
                    "\"bandwidth\": {\"ingressRate\": 1000, \"ingressBurst\": 4294967295}, "
                    "\"dns\": {\"servers\": [\"10.0.0.1\", \"fd00::1\"], \"searches\": [\"b\", \"c\"], "
                    "\"options\": [\"ndots:5\"]}, \"ips\": [\"10.1.1.1\"], "
                    "\"io.kubernetes.cri.pod-annotations\": {\"a.b/c\": \"d\"}}");
}

static void a_plugin_gets_what_it_declares_and_the_result_before_it(void **state)
{
        const struct sandbox_config c = {.ports = ports, .nports = 1, .ingress_bits = 5};
        _cleanup_json_ struct json_object *asked = cni_asked(&c), *prev = parse("{\"ips\": []}");
        _cleanup_json_ struct json_object *list = parse_list(
                "{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"plugins\": [{\"type\": \"a\", \"capabilities\": "
                "{\"portMappings\": false}}, {\"type\": \"b\", \"capabilities\": {\"portMappings\": true}}]}");
        _cleanup_json_ struct json_object *a = cni_plugin_input(list, 0, asked, NULL);
        _cleanup_json_ struct json_object *b = cni_plugin_input(list, 1, asked, prev);

        assert_null(json_get(a, "runtimeConfig"));
        assert_json(b, "{\"cniVersion\": \"1.0.0\", \"name\": \"n\", \"type\": \"b\", \"capabilities\": "
                       "{\"portMappings\": true}, "
                       "\"prevResult\": {\"ips\": []}, \"runtimeConfig\": {\"portMappings\": [{\"hostPort\": 80, "
                       "\"containerPort\": 8080, \"protocol\": \"tcp\"}]}}");
        assert_string_equal(cni_list_lacks(list, asked), "bandwidth");
        json_del(asked, "bandwidth");
        assert_null(cni_list_lacks(list, asked));
}

static void addresses_of_eth0_are_the_pods(void **state)
{
        static const struct {
                const char *result, *want;
        } cases[] = {
                {"{}", "[]"},
                {"{\"ips\": [{\"address\": \"10.0.0.5/24\"}, {\"address\": \"fd00::5/64\"}]}",
                 "[\"10.0.0.5\", \"fd00::5\"]"},
                {"{\"ips\": [{\"version\": \"6\", \"address\": \"fd00::5/64\", \"interface\": 1}, {\"address\": "
                 "\"10.0.0.9/8\", "
                 "\"interface\": 0}], \"interfaces\": [{\"name\": \"br0\"}, {\"name\": \"eth0\", \"sandbox\": "
                 "\"/x\"}]}",
                 "[\"fd00::5\"]"},
                {"{\"ips\": [{\"address\": \"10.0.0.5/24\", \"interface\": 7}]}", "[]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_json_ struct json_object *result = NULL, *ips = NULL;

                assert_int_equal(cni_result_parse(cases[i].result, strlen(cases[i].result), &result, NULL), 0);
                ips = cni_result_ips(result);
                assert_json(ips, cases[i].want);
        }
}

static void rubbish_is_no_result(void **state)
{
        static const char *const cases[] = {
                "",
                "ok",
                "[]",
                "null",
                "{\"ips\": {}}",
                "{\"ips\": [{}]}",
                "{\"ips\": [{\"address\": \"10.0.0\"}]}",
                "{\"ips\": [{\"address\": \"::1::/64\"}]}",
                "{\"ips\": [{\"address\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct json_object *result = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(cni_result_parse(cases[i], strlen(cases[i]), &result, &err), -EINVAL);
                assert_non_null(strstr(err.msg, "its result"));
        }
}

static int error_of(const char *text, struct err *err)
{
        *err = ERR_NULL;
        return cni_error_parse(text, strlen(text), err);
}

static void errors_have_their_words(void **state)
{
        struct err err;

        assert_int_equal(error_of("{\"code\": 11, \"msg\": \"later\", \"details\": \"\"}", &err), 11);
        assert_string_equal(err.msg, "later");
        assert_int_equal(error_of("{\"code\": 7, \"msg\": \"100%\", \"details\": \"b\"}", &err), 7);
        assert_string_equal(err.msg, "100%: b");
        assert_int_equal(error_of("what", &err), 0);
        assert_int_equal(error_of("{\"code\": 5}", &err), 0);
        assert_string_equal(err.msg, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_newest_version_that_both_know_is_spoken),
                cmocka_unit_test(one_plugins_configuration_is_a_list_of_one),
                cmocka_unit_test(bad_configurations_are_told_what_would_be_right),
                cmocka_unit_test(what_a_pod_asks_is_named_as_cni_has_it),
                cmocka_unit_test(a_plugin_gets_what_it_declares_and_the_result_before_it),
                cmocka_unit_test(addresses_of_eth0_are_the_pods),
                cmocka_unit_test(rubbish_is_no_result),
                cmocka_unit_test(errors_have_their_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
