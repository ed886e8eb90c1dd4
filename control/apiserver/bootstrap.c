/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own objects: system namespaces, the ServiceCIDR, and the kubernetes Service with its endpoints. */
#include <errno.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/background.h"
#include "apiserver/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

static struct json_object *object_named(const char *group_version, const char *kind, const char *namespace,
                                        const char *name)
{
        struct json_object *o = json_object_new_object(), *meta = json_ensure(o, "metadata");

        json_set_str(o, "kind", kind);
        json_set_str(o, "apiVersion", group_version);
        json_set_str(meta, "name", name);
        if (namespace)
                json_set_str(meta, "namespace", namespace);
        return o;
}

static bool is_there(struct server *s, const char *group, const char *plural, const char *namespace, const char *name)
{
        _cleanup_object_ struct object *o = cache_get(cache_find(s->caches, group, plural), namespace, name);

        return o != NULL;
}

static int make_namespaces(struct server *s, struct err *reterr)
{
        static const char *const names[] = {"default", "kube-system", "kube-public", "kube-node-lease"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_json_ struct json_object *ns = NULL;
                int r;

                if (is_there(s, "", "namespaces", NULL, names[i]))
                        continue;
                ns = object_named("v1", "Namespace", NULL, names[i]);
                r = internal_create(s, &(struct internal_write){"", "v1", "namespaces", NULL, NULL, ns}, reterr);
                if (r)
                        return err_prefix(reterr, r, "namespace %s", names[i]);
        }
        return 0;
}

static struct json_object *array_of(struct json_object *item)
{
        struct json_object *a = json_object_new_array();

        if (item)
                json_object_array_add(a, item);
        return a;
}

/* Kubernetes' ServiceCIDR controller has this to say; addresses are given out of the range from the first moment on. */
static int keep_service_cidr_ready(struct server *s, struct err *reterr)
{
        _cleanup_json_ struct json_object *cidr =
                s->reader.get(s->reader.userdata, "networking.k8s.io", "servicecidrs", NULL, "kubernetes");
        struct internal_write w = {"networking.k8s.io", "v1", "servicecidrs", NULL, "kubernetes", cidr};
        struct json_object *c;
        char now[CLOCK_TEXT_SIZE];

        if (!cidr || json_at(cidr, "metadata.deletionTimestamp") || json_len(json_at(cidr, "status.conditions")))
                return 0;
        c = json_object_new_object();
        json_set_str(c, "type", "Ready");
        json_set_str(c, "status", "True");
        json_set_str(c, "reason", "");
        json_set_str(c, "message", "Kubernetes default Service CIDR is ready");
        json_set_str(c, "lastTransitionTime", clock_now(now));
        json_set(json_ensure(cidr, "status"), "conditions", array_of(c));
        json_del(json_get(cidr, "metadata"), "resourceVersion");
        return internal_replace_status(s, &w, reterr);
}

static int make_service_cidr(struct server *s, struct err *reterr)
{
        _cleanup_json_ struct json_object *cidr = NULL;

        if (is_there(s, "networking.k8s.io", "servicecidrs", NULL, "kubernetes"))
                return 0;
        cidr = alloc_default_service_cidr(&s->kinds);
        return internal_create(s, &(struct internal_write){"networking.k8s.io", "v1", "servicecidrs", NULL, NULL, cidr},
                               reterr);
}

/* The first usable address of the primary service range, as clients in the cluster expect. */
static void first_service_ip(const struct server *s, char text[IPADDR_TEXT_SIZE])
{
        struct ipcidr cidr = {0};
        struct ipaddr first;

        ipcidr_parse(s->kinds.service_cidr[0], &cidr);
        first = ipcidr_first(&cidr);
        first = ipaddr_add(&first, 1);
        ipaddr_format(&first, text);
}

static struct json_object *https_port(int64_t port)
{
        struct json_object *p = json_object_new_object();

        json_set_str(p, "name", "https");
        json_set_str(p, "protocol", "TCP");
        json_set_i64(p, "port", port);
        return p;
}

static int make_service(struct server *s, struct err *reterr)
{
        _cleanup_json_ struct json_object *svc = NULL;
        struct json_object *spec, *labels, *port;
        char ip[IPADDR_TEXT_SIZE];

        if (is_there(s, "", "services", "default", "kubernetes"))
                return 0;
        svc = object_named("v1", "Service", "default", "kubernetes");
        labels = json_ensure(json_get(svc, "metadata"), "labels");
        json_set_str(labels, "component", "apiserver");
        json_set_str(labels, "provider", "kubernetes");
        spec = json_ensure(svc, "spec");
        first_service_ip(s, ip);
        json_set_str(spec, "type", "ClusterIP");
        json_set_str(spec, "clusterIP", ip);
        json_set(spec, "clusterIPs", array_of(json_object_new_string(ip)));
        json_set_str(spec, "sessionAffinity", "None");
        port = https_port(443);
        json_set_i64(port, "targetPort", http_server_port(s->http));
        json_set(spec, "ports", array_of(port));
        return internal_create(s, &(struct internal_write){"", "v1", "services", "default", NULL, svc}, reterr);
}

