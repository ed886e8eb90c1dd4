/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>

#include "base/jsontree.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/endpoint/service.h"

#define MODE_ANNOTATION  "service.kubernetes.io/topology-mode"
#define HINTS_ANNOTATION "service.kubernetes.io/topology-aware-hints" /* the deprecated name, which counts first */

const char *family_name(enum family f)
{
        return f == FAMILY_V6 ? "IPv6" : "IPv4";
}

bool family_by_name(const char *name, enum family *ret)
{
        for (enum family f = FAMILY_V4; f < FAMILY_COUNT; f++)
                if (str_eq(name, family_name(f))) {
                        *ret = f;
                        return true;
                }
        return false;
}

/* ---- services ---- */

static const char *text_of(struct arena *mem, const char *s, const char *otherwise)
{
        return str_empty(s) ? otherwise : arena_strdup(mem, s);
}

static void read_target(struct service_port *p, const struct jnode *port, struct arena *mem)
{
        const struct jnode *target = jnode_get(port, "targetPort");

        p->number = (int32_t)jnode_i64(port, "targetPort", jnode_i64(port, "port", 0));
        if (jnode_text(target))
                p->target = arena_strdup(mem, jnode_text(target));
}

static void read_ports(struct service *s, const struct jnode *list, struct arena *mem)
{
        struct service_port *all = arena_array(mem, struct service_port, jnode_len(list));

        s->ports = all;
        jnode_foreach (list, port) {
                struct service_port *p = &all[s->nports++];

                p->name = text_of(mem, jnode_str(port, "name"), "");
                p->protocol = text_of(mem, jnode_str(port, "protocol"), "TCP");
                p->app = text_of(mem, jnode_str(port, "appProtocol"), "");
                read_target(p, port, mem);
        }
}

static void read_selector(struct service *s, const struct jnode *map, struct arena *mem)
{
        struct label *all = arena_array(mem, struct label, map ? map->n : 0);

        s->selector = all;
        for (const struct jnode *m = map && map->type == JNODE_OBJECT ? map->first : NULL; m; m = m->next)
                if (jnode_text(m))
                        all[s->nselector++] =
                                (struct label){arena_strdup(mem, m->key), arena_strdup(mem, jnode_text(m))};
}

/* An API server of old does not tell families: those of the address, or both when there is none. */
static void guess_families(struct service *s, const char *ip)
{
        if (s->has_ip)
                s->families[s->first = strchr(ip, ':') ? FAMILY_V6 : FAMILY_V4] = true;
        else
                s->families[FAMILY_V4] = s->families[FAMILY_V6] = true;
}

static void read_families(struct service *s, const struct jnode *list, const char *ip)
{
        bool known = false;

        jnode_foreach (list, name) {
                enum family f;

                if (!family_by_name(jnode_text(name), &f))
                        continue;
                s->first = known ? s->first : f;
                s->families[f] = known = true;
        }
        if (!known)
                guess_families(s, ip);
}

static bool wants_spread(const struct kobj *o)
{
        const char *mode = kobj_annotation(o, HINTS_ANNOTATION);

        mode = mode ? mode : kobj_annotation(o, MODE_ANNOTATION);
        return str_eq(mode, "Auto") || str_eq(mode, "auto");
}

static enum traffic traffic_by_name(const char *name)
{
        if (str_eq(name, "PreferSameNode"))
                return TRAFFIC_SAME_NODE;
        return str_eq(name, "PreferSameZone") || str_eq(name, "PreferClose") ? TRAFFIC_SAME_ZONE : TRAFFIC_ANYWHERE;
}

static void read_spec(struct service *s, const struct jnode *spec, struct arena *mem)
{
        const char *ip = jnode_str(spec, "clusterIP");

        s->none = str_eq(ip, "None");
        s->has_ip = !str_empty(ip) && !s->none;
        s->external_name = str_eq(jnode_str(spec, "type"), "ExternalName");
        s->publish_not_ready = jnode_bool(spec, "publishNotReadyAddresses", false);
        s->traffic = traffic_by_name(jnode_str(spec, "trafficDistribution"));
        read_ports(s, jnode_get(spec, "ports"), mem);
        read_selector(s, jnode_get(spec, "selector"), mem);
        read_families(s, jnode_get(spec, "ipFamilies"), ip);
}

void service_read(struct service *s, const struct kobj *o, struct arena *mem)
{
        static _Thread_local struct jsontree tree;
        char *text = arena_strndup(mem, o->text ? o->text : "{}", o->text ? o->text_len : 2);
        const struct jnode *root = NULL;

        *s = (struct service){.object = o, .spread = wants_spread(o)};
        if (!jsontree_parse(&tree, text, strlen(text), &root, NULL))
                read_spec(s, jnode_get(root, "spec"), mem);
        jsontree_deinit(&tree);
}

bool service_selects(const struct service *s)
{
        return s->nselector && !s->external_name;
}

/* ---- pods ---- */

/* Four numbers up to 255 without leading zeros. inet_ntop would be most of the work of a large service. */
static bool is_plain_v4(const char *ip)
{
        for (unsigned int part = 0; part < 4; part++) {
                unsigned int number = 0, digits = 0;

                for (; *ip >= '0' && *ip <= '9' && digits < 4; ip++, digits++)
                        number = number * 10 + (unsigned int)(*ip - '0');
                if (!digits || number > 255 || digits != 1U + (number > 9) + (number > 99))
                        return false;
                if (*ip++ != (part < 3 ? '.' : '\0'))
                        return false;
        }
        return true;
}

const char *address_canonical(const char *ip, enum family *ret, struct arena *mem)
{
        unsigned char bytes[sizeof(struct in6_addr)];
        bool v6 = ip && strchr(ip, ':');
        char text[INET6_ADDRSTRLEN];

        *ret = v6 ? FAMILY_V6 : FAMILY_V4;
        if (ip && !v6 && is_plain_v4(ip))
                return ip;
        if (!ip || inet_pton(v6 ? AF_INET6 : AF_INET, ip, bytes) != 1)
                return NULL;
        inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, text, sizeof(text));
        return str_eq(text, ip) ? ip : arena_strdup(mem, text);
}

const char *pod_address(const struct pod *p, enum family f, struct arena *mem)
{
        for (size_t i = 0; i < p->nips; i++) {
                enum family of;
                const char *ip;

                if ((strchr(p->ips[i], ':') != NULL) != (f == FAMILY_V6))
                        continue;
                ip = address_canonical(p->ips[i], &of, mem);
                if (ip)
                        return ip;
        }
        return NULL;
}

int32_t pod_target_port(const struct pod *p, const struct service_port *port)
{
        if (!port->target)
                return port->number;
        for (size_t i = 0; i < p->nports; i++)
                if (str_eq(p->ports[i].name, port->target) && str_eq(p->ports[i].protocol, port->protocol))
                        return p->ports[i].port;
        return -1;
}

bool pod_has_endpoint(const struct kobj *pod)
{
        return pod->pod->nips && !pod_is_finished(pod);
}

const char *pod_endpoint_hostname(const struct kobj *pod, const struct kobj *service)
{
        return str_eq(pod->pod->subdomain, service->name) ? pod->pod->hostname : "";
}

int64_t pod_ready_since(const struct kobj *pod)
{
        const struct pod_condition *c = pod_condition(pod->pod, "Ready");

        return c ? c->since_s : 0;
}
