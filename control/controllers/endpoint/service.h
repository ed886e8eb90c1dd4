/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoint controllers read of a Service, and of a pod as its endpoint. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "controllers/engine/kobj.h"

enum family {
        FAMILY_V4,
        FAMILY_V6,
        FAMILY_COUNT,
};

struct service_port {
        const char *name, *protocol, *app; /* app: appProtocol */
        const char *target;                /* the name of a container's port; NULL: number */
        int32_t number;
};

/* spec.trafficDistribution; PreferClose is the old name of PreferSameZone. */
enum traffic {
        TRAFFIC_ANYWHERE,
        TRAFFIC_SAME_ZONE,
        TRAFFIC_SAME_NODE,
};

struct service {
        const struct kobj *object;
        const struct service_port *ports;
        const struct label *selector;
        size_t nports, nselector;
        bool families[FAMILY_COUNT];
        enum family first;  /* of its families: that of Endpoints */
        bool has_ip;        /* not headless, not ExternalName */
        bool none;          /* clusterIP: None */
        bool external_name; /* type */
        bool publish_not_ready;
        bool spread; /* annotation topology-mode: Auto; traffic does not count then */
        enum traffic traffic;
};

/* Everything lies in mem or in o, which is borrowed. */
void service_read(struct service *s, const struct kobj *o, struct arena *mem);
/* Pods are its endpoints: it has a selector, and is no ExternalName. */
bool service_selects(const struct service *s);

/* "IPv4", "IPv6" */
const char *family_name(enum family f);
bool family_by_name(const char *name, enum family *ret);

/* The pod's address of that family in its canonical form; NULL: it has none. It may lie in mem. */
const char *pod_address(const struct pod *p, enum family f, struct arena *mem);
/* The canonical form of an IP address, and its family; NULL: it is none. It may lie in mem. */
const char *address_canonical(const char *ip, enum family *ret, struct arena *mem);
/* Where the port of a service goes in this pod; -1: it has no such port. */
int32_t pod_target_port(const struct pod *p, const struct service_port *port);
/* Neither finished nor without an address. */
bool pod_has_endpoint(const struct kobj *pod);
/* "" unless the pod is to be found by name in the service's domain. */
const char *pod_endpoint_hostname(const struct kobj *pod, const struct kobj *service);
/* Since when it is ready, or is not; 0: unknown. */
int64_t pod_ready_since(const struct kobj *pod);
