/* SPDX-License-Identifier: Apache-2.0 */
/* Pods, nodes and Services for tests of the endpoint controllers. All in the namespace "d". */
#pragma once

#include "unit/controllers/world.h"

/* A node that is ready, with 4 CPUs; zone "": in none. */
void fix_node(struct world *w, const char *name, const char *zone);
/* A running pod (labels: "'app':'web'"), with a container port http. ips: "10.0.0.1" or "10.0.0.1,fd00::1". */
void fix_pod(struct world *w, const char *name, const char *labels, const char *node, const char *ips, bool ready);
/* Its readiness changes now. */
void fix_ready(struct world *w, const char *name, bool ready);
/* spec: the inside of the Service's spec. */
void fix_service(struct world *w, const char *name, const char *spec);

/* "web-1=10.0.0.1 ready,serving http:8080/TCP" lines of a service's slices, sorted; "twice" marks a pod that is in
 * there again. The caller frees it. */
char *fix_endpoints(struct world *w, const char *service, const char *family);
/* Those of the service that the controller with that name manages (NULL: all), as borrowed trees in an array that the
 * caller frees. */
struct json_object **fix_slices(struct world *w, const char *service, const char *manager, size_t *ret_n);
/* "web-1=10.0.0.1 http:8080/TCP" lines of an Endpoints object, one for each address and port, sorted; addresses that
 * are not ready have " -" behind them. "none" when there is no such object. The caller frees it. */
char *fix_legacy(struct world *w, const char *service);
