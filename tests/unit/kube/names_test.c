/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "kube/names.h"

#define X10 "xxxxxxxxxx"
#define X63 X10 X10 X10 X10 X10 X10 "xxx"

static void good_values_pass(void **state)
{
        static const struct {
                enum name_rule rule;
                const char *value;
        } cases[] = {
                {NAME_DNS1123_LABEL, "a"},
                {NAME_DNS1123_LABEL, "0-a"},
                {NAME_DNS1123_LABEL, X63},
                {NAME_DNS1123_SUBDOMAIN, "a.b-c.0"},
                {NAME_DNS1123_SUBDOMAIN, X63 "x.a"},
                {NAME_DNS1123_SUBDOMAIN_UNDERSCORE, "_a.b_c"},
                {NAME_DNS1035_LABEL, "a-1"},
                {NAME_WILDCARD_SUBDOMAIN, "*.example.com"},
                {NAME_LABEL_KEY, "app"},
                {NAME_LABEL_KEY, "App_1.x"},
                {NAME_LABEL_KEY, "example.com/App"},
                {NAME_LABEL_VALUE, ""},
                {NAME_LABEL_VALUE, "My_value.1"},
                {NAME_PORT, "http-8080"},
                {NAME_CONFIG_KEY, ".hidden_KEY-1"},
                {NAME_ENV_VAR, "my.env-NAME_1"},
                {NAME_ENV_VAR_RELAXED, "a b:c"},
                {NAME_C_IDENTIFIER, "_x1"},
                {NAME_HTTP_HEADER, "X-A"},
                {NAME_PERCENT, "100%"},
                {NAME_PATH_SEGMENT, "system:node"},
                {NAME_IP, "10.9.8.7"},
                {NAME_IP, "2001:db8::ffff"},
                {NAME_IP_SLOPPY, "010.9.8.7"},
                {NAME_IP_SLOPPY, "::ffff:1.2.3.4"},
                {NAME_CIDR, "10.9.8.0/24"},
                {NAME_CIDR, "::/0"},
                {NAME_CIDR_SLOPPY, "10.9.8.7/24"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                print_message("%d %s\n", (int)cases[i].rule, cases[i].value);
                assert_null(name_error(cases[i].rule, cases[i].value));
        }
}

#define LABEL_MESSAGE                                                                                                  \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
        "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "             \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN_MESSAGE                                                                                              \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define KEY_MESSAGE                                                                                                    \
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "       \
        "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "                        \
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

static void bad_values_get_kubernetes_messages(void **state)
{
        static const struct {
                enum name_rule rule;
                const char *value;
                const char *want[4];
        } cases[] = {
                {NAME_DNS1123_LABEL, "A", {LABEL_MESSAGE}},
                {NAME_DNS1123_LABEL, "", {LABEL_MESSAGE}},
                {NAME_DNS1123_LABEL, "a.b", {"must not contain dots"}},
                {NAME_DNS1123_LABEL, X63 "x", {"must be no more than 63 bytes"}},
                {NAME_DNS1123_LABEL, X63 "_", {"must be no more than 63 bytes", LABEL_MESSAGE}},
                {NAME_DNS1123_SUBDOMAIN, "a..b", {SUBDOMAIN_MESSAGE}},
                {NAME_DNS1123_SUBDOMAIN, "a.", {SUBDOMAIN_MESSAGE}},
                {NAME_DNS1123_SUBDOMAIN, "a_b", {SUBDOMAIN_MESSAGE}},
                {NAME_DNS1035_LABEL,
                 "1a",
                 {"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                  "alphabetic "
                  "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
                  "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"}},
                {NAME_LABEL_KEY, "", {"name part must be non-empty", "name part " KEY_MESSAGE}},
                {NAME_LABEL_KEY, "-a", {"name part " KEY_MESSAGE}},
                {NAME_LABEL_KEY, "/a", {"prefix part must be non-empty"}},
                {NAME_LABEL_KEY, "A.com/a", {"prefix part " SUBDOMAIN_MESSAGE}},
                {NAME_LABEL_KEY,
                 "a/b/c",
                 {"a valid label key " KEY_MESSAGE " with an optional DNS subdomain prefix and '/' (e.g. "
                  "'example.com/MyName')"}},
                {NAME_LABEL_VALUE, X63 "x", {"must be no more than 63 bytes"}},
                {NAME_LABEL_VALUE,
                 "a@b",
                 {"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                  "must "
                  "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
                  "used "
                  "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"}},
                {NAME_PORT,
                 "-A--",
                 {"must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                  "must contain at least one letter (a-z)", "must not contain consecutive hyphens",
                  "must not begin or end with a hyphen"}},
                {NAME_CONFIG_KEY, "..", {"must not be '..'"}},
                {NAME_CONFIG_KEY, "..a", {"must not start with '..'"}},
                {NAME_PATH_SEGMENT, "a/b%", {"may not contain '/'", "may not contain '%'"}},
                {NAME_IP, "1.2.3", {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"}},
                {NAME_IP, "1.2.3.4.5", {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"}},
                {NAME_IP, "1.2.3.256", {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"}},
                {NAME_IP, "fe80::1%eth0", {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"}},
                {NAME_IP, "010.0.0.1", {"must not have leading 0s"}},
                {NAME_IP, "::ffff:1.2.3.4", {"must not be an IPv4-mapped IPv6 address"}},
                {NAME_CIDR, "10.0.0.0", {"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"}},
                {NAME_CIDR, "10.0.0.0/33", {"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"}},
                {NAME_CIDR, "10.0.0.0/08", {"must not have leading 0s in IP or prefix length"}},
                {NAME_CIDR, "10.0.0.1/8", {"must not have bits set beyond the prefix length"}},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct name_errors e;
                size_t n = 0;

                while (n < 4 && cases[i].want[n])
                        n++;
                print_message("%d %s\n", (int)cases[i].rule, cases[i].value);
                assert_int_equal(name_check(cases[i].rule, cases[i].value, &e), n);
                for (size_t j = 0; j < n; j++)
                        assert_string_equal(e.msg[j], cases[i].want[j]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(good_values_pass),
                cmocka_unit_test(bad_values_get_kubernetes_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
