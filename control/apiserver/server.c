/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "apiserver/account/tokens.h"
#include "apiserver/background.h"
#include "apiserver/internal.h"
#include "apiserver/metrics.h"
#include "apiserver/peek.h"
#include "apiserver/proxy/proxy.h"
#include "apiserver/server.h"
#include "apiserver/usage/usage.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/sqlite/sqlite.h"

#define BODY_MAX      (3u << 20) /* bytes; kube-apiserver's limit for resource requests */
#define HEAD_MAX      (64u << 10)
#define CONNECTIONS   20000
#define STOP_GRACE_MS 5000

/* ---- what kinds may read ---- */

static struct json_object *reader_get(void *userdata, const char *group, const char *plural, const char *namespace,
                                      const char *name)
{
        struct server *s = userdata;
        struct cache *c = cache_find(s->caches, group, plural);
        _cleanup_object_ struct object *o = c ? cache_get(c, namespace, name) : NULL;

        return o ? object_tree(o) : NULL;
}

static enum namespace_state reader_namespace_state(void *userdata, const char *name)
{
        struct server *s = userdata;
        _cleanup_object_ struct object *o = cache_get(cache_find(s->caches, "", "namespaces"), NULL, name);
        struct span json;

        if (!o)
                return NAMESPACE_MISSING;
        json = (struct span){o->json->data, o->json->len};
        return peek_path(json, "metadata.deletionTimestamp").p ? NAMESPACE_TERMINATING : NAMESPACE_ACTIVE;
}

static int reader_each(void *userdata, const char *group, const char *plural, const char *namespace,
                       int (*fn)(void *arg, struct json_object *obj), void *arg)
{
        struct server *s = userdata;
        struct cache *c = cache_find(s->caches, group, plural);
        struct cache_filter f = {.namespace = namespace};
        struct object_list list;
        int r = 0;

        if (!c)
                return 0;
        cache_list(c, &f, NULL, 0, &list, NULL);
        for (size_t i = 0; i < list.n && !r; i++) {
                _cleanup_json_ struct json_object *o = object_tree(list.items[i]);

                if (o)
                        r = fn(arg, o);
        }
        object_list_deinit(&list);
        return r;
}

struct kind_reader server_reader(struct server *s)
{
        return (struct kind_reader){s, reader_get, reader_namespace_state, reader_each};
}

static void observe(void *userdata, const char *key, const struct blob *value)
{
        struct server *s = userdata;

        if (alloc_watches(key))
                alloc_observe(s->alloc, key, value ? value->data : NULL, value ? value->len : 0);
}

/* ---- configuration ---- */

static int parse_kind_config(struct server *s, struct err *reterr)
{
        char *comma, *dash, range[32];

        s->cidr_text = mem_strdup(s->config.service_cidr);
        s->kinds.service_cidr[0] = s->cidr_text;
        comma = strchr(s->cidr_text, ',');
        if (comma) {
                *comma = '\0';
                s->kinds.service_cidr[1] = comma + 1;
        }
        s->kinds.allow_privileged = true;
        if (!str_copy(range, sizeof(range), s->config.node_port_range) || !(dash = strchr(range, '-')))
                return err_set(reterr, -EINVAL, "--service-node-port-range %s: use FIRST-LAST, such as 30000-32767",
                               s->config.node_port_range);
        *dash = '\0';
        if (str_parse_u16(range, &s->kinds.node_port_first) || str_parse_u16(dash + 1, &s->kinds.node_port_last) ||
            !s->kinds.node_port_first || s->kinds.node_port_first > s->kinds.node_port_last)
                return err_set(reterr, -EINVAL, "--service-node-port-range %s: use two ports, the lower one first",
                               s->config.node_port_range);
        return 0;
}

static int open_store(struct server *s, struct err *reterr)
{
        char path[4096];
        struct store_sqlite_config c = {
                .path = path,
                .max_size_bytes = s->config.store_max_bytes,
                .skip_check = s->config.skip_store_check,
        };

        snprintf(path, sizeof(path), "%s/store.db", s->config.data_dir);
        return store_sqlite_open(&c, &s->store, reterr);
}

