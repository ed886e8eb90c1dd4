/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD. What can fail for reasons outside is asked first (namespace, agent), then: addresses and record under the lock,
 * the pair, the agent, and while that works, the pod's side. Whatever fails, everything before it is undone.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "base/str.h"
#include "cni/agent.h"
#include "cni/code.h"
#include "cni/node.h"
#include "cni/release.h"
#include "cni/result.h"
#include "cni/veth.h"
#include "cni/verbs.h"

#define INDEX_TRIES    64
#define POD_NAME_TRIES 4
#define POD_NAME_WAIT  15000000 /* ns */

struct add {
        struct call *call;
        struct node node;
        struct attachment a;
        char id[ATTACHMENT_ID_SIZE];
        struct json_object *dns; /* of the delegated plugin; owned */
        int netns, agent;
        struct netlink host, pod;
        bool delegated; /* its ADD has succeeded */
        bool recorded;
};

static struct mac random_mac(void)
{
        struct mac mac;

        random_bytes(mac.b, sizeof(mac.b));
        mac.b[0] = 0x02; /* locally administered, unicast */
        return mac;
}

static void describe(struct add *x)
{
        const struct cni_env *env = &x->call->env;
        const struct cni_conf *conf = &x->call->conf;
        struct attachment *a = &x->a;

        str_copy(a->container_id, sizeof(a->container_id), env->container_id);
        str_copy(a->ifname, sizeof(a->ifname), env->ifname);
        str_copy(a->network, sizeof(a->network), conf->name);
        str_copy(a->netns, sizeof(a->netns), env->netns);
        str_copy(a->pod_namespace, sizeof(a->pod_namespace), env->pod_namespace);
        str_copy(a->pod_name, sizeof(a->pod_name), env->pod_name);
        str_copy(a->pod_uid, sizeof(a->pod_uid), env->pod_uid);
        attachment_host_ifname(a->container_id, a->ifname, a->host_ifname);
        attachment_id(a->container_id, a->ifname, x->id);
        a->mtu = conf->mtu ? conf->mtu : x->node.mtu;
        a->host_mac = random_mac();
        a->mac = mac_is_zero(&conf->mac) ? random_mac() : conf->mac;
}

static int refuse_existing(const struct add *x, struct err *reterr)
{
        return record_exists(x->call->conf.run_dir, x->id)
                       ? err_set(reterr, CNI_EXISTS,
                                 "container %.128s is attached already with %s: a DEL must come before another ADD",
                                 x->a.container_id, x->a.ifname)
                       : 0;
}

/* As a later plugin of a chain we add to what there is, unless the interface is there already. */
static int check_prev_result(const struct add *x, struct err *reterr)
{
        size_t index;

        if (!result_find_interface(x->call->conf.prev_result, x->a.ifname, true, &index))
                return 0;
        return err_set(reterr, CNI_BAD_CONFIG,
                       "prevResult: an earlier plugin of the chain has made %s already; fairlead-cni makes the pod's "
                       "interface itself and must come first",
                       x->a.ifname);
}

static int prepare(struct add *x, struct err *reterr)
{
        const struct cni_conf *conf = &x->call->conf;
        int r = node_read(conf->run_dir, &x->node, reterr);

        if (r)
                return r;
        describe(x);
        r = veth_open_netns(&x->call->env, &x->netns, reterr);
        if (!r)
                r = check_prev_result(x, reterr);
        if (!r)
                r = agent_connect(conf->run_dir, &x->agent, reterr);
        if (!r)
                r = record_prepare(conf->run_dir, reterr);
        if (!r)
                r = refuse_existing(x, reterr);
        if (r)
                return r;
        return netlink_open(&x->host, reterr) ? CNI_KERNEL : 0;
}

