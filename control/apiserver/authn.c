/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/account/tokens.h"
#include "apiserver/authn.h"
#include "apiserver/authz.h"
#include "apiserver/status.h"
#include "base/log.h"
#include "base/str.h"

bool user_in_group(const struct user_info *u, const char *group)
{
        for (size_t i = 0; u->groups && u->groups[i]; i++)
                if (strcmp(u->groups[i], group) == 0)
                        return true;
        return false;
}

static int authenticate_certificate(struct api_request *req, const struct http_peer *peer)
{
        const char **groups;
        size_t n = 0;

        while (peer->organizations && peer->organizations[n])
                n++;
        groups = arena_array(req->arena, const char *, n + 2);
        for (size_t i = 0; i < n; i++)
                groups[i] = peer->organizations[i];
        groups[n] = "system:authenticated";
        req->user = (struct user_info){.name = peer->common_name, .groups = groups};
        return 0;
}

static int authenticate_token(struct api_request *req, const char *header)
{
        const char *token = strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : NULL;
        struct err err = ERR_NULL;
        struct token_user u;

        if (!token)
                return api_fail(req, 401, "Unauthorized: this server takes client certificates and bearer tokens");
        if (tokens_authenticate(req, token + strspn(token, " "), NULL, &u, &err)) {
                log_debug("a bearer token is not accepted", "error=%s", err.msg);
                return api_fail(req, 401, "Unauthorized");
        }
        req->user = u.user;
        return 0;
}

int authenticate(struct api_request *req)
{
        static const char *const anonymous_groups[] = {"system:unauthenticated", NULL};
        const struct http_peer *peer = req->http->peer;

        if (peer->verified && peer->common_name && *peer->common_name)
                return authenticate_certificate(req, peer);
        if (peer->refused)
                return api_fail(req, 401, "Unauthorized: the client certificate is not accepted: %s", peer->refused);
        if (http_header(req->http, "Authorization"))
                return authenticate_token(req, http_header(req->http, "Authorization"));
        req->user = (struct user_info){.name = "system:anonymous", .groups = anonymous_groups};
        return 0;
}

/* ---- impersonation: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation ----
 */

static int may_impersonate(struct api_request *req, const char *resource, const char *name)
{
        struct authz_attributes a = {
                .user = &req->user,
                .verb = "impersonate",
                .is_resource = true,
                .group = "",
                .resource = resource,
                .name = name,
        };
        struct status s = {.code = 403, .name = name, .kind = resource};

        if (authorize(&a, NULL))
                return 0;
        s.message = arena_printf(req->arena,
                                 "%s \"%s\" is forbidden: User \"%s\" cannot impersonate resource \"%s\" in API group "
                                 "\"\" at the cluster scope",
                                 resource, name, req->user.name, resource);
        return api_fail_status(req, &s);
}

/* Groups asked for, and those that every such user is in. */
static int impersonated_groups(struct api_request *req, const char *user, const char *const **ret)
{
        const char **groups = arena_array(req->arena, const char *, req->http->nheaders + 4);
        const char *account = str_has_prefix(user, "system:serviceaccount:") ? user + 22 : NULL;
        const char *colon = account ? strchr(account, ':') : NULL;
        size_t n = 0;

        for (size_t i = 0; i < req->http->nheaders; i++) {
                const struct http_header *h = &req->http->headers[i];
                int r;

                if (strcasecmp(h->name, "Impersonate-Group") != 0)
                        continue;
                r = may_impersonate(req, "groups", h->value);
                if (r)
                        return r;
                groups[n++] = h->value;
        }
        if (colon && !n) {
                groups[n++] = "system:serviceaccounts";
                groups[n++] = arena_printf(req->arena, "system:serviceaccounts:%.*s", (int)(colon - account), account);
        }
        groups[n++] = strcmp(user, "system:anonymous") == 0 ? "system:unauthenticated" : "system:authenticated";
        *ret = groups;
        return 0;
}

int impersonate(struct api_request *req)
{
        static const char *const others[] = {"Impersonate-Group", "Impersonate-Uid"};
        const char *user = http_header(req->http, "Impersonate-User");
        const char *const *groups;
        int r;

        for (size_t i = 0; !user && i < ARRAY_SIZE(others); i++)
                if (http_header(req->http, others[i]))
                        return api_fail(req, 400, "%s without Impersonate-User", others[i]);
        if (!user)
                return 0;
        r = may_impersonate(req, "users", user);
        if (!r)
                r = impersonated_groups(req, user, &groups);
        if (!r)
                req->user = (struct user_info){.name = user, .groups = groups};
        return r;
}
