/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"
#include "kube/x509.h"

#define CLOCK_SKEW_S 300 /* new certificates are valid since a bit ago: clocks differ */

struct x509_ca {
        gnutls_x509_crt_t crt;
        gnutls_x509_privkey_t key;
        char *pem;
};

static void crt_freep(gnutls_x509_crt_t *crt)
{
        if (*crt)
                gnutls_x509_crt_deinit(*crt);
}

static void key_freep(gnutls_x509_privkey_t *key)
{
        if (*key)
                gnutls_x509_privkey_deinit(*key);
}

static void pubkey_freep(gnutls_pubkey_t *key)
{
        if (*key)
                gnutls_pubkey_deinit(*key);
}

static void datum_freep(gnutls_datum_t *d)
{
        gnutls_free(d->data);
}

static int failed(struct err *reterr, const char *what, int code)
{
        return err_set(reterr, code == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL, "%s: %s", what,
                       gnutls_strerror(code));
}

static gnutls_datum_t datum_of(const char *s)
{
        return (gnutls_datum_t){(unsigned char *)s, (unsigned int)strlen(s)};
}

static char *text_of(const gnutls_datum_t *d)
{
        return mem_strndup((const char *)d->data, d->size);
}

static int import_key(const char *pem, gnutls_x509_privkey_t *ret, struct err *reterr)
{
        _cleanup_(key_freep) gnutls_x509_privkey_t key = NULL;
        gnutls_datum_t d = datum_of(pem);
        int r = gnutls_x509_privkey_init(&key);

        if (!r)
                r = gnutls_x509_privkey_import2(key, &d, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (r)
                return failed(reterr, "private key", r);
        *ret = TAKE_PTR(key);
        return 0;
}

static int import_crt(const char *pem, gnutls_x509_crt_t *ret, struct err *reterr)
{
        _cleanup_(crt_freep) gnutls_x509_crt_t crt = NULL;
        gnutls_datum_t d = datum_of(pem);
        int r = gnutls_x509_crt_init(&crt);

        if (!r)
                r = gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM);
        if (r)
                return failed(reterr, "certificate", r);
        *ret = TAKE_PTR(crt);
        return 0;
}

static int export_crt(gnutls_x509_crt_t crt, char **ret, struct err *reterr)
{
        _cleanup_(datum_freep) gnutls_datum_t d = {0};
        int r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &d);

        if (r)
                return failed(reterr, "certificate", r);
        *ret = text_of(&d);
        return 0;
}

int x509_key_new(char **ret_pem, struct err *reterr)
{
        _cleanup_(key_freep) gnutls_x509_privkey_t key = NULL;
        _cleanup_(datum_freep) gnutls_datum_t d = {0};
        int r = gnutls_x509_privkey_init(&key);

        if (!r)
                r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                                 0);
        if (!r)
                r = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &d);
        if (r)
                return failed(reterr, "new private key", r);
        *ret_pem = text_of(&d);
        return 0;
}

int x509_key_public(const char *key_pem, char **ret_pem, struct err *reterr)
{
        _cleanup_(key_freep) gnutls_x509_privkey_t key = NULL;
        _cleanup_(pubkey_freep) gnutls_pubkey_t pub = NULL;
        _cleanup_(datum_freep) gnutls_datum_t d = {0};
        gnutls_privkey_t abstract = NULL;
        int r = import_key(key_pem, &key, reterr);

        if (r)
                return r;
        r = gnutls_privkey_init(&abstract);
        if (!r)
                r = gnutls_privkey_import_x509(abstract, key, 0);
        if (!r)
                r = gnutls_pubkey_init(&pub);
        if (!r)
                r = gnutls_pubkey_import_privkey(pub, abstract, 0, 0);
        if (!r)
                r = gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &d);
        if (abstract)
                gnutls_privkey_deinit(abstract);
        if (r)
                return failed(reterr, "public key", r);
        *ret_pem = text_of(&d);
        return 0;
}

/* Version, serial number, dates, key and key identifier: what every certificate has. */
static int crt_start(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, int64_t lifetime_s)
{
        unsigned char serial[16], id[20];
        size_t id_len = sizeof(id);
        time_t now = (time_t)clock_wall_s();
        int r;

        random_bytes(serial, sizeof(serial));
        serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, and always of this length */
        r = gnutls_x509_crt_set_version(crt, 3);
        if (!r)
                r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
        if (!r)
                r = gnutls_x509_crt_set_activation_time(crt, now - CLOCK_SKEW_S);
        if (!r)
                r = gnutls_x509_crt_set_expiration_time(crt, now + (time_t)lifetime_s);
        if (!r)
                r = gnutls_x509_crt_set_key(crt, key);
        if (!r)
                r = gnutls_x509_crt_get_key_id(crt, 0, id, &id_len);
        if (!r)
                r = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
        return r;
}

