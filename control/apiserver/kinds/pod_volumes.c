/* SPDX-License-Identifier: Apache-2.0 */
/* The volumes of a pod: each has a name and exactly one source. */
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

/* The claim that an ephemeral volume gets is named after pod and volume. */
static void check_ephemeral_name(struct pod_check *pc, const struct fpath *p, const char *volume)
{
        struct fpath at = fpath_child(p, "name");
        const char *claim = arena_printf(pc->e->arena, "%s-%s", pc->pod_name, volume);
        struct name_errors errors;
        size_t n = name_check(NAME_DNS1123_SUBDOMAIN, claim, &errors);

        for (size_t i = 0; i < n; i++)
                ferr_invalid_str(pc->e, &at, volume, "PVC name \"%s\": %s", claim, errors.msg[i]);
}

static void check_source(struct pod_check *pc, const struct fpath *p, const struct json_object *volume)
{
        bool found = false;

        json_foreach (volume, field, source) {
                const struct volume_source_rule *rule = volume_source_rule(field);
                struct fpath at;

                if (!rule)
                        continue;
                at = fpath_child(p, rule->path);
                if (found)
                        ferr_forbidden(pc->e, &at, "may not specify more than 1 volume type");
                else if (rule->check)
                        rule->check(pc->e, &at, source);
                found = true;
                if (strcmp(field, "ephemeral") == 0 && !str_empty(pc->pod_name) && *str_of(volume, "name"))
                        check_ephemeral_name(pc, p, str_of(volume, "name"));
        }
        if (!found)
                ferr_required(pc->e, p, "must specify a volume type");
}

static bool is_made_for_pod(struct pod_check *pc, const char *claim)
{
        json_array_foreach (json_get(pc->spec, "volumes"), i, volume) {
                if (json_has(volume, "ephemeral") &&
                    str_eq(claim, arena_printf(pc->e->arena, "%s-%s", pc->pod_name, str_of(volume, "name"))))
                        return true;
        }
        return false;
}

static void check_volume(struct pod_check *pc, const struct fpath *p, const struct json_object *volume)
{
        struct fpath at_name = fpath_child(p, "name"), pvc = fpath_child(p, "persistentVolumeClaim"),
                     at_claim = fpath_child(&pvc, "claimName");
        const char *name = str_of(volume, "name"), *claim = json_at_str(volume, "persistentVolumeClaim.claimName");
        size_t before = pc->e->n;

        check_source(pc, p, volume);
        check_name_required(pc->e, p, volume, "name", NAME_DNS1123_LABEL);
        if (name_set_get(&pc->volumes, name))
                ferr_duplicate_str(pc->e, &at_name, name);
        if (pc->e->n == before)
                name_set_put(&pc->volumes, name, volume);
        if (!str_empty(claim) && !str_empty(pc->pod_name) && is_made_for_pod(pc, claim))
                ferr_invalid_str(pc->e, &at_claim, claim,
                                 "must not reference a PVC that gets created for an ephemeral volume");
}

/* Without a service account there is none to make a token for. */
static void check_tokens(struct pod_check *pc, const struct fpath *p, const struct json_object *volume)
{
        struct fpath projected = fpath_child(p, "projected"), sources = fpath_child(&projected, "sources");

        json_array_foreach (json_at(volume, "projected.sources"), i, source) {
                struct fpath item = fpath_index(&sources, i), at = fpath_child(&item, "serviceAccountToken");

                if (json_has(source, "serviceAccountToken"))
                        ferr_forbidden(pc->e, &at, "must not be specified when serviceAccountName is not set");
        }
}

void pod_check_volumes(struct pod_check *pc, const struct fpath *spec)
{
        bool no_account = pc->is_pod && !*str_of(pc->spec, "serviceAccountName");
        struct fpath p = fpath_child(spec, "volumes");

        json_array_foreach (json_get(pc->spec, "volumes"), i, volume) {
                struct fpath at = fpath_index(&p, i);

                check_volume(pc, &at, volume);
                if (no_account)
                        check_tokens(pc, &at, volume);
        }
}
