/* SPDX-License-Identifier: Apache-2.0 */
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"

#define ORGANIZATIONS_MAX 256
#define NAME_MAX_LEN      1024

/* ASN.1 tags of strings whose bytes are UTF-8. */
static bool is_utf8_tag(unsigned long tag)
{
        return tag == 12 || tag == 19 || tag == 22; /* UTF8String, PrintableString, IA5String */
}

struct names {
        struct arena arena;
        const char *common_name;
        const char *organizations[ORGANIZATIONS_MAX];
        size_t norganizations;
};

/* False for a value that cannot be a name: a NUL or control character, another character set, too long. */
static bool take_value(struct names *n, const gnutls_x509_ava_st *ava, const char **ret)
{
        size_t i;

        if (!is_utf8_tag(ava->value_tag) || ava->value.size > NAME_MAX_LEN)
                return false;
        for (i = 0; i < ava->value.size; i++)
                if (ava->value.data[i] < 0x20 || ava->value.data[i] == 0x7f)
                        return false;
        *ret = arena_strndup(&n->arena, (const char *)ava->value.data, ava->value.size);
        return true;
}

static bool take_ava(struct names *n, const gnutls_x509_ava_st *ava)
{
        const char *oid = (const char *)ava->oid.data;
        size_t len = ava->oid.size;

        while (len && !oid[len - 1])
                len--;
        if (str_span_eq((struct str_span){oid, len}, GNUTLS_OID_X520_COMMON_NAME))
                return take_value(n, ava, &n->common_name);
        if (!str_span_eq((struct str_span){oid, len}, GNUTLS_OID_X520_ORGANIZATION_NAME))
                return true;
        return n->norganizations < ORGANIZATIONS_MAX && take_value(n, ava, &n->organizations[n->norganizations++]);
}

static bool take_subject(struct names *n, gnutls_x509_crt_t crt)
{
        gnutls_x509_ava_st ava;
        gnutls_x509_dn_t dn;
        int rdn, i;

        if (gnutls_x509_crt_get_subject(crt, &dn) < 0)
                return false;
        for (rdn = 0; gnutls_x509_dn_get_rdn_ava(dn, rdn, 0, &ava) == 0; rdn++)
                for (i = 0; gnutls_x509_dn_get_rdn_ava(dn, rdn, i, &ava) == 0; i++)
                        if (!take_ava(n, &ava))
                                return false;
        return true;
}

/* One allocation for all of them: connections that do nothing are many. */
static void keep_names(struct conn *c, const struct names *n)
{
        size_t i, size = (n->norganizations + 1) * sizeof(char *) + strlen(n->common_name) + 1;
        const char **list;
        char *p;

        for (i = 0; i < n->norganizations; i++)
                size += strlen(n->organizations[i]) + 1;
        list = mem_alloc(size);
        c->peer_data = (char *)list;
        p = c->peer_data + (n->norganizations + 1) * sizeof(char *);
        for (i = 0; i < n->norganizations; i++) {
                list[i] = p;
                p = stpcpy(p, n->organizations[i]) + 1;
        }
        list[i] = NULL;
        memcpy(p, n->common_name, strlen(n->common_name) + 1);
        c->peer.common_name = p;
        c->peer.organizations = list;
}

static void refuse(struct conn *c, const char *why)
{
        c->peer_data = mem_strdup(why);
        c->peer.refused = c->peer_data;
}

static void refuse_status(struct conn *c, unsigned status)
{
        gnutls_datum_t text;

        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0) {
                refuse(c, "The certificate is NOT trusted.");
                return;
        }
        refuse(c, (const char *)text.data);
        gnutls_free(text.data);
}

static void read_names(struct conn *c, const gnutls_datum_t *der)
{
        struct names n = {.arena = ARENA_NULL};
        gnutls_x509_crt_t crt;

        if (gnutls_x509_crt_init(&crt) < 0) {
                refuse(c, "out of memory");
                return;
        }
        if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) < 0 || !take_subject(&n, crt)) {
                refuse(c, "The certificate's subject has values that are no names.");
        } else {
                if (!n.common_name)
                        n.common_name = "";
                keep_names(c, &n);
                c->peer.verified = true;
        }
        gnutls_x509_crt_deinit(crt);
        arena_deinit(&n.arena);
}

void peer_read(struct conn *c)
{
        gnutls_typed_vdata_st purpose = {
                .type = GNUTLS_DT_KEY_PURPOSE_OID,
                .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
        };
        const gnutls_datum_t *chain;
        unsigned n = 0, status = 0;
        int r;

        chain = gnutls_certificate_get_peers(c->session, &n);
        if (!chain || !n)
                return;
        r = gnutls_certificate_verify_peers(c->session, &purpose, 1, &status);
        if (r < 0)
                refuse(c, gnutls_strerror(r));
        else if (status)
                refuse_status(c, status);
        else
                read_names(c, &chain[0]);
}
