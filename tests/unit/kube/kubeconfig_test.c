/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/kubeconfig.h"

static char path[64];

static int setup(void **state)
{
        int fd;

        strcpy(path, "/tmp/kubeconfig_test.XXXXXX");
        fd = mkstemp(path);
        return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
        return unlink(path);
}

static int load(const char *text, const char *context, struct kubeconfig **ret, struct err *err)
{
        if (file_write_atomic(path, text, strlen(text), 0600, err))
                return -1;
        return kubeconfig_load(path, context, ret, err);
}

#define CONTEXTS                                                                                                       \
        "current-context: a\n"                                                                                         \
        "contexts:\n"                                                                                                  \
        "- {name: b, context: {cluster: c2, user: u2}}\n"                                                              \
        "- name: a\n"                                                                                                  \
        "  context: {cluster: c1, user: u1, namespace: work}\n"

static void a_context_is_resolved(void **state)
{
        static const char text[] = CONTEXTS "clusters:\n"
                                            "- name: c1\n"
                                            "  cluster:\n"
                                            "    server: https://one:6443/\n"
                                            "    certificate-authority: pki/ca.crt\n"
                                            "    tls-server-name: one.example.com\n"
                                            "- name: c2\n"
                                            "  cluster: {server: 'http://two', insecure-skip-tls-verify: true}\n"
                                            "users:\n"
                                            "- name: u1\n"
                                            "  user:\n"
                                            "    client-certificate-data: LS0tLS1CRUdJTiBYLS0tLS0K\n"
                                            "    client-key: /abs/key\n"
                                            "- name: u2\n"
                                            "  user: {token: secret, tokenFile: token}\n";
        _cleanup_kubeconfig_ struct kubeconfig *a = NULL, *b = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(load(text, NULL, &a, &err), 0);
        assert_string_equal(a->server, "https://one:6443");
        assert_string_equal(a->ca_file, "/tmp/pki/ca.crt");
        assert_string_equal(a->server_name, "one.example.com");
        assert_string_equal(a->namespace, "work");
        assert_string_equal(a->cert_pem, "-----BEGIN X-----\n");
        assert_string_equal(a->key_file, "/abs/key");
        assert_false(a->insecure);
        assert_int_equal(load(text, "b", &b, &err), 0);
        assert_true(b->insecure);
        assert_string_equal(b->token, "secret");
        assert_string_equal(b->token_file, "/tmp/token");
}

static void mistakes_are_told_with_file_and_place(void **state)
{
#define ONE(cluster, user)                                                                                             \
        CONTEXTS "clusters: [{name: c1, cluster: {" cluster "}}]\nusers: [{name: u1, user: {" user "}}]\n"
        static const struct {
                const char *text, *message;
                int result;
        } cases[] = {
                {"", "current-context: must be given", -EINVAL},
                {"a: [", "line ", -EINVAL},
                {"current-context: x\n", "contexts: there is no entry named \"x\"", -EINVAL},
                {CONTEXTS, "clusters: there is no entry named \"c1\"", -EINVAL},
                {ONE("", ""), "clusters: server: must be given", -EINVAL},
                {ONE("server: 'ftp://x'", ""), "server: \"ftp://x\" must begin with https://", -EINVAL},
                {ONE("server: 'https://x', insecure-skip-tls-verify: maybe", ""), "must be true or false", -EINVAL},
                {ONE("server: 'https://x', certificate-authority-data: '!'", ""),
                 "certificate-authority-data: not base64", -EINVAL},
                {ONE("server: 'https://x', certificate-authority-data: eHh4", ""), "not PEM", -EINVAL},
                {ONE("server: 'https://x'", "client-key: k"), "must be given together", -EINVAL},
                {ONE("server: 'https://x'", "exec: {command: aws}"), "users: exec: not supported", -ENOTSUP},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct kubeconfig *k = NULL;
                struct err err = ERR_NULL;

                assert_int_equal(load(cases[i].text, NULL, &k, &err), cases[i].result);
                print_message("%s\n", err.msg);
                assert_non_null(strstr(err.msg, cases[i].message));
                assert_non_null(strstr(err.msg, path));
                assert_null(k);
        }
}

static void what_is_written_reads_back(void **state)
{
        struct kubeconfig k = {
                .server = (char *)"https://[::1]:6443",
                .ca_pem = (char *)"-----BEGIN CERTIFICATE-----\nx\n",
                .cert_file = (char *)"/a b/\"c\"",
                .key_file = (char *)"/k",
                .token = (char *)"null",
                .namespace = (char *)"work",
                .insecure = true,
        };
        _cleanup_kubeconfig_ struct kubeconfig *back = NULL;

        assert_int_equal(kubeconfig_write(path, "c", "system:node:n1", &k, NULL), 0);
        assert_int_equal(kubeconfig_load(path, NULL, &back, NULL), 0);
        assert_string_equal(back->server, k.server);
        assert_string_equal(back->ca_pem, k.ca_pem);
        assert_string_equal(back->cert_file, k.cert_file);
        assert_string_equal(back->token, "null");
        assert_string_equal(back->namespace, "work");
        assert_true(back->insecure);
}

static void a_pod_finds_its_service_account(void **state)
{
        char dir[] = "/tmp/kubeconfig_sa.XXXXXX";
        _cleanup_free_ char *token = NULL;
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;
        struct err err = ERR_NULL;

        assert_non_null(mkdtemp(dir));
        unsetenv("KUBERNETES_SERVICE_HOST");
        assert_int_equal(kubeconfig_in_cluster(dir, &k, &err), -ENOENT);
        setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
        setenv("KUBERNETES_SERVICE_PORT", "443", 1);
        assert_int_equal(kubeconfig_in_cluster(dir, &k, &err), -ENOENT);
        token = mem_printf("%s/token", dir);
        assert_int_equal(file_write_atomic(token, "abc", 3, 0600, NULL), 0);
        assert_int_equal(kubeconfig_in_cluster(dir, &k, &err), 0);
        assert_string_equal(k->server, "https://[fd00::1]:443");
        assert_string_equal(k->token, "abc");
        assert_string_equal(k->token_file, token);
        unlink(token);
        rmdir(dir);
        unsetenv("KUBERNETES_SERVICE_HOST");
}

static void base64_round_trips_and_is_strict(void **state)
{
        static const char *const bad[] = {"A", "AB", "ABC", "A===", "AB=C", "====", "AB*D", "ABCD="};
        char bytes[64], *back;
        size_t len;

        for (size_t n = 0; n < sizeof(bytes); n++) {
                _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

                for (size_t i = 0; i < n; i++)
                        bytes[i] = (char)(i * 37 + n);
                strbuf_add_str(&b, "");
                base64_encode(&b, bytes, n);
                assert_int_equal(base64_decode(b.data, b.len, &back, &len), 0);
                assert_int_equal(len, n);
                assert_memory_equal(back, bytes, n);
                free(back);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &back, &len), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_context_is_resolved, setup, teardown),
                cmocka_unit_test_setup_teardown(mistakes_are_told_with_file_and_place, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_written_reads_back, setup, teardown),
                cmocka_unit_test(a_pod_finds_its_service_account),
                cmocka_unit_test(base64_round_trips_and_is_strict),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