static int set_name(gnutls_x509_crt_t crt, const char *oid, const char *value)
{
        return gnutls_x509_crt_set_dn_by_oid(crt, oid, 0, value, (unsigned int)strlen(value));
}

int x509_ca_cert_new(const char *key_pem, const char *common_name, int64_t lifetime_s, char **ret_pem,
                     struct err *reterr)
{
        _cleanup_(key_freep) gnutls_x509_privkey_t key = NULL;
        _cleanup_(crt_freep) gnutls_x509_crt_t crt = NULL;
        int r = import_key(key_pem, &key, reterr);

        if (r)
                return r;
        r = gnutls_x509_crt_init(&crt);
        if (!r)
                r = crt_start(crt, key, lifetime_s);
        if (!r)
                r = set_name(crt, GNUTLS_OID_X520_COMMON_NAME, common_name);
        if (!r)
                r = gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
        if (!r)
                r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN |
                                                               GNUTLS_KEY_DIGITAL_SIGNATURE);
        if (!r)
                r = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
        return r ? failed(reterr, "CA certificate", r) : export_crt(crt, ret_pem, reterr);
}

/* Whether the certificate is for that key. */
static bool belong_together(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
        unsigned char a[64], b[64];
        size_t na = sizeof(a), nb = sizeof(b);

        return !gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, a, &na) &&
               !gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, b, &nb) && na == nb &&
               memcmp(a, b, na) == 0;
}

int x509_ca_new(const char *cert_pem, const char *key_pem, struct x509_ca **ret, struct err *reterr)
{
        _cleanup_(x509_ca_freep) struct x509_ca *ca = mem_new(struct x509_ca);
        int r = import_crt(cert_pem, &ca->crt, reterr);

        if (!r)
                r = import_key(key_pem, &ca->key, reterr);
        if (r)
                return r;
        if (gnutls_x509_crt_get_ca_status(ca->crt, NULL) != 1)
                return err_set(reterr, -EINVAL, "not the certificate of a CA");
        if (!belong_together(ca->crt, ca->key))
                return err_set(reterr, -EINVAL, "the CA's certificate and private key do not belong together");
        ca->pem = mem_strdup(cert_pem);
        *ret = TAKE_PTR(ca);
        return 0;
}

void x509_ca_free(struct x509_ca *ca)
{
        if (!ca)
                return;
        crt_freep(&ca->crt);
        key_freep(&ca->key);
        free(ca->pem);
        free(ca);
}

const char *x509_ca_pem(const struct x509_ca *ca)
{
        return ca->pem;
}

/* An address as a certificate has it: 4 or 16 bytes. Returns their number, 0 when s is none. */
static unsigned int ip_bytes(const char *s, unsigned char bytes[16])
{
        if (inet_pton(AF_INET, s, bytes) == 1)
                return 4;
        return inet_pton(AF_INET6, s, bytes) == 1 ? 16 : 0;
}

static int set_alt_names(gnutls_x509_crt_t crt, const struct x509_spec *spec, struct err *reterr)
{
        unsigned char ip[16];
        int r = 0;

        for (size_t i = 0; spec->dns_names && spec->dns_names[i] && !r; i++)
                r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, spec->dns_names[i],
                                                         (unsigned int)strlen(spec->dns_names[i]), GNUTLS_FSAN_APPEND);
        for (size_t i = 0; spec->ips && spec->ips[i] && !r; i++) {
                unsigned int n = ip_bytes(spec->ips[i], ip);

                if (!n)
                        return err_set(reterr, -EINVAL, "%s: not an IP address", spec->ips[i]);
                r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, n, GNUTLS_FSAN_APPEND);
        }
        return r ? failed(reterr, "alternative names", r) : 0;
}

static int set_subject(gnutls_x509_crt_t crt, const struct x509_spec *spec)
{
        int r = 0;

        for (size_t i = 0; spec->organizations && spec->organizations[i] && !r; i++)
                r = set_name(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, spec->organizations[i]);
        return r ? r : set_name(crt, GNUTLS_OID_X520_COMMON_NAME, spec->common_name);
}

static int set_usage(gnutls_x509_crt_t crt, const struct x509_spec *spec)
{
        int r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);

        if (!r)
                r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
        if (!r && spec->server)
                r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
        if (!r && spec->client)
                r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
        return r;
}

static int sign(const struct x509_ca *ca, gnutls_x509_crt_t crt)
{
        unsigned char id[64];
        size_t n = sizeof(id);
        int r = gnutls_x509_crt_get_subject_key_id(ca->crt, id, &n, NULL);

        if (!r)
                r = gnutls_x509_crt_set_authority_key_id(crt, id, n);
        return r ? r : gnutls_x509_crt_sign2(crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0);
}

