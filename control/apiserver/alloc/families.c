/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IP families of a Service. Without a wish it has the one family that is the cluster's first; a policy, families or
 * addresses that the user gave decide otherwise. A Service is never moved between one and two families but on request.
 * The rules and texts are those of kube-apiserver's initIPFamilyFields.
 */
#include "apiserver/alloc/service.h"
#include "base/str.h"

#define SINGLE  "SingleStack"
#define PREFER  "PreferDualStack"
#define REQUIRE "RequireDualStack"

struct families {
        const char *primary;   /* "IPv4" */
        const char *secondary; /* or NULL */
};

static const char *family_of_cidr(const char *cidr)
{
        struct ipcidr c;

        return cidr && ipcidr_parse(cidr, &c) == 0 ? ipaddr_family(&c.addr) : NULL;
}

static struct families cluster_families(const struct kind_config *config)
{
        return (struct families){.primary = family_of_cidr(config->service_cidr[0]),
                                 .secondary = family_of_cidr(config->service_cidr[1])};
}

static bool has_family(const struct families *f, const char *family)
{
        return str_eq(family, f->primary) || str_eq(family, f->secondary);
}

static const char *other_family(const char *family)
{
        return str_eq(family, "IPv4") ? "IPv6" : "IPv4";
}

static const char *element(const struct json_object *spec, const char *array, size_t i)
{
        struct json_object *v = json_idx(json_get(spec, array), i);

        return json_is_string(v) ? json_object_get_string(v) : "";
}

static size_t count(const struct json_object *spec, const char *array)
{
        return json_len(json_get(spec, array));
}

static void append(struct json_object *spec, const char *array, const char *value)
{
        if (!json_is_array(json_get(spec, array)))
                json_set(spec, array, json_object_new_array());
        json_object_array_add(json_get(spec, array), json_object_new_string(value));
}

static void keep_first(struct json_object *spec, const char *array)
{
        struct json_object *one = json_object_new_array();

        json_object_array_add(one, json_object_new_string(element(spec, array, 0)));
        json_set(spec, array, one);
}

static bool same(const struct json_object *a, const struct json_object *b, const char *field)
{
        return json_equal(json_get(a, field), json_get(b, field));
}

/* A PreferDualStack Service whose addresses and families nobody touches stays as it is, whatever the cluster became. */
static bool is_untouched_prefer(const struct json_object *spec, const struct json_object *old)
{
        return old && str_eq(json_get_str(spec, "ipFamilyPolicy"), PREFER) && same(spec, old, "ipFamilyPolicy") &&
               same(spec, old, "type") && same(spec, old, "clusterIP") && same(spec, old, "clusterIPs") &&
               same(spec, old, "ipFamilies");
}

static void default_policy(struct json_object *spec, const struct json_object *old)
{
        const char *before = json_get_str(old, "ipFamilyPolicy");

        if (json_has(spec, "ipFamilyPolicy"))
                return;
        if (before)
                json_set_str(spec, "ipFamilyPolicy", before);
        else if (str_eq(json_get_str(spec, "clusterIP"), "None") && !json_has(spec, "selector"))
                json_set_str(spec, "ipFamilyPolicy", REQUIRE);
        else
                json_set_str(spec, "ipFamilyPolicy", SINGLE);
}

/* The new list is the beginning of the old one. */
static bool is_reduced(const struct json_object *spec, const struct json_object *old, const char *array)
{
        size_t n = count(spec, array);

        if (n == 0 || count(old, array) == 0 || n >= count(old, array))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!str_eq(element(spec, array, i), element(old, array, i)))
                        return false;
        return true;
}

static void policy_invalid(struct ferrs *e, const struct json_object *spec, const char *msg)
{
        struct fpath s = fpath_child(NULL, "spec"), p = fpath_child(&s, "ipFamilyPolicy");

        ferr_invalid(e, &p, json_get(spec, "ipFamilyPolicy"), "%s", msg);
}

