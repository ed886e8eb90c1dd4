/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/net/settings.h"
#include "base/mem.h"
#include "datapath/address.h"

static int read_prefixes(const char *setting, const struct string_list *texts, struct prefix_list *ret,
                         struct err *reterr)
{
        if (!texts->count)
                return 0;
        ret->items = mem_array(struct net_prefix, texts->count);
        for (size_t i = 0; i < texts->count; i++) {
                struct net_prefix *p = &ret->items[i];

                if (address_parse_cidr(texts->items[i], false, &p->addr, &p->bits) < 0)
                        return err_set(reterr, -EINVAL, "%s: \"%s\" is no prefix; write 10.0.0.0/8 or fd00::/8",
                                       setting, texts->items[i]);
                p->addr = address_mask(&p->addr, p->bits);
                ret->count = i + 1;
        }
        return 0;
}

static int read_node_ips(const struct string_list *texts, struct net_settings *ret, struct err *reterr)
{
        if (!texts->count)
                return 0;
        ret->node_ips = mem_array(struct addr, texts->count);
        for (size_t i = 0; i < texts->count; i++) {
                if (address_parse(texts->items[i], &ret->node_ips[i]) < 0 || !node_address_usable(&ret->node_ips[i]))
                        return err_set(reterr, -EINVAL,
                                       "nodeIPs: \"%s\" is no unicast address that other nodes can reach",
                                       texts->items[i]);
                ret->node_ips_n = i + 1;
        }
        return 0;
}

int net_settings_read(const struct agent_config *config, struct net_settings *ret, struct err *reterr)
{
        _cleanup_(net_settings_deinit) struct net_settings s = {.routing = config->routing};
        int res = read_node_ips(&config->node_ips, &s, reterr);

        if (res == 0)
                res = read_prefixes("nodePortAddresses", &config->nodeport_addresses, &s.nodeport, reterr);
        if (res == 0)
                res = read_prefixes("nonMasqueradeCIDRs", &config->non_masquerade_cidrs, &s.direct, reterr);
        if (res == 0)
                res = read_prefixes("serviceCIDRs", &config->service_cidrs, &s.service, reterr);
        if (res < 0)
                return res;
        *ret = s;
        s = NET_SETTINGS_NULL;
        return 0;
}

void net_settings_deinit(struct net_settings *s)
{
        free(s->node_ips);
        free(s->nodeport.items);
        free(s->direct.items);
        free(s->service.items);
        *s = NET_SETTINGS_NULL;
}

bool prefix_list_has(const struct prefix_list *l, const struct addr *a)
{
        for (size_t i = 0; i < l->count; i++)
                if (address_in(a, &l->items[i].addr, l->items[i].bits))
                        return true;
        return false;
}

bool net_settings_nodeport(const struct net_settings *s, const struct addr *a)
{
        return !s->nodeport.count || prefix_list_has(&s->nodeport, a);
}
