/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/authn.h"
#include "apiserver/status.h"

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

int authenticate(struct api_request *req)
{
        static const char *const anonymous_groups[] = {"system:unauthenticated", NULL};
        const struct http_peer *peer = req->http->peer;

        if (peer->verified && peer->common_name && *peer->common_name)
                return authenticate_certificate(req, peer);
        if (peer->refused)
                return api_fail(req, 401, "Unauthorized: the client certificate is not accepted: %s", peer->refused);
        if (http_header(req->http, "Authorization"))
                return api_fail(req, 401, "Unauthorized: this server takes client certificates, not bearer tokens");
        req->user = (struct user_info){.name = "system:anonymous", .groups = anonymous_groups};
        return 0;
}
