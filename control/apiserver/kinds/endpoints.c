/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and EndpointSlices: where the traffic of Services goes. */
#include <string.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define SLICE_ENDPOINTS_MAX 1000
#define SLICE_ADDRESSES_MAX 100
#define SLICE_PORTS_MAX     20000
#define SLICE_TOPOLOGY_MAX  16
#define SLICE_HINTS_MAX     8

static void endpoints_defaults(const struct kctx *c, struct json_object *obj)
{
        json_array_foreach (json_get(obj, "subsets"), i, subset) {
                json_array_foreach (json_get(subset, "ports"), j, port)
                        json_default_str(port, "protocol", "TCP");
        }
}

static void check_address(const struct json_object *address, const struct fpath *p, struct ferrs *e)
{
        const char *ip = str_of(address, "ip");
        size_t before = e->n;

        check_ip(e, FP(p, "ip"), ip);
        if (e->n == before)
                check_endpoint_ip(e, FP(p, "ip"), ip);
        check_name_if(e, p, address, "hostname", NAME_DNS1123_LABEL);
        check_name_if(e, p, address, "nodeName", NAME_DNS1123_SUBDOMAIN);
}

static void check_addresses(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        json_array_foreach (list, i, address)
                check_address(address, FPI(p, i), e);
}

static void check_endpoint_port(const struct json_object *port, bool need_name, const struct fpath *p, struct ferrs *e)
{
        const char *name = str_of(port, "name");

        if (!*name && need_name)
                ferr_required(e, FP(p, "name"), NULL);
        else if (*name)
                check_name(e, FP(p, "name"), NAME_DNS1123_LABEL, name);
        check_port_number(e, FP(p, "port"), json_get_i64(port, "port", 0));
        check_protocol(e, FP(p, "protocol"), str_of(port, "protocol"));
        check_name_if(e, p, port, "appProtocol", NAME_LABEL_KEY);
}

static void endpoints_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct fpath *subsets = FP(NULL, "subsets");

        json_array_foreach (json_get(obj, "subsets"), i, subset) {
                const struct fpath *p = FPI(subsets, i);
                const struct json_object *ready = json_get(subset, "addresses"), *ports = json_get(subset, "ports");
                const struct json_object *not_ready = json_get(subset, "notReadyAddresses");

                if (!json_len(ready) && !json_len(not_ready))
                        ferr_required(e, p, "must specify `addresses` or `notReadyAddresses`");
                check_addresses(ready, FP(p, "addresses"), e);
                check_addresses(not_ready, FP(p, "notReadyAddresses"), e);
                json_array_foreach (ports, j, port)
                        check_endpoint_port(port, json_len(ports) > 1, FPI(FP(p, "ports"), j), e);
        }
}

