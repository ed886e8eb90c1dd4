/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services are staged against a store in memory that knows preconditions, as the real one does. The random test stages
 * several writes from one state of the allocator before it commits them, so that they race for the same values.
 */
#include <string.h>

#include "kindcase.h"

#include "apiserver/alloc/repair.h"
#include "apiserver/alloc/service.h"
#include "apiserver/storekey.h"
#include "base/hashmap.h"
#include "base/str.h"

#define KEYS_MAX 4096

struct entry {
        char *key, *value;
        uint64_t rev;
};

struct fake_store {
        struct entry entries[KEYS_MAX];
        size_t n;
        uint64_t revision;
};

struct world {
        struct fake_store store;
        struct kind_config config;
        struct alloc *alloc;
        struct arena arena;
        bool deaf; /* the allocator does not hear of changes */
};

static struct entry *entry_find(struct fake_store *s, const char *key)
{
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->entries[i].key, key) == 0)
                        return &s->entries[i];
        return NULL;
}

static bool preconditions_hold(struct fake_store *s, const struct txn_builder *t)
{
        for (size_t i = 0; i < t->n; i++) {
                struct entry *e = entry_find(s, t->ops[i].key);

                if (t->ops[i].expect_rev != STORE_REV_ANY && t->ops[i].expect_rev != (e ? e->rev : 0))
                        return false;
        }
        return true;
}

static void entry_put(struct fake_store *s, const char *key, const char *value)
{
        struct entry *e = entry_find(s, key);

        if (!e) {
                assert_true(s->n < KEYS_MAX);
                e = &s->entries[s->n++];
                *e = (struct entry){.key = strdup(key)};
        }
        free(e->value);
        e->value = strdup(value);
        e->rev = s->revision;
}

static void entry_delete(struct fake_store *s, const char *key)
{
        struct entry *e = entry_find(s, key);

        if (!e)
                return;
        free(e->key);
        free(e->value);
        *e = s->entries[--s->n];
}

static bool commit(struct world *w, struct txn_builder *t)
{
        if (!preconditions_hold(&w->store, t))
                return false;
        w->store.revision++;
        for (size_t i = 0; i < t->n; i++) {
                const struct store_op *op = &t->ops[i];

                if (op->kind == STORE_PUT)
                        entry_put(&w->store, op->key, op->value->data);
                else if (op->kind == STORE_DELETE)
                        entry_delete(&w->store, op->key);
                if (op->kind != STORE_CHECK && !w->deaf)
                        alloc_observe(w->alloc, op->key, op->value ? op->value->data : NULL,
                                      op->value ? op->value->len : 0);
        }
        return true;
}

static void world_begin(struct world *w, const char *primary, const char *secondary, uint16_t first, uint16_t last)
{
        *w = (struct world){
                .config = {.service_cidr = {primary, secondary}, .node_port_first = first, .node_port_last = last}};
        assert_int_equal(alloc_new(&w->alloc, &w->config, NULL), 0);
        w->config.alloc = w->alloc;
}

static void world_end(struct world *w)
{
        while (w->store.n)
                entry_delete(&w->store, w->store.entries[0].key);
        alloc_free(w->alloc);
        arena_deinit(&w->arena);
}

/* One request on its way: staged, not yet committed. */
struct request {
        struct world *w;
        struct json_object *obj, *old;
        struct kctx c;
        void *memo;
        struct txn_builder t;
        struct ferrs e;
};

static void request_stage(struct request *r)
{
        const char *ns, *name;
        char *text;

        txn_deinit(&r->t);
        r->t = (struct txn_builder){.arena = &r->w->arena};
        r->e = FERRS(&r->w->arena);
        r->c.arena = &r->w->arena;
        r->c.config = &r->w->config;
        r->c.stage_memo = &r->memo;
        alloc_service_stage(&r->c, r->obj, r->old, &r->t, &r->e);
        ns = json_at_str(r->obj ? r->obj : r->old, "metadata.namespace");
        name = json_at_str(r->obj ? r->obj : r->old, "metadata.name");
        if (r->obj) {
                text = json_text(r->obj);
                txn_put(&r->t, store_key(&r->w->arena, "", "services", ns, name), text, strlen(text), STORE_REV_ANY);
                free(text);
        } else {
                txn_delete(&r->t, store_key(&r->w->arena, "", "services", ns, name), STORE_REV_ANY);
        }
}

