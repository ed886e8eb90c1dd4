/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/net/kernel.h"
#include "agent/net/nodes.h"
#include "agent/net/record.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define RECORD_VERSION 1
#define RATE_MAX       (1ULL << 50) /* bits a second: about a petabit */

bool record_id_valid(const char *id)
{
        size_t n = strlen(id);

        return n && n <= RECORD_ID_SIZE - 1 - strlen(".json") && *id != '.' &&
               strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

int record_id_of_file(const char *name, char ret[static RECORD_ID_SIZE])
{
        char id[RECORD_ID_SIZE];
        size_t n = strlen(name);

        if (!str_has_suffix(name, ".json") || n - strlen(".json") >= sizeof(id))
                return -EINVAL;
        memcpy(id, name, n - strlen(".json"));
        id[n - strlen(".json")] = '\0';
        if (!record_id_valid(id))
                return -EINVAL;
        memcpy(ret, id, sizeof(id));
        return 0;
}

static int parse_mac(const struct json_object *o, const char *key, uint8_t ret[static 6], struct err *reterr)
{
        const char *s = json_get_str(o, key);
        uint8_t mac[6];
        bool good = s && strlen(s) == 17;

        for (size_t i = 0; good && i < 17; i++)
                good = i % 3 == 2 ? s[i] == ':' : strchr("0123456789abcdefABCDEF", s[i]) != NULL;
        if (!good)
                return err_set(reterr, -EINVAL, "%s: \"%s\" is no MAC address like 02:00:00:00:00:01", key, s ? s : "");
        for (size_t i = 0; i < 6; i++) {
                char two[3] = {s[3 * i], s[3 * i + 1], '\0'};

                mac[i] = (uint8_t)strtoul(two, NULL, 16);
        }
        if (mac[0] & 1 || !memcmp(mac, (uint8_t[6]){0}, 6))
                return err_set(reterr, -EINVAL, "%s: %s is no single device's MAC address", key, s);
        memcpy(ret, mac, sizeof(mac));
        return 0;
}

static int parse_number(const struct json_object *o, const char *key, uint64_t max, uint64_t *ret, struct err *reterr)
{
        struct json_object *v = json_get(o, key);
        int64_t n;

        if (!v) {
                *ret = 0;
                return 0;
        }
        n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
        if (n < 0 || (uint64_t)n > max)
                return err_set(reterr, -EINVAL, "%s: must be a number from 0 to %llu", key, (unsigned long long)max);
        *ret = (uint64_t)n;
        return 0;
}

static int parse_host_side(const struct json_object *o, struct record *r, struct err *reterr)
{
        const char *name = json_get_str(o, "hostIfname");
        uint64_t ifindex;
        int res;

        if (!name || !net_is_host_side(name))
                return err_set(reterr, -EINVAL, "hostIfname: \"%s\" is not fl and twelve hexadecimal digits",
                               name ? name : "");
        str_copy(r->host_ifname, sizeof(r->host_ifname), name);
        res = parse_number(o, "hostIfindex", INT32_MAX, &ifindex, reterr);
        r->host_ifindex = (uint32_t)ifindex;
        return res;
}

static int parse_addresses(const struct json_object *o, struct record *r, struct err *reterr)
{
        const struct json_object *list = json_get(o, "addresses");

        if (!json_is_array(list) || !json_len(list))
                return err_set(reterr, -EINVAL, "addresses: must be a list of the pod's addresses");
        json_array_foreach (list, i, v) {
                const char *text = json_is_string(v) ? json_object_get_string(v) : "";
                struct addr a, *slot;

                if (address_parse(text, &a) < 0 || !node_address_usable(&a))
                        return err_set(reterr, -EINVAL, "addresses: \"%s\" is no unicast address", text);
                slot = address_is_v4(&a) ? &r->v4 : &r->v6;
                if (!address_is_zero(slot))
                        return err_set(reterr, -EINVAL,
                                       "addresses: a pod has one address of a family, %s is the second", text);
                *slot = a;
        }
        return 0;
}

static int parse_protocol(const char *s, uint8_t *ret)
{
        static const struct {
                const char *name;
                uint8_t number;
        } protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};

        for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
                if (strcasecmp(s, protocols[i].name) == 0) {
                        *ret = protocols[i].number;
                        return 0;
                }
        return -EINVAL;
}

