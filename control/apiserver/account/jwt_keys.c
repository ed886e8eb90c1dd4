/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/account/jwt.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define KEY_FILE_MAX 65536
#define KEYS_MAX     8
#define DIGEST       32
#define SEEN         512 /* good signatures that are remembered */
#define P256_BYTES   32

/* The algorithms of RFC 7518 that are spoken here. */
enum alg {
        ALG_RS256,
        ALG_ES256,
};

static const struct {
        const char *name;
        gnutls_sign_algorithm_t sign;
} algs[] = {
        [ALG_RS256] = {"RS256", GNUTLS_SIGN_RSA_SHA256},
        [ALG_ES256] = {"ES256", GNUTLS_SIGN_ECDSA_SHA256},
};

struct key {
        gnutls_pubkey_t public;
        enum alg alg;
        char *id; /* base64url(SHA-256(SubjectPublicKeyInfo)), as kube-apiserver's */
};

/* seen: digests of tokens whose signatures were good. They come again and again, and a look there is 50 times cheaper
 * than a signature. */
struct jwt_keys {
        gnutls_privkey_t private;
        struct key keys[KEYS_MAX];
        size_t n;
        pthread_mutex_t lock;
        unsigned char seen[SEEN][DIGEST];
};

/* ---- loading ---- */

static int find_alg(gnutls_pubkey_t public, enum alg *ret)
{
        unsigned bits = 0;
        int pk = gnutls_pubkey_get_pk_algorithm(public, &bits);

        if (pk == GNUTLS_PK_RSA && bits >= 2048) {
                *ret = ALG_RS256;
                return 0;
        }
        *ret = ALG_ES256;
        return pk == GNUTLS_PK_ECDSA && bits == 256 ? 0 : -EINVAL;
}

static char *make_id(gnutls_pubkey_t public)
{
        unsigned char digest[DIGEST];
        struct strbuf b = STRBUF_NULL;
        gnutls_datum_t der = {0};

        if (gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, &der) < 0)
                return NULL;
        gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest);
        gnutls_free(der.data);
        jwt_base64_encode(&b, digest, sizeof(digest));
        return strbuf_take(&b, NULL);
}

/* public is taken over. */
static int add_public(struct jwt_keys *k, gnutls_pubkey_t public)
{
        struct key *key = &k->keys[k->n];

        if (k->n == KEYS_MAX || find_alg(public, &key->alg) || !(key->id = make_id(public))) {
                gnutls_pubkey_deinit(public);
                return -EINVAL;
        }
        key->public = public;
        k->n++;
        return 0;
}

static int import_private(const gnutls_datum_t *pem, gnutls_privkey_t *ret)
{
        if (gnutls_privkey_init(ret) < 0)
                return -ENOMEM;
        if (gnutls_privkey_import_x509_raw(*ret, pem, GNUTLS_X509_FMT_PEM, NULL, 0) >= 0)
                return 0;
        gnutls_privkey_deinit(*ret);
        *ret = NULL;
        return -EINVAL;
}

/* A public key, or the public half of a private one, which *ret_private then has. */
static int import_key(struct jwt_keys *k, const gnutls_datum_t *pem, gnutls_privkey_t *ret_private)
{
        gnutls_pubkey_t public;
        int r;

        if (gnutls_pubkey_init(&public) < 0)
                return -ENOMEM;
        r = import_private(pem, ret_private);
        r = r ? gnutls_pubkey_import(public, pem, GNUTLS_X509_FMT_PEM)
              : gnutls_pubkey_import_privkey(public, *ret_private, 0, 0);
        if (r < 0) {
                gnutls_pubkey_deinit(public);
                return -EINVAL;
        }
        return add_public(k, public);
}

static int load_file(struct jwt_keys *k, const char *path, gnutls_privkey_t *ret_private, struct err *reterr)
{
        _cleanup_free_ char *text = NULL;
        gnutls_datum_t pem;
        size_t len;
        int r = file_read(path, KEY_FILE_MAX, &text, &len, reterr);

        *ret_private = NULL;
        if (r)
                return r;
        pem = (gnutls_datum_t){(unsigned char *)text, (unsigned)len};
        r = import_key(k, &pem, ret_private);
        return r ? err_set(reterr, r,
                           "%s: no key for service account tokens: use RSA of 2048 bits or more, or ECDSA on P-256",
                           path)
                 : 0;
}

