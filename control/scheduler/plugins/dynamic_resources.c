/* SPDX-License-Identifier: Apache-2.0 */
/* Devices by spec.resourceClaims are not allocated by this scheduler: such a pod waits, and says so. */
#include "scheduler/cycle.h"

static int prefilter(struct cycle *c)
{
        if (!c->shape->wants_devices)
                return PLUGIN_SKIP;
        strbuf_add_str(&c->diagnosis->refused, "pod has resource claims, which this scheduler does not allocate");
        return PLUGIN_REJECT;
}

const struct plugin plugin_dynamic_resources = {.name = "DynamicResources", .prefilter = prefilter};