static int parse_host_ip(const char *text, struct port_mapping *ret, struct err *reterr)
{
        static const struct addr any_v6;
        const struct addr any_v4 = address_of_v4(0);
        struct addr a = {0};
        bool none = str_empty(text);

        if (!none && address_parse(text, &a) < 0)
                return err_set(reterr, -EINVAL, "hostIP: \"%s\" is no IP address", text);
        ret->any_v4 = none || address_is_v4(&a);
        ret->any_v6 = none || !address_is_v4(&a);
        ret->host_ip = address_equal(&a, &any_v4) ? any_v6 : a;
        return 0;
}

static int parse_port(const struct json_object *o, struct port_mapping *ret, struct err *reterr)
{
        const char *protocol = json_get_str(o, "protocol");
        uint64_t host, container;
        int res = parse_number(o, "hostPort", UINT16_MAX, &host, reterr);

        if (res == 0)
                res = parse_number(o, "containerPort", UINT16_MAX, &container, reterr);
        if (res < 0)
                return res;
        if (!host || !container)
                return err_set(reterr, -EINVAL, "hostPort and containerPort: must be from 1 to 65535");
        if (parse_protocol(protocol ? protocol : "tcp", &ret->proto) < 0)
                return err_set(reterr, -EINVAL, "protocol: \"%s\" is not tcp, udp or sctp", protocol);
        ret->host_port = (uint16_t)host;
        ret->container_port = (uint16_t)container;
        return parse_host_ip(json_get_str(o, "hostIP"), ret, reterr);
}

static int parse_ports(const struct json_object *o, struct record *r, struct err *reterr)
{
        const struct json_object *list = json_get(o, "portMappings");

        if (!list)
                return 0;
        if (!json_is_array(list) || json_len(list) > RECORD_PORTS_MAX)
                return err_set(reterr, -EINVAL, "portMappings: must be a list of at most %d", RECORD_PORTS_MAX);
        r->ports = mem_zalloc((json_len(list) + 1) * sizeof(*r->ports));
        json_array_foreach (list, i, v) {
                int res = parse_port(v, &r->ports[r->ports_n], reterr);

                if (res < 0)
                        return err_prefix(reterr, res, "portMappings[%zu]", i);
                r->ports_n++;
        }
        return 0;
}

/* A rate without a burst: as much as a second brings. */
static int parse_rate(const struct json_object *o, const char *rate, const char *burst, uint64_t *ret_rate,
                      uint64_t *ret_burst, struct err *reterr)
{
        int res = parse_number(o, rate, RATE_MAX, ret_rate, reterr);

        if (res == 0)
                res = parse_number(o, burst, RATE_MAX, ret_burst, reterr);
        if (res == 0 && *ret_rate && !*ret_burst)
                *ret_burst = *ret_rate;
        if (res == 0 && !*ret_rate)
                *ret_burst = 0;
        return res;
}

static int parse_bandwidth(const struct json_object *o, struct record_bandwidth *ret, struct err *reterr)
{
        const struct json_object *b = json_get(o, "bandwidth");
        int res = parse_rate(b, "ingressRate", "ingressBurst", &ret->ingress_rate, &ret->ingress_burst, reterr);

        if (res == 0)
                res = parse_rate(b, "egressRate", "egressBurst", &ret->egress_rate, &ret->egress_burst, reterr);
        return res < 0 ? err_prefix(reterr, res, "bandwidth") : 0;
}

