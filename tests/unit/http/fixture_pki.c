/* SPDX-License-Identifier: Apache-2.0 */
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "unit/http/fixture_pki.h"

static void ok(int r)
{
        if (r < 0)
                fail_msg("%s", gnutls_strerror(r));
}

static gnutls_x509_crt_t cert_new(struct test_pki *p, const char *cn, bool ca, time_t expires)
{
        gnutls_x509_crt_t crt;

        ok(gnutls_x509_crt_init(&crt));
        ok(gnutls_x509_crt_set_version(crt, 3));
        ok(gnutls_x509_crt_set_serial(crt, (unsigned char[]){++p->serial}, 1));
        ok(gnutls_x509_crt_set_activation_time(crt, expires - 7200));
        ok(gnutls_x509_crt_set_expiration_time(crt, expires));
        ok(gnutls_x509_crt_set_key(crt, p->key));
        ok(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn, (unsigned)strlen(cn)));
        if (ca) {
                ok(gnutls_x509_crt_set_ca_status(crt, 1));
                ok(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN));
        }
        return crt;
}

static gnutls_x509_crt_t ca_new(struct test_pki *p, const char *cn)
{
        gnutls_x509_crt_t crt = cert_new(p, cn, true, time(NULL) + 3600);

        ok(gnutls_x509_crt_sign2(crt, crt, p->key, GNUTLS_DIG_SHA256, 0));
        return crt;
}

static void client_cert(struct test_pki *p, enum identity id, gnutls_x509_crt_t ca, time_t expires)
{
        static const char *const organizations[] = {"system:masters", "second, group"};
        gnutls_x509_crt_t crt = cert_new(p, "admin", false, expires);
        size_t i;

        for (i = 0; i < ARRAY_SIZE(organizations); i++)
                ok(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, organizations[i],
                                                 (unsigned)strlen(organizations[i])));
        ok(gnutls_x509_crt_set_key_purpose_oid(
                crt, id == ID_SERVER ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0));
        ok(gnutls_x509_crt_sign2(crt, ca, p->key, GNUTLS_DIG_SHA256, 0));
        p->client[id] = crt;
}

static void write_pem(const char *dir, const char *name, const gnutls_datum_t *pem)
{
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(pem->data, 1, pem->size, f), pem->size);
        fclose(f);
}

void test_pki_server_cert(struct test_pki *p, const char *name)
{
        gnutls_x509_crt_t crt = cert_new(p, name, false, time(NULL) + 3600);
        gnutls_datum_t pem;

        ok(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
        ok(gnutls_x509_crt_sign2(crt, p->ca, p->key, GNUTLS_DIG_SHA256, 0));
        ok(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
        write_pem(p->dir, "server.pem", &pem);
        gnutls_free(pem.data);
        gnutls_x509_crt_deinit(crt);
}

void test_pki_init(struct test_pki *p)
{
        gnutls_datum_t pem;

        *p = (struct test_pki){.dir = "/tmp/http_test.XXXXXX"};
        assert_non_null(mkdtemp(p->dir));
        ok(gnutls_x509_privkey_init(&p->key));
        ok(gnutls_x509_privkey_generate(p->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
        ok(gnutls_x509_privkey_export2(p->key, GNUTLS_X509_FMT_PEM, &pem));
        write_pem(p->dir, "key.pem", &pem);
        gnutls_free(pem.data);
        p->ca = ca_new(p, "ca");
        p->foreign_ca = ca_new(p, "foreign");
        ok(gnutls_x509_crt_export2(p->ca, GNUTLS_X509_FMT_PEM, &pem));
        write_pem(p->dir, "ca.pem", &pem);
        gnutls_free(pem.data);
        client_cert(p, ID_ADMIN, p->ca, time(NULL) + 3600);
        client_cert(p, ID_FOREIGN, p->foreign_ca, time(NULL) + 3600);
        client_cert(p, ID_EXPIRED, p->ca, time(NULL) - 60);
        client_cert(p, ID_SERVER, p->ca, time(NULL) + 3600);
        test_pki_server_cert(p, "first");
}

void test_pki_deinit(struct test_pki *p)
{
        static const char *const names[] = {"key.pem", "ca.pem", "server.pem"};
        char path[128];
        size_t i;

        for (i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
                unlink(path);
        }
        rmdir(p->dir);
        for (i = 0; i < ID_COUNT; i++)
                if (p->client[i])
                        gnutls_x509_crt_deinit(p->client[i]);
        gnutls_x509_crt_deinit(p->ca);
        gnutls_x509_crt_deinit(p->foreign_ca);
        gnutls_x509_privkey_deinit(p->key);
}

/* ---- groups of tests ---- */

struct test_pki http_group_pki;

const struct http_config http_group_limits = {
        .max_body = 100000,
        .max_head = 4096,
        .workers = 4,
        .max_connections = 5000,
};

int http_group_begin(void **state)
{
        test_pki_init(&http_group_pki);
        return 0;
}

int http_group_end(void **state)
{
        test_pki_deinit(&http_group_pki);
        return 0;
}

int http_group_start_with(void **state, const struct http_config *limits)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->pki = &http_group_pki;
        fixture_start(f, *limits);
        *state = f;
        return 0;
}

int http_group_start(void **state)
{
        return http_group_start_with(state, &http_group_limits);
}

int http_group_stop(void **state)
{
        struct fixture *f = *state;

        if (f->server)
                fixture_stop(f, 2000);
        free(f);
        return 0;
}
