/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/health.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define STUCK_MS   30000 /* so old may a change be that is not in the tables */
#define REFRESH_MS 50

/* A healthCheckNodePort. */
struct port_server {
        struct health *health;
        char *ns, *name;
        uint16_t port;
        uint32_t endpoints;
        struct web *web[2]; /* NULL: could not be opened, and is tried again */
        bool seen, told;
};

struct health {
        struct health_opts opts;
        struct web *web;
        struct hashmap servers; /* port -> struct port_server */
        struct loop_timer *timer;
        bool armed;
        int64_t updated_s;
};

/* Does the agent do what it can? An API server that is away is no reason to kill it. NULL, or why not. */
static const char *stuck(struct health *h)
{
        struct services_stats s;
        uint64_t now = clock_mono_ms();

        services_stats(h->opts.services, &s);
        if (s.oldest_pending_ms && now - (uint64_t)s.oldest_pending_ms > STUCK_MS)
                return "changes wait for the tables for more than 30 s";
        if (services_is_synced(h->opts.services))
                h->updated_s = s.oldest_pending_ms ? s.synced_ns / (int64_t)NS_PER_S : clock_wall_s();
        return NULL;
}

/* May balancers send clients? What a former agent has left in the tables is served while the API server is away. */
static const char *problem(struct health *h)
{
        struct services_stats s;

        services_stats(h->opts.services, &s);
        if (!services_is_synced(h->opts.services) && !s.adopted)
                return "the state of the API is not in the tables yet";
        return stuck(h);
}

static void answer_probe(struct health *h, const char *name, struct web_answer *ret)
{
        bool live = str_eq(name, "livez"), leaving = !live && services_node(h->opts.services)->leaving;
        const char *why = live ? stuck(h) : leaving ? "the node is about to be deleted" : problem(h);
        char updated[CLOCK_TEXT_SIZE], now[CLOCK_TEXT_SIZE];

        ret->status = why ? 503 : 200;
        ret->content_type = "application/json";
        strbuf_printf(&ret->body, "{\"lastUpdated\":\"%s\",\"currentTime\":\"%s\"%s",
                      clock_format(h->updated_s, updated), clock_now(now),
                      live      ? ""
                      : leaving ? ",\"nodeEligible\":false"
                                : ",\"nodeEligible\":true");
        if (why)
                strbuf_printf(&ret->body, ",\"problem\":\"%s\"", why);
        strbuf_add_str(&ret->body, "}\n");
        metrics_agent_probe(h->opts.metrics, name, ret->status);
}

static void on_request(void *userdata, const char *path, struct web_answer *ret)
{
        struct health *h = userdata;

        if (str_eq(path, "/healthz") || str_eq(path, "/livez")) {
                answer_probe(h, path + 1, ret);
        } else if (str_eq(path, "/metrics")) {
                ret->status = 200;
                ret->content_type = "text/plain; version=0.0.4; charset=utf-8";
                metrics_agent_write(h->opts.metrics, h->opts.network, &ret->body);
        } else {
                strbuf_add_str(&ret->body, "there are /healthz, /livez and /metrics\n");
        }
}

/* ---- healthCheckNodePorts ---- */

static void on_port_request(void *userdata, const char *path, struct web_answer *ret)
{
        const struct port_server *s = userdata;
        bool healthy = !problem(s->health);

        (void)path; /* kube-proxy answers any */
        ret->status = s->endpoints && healthy ? 200 : 503;
        ret->content_type = "application/json";
        snprintf(ret->header, sizeof(ret->header), "X-Load-Balancing-Endpoint-Weight: %u\r\n", s->endpoints);
        strbuf_add_str(&ret->body, "{\n\t\"service\": {\n\t\t\"namespace\": ");
        strbuf_add_json_str(&ret->body, s->ns, strlen(s->ns));
        strbuf_add_str(&ret->body, ",\n\t\t\"name\": ");
        strbuf_add_json_str(&ret->body, s->name, strlen(s->name));
        strbuf_printf(&ret->body, "\n\t},\n\t\"localEndpoints\": %u,\n\t\"serviceProxyHealthy\": %s\n}", s->endpoints,
                      healthy ? "true" : "false");
}

static void server_free(struct port_server *s)
{
        web_free(s->web[0]);
        web_free(s->web[1]);
        free(s->ns);
        free(s->name);
        free(s);
}

