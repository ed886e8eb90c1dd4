/* SPDX-License-Identifier: Apache-2.0 */
/* IPAM plugins that are shell scripts in a folder of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "cni/code.h"
#include "cni/delegate.h"

static char dir[64];

static int set_up(void **state)
{
        snprintf(dir, sizeof(dir), "/tmp/fairlead-delegate.XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
        _cleanup_free_ char *command = mem_printf("rm -rf '%s'", dir);

        return system(command); /* NOLINT(cert-env33-c) */
}

/* Each call is noted in <dir>/log, with its verb. */
static void plugin(const char *body)
{
        _cleanup_free_ char *path = mem_printf("%s/fake", dir);
        _cleanup_free_ char *text = mem_printf("#!/bin/sh\necho $CNI_COMMAND >> %s/log\n%s\n", dir, body);

        assert_int_equal(file_write_atomic(path, text, strlen(text), 0755, NULL), 0);
}

static void assert_log(const char *want)
{
        _cleanup_free_ char *path = mem_printf("%s/log", dir), *text = NULL;

        assert_int_equal(file_read(path, 4096, &text, NULL, NULL), 0);
        assert_string_equal(text, want);
}

static int add(const char *body, struct attachment *a, struct json_object **dns, struct err *err)
{
        _cleanup_free_ char *path = mem_printf("/nonexistent::%s", dir);
        struct delegate d = {.type = "fake", .path = path, .input = "{\"in\":1}", .input_len = 8};

        *a = (struct attachment){0};
        if (body)
                plugin(body);
        return delegate_add(&d, a, dns, err);
}

static void its_addresses_and_dns_are_taken(void **state)
{
        struct attachment a;
        _cleanup_json_ struct json_object *dns = NULL;
        char text[ADDRESS_TEXT_SIZE];

        assert_int_equal(add("[ \"$(cat)\" = '{\"in\":1}' ] || exit 1\n"
                             "echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"fd00:5::7/64\"},{\"address\":"
                             "\"10.5.0.7/16\",\"gateway\":\"10.5.0.1\"}],\"dns\":{\"domain\":\"x\"}}'",
                             &a, &dns, NULL),
                         0);
        assert_int_equal(a.naddresses, 2);
        assert_string_equal(ip_text(&a.addresses[0], text), "10.5.0.7");
        assert_string_equal(ip_text(&a.addresses[1], text), "fd00:5::7");
        assert_string_equal(json_get_str(dns, "domain"), "x");
        assert_log("ADD\n");
}

static void its_own_errors_are_passed_on(void **state)
{
        struct attachment a;
        struct json_object *dns = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(add("echo '{\"code\":11,\"msg\":\"busy\",\"details\":\"very\"}'; exit 1", &a, &dns, &err), 11);
        assert_string_equal(err.msg, "the IPAM plugin fake: busy: very");
        assert_log("ADD\n");
}

static void answers_that_make_no_sense_are_undone(void **state)
{
        static const struct {
                const char *body, *hint;
        } cases[] = {
                {"[ $CNI_COMMAND = DEL ] || echo hello", "no JSON object"},
                {"true", "no JSON object"},
                {"[ $CNI_COMMAND = DEL ] || echo '{}'", "gave no address"},
                {"[ $CNI_COMMAND = DEL ] || echo '{\"ips\":[{\"address\":\"10.0.0\"}]}'", "\"10.0.0\" is no address"},
                {"[ $CNI_COMMAND = DEL ] || echo "
                 "'{\"ips\":[{\"address\":\"10.0.0.1/8\"},{\"address\":\"10.0.0.2/8\"}]}'",
                 "a second IPv4 address"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *log = mem_printf("%s/log", dir);
                struct attachment a;
                struct json_object *dns = NULL;
                struct err err = ERR_NULL;

                remove(log);
                assert_int_equal(add(cases[i].body, &a, &dns, &err), CNI_IPAM);
                if (!strstr(err.msg, cases[i].hint))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].hint);
                assert_log("ADD\nDEL\n");
        }
}

static void failures_without_words_are_named(void **state)
{
        struct attachment a;
        struct json_object *dns = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(add(NULL, &a, &dns, &err), CNI_IPAM);
        assert_non_null(strstr(err.msg, "in none of the folders of CNI_PATH"));
        assert_int_equal(add("exit 3", &a, &dns, &err), CNI_IPAM);
        assert_non_null(strstr(err.msg, "exit code 3"));
        assert_int_equal(add("kill -9 $$", &a, &dns, &err), CNI_IPAM);
        assert_non_null(strstr(err.msg, "signal 9"));
}

static void verbs_that_it_does_not_know_are_no_errors_where_it_may_not_know_them(void **state)
{
        struct delegate d = {.type = "fake", .path = dir, .input = "", .input_len = 0};

        plugin("echo '{\"code\":4,\"msg\":\"unknown CNI_COMMAND\"}'; exit 1");
        assert_int_equal(delegate_call(&d, VERB_GC, NULL), 0);
        assert_int_equal(delegate_call(&d, VERB_STATUS, NULL), 0);
        assert_int_equal(delegate_call(&d, VERB_CHECK, NULL), CNI_BAD_ENVIRONMENT);
        plugin("echo '{\"code\":50,\"msg\":\"no\"}'; exit 1");
        assert_int_equal(delegate_call(&d, VERB_STATUS, NULL), CNI_NOT_AVAILABLE);
}

static void a_flood_of_output_is_cut_off(void **state)
{
        struct attachment a;
        struct json_object *dns = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(add("[ $CNI_COMMAND = DEL ] || exec cat /dev/zero", &a, &dns, &err), CNI_IPAM);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(its_addresses_and_dns_are_taken),
                TEST(its_own_errors_are_passed_on),
                TEST(answers_that_make_no_sense_are_undone),
                TEST(failures_without_words_are_named),
                TEST(verbs_that_it_does_not_know_are_no_errors_where_it_may_not_know_them),
                TEST(a_flood_of_output_is_cut_off),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
