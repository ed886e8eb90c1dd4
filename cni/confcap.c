/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/confcap.h"

static int parse_port(struct json_object *v, const char *key, size_t i, uint16_t *ret, struct err *reterr)
{
        struct json_object *port = conf_get(v, key);
        int64_t n = json_object_is_type(port, json_type_int) ? json_object_get_int64(port) : -1;

        if (n < 0 || n > 65535 || (!n && !strcasecmp(key, "containerPort")))
                return err_set(reterr, CNI_BAD_CONFIG,
                               "runtimeConfig.portMappings[%zu].%s must be a port number, 1 to 65535", i, key);
        *ret = (uint16_t)n;
        return 0;
}

static int parse_protocol(struct json_object *v, size_t i, const char **ret, struct err *reterr)
{
        static const char *const known[] = {"tcp", "udp"};
        struct json_object *given = conf_get(v, "protocol");
        const char *text = given ? json_object_get_string(given) : "tcp";

        for (size_t k = 0; k < ARRAY_SIZE(known); k++)
                if (strcasecmp(text, known[k]) == 0) {
                        *ret = known[k];
                        return 0;
                }
        return err_set(reterr, CNI_UNSUPPORTED_FIELD,
                       "runtimeConfig.portMappings[%zu].protocol is \"%.32s\"; there are tcp and udp", i, text);
}

/* 0.0.0.0 and :: are how one says "all addresses". */
static int parse_host_ip(struct json_object *v, size_t i, struct addr *ret, struct err *reterr)
{
        const char *text = conf_get_str(v, "hostIP");
        struct addr a = {0};
        uint32_t bits;

        if (!str_empty(text) && (strchr(text, '/') || ip_parse(text, &a, &bits)))
                return err_set(reterr, CNI_BAD_CONFIG,
                               "runtimeConfig.portMappings[%zu].hostIP is \"%.64s\"; it must be an IP address", i,
                               text);
        if (ip_is_v4(&a) && !a.w[3])
                a = (struct addr){0};
        *ret = a;
        return 0;
}

static bool same_frontend(const struct port_mapping *a, const struct port_mapping *b)
{
        return a->host_port == b->host_port && str_eq(a->protocol, b->protocol) && ip_equal(&a->host_ip, &b->host_ip);
}

static int add_port_mapping(struct cni_conf *conf, struct json_object *v, size_t i, struct err *reterr)
{
        struct port_mapping m = {0};
        int r = parse_port(v, "hostPort", i, &m.host_port, reterr);

        /* A mapping without a host port maps nothing: runtimes pass every port of the pod on. */
        if (r || !m.host_port)
                return r;
        r = parse_port(v, "containerPort", i, &m.container_port, reterr);
        if (!r)
                r = parse_protocol(v, i, &m.protocol, reterr);
        if (!r)
                r = parse_host_ip(v, i, &m.host_ip, reterr);
        if (r)
                return r;
        for (size_t k = 0; k < conf->nports; k++)
                if (same_frontend(&conf->ports[k], &m))
                        return err_set(reterr, CNI_BAD_CONFIG,
                                       "runtimeConfig.portMappings[%zu]: host port %d/%s is mapped twice", i,
                                       m.host_port, m.protocol);
        conf->ports[conf->nports++] = m;
        return 0;
}

static int parse_port_mappings(struct cni_conf *conf, const struct cni_env *env, struct json_object *list,
                               struct err *reterr)
{
        size_t n = json_len(list);

        if (!json_is_array(list) || n > PORT_MAPPINGS_MAX)
                return err_set(reterr, CNI_BAD_CONFIG, "runtimeConfig.portMappings must be an array of at most %d",
                               PORT_MAPPINGS_MAX);
        /* The key may be there twice, in different case. */
        free(conf->ports);
        conf->ports = mem_array(struct port_mapping, n);
        conf->nports = 0;
        json_array_foreach (list, i, v) {
                int r = add_port_mapping(conf, v, i, reterr);

                if (r)
                        return r;
        }
        return 0;
}

static int parse_bits(struct json_object *v, const char *key, uint64_t *ret, struct err *reterr)
{
        struct json_object *given = conf_get(v, key);
        int64_t n = 0;

        if (given) {
                n = json_object_is_type(given, json_type_int) ? json_object_get_int64(given) : -1;
                if (n < 0)
                        return err_set(reterr, CNI_BAD_CONFIG,
                                       "runtimeConfig.bandwidth.%s must be a number of bits, not negative", key);
        }
        *ret = (uint64_t)n;
        return 0;
}

static int parse_bandwidth(struct cni_conf *conf, const struct cni_env *env, struct json_object *v, struct err *reterr)
{
        struct bandwidth b = {0};
        int r = json_is_object(v) ? 0 : err_set(reterr, CNI_BAD_CONFIG, "runtimeConfig.bandwidth must be an object");

        if (!r)
                r = parse_bits(v, "ingressRate", &b.ingress_rate, reterr);
        if (!r)
                r = parse_bits(v, "ingressBurst", &b.ingress_burst, reterr);
        if (!r)
                r = parse_bits(v, "egressRate", &b.egress_rate, reterr);
        if (!r)
                r = parse_bits(v, "egressBurst", &b.egress_burst, reterr);
        if (!r && (!b.ingress_rate != !b.ingress_burst || !b.egress_rate != !b.egress_burst))
                r = err_set(reterr, CNI_BAD_CONFIG,
                            "runtimeConfig.bandwidth: a rate needs a burst above 0, and a burst a rate");
        if (!r)
                conf->bandwidth = b;
        return r;
}

