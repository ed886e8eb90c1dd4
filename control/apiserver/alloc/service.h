/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses and ports of a Service, allocated and released in the transaction that writes the Service. */
#pragma once

#include "apiserver/alloc/alloc.h"

/*
 * kind_ops.stage of Services: fills ipFamilyPolicy, ipFamilies, clusterIP, clusterIPs, nodePort and
 * healthCheckNodePort, and adds a put for each address and port that the Service newly has and a delete for each that
 * it has no more.
 */
void alloc_service_stage(const struct kctx *c, struct json_object *obj, const struct json_object *old,
                         struct txn_builder *t, struct ferrs *e);

/* ipFamilyPolicy and ipFamilies; the rules that need to know the cluster's families. Part of the stage. */
void alloc_service_families(const struct kctx *c, struct json_object *obj, const struct json_object *old,
                            struct ferrs *e);

/* The text of the IPAddress object for an address of that Service, in the arena. */
char *alloc_ip_object(struct arena *a, const struct ipaddr *ip, const char *namespace, const char *name,
                      int64_t now_us);
/* The value of a node port's key, in the arena: whose it is. */
char *alloc_port_value(struct arena *a, const char *namespace, const char *name);

/* What a Service's spec says. */
bool service_is_type(const struct json_object *spec, const char *type);
bool service_is_headless(const struct json_object *spec); /* clusterIPs is ["None"] */
bool service_needs_cluster_ip(const struct json_object *spec);
bool service_needs_node_port(const struct json_object *spec);
bool service_needs_health_check(const struct json_object *spec);
/* NodePort, LoadBalancer, or with externalIPs. */
bool service_is_external(const struct json_object *spec);
