/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 certificates and ECDSA P-256 keys as PEM text, by GnuTLS. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct x509_ca;

/* What a certificate says. Lists are NULL-terminated and may be NULL. */
struct x509_spec {
        const char *common_name;          /* the user, for a client */
        const char *const *organizations; /* the groups, for a client */
        const char *const *dns_names;
        const char *const *ips;
        bool server, client; /* extended key usage */
        int64_t lifetime_s;
};

/* A new key, owned by the caller. 0 or negative errno. */
int x509_key_new(char **ret_pem, struct err *reterr);
/* Its public half as PEM. */
int x509_key_public(const char *key_pem, char **ret_pem, struct err *reterr);

/* A self-signed CA certificate for that key. */
int x509_ca_cert_new(const char *key_pem, const char *common_name, int64_t lifetime_s, char **ret_pem,
                     struct err *reterr);
/* 0, or -EINVAL when these are no CA certificate and its key. */
int x509_ca_new(const char *cert_pem, const char *key_pem, struct x509_ca **ret, struct err *reterr);
void x509_ca_free(struct x509_ca *ca);
DEFINE_CLEANUP(struct x509_ca *, x509_ca_free)
/* Borrowed. */
const char *x509_ca_pem(const struct x509_ca *ca);

/* A new key and a certificate for it. */
int x509_issue(const struct x509_ca *ca, const struct x509_spec *spec, char **ret_cert_pem, char **ret_key_pem,
               struct err *reterr);

/*
 * Whether a certificate and key on disk still do: of this CA, belonging together, with that subject and all those
 * alternative names, usages covered, and with a third of its life left at now_s. Returns 0, X509_UNFIT with the reason
 * in reterr, or negative errno.
 */
enum { X509_UNFIT = 1 };
int x509_check(const struct x509_ca *ca, const struct x509_spec *spec, const char *cert_pem, const char *key_pem,
               int64_t now_s, struct err *reterr);