/* Retries until it is in or refused; false when refused. */
static bool request_commit(struct request *r)
{
        for (;;) {
                if (r->e.n)
                        return false;
                if (commit(r->w, &r->t))
                        return true;
                r->c.attempt++;
                assert_true(r->c.attempt < 20);
                request_stage(r);
        }
}

static void request_end(struct request *r)
{
        txn_deinit(&r->t);
        json_object_put(r->obj);
        json_object_put(r->old);
}

/* Creates out of JSON; errors are joined into `errors` when refused. Returns the stored object or NULL. */
static struct json_object *create(struct world *w, const char *json, bool dry_run, char **errors)
{
        struct request r = {.w = w, .obj = case_json(json), .c.dry_run = dry_run};
        struct json_object *made = NULL;

        request_stage(&r);
        if (dry_run)
                assert_int_equal(r.t.n, 1); /* only the Service itself */
        if (r.e.n ? false : dry_run || request_commit(&r))
                made = json_object_get(r.obj);
        else if (errors)
                *errors = ferrs_message(&r.e);
        request_end(&r);
        return made;
}

#define SPEC(name, spec) "{'metadata':{'namespace':'ns','name':'" name "'},'spec':" spec "}"

static void an_address_is_given_and_recorded(void **state)
{
        struct json_object *svc, *ip;
        struct world w;
        const char *text;

        world_begin(&w, "10.96.0.0/16", NULL, 30000, 32767);
        svc = create(&w, SPEC("a", "{'type':'ClusterIP','ports':[{'port':80}]}"), false, NULL);
        assert_non_null(svc);
        text = json_at_str(svc, "spec.clusterIP");
        assert_non_null(text);
        assert_string_equal(json_object_get_string(json_idx(json_at(svc, "spec.clusterIPs"), 0)), text);
        assert_string_equal(json_object_get_string(json_idx(json_at(svc, "spec.ipFamilies"), 0)), "IPv4");
        assert_string_equal(json_at_str(svc, "spec.ipFamilyPolicy"), "SingleStack");
        assert_int_equal(w.store.n, 2);
        ip = case_json(entry_find(&w.store, arena_printf(&w.arena, "/registry/ipaddresses/%s", text))->value);
        assert_string_equal(json_at_str(ip, "metadata.name"), text);
        assert_string_equal(json_at_str(ip, "spec.parentRef.name"), "a");
        assert_string_equal(json_at_str(ip, "spec.parentRef.namespace"), "ns");
        assert_string_equal(json_at_str(ip, "spec.parentRef.resource"), "services");
        assert_string_equal(json_get_str(json_at(ip, "metadata.labels"), "ipaddress.kubernetes.io/managed-by"),
                            "ipallocator.k8s.io");
        assert_string_equal(json_get_str(json_at(ip, "metadata.labels"), "ipaddress.kubernetes.io/ip-family"), "IPv4");
        json_object_put(ip);
        json_object_put(svc);
        world_end(&w);
}

