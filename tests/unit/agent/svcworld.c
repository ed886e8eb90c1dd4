/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"
#include "datapath/map_ops.h"
#include "unit/agent/svcworld.h"

/* ---- watched maps ---- */

struct watched {
        struct map map;
        struct map *inner;
        struct svcworld *world;
        enum map_id id;
};

static struct watched *watched_of(const struct map *m)
{
        return container_of(m, struct watched, map);
}

static void disorder(struct svcworld *w, const char *what, uint32_t a, uint32_t b)
{
        if (!w->broken)
                snprintf(w->why, sizeof(w->why), "%s (%u, %u)", what, a, b);
        w->broken = true;
}

static void check_range(struct svcworld *w, const struct service *s, struct slot_range range)
{
        for (uint32_t i = 0; i < range.size && !w->broken; i++) {
                uint32_t line = (range.base + i) / SLOT_LINE, id;
                struct slot_line slots;
                struct backend b;

                if (map_lookup(w->inner.m[MAP_SLOTS], &line, &slots))
                        return disorder(w, "a range leaves the map", range.base, range.size);
                id = slots.backend[(range.base + i) % SLOT_LINE];
                if (!id || map_lookup(w->inner.m[MAP_BACKENDS], &id, &b))
                        return disorder(w, "a slot without backend: service, slot", s->id, range.base + i);
                if (b.service != s->id)
                        return disorder(w, "a slot with another's backend: service, backend", s->id, id);
        }
}

static int check_frontend(void *userdata, const void *key, const void *value)
{
        const struct service *s = value;
        struct svcworld *w = userdata;
        struct service_key k;
        struct filters f;
        uint32_t zero = 0, bit;
        bool set;

        memcpy(&k, key, sizeof(k));
        check_range(w, s, s->in);
        check_range(w, s, s->out);
        map_lookup(w->inner.m[MAP_FILTERS], &zero, &f);
        bit = addr_filter_bit(&k.addr);
        set = f.address[bit / 64] >> bit % 64 & 1;
        if (!k.addr.w[0] && !k.addr.w[1] && !k.addr.w[3]) { /* any address */
                bit = ntohs(k.port);
                set = (k.proto == IPPROTO_TCP ? f.tcp : f.udp)[bit / 64] >> bit % 64 & 1;
        }
        if (!set)
                disorder(w, "a frontend without its filter bit: port, bit", ntohs(k.port), bit);
        return 0;
}

static int watched_lookup(const struct map *m, const void *key, void *ret_value)
{
        return map_lookup(watched_of(m)->inner, key, ret_value);
}

static int after_write(struct watched *x, int r)
{
        x->world->writes++;
        if (!x->world->broken)
                map_each(x->world->inner.m[MAP_SERVICES], check_frontend, x->world);
        return r;
}

/* The agent is dead, or the kernel has no memory. */
static bool fails(struct watched *x)
{
        if (x->world->fail_writes_to == (int)x->id || x->world->writes_left == 0)
                return true;
        if (x->world->writes_left > 0)
                x->world->writes_left--;
        return false;
}

static int watched_update(struct map *m, const void *key, const void *value)
{
        struct watched *x = watched_of(m);

        if (fails(x))
                return -ENOMEM;
        return after_write(x, map_update(x->inner, key, value));
}

static int watched_delete(struct map *m, const void *key)
{
        struct watched *x = watched_of(m);

        return fails(x) ? -ENOMEM : after_write(x, map_delete(x->inner, key));
}

static int watched_keys(struct map *m, void **ret_keys, size_t *ret_n)
{
        return watched_of(m)->inner->ops->keys(watched_of(m)->inner, ret_keys, ret_n);
}

static void watched_free(struct map *m)
{
        free(watched_of(m));
}

static const struct map_ops watched_ops = {
        .lookup = watched_lookup,
        .update = watched_update,
        .delete = watched_delete,
        .keys = watched_keys,
        .free = watched_free,
};

static void watch_map(struct svcworld *w, enum map_id id)
{
        struct watched *x = mem_new(struct watched);

        x->map = *w->inner.m[id];
        x->map.ops = &watched_ops;
        x->map.info.name = x->map.name;
        x->inner = w->inner.m[id];
        x->world = w;
        x->id = id;
        w->maps.m[id] = &x->map;
}

