/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/pods/service_links.h"
#include "base/jsontree.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/informer.h"

#define MASTER "default/kubernetes"

/* All that is kept of a service: its address, then "PORT/PROTOCOL/NAME" of each port, each with a NUL behind it, and an
 * empty one. */
struct service_links {
        struct informer *services;
};

static void add_port(struct strbuf *b, const struct jnode *port)
{
        strbuf_printf(b, "%lld/%s/%s", (long long)jnode_i64(port, "port", 0), jnode_str(port, "protocol") ?: "TCP",
                      jnode_str(port, "name") ?: "");
        strbuf_add(b, "", 1);
}

static void *pack(void *userdata, const struct jnode *o)
{
        const char *ip = jnode_at_str(o, "spec.clusterIP");
        struct strbuf b = STRBUF_NULL;
        char *packed;

        if (str_empty(ip) || str_eq(ip, "None"))
                return NULL;
        strbuf_add(&b, ip, strlen(ip) + 1);
        jnode_foreach (jnode_at(o, "spec.ports"), port)
                add_port(&b, port);
        strbuf_add(&b, "", 1);
        packed = mem_alloc(b.len);
        memcpy(packed, b.data, b.len);
        strbuf_deinit(&b);
        return packed;
}

static void release(void *userdata, void *value)
{
        free(value);
}

/* An index by namespace would cost more memory than the services themselves: they are looked through instead, once for
 * each container that is made. */
struct search {
        const char *ns;
        size_t ns_len;
        bool linked;
        struct found {
                const char *name, *packed;
        } * found;
        size_t n, room;
        bool own_master;
};

static void take(struct search *s, const char *name, const char *packed)
{
        if (s->n == s->room) {
                s->room = s->room ? s->room * 2 : 16;
                s->found = mem_realloc(s->found, s->room, sizeof(*s->found));
        }
        s->found[s->n++] = (struct found){name, packed};
}

static void look_at(void *userdata, const char *key, void *value)
{
        struct search *s = userdata;
        const char *name = key + s->ns_len + 1;

        if (!s->linked || strncmp(key, s->ns, s->ns_len) || key[s->ns_len] != '/')
                return;
        s->own_master |= str_eq(name, "kubernetes");
        take(s, name, value);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* "my-db" is MY_DB. */
static char *variable(struct arena *mem, const char *name)
{
        char *text = arena_strdup(mem, name);

        for (char *p = text; *p; p++)
                *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        return text;
}

struct link {
        struct envs *env;
        const char *prefix, *ip, *host; /* host: the address as it stands in URLs */
};

struct link_port {
        const char *number, *protocol, *name;
        char *url;
};

static void set(const struct link *l, const char *name, const char *value)
{
        envs_set(l->env, name, value);
}

static struct link_port unpack(const struct link *l, const char *packed)
{
        struct arena *mem = l->env->mem;
        char *number = arena_strdup(mem, packed), *protocol = strchr(number, '/'), *name, *lower;

        *protocol++ = '\0';
        name = strchr(protocol, '/');
        *name++ = '\0';
        lower = arena_strdup(mem, protocol);
        for (char *p = lower; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        return (struct link_port){number, lower, name, arena_printf(mem, "%s://%s:%s", lower, l->host, number)};
}

static void service_variables(const struct link *l, const char *ports)
{
        struct arena *mem = l->env->mem;

        set(l, arena_printf(mem, "%s_SERVICE_HOST", l->prefix), l->ip);
        for (const char *at = ports; *at; at += strlen(at) + 1) {
                struct link_port p = unpack(l, at);

                if (at == ports)
                        set(l, arena_printf(mem, "%s_SERVICE_PORT", l->prefix), p.number);
                if (*p.name)
                        set(l, arena_printf(mem, "%s_SERVICE_PORT_%s", l->prefix, variable(mem, p.name)), p.number);
        }
}

static void docker_variables(const struct link *l, const char *ports)
{
        struct arena *mem = l->env->mem;

        for (const char *at = ports; *at; at += strlen(at) + 1) {
                struct link_port p = unpack(l, at);
                char *prefix = arena_printf(mem, "%s_PORT_%s_%s", l->prefix, p.number, variable(mem, p.protocol));

                if (at == ports)
                        set(l, arena_printf(mem, "%s_PORT", l->prefix), p.url);
                set(l, prefix, p.url);
                set(l, arena_printf(mem, "%s_PROTO", prefix), p.protocol);
                set(l, arena_printf(mem, "%s_PORT", prefix), p.number);
                set(l, arena_printf(mem, "%s_ADDR", prefix), l->ip);
        }
}

static void variables_of(const struct found *f, struct envs *ret)
{
        const char *ports = f->packed + strlen(f->packed) + 1;
        const char *ip = arena_strdup(ret->mem, f->packed);
        struct link l = {ret, variable(ret->mem, f->name), ip, ip};

        if (strchr(ip, ':'))
                l.host = arena_printf(ret->mem, "[%s]", ip);
        service_variables(&l, ports);
        docker_variables(&l, ports);
}

void service_links_env(const struct service_links *s, const char *ns, bool linked, struct envs *ret)
{
        struct search search = {.ns = ns, .ns_len = strlen(ns), .linked = linked};
        const char *master = informer_get(s->services, MASTER);

        if (linked)
                informer_each(s->services, look_at, &search);
        if (master && !search.own_master)
                take(&search, "kubernetes", master);
        if (search.n)
                qsort(search.found, search.n, sizeof(*search.found), by_name);
        for (size_t i = 0; i < search.n; i++)
                variables_of(&search.found[i], ret);
        free(search.found);
}

int service_links_new(struct kube_client *client, struct service_links **ret)
{
        _cleanup_(service_links_freep) struct service_links *s = mem_new(struct service_links);
        struct informer_opts opts = {
                .client = client, .path = "/api/v1/services", .project_node = pack, .release = release};
        int r = informer_new(&opts, &s->services);

        if (r)
                return r;
        informer_start(s->services);
        *ret = TAKE_PTR(s);
        return 0;
}

void service_links_free(struct service_links *s)
{
        if (!s)
                return;
        informer_free(s->services);
        free(s);
}

bool service_links_synced(const struct service_links *s)
{
        return informer_has_synced(s->services);
}