static void refusals_name_the_field(void **state)
{
        static const struct {
                const char *spec, *error;
        } rows[] = {
                {"{'type':'ClusterIP','clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1']}",
                 "spec.clusterIPs: Invalid value: [\"10.96.0.1\"]: failed to allocate IP 10.96.0.1: provided IP is "
                 "already allocated"},
                {"{'type':'ClusterIP','clusterIP':'10.97.0.1','clusterIPs':['10.97.0.1']}",
                 "spec.clusterIPs: Invalid value: [\"10.97.0.1\"]: failed to allocate IP 10.97.0.1: the provided "
                 "network does not match the current range"},
                {"{'type':'ClusterIP','clusterIP':'10.96.0.0','clusterIPs':['10.96.0.0']}",
                 "spec.clusterIPs: Invalid value: [\"10.96.0.0\"]: failed to allocate IP 10.96.0.0: the provided "
                 "network does not match the current range"},
                {"{'type':'ClusterIP','clusterIP':'10.96.255.255','clusterIPs':['10.96.255.255']}",
                 "spec.clusterIPs: Invalid value: [\"10.96.255.255\"]: failed to allocate IP 10.96.255.255: the "
                 "provided network does not match the current range"},
                {"{'type':'NodePort','ports':[{'port':80,'nodePort':30000}]}",
                 "spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated"},
                {"{'type':'NodePort','ports':[{'port':80,'nodePort':29999}]}",
                 "spec.ports[0].nodePort: Invalid value: 29999: provided port is not in the valid range. The range of "
                 "valid ports is 30000-32767"},
                {"{'type':'NodePort','ports':[{'name':'a','port':80},{'name':'b','port':81,'nodePort':30000}]}",
                 "spec.ports[1].nodePort: Invalid value: 30000: provided port is already allocated"},
                {"{'type':'NodePort','ports':[{'port':80,'nodePort':30009,'protocol':'TCP'},"
                 "{'port':81,'nodePort':30009,'protocol':'UDP'}]}",
                 "spec.ports[1].nodePort: Invalid value: 30009: provided port is already allocated"},
                {"{'type':'LoadBalancer','externalTrafficPolicy':'Local','healthCheckNodePort':30000,"
                 "'ports':[{'port':80}]}",
                 "spec.healthCheckNodePort: Invalid value: 30000: failed to allocate requested HealthCheck NodePort "
                 "30000: provided port is already allocated"},
                {"{'type':'ClusterIP','ipFamilyPolicy':'RequireDualStack'}",
                 "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for "
                 "dual-stack services"},
                {"{'type':'ClusterIP','ipFamilies':['IPv6']}",
                 "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"},
                {"{'type':'ClusterIP','ipFamilies':['IPv4','IPv6']}",
                 "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or "
                 "'PreferDualStack' when multiple IP families are specified"},
                {"{'type':'ClusterIP','clusterIP':'fd00::1','clusterIPs':['fd00::1']}",
                 "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"},
        };
        struct world w;

        world_begin(&w, "10.96.0.0/16", NULL, 30000, 32767);
        json_object_put(create(&w,
                               SPEC("first", "{'type':'NodePort','clusterIP':'10.96.0.1','clusterIPs':['10.96.0.1'],"
                                             "'ports':[{'port':80,'nodePort':30000}]}"),
                               false, NULL));
        assert_int_equal(w.store.n, 3);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char *errors = NULL;
                char *json =
                        arena_printf(&w.arena, "{'metadata':{'namespace':'ns','name':'b'},'spec':%s}", rows[i].spec);

                assert_null(create(&w, json, false, &errors));
                assert_string_equal(errors, rows[i].error);
                assert_int_equal(w.store.n, 3);
        }
        world_end(&w);
}