int jwt_keys_load(const char *signing_file, const char *const *verify_files, struct jwt_keys **ret, struct err *reterr)
{
        _cleanup_(jwt_keys_freep) struct jwt_keys *k = mem_new(struct jwt_keys);
        gnutls_privkey_t unused;
        int r;

        pthread_mutex_init(&k->lock, NULL);
        r = load_file(k, signing_file, &k->private, reterr);
        if (!r && !k->private)
                r = err_set(reterr, -EINVAL, "%s: a public key cannot sign tokens", signing_file);
        for (size_t i = 0; verify_files && verify_files[i] && !r; i++) {
                r = load_file(k, verify_files[i], &unused, reterr);
                if (unused)
                        gnutls_privkey_deinit(unused);
        }
        if (r)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

void jwt_keys_free(struct jwt_keys *k)
{
        if (!k)
                return;
        if (k->private)
                gnutls_privkey_deinit(k->private);
        for (size_t i = 0; i < k->n; i++) {
                gnutls_pubkey_deinit(k->keys[i].public);
                free(k->keys[i].id);
        }
        pthread_mutex_destroy(&k->lock);
        free(k);
}

/* ---- signing ---- */

/* GnuTLS' DER of (r, s) as the 64 bytes that JWS has. */
static int add_es256(struct strbuf *b, const gnutls_datum_t *der)
{
        unsigned char both[2 * P256_BYTES] = {0};
        gnutls_datum_t half[2];
        int r = gnutls_decode_rs_value(der, &half[0], &half[1]) < 0 ? -EIO : 0;

        if (r)
                return r;
        for (size_t i = 0; i < 2 && !r; i++) {
                const unsigned char *p = half[i].data;
                size_t n = half[i].size;

                for (; n > P256_BYTES && !*p; p++) /* a leading zero, for the sign */
                        n--;
                r = n > P256_BYTES ? -EIO : 0;
                if (!r)
                        memcpy(both + (i + 1) * P256_BYTES - n, p, n);
        }
        gnutls_free(half[0].data);
        gnutls_free(half[1].data);
        if (!r)
                jwt_base64_encode(b, both, sizeof(both));
        return r;
}

int jwt_sign(const struct jwt_keys *k, const struct json_object *claims, struct strbuf *ret)
{
        const struct key *key = &k->keys[0];
        _cleanup_json_ struct json_object *header = json_object_new_object();
        _cleanup_strbuf_ struct strbuf h = STRBUF_NULL, c = STRBUF_NULL;
        size_t from = ret->len;
        gnutls_datum_t data, sig = {0};
        int r = 0;

        json_set_str(header, "alg", algs[key->alg].name);
        json_set_str(header, "kid", key->id);
        json_write(&h, header);
        json_write(&c, claims);
        jwt_base64_encode(ret, h.data, h.len);
        strbuf_add_char(ret, '.');
        jwt_base64_encode(ret, c.data, c.len);
        data = (gnutls_datum_t){(unsigned char *)ret->data + from, (unsigned)(ret->len - from)};
        if (gnutls_privkey_sign_data2(k->private, algs[key->alg].sign, 0, &data, &sig) < 0)
                return -EIO;
        strbuf_add_char(ret, '.');
        if (key->alg == ALG_ES256)
                r = add_es256(ret, &sig);
        else
                jwt_base64_encode(ret, sig.data, sig.size);
        gnutls_free(sig.data);
        return r;
}

/* ---- verifying ---- */

static bool check_es256(const struct key *key, const gnutls_datum_t *data, const struct jwt_parts *p)
{
        gnutls_datum_t r = {(unsigned char *)p->signature, P256_BYTES},
                       s = {(unsigned char *)p->signature + P256_BYTES, P256_BYTES}, der = {0};
        bool good;

        if (p->signature_len != 2 * P256_BYTES || gnutls_encode_rs_value(&der, &r, &s) < 0)
                return false;
        good = gnutls_pubkey_verify_data2(key->public, GNUTLS_SIGN_ECDSA_SHA256, 0, data, &der) >= 0;
        gnutls_free(der.data);
        return good;
}

static bool check_key(const struct key *key, const gnutls_datum_t *data, const struct jwt_parts *p)
{
        const char *alg = json_get_str(p->header, "alg"), *id = json_get_str(p->header, "kid");
        gnutls_datum_t sig = {(unsigned char *)p->signature, (unsigned)p->signature_len};

        /* The algorithm is the key's; the header only has to agree. */
        if (!str_eq(alg, algs[key->alg].name) || (id && !str_eq(id, key->id)))
                return false;
        if (key->alg == ALG_ES256)
                return check_es256(key, data, p);
        return gnutls_pubkey_verify_data2(key->public, GNUTLS_SIGN_RSA_SHA256, 0, data, &sig) >= 0;
}

static unsigned char *seen_slot(struct jwt_keys *k, const unsigned char *digest)
{
        return k->seen[(digest[0] | digest[1] << 8) % SEEN];
}

static bool was_seen(struct jwt_keys *k, const unsigned char *digest)
{
        bool seen;

        pthread_mutex_lock(&k->lock);
        seen = !memcmp(seen_slot(k, digest), digest, DIGEST);
        pthread_mutex_unlock(&k->lock);
        return seen;
}

static void remember(struct jwt_keys *k, const unsigned char *digest)
{
        pthread_mutex_lock(&k->lock);
        memcpy(seen_slot(k, digest), digest, DIGEST);
        pthread_mutex_unlock(&k->lock);
}

static bool is_signed(struct jwt_keys *k, const char *token, const struct jwt_parts *p)
{
        const gnutls_datum_t data = {(unsigned char *)token, (unsigned)p->signed_len};
        unsigned char digest[DIGEST];

        if (json_has(p->header, "crit")) /* extensions that must be understood (RFC 7515, 4.1.11) */
                return false;
        gnutls_hash_fast(GNUTLS_DIG_SHA256, token, strlen(token), digest);
        if (was_seen(k, digest))
                return true;
        for (size_t i = 0; i < k->n; i++)
                if (check_key(&k->keys[i], &data, p)) {
                        remember(k, digest);
                        return true;
                }
        return false;
}

int jwt_verify(struct jwt_keys *k, const char *token, struct json_object **ret)
{
        struct jwt_parts p;
        int r = jwt_split(token, &p);

        if (!r && !is_signed(k, token, &p))
                r = -EKEYREJECTED;
        if (!r)
                *ret = TAKE_PTR(p.claims);
        jwt_parts_deinit(&p);
        return r;
}

/* ---- public keys ---- */

/* A number's bytes; size 0: as many as it has, without leading zeros. */
static void set_number(struct json_object *o, const char *name, const gnutls_datum_t *d, size_t size)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_free_ char *padded = mem_zalloc(size + d->size + 1);
        const unsigned char *p = d->data;
        size_t n = d->size;

        while (n > 1 && n > size && !*p) {
                p++;
                n--;
        }
        if (n < size) {
                memcpy(padded + size - n, p, n);
                jwt_base64_encode(&b, padded, size);
        } else {
                jwt_base64_encode(&b, p, n);
        }
        json_set_str(o, name, b.data);
}