static int add_ip(struct cni_conf *conf, const char *text, const char *where, int code, struct err *reterr)
{
        struct addr a;
        uint32_t bits;

        if (!text || ip_parse(text, &a, &bits))
                return err_set(reterr, code, "%s: \"%.64s\" is no IP address (such as 10.0.0.5 or fd00::5/64)", where,
                               text ? text : "");
        for (size_t i = 0; i < conf->nips; i++)
                if (ip_is_v4(&conf->ips[i]) == ip_is_v4(&a))
                        return err_set(reterr, code, "%s: a pod has one address of each family, and %.64s is a second",
                                       where, text);
        conf->ips[conf->nips++] = a;
        return 0;
}

static int parse_ips_at(struct cni_conf *conf, struct json_object *list, const char *where, struct err *reterr)
{
        if (!json_is_array(list))
                return err_set(reterr, CNI_BAD_CONFIG, "%s must be an array of IP addresses", where);
        /* What is asked for in a newer way takes the place of what is asked for in an older one. */
        conf->nips = 0;
        json_array_foreach (list, i, v) {
                int r = add_ip(conf, json_is_string(v) ? json_object_get_string(v) : NULL, where, CNI_BAD_CONFIG,
                               reterr);

                if (r)
                        return r;
        }
        return 0;
}

static int parse_mac_at(struct cni_conf *conf, const char *text, const char *where, int code, struct err *reterr)
{
        if (str_eq(text, ""))
                return 0;
        if (!text || mac_parse(text, &conf->mac))
                return err_set(reterr, code, "%s: \"%.32s\" is no unicast MAC address (such as 02:00:00:00:00:01)",
                               where, text ? text : "");
        return 0;
}

static int parse_ips(struct cni_conf *conf, const struct cni_env *env, struct json_object *v, struct err *reterr)
{
        return parse_ips_at(conf, v, "runtimeConfig.ips", reterr);
}

static int parse_mac(struct cni_conf *conf, const struct cni_env *env, struct json_object *v, struct err *reterr)
{
        return parse_mac_at(conf, json_is_string(v) ? json_object_get_string(v) : NULL, "runtimeConfig.mac",
                            CNI_BAD_CONFIG, reterr);
}

static int parse_dns(struct cni_conf *conf, const struct cni_env *env, struct json_object *v, struct err *reterr)
{
        if (!json_is_object(v))
                return err_set(reterr, CNI_BAD_CONFIG, "runtimeConfig.dns must be an object");
        conf->dns = v;
        return 0;
}

static int leave(struct cni_conf *conf, const struct cni_env *env, struct json_object *v, struct err *reterr)
{
        return 0;
}

static int parse_runtime_config(struct cni_conf *conf, const struct cni_env *env, struct err *reterr)
{
        static const struct {
                const char *key;
                int (*parse)(struct cni_conf *conf, const struct cni_env *env, struct json_object *v,
                             struct err *reterr);
        } known[] = {
                {"portMappings", parse_port_mappings},
                {"bandwidth", parse_bandwidth},
                {"ips", parse_ips},
                {"mac", parse_mac},
                {"dns", parse_dns},
                {"io.kubernetes.cri.pod-annotations", leave},
        };
        struct json_object *runtime = conf_get(conf->root, "runtimeConfig");

        if (runtime && !json_is_object(runtime))
                return err_set(reterr, CNI_BAD_CONFIG, "runtimeConfig must be an object");
        json_foreach (runtime, key, val) {
                size_t i = 0;
                int r;

                while (i < ARRAY_SIZE(known) && strcasecmp(key, known[i].key) != 0)
                        i++;
                if (i == ARRAY_SIZE(known))
                        return err_set(reterr, CNI_UNSUPPORTED_FIELD,
                                       "runtimeConfig.%.64s: %.128s: there is no such capability here (only "
                                       "portMappings, bandwidth, ips, mac, dns): take it out of \"capabilities\"",
                                       key, json_object_to_json_string(val));
                r = val ? known[i].parse(conf, env, val, reterr) : 0;
                if (r)
                        return r;
        }
        return 0;
}

static int parse_environment(struct cni_conf *conf, const struct cni_env *env, struct err *reterr)
{
        struct str_span piece;
        int r = 0;

        for (const char *rest = env->ip; *env->ip && !r && str_split(&rest, ',', &piece);) {
                _cleanup_free_ char *one = mem_strndup(piece.s, piece.n);

                r = add_ip(conf, one, "CNI_ARGS: IP", CNI_BAD_ENVIRONMENT, reterr);
        }
        return r ? r : parse_mac_at(conf, env->mac, "CNI_ARGS: MAC", CNI_BAD_ENVIRONMENT, reterr);
}

static int parse_args_cni(struct cni_conf *conf, struct err *reterr)
{
        struct json_object *cni = conf_get(conf_get(conf->root, "args"), "cni");
        struct json_object *ips = conf_get(cni, "ips"), *mac = conf_get(cni, "mac");
        int r = ips ? parse_ips_at(conf, ips, "args.cni.ips", reterr) : 0;

        if (!r && mac)
                r = parse_mac_at(conf, json_is_string(mac) ? json_object_get_string(mac) : NULL, "args.cni.mac",
                                 CNI_BAD_CONFIG, reterr);
        return r;
}

int conf_parse_capabilities(struct cni_conf *conf, const struct cni_env *env, struct err *reterr)
{
        int r = parse_environment(conf, env, reterr);

        if (!r)
                r = parse_args_cni(conf, reterr);
        return r ? r : parse_runtime_config(conf, env, reterr);
}
