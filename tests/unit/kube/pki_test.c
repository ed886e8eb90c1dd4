/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/httpclient.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "kube/kubeconfig.h"
#include "kube/pki.h"
#include "kube/x509.h"

static char dir[64];

static const char *const files[] = {
        "ca.crt",
        "ca.key",
        "sa.key",
        "sa.pub",
        "apiserver.crt",
        "apiserver.key",
        "apiserver-kubelet-client.crt",
        "apiserver-kubelet-client.key",
        "admin.kubeconfig",
        "controller-manager.kubeconfig",
        "scheduler.kubeconfig",
        "kubelet-n1.kubeconfig",
        "agent-n1.kubeconfig",
        "kubelet-n1.crt",
        "kubelet-n1.key",
};

static const char *const nodes[] = {"n1", NULL};
static const struct pki_opts plain = {.server = "https://127.0.0.1:6443", .nodes = nodes};

static int setup(void **state)
{
        strcpy(dir, "/tmp/pki_test.XXXXXX");
        log_set_level(LOG_LEVEL_ERROR);
        return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *path = mem_printf("%s/%s", dir, files[i]);

                unlink(path);
        }
        return rmdir(dir); /* nothing else may be left */
}

static char *path_of(const char *name)
{
        return mem_printf("%s/%s", dir, name);
}

static char *content(const char *name)
{
        _cleanup_free_ char *path = path_of(name);
        char *text = NULL;

        file_read(path, 1 << 20, &text, NULL, NULL);
        return text;
}

static struct pki_result init(const struct pki_opts *opts)
{
        struct pki_result result = {0};
        struct err err = ERR_NULL;
        int r = pki_init(dir, opts, &result, &err);

        if (r)
                print_message("%s\n", err.msg);
        assert_int_equal(r, 0);
        return result;
}

static void a_first_run_makes_everything_private(void **state)
{
        struct pki_result result = init(&plain);

        assert_int_equal(result.made, 10);
        assert_int_equal(result.renewed + result.kept, 0);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *path = path_of(files[i]);
                struct stat st;

                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0600);
        }
}

static void a_second_run_changes_nothing(void **state)
{
        char *before[ARRAY_SIZE(files)];
        struct pki_result result;

        init(&plain);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                before[i] = content(files[i]);
        result = init(&plain);
        assert_int_equal(result.kept, 10);
        assert_int_equal(result.made + result.renewed, 0);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *after = content(files[i]);

                assert_string_equal(before[i], after);
                free(before[i]);
        }
}

/* As after a kill -9 between any two files. */
static void whatever_file_is_missing_the_next_run_completes(void **state)
{
        init(&plain);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_free_ char *path = path_of(files[i]), *ca = content("ca.key"), *ca_after = NULL;
                struct err err = ERR_NULL;

                if (str_eq(files[i], "ca.key"))
                        continue;
                print_message("%s\n", files[i]);
                unlink(path);
                init(&plain);
                assert_int_equal(access(path, R_OK), 0);
                assert_int_equal(init(&plain).kept, 10);
                ca_after = content("ca.key");
                assert_string_equal(ca, ca_after);
                assert_int_equal(err.code, 0);
        }
}

static void runs_that_are_killed_are_completed_by_the_next(void **state)
{
        _cleanup_free_ char *ca = NULL;
        int killed = 0;

        for (int i = 0; i < 40; i++) {
                _cleanup_free_ char *now = NULL;
                int status;
                pid_t pid = fork();

                if (!pid)
                        _exit(pki_init(dir, &plain, NULL, NULL) != 0);
                usleep((useconds_t)random_below(i < 20 ? 3000 : 12000));
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
                killed += WIFSIGNALED(status);
                now = content("ca.crt");
                if (ca)
                        assert_string_equal(now, ca); /* a CA that was there once stays */
                else
                        ca = TAKE_PTR(now);
        }
        print_message("%d of 40 were killed\n", killed);
        assert_true(killed > 0);
        init(&plain);
        assert_int_equal(init(&plain).kept, 10); /* and teardown finds no other files */
}

static void a_ca_without_its_key_is_not_replaced(void **state)
{
        _cleanup_free_ char *path = path_of("ca.key"), *before = NULL, *after = NULL;
        struct err err = ERR_NULL;

        init(&plain);
        before = content("ca.crt");
        unlink(path);
        assert_int_equal(pki_init(dir, &plain, NULL, &err), -ENOENT);
        assert_non_null(strstr(err.msg, "ca.key: missing"));
        after = content("ca.crt");
        assert_string_equal(before, after);
}

static void certificates_near_their_end_are_renewed(void **state)
{
        struct pki_opts later = plain;
        struct pki_result result;

        init(&plain);
        later.now_s = clock_wall_s() + 86400LL * 200;
        assert_int_equal(init(&later).renewed, 0);
        later.now_s = clock_wall_s() + 86400LL * 250;
        result = init(&later);
        assert_int_equal(result.renewed, 8);
        assert_int_equal(result.kept, 2); /* CA and service account keys */
}

static void changed_wishes_renew_only_what_they_touch(void **state)
{
        static const char *const ips[] = {"10.96.0.1", "fd00::1", NULL};
        static const char *const names[] = {"api.example.com", NULL};
        static const char *const node_ips[] = {"192.0.2.1,2001:db8::1"};
        struct pki_opts more = plain;

        init(&plain);
        more.ips = ips;
        more.dns_names = names;
        assert_int_equal(init(&more).renewed, 1);
        assert_int_equal(init(&more).renewed, 0);
        more.server = "https://10.0.0.1:6443";
        assert_int_equal(init(&more).kept, 5); /* all kubeconfigs are written anew */
        more.node_ips = node_ips;
        assert_int_equal(init(&more).renewed, 1);
        assert_int_equal(init(&more).renewed, 0);
}

