/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/services_api.h"
#include "base/mem.h"

#define SERVICES_PATH "/api/v1/services"
#define SLICES_PATH   "/apis/discovery.k8s.io/v1/endpointslices"

static char *label_selector(const struct agent_config *c)
{
        if (c->service_proxy_name)
                return mem_printf("!service.kubernetes.io/headless,service.kubernetes.io/service-proxy-name=%s",
                                  c->service_proxy_name);
        return mem_strdup("!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name");
}

int services_api_new(const struct agent_config *config, struct kube_client *client, struct services_api **ret)
{
        _cleanup_(services_api_freep) struct services_api *api = mem_new(struct services_api);
        _cleanup_free_ char *selector = label_selector(config);
        struct informer_opts opts = {.client = client,
                                     .path = SERVICES_PATH,
                                     .label_selector = selector,
                                     .project_node = project_service,
                                     .release = project_release,
                                     .userdata = &api->projector};
        int r;

        api->projector =
                (struct projector){.node_name = config->node_name, .service_proxy_name = config->service_proxy_name};
        r = informer_new(&opts, &api->services);
        opts.path = SLICES_PATH;
        opts.label_selector = "!service.kubernetes.io/headless";
        opts.project_node = project_slice;
        if (!r)
                r = informer_new(&opts, &api->slices);
        if (r)
                return r;
        informer_start(api->services);
        informer_start(api->slices);
        *ret = TAKE_PTR(api);
        return 0;
}

void services_api_free(struct services_api *api)
{
        if (!api)
                return;
        informer_free(api->services);
        informer_free(api->slices);
        arena_deinit(&api->projector.scratch);
        free(api);
}