static void endpoints_warn(const struct kctx *c, const struct json_object *obj, const struct json_object *old)
{
        warnings_add(c->warnings, "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
}

const struct kind_ops kind_endpoints = {
        .group = "",
        .plural = "endpoints",
        .flags = KIND_CREATE_ON_UPDATE,
        .defaults = endpoints_defaults,
        .validate = endpoints_validate,
        .warn = endpoints_warn,
};

/* An absent name and an empty one are the same to readers; what is stored says so. */
static void slice_defaults(const struct kctx *c, struct json_object *obj)
{
        json_array_foreach (json_get(obj, "ports"), i, port) {
                json_default_str(port, "name", "");
                json_default_str(port, "protocol", "TCP");
        }
}

static void check_fqdn(const char *name, const struct fpath *p, struct ferrs *e)
{
        size_t n = strlen(name);

        if (!n) {
                ferr_required(e, p, NULL);
                return;
        }
        if (name[n - 1] == '.')
                name = arena_strndup(e->arena, name, n - 1);
        if (name_error(NAME_DNS1123_SUBDOMAIN, name)) {
                check_name(e, p, NAME_DNS1123_SUBDOMAIN, name);
                return;
        }
        if (!strchr(name, '.'))
                ferr_invalid_str(e, p, name, "should be a domain with at least two segments separated by dots");
}

static void check_slice_address(const char *type, const char *address, const struct fpath *p, struct ferrs *e)
{
        struct ipaddr ip;

        if (str_eq(type, "FQDN")) {
                check_fqdn(address, p, e);
                return;
        }
        if (!str_eq(type, "IPv4") && !str_eq(type, "IPv6"))
                return;
        if (ipaddr_parse(address, &ip) || !str_eq(ipaddr_family(&ip), type))
                ferr_invalid_str(e, p, address, "must be a valid %s address", type);
        check_endpoint_ip(e, p, address);
}

static void check_slice_addresses(const char *type, const struct json_object *list, const struct fpath *p,
                                  struct ferrs *e)
{
        if (!json_len(list))
                ferr_required(e, p, "must contain at least 1 address");
        if (json_len(list) > SLICE_ADDRESSES_MAX)
                ferr_too_many(e, p, json_len(list), SLICE_ADDRESSES_MAX);
        for (size_t i = 0; i < json_len(list); i++)
                check_slice_address(type, str_at(list, i), FPI(p, i), e);
}

static void check_hint_names(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        if (json_len(list) > SLICE_HINTS_MAX) {
                ferr_too_many(e, p, json_len(list), SLICE_HINTS_MAX);
                return;
        }
        json_array_foreach (list, i, hint) {
                const char *name = str_of(hint, "name");

                if (!name_set_add(&names, name))
                        ferr_duplicate_str(e, FP(FPI(p, i), "name"), name);
                if (name_error(NAME_LABEL_VALUE, name))
                        check_name(e, FP(FPI(p, i), "name"), NAME_LABEL_VALUE, name);
                else if (!*name)
                        ferr_required(e, FP(FPI(p, i), "name"), NULL);
        }
}

static void check_slice_endpoint(const char *type, const struct json_object *endpoint, const struct fpath *p,
                                 struct ferrs *e)
{
        const struct json_object *topology = json_get(endpoint, "deprecatedTopology");
        const struct json_object *hints = json_get(endpoint, "hints");
        size_t labels = topology ? (size_t)json_object_object_length(topology) : 0;

        check_slice_addresses(type, json_get(endpoint, "addresses"), FP(p, "addresses"), e);
        check_name_if(e, p, endpoint, "nodeName", NAME_DNS1123_SUBDOMAIN);
        if (labels > SLICE_TOPOLOGY_MAX)
                ferr_too_many(e, FP(p, "deprecatedTopology"), labels, SLICE_TOPOLOGY_MAX);
        check_labels(e, FP(p, "deprecatedTopology"), topology);
        check_name_if(e, p, endpoint, "hostname", NAME_DNS1123_LABEL);
        check_hint_names(json_get(hints, "forZones"), FP(FP(p, "hints"), "forZones"), e);
        check_hint_names(json_get(hints, "forNodes"), FP(FP(p, "hints"), "forNodes"), e);
}

static void check_slice_ports(const struct json_object *ports, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        if (json_len(ports) > SLICE_PORTS_MAX) {
                ferr_too_many(e, p, json_len(ports), SLICE_PORTS_MAX);
                return;
        }
        json_array_foreach (ports, i, port) {
                const char *name = str_of(port, "name");
                const struct fpath *at = FPI(p, i);

                if (*name)
                        check_name(e, FP(at, "name"), NAME_DNS1123_LABEL, name);
                if (!name_set_add(&names, name))
                        ferr_duplicate_str(e, FP(at, "name"), name);
                check_protocol(e, FP(at, "protocol"), str_of(port, "protocol"));
                check_name_if(e, at, port, "appProtocol", NAME_LABEL_KEY);
        }
}

static void slice_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
        const struct json_object *endpoints = json_get(obj, "endpoints");
        const char *type = str_of(obj, "addressType");
        const struct fpath *p = FP(NULL, "endpoints");

        check_one_of(e, NULL, obj, "addressType", types, true);
        if (json_len(endpoints) > SLICE_ENDPOINTS_MAX) {
                ferr_too_many(e, p, json_len(endpoints), SLICE_ENDPOINTS_MAX);
        } else {
                json_array_foreach (endpoints, i, endpoint)
                        check_slice_endpoint(type, endpoint, FPI(p, i), e);
        }
        check_slice_ports(json_get(obj, "ports"), FP(NULL, "ports"), e);
}

static void slice_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                  struct ferrs *e)
{
        check_immutable_str(e, NULL, obj, old, "addressType");
}

static void slice_warn(const struct kctx *c, const struct json_object *obj, const struct json_object *old)
{
        if (str_eq(str_of(obj, "addressType"), "FQDN"))
                warnings_add(c->warnings, "spec.addressType: FQDN endpoints are deprecated");
}

const struct kind_ops kind_endpointslices = {
        .group = "discovery.k8s.io",
        .plural = "endpointslices",
        .flags = KIND_GENERATION,
        .defaults = slice_defaults,
        .validate = slice_validate,
        .validate_update = slice_validate_update,
        .warn = slice_warn,
};