static int parse_identity(const char *id, const struct json_object *o, struct record *r, struct err *reterr)
{
        const char *container = json_get_str(o, "containerID"), *ifname = json_get_str(o, "ifname");
        const char *ns = json_get_str(o, "podNamespace"), *name = json_get_str(o, "podName");
        char expected[RECORD_ID_SIZE];

        if (json_get_i64(o, "version", 0) != RECORD_VERSION)
                return err_set(reterr, -EINVAL, "version: must be %d", RECORD_VERSION);
        if (str_empty(container) || str_empty(ifname))
                return err_set(reterr, -EINVAL, "containerID and ifname: must be there");
        if ((size_t)snprintf(expected, sizeof(expected), "%s-%s", container, ifname) >= sizeof(expected) ||
            !str_eq(expected, id))
                return err_set(reterr, -EINVAL, "containerID and ifname: must be what the file's name says (%s)", id);
        if (str_empty(name))
                str_copy(r->pod, sizeof(r->pod), container);
        else
                snprintf(r->pod, sizeof(r->pod), "%.63s/%.90s", ns ? ns : "", name);
        return 0;
}

static int parse_fields(const char *id, const struct json_object *o, struct record *r, struct err *reterr)
{
        int res = parse_identity(id, o, r, reterr);

        if (res == 0)
                res = parse_host_side(o, r, reterr);
        if (res == 0)
                res = parse_mac(o, "mac", r->mac, reterr);
        if (res == 0)
                res = parse_mac(o, "hostMac", r->host_mac, reterr);
        if (res == 0)
                res = parse_addresses(o, r, reterr);
        if (res == 0)
                res = parse_ports(o, r, reterr);
        return res < 0 ? res : parse_bandwidth(o, &r->bandwidth, reterr);
}

int record_parse(const char *id, const char *text, size_t len, struct record *ret, struct err *reterr)
{
        _cleanup_(record_deinit) struct record r = RECORD_NULL;
        _cleanup_json_ struct json_object *o = NULL;
        int res = json_parse(text, len, &o, reterr);

        if (res == 0 && !json_is_object(o))
                res = err_set(reterr, -EINVAL, "is no JSON object");
        if (res == 0)
                res = parse_fields(id, o, &r, reterr);
        if (res < 0)
                return err_prefix(reterr, res, "record %s", id);
        *ret = r;
        r = RECORD_NULL;
        return 0;
}

void record_deinit(struct record *r)
{
        free(r->ports);
        *r = RECORD_NULL;
}

bool record_equal(const struct record *a, const struct record *b)
{
        struct record x = *a, y = *b;

        x.ports = y.ports = NULL;
        return memcmp(&x, &y, sizeof(x)) == 0 &&
               (!a->ports_n || memcmp(a->ports, b->ports, a->ports_n * sizeof(*a->ports)) == 0);
}

/* ---- the socket */

int request_parse(const char *line, size_t len, struct request *ret, struct err *reterr)
{
        static const char *const ops[] = {
                [REQUEST_ATTACH] = "attach",
                [REQUEST_DETACH] = "detach",
                [REQUEST_STATUS] = "status",
                [REQUEST_REPAIR] = "repair",
        };
        _cleanup_json_ struct json_object *o = NULL;
        struct request r = {0};
        const char *op, *id;
        bool of_one;
        size_t i = 0;
        int res = json_parse(line, len, &o, reterr);

        if (res < 0)
                return res;
        op = json_get_str(o, "op");
        while (i < ARRAY_SIZE(ops) && !str_eq(op, ops[i]))
                i++;
        if (i == ARRAY_SIZE(ops))
                return err_set(reterr, -EINVAL, "op: must be attach, detach, status or repair");
        r.op = (enum request_op)i;
        id = json_get_str(o, "id");
        of_one = r.op == REQUEST_ATTACH || r.op == REQUEST_DETACH;
        if (of_one && (!id || !record_id_valid(id)))
                return err_set(reterr, -EINVAL, "id: must be containerID-ifname, as the record's file is named");
        if (id && of_one)
                str_copy(r.id, sizeof(r.id), id);
        *ret = r;
        return 0;
}
