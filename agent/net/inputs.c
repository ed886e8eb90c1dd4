/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/inputs.h"
#include "datapath/address.h"

struct addr net_own_source(const struct net_inputs *in, bool v4)
{
        const struct addr *own = v4 ? &in->v4 : &in->v6;

        return net_address_find(in->state, own) ? *own : (struct addr){0};
}

static bool contains_any(const struct net_prefix *cidr, const struct addr *a, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (address_in(&a[i], &cidr->addr, cidr->bits))
                        return true;
        return false;
}

bool net_believable(const struct net_inputs *in, const struct node_summary *owner, const struct net_prefix *cidr,
                    struct problems *problems)
{
        char text[ADDRESS_TEXT];

        if (!contains_any(cidr, &in->v4, 1) && !contains_any(cidr, &in->v6, 1) &&
            !contains_any(cidr, owner->addresses, owner->addresses_n))
                return true;
        problems_add(problems, "podCIDR %s of node %s contains a node's address and is left out; give it another range",
                     address_cidr_text(&cidr->addr, cidr->bits, text), owner->name);
        return false;
}
