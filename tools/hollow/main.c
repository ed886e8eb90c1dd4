/* SPDX-License-Identifier: Apache-2.0 */
/* fairlead-hollow: nodes that are only played. */
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "hollow/control.h"

struct hollow {
        struct hollow_config config;
        struct kubeconfig *kubeconfig;
        struct loop *loop;
        struct loop_signal *term, *interrupt;
        struct kube_client *client;
        struct calls *calls;
        struct nodes *nodes;
        struct kubelet *kubelet;
        struct control *control;
};

static void on_signal(void *userdata)
{
        struct hollow *h = userdata;

        loop_stop(h->loop);
}

/* Pods come after the nodes, whose addresses they have. */
static void on_registered(void *userdata)
{
        struct hollow *h = userdata;

        log_info("all nodes are registered", "count=%u", h->config.nodes);
        kubelet_start(h->kubelet);
}

static void on_revived(void *userdata, struct node *node, bool rebooted)
{
        struct hollow *h = userdata;

        kubelet_node_back(h->kubelet, node, rebooted);
}

static int start_client(struct hollow *h, struct err *reterr)
{
        struct kube_client_opts opts = {.loop = h->loop, .user_agent = "fairlead-hollow/" FAIRLEAD_VERSION};
        int r = kubeconfig_find(h->config.kubeconfig, &h->kubeconfig, reterr);

        if (r)
                return r;
        opts.config = h->kubeconfig;
        opts.qps = 1e6; /* what bounds it is --parallel */
        opts.burst = 1000000;
        r = kube_client_new(&opts, &h->client, reterr);
        if (!r)
                h->calls = calls_new(h->client, h->config.parallel);
        return r;
}

static int start(struct hollow *h, struct err *reterr)
{
        int r = loop_new(&h->loop);

        if (!r)
                r = loop_signal_new(h->loop, SIGTERM, on_signal, h, &h->term);
        if (!r)
                r = loop_signal_new(h->loop, SIGINT, on_signal, h, &h->interrupt);
        if (!r)
                r = start_client(h, reterr);
        if (!r)
                r = nodes_new(&(struct nodes_opts){.config = &h->config,
                                                   .client = h->client,
                                                   .calls = h->calls,
                                                   .loop = h->loop,
                                                   .registered = on_registered,
                                                   .revived = on_revived,
                                                   .userdata = h},
                              &h->nodes);
        if (!r)
                r = kubelet_new(&(struct kubelet_opts){.config = &h->config,
                                                       .client = h->client,
                                                       .calls = h->calls,
                                                       .loop = h->loop,
                                                       .nodes = h->nodes},
                                &h->kubelet);
        if (!r)
                r = control_new(&(struct control_opts){.loop = h->loop,
                                                       .path = h->config.control,
                                                       .use_stdin = h->config.use_stdin,
                                                       .nodes = h->nodes,
                                                       .kubelet = h->kubelet,
                                                       .calls = h->calls},
                                &h->control, reterr);
        if (!r)
                nodes_start(h->nodes);
        return r;
}

static void stop(struct hollow *h)
{
        control_free(h->control);
        kubelet_stop(h->kubelet);
        nodes_stop(h->nodes);
        kube_client_free(h->client);
        kubelet_free(h->kubelet);
        nodes_free(h->nodes);
        calls_free(h->calls);
        kubeconfig_free(h->kubeconfig);
        loop_signal_free(h->term);
        loop_signal_free(h->interrupt);
        loop_free(h->loop);
}

int main(int argc, char **argv)
{
        struct hollow h = {0};
        struct err err = ERR_NULL;
        int r = hollow_config_parse(argc, argv, &h.config, &err);

        if (r) {
                if (r != CONFIG_EXIT)
                        fprintf(stderr, "fairlead-hollow: %s\n", err.msg);
                hollow_config_deinit(&h.config);
                return r == CONFIG_EXIT ? 0 : 2;
        }
        log_init("hollow", h.config.log_level);
        signal(SIGPIPE, SIG_IGN);
        mem_keep_little();
        r = start(&h, &err);
        if (!r)
                r = loop_run(h.loop);
        stop(&h);
        if (r)
                fprintf(stderr, "fairlead-hollow: %s\n", *err.msg ? err.msg : strerror(-r));
        hollow_config_deinit(&h.config);
        return r ? 1 : 0;
}