/* ---- objects ---- */

struct json_object *svcworld_json(const char *fmt, ...)
{
        struct json_object *o = NULL;
        struct strbuf b = STRBUF_NULL;
        struct err err = ERR_NULL;
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&b, fmt, ap);
        va_end(ap);
        for (char *p = b.data; *p; p++)
                if (*p == '\'')
                        *p = '"';
        if (json_parse(b.data, b.len, &o, &err)) {
                fprintf(stderr, "%s: %s\n", err.msg, b.data);
                abort();
        }
        strbuf_deinit(&b);
        return o;
}

void *svcworld_project(void *(*project)(void *userdata, const struct jnode *o), struct projector *p,
                       const struct json_object *o)
{
        _cleanup_free_ char *text = json_text(o);
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *root = NULL;
        void *value;

        if (jsontree_parse(&tree, text, strlen(text), &root, NULL))
                abort();
        value = project(p, root);
        jsontree_deinit(&tree);
        return value;
}

static struct json_object *service_json(const struct svcworld_service *s, int i)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "'ports':[{'name':'a','port':80,'protocol':'TCP','nodePort':%d}", s->node_port);
        if (s->ports > 1)
                strbuf_printf(&b, ",{'name':'b','port':53,'protocol':'UDP'}");
        strbuf_printf(&b, "],'clusterIP':'10.96.0.%d','clusterIPs':['10.96.0.%d'", i + 1, i + 1);
        if (s->dual)
                strbuf_printf(&b, ",'fd00:96::%d'", i + 1);
        strbuf_printf(&b, "],'externalIPs':[");
        if (s->external_ip)
                strbuf_printf(&b, "'203.0.113.%d'", s->external_ip);
        strbuf_printf(&b, "],'internalTrafficPolicy':'%s','externalTrafficPolicy':'%s'",
                      s->internal_local ? "Local" : "Cluster", s->external_local ? "Local" : "Cluster");
        if (s->affinity)
                strbuf_printf(&b, ",'sessionAffinity':'ClientIP'");
        if (s->ranges)
                strbuf_printf(&b, ",'loadBalancerSourceRanges':['198.51.100.0/24','2001:db8::/32']");
        return svcworld_json(
                "{'metadata':{'namespace':'ns','name':'s%d','creationTimestamp':'2026-01-01T00:00:%02dZ',"
                "'annotations':{%s%s%s}},'spec':{'type':'%s',%s},'status':{'loadBalancer':{'ingress':[%s]}}}",
                i, s->created_s, s->balance ? "'fairlead.dev/load-balancing':'" : "", s->balance ? s->balance : "",
                s->balance ? "'" : "", s->type, b.data,
                str_eq(s->type, "LoadBalancer") ? "{'ip':'192.0.2.77','ipMode':'Proxy'}" : "");
}

static struct json_object *slice_json(const struct svcworld_service *s, int i, int slice)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (int k = slice; k < SVCWORLD_ENDPOINTS; k += 2) {
                const struct svcworld_endpoint *e = &s->endpoints[k];

                if (!e->there)
                        continue;
                strbuf_printf(&b, "%s{'addresses':['%s%d'],'nodeName':'%s',", b.len ? "," : "",
                              slice ? "fd00:44::" : "10.244.0.", k + 1, e->local ? SVCWORLD_NODE : "n2");
                strbuf_printf(&b, "'conditions':{'ready':%s,'serving':%s,'terminating':%s}}",
                              e->ready ? "true" : "false", e->serving ? "true" : "false",
                              e->terminating ? "true" : "false");
        }
        return svcworld_json(
                "{'metadata':{'namespace':'ns','name':'s%d-%d','labels':{'kubernetes.io/service-name':'s%d'}},"
                "'addressType':'%s','ports':[{'name':'a','port':%d,'protocol':'TCP'},"
                "{'name':'b','port':%d,'protocol':'UDP'}],'endpoints':[%s]}",
                i, slice, i, slice ? "IPv6" : "IPv4", 8080 + s->port_shift, 5353 + s->port_shift, b.len ? b.data : "");
}

