/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kindcase.h"

#include "apiserver/kinds/kinds.h"

#define CONFIG_KEY                                                                                                     \
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "           \
        "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"

static void secrets_fold_string_data(void **state)
{
        static const struct default_case rows[] = {
                {"{}", "{'type':'Opaque'}"},
                {"{'type':'x'}", "{'type':'x'}"},
                {"{'stringData':{'a':'hello'}}", "{'type':'Opaque','data':{'a':'aGVsbG8='}}"},
                {"{'stringData':{'a':'hello'},'data':{'a':'eA==','b':'eQ=='}}",
                 "{'type':'Opaque','data':{'a':'aGVsbG8=','b':'eQ=='}}"},
                {"{'stringData':{'a':''}}", "{'type':'Opaque','data':{'a':''}}"},
                {"{'type':'t','stringData':{}}", "{'type':'t','data':{}}"},
        };

        run_default_cases(&kind_secrets, NULL, rows, ARRAY_SIZE(rows));
}

static void secrets_have_what_their_type_needs(void **state)
{
        static const struct error_case rows[] = {
                {"{}", NULL, ""},
                {"{'data':{'a_b-c.D':'eA=='}}", NULL, ""},
                {"{'data':{'a b':'eA=='}}", NULL, "data[a b]: Invalid value: \"a b\": " CONFIG_KEY},
                {"{'data':{'..':'eA=='}}", NULL, "data[..]: Invalid value: \"..\": must not be '..'"},
                {"{'type':'kubernetes.io/service-account-token'}", NULL,
                 "metadata.annotations[kubernetes.io/service-account.name]: Required value"},
                {"{'type':'kubernetes.io/service-account-token','metadata':{'annotations':{"
                 "'kubernetes.io/service-account.name':'x'}}}",
                 NULL, ""},
                {"{'type':'kubernetes.io/dockercfg'}", NULL, "data[.dockercfg]: Required value"},
                {"{'type':'kubernetes.io/dockerconfigjson'}", NULL, "data[.dockerconfigjson]: Required value"},
                {"{'type':'kubernetes.io/dockerconfigjson','stringData':{'.dockerconfigjson':'{}'}}", NULL, ""},
                {"{'type':'kubernetes.io/dockerconfigjson','stringData':{'.dockerconfigjson':'[]'}}", NULL,
                 "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": must be a JSON object"},
                {"{'type':'kubernetes.io/basic-auth'}", NULL,
                 "data[username]: Required value\ndata[password]: Required value"},
                {"{'type':'kubernetes.io/basic-auth','data':{'password':'eA=='}}", NULL, ""},
                {"{'type':'kubernetes.io/ssh-auth'}", NULL, "data[ssh-privatekey]: Required value"},
                {"{'type':'kubernetes.io/ssh-auth','data':{'ssh-privatekey':''}}", NULL,
                 "data[ssh-privatekey]: Required value"},
                {"{'type':'kubernetes.io/tls'}", NULL, "data[tls.crt]: Required value\ndata[tls.key]: Required value"},
                {"{'type':'kubernetes.io/tls','data':{'tls.crt':'','tls.key':''}}", NULL, ""},
        };

        run_error_cases(&kind_secrets, NULL, rows, ARRAY_SIZE(rows));
}

static void secrets_change_only_when_they_may(void **state)
{
        static const struct error_case rows[] = {
                {"{'data':{'a':'eA=='}}", "{'data':{'a':'eQ=='}}", ""},
                {"{'type':'b'}", "{'type':'a'}", "type: Invalid value: \"b\": field is immutable"},
                {"{}", "{'type':'a'}", "type: Invalid value: \"Opaque\": field is immutable"},
                {"{'immutable':true,'data':{'a':'eA=='}}", "{'immutable':true,'data':{'a':'eA=='}}", ""},
                {"{'immutable':true}", "{}", ""},
                {"{'data':{'a':'eA=='}}", "{'immutable':true}",
                 "immutable: Forbidden: field is immutable when `immutable` is set\n"
                 "data: Forbidden: field is immutable when `immutable` is set"},
        };

        run_error_cases(&kind_secrets, NULL, rows, ARRAY_SIZE(rows));
}

static void config_maps_are_checked(void **state)
{
        static const struct error_case rows[] = {
                {"{'data':{'a':'x'},'binaryData':{'b':'eA=='}}", NULL, ""},
                {"{'data':{'a':'x'},'binaryData':{'a':'eA=='}}", NULL,
                 "data[a]: Invalid value: \"a\": duplicate of key present in binaryData"},
                {"{'data':{'a/b':'x'}}", NULL, "data[a/b]: Invalid value: \"a/b\": " CONFIG_KEY},
                {"{'binaryData':{'.':'eA=='}}", NULL, "binaryData[.]: Invalid value: \".\": must not be '.'"},
                {"{'data':{'a':'y'},'immutable':true}", "{'data':{'a':'x'},'immutable':true}",
                 "data: Forbidden: field is immutable when `immutable` is set"},
                {"{'data':{'a':'x'}}", "{'data':{'a':'x'},'immutable':true}",
                 "immutable: Forbidden: field is immutable when `immutable` is set"},
                {"{'binaryData':{'b':'eA=='},'immutable':true}", "{'immutable':true}",
                 "binaryData: Forbidden: field is immutable when `immutable` is set"},
        };

        run_error_cases(&kind_configmaps, NULL, rows, ARRAY_SIZE(rows));
}

/* n bytes of value, as text. */
static char *with_value(const char *before, size_t n, const char *after)
{
        char *s = malloc(strlen(before) + n + strlen(after) + 1), *p = s;

        p = stpcpy(p, before);
        memset(p, 'A', n);
        strcpy(p + n, after);
        return s;
}

static void data_is_at_most_a_mebibyte(void **state)
{
        static const struct {
                const struct kind_ops *ops;
                const char *before;
                size_t fits;
                const char *error;
        } rows[] = {
                {&kind_configmaps, "{'data':{'a':'", 1 << 20, "[]: Too long: may not be more than 1048576 bytes"},
                {&kind_configmaps, "{'binaryData':{'a':'", (1 << 20) / 3 * 4,
                 "[]: Too long: may not be more than 1048576 bytes"},
                {&kind_secrets, "{'data':{'a':'", (1 << 20) / 3 * 4,
                 "data: Too long: may not be more than 1048576 bytes"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char *fits = with_value(rows[i].before, rows[i].fits, "'}}");
                char *more = with_value(rows[i].before, rows[i].fits + 4, "'}}");
                struct error_case cases[] = {{fits, NULL, ""}, {more, NULL, rows[i].error}};

                run_error_cases(rows[i].ops, NULL, cases, 2);
                free(fits);
                free(more);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(secrets_fold_string_data),
                cmocka_unit_test(secrets_have_what_their_type_needs),
                cmocka_unit_test(secrets_change_only_when_they_may),
                cmocka_unit_test(config_maps_are_checked),
                cmocka_unit_test(data_is_at_most_a_mebibyte),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