static int lease_and_record(struct add *x, struct ipam *ipam, struct err *reterr)
{
        const struct cni_conf *conf = &x->call->conf;
        int r = refuse_existing(x, reterr);

        if (!r && !x->delegated)
                r = ipam_lease(ipam, &x->node, conf, &x->a, reterr);
        if (r)
                return r;
        x->a.host_ifindex = ipam_next_ifindex(ipam);
        r = record_write(&x->a, conf, reterr);
        if (r && !x->delegated)
                ipam_release(ipam, x->id, x->a.addresses, x->a.naddresses);
        x->recorded = !r;
        return r;
}

static int reserve(struct add *x, struct err *reterr)
{
        struct call *c = x->call;
        struct ipam ipam;
        int r;

        if (c->conf.ipam_type) {
                r = delegate_add(&c->delegate, &x->a, &x->dns, reterr);
                if (r)
                        return r;
                x->delegated = true;
        }
        r = ipam_lock(c->conf.run_dir, &ipam, reterr);
        if (r)
                return r;
        r = lease_and_record(x, &ipam, reterr);
        ipam_unlock(&ipam);
        return r;
}

/* Another index, in the record too. */
static int reindex(struct add *x, struct err *reterr)
{
        struct ipam ipam;
        int r = ipam_lock(x->call->conf.run_dir, &ipam, reterr);

        if (r)
                return r;
        x->a.host_ifindex = ipam_next_ifindex(&ipam);
        r = record_write(&x->a, &x->call->conf, reterr);
        ipam_unlock(&ipam);
        return r;
}

/* The same container may be attached again while the pair of its last attachment is still being removed. */
static int create_pair(struct add *x, struct err *reterr)
{
        static const struct timespec pause = {.tv_nsec = POD_NAME_WAIT};
        int pod_name = 0, r = VETH_INDEX_TAKEN;

        for (int i = 0; i < INDEX_TRIES && r >= VETH_INDEX_TAKEN; i++) {
                r = veth_create(&x->host, &x->a, x->netns, reterr);
                if (r == VETH_POD_NAME_TAKEN && ++pod_name > POD_NAME_TRIES)
                        break;
                if (r == VETH_POD_NAME_TAKEN)
                        nanosleep(&pause, NULL);
                else if (r == VETH_NAME_TAKEN && release_device(&x->host, x->a.host_ifname, reterr))
                        return CNI_KERNEL;
                else if (r == VETH_INDEX_TAKEN && reindex(x, reterr))
                        return CNI_IO;
        }
        if (r < VETH_INDEX_TAKEN)
                return r;
        if (reterr)
                reterr->code = CNI_EXISTS;
        return CNI_EXISTS;
}

static int attach(struct add *x, struct err *reterr)
{
        int r = create_pair(x, reterr);

        /* The agent needs the host's side only: it works while we do the pod's. */
        if (!r)
                r = agent_send(x->agent, "attach", x->id, reterr);
        if (!r)
                r = veth_enter(x->netns, &x->pod, reterr);
        if (!r)
                r = veth_configure_pod(&x->pod, &x->a, reterr);
        return r ? r : agent_answer(x->agent, AGENT_TIMEOUT_MS, NULL, reterr);
}

static void undo(struct add *x)
{
        if (x->recorded) {
                release(x->call->conf.run_dir, x->id, &x->a, NULL);
                release_device(&x->host, x->a.host_ifname, NULL);
        }
        if (x->delegated)
                delegate_call(&x->call->delegate, VERB_DEL, NULL);
}

static void add_deinit(struct add *x)
{
        netlink_close(&x->host);
        netlink_close(&x->pod);
        closep(&x->netns);
        closep(&x->agent);
        json_object_put(x->dns);
}

int verb_add(struct call *c, struct err *reterr)
{
        _cleanup_(add_deinit) struct add x = {
                .call = c, .netns = -1, .agent = -1, .host = NETLINK_NULL, .pod = NETLINK_NULL};
        int r = prepare(&x, reterr);

        if (r)
                return r;
        r = reserve(&x, reterr);
        if (!r)
                r = attach(&x, reterr);
        if (r) {
                undo(&x);
                return r;
        }
        c->output = result_add(&x.a, &c->conf, x.dns ? x.dns : c->conf.dns);
        return 0;
}