int x509_issue(const struct x509_ca *ca, const struct x509_spec *spec, char **ret_cert_pem, char **ret_key_pem,
               struct err *reterr)
{
        _cleanup_(key_freep) gnutls_x509_privkey_t key = NULL;
        _cleanup_(crt_freep) gnutls_x509_crt_t crt = NULL;
        _cleanup_free_ char *key_pem = NULL;
        int r = x509_key_new(&key_pem, reterr);

        if (!r)
                r = import_key(key_pem, &key, reterr);
        if (r)
                return r;
        r = gnutls_x509_crt_init(&crt);
        if (!r)
                r = crt_start(crt, key, spec->lifetime_s);
        if (!r)
                r = set_subject(crt, spec);
        if (!r)
                r = set_usage(crt, spec);
        if (r)
                return failed(reterr, spec->common_name, r);
        r = set_alt_names(crt, spec, reterr);
        if (r)
                return r;
        r = sign(ca, crt);
        if (r)
                return failed(reterr, spec->common_name, r);
        r = export_crt(crt, ret_cert_pem, reterr);
        if (!r)
                *ret_key_pem = TAKE_PTR(key_pem);
        return r;
}

static bool has_alt_name(gnutls_x509_crt_t crt, unsigned int want_type, const void *want, size_t n)
{
        unsigned char buf[512];

        for (unsigned int i = 0;; i++) {
                size_t len = sizeof(buf);
                int type = gnutls_x509_crt_get_subject_alt_name(crt, i, buf, &len, NULL);

                if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
                        continue;
                if (type < 0)
                        return false;
                if ((unsigned int)type == want_type && len == n && memcmp(buf, want, n) == 0)
                        return true;
        }
}

static int check_alt_names(gnutls_x509_crt_t crt, const struct x509_spec *spec, struct err *reterr)
{
        unsigned char ip[16];

        for (size_t i = 0; spec->dns_names && spec->dns_names[i]; i++)
                if (!has_alt_name(crt, GNUTLS_SAN_DNSNAME, spec->dns_names[i], strlen(spec->dns_names[i])))
                        return err_set(reterr, X509_UNFIT, "is not for %s", spec->dns_names[i]);
        for (size_t i = 0; spec->ips && spec->ips[i]; i++)
                if (!has_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, ip_bytes(spec->ips[i], ip)))
                        return err_set(reterr, X509_UNFIT, "is not for %s", spec->ips[i]);
        return 0;
}

/* Exactly these names, in this order. */
static bool names_equal(gnutls_x509_crt_t crt, const char *oid, const char *const *want)
{
        char buf[256];

        for (unsigned int i = 0;; i++) {
                size_t len = sizeof(buf);
                int r = gnutls_x509_crt_get_dn_by_oid(crt, oid, i, 0, buf, &len);
                const char *w = want ? want[i] : NULL;

                if (r || !w)
                        return r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE && !w;
                if (strlen(w) != len || memcmp(buf, w, len) != 0)
                        return false;
        }
}

static bool has_purpose(gnutls_x509_crt_t crt, const char *oid)
{
        return gnutls_x509_crt_check_key_purpose(crt, oid, 0) != 0;
}

int x509_check(const struct x509_ca *ca, const struct x509_spec *spec, const char *cert_pem, const char *key_pem,
               int64_t now_s, struct err *reterr)
{
        const char *const cn[] = {spec->common_name, NULL};
        _cleanup_(key_freep) gnutls_x509_privkey_t key = NULL;
        _cleanup_(crt_freep) gnutls_x509_crt_t crt = NULL;
        unsigned int verdict = 0;
        int64_t from, until;

        if (import_crt(cert_pem, &crt, reterr) || import_key(key_pem, &key, reterr))
                return err_set(reterr, X509_UNFIT, "is not a certificate and its key");
        if (!belong_together(crt, key))
                return err_set(reterr, X509_UNFIT, "does not belong to its private key");
        if (gnutls_x509_crt_verify(crt, &ca->crt, 1,
                                   GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS,
                                   &verdict) ||
            verdict)
                return err_set(reterr, X509_UNFIT, "is not of this CA");
        if (!names_equal(crt, GNUTLS_OID_X520_COMMON_NAME, cn) ||
            !names_equal(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, spec->organizations))
                return err_set(reterr, X509_UNFIT, "is for somebody else");
        if ((spec->server && !has_purpose(crt, GNUTLS_KP_TLS_WWW_SERVER)) ||
            (spec->client && !has_purpose(crt, GNUTLS_KP_TLS_WWW_CLIENT)))
                return err_set(reterr, X509_UNFIT, "is for another use");
        from = gnutls_x509_crt_get_activation_time(crt);
        until = gnutls_x509_crt_get_expiration_time(crt);
        if (now_s < from || until - now_s < (until - from) / 3)
                return err_set(reterr, X509_UNFIT, "is about to expire");
        return check_alt_names(crt, spec, reterr);
}