static void families_follow_policy_and_cluster(void **state)
{
        static const struct {
                const char *secondary;
                const char *spec, *families, *policy;
                size_t ips;
        } rows[] = {
                {NULL, "{}", "['IPv4']", "SingleStack", 1},
                {NULL, "{'ipFamilyPolicy':'PreferDualStack'}", "['IPv4']", "PreferDualStack", 1},
                {"fd00::/108", "{}", "['IPv4']", "SingleStack", 1},
                {"fd00::/108", "{'ipFamilyPolicy':'PreferDualStack'}", "['IPv4','IPv6']", "PreferDualStack", 2},
                {"fd00::/108", "{'ipFamilyPolicy':'RequireDualStack'}", "['IPv4','IPv6']", "RequireDualStack", 2},
                {"fd00::/108", "{'ipFamilies':['IPv6']}", "['IPv6']", "SingleStack", 1},
                {"fd00::/108", "{'ipFamilies':['IPv6'],'ipFamilyPolicy':'RequireDualStack'}", "['IPv6','IPv4']",
                 "RequireDualStack", 2},
                {"fd00::/108", "{'clusterIP':'fd00::5','clusterIPs':['fd00::5']}", "['IPv6']", "SingleStack", 1},
                {"fd00::/108", "{'clusterIP':'fd00::5','clusterIPs':['fd00::5'],'ipFamilyPolicy':'PreferDualStack'}",
                 "['IPv6','IPv4']", "PreferDualStack", 2},
                {NULL, "{'clusterIP':'None','clusterIPs':['None'],'selector':{'a':'b'}}", "['IPv4']", "SingleStack", 1},
                {NULL, "{'clusterIP':'None','clusterIPs':['None']}", "['IPv4','IPv6']", "RequireDualStack", 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json_object *svc = NULL, *families = case_json(rows[i].families);
                struct world w;

                world_begin(&w, "10.96.0.0/16", rows[i].secondary, 30000, 32767);
                svc = create(
                        &w,
                        arena_printf(&w.arena, "{'metadata':{'namespace':'ns','name':'b'},'spec':%s}", rows[i].spec),
                        false, NULL);
                assert_non_null(svc);
                if (!json_equal(json_at(svc, "spec.ipFamilies"), families))
                        fail_msg("row %zu: %s", i, json_object_to_json_string(svc));
                assert_string_equal(json_at_str(svc, "spec.ipFamilyPolicy"), rows[i].policy);
                assert_int_equal(json_len(json_at(svc, "spec.clusterIPs")), rows[i].ips);
                assert_true(str_eq(json_at_str(svc, "spec.clusterIP"),
                                   json_object_get_string(json_idx(json_at(svc, "spec.clusterIPs"), 0))));
                world_end(&w);
        }
}

static void tcp_and_udp_of_one_port_share_a_node_port(void **state)
{
        struct json_object *svc, *ports;
        struct world w;

        world_begin(&w, "10.96.0.0/16", NULL, 30000, 32767);
        svc = create(&w,
                     SPEC("dns", "{'type':'NodePort','ports':[{'name':'a','port':53,'protocol':'UDP'},"
                                 "{'name':'b','port':53,'protocol':'TCP'},{'name':'c','port':9153}]}"),
                     false, NULL);
        ports = json_at(svc, "spec.ports");
        assert_true(json_get_i64(json_idx(ports, 0), "nodePort", 0) >= 30000);
        assert_int_equal(json_get_i64(json_idx(ports, 0), "nodePort", 0),
                         json_get_i64(json_idx(ports, 1), "nodePort", 0));
        assert_int_not_equal(json_get_i64(json_idx(ports, 0), "nodePort", 0),
                             json_get_i64(json_idx(ports, 2), "nodePort", 0));
        assert_int_equal(alloc_ports_used(w.alloc), 2);
        json_object_put(svc);

        svc = create(&w,
                     SPEC("dns2", "{'type':'NodePort','ports':[{'name':'a','port':53,'protocol':'UDP'},"
                                  "{'name':'b','port':53,'protocol':'TCP','nodePort':30053}]}"),
                     false, NULL);
        assert_int_equal(json_get_i64(json_idx(json_at(svc, "spec.ports"), 0), "nodePort", 0), 30053);
        json_object_put(svc);
        world_end(&w);
}

static void a_load_balancer_may_do_without_node_ports(void **state)
{
        struct json_object *svc;
        struct world w;

        world_begin(&w, "10.96.0.0/16", NULL, 30000, 32767);
        svc = create(&w,
                     SPEC("lb", "{'type':'LoadBalancer','allocateLoadBalancerNodePorts':false,"
                                "'externalTrafficPolicy':'Local','ports':[{'port':80},{'port':81,'nodePort':30001}]}"),
                     false, NULL);
        assert_false(json_has(json_idx(json_at(svc, "spec.ports"), 0), "nodePort"));
        assert_true(json_at_i64(svc, "spec.healthCheckNodePort", 0) >= 30000);
        assert_int_equal(alloc_ports_used(w.alloc), 2);
        json_object_put(svc);
        world_end(&w);
}

static void a_dry_run_reserves_nothing(void **state)
{
        struct json_object *svc;
        struct world w;

        world_begin(&w, "10.96.0.0/16", NULL, 30000, 32767);
        svc = create(&w, SPEC("lb", "{'type':'LoadBalancer','externalTrafficPolicy':'Local','ports':[{'port':80}]}"),
                     true, NULL);
        assert_non_null(json_at_str(svc, "spec.clusterIP"));
        assert_true(json_at_i64(svc, "spec.healthCheckNodePort", 0) > 0);
        assert_int_equal(w.store.n, 0);
        assert_int_equal(alloc_ips_used(w.alloc), 0);
        json_object_put(svc);
        world_end(&w);
}

static void values_are_chosen_outside_the_static_band_first(void **state)
{
        struct world w;
        uint16_t port;
        struct ipaddr ip;

        /* 254 hosts: a band of 16; 2768 ports: a band of 86. */
        world_begin(&w, "10.0.0.0/24", NULL, 30000, 32767);
        for (int i = 0; i < 3000; i++) {
                struct port_set none = {0};

                assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), 0);
                assert_true(ip.bytes[3] > 16 && ip.bytes[3] < 255);
                assert_int_equal(alloc_port_next(w.alloc, &none, &port), 0);
                assert_true(port >= 30086 && port <= 32767);
        }
        world_end(&w);
}