static bool is_node_port_address(const struct agent_config *c, const struct addr *a)
{
        for (size_t i = 0; i < c->nodeport_addresses.count; i++) {
                struct addr net;
                uint32_t bits;

                if (!address_parse_cidr(c->nodeport_addresses.items[i], false, &net, &bits) &&
                    address_in(a, &net, bits))
                        return true;
        }
        return false;
}

static int listen_on(struct port_server *s, size_t i, const char *address, struct err *reterr)
{
        return web_new(s->health->opts.loop, address, on_port_request, s, &s->web[i], reterr);
}

/* At every address, or at those of the node that NodePorts are served at. */
static int open_server(struct port_server *s, struct err *reterr)
{
        const struct health_opts *o = &s->health->opts;
        const struct node_view *node = o->network ? network_node(o->network) : NULL;
        const struct addr *own[2] = {node ? &node->v4 : NULL, node ? &node->v6 : NULL};
        char text[ADDRESS_TEXT];
        int r = 0;

        if (!o->config->nodeport_addresses.count) {
                snprintf(text, sizeof(text), "[::]:%u", s->port);
                if (!listen_on(s, 0, text, reterr))
                        return 0;
                snprintf(text, sizeof(text), "0.0.0.0:%u", s->port); /* without IPv6 */
                return listen_on(s, 0, text, reterr);
        }
        for (size_t i = 0; !r && i < 2; i++)
                if (!s->web[i] && own[i] && !address_is_zero(own[i]) && is_node_port_address(o->config, own[i]))
                        r = listen_on(s, i, address_port_text(own[i], htons(s->port), text), reterr);
        return r;
}

static void see(void *userdata, const struct service_health *sh)
{
        struct health *h = userdata;
        struct port_server *s = hashmap_get_u64(&h->servers, sh->port);
        struct err err = ERR_NULL;

        if (s && s->seen && (!str_eq(s->ns, sh->ns) || !str_eq(s->name, sh->name)))
                return; /* two Services with one port: the API server allows none */
        if (!s) {
                s = mem_new(struct port_server);
                s->health = h;
                s->port = sh->port;
                hashmap_put_u64(&h->servers, s->port, s);
        }
        free(s->ns);
        free(s->name);
        s->ns = mem_strdup(sh->ns);
        s->name = mem_strdup(sh->name);
        s->endpoints = sh->local_endpoints;
        s->seen = true;
        if (s->web[0] || s->web[1] || !open_server(s, &err) || s->told)
                return;
        s->told = true;
        log_warn("a healthCheckNodePort cannot be served", "service=%s/%s error=%s", s->ns, s->name, err.msg);
}

static void on_refresh(void *userdata)
{
        struct health *h = userdata;
        bool gone = true;

        h->armed = false;
        hashmap_foreach (&h->servers, slot)
                ((struct port_server *)slot->value)->seen = false;
        services_each_health(h->opts.services, see, h);
        while (gone) {
                gone = false;
                hashmap_foreach (&h->servers, slot) {
                        struct port_server *s = slot->value;

                        if (s->seen)
                                continue;
                        hashmap_del_u64(&h->servers, s->port);
                        server_free(s);
                        gone = true;
                        break;
                }
        }
}

void health_changed(struct health *h)
{
        if (h->armed)
                return;
        h->armed = true;
        loop_timer_set(h->timer, REFRESH_MS);
}

int health_new(const struct health_opts *opts, struct health **ret, struct err *reterr)
{
        struct health *h = mem_new(struct health);
        const char *address = opts->config->health_address;
        int r;

        h->opts = *opts;
        hashmap_init(&h->servers, HASHMAP_U64);
        r = loop_timer_new(opts->loop, on_refresh, h, &h->timer);
        if (!r && *address)
                r = web_new(opts->loop, address, on_request, h, &h->web, reterr);
        if (r) {
                health_free(h);
                return err_prefix(reterr, r, "healthAddress");
        }
        *ret = h;
        return 0;
}

void health_free(struct health *h)
{
        if (!h)
                return;
        hashmap_foreach (&h->servers, slot)
                server_free(slot->value);
        hashmap_deinit(&h->servers);
        web_free(h->web);
        loop_timer_free(h->timer);
        free(h);
}

uint16_t health_port(const struct health *h)
{
        return h->web ? web_port(h->web) : 0;
}
