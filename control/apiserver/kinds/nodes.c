/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define MSG_CIDR     "node updates may not change podCIDR except from \"\" to valid"
#define MSG_PROVIDER "node updates may not change providerID except from \"\" to valid"

/* podCIDR is the first of podCIDRs; when they differ, podCIDR wins. */
static void sync_cidrs(struct json_object *spec)
{
        struct json_object *list = json_get(spec, "podCIDRs");
        const char *one = json_get_str(spec, "podCIDR"),
                   *first = json_len(list) ? json_object_get_string(json_idx(list, 0)) : NULL;

        if (!str_empty(one) && !str_eq(one, first)) {
                list = json_object_new_array();
                json_object_array_add(list, json_object_new_string(one));
                json_set(spec, "podCIDRs", list);
        } else if (str_empty(one) && !str_empty(first)) {
                json_set_str(spec, "podCIDR", first);
        }
}

static void nodes_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_get(obj, "spec"), *status = json_get(obj, "status"),
                           *capacity = json_get(status, "capacity");

        if (spec)
                sync_cidrs(spec);
        if (capacity && !json_has(status, "allocatable"))
                json_set(status, "allocatable", json_copy(capacity));
}

static void nodes_prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        struct json_object *status = json_get(old, "status");

        if (status)
                json_set(obj, "status", json_copy(status));
        else
                json_del(obj, "status");
}

static void check_taints(struct ferrs *e, const struct json_object *taints)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        /* Upstream's path. */
        struct fpath meta = fpath_child(NULL, "metadata"), p = fpath_child(&meta, "taints");

        json_array_foreach (taints, i, taint) {
                struct fpath at = fpath_index(&p, i), key = fpath_child(&at, "key"), value = fpath_child(&at, "value"),
                             effect = fpath_child(&at, "effect");

                check_name(e, &key, NAME_LABEL_KEY, str_of(taint, "key"));
                check_name(e, &value, NAME_LABEL_VALUE, str_of(taint, "value"));
                check_taint_effect(e, &effect, str_of(taint, "effect"), true);
                if (!name_set_add(&seen,
                                  arena_printf(e->arena, "%s:%s", str_of(taint, "key"), str_of(taint, "effect"))))
                        ferr_duplicate(e, &at, taint);
        }
}

static void check_resources(struct ferrs *e, const struct json_object *status, const char *list)
{
        struct fpath p = fpath_child(NULL, "status"), at_list = fpath_child(&p, list);

        json_foreach (json_get(status, list), name, val) {
                struct fpath at = fpath_child(&at_list, name);

                check_resource_quantity(e, &at, name, json_object_get_string(val));
        }
}

static void check_cidrs(struct ferrs *e, const struct json_object *list)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "podCIDRs");
        int families[2] = {0, 0};

        json_array_foreach (list, i, cidr) {
                struct fpath at = fpath_index(&p, i);
                const char *text = json_object_get_string(cidr);

                check_cidr(e, &at, text);
                if (!name_set_add(&seen, text))
                        ferr_duplicate_str(e, &at, text);
                families[is_ipv6_text(text)]++;
        }
        if (families[0] > 1 || families[1] > 1)
                ferr_invalid(e, &p, list, "may specify no more than one CIDR for each IP family");
}

static void nodes_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_taints(e, json_at(obj, "spec.taints"));
        check_resources(e, json_get(obj, "status"), "capacity");
        check_resources(e, json_get(obj, "status"), "allocatable");
        check_cidrs(e, json_at(obj, "spec.podCIDRs"));
}

static void nodes_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                  struct ferrs *e)
{
        struct json_object *spec = json_get(obj, "spec"), *was = json_get(old, "spec");
        struct fpath p = fpath_child(NULL, "spec"), cidrs = fpath_child(&p, "podCIDRs"),
                     provider = fpath_child(&p, "providerID");

        if (json_len(json_get(was, "podCIDRs")) && !json_equal(json_get(was, "podCIDRs"), json_get(spec, "podCIDRs")))
                ferr_forbidden(e, &cidrs, MSG_CIDR);
        if (*str_of(was, "providerID") && !str_eq(str_of(was, "providerID"), str_of(spec, "providerID")))
                ferr_forbidden(e, &provider, MSG_PROVIDER);
}

static void nodes_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                  struct ferrs *e)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath status = fpath_child(NULL, "status"), p = fpath_child(&status, "addresses");

        check_resources(e, json_get(obj, "status"), "capacity");
        check_resources(e, json_get(obj, "status"), "allocatable");
        json_array_foreach (json_at(obj, "status.addresses"), i, a) {
                struct fpath at = fpath_index(&p, i);

                if (!name_set_add(&seen, arena_printf(e->arena, "%s %s", str_of(a, "type"), str_of(a, "address"))))
                        ferr_duplicate(e, &at, a);
        }
}

static const struct kind_field node_fields[] = {
        {.label = "spec.unschedulable", .path = "spec.unschedulable", .otherwise = "false"},
        {0},
};

const struct kind_ops kind_nodes = {
        .group = "",
        .plural = "nodes",
        .defaults = nodes_defaults,
        .prepare_update = nodes_prepare_update,
        .validate = nodes_validate,
        .validate_update = nodes_validate_update,
        .validate_status = nodes_validate_status,
        .fields = node_fields,
};
