/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/account/jwt.h"
#include "base/file.h"
#include "base/str.h"

static char dir[64];

static int setup(void **state)
{
        strcpy(dir, "/tmp/jwt_test.XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
        static const char *const names[] = {"rsa", "ec", "other", "small", "public", "junk"};
        char path[96];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                unlink(path);
        }
        return rmdir(dir);
}

static const char *path_of(const char *name)
{
        static char paths[16][96];
        static unsigned next;
        char *path = paths[next++ % 16];

        snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
        return path;
}

static const char *make_key(const char *name, gnutls_pk_algorithm_t pk, unsigned bits)
{
        gnutls_x509_privkey_t key;
        gnutls_datum_t pem;

        gnutls_x509_privkey_init(&key);
        assert_true(gnutls_x509_privkey_generate(key, pk, bits, 0) >= 0);
        assert_true(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem) >= 0);
        assert_int_equal(file_write_atomic(path_of(name), pem.data, pem.size, 0600, NULL), 0);
        gnutls_free(pem.data);
        gnutls_x509_privkey_deinit(key);
        return path_of(name);
}

static const char *make_ec(const char *name)
{
        return make_key(name, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));
}

static struct jwt_keys *load(const char *signing, const char *const *more)
{
        struct jwt_keys *k = NULL;
        struct err err = ERR_NULL;

        if (jwt_keys_load(signing, more, &k, &err))
                fail_msg("%s", err.msg);
        return k;
}

static char *sign(const struct jwt_keys *k, const char *subject)
{
        _cleanup_json_ struct json_object *claims = json_object_new_object();
        struct strbuf b = STRBUF_NULL;

        json_set_str(claims, "sub", subject);
        assert_int_equal(jwt_sign(k, claims, &b), 0);
        return strbuf_take(&b, NULL);
}

static void expect_verified(struct jwt_keys *k, const char *token, const char *subject)
{
        _cleanup_json_ struct json_object *claims = NULL;

        assert_int_equal(jwt_verify(k, token, &claims), 0);
        assert_string_equal(json_get_str(claims, "sub"), subject);
}

static void expect_refused(struct jwt_keys *k, const char *token, int error)
{
        struct json_object *claims = NULL;

        assert_int_equal(jwt_verify(k, token, &claims), error);
        assert_null(claims);
}

static void what_is_signed_is_verified_by_its_key_alone(void **state)
{
        const char *const files[] = {make_key("rsa", GNUTLS_PK_RSA, 2048), make_ec("ec")};
        _cleanup_(jwt_keys_freep) struct jwt_keys *other = load(make_ec("other"), NULL);

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                _cleanup_(jwt_keys_freep) struct jwt_keys *k = load(files[i], NULL);

                for (unsigned n = 0; n < 50; n++) { /* signatures with leading zeros among them, too */
                        _cleanup_free_ char *token = sign(k, "me");

                        expect_verified(k, token, "me");
                        expect_verified(k, token, "me"); /* from memory */
                        expect_refused(other, token, -EKEYREJECTED);
                }
        }
}

static void any_changed_byte_is_noticed(void **state)
{
        _cleanup_(jwt_keys_freep) struct jwt_keys *k = load(make_ec("ec"), NULL);
        _cleanup_free_ char *token = sign(k, "somebody");

        for (size_t i = 0; i + 1 < strlen(token); i++) { /* the last digit has bits without meaning */
                _cleanup_json_ struct json_object *claims = NULL;
                char was = token[i];

                token[i] = was == 'A' ? 'B' : 'A';
                assert_true(jwt_verify(k, token, &claims) < 0);
                token[i] = was;
        }
        expect_verified(k, token, "somebody");
}

static char *assemble(const char *header, const char *claims, const char *signature)
{
        struct strbuf b = STRBUF_NULL;

        jwt_base64_encode(&b, header, strlen(header));
        strbuf_add_char(&b, '.');
        jwt_base64_encode(&b, claims, strlen(claims));
        strbuf_printf(&b, ".%s", signature);
        return strbuf_take(&b, NULL);
}

