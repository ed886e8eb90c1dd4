/* SPDX-License-Identifier: Apache-2.0 */
/* CSIDrivers, CSINodes and CSIStorageCapacities. */
#include <string.h>

#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define STORAGE           "storage.k8s.io"
#define NODE_ID_MAX_LEN   256
#define TOKEN_MIN_S       600
#define TOKEN_MAX_S       (INT64_C(1) << 32)
#define UPDATE_PERIOD_MIN 10

static void driver_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *modes;

        json_default_bool(spec, "attachRequired", true);
        json_default_bool(spec, "podInfoOnMount", false);
        json_default_bool(spec, "storageCapacity", false);
        json_default_str(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        json_default_bool(spec, "requiresRepublish", false);
        json_default_bool(spec, "seLinuxMount", false);
        if (json_len(json_get(spec, "volumeLifecycleModes")))
                return;
        modes = json_object_new_array();
        json_object_array_add(modes, json_object_new_string("Persistent"));
        json_set(spec, "volumeLifecycleModes", modes);
}

static void check_token_requests(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set audiences = NAME_SET_NULL;

        json_array_foreach (list, i, request) {
                const struct fpath *seconds_path = FP(FPI(p, i), "expirationSeconds");
                int64_t seconds = json_get_i64(request, "expirationSeconds", TOKEN_MIN_S);

                if (!name_set_add(&audiences, str_of(request, "audience"))) {
                        ferr_duplicate_str(e, FP(FPI(p, i), "audience"), str_of(request, "audience"));
                        continue;
                }
                if (seconds < TOKEN_MIN_S)
                        ferr_invalid_i64(e, seconds_path, seconds, "may not specify a duration less than 10 minutes");
                if (seconds > TOKEN_MAX_S)
                        ferr_invalid_i64(e, seconds_path, seconds,
                                         "may not specify a duration larger than 2^32 seconds");
        }
}

static void driver_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const policies[] = {"File", "None", "ReadWriteOnceWithFSType", NULL};
        static const char *const modes[] = {"Persistent", "Ephemeral", NULL};
        const struct json_object *spec = json_get(obj, "spec"), *given = json_get(spec, "volumeLifecycleModes");
        const struct fpath *p = FP(NULL, "spec");
        int64_t period = json_get_i64(spec, "nodeAllocatableUpdatePeriodSeconds", UPDATE_PERIOD_MIN);

        check_one_of(e, p, spec, "fsGroupPolicy", policies, false);
        check_token_requests(json_get(spec, "tokenRequests"), FP(p, "tokenRequests"), e);
        for (size_t i = 0; i < json_len(given); i++)
                if (!one_of(str_at(given, i), modes))
                        ferr_not_supported(e, FP(p, "volumeLifecycleModes"), str_at(given, i), modes);
        if (period < UPDATE_PERIOD_MIN)
                ferr_invalid_i64(e, FP(p, "nodeAllocatableUpdatePeriodSeconds"), period,
                                 "must be greater than or equal to 10 seconds");
}

static void driver_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec"), *before = json_get(old, "spec");
        const struct fpath *p = FP(NULL, "spec");

        /* The first path is upstream's. */
        if (!json_equal(json_get(spec, "attachRequired"), json_get(before, "attachRequired")))
                ferr_invalid(e, FP(p, "attachedRequired"), json_get(spec, "attachRequired"), MSG_IMMUTABLE);
        check_immutable(e, p, spec, before, "volumeLifecycleModes");
}

const struct kind_ops kind_csidrivers = {
        .group = STORAGE,
        .plural = "csidrivers",
        .flags = KIND_NO_UNCONDITIONAL_UPDATE,
        .defaults = driver_defaults,
        .validate = driver_validate,
        .validate_update = driver_validate_update,
};

static void check_topology_keys(const struct json_object *keys, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;

        for (size_t i = 0; i < json_len(keys); i++) {
                const char *key = str_at(keys, i);

                if (!*key)
                        ferr_required(e, p, NULL);
                if (!name_set_add(&seen, key))
                        ferr_duplicate_str(e, p, key);
                check_name(e, p, NAME_LABEL_KEY, key);
        }
}

static void node_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct fpath *drivers = FP(FP(NULL, "spec"), "drivers");
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        json_array_foreach (json_at(obj, "spec.drivers"), i, driver) {
                const struct fpath *p = FPI(drivers, i);
                const char *name = str_of(driver, "name"), *id = str_of(driver, "nodeID");

                check_name(e, FP(p, "name"), NAME_DNS1123_SUBDOMAIN, name);
                if (!*id)
                        ferr_required(e, FP(p, "nodeID"), NULL);
                if (strlen(id) > NODE_ID_MAX_LEN)
                        ferr_invalid_str(e, FP(p, "nodeID"), id, "must be %d characters or less", NODE_ID_MAX_LEN);
                check_non_negative(e, FP(p, "allocatable"), json_get(driver, "allocatable"), "count");
                if (!name_set_add(&names, name))
                        ferr_duplicate_str(e, FP(p, "name"), name);
                check_topology_keys(json_get(driver, "topologyKeys"), p, e);
        }
}

/* A driver's entry may come, go, and change what the node can hold of it. */
static bool same_driver(const struct json_object *a, const struct json_object *b)
{
        return str_eq(str_of(a, "nodeID"), str_of(b, "nodeID")) &&
               json_equal(json_get(a, "topologyKeys"), json_get(b, "topologyKeys"));
}

static void node_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                 struct ferrs *e)
{
        json_array_foreach (json_at(old, "spec.drivers"), i, before) {
                json_array_foreach (json_at(obj, "spec.drivers"), j, driver)
                        if (str_eq(str_of(driver, "name"), str_of(before, "name")) && !same_driver(driver, before))
                                ferr_invalid(e, FP(FP(NULL, "spec"), "drivers"), driver, MSG_IMMUTABLE);
        }
}

const struct kind_ops kind_csinodes = {
        .group = STORAGE,
        .plural = "csinodes",
        .flags = KIND_NO_UNCONDITIONAL_UPDATE,
        .validate = node_validate,
        .validate_update = node_validate_update,
};

static void capacity_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const char *amount = str_of(obj, "capacity");

        check_label_selector(e, FP(NULL, "nodeTopology"), json_get(obj, "nodeTopology"));
        check_name(e, FP(NULL, "storageClassName"), NAME_DNS1123_SUBDOMAIN, str_of(obj, "storageClassName"));
        if (*amount == '-')
                ferr_invalid_str(e, FP(NULL, "capacity"), amount, MSG_NEGATIVE);
}

static void capacity_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                     struct ferrs *e)
{
        check_immutable(e, NULL, obj, old, "nodeTopology");
        check_immutable_str(e, NULL, obj, old, "storageClassName");
}

const struct kind_ops kind_csistoragecapacities = {
        .group = STORAGE,
        .plural = "csistoragecapacities",
        .flags = KIND_NO_UNCONDITIONAL_UPDATE,
        .validate = capacity_validate,
        .validate_update = capacity_validate_update,
};
