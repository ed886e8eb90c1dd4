/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CertificateSigningRequests. The spec says who asked and never changes; /approval may add Approved or Denied, /status
 * the certificate and other conditions.
 */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/str.h"

#define LEGACY_SIGNER "kubernetes.io/legacy-unknown"
#define MIN_SECONDS   600

static const char *validate_name(const char *name)
{
        return NULL; /* any */
}

static void set_groups(struct json_object *spec, const char *const *groups)
{
        struct json_object *list = json_object_new_array();

        for (; groups && *groups; groups++)
                json_object_array_add(list, json_object_new_string(*groups));
        json_set(spec, "groups", list);
}

/* Who asks is not for the client to say. */
static void prepare_create(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec");

        json_del(obj, "status");
        json_del(spec, "username");
        json_del(spec, "uid");
        json_del(spec, "groups");
        json_del(spec, "extra");
        if (!c->user)
                return;
        if (!str_empty(c->user->name))
                json_set_str(spec, "username", c->user->name);
        if (!str_empty(c->user->uid))
                json_set_str(spec, "uid", c->user->uid);
        if (c->user->groups && c->user->groups[0])
                set_groups(spec, c->user->groups);
}

static void copy_member(struct json_object *obj, const struct json_object *old, const char *name)
{
        if (json_has(old, name))
                json_set(obj, name, json_copy(json_get(old, name)));
        else
                json_del(obj, name);
}

static void prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        copy_member(obj, old, "spec");
        copy_member(obj, old, "status");
}

static bool is_decision(const struct json_object *condition)
{
        const char *type = str_of(condition, "type");

        return str_eq(type, "Approved") || str_eq(type, "Denied");
}

static const struct json_object *find_condition(const struct json_object *list, const char *type)
{
        json_array_foreach (list, i, condition)
                if (str_eq(str_of(condition, "type"), type))
                        return condition;
        return NULL;
}

/* Times that the client left out: of the update, but a condition that has not changed keeps its own. */
static void stamp_conditions(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        const struct json_object *before = json_at(old, "status.conditions");
        char now[CLOCK_TEXT_SIZE];

        clock_format(c->now_us / 1000000, now);
        json_array_foreach (json_at(obj, "status.conditions"), i, condition) {
                const struct json_object *was = find_condition(before, str_of(condition, "type"));
                const char *since = json_get_str(was, "lastTransitionTime");
                bool same = was && str_eq(str_of(was, "status"), str_of(condition, "status")) && since;

                json_default_str(condition, "lastUpdateTime", now);
                json_default_str(condition, "lastTransitionTime", same ? since : now);
        }
}

static void prepare_status(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        if (str_eq(c->subresource, "approval"))
                copy_member(json_ensure(obj, "status"), json_get(old, "status"), "certificate");
        stamp_conditions(c, obj, old);
}

static const char *request_error(const char *pem, size_t len)
{
        gnutls_datum_t data = {.data = (unsigned char *)pem, .size = (unsigned int)len};
        const char *error = NULL;
        gnutls_x509_crq_t crq;
        int r;

        if (!strstr(pem, "-----BEGIN CERTIFICATE REQUEST-----"))
                return "PEM block type must be CERTIFICATE REQUEST";
        if (gnutls_x509_crq_init(&crq) < 0)
                return "out of memory";
        r = gnutls_x509_crq_import(crq, &data, GNUTLS_X509_FMT_PEM);
        if (r >= 0)
                r = gnutls_x509_crq_verify(crq, 0);
        if (r < 0)
                error = gnutls_strerror(r);
        gnutls_x509_crq_deinit(crq);
        return error;
}

static void check_request(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const char *text = str_of(spec, "request"), *error;
        _cleanup_free_ char *pem = NULL;
        size_t len = 0;

        if (base64_decode(text, strlen(text), &pem, &len))
                error = "PEM block type must be CERTIFICATE REQUEST";
        else
                error = request_error(pem, len);
        if (error)
                ferr_invalid_str(e, FP(p, "request"), text, "%s", error);
}

static const char *const usages[] = {"any",
                                     "cert sign",
                                     "client auth",
                                     "code signing",
                                     "content commitment",
                                     "crl sign",
                                     "data encipherment",
                                     "decipher only",
                                     "digital signature",
                                     "email protection",
                                     "encipher only",
                                     "ipsec end system",
                                     "ipsec tunnel",
                                     "ipsec user",
                                     "key agreement",
                                     "key encipherment",
                                     "microsoft sgc",
                                     "netscape sgc",
                                     "ocsp signing",
                                     "s/mime",
                                     "server auth",
                                     "signing",
                                     "timestamping",
                                     NULL};

static void check_usages(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;

        if (!json_len(list))
                ferr_required(e, p, NULL);
        for (size_t i = 0; i < json_len(list); i++) {
                if (!one_of(str_at(list, i), usages))
                        ferr_not_supported(e, FPI(p, i), str_at(list, i), usages);
                if (!name_set_add(&seen, str_at(list, i)))
                        ferr_duplicate_str(e, FPI(p, i), str_at(list, i));
        }
}

static void check_signer(const char *name, const struct fpath *p, struct ferrs *e)
{
        const char *slash = strchr(name, '/');
        char *domain;

        if (!*name) {
                ferr_required(e, p, NULL);
                return;
        }
        if (str_eq(name, LEGACY_SIGNER)) {
                ferr_invalid_str(e, p, name, "the legacy signerName is not allowed via this API version");
                return;
        }
        if (!slash || strchr(slash + 1, '/')) {
                ferr_invalid_str(e, p, name,
                                 "must be a fully qualified domain and path of the form 'example.com/signer-name'");
                return;
        }
        domain = arena_strndup(e->arena, name, (size_t)(slash - name));
        if (name_error(NAME_DNS1123_SUBDOMAIN, domain))
                check_name(e, p, NAME_DNS1123_SUBDOMAIN, domain);
        else if (!strchr(domain, '.'))
                ferr_invalid_str(e, p, name, "should be a domain with at least two segments separated by dots");
        check_name(e, p, NAME_DNS1123_SUBDOMAIN, slash + 1);
}

