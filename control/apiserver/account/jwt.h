/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens (RFC 7519) in their compact form, signed: RS256 or ES256 (RFC 7518), by what the key is. The
 * cryptography is GnuTLS'. All functions may be called from any thread once the keys are loaded.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "base/strbuf.h"

#define JWT_MAX 16384 /* bytes of a token */

struct jwt_keys;

/* signing_file: PEM, a private key (RSA, or ECDSA on P-256), whose public half verifies, too. verify_files: PEM, more
 * public or private keys, NULL-terminated; may be NULL. 0 or negative errno with the file in the message. */
int jwt_keys_load(const char *signing_file, const char *const *verify_files, struct jwt_keys **ret, struct err *reterr);
void jwt_keys_free(struct jwt_keys *k);
DEFINE_CLEANUP(struct jwt_keys *, jwt_keys_free)

/* Appends the token. 0 or -EIO. */
int jwt_sign(const struct jwt_keys *k, const struct json_object *claims, struct strbuf *ret);
/* The claims of a token with a good signature, the caller's. -EBADMSG: it is no token; -EKEYREJECTED: nobody of ours
 * has signed it. What the claims say is not judged. */
int jwt_verify(struct jwt_keys *k, const char *token, struct json_object **ret);
/* A JSON Web Key Set (RFC 7517) of all that verify, the caller's. */
struct json_object *jwt_keys_public(const struct jwt_keys *k);

/* Base64 with '-' and '_' and without padding (RFC 7515, 2). Decoding is strict; the result is the caller's. */
void jwt_base64_encode(struct strbuf *b, const void *data, size_t n);
int jwt_base64_decode(const char *s, size_t n, char **ret, size_t *ret_len);

/* A token taken apart: pure, nothing is verified. */
struct jwt_parts {
        size_t signed_len; /* of header and claims with the dot between them */
        struct json_object *header, *claims;
        char *signature;
        size_t signature_len;
};

/* 0 or -EBADMSG; jwt_parts_deinit in both cases. */
int jwt_split(const char *token, struct jwt_parts *ret);
void jwt_parts_deinit(struct jwt_parts *p);
