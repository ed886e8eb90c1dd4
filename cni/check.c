/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHECK: compares record, prevResult and kernel. All differences are in the error's details, a line each; its code is
 * that of the first. Later plugins of a chain may have added addresses and routes and lowered the MTU; the addresses,
 * routes, neighbours and MACs that are ours must be as we made them, for the dataplane knows no others.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cni/code.h"
#include "cni/inspect.h"
#include "cni/ipam.h"
#include "cni/node.h"
#include "cni/result.h"
#include "cni/veth.h"
#include "cni/verbs.h"

struct check {
        struct call *call;
        struct attachment a;
        int first; /* code; 0: no difference yet */
        struct err *reterr;
};

static void differ(struct check *k, enum cni_code code, const char *fmt, ...) _printf_(3, 4);

static void differ(struct check *k, enum cni_code code, const char *fmt, ...)
{
        char text[400];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        strbuf_printf(&k->call->details, "%s%d: %s", k->first ? "\n" : "", code, text);
        if (!k->first)
                err_set(k->reterr, k->first = code, "%s", text);
}

static void check_mac(struct check *k, const char *ifname, const struct mac *got, const struct mac *want)
{
        char a[MAC_TEXT_SIZE], b[MAC_TEXT_SIZE];

        if (memcmp(got, want, sizeof(*got)) != 0)
                differ(k, CNI_CHECK_MAC, "%s has the MAC address %s; it was attached with %s", ifname, mac_text(got, a),
                       mac_text(want, b));
}

static int check_host(struct check *k, struct err *reterr)
{
        _cleanup_(netlink_close) struct netlink host = NETLINK_NULL;
        const char *name = k->a.host_ifname;
        struct link_state link;

        if (netlink_open(&host, reterr) || inspect_link(&host, name, &link, reterr))
                return CNI_KERNEL;
        if (!link.ifindex) {
                differ(k, CNI_CHECK_HOST, "the host side %s is missing", name);
                return 0;
        }
        if (link.ifindex != k->a.host_ifindex)
                differ(k, CNI_CHECK_HOST, "the host side %s has the index %u; it was attached with %u", name,
                       link.ifindex, k->a.host_ifindex);
        if (!link.up)
                differ(k, CNI_CHECK_HOST, "the host side %s is down", name);
        check_mac(k, name, &link.mac, &k->a.host_mac);
        return 0;
}

static bool has_address(const struct pod_state *pod, const struct addr *a)
{
        for (size_t i = 0; i < pod->naddresses; i++)
                if (ip_equal(&pod->addresses[i], a) && pod->prefixes[i] == ip_bits(a))
                        return true;
        return false;
}

static bool has_route(const struct pod_state *pod, const struct addr *to, const struct addr *via)
{
        static const struct addr none = {0};

        for (size_t i = 0; i < pod->nroutes; i++) {
                const struct route_state *r = &pod->routes[i];

                if (r->bits == (to ? ip_bits(to) : 0) && ip_equal(&r->to, to ? to : &none) &&
                    ip_equal(&r->via, via ? via : &none))
                        return true;
        }
        return false;
}

static void check_neighbour(struct check *k, const struct pod_state *pod, const struct addr *gateway)
{
        char text[ADDRESS_TEXT_SIZE], mac[MAC_TEXT_SIZE];

        for (size_t i = 0; i < pod->nneighbours; i++)
                if (ip_equal(&pod->neighbours[i].address, gateway) && pod->neighbours[i].permanent &&
                    memcmp(&pod->neighbours[i].mac, &k->a.host_mac, sizeof(struct mac)) == 0)
                        return;
        differ(k, CNI_CHECK_NEIGHBOUR, "the pod has no permanent neighbour entry of its gateway %s with the MAC %s",
               ip_text(gateway, text), mac_text(&k->a.host_mac, mac));
}

static void check_family(struct check *k, const struct pod_state *pod, const struct addr *address)
{
        char text[ADDRESS_TEXT_SIZE];
        struct addr gateway;
        uint32_t bits;

        ip_parse(ip_is_v4(address) ? GATEWAY_V4 : GATEWAY_V6, &gateway, &bits);
        if (!has_address(pod, address))
                differ(k, CNI_CHECK_ADDRESS, "%s lacks the address %s/%u", k->a.ifname, ip_text(address, text),
                       ip_bits(address));
        if (ip_is_v4(address) && !has_route(pod, &gateway, NULL))
                differ(k, CNI_CHECK_ROUTE, "the pod lacks the route to its gateway %s", ip_text(&gateway, text));
        if (!has_route(pod, NULL, &gateway))
                differ(k, CNI_CHECK_ROUTE, "the pod lacks the %s default route by %s",
                       ip_is_v4(address) ? "IPv4" : "IPv6", ip_text(&gateway, text));
        check_neighbour(k, pod, &gateway);
}

static void check_mtu(struct check *k, uint32_t mtu)
{
        size_t index;
        const struct json_object *i = result_find_interface(k->call->conf.prev_result, k->a.ifname, true, &index);
        int64_t said = json_get_i64(i, "mtu", 0);

        if (said && said != mtu)
                differ(k, CNI_CHECK_MTU, "%s has the MTU %u; prevResult says %lld", k->a.ifname, mtu, (long long)said);
        else if (!said && mtu > k->a.mtu)
                differ(k, CNI_CHECK_MTU, "%s has the MTU %u; it was attached with %u", k->a.ifname, mtu, k->a.mtu);
}

