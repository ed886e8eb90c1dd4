/* SPDX-License-Identifier: Apache-2.0 */
/* The annotations of pods that mean something to the server. */
#include <stdint.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define APP_ARMOR     "container.apparmor.security.beta.kubernetes.io/"
#define SECCOMP_POD   "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP       "container.seccomp.security.alpha.kubernetes.io/"
#define DELETION_COST "controller.kubernetes.io/pod-deletion-cost"
#define MIRROR        "kubernetes.io/config.mirror"

static bool has_container(const struct json_object *spec, const char *name)
{
        static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers", NULL};

        for (const char *const *list = lists; *list; list++) {
                json_array_foreach (json_get(spec, *list), i, container) {
                        if (str_eq(str_of(container, "name"), name))
                                return true;
                }
        }
        return false;
}

static void check_app_armor(struct pod_check *pc, const struct fpath *p, const char *container, const char *profile)
{
        if (!has_container(pc->spec, container))
                ferr_invalid_str(pc->e, p, container, "container not found");
        if (*profile && !str_eq(profile, "runtime/default") && !str_eq(profile, "unconfined") &&
            !str_has_prefix(profile, "localhost/"))
                ferr_invalid_str(pc->e, p, profile, "invalid AppArmor profile name: \"%s\"", profile);
}

static void check_seccomp(struct pod_check *pc, const struct fpath *p, const char *profile)
{
        const char *local = str_after(profile, "localhost/");

        if (local)
                check_descending_path(pc->e, p, local);
        else if (!str_eq(profile, "runtime/default") && !str_eq(profile, "docker/default") &&
                 !str_eq(profile, "unconfined"))
                ferr_invalid_str(pc->e, p, profile, "must be a valid seccomp profile");
}

static void check_deletion_cost(struct pod_check *pc, const struct fpath *p, const char *value)
{
        const char *digits = *value == '-' ? value + 1 : value;
        int64_t n;

        /* One way to write each number: no plus, no leading zeros. */
        if (*value == '+' || (*digits == '0' && value[1]) || str_parse_i64(value, &n) || n < INT32_MIN || n > INT32_MAX)
                ferr_invalid_str(pc->e, p, value, "must be a 32bit integer");
}

void pod_check_annotations(struct pod_check *pc, const struct fpath *annotations_path,
                           const struct json_object *annotations)
{
        json_foreach (annotations, key, val) {
                const char *value = json_is_string(val) ? json_object_get_string(val) : "", *container;
                struct fpath at = fpath_key(annotations_path, key), child = fpath_child(annotations_path, key);

                if (str_eq(key, MIRROR) && !*str_of(pc->spec, "nodeName"))
                        ferr_invalid_str(pc->e, &at, value, "must set spec.nodeName if mirror pod annotation is set");
                else if (str_eq(key, DELETION_COST))
                        check_deletion_cost(pc, &at, value);
                else if (str_eq(key, SECCOMP_POD) || str_has_prefix(key, SECCOMP))
                        check_seccomp(pc, &child, value);
                else if ((container = str_after(key, APP_ARMOR)))
                        check_app_armor(pc, &at, container, value);
        }
}