static struct json_object *public_key(const struct key *key)
{
        struct json_object *o = json_object_new_object();
        gnutls_datum_t a = {0}, b = {0};
        gnutls_ecc_curve_t curve;

        json_set_str(o, "use", "sig");
        json_set_str(o, "kty", key->alg == ALG_ES256 ? "EC" : "RSA");
        json_set_str(o, "kid", key->id);
        json_set_str(o, "alg", algs[key->alg].name);
        if (key->alg == ALG_ES256 && gnutls_pubkey_export_ecc_raw(key->public, &curve, &a, &b) >= 0) {
                json_set_str(o, "crv", "P-256");
                set_number(o, "x", &a, P256_BYTES);
                set_number(o, "y", &b, P256_BYTES);
        } else if (key->alg == ALG_RS256 && gnutls_pubkey_export_rsa_raw(key->public, &a, &b) >= 0) {
                set_number(o, "n", &a, 0);
                set_number(o, "e", &b, 0);
        }
        gnutls_free(a.data);
        gnutls_free(b.data);
        return o;
}

struct json_object *jwt_keys_public(const struct jwt_keys *k)
{
        struct json_object *set = json_object_new_object(), *list = json_object_new_array();

        for (size_t i = 0; i < k->n; i++)
                json_object_array_add(list, public_key(&k->keys[i]));
        json_set(set, "keys", list);
        return set;
}