static void check_reductions(struct json_object *spec, const struct json_object *old, struct ferrs *e)
{
        if (str_eq(json_get_str(spec, "ipFamilyPolicy"), SINGLE)) {
                if (same(spec, old, "clusterIPs") && count(spec, "clusterIPs") > 1)
                        keep_first(spec, "clusterIPs");
                if (same(spec, old, "ipFamilies") && count(spec, "ipFamilies") > 1)
                        keep_first(spec, "ipFamilies");
                return;
        }
        if (is_reduced(spec, old, "clusterIPs"))
                policy_invalid(e, spec, "must be 'SingleStack' to release the secondary cluster IP");
        if (is_reduced(spec, old, "ipFamilies"))
                policy_invalid(e, spec, "must be 'SingleStack' to release the secondary IP family");
}

static void check_single(const struct json_object *spec, struct ferrs *e)
{
        if (!str_eq(json_get_str(spec, "ipFamilyPolicy"), SINGLE))
                return;
        if (count(spec, "clusterIPs") == 2)
                policy_invalid(
                        e, spec,
                        "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified");
        if (count(spec, "ipFamilies") == 2)
                policy_invalid(
                        e, spec,
                        "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified");
}

static void infer_from_addresses(struct json_object *spec, const struct families *f, struct ferrs *e)
{
        struct fpath s = fpath_child(NULL, "spec"), ips = fpath_child(&s, "clusterIPs");
        struct ipaddr ip;

        for (size_t i = 0; i < count(spec, "clusterIPs"); i++) {
                struct fpath p = fpath_index(&ips, i);

                if (ipaddr_parse(element(spec, "clusterIPs", i), &ip))
                        return; /* "None" */
                if (i < count(spec, "ipFamilies"))
                        continue;
                if (has_family(f, ipaddr_family(&ip)))
                        append(spec, "ipFamilies", ipaddr_family(&ip));
                else
                        ferr_invalid(e, &p, json_get(spec, "clusterIPs"), "%s is not configured on this cluster",
                                     ipaddr_family(&ip));
        }
}

static void check_configured(const struct json_object *spec, const struct families *f, struct ferrs *e)
{
        struct fpath s = fpath_child(NULL, "spec"), families = fpath_child(&s, "ipFamilies");

        if (str_eq(json_get_str(spec, "ipFamilyPolicy"), REQUIRE) && !f->secondary)
                policy_invalid(e, spec, "this cluster is not configured for dual-stack services");
        for (size_t i = 0; i < count(spec, "ipFamilies"); i++) {
                struct fpath p = fpath_index(&families, i);

                if (!has_family(f, element(spec, "ipFamilies", i)))
                        ferr_invalid_str(e, &p, element(spec, "ipFamilies", i), "not configured on this cluster");
        }
}

void alloc_service_families(const struct kctx *c, struct json_object *obj, const struct json_object *old_obj,
                            struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec");
        const struct json_object *old = json_get(old_obj, "spec");
        struct families f = cluster_families(c->config);
        size_t before = e->n;
        bool free_headless, dual;

        if (service_is_type(spec, "ExternalName") || is_untouched_prefer(spec, old))
                return;
        default_policy(spec, old);
        if (old)
                check_reductions(spec, old, e);
        check_single(spec, e);
        infer_from_addresses(spec, &f, e);
        if (e->n > before)
                return;

        /* Headless without a selector: its endpoints are somebody else's, who may use both families anywhere. */
        free_headless = str_eq(json_get_str(spec, "clusterIP"), "None") && !json_has(spec, "selector");
        if (!free_headless)
                check_configured(spec, &f, e);
        if (e->n > before)
                return;
        if (count(spec, "ipFamilies") == 0)
                append(spec, "ipFamilies", f.primary);
        dual = !str_eq(json_get_str(spec, "ipFamilyPolicy"), SINGLE);
        if (dual && count(spec, "ipFamilies") == 1 && (free_headless || f.secondary))
                append(spec, "ipFamilies", other_family(element(spec, "ipFamilies", 0)));
}
