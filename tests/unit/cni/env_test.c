/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cni/code.h"
#include "cni/env.h"

static const char *const names[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",         "CNI_IFNAME",
                                    "CNI_ARGS",    "CNI_PATH",        "CNI_NETNS_OVERRIDE"};
static char *values[ARRAY_SIZE(names)];

static char *fake_getenv(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i], name) == 0)
                        return values[i];
        return NULL;
}

static void set(const char *command, const char *id, const char *netns, const char *ifname, const char *args)
{
        const char *given[] = {command, id, netns, ifname, args, "/opt/cni/bin", NULL};

        memcpy(values, given, sizeof(given));
}

static void what_a_verb_needs_must_be_there(void **state)
{
        static const struct {
                const char *command, *id, *netns, *ifname;
                const char *complaint; /* a part of it; NULL: fine */
        } cases[] = {
                {"ADD", "c1", "/ns", "eth0", NULL},
                {"ADD", "", "/ns", "eth0", "CNI_CONTAINERID"},
                {"ADD", NULL, "/ns", "eth0", "CNI_CONTAINERID"},
                {"ADD", "c1", "", "eth0", "CNI_NETNS"},
                {"ADD", "c1", "/ns", NULL, "CNI_IFNAME"},
                {"ADD", NULL, NULL, NULL, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, which are"},
                {"CHECK", "c1", "", "eth0", "CNI_NETNS"},
                {"DEL", "c1", "", "eth0", NULL},
                {"DEL", "c1", NULL, "eth0", NULL},
                {"DEL", "", "", "eth0", "CNI_CONTAINERID"},
                {"DEL", "c1", "", "", "CNI_IFNAME"},
                {"GC", NULL, NULL, NULL, NULL},
                {"STATUS", NULL, NULL, NULL, NULL},
                {"VERSION", NULL, NULL, NULL, NULL},
                {"VERSION", "/", "", "..", NULL},
                {NULL, "c1", "/ns", "eth0", "CNI_COMMAND is not set"},
                {"", "c1", "/ns", "eth0", "CNI_COMMAND is not set"},
                {"add", "c1", "/ns", "eth0", "CNI_COMMAND is \"add\""},
                {"UPDATE", "c1", "/ns", "eth0", "CNI_COMMAND is \"UPDATE\""},
                {"ADD", "-c1", "/ns", "eth0", "CNI_CONTAINERID"},
                {"ADD", "c/1", "/ns", "eth0", "CNI_CONTAINERID"},
                {"ADD", "c 1", "/ns", "eth0", "CNI_CONTAINERID"},
                {"ADD", "../../etc/passwd", "/ns", "eth0", "CNI_CONTAINERID"},
                {"ADD", "C.1_-", "/ns", "eth0", NULL},
                {"ADD", "c1", "/ns", "eth0123456789012", "CNI_IFNAME"},
                {"ADD", "c1", "/ns", "eth012345678901", NULL},
                {"ADD", "c1", "/ns", ".", "CNI_IFNAME"},
                {"ADD", "c1", "/ns", "..", "CNI_IFNAME"},
                {"ADD", "c1", "/ns", "eth/0", "CNI_IFNAME"},
                {"ADD", "c1", "/ns", "eth:0", "CNI_IFNAME"},
                {"ADD", "c1", "/ns", "eth 0", "CNI_IFNAME"},
                {"ADD", "c1", "/ns", "eth\t0", "CNI_IFNAME"},
                {"ADD", "c1", "/n\ns", "eth0", "CNI_NETNS"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct cni_env env;
                struct err err = ERR_NULL;
                int r;

                set(cases[i].command, cases[i].id, cases[i].netns, cases[i].ifname, NULL);
                r = cni_env_parse(fake_getenv, &env, &err);
                assert_int_equal(r, cases[i].complaint ? CNI_BAD_ENVIRONMENT : 0);
                if (cases[i].complaint && !strstr(err.msg, cases[i].complaint))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].complaint);
        }
}