/* ---- the agent ---- */

static void tell_slice(struct svcworld *w, int i, int slice, struct projector *p)
{
        _cleanup_json_ struct json_object *o = slice_json(&w->service[i], i, slice);
        struct slice_view *was = w->slices[i][slice];

        w->slices[i][slice] = w->service[i].there ? svcworld_project(project_slice, p, o) : NULL;
        services_set_slice(w->services, was, w->slices[i][slice]);
        free(was);
}

void svcworld_tell(struct svcworld *w, int i)
{
        _cleanup_json_ struct json_object *o = service_json(&w->service[i], i);
        struct projector p = {.node_name = SVCWORLD_NODE};
        struct svc_view *was = w->views[i];
        char key[16];

        snprintf(key, sizeof(key), "ns/s%d", i);
        w->views[i] = w->service[i].there ? svcworld_project(project_service, &p, o) : NULL;
        if (was || w->views[i])
                services_set_service(w->services, key, w->views[i]);
        free(was);
        for (int k = 0; k < SVCWORLD_SLICES; k++)
                if (w->slices[i][k] || w->service[i].there)
                        tell_slice(w, i, k, &p);
}

static void start_agent(struct svcworld *w)
{
        struct err err = ERR_NULL;

        if (services_new(
                    &(struct services_opts){.loop = w->loop, .config = &w->config, .maps = &w->maps, .grace_ms = 1},
                    &w->services, &err)) {
                fprintf(stderr, "%s\n", err.msg);
                abort();
        }
        services_set_node(w->services, &(struct node_view){.ready = true, .zone = "z1"}, NULL, 0);
}

void svcworld_restart(struct svcworld *w)
{
        services_free(w->services);
        start_agent(w);
        for (int i = 0; i < SVCWORLD_SERVICES; i++)
                svcworld_tell(w, i);
        services_initial_state_is_there(w->services);
}

void svcworld_init(struct svcworld *w, const uint32_t sizes[4])
{
        static const enum map_id watched[] = {MAP_SERVICES, MAP_SLOTS,         MAP_BACKENDS,
                                              MAP_FILTERS,  MAP_SERVICE_NAMES, MAP_SOURCE_RANGES};
        static const enum map_id sized[] = {MAP_SERVICES, MAP_SLOTS, MAP_BACKENDS, MAP_SERVICE_NAMES};

        *w = (struct svcworld){.fail_writes_to = -1, .writes_left = -1};
        if (maps_init_fake(&w->inner))
                abort();
        for (size_t i = 0; i < ARRAY_SIZE(sized); i++) {
                struct map_info info = map_layout(sized[i])->info;

                map_free(w->inner.m[sized[i]]);
                info.max_entries = sizes ? sizes[i] : 4096;
                if (map_new_fake(&info, map_layout(sized[i])->array, &w->inner.m[sized[i]]))
                        abort();
        }
        w->maps = w->inner;
        for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
                watch_map(w, watched[i]);
        w->config.node_name = (char *)SVCWORLD_NODE;
        start_agent(w);
        services_initial_state_is_there(w->services);
}

void svcworld_deinit(struct svcworld *w)
{
        services_free(w->services);
        for (int i = 0; i < SVCWORLD_SERVICES; i++) {
                free(w->views[i]);
                for (int k = 0; k < SVCWORLD_SLICES; k++)
                        free(w->slices[i][k]);
        }
        for (int id = 0; id < MAP_COUNT; id++)
                if (w->maps.m[id] != w->inner.m[id])
                        map_free(w->maps.m[id]);
        maps_deinit(&w->inner);
}

void svcworld_sync(struct svcworld *w)
{
        struct timespec lag = {.tv_nsec = 12 * 1000 * 1000};

        services_sync(w->services);
        nanosleep(&lag, NULL);
        services_sync(w->services);
}

/* ---- the oracle ---- */

