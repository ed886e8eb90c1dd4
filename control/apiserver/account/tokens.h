/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of service accounts: issued for a time, for audiences, and bound to a pod, a node or a secret; good as long as
 * those are there. */
#pragma once

#include "apiserver/account/jwt.h"
#include "apiserver/request.h"

struct token_config {
        const char *signing_file;         /* NULL: no tokens are issued, and none accepted */
        const char *const *verify_files;  /* more keys that have signed tokens; NULL-terminated, may be NULL */
        const char *issuer;               /* NULL: https://kubernetes.default.svc.cluster.local */
        const char *const *api_audiences; /* what tokens for this server are for; NULL: the issuer */
        const char *public_url;           /* "https://192.0.2.1:6443", where jwks_uri points */
};

struct tokens;

/* *ret is NULL without a signing file. */
int tokens_new(const struct token_config *config, struct tokens **ret, struct err *reterr);
void tokens_free(struct tokens *t);

/* Who a token says that its bearer is; in the request's arena. */
struct token_user {
        struct user_info user;
        const char *pod, *pod_uid, *node, *node_uid, *id; /* what it is bound to, its jti; NULL: nothing */
        const char *const *audiences;                     /* those asked for that it is for; NULL-terminated */
};

/* Checks all of it. audiences: any of them will do; NULL: the server's own. 0, or -EACCES with why it is not accepted
 * (nothing secret). */
int tokens_authenticate(struct api_request *req, const char *token, const char *const *audiences,
                        struct token_user *ret, struct err *reterr);
/* create of serviceaccounts/token. Returns API_ANSWERED. */
int tokens_request(struct api_request *req);
/* /.well-known/openid-configuration and /openid/v1/jwks */
bool tokens_handles(const char *path);
int tokens_discovery(struct api_request *req);
