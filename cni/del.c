/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEL. It needs neither the agent nor the namespace nor prevResult, and may come as often as it likes. Record and
 * addresses go first; the devices are removed by a child that nobody waits for. Should that die, what it leaves has no
 * record, which is how the agent, GC and the next ADD of the same container know it for a leftover.
 */
#include "base/str.h"
#include "cni/code.h"
#include "cni/release.h"
#include "cni/verbs.h"

int verb_del(struct call *c, struct err *reterr)
{
        _cleanup_(netlink_close) struct netlink host = NETLINK_NULL;
        struct attachment a;
        char id[ATTACHMENT_ID_SIZE], host_ifname[IFNAME_SIZE];
        int known, r;

        attachment_id(c->env.container_id, c->env.ifname, id);
        attachment_host_ifname(c->env.container_id, c->env.ifname, host_ifname);
        known = record_read(c->conf.run_dir, id, &a, reterr);
        if (known == CNI_IO)
                return known;
        /* Two pairs of container and interface can have one id ("a-b" and "c", "a" and "b-c"). */
        if (!known && (!str_eq(a.container_id, c->env.container_id) || !str_eq(a.ifname, c->env.ifname)))
                return 0;
        r = release(c->conf.run_dir, id, known ? NULL : &a, reterr);
        if (r)
                return r;
        if (netlink_open(&host, reterr))
                return CNI_KERNEL;
        r = release_device_later(&host, host_ifname, reterr);
        if (c->conf.ipam_type && !r)
                r = delegate_call(&c->delegate, VERB_DEL, reterr);
        return r;
}