static int listen_https(struct server *s, struct err *reterr)
{
        struct http_app app = server_app(s);
        struct http_config c = {
                .address = s->config.bind_address,
                .port = s->config.secure_port,
                .cert_file = s->config.cert_file,
                .key_file = s->config.key_file,
                .client_ca_file = s->config.client_ca_file,
                .max_body = BODY_MAX,
                .max_head = HEAD_MAX,
                .max_connections = CONNECTIONS,
                .head_timeout_ms = 32000,
                .body_timeout_ms = 60000,
                .idle_timeout_ms = 180000,
                .write_timeout_ms = 60000,
        };

        return http_server_new(&c, &app, &s->http, reterr);
}

/* Where clients find the server: what the certificate and kubeconfigs say, too. */
static int open_tokens(struct server *s, struct err *reterr)
{
        const char *host = s->config.advertise_address ? s->config.advertise_address : s->config.bind_address;
        _cleanup_free_ char *url =
                mem_printf(strchr(host, ':') ? "https://[%s]:%u" : "https://%s:%u", host, s->config.secure_port);
        const struct token_config c = {
                .signing_file = s->config.token_signing_file,
                .verify_files = s->config.token_key_files,
                .issuer = s->config.token_issuer,
                .api_audiences = s->config.api_audiences,
                .public_url = url,
        };
        int r = tokens_new(&c, &s->tokens, reterr);

        s->kinds.mount_tokens = s->tokens;
        return r;
}

static int open_proxy(struct server *s, struct err *reterr)
{
        const struct proxy_config c = {
                .ca_file = s->config.kubelet_ca_file,
                .cert_file = s->config.kubelet_cert_file,
                .key_file = s->config.kubelet_key_file,
                .insecure = s->config.kubelet_insecure,
        };

        return proxy_new(&c, &s->proxy, reterr);
}

/* ---- life ---- */

static void server_free(struct server *s)
{
        background_stop(s->background);
        proxy_drain(s->proxy);
        usage_drain(s->usage);
        if (s->http)
                http_server_stop(s->http, STOP_GRACE_MS);
        proxy_free(s->proxy);
        usage_free(s->usage);
        tokens_free(s->tokens);
        store_close(s->store); /* ends the thread that feeds the caches */
        cache_set_close(s->caches);
        alloc_free(s->alloc);
        metrics_free(s->metrics);
        free(s->cidr_text);
        free(s);
}

static int server_open(struct server *s, struct err *reterr)
{
        int r = parse_kind_config(s, reterr);

        if (!r)
                r = alloc_new(&s->alloc, &s->kinds, reterr);
        s->kinds.alloc = s->alloc;
        if (!r)
                r = open_store(s, reterr);
        if (!r)
                r = cache_set_open(s->store, observe, s, &s->caches, reterr);
        if (!r)
                r = open_proxy(s, reterr);
        if (!r)
                r = open_tokens(s, reterr);
        if (!r)
                r = usage_new(s, &s->usage, reterr);
        if (!r)
                r = listen_https(s, reterr);
        if (!r)
                r = bootstrap(s, reterr);
        if (!r)
                r = background_start(s, &s->background);
        return r;
}

int server_start(const struct server_config *config, struct server **ret, struct err *reterr)
{
        struct server *s = mem_new(struct server);
        int r;

        s->config = *config;
        s->start_mono_ns = clock_mono_ns();
        s->metrics = metrics_new();
        s->reader = server_reader(s);
        r = server_open(s, reterr);
        if (r == STORE_FULL || r == INTERNAL_REFUSED) {
                /* Reads work, and what is missing is made as soon as it can be. */
                log_warn("the server's own objects are not all there", "error=%s", reterr->msg);
                r = background_start(s, &s->background);
        }
        if (r) {
                server_free(s);
                return r < 0 ? r : -EIO;
        }
        s->ready = true;
        *ret = s;
        return 0;
}

void server_stop(struct server *s)
{
        if (!s)
                return;
        s->stopping = true;
        server_free(s);
}