static void a_container_id_is_bounded(void **state)
{
        char id[CONTAINER_ID_MAX + 2];
        struct cni_env env;

        memset(id, 'a', sizeof(id));
        id[CONTAINER_ID_MAX + 1] = '\0';
        set("ADD", id, "/ns", "eth0", NULL);
        assert_int_equal(cni_env_parse(fake_getenv, &env, NULL), CNI_BAD_ENVIRONMENT);
        id[CONTAINER_ID_MAX] = '\0';
        assert_int_equal(cni_env_parse(fake_getenv, &env, NULL), 0);
}

static void arguments_of_kubernetes_are_taken(void **state)
{
        struct cni_env env;
        struct err err = ERR_NULL;

        set("ADD", "c1", "/ns", "eth0",
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=c1;"
            "K8S_POD_UID=6f1c;Whatever=x=y;IP=10.0.0.5;MAC=02:00:00:00:00:01");
        assert_int_equal(cni_env_parse(fake_getenv, &env, &err), 0);
        assert_string_equal(env.pod_namespace, "default");
        assert_string_equal(env.pod_name, "web-1");
        assert_string_equal(env.pod_uid, "6f1c");
        assert_string_equal(env.ip, "10.0.0.5");
        assert_string_equal(env.mac, "02:00:00:00:00:01");
        set("ADD", "c1", "/ns", "eth0", "");
        assert_int_equal(cni_env_parse(fake_getenv, &env, &err), 0);
        assert_string_equal(env.pod_name, "");
        set("ADD", "c1", "/ns", "eth0", ";K8S_POD_NAME=;;");
        assert_int_equal(cni_env_parse(fake_getenv, &env, &err), 0);
}

static void odd_arguments_are_refused(void **state)
{
        static const struct {
                const char *args, *complaint;
        } cases[] = {
                {"FOO=BAR", "unknown key \"FOO\""},
                {"IgnoreUnknown=0;FOO=BAR", "unknown key \"FOO\""},
                {"IgnoreUnknown=maybe;FOO=BAR", "unknown key \"FOO\""},
                {"IgnoreUnknown=true;FOO", "\"FOO\" is not KEY=VALUE"},
                {"K8S_POD_NAME", "is not KEY=VALUE"},
                {"IgnoreUnknown=1;K8S_POD_NAME=\xff", "printable ASCII"},
        };
        char *huge = calloc(1, 4096);
        struct cni_env env;
        struct err err = ERR_NULL;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                set("ADD", "c1", "/ns", "eth0", cases[i].args);
                assert_int_equal(cni_env_parse(fake_getenv, &env, &err), CNI_BAD_ENVIRONMENT);
                if (!strstr(err.msg, cases[i].complaint))
                        fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].complaint);
        }
        memset(memcpy(huge, "K8S_POD_NAME=", 13) + 13, 'x', 1000);
        set("ADD", "c1", "/ns", "eth0", huge);
        assert_int_equal(cni_env_parse(fake_getenv, &env, &err), CNI_BAD_ENVIRONMENT);
        free(huge);
}

static void the_hosts_namespace_is_an_explicit_wish(void **state)
{
        struct cni_env env;

        set("ADD", "c1", "/ns", "eth0", NULL);
        assert_int_equal(cni_env_parse(fake_getenv, &env, NULL), 0);
        assert_false(env.netns_override);
        values[ARRAY_SIZE(names) - 1] = "true";
        assert_int_equal(cni_env_parse(fake_getenv, &env, NULL), 0);
        assert_true(env.netns_override);
        values[ARRAY_SIZE(names) - 1] = "perhaps";
        assert_int_equal(cni_env_parse(fake_getenv, &env, NULL), CNI_BAD_ENVIRONMENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_a_verb_needs_must_be_there),         cmocka_unit_test(a_container_id_is_bounded),
                cmocka_unit_test(arguments_of_kubernetes_are_taken),       cmocka_unit_test(odd_arguments_are_refused),
                cmocka_unit_test(the_hosts_namespace_is_an_explicit_wish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
