/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to ask: what the API's objects say about addresses. */
#pragma once

#include "apiserver/proxy/proxy.h"
#include "apiserver/server.h"

/* "name", "name:port" or "scheme:name:port" of a proxy's URL; in the arena. */
struct proxy_id {
        const char *scheme, *name, *port; /* "" when not given */
};

/* False for anything else. */
bool proxy_id_parse(struct arena *a, const char *text, struct proxy_id *ret);
/* The object's tree, the caller's; NULL: there is none. */
struct json_object *proxy_object(struct api_request *req, const char *plural, const char *namespace, const char *name);
/* Fills ip, port, server_name and tls from the Node (borrowed). 0 or API_ANSWERED. */
int proxy_kubelet(struct api_request *req, const struct json_object *node, struct proxy_target *t);
/* The same without a request: its address (borrowed) and port. False: no address that is an IP. */
bool proxy_kubelet_find(const struct server_config *c, const struct json_object *node, const char **ret_ip,
                        uint16_t *ret_port);
/* The same for a node's name. */
int proxy_kubelet_of(struct api_request *req, const char *node, struct proxy_target *t);
/* Whether requests may be sent there on behalf of users: no loopback, no link-local. */
bool proxy_may_reach(const char *ip);
/* spec.containers and so on of a Pod by name; NULL: none. */
const struct json_object *proxy_container(const struct json_object *pod, const char *name);