static void a_bad_node_name_is_refused(void **state)
{
        static const char *const bad[] = {"../x", NULL};
        struct pki_opts opts = {.server = "https://127.0.0.1:6443", .nodes = bad};
        struct err err = ERR_NULL;

        assert_int_equal(pki_init(dir, &opts, NULL, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "node \"../x\": a lowercase RFC 1123 subdomain"));
}

/* Answers with the client's distinguished name, as the API server will see it. */
static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **con_cls)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        const gnutls_datum_t *certs;
        struct MHD_Response *resp;
        gnutls_x509_crt_t crt;
        unsigned int n = 0, status = 1;
        char dn[256] = "nobody";
        size_t len = sizeof(dn);
        enum MHD_Result r;

        if (!*con_cls) {
                *con_cls = c;
                return MHD_YES;
        }
        certs = gnutls_certificate_get_peers(info->tls_session, &n);
        if (certs && n && !gnutls_certificate_verify_peers2(info->tls_session, &status) && !status) {
                gnutls_x509_crt_init(&crt);
                gnutls_x509_crt_import(crt, certs, GNUTLS_X509_FMT_DER);
                gnutls_x509_crt_get_dn(crt, dn, &len);
                gnutls_x509_crt_deinit(crt);
        }
        resp = MHD_create_response_from_buffer(strlen(dn), dn, MHD_RESPMEM_MUST_COPY);
        r = MHD_queue_response(c, 200, resp);
        MHD_destroy_response(resp);
        return r;
}

static struct MHD_Daemon *serve(const char *ca, const char *cert, const char *key)
{
        return MHD_start_daemon(MHD_USE_TLS | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL,
                                MHD_OPTION_HTTPS_MEM_CERT, cert, MHD_OPTION_HTTPS_MEM_KEY, key,
                                MHD_OPTION_HTTPS_MEM_TRUST, ca, MHD_OPTION_END);
}

static int ask(const struct http_client_opts *opts, char *ret, size_t size)
{
        struct http_client_request req = {.path = "/", .timeout_ms = 5000};
        struct http_client_response resp = HTTP_CLIENT_RESPONSE_NULL;
        struct http_client *c = NULL;
        struct err err = ERR_NULL;
        int r = http_client_new(opts, &c, &err);

        if (!r)
                r = http_do(c, &req, &resp, &err);
        if (r)
                print_message("%s\n", err.msg);
        str_copy(ret, size, resp.body.data ? resp.body.data : "");
        http_response_deinit(&resp);
        http_client_free(c);
        return r;
}

static void a_kubeconfig_opens_a_mutual_tls_connection(void **state)
{
        _cleanup_free_ char *ca = NULL, *cert = NULL, *key = NULL, *path = path_of("kubelet-n1.kubeconfig"),
                            *url = NULL;
        _cleanup_kubeconfig_ struct kubeconfig *k = NULL;
        struct http_client_opts opts = {0};
        struct MHD_Daemon *d;
        char text[256];

        init(&plain);
        ca = content("ca.crt");
        cert = content("apiserver.crt");
        key = content("apiserver.key");
        d = serve(ca, cert, key);
        assert_non_null(d);
        url = mem_printf("https://127.0.0.1:%u", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
        assert_int_equal(kubeconfig_load(path, NULL, &k, NULL), 0);
        opts.base_url = url;
        opts.tls = (struct http_tls){.ca_pem = k->ca_pem, .cert_pem = k->cert_pem, .key_pem = k->key_pem};
        assert_int_equal(ask(&opts, text, sizeof(text)), 0);
        assert_string_equal(text, "O=system:nodes,CN=system:node:n1");
        opts.tls.server_name = "kubernetes.default.svc";
        assert_int_equal(ask(&opts, text, sizeof(text)), 0);
        opts.tls.server_name = "elsewhere.example.com";
        assert_int_equal(ask(&opts, text, sizeof(text)), -EPROTO);
        opts.tls = (struct http_tls){.ca_pem = k->ca_pem};
        assert_int_equal(ask(&opts, text, sizeof(text)), 0);
        assert_string_equal(text, "nobody");
        opts.tls = (struct http_tls){.ca_file = "/etc/hostname"};
        assert_int_not_equal(ask(&opts, text, sizeof(text)), 0);
        opts.tls = (struct http_tls){.ca_file = "/nonexistent"};
        assert_int_equal(ask(&opts, text, sizeof(text)), -ENOENT);
        opts.tls = (struct http_tls){.insecure = true};
        assert_int_equal(ask(&opts, text, sizeof(text)), 0);
        MHD_stop_daemon(d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                T(a_first_run_makes_everything_private),
                T(a_second_run_changes_nothing),
                T(whatever_file_is_missing_the_next_run_completes),
                T(runs_that_are_killed_are_completed_by_the_next),
                T(a_ca_without_its_key_is_not_replaced),
                T(certificates_near_their_end_are_renewed),
                T(changed_wishes_renew_only_what_they_touch),
                T(a_bad_node_name_is_refused),
                T(a_kubeconfig_opens_a_mutual_tls_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