static void tokens_without_a_real_signature_are_refused(void **state)
{
        static const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{}",
                                              "{\"alg\":1}",        "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}"};
        _cleanup_(jwt_keys_freep) struct jwt_keys *k = load(make_ec("ec"), NULL);

        for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
                _cleanup_free_ char *empty = assemble(headers[i], "{\"sub\":\"x\"}", ""),
                                    *some = assemble(headers[i], "{\"sub\":\"x\"}", "AAAA");

                expect_refused(k, empty, -EKEYREJECTED);
                expect_refused(k, some, -EKEYREJECTED);
        }
}

static void what_is_no_token_is_refused(void **state)
{
        static const char *const bad[] = {"",
                                          ".",
                                          "..",
                                          "a.b",
                                          "a.b.c.d",
                                          "e30.e30.=",
                                          "e30.e30.a+b",
                                          "e30.W10.",
                                          "W10.e30.",
                                          "e30.e3.",
                                          "bm90IGpzb24.e30."};
        _cleanup_(jwt_keys_freep) struct jwt_keys *k = load(make_ec("ec"), NULL);
        char *huge = calloc(1, JWT_MAX + 2);

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                expect_refused(k, bad[i], -EBADMSG);
        memset(huge, 'a', JWT_MAX + 1);
        expect_refused(k, huge, -EBADMSG);
        free(huge);
}

static void older_keys_go_on_verifying(void **state)
{
        const char *const more[] = {make_key("rsa", GNUTLS_PK_RSA, 2048), NULL};
        _cleanup_(jwt_keys_freep) struct jwt_keys *old = load(more[0], NULL), *both = load(make_ec("ec"), more);
        _cleanup_free_ char *before = sign(old, "old"), *now = sign(both, "new");

        expect_verified(both, before, "old");
        expect_verified(both, now, "new");
        expect_refused(old, now, -EKEYREJECTED);
}

static void public_keys_are_published(void **state)
{
        const char *const more[] = {make_key("rsa", GNUTLS_PK_RSA, 2048), NULL};
        _cleanup_(jwt_keys_freep) struct jwt_keys *k = load(make_ec("ec"), more);
        _cleanup_json_ struct json_object *set = jwt_keys_public(k);
        const struct json_object *ec = json_idx(json_get(set, "keys"), 0), *rsa = json_idx(json_get(set, "keys"), 1);

        assert_string_equal(json_get_str(ec, "kty"), "EC");
        assert_string_equal(json_get_str(ec, "crv"), "P-256");
        assert_int_equal(strlen(json_get_str(ec, "x")), 43); /* 32 bytes */
        assert_int_equal(strlen(json_get_str(ec, "y")), 43);
        assert_string_equal(json_get_str(rsa, "alg"), "RS256");
        assert_string_equal(json_get_str(rsa, "e"), "AQAB");
        assert_int_equal(strlen(json_get_str(rsa, "n")), 342); /* 256 bytes */
        assert_string_not_equal(json_get_str(ec, "kid"), json_get_str(rsa, "kid"));
}

static void keys_that_do_not_fit_are_named(void **state)
{
        struct jwt_keys *k = NULL;
        struct err err = ERR_NULL;

        assert_int_equal(jwt_keys_load(make_key("small", GNUTLS_PK_RSA, 1024), NULL, &k, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "/small: no key for service account tokens"));
        assert_int_equal(file_write_atomic(path_of("junk"), "junk", 4, 0600, NULL), 0);
        assert_int_equal(jwt_keys_load(path_of("junk"), NULL, &k, &err), -EINVAL);
        assert_int_equal(jwt_keys_load(path_of("none"), NULL, &k, &err), -ENOENT);
        assert_null(k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_is_signed_is_verified_by_its_key_alone),
                TEST(any_changed_byte_is_noticed),
                TEST(tokens_without_a_real_signature_are_refused),
                TEST(what_is_no_token_is_refused),
                TEST(older_keys_go_on_verifying),
                TEST(public_keys_are_published),
                TEST(keys_that_do_not_fit_are_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