/* Where pods reach this server, or NULL: a server that only listens on loopback cannot be reached by them. */
static const char *public_address(const struct server *s)
{
        const char *a = s->config.advertise_address ? s->config.advertise_address : s->config.bind_address;
        struct ipaddr ip;

        if (ipaddr_parse(a, &ip) || ipaddr_is_loopback(&ip) || ipaddr_is_unspecified(&ip))
                return NULL;
        return a;
}

static int keep_endpoints(struct server *s, struct err *reterr)
{
        _cleanup_json_ struct json_object *ep = object_named("v1", "Endpoints", "default", "kubernetes");
        struct json_object *subset = json_object_new_object(), *address = json_object_new_object();
        const char *ip = public_address(s);
        struct internal_write w = {"", "v1", "endpoints", "default", "kubernetes", ep};

        json_set_str(json_ensure(json_get(ep, "metadata"), "labels"), "endpointslice.kubernetes.io/skip-mirror",
                     "true");
        if (ip)
                json_set_str(address, "ip", ip);
        json_set(subset, "addresses", array_of(address));
        json_set(subset, "ports", array_of(https_port(http_server_port(s->http))));
        if (ip)
                json_set(ep, "subsets", array_of(subset));
        else
                json_object_put(subset);
        return internal_replace(s, &w, reterr);
}

static int keep_slice(struct server *s, struct err *reterr)
{
        _cleanup_json_ struct json_object *sl =
                object_named("discovery.k8s.io/v1", "EndpointSlice", "default", "kubernetes");
        struct json_object *endpoint = json_object_new_object();
        const char *ip = public_address(s);
        struct internal_write w = {"discovery.k8s.io", "v1", "endpointslices", "default", "kubernetes", sl};

        json_set_str(json_ensure(json_get(sl, "metadata"), "labels"), "kubernetes.io/service-name", "kubernetes");
        json_set_str(sl, "addressType", ip && strchr(ip, ':') ? "IPv6" : "IPv4");
        json_set(sl, "ports", array_of(https_port(http_server_port(s->http))));
        json_set(endpoint, "addresses", array_of(ip ? json_object_new_string(ip) : NULL));
        json_set_bool(json_ensure(endpoint, "conditions"), "ready", true);
        if (!ip)
                json_object_put(TAKE_PTR(endpoint));
        json_set(sl, "endpoints", array_of(endpoint));
        return internal_replace(s, &w, reterr);
}

/* Who looks for metrics asks by this object whether anybody serves them: here the server itself does. */
static int make_metrics_service(struct server *s, struct err *reterr)
{
        static const char name[] = "v1beta1.metrics.k8s.io";
        _cleanup_json_ struct json_object *o = NULL;
        struct internal_write w = {"apiregistration.k8s.io", "v1", "apiservices", NULL, name, NULL};
        struct json_object *spec, *c;
        char now[CLOCK_TEXT_SIZE];
        int r;

        if (!s->usage || is_there(s, w.group, w.plural, NULL, name))
                return 0;
        o = w.obj = object_named("apiregistration.k8s.io/v1", "APIService", NULL, name);
        spec = json_ensure(o, "spec");
        json_set_str(spec, "group", "metrics.k8s.io");
        json_set_str(spec, "version", "v1beta1");
        json_set_i64(spec, "groupPriorityMinimum", 100);
        json_set_i64(spec, "versionPriority", 100);
        r = internal_create(s, &w, reterr);
        if (r)
                return r;
        json_object_put(o);
        o = w.obj = s->reader.get(s->reader.userdata, w.group, w.plural, NULL, name); /* with its revision */
        if (!o)
                return 0;
        c = json_object_new_object();
        json_set_str(c, "type", "Available");
        json_set_str(c, "status", "True");
        json_set_str(c, "reason", "Local");
        json_set_str(c, "message", "Local APIServices are always available");
        json_set_str(c, "lastTransitionTime", clock_now(now));
        json_set(json_ensure(o, "status"), "conditions", array_of(c));
        return internal_replace_status(s, &w, reterr);
}

int bootstrap(struct server *s, struct err *reterr)
{
        int r = make_namespaces(s, reterr);

        if (!r)
                r = make_service_cidr(s, reterr);
        if (!r)
                r = keep_service_cidr_ready(s, reterr);
        if (!r)
                r = make_service(s, reterr);
        if (!r)
                r = keep_endpoints(s, reterr);
        if (!r)
                r = keep_slice(s, reterr);
        if (!r)
                r = make_metrics_service(s, reterr);
        return r;
}
