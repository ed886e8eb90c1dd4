/* SPDX-License-Identifier: Apache-2.0 */
/* One round: each kubelet's /metrics/resource. Connections are not kept: a round is rarely followed by another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/proxy/target.h"
#include "apiserver/server.h"
#include "apiserver/usage/internal.h"
#include "base/clock.h"
#include "base/httpclient.h"
#include "base/log.h"
#include "base/mem.h"

#define IN_FLIGHT_MAX 32
#define SCRAPE_MS     5000
#define TEXT_MAX      ((size_t)8 << 20)

struct scrape {
        struct scrape *next;
        struct usage *usage;
        char *node, *url;
        struct http_client *client;
};

static void scrape_free(void *userdata)
{
        struct scrape *s = userdata;

        http_client_free(s->client);
        free(s->node);
        free(s->url);
        free(s);
}

static void take_sample(struct scrape *s, struct http_client_response *r)
{
        struct usage *u = s->usage;
        struct usage_sample *now = mem_new(struct usage_sample), *before = hashmap_get(&u->nodes, s->node);

        usage_sample_init(now);
        if (r->body.len)
                usage_sample_parse(now, r->body.data, clock_wall_ns() / (int64_t)NS_PER_MS);
        if (before) {
                usage_sample_compare(now, before);
                u->has_rates = true;
                usage_sample_deinit(before);
                free(before);
        }
        hashmap_put(&u->nodes, s->node, now);
}

static void next(struct usage *u);

static void on_done(void *userdata, struct http_client_response *r)
{
        struct scrape *s = userdata, **at = &s->usage->running;
        struct usage *u = s->usage;

        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        u->in_flight--;
        if (r->status == 200 && !r->error)
                take_sample(s, r);
        else
                log_debug("a kubelet gives no metrics", "node=%s status=%d error=%s", s->node, r->status, r->message);
        if (r->error != -ECANCELED)
                loop_post(u->loop, scrape_free, s); /* not from within its own call */
        next(u);
}

static int start(struct scrape *s)
{
        static const struct http_handler handler = {.done = on_done};
        const struct server_config *c = &s->usage->server->config;
        const struct http_client_request req = {
                .path = "/metrics/resource", .timeout_ms = SCRAPE_MS, .limit = TEXT_MAX};
        const struct http_client_opts opts = {
                .loop = s->usage->loop,
                .base_url = s->url,
                .user_agent = "fairlead-apiserver",
                .connect_timeout_ms = SCRAPE_MS,
                .tls = {.ca_file = c->kubelet_insecure ? NULL : c->kubelet_ca_file,
                        .cert_file = c->kubelet_cert_file,
                        .key_file = c->kubelet_key_file,
                        .server_name = s->node,
                        .insecure = c->kubelet_insecure},
        };
        struct err err = ERR_NULL;
        int r = http_client_new(&opts, &s->client, &err);

        return r ? r : http_start(s->client, &req, &handler, s, NULL);
}

static void next(struct usage *u)
{
        while (u->queued && u->in_flight < IN_FLIGHT_MAX) {
                struct scrape *s = u->queued;

                u->queued = s->next;
                if (start(s)) {
                        scrape_free(s);
                        continue;
                }
                s->next = u->running;
                u->running = s;
                u->in_flight++;
        }
        if (!u->queued && !u->in_flight)
                usage_round_done(u);
}

static void add_node(struct usage *u, const struct object *o)
{
        _cleanup_json_ struct json_object *node = object_tree(o);
        struct scrape *s;
        const char *ip;
        uint16_t port;

        if (!node || !proxy_kubelet_find(&u->server->config, node, &ip, &port))
                return;
        s = mem_new(struct scrape);
        s->usage = u;
        s->node = mem_strdup(o->name);
        s->url = mem_printf(strchr(ip, ':') ? "https://[%s]:%u" : "https://%s:%u", ip, port);
        s->next = u->queued;
        u->queued = s;
}

/* Nodes that are gone take their figures along. */
static void drop_gone(struct usage *u, struct cache *c)
{
        struct hashmap kept;

        hashmap_init(&kept, HASHMAP_STR_OWNED);
        hashmap_foreach (&u->nodes, slot) {
                _cleanup_object_ struct object *o = cache_get(c, NULL, slot->key.str);

                if (o) {
                        hashmap_put(&kept, slot->key.str, slot->value);
                } else {
                        usage_sample_deinit(slot->value);
                        free(slot->value);
                }
        }
        hashmap_deinit(&u->nodes);
        u->nodes = kept;
}

void usage_round(struct usage *u)
{
        struct cache *c = cache_find(u->server->caches, "", "nodes");
        struct object_list list = OBJECT_LIST_NULL;

        drop_gone(u, c);
        cache_list(c, &(struct cache_filter){0}, NULL, 0, &list, NULL);
        for (size_t i = 0; i < list.n; i++)
                add_node(u, list.items[i]);
        object_list_deinit(&list);
        next(u);
}

void usage_round_stop(struct usage *u)
{
        struct scrape *s;

        while ((s = u->queued)) {
                u->queued = s->next;
                scrape_free(s);
        }
        while ((s = u->running))
                scrape_free(s); /* its done takes it out of the list */
}