static void compare_pod(struct check *k, const struct pod_state *pod)
{
        if (!pod->link.ifindex) {
                differ(k, CNI_CHECK_POD, "the pod's interface %s is missing", k->a.ifname);
                return;
        }
        if (!pod->link.up)
                differ(k, CNI_CHECK_POD, "the pod's interface %s is down", k->a.ifname);
        check_mac(k, k->a.ifname, &pod->link.mac, &k->a.mac);
        check_mtu(k, pod->link.mtu);
        for (size_t i = 0; i < k->a.naddresses; i++)
                check_family(k, pod, &k->a.addresses[i]);
}

static int check_pod(struct check *k, struct err *reterr)
{
        _cleanup_close_ int netns = -1;
        _cleanup_(netlink_close) struct netlink nl = NETLINK_NULL;
        struct pod_state pod;
        int r = veth_open_netns(&k->call->env, &netns, reterr);

        if (!r)
                r = veth_enter(netns, &nl, reterr);
        if (!r && inspect_pod(&nl, k->a.ifname, &pod, reterr))
                r = CNI_KERNEL;
        if (!r)
                compare_pod(k, &pod);
        return r;
}

static void check_leases(struct check *k)
{
        const struct call *c = k->call;
        char id[ATTACHMENT_ID_SIZE], text[ADDRESS_TEXT_SIZE];
        struct ipam ipam;

        if (c->conf.ipam_type)
                return;
        ipam_init_unlocked(c->conf.run_dir, &ipam);
        attachment_id(k->a.container_id, k->a.ifname, id);
        for (size_t i = 0; i < k->a.naddresses; i++)
                if (!ipam_has(&ipam, id, &k->a.addresses[i]))
                        differ(k, CNI_CHECK_ADDRESS, "the address %s is not leased to this attachment",
                               ip_text(&k->a.addresses[i], text));
        ipam_unlock(&ipam);
}

static bool recorded(const struct check *k, const char *cidr)
{
        struct addr a;
        uint32_t bits;

        if (!cidr || ip_parse(cidr, &a, &bits))
                return false;
        for (size_t i = 0; i < k->a.naddresses; i++)
                if (ip_equal(&a, &k->a.addresses[i]))
                        return true;
        return false;
}

/* What prevResult says of the pod's interface must be what was recorded. */
static void check_prev_result(struct check *k)
{
        const struct json_object *prev = k->call->conf.prev_result, *pod;
        size_t at = 0, host_at, found = 0;

        pod = result_find_interface(prev, k->a.ifname, true, &at);
        if (!pod || !result_find_interface(prev, k->a.host_ifname, false, &host_at)) {
                differ(k, CNI_CHECK_PREV_RESULT, "prevResult lacks the interface %s",
                       pod ? k->a.host_ifname : k->a.ifname);
                return;
        }
        json_array_foreach (conf_get(prev, "ips"), i, v) {
                struct json_object *interface = conf_get(v, "interface");
                const char *address = conf_get_str(v, "address");

                if (!interface || json_object_get_int64(interface) != (int64_t)at)
                        continue;
                if (recorded(k, address))
                        found++;
                else
                        differ(k, CNI_CHECK_PREV_RESULT, "prevResult gives %s the address %.64s, which is not recorded",
                               k->a.ifname, address ? address : "(none)");
        }
        if (found < k->a.naddresses)
                differ(k, CNI_CHECK_PREV_RESULT, "prevResult has %zu of the %zu addresses of %s", found,
                       k->a.naddresses, k->a.ifname);
}

static int find_record(struct check *k, struct err *reterr)
{
        const struct cni_env *env = &k->call->env;
        char id[ATTACHMENT_ID_SIZE];
        int r = record_read(k->call->conf.run_dir, attachment_id(env->container_id, env->ifname, id), &k->a, reterr);

        if (r == CNI_IO)
                return r;
        if (r || !str_eq(k->a.container_id, env->container_id))
                return err_set(reterr, CNI_CHECK_RECORD, "there is no record of an attachment of %.128s with %s in %s",
                               env->container_id, env->ifname, k->call->conf.run_dir);
        if (!str_eq(k->a.network, k->call->conf.name))
                differ(k, CNI_CHECK_RECORD, "the attachment is recorded for network %.100s, not %.100s", k->a.network,
                       k->call->conf.name);
        if (!str_eq(k->a.netns, env->netns))
                differ(k, CNI_CHECK_RECORD, "the attachment is recorded for the network namespace %.150s, not %.150s",
                       k->a.netns, env->netns);
        return 0;
}

int verb_check(struct call *c, struct err *reterr)
{
        struct check k = {.call = c, .reterr = reterr};
        int r = find_record(&k, reterr);

        if (!r)
                r = check_host(&k, k.first ? NULL : reterr);
        if (!r) {
                check_prev_result(&k);
                check_leases(&k);
        }
        if (!r && c->conf.ipam_type && !k.first)
                r = delegate_call(&c->delegate, VERB_CHECK, reterr);
        if (!r)
                r = check_pod(&k, k.first ? NULL : reterr);
        return k.first ? k.first : r;
}