static void a_range_is_used_up_to_its_last_address(void **state)
{
        struct world w;
        char *errors = NULL;

        world_begin(&w, "10.0.0.0/26", NULL, 30000, 30015);
        for (int i = 0; i < 62; i++) {
                char *json = arena_printf(&w.arena, "{'metadata':{'namespace':'ns','name':'s%d'},'spec':{}}", i);
                struct json_object *svc = create(&w, json, false, NULL);

                assert_non_null(svc);
                json_object_put(svc);
        }
        assert_int_equal(alloc_ips_used(w.alloc), 62);
        assert_null(create(&w, SPEC("last", "{}"), false, &errors));
        assert_string_equal(errors, "spec.clusterIPs: Internal error: failed to allocate a serviceIP: range is full");
        world_end(&w);
}

static void service_cidr_objects_add_ranges(void **state)
{
        static const char cidr[] = "{\"metadata\":{\"name\":\"more\"},\"spec\":{\"cidrs\":[\"10.9.0.0/28\"]}}";
        static const char unready[] = "{\"metadata\":{\"name\":\"more\"},\"spec\":{\"cidrs\":[\"10.9.0.0/28\"]},"
                                      "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]}}";
        static const char leaving[] =
                "{\"metadata\":{\"name\":\"more\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},"
                "\"spec\":{\"cidrs\":[\"10.9.0.0/28\"]}}";
        struct ipaddr ip;
        struct world w;

        world_begin(&w, "10.0.0.0/30", NULL, 30000, 30015);
        assert_int_equal(ipaddr_parse("10.9.0.3", &ip), 0);
        assert_int_equal(alloc_ip_check(w.alloc, &ip), ALLOC_OUT_OF_RANGE);
        alloc_observe(w.alloc, "/registry/ipaddresses/10.9.0.3", "{}", 2);
        alloc_observe(w.alloc, ALLOC_CIDR_PREFIX "more", cidr, sizeof(cidr) - 1);
        assert_int_equal(alloc_ip_check(w.alloc, &ip), ALLOC_TAKEN);
        for (int i = 0; i < 2 + 13; i++) {
                char text[IPADDR_TEXT_SIZE];

                assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), 0);
                alloc_observe(w.alloc, arena_printf(&w.arena, ALLOC_IP_PREFIX "%s", ipaddr_format(&ip, text)), "{}", 2);
        }
        assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), ALLOC_FULL);
        alloc_observe(w.alloc, "/registry/ipaddresses/10.9.0.3", NULL, 0);
        assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), 0);
        alloc_observe(w.alloc, ALLOC_CIDR_PREFIX "more", unready, sizeof(unready) - 1);
        assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), ALLOC_FULL);
        alloc_observe(w.alloc, ALLOC_CIDR_PREFIX "more", leaving, sizeof(leaving) - 1);
        assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), ALLOC_FULL);
        alloc_observe(w.alloc, ALLOC_CIDR_PREFIX "more", NULL, 0);
        assert_int_equal(alloc_ip_next(w.alloc, 4, &ip), ALLOC_FULL);
        world_end(&w);
}

