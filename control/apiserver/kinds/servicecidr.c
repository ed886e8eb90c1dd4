/* SPDX-License-Identifier: Apache-2.0 */
/* ServiceCIDRs and IPAddresses: the ranges and the addresses of Services as objects. */
#include "apiserver/alloc/ipaddr.h"
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

static void check_cidrs(const struct json_object *spec, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *cidrs = json_get(spec, "cidrs");
        size_t before = e->n;

        if (!json_len(cidrs)) {
                ferr_required(e, p, "at least one CIDR required");
                return;
        }
        if (json_len(cidrs) > 2) {
                ferr_invalid(e, p, spec, "may only hold up to 2 values");
                return;
        }
        for (size_t i = 0; i < json_len(cidrs); i++)
                check_name(e, FPI(p, i), NAME_CIDR, str_at(cidrs, i));
        if (json_len(cidrs) == 2 && e->n == before && is_ipv6_text(str_at(cidrs, 0)) == is_ipv6_text(str_at(cidrs, 1)))
                ferr_invalid(
                        e, p, cidrs,
                        "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
}

static void cidr_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_cidrs(json_get(obj, "spec"), FP(FP(NULL, "spec"), "cidrs"), e);
}

/* A second family may be added; nothing else changes. */
static void cidr_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                 struct ferrs *e)
{
        const struct json_object *now = json_at(obj, "spec.cidrs"), *before = json_at(old, "spec.cidrs");
        const struct fpath *p = FP(FP(NULL, "spec"), "cidrs");
        size_t n = json_len(now), m = json_len(before);

        if (n != m && !(m == 1 && n == 2)) {
                ferr_invalid(e, p, now, MSG_IMMUTABLE);
                return;
        }
        for (size_t i = 0; i < m; i++)
                if (!str_eq(str_at(now, i), str_at(before, i)))
                        ferr_invalid_str(e, FPI(p, i), str_at(now, i), MSG_IMMUTABLE);
}

const struct kind_ops kind_servicecidrs = {
        .group = "networking.k8s.io",
        .plural = "servicecidrs",
        .flags = KIND_STATUS_RESET,
        .validate = cidr_validate,
        .validate_update = cidr_validate_update,
};

static const char *address_name(const char *name)
{
        const char *error = name_error(NAME_IP, name);

        /* Two spellings would be two objects for one address. */
        return error ? error : ipaddr_is_canonical(name) ? NULL : "must be a canonical format IP address";
}

static void address_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *ref = json_at(obj, "spec.parentRef");
        const struct fpath *p = FP(FP(NULL, "spec"), "parentRef");

        if (!ref) {
                ferr_required(e, p, NULL);
                return;
        }
        check_name_if(e, p, ref, "group", NAME_DNS1123_SUBDOMAIN);
        check_name_required(e, p, ref, "resource", NAME_PATH_SEGMENT);
        check_name_required(e, p, ref, "name", NAME_PATH_SEGMENT);
        check_name_if(e, p, ref, "namespace", NAME_PATH_SEGMENT);
}

static void address_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                    struct ferrs *e)
{
        check_immutable(e, FP(NULL, "spec"), json_get(obj, "spec"), json_get(old, "spec"), "parentRef");
}

const struct kind_ops kind_ipaddresses = {
        .group = "networking.k8s.io",
        .plural = "ipaddresses",
        .validate_name = address_name,
        .validate = address_validate,
        .validate_update = address_validate_update,
};
