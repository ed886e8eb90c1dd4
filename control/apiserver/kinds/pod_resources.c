/* SPDX-License-Identifier: Apache-2.0 */
/* Names and quantities of resources: cpu, memory, hugepages-2Mi, example.com/gpu, ... (pkg/apis/core/helper). */
#include <string.h>

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"
#include "kube/quantity.h"

#define HUGEPAGES "hugepages-"

static struct quantity quantity_of_text(const char *text)
{
        struct quantity q = QUANTITY_NULL;

        (void)quantity_parse(text ? text : "0", &q, NULL);
        return q;
}

int quantity_text_cmp(const char *a, const char *b)
{
        struct quantity x, y;

        if (a && b && strcmp(a, b) == 0)
                return 0;
        x = quantity_of_text(a);
        y = quantity_of_text(b);
        return quantity_compare(&x, &y);
}

static const char *const container_resources[] = {"cpu", "memory", "ephemeral-storage", NULL};
static const char *const quota_resources[] = {
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
        NULL,
};
/* Counted in whole numbers. */
static const char *const integer_resources[] = {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
        NULL,
};

static bool is_hugepages(const char *name)
{
        return str_has_prefix(name, HUGEPAGES);
}

/* Without a domain, or in kubernetes.io. */
static bool is_native(const char *name)
{
        return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

static bool is_extended(const char *name)
{
        return !is_native(name) && !str_has_prefix(name, "requests.") && strlen(name) <= 253 - strlen("requests.");
}

bool resource_allows_overcommit(const char *name)
{
        return is_native(name) && !is_hugepages(name);
}

bool resource_is_quota_name(const char *name)
{
        return one_of(name, quota_resources) || str_has_prefix(name, "requests." HUGEPAGES) || is_hugepages(name);
}

/* Any resource that some place of the API knows. */
static bool is_standard(const char *name)
{
        return resource_is_quota_name(name) || str_eq(name, "storage");
}

static const char *name_problem(const char *name, enum resource_place place)
{
        bool plain = !strchr(name, '/');

        if (plain && !is_standard(name))
                return "must be a standard resource type or fully qualified";
        if (place == RESOURCE_OF_QUOTA && plain && !resource_is_quota_name(name))
                return "must be a standard resource for quota";
        if (place != RESOURCE_OF_CONTAINER)
                return NULL;
        if (plain && !one_of(name, container_resources) && !is_hugepages(name))
                return "must be a standard resource for containers";
        if (!plain && !is_native(name) && !is_extended(name))
                return "doesn't follow extended resource name standard";
        return NULL;
}

void check_resource_name(struct ferrs *e, const struct fpath *p, const char *name, enum resource_place place)
{
        static const char *const of_pods[] = {"cpu", "hugepages-", "memory", NULL};
        size_t before = e->n;
        const char *problem;

        check_name(e, p, NAME_LABEL_KEY, name);
        if (e->n != before)
                return;
        problem = name_problem(name, place);
        if (problem)
                ferr_invalid_str(e, p, name, "%s", problem);
        /* A container's bad name is bad in two ways. */
        if (problem && place == RESOURCE_OF_CONTAINER && !strchr(name, '/') && !is_standard(name))
                ferr_invalid_str(e, p, name, "must be a standard resource for containers");
        if (!problem && place == RESOURCE_OF_POD && !one_of(name, of_pods) && !is_hugepages(name))
                ferr_not_supported(e, p, name, of_pods);
}

void check_resource_quantity(struct ferrs *e, const struct fpath *p, const char *resource, const char *quantity)
{
        struct quantity q = quantity_of_text(quantity);

        if (quantity_sign(&q) < 0)
                ferr_invalid_str(e, p, quantity, MSG_NEGATIVE);
        if ((one_of(resource, integer_resources) || is_extended(resource)) && quantity_milli(&q) % 1000 != 0)
                ferr_invalid_str(e, p, quantity, "must be an integer");
}

/* hugepages-2Mi comes in multiples of 2Mi. */
static void check_hugepages(struct ferrs *e, const struct fpath *p, const char *name, const char *quantity)
{
        struct quantity q = quantity_of_text(quantity), page = quantity_of_text(name + strlen(HUGEPAGES));
        int64_t size = quantity_value(&page);

        if (quantity_sign(&page) > 0 && size && quantity_sign(&q) >= 0 && quantity_value(&q) % size == 0)
                return;
        ferr_invalid_str(e, p, quantity, "%s is not positive integer multiple of %s", quantity, name);
}

struct requirement_scan {
        bool cpu_or_memory, hugepages;
};

static void check_one(struct ferrs *e, const struct fpath *list, const char *name, const char *quantity,
                      enum resource_place place, struct requirement_scan *scan)
{
        struct fpath p = fpath_key(list, name);

        check_resource_name(e, &p, name, place);
        check_resource_quantity(e, &p, name, quantity);
        if (is_hugepages(name)) {
                scan->hugepages = true;
                check_hugepages(e, &p, name, quantity);
        }
        scan->cpu_or_memory |= str_eq(name, "cpu") || str_eq(name, "memory");
}

static void check_request_of_limit(struct ferrs *e, const struct fpath *requests, const struct fpath *limits_path,
                                   const struct json_object *limits, const char *name, const char *quantity)
{
        const char *limit = json_get_str(limits, name);

        if (!limit) {
                if (!resource_allows_overcommit(name))
                        ferr_required(e, limits_path, "Limit must be set for non overcommitable resources");
                return;
        }
        if (!resource_allows_overcommit(name) && quantity_text_cmp(quantity, limit) != 0)
                ferr_invalid_str(e, requests, quantity, "must be equal to %s limit of %s", name, limit);
        else if (quantity_text_cmp(quantity, limit) > 0)
                ferr_invalid_str(e, requests, quantity, "must be less than or equal to %s limit of %s", name, limit);
}

static void check_claims(struct pod_check *pc, const struct fpath *parent, const struct json_object *claims)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath p = fpath_child(parent, "claims");

        json_array_foreach (claims, i, claim) {
                struct fpath at = fpath_index(&p, i);
                const char *name = str_of(claim, "name"), *request = str_of(claim, "request");

                if (!*name) {
                        ferr_required(pc->e, &at, NULL);
                        continue;
                }
                check_name_if(pc->e, &at, claim, "request", NAME_DNS1123_LABEL);
                if (!name_set_add(&seen, arena_printf(pc->e->arena, "%s/%s", name, request)))
                        ferr_duplicate_str(pc->e, &at, name);
                if (!name_set_get(&pc->claims, name))
                        ferr_not_found_str(pc->e, &at, name);
        }
}

void pod_check_requirements(struct pod_check *pc, const struct fpath *p, const struct json_object *resources,
                            enum resource_place place)
{
        struct json_object *limits = json_get(resources, "limits"), *requests = json_get(resources, "requests");
        struct fpath at_limits = fpath_child(p, "limits"), at_requests = fpath_child(p, "requests");
        struct requirement_scan scan = {0};

        if (!resources)
                return;
        json_foreach (limits, name, val) {
                check_one(pc->e, &at_limits, name, json_object_get_string(val), place, &scan);
        }
        json_foreach (requests, key, request) {
                const char *quantity = json_object_get_string(request);

                check_one(pc->e, &at_requests, key, quantity, place, &scan);
                check_request_of_limit(pc->e, &at_requests, &at_limits, limits, key, quantity);
        }
        if (scan.hugepages && !scan.cpu_or_memory)
                ferr_forbidden(pc->e, p, "HugePages require cpu or memory");
        check_claims(pc, p, json_get(resources, "claims"));
}
