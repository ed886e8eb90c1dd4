/* SPDX-License-Identifier: Apache-2.0 */
/* Services as variables of containers: what Docker's links were. */
#pragma once

#include "agent/kubelet/pods/envs.h"
#include "agent/kubelet/pods/spec.h"

/* Those of the services in ns when linked; always those of default/kubernetes, unless ns has a service of that name. By
 * name of the service. */
void service_links_env(const struct service_links *s, const char *ns, bool linked, struct envs *ret);