/* The endpoints (bits) that serve clients of one family. */
static uint32_t reach(const struct svcworld_service *s, bool v6, bool only_local)
{
        uint32_t ready = 0, draining = 0;

        for (int k = v6; k < SVCWORLD_ENDPOINTS; k += 2) {
                const struct svcworld_endpoint *e = &s->endpoints[k];

                if (!e->there || (only_local && !e->local))
                        continue;
                if (e->ready)
                        ready |= 1U << k;
                else if (e->serving && e->terminating)
                        draining |= 1U << k;
        }
        return ready ? ready : draining;
}

struct expected {
        struct service_key key;
        int service, port;
        bool external, lost, seen;
};

#define EXPECTED_MAX 128

struct oracle {
        struct svcworld *world;
        struct expected e[EXPECTED_MAX];
        size_t n;
        const char *wrong;
};

static bool older(const struct svcworld *w, int a, int b)
{
        int ca = w->service[a].created_s, cb = w->service[b].created_s;

        return ca != cb ? ca < cb : a < b;
}

static void expect(struct oracle *o, int i, int port, const char *address, int number, int proto, bool external)
{
        struct expected x = {.service = i, .port = port, .external = external};

        if (address)
                address_parse(address, &x.key.addr);
        x.key.port = htons((uint16_t)number);
        x.key.proto = (uint8_t)proto;
        for (size_t k = 0; k < o->n; k++) {
                struct expected *other = &o->e[k];

                if (other->lost || memcmp(&other->key, &x.key, sizeof(x.key)) != 0)
                        continue;
                if (older(o->world, i, other->service))
                        other->lost = true;
                else
                        x.lost = true;
        }
        o->e[o->n++] = x;
}

static void expect_service(struct oracle *o, int i)
{
        const struct svcworld_service *s = &o->world->service[i];
        char v4[32], v6[32], ext[32];

        snprintf(v4, sizeof(v4), "10.96.0.%d", i + 1);
        snprintf(v6, sizeof(v6), "fd00:96::%d", i + 1);
        snprintf(ext, sizeof(ext), "203.0.113.%d", s->external_ip);
        for (int port = 0; port < s->ports; port++) {
                int number = port ? 53 : 80, proto = port ? IPPROTO_UDP : IPPROTO_TCP;

                expect(o, i, port, v4, number, proto, false);
                if (s->dual)
                        expect(o, i, port, v6, number, proto, false);
                if (s->external_ip)
                        expect(o, i, port, ext, number, proto, true);
        }
        if (s->node_port) {
                expect(o, i, 0, "0.0.0.0", s->node_port, IPPROTO_TCP, true);
                if (s->dual)
                        expect(o, i, 0, NULL, s->node_port, IPPROTO_TCP, true);
        }
        expect(o, i, 0, v4, 0, 0, false);
        if (s->dual)
                expect(o, i, 0, v6, 0, 0, false);
        if (s->external_ip)
                expect(o, i, 0, ext, 0, 0, true);
}

/* Which of the service's endpoints lie in the range; bit 31: something else does. */
static uint32_t in_range(struct svcworld *w, const struct expected *x, struct slot_range range)
{
        const struct svcworld_service *s = &w->service[x->service];
        uint32_t mask = 0;

        for (uint32_t i = 0; i < range.size; i++) {
                uint32_t line = (range.base + i) / SLOT_LINE, bit = 1U << 31;
                struct slot_line slots;
                struct backend b;

                map_lookup(w->inner.m[MAP_SLOTS], &line, &slots);
                map_lookup(w->inner.m[MAP_BACKENDS], &slots.backend[(range.base + i) % SLOT_LINE], &b);
                for (int k = 0; k < SVCWORLD_ENDPOINTS; k++) {
                        char text[32];
                        struct addr a;

                        snprintf(text, sizeof(text), "%s%d", k % 2 ? "fd00:44::" : "10.244.0.", k + 1);
                        address_parse(text, &a);
                        if (address_equal(&a, &b.addr) && ntohs(b.port) == (x->port ? 5353 : 8080) + s->port_shift)
                                bit = 1U << k;
                }
                mask |= bit;
        }
        return mask;
}