static void validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct fpath *p = FP(NULL, "spec");
        int64_t seconds = json_get_i64(spec, "expirationSeconds", MIN_SECONDS);

        check_request(spec, p, e);
        check_usages(json_get(spec, "usages"), FP(p, "usages"), e);
        check_signer(str_of(spec, "signerName"), FP(p, "signerName"), e);
        if (seconds < MIN_SECONDS)
                ferr_invalid_i64(e, FP(p, "expirationSeconds"), seconds,
                                 "may not specify a duration less than 600 seconds (10 minutes)");
}

static void check_condition(const struct json_object *list, size_t i, const struct fpath *p, struct ferrs *e)
{
        static const char *const true_only[] = {"True", NULL}, *const any[] = {"False", "True", "Unknown", NULL};
        const struct json_object *condition = json_idx(list, i);
        const char *type = str_of(condition, "type");
        bool decision = is_decision(condition);

        if (!*type)
                ferr_required(e, FP(p, "type"), NULL);
        check_one_of(e, p, condition, "status", decision || str_eq(type, "Failed") ? true_only : any, true);
        for (size_t j = 0; j < i; j++) {
                const struct json_object *before = json_idx(list, j);

                if (str_eq(str_of(before, "type"), type))
                        ferr_duplicate_str(e, FP(p, "type"), type);
                else if (decision && is_decision(before))
                        ferr_invalid_str(e, FP(p, "type"), type,
                                         "Approved and Denied conditions are mutually exclusive");
        }
}

static void check_kept_conditions(const struct json_object *now, const struct json_object *before, bool approval,
                                  struct ferrs *e)
{
        static const char *const types[] = {"Approved", "Denied", "Failed"};
        const struct fpath *p = FP(FP(NULL, "status"), "conditions");

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                const struct json_object *is = find_condition(now, types[i]), *was = find_condition(before, types[i]);

                if (was && !is)
                        ferr_forbidden(e, p, "updates may not remove a condition of type \"%s\"", types[i]);
                else if (approval || str_eq(types[i], "Failed"))
                        continue;
                else if (is && !was)
                        ferr_forbidden(e, p, "updates may not add a condition of type \"%s\"", types[i]);
                else if (!json_equal(is, was))
                        ferr_forbidden(e, p, "updates may not modify a condition of type \"%s\"", types[i]);
        }
}

/* NULL when it is nothing but certificates. */
static const char *certificate_error(const char *text)
{
        gnutls_x509_crt_t *certs = NULL;
        _cleanup_free_ char *pem = NULL;
        gnutls_datum_t data;
        unsigned int n = 0;
        size_t len = 0;

        if (base64_decode(text, strlen(text), &pem, &len) || !strstr(pem, "-----BEGIN CERTIFICATE-----"))
                return "must contain at least one CERTIFICATE PEM block";
        if (strstr(pem, "PRIVATE KEY-----"))
                return "only CERTIFICATE PEM blocks are allowed, found \"PRIVATE KEY\"";
        data = (gnutls_datum_t){.data = (unsigned char *)pem, .size = (unsigned int)len};
        if (gnutls_x509_crt_list_import2(&certs, &n, &data, GNUTLS_X509_FMT_PEM, 0) < 0)
                return "x509: malformed certificate";
        for (unsigned int i = 0; i < n; i++)
                gnutls_x509_crt_deinit(certs[i]);
        gnutls_free(certs);
        return NULL;
}

static void check_certificate(const struct json_object *obj, const struct json_object *old, bool approval,
                              struct ferrs *e)
{
        const char *now = json_at_str(obj, "status.certificate"), *before = json_at_str(old, "status.certificate");
        const struct fpath *p = FP(FP(NULL, "status"), "certificate");
        const char *error;

        if (str_eq(now, before))
                return;
        if (approval)
                ferr_forbidden(e, p, "updates may not set certificate content");
        else if (before)
                ferr_forbidden(e, p, "updates may not modify existing certificate content");
        error = now ? certificate_error(now) : NULL;
        if (error)
                ferr_invalid_str(e, p, "<certificate data>", "%s", error);
}

static void validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                            struct ferrs *e)
{
        const struct json_object *list = json_at(obj, "status.conditions");
        const struct fpath *p = FP(FP(NULL, "status"), "conditions");
        bool approval = str_eq(c->subresource, "approval");

        for (size_t i = 0; i < json_len(list); i++)
                check_condition(list, i, FPI(p, i), e);
        check_kept_conditions(list, json_at(old, "status.conditions"), approval, e);
        check_certificate(obj, old, approval, e);
}

static const struct kind_field fields[] = {{.label = "spec.signerName", .path = "spec.signerName"}, {0}};

const struct kind_ops kind_certificatesigningrequests = {
        .group = "certificates.k8s.io",
        .plural = "certificatesigningrequests",
        .flags = KIND_STATUS_RESET,
        .validate_name = validate_name,
        .prepare_create = prepare_create,
        .prepare_update = prepare_update,
        .prepare_status = prepare_status,
        .validate = validate,
        .validate_status = validate_status,
        .fields = fields,
};