/* ---- random writes ---- */

#define SERVICES 40
#define RACERS   8

struct model {
        struct world w;
        struct json_object *services[SERVICES];
        unsigned int seed;
};

static unsigned int dice(struct model *m, unsigned int n)
{
        m->seed = m->seed * 1103515245u + 12345u;
        return (m->seed >> 16) % n;
}

static struct json_object *random_spec(struct model *m)
{
        static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};
        struct json_object *spec = json_object_new_object(), *ports = json_object_new_array(), *ips;
        size_t n = 1 + dice(m, 2);

        json_set_str(spec, "type", types[dice(m, 4)]);
        if (service_is_type(spec, "ExternalName")) {
                json_object_put(ports);
                return spec;
        }
        for (size_t i = 0; i < n; i++) {
                struct json_object *port = json_object_new_object();

                json_set_i64(port, "port", 80 + (int)i);
                if (service_needs_node_port(spec) && dice(m, 4) == 0)
                        json_set_i64(port, "nodePort", 30000 + (int)(i * 32 + dice(m, 32)));
                json_object_array_add(ports, port);
        }
        json_set(spec, "ports", ports);
        if (service_is_type(spec, "LoadBalancer") && dice(m, 2))
                json_set_str(spec, "externalTrafficPolicy", "Local");
        if (dice(m, 3) == 0)
                json_set_str(spec, "ipFamilyPolicy", "PreferDualStack");
        if (dice(m, 5) == 0) {
                char text[32];

                snprintf(text, sizeof(text), "10.0.0.%u", 1 + dice(m, 40));
                ips = json_object_new_array();
                json_object_array_add(ips, json_object_new_string(text));
                json_set_str(spec, "clusterIP", text);
                json_set(spec, "clusterIPs", ips);
        }
        return spec;
}

static struct json_object *object_of(size_t i, struct json_object *spec)
{
        struct json_object *obj = json_object_new_object();
        char name[16];

        snprintf(name, sizeof(name), "s%zu", i);
        json_set_str(json_ensure(obj, "metadata"), "namespace", "ns");
        json_set_str(json_ensure(obj, "metadata"), "name", name);
        json_set(obj, "spec", spec);
        return obj;
}

/* An update that keeps the addresses where both types have them, as prepare_update does. */
static struct json_object *changed_spec(struct model *m, const struct json_object *old)
{
        struct json_object *spec = random_spec(m);
        bool keep = service_needs_cluster_ip(spec) && service_needs_cluster_ip(old);

        json_del(spec, "clusterIP");
        json_del(spec, "clusterIPs");
        if (keep) {
                json_set(spec, "clusterIP", json_copy(json_get(old, "clusterIP")));
                json_set(spec, "clusterIPs", json_copy(json_get(old, "clusterIPs")));
                json_set(spec, "ipFamilies", json_copy(json_get(old, "ipFamilies")));
                if (dice(m, 2))
                        json_set(spec, "ipFamilyPolicy", json_copy(json_get(old, "ipFamilyPolicy")));
        }
        if (service_needs_health_check(spec) && service_needs_health_check(old))
                json_set(spec, "healthCheckNodePort", json_copy(json_get(old, "healthCheckNodePort")));
        return spec;
}