static const char *compare_ranges(struct svcworld *w, const struct expected *x, const struct service *value)
{
        const struct svcworld_service *s = &w->service[x->service];
        bool v6 = !address_is_v4(&x->key.addr), local_in = !x->external && s->internal_local;
        bool maglev_in = str_eq(s->balance, "maglev"), maglev_out = x->external && !str_eq(s->balance, "random");
        uint32_t in = reach(s, v6, local_in), out = x->external ? reach(s, v6, s->external_local) : 0;

        if (!x->key.port)
                return value->flags & SERVICE_ADDRESS && !value->in.size && !value->out.size ? NULL
                                                                                             : "an address entry";
        if (in_range(w, x, value->in) != in)
                return "who serves clients inside";
        if (in_range(w, x, value->out) != out)
                return "who serves clients outside";
        if (!(value->flags & SERVICE_HASH_IN) != !maglev_in || !(value->flags & SERVICE_HASH_OUT) != !maglev_out)
                return "how the load is spread";
        if (!(value->flags & SERVICE_EXTERNAL) != !x->external)
                return "whether it is reachable from outside";
        if (!(value->flags & SERVICE_DROP_IN) != !(local_in && reach(s, v6, false)))
                return "whether clients inside are dropped";
        return !value->affinity_s == !s->affinity ? NULL : "the affinity";
}

static int compare_one(void *userdata, const void *key, const void *value)
{
        struct oracle *o = userdata;

        for (size_t i = 0; i < o->n; i++) {
                if (o->e[i].lost || memcmp(&o->e[i].key, key, sizeof(struct service_key)) != 0)
                        continue;
                o->e[i].seen = true;
                o->wrong = compare_ranges(o->world, &o->e[i], value);
                return o->wrong ? 1 : 0;
        }
        o->wrong = "a frontend that nobody wants";
        return 1;
}

static int count_backend(void *userdata, const void *key, const void *value)
{
        *(uint32_t *)userdata += ((const struct backend *)value)->service != 0;
        (void)key;
        return 0;
}

static uint32_t bits(uint32_t mask)
{
        return (uint32_t)__builtin_popcount(mask);
}

/* Backends: all that are ready or drain, of families that the service's pools have. */
static uint32_t expected_backends(const struct svcworld_service *s)
{
        bool external, only_local;
        uint32_t n = 0;

        for (int port = 0; s->there && port < s->ports; port++)
                for (int k = 0; k < SVCWORLD_ENDPOINTS; k++) {
                        const struct svcworld_endpoint *e = &s->endpoints[k];

                        external = s->external_ip || (s->node_port && port == 0);
                        only_local = s->internal_local && !external;
                        n += e->there && (e->ready || (e->serving && e->terminating)) && (e->local || !only_local);
                }
        return n;
}

const char *svcworld_check(struct svcworld *w)
{
        struct oracle o = {.world = w};
        uint32_t have = 0, want = 0;

        svcworld_sync(w);
        if (w->broken)
                return w->why;
        for (int i = 0; i < SVCWORLD_SERVICES; i++)
                if (w->service[i].there) {
                        expect_service(&o, i);
                        want += expected_backends(&w->service[i]);
                }
        if (map_each(w->inner.m[MAP_SERVICES], compare_one, &o))
                return o.wrong;
        for (size_t i = 0; i < o.n; i++)
                if (!o.e[i].lost && !o.e[i].seen)
                        return "a frontend is missing";
        map_each(w->inner.m[MAP_BACKENDS], count_backend, &have);
        return have == want ? NULL : "backends are left or missing";
}

struct svcworld_view svcworld_look(struct svcworld *w, const char *address, int port, int proto)
{
        struct service_key key = {.port = htons((uint16_t)port), .proto = (uint8_t)proto};
        struct svcworld_view v = {0};

        address_parse(address, &key.addr);
        v.found = !map_lookup(w->inner.m[MAP_SERVICES], &key, &v.value);
        for (int i = 0; v.found && i < SVCWORLD_SERVICES; i++) {
                struct expected x = {.service = i, .port = proto == IPPROTO_UDP};

                v.n_in = MAX(v.n_in, bits(in_range(w, &x, v.value.in) & ~(1U << 31)));
                v.n_out = MAX(v.n_out, bits(in_range(w, &x, v.value.out) & ~(1U << 31)));
        }
        return v;
}
