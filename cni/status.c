/* SPDX-License-Identifier: Apache-2.0 */
/* STATUS: would an ADD succeed now? */
#include "base/str.h"
#include "cni/agent.h"
#include "cni/code.h"
#include "cni/ipam.h"
#include "cni/verbs.h"

static int check_addresses(const struct cni_conf *conf, const struct node *node, struct err *reterr)
{
        static const int families[] = {AF_INET, AF_INET6};
        struct ipam ipam;
        int r = 0;

        ipam_init_unlocked(conf->run_dir, &ipam);
        if (!node->nranges)
                r = err_set(reterr, CNI_NOT_AVAILABLE, "node.json has no podCIDRs");
        for (size_t i = 0; i < ARRAY_SIZE(families) && !r; i++)
                if (!ipam_free(&ipam, node, families[i]))
                        r = err_set(reterr, CNI_NOT_AVAILABLE,
                                    "all %s addresses of this node's pod CIDRs are given out",
                                    families[i] == AF_INET ? "IPv4" : "IPv6");
        ipam_unlock(&ipam);
        return r;
}

static int check_agent(const struct cni_conf *conf, struct err *reterr)
{
        _cleanup_close_ int fd = -1;
        struct agent_status status;
        int r = agent_connect(conf->run_dir, &fd, reterr);

        if (!r)
                r = agent_send(fd, "status", NULL, reterr);
        if (!r)
                r = agent_answer(fd, AGENT_TIMEOUT_MS, &status, reterr);
        /* What is attached goes on by the programs in the kernel, but follows no change of services and nodes. */
        if (r)
                return err_prefix(reterr, CNI_LIMITED, "services and nodes are not followed");
        if (!status.ready && str_empty(status.problem))
                return err_set(reterr, CNI_NOT_AVAILABLE, "fairlead-agent is starting and not ready yet");
        return status.ready ? 0 : err_set(reterr, CNI_LIMITED, "fairlead-agent is not ready: %s", status.problem);
}

int verb_status(struct call *c, struct err *reterr)
{
        struct node node;
        int r = node_read(c->conf.run_dir, &node, reterr);

        if (r)
                return err_prefix(reterr, CNI_NOT_AVAILABLE, "no pod can be attached");
        r = check_agent(&c->conf, reterr);
        if (r)
                return r;
        if (c->conf.ipam_type)
                return delegate_call(&c->delegate, VERB_STATUS, reterr);
        return check_addresses(&c->conf, &node, reterr);
}