static size_t expect_owned(struct model *m, const struct json_object *svc)
{
        const struct json_object *spec = json_get(svc, "spec");
        struct port_set ports = {.arena = &m->w.arena};
        size_t n = 0;

        if (service_needs_cluster_ip(spec)) {
                assert_int_equal(json_len(json_get(spec, "clusterIPs")), json_len(json_get(spec, "ipFamilies")));
                json_array_foreach (json_get(spec, "clusterIPs"), i, ip) {
                        struct entry *e = entry_find(&m->w.store, arena_printf(&m->w.arena, ALLOC_IP_PREFIX "%s",
                                                                               json_object_get_string(ip)));

                        assert_non_null(e);
                        assert_non_null(strstr(e->value, arena_printf(&m->w.arena, "\"name\":\"%s\"}}",
                                                                      json_at_str(svc, "metadata.name"))));
                        n++;
                }
        }
        if (service_needs_node_port(spec)) {
                json_array_foreach (json_get(spec, "ports"), i, port)
                        port_set_add(&ports, (uint16_t)json_get_i64(port, "nodePort", 0));
        }
        if (service_needs_health_check(spec))
                port_set_add(&ports, (uint16_t)json_get_i64(spec, "healthCheckNodePort", 0));
        for (size_t i = 0; i < ports.n; i++) {
                struct entry *e =
                        entry_find(&m->w.store, arena_printf(&m->w.arena, ALLOC_PORT_PREFIX "%u", ports.ports[i]));

                assert_non_null(e);
                assert_string_equal(e->value, alloc_port_value(&m->w.arena, "ns", json_at_str(svc, "metadata.name")));
        }
        return n + ports.n;
}

/* Every record belongs to exactly one Service that has it, and the allocator knows them all. */
static void check_world(struct model *m)
{
        size_t services = 0, owned = 0;

        for (size_t i = 0; i < SERVICES; i++) {
                if (!m->services[i])
                        continue;
                services++;
                owned += expect_owned(m, m->services[i]);
        }
        assert_int_equal(m->w.store.n, services + owned);
        assert_int_equal(alloc_ips_used(m->w.alloc) + alloc_ports_used(m->w.alloc), owned);
        arena_deinit(&m->w.arena);
}

static void begin_random_request(struct model *m, size_t i, struct request *r)
{
        *r = (struct request){.w = &m->w};
        if (m->services[i] && dice(m, 3) == 0) {
                r->old = json_copy(m->services[i]);
        } else if (m->services[i]) {
                r->old = json_copy(m->services[i]);
                r->obj = object_of(i, changed_spec(m, json_get(r->old, "spec")));
        } else {
                r->obj = object_of(i, random_spec(m));
        }
        request_stage(r);
}

static void random_writes_that_race_never_share_or_leak(void **state)
{
        struct model *m = calloc(1, sizeof(*m));
        size_t refused = 0, retried = 0, written = 0;

        m->seed = 42;
        world_begin(&m->w, "10.0.0.0/26", "fd00::/122", 30000, 30129);
        for (int round = 0; round < 1500; round++) {
                struct request r[RACERS];
                size_t first = dice(m, SERVICES - RACERS);

                /* All clients have staged before the first of them is in. */
                for (size_t k = 0; k < RACERS; k++)
                        begin_random_request(m, first + k, &r[k]);
                for (size_t k = 0; k < RACERS; k++) {
                        if (request_commit(&r[k])) {
                                json_object_put(m->services[first + k]);
                                m->services[first + k] = json_object_get(r[k].obj);
                                written++;
                        } else {
                                refused++;
                        }
                        retried += r[k].c.attempt > 0;
                        request_end(&r[k]);
                }
                check_world(m);
        }
        /* The test is one only if all of that happened. */
        assert_true(written > 1000);
        assert_true(refused > 100);
        assert_true(retried > 100);
        for (size_t i = 0; i < SERVICES; i++)
                json_object_put(m->services[i]);
        world_end(&m->w);
        free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_address_is_given_and_recorded),
                cmocka_unit_test(refusals_name_the_field),
                cmocka_unit_test(families_follow_policy_and_cluster),
                cmocka_unit_test(tcp_and_udp_of_one_port_share_a_node_port),
                cmocka_unit_test(a_load_balancer_may_do_without_node_ports),
                cmocka_unit_test(a_dry_run_reserves_nothing),
                cmocka_unit_test(values_are_chosen_outside_the_static_band_first),
                cmocka_unit_test(a_range_is_used_up_to_its_last_address),
                cmocka_unit_test(service_cidr_objects_add_ranges),
                cmocka_unit_test(random_writes_that_race_never_share_or_leak),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
