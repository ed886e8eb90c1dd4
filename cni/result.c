/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"
#include "cni/node.h"
#include "cni/result.h"

static struct json_object *array_of(struct json_object *result, const char *key)
{
        struct json_object *list = json_get(result, key);

        if (!json_is_array(list)) {
                list = json_object_new_array();
                json_set(result, key, list);
        }
        return list;
}

static struct json_object *interface(const struct attachment *a, const struct cni_conf *conf, bool sandbox)
{
        struct json_object *o = json_object_new_object();
        char mac[MAC_TEXT_SIZE];

        json_set_str(o, "name", sandbox ? a->ifname : a->host_ifname);
        json_set_str(o, "mac", mac_text(sandbox ? &a->mac : &a->host_mac, mac));
        if (conf->version >= CNI_1_1_0)
                json_set_i64(o, "mtu", a->mtu);
        if (sandbox)
                json_set_str(o, "sandbox", a->netns);
        return o;
}

static struct json_object *ip(const struct addr *address, const struct cni_conf *conf, size_t interface_index)
{
        struct json_object *o = json_object_new_object();
        char text[ADDRESS_TEXT_SIZE], cidr[ADDRESS_TEXT_SIZE + 4];

        snprintf(cidr, sizeof(cidr), "%s/%u", ip_text(address, text), ip_bits(address));
        if (conf->version < CNI_1_0_0)
                json_set_str(o, "version", ip_is_v4(address) ? "4" : "6");
        json_set_i64(o, "interface", (int64_t)interface_index);
        json_set_str(o, "address", cidr);
        json_set_str(o, "gateway", ip_is_v4(address) ? GATEWAY_V4 : GATEWAY_V6);
        return o;
}

static struct json_object *route(const struct addr *address)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "dst", ip_is_v4(address) ? "0.0.0.0/0" : "::/0");
        json_set_str(o, "gw", ip_is_v4(address) ? GATEWAY_V4 : GATEWAY_V6);
        return o;
}

struct json_object *result_add(const struct attachment *a, const struct cni_conf *conf, const struct json_object *dns)
{
        struct json_object *result = conf->prev_result ? json_copy(conf->prev_result) : json_object_new_object();
        struct json_object *interfaces, *ips, *routes;
        size_t pod;

        json_set_str(result, "cniVersion", cni_version_text(conf->version));
        interfaces = array_of(result, "interfaces");
        ips = array_of(result, "ips");
        routes = array_of(result, "routes");
        json_object_array_add(interfaces, interface(a, conf, false));
        pod = json_len(interfaces);
        json_object_array_add(interfaces, interface(a, conf, true));
        for (size_t i = 0; i < a->naddresses; i++) {
                json_object_array_add(ips, ip(&a->addresses[i], conf, pod));
                json_object_array_add(routes, route(&a->addresses[i]));
        }
        if (dns)
                json_set(result, "dns", json_copy(dns));
        else if (!json_is_object(json_get(result, "dns")))
                json_set(result, "dns", json_object_new_object());
        return result;
}

struct json_object *result_version(enum cni_version version)
{
        struct json_object *o = json_object_new_object(), *list = json_object_new_array();

        for (int i = 0; i < CNI_VERSIONS; i++)
                json_object_array_add(list, json_object_new_string(cni_version_text((enum cni_version)i)));
        json_set_str(o, "cniVersion", cni_version_text(version));
        json_set(o, "supportedVersions", list);
        return o;
}

struct json_object *result_error(enum cni_version version, const struct err *err, const char *details)
{
        struct json_object *o = json_object_new_object();

        json_set_str(o, "cniVersion", cni_version_text(version));
        json_set_i64(o, "code", err->code);
        json_set_str(o, "msg", err->msg);
        if (!str_empty(details))
                json_set_str(o, "details", details);
        return o;
}

const struct json_object *result_find_interface(const struct json_object *result, const char *name, bool sandbox,
                                                size_t *ret_index)
{
        json_array_foreach (conf_get(result, "interfaces"), i, v)
                if (str_eq(conf_get_str(v, "name"), name) && !str_empty(conf_get_str(v, "sandbox")) == sandbox) {
                        *ret_index = i;
                        return v;
                }
        return NULL;
}
