/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"

#define NAME_LABEL_OF_NAMESPACE "kubernetes.io/metadata.name"

/* Every namespace can be selected by its name. */
static void set_name_label(struct json_object *obj)
{
        struct json_object *meta = json_ensure(obj, "metadata");
        const char *name = json_get_str(meta, "name");

        if (!str_empty(name))
                json_set_str(json_ensure(meta, "labels"), NAME_LABEL_OF_NAMESPACE, name);
}

static void namespaces_defaults(const struct kctx *c, struct json_object *obj)
{
        set_name_label(obj);
        json_default_str(json_ensure(obj, "status"), "phase", "Active");
}

static bool has_item(const struct json_object *list, const char *text)
{
        json_array_foreach (list, i, item) {
                if (str_eq(json_object_get_string(item), text))
                        return true;
        }
        return false;
}

static void namespaces_prepare_create(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *finalizers = json_get(spec, "finalizers"),
                           *status = json_object_new_object();

        set_name_label(obj); /* again: the name may have been generated meanwhile */
        if (!finalizers)
                json_set(spec, "finalizers", finalizers = json_object_new_array());
        if (!has_item(finalizers, "kubernetes"))
                json_object_array_add(finalizers, json_object_new_string("kubernetes"));
        json_set_str(status, "phase", "Active");
        json_set(obj, "status", status);
}

/* Only namespaces/finalize changes spec.finalizers, only namespaces/status the status. */
static void namespaces_prepare_update(const struct kctx *c, struct json_object *obj, const struct json_object *old)
{
        static const char *const frozen[] = {"status", "spec", NULL};

        for (const char *const *name = frozen; *name; name++) {
                struct json_object *was = json_get(old, *name);

                if (str_eq(*name, "spec") && str_eq(c->subresource, "finalize"))
                        continue;
                if (was)
                        json_set(obj, *name, json_copy(was));
                else
                        json_del(obj, *name);
        }
}

static void check_finalizers(struct ferrs *e, const struct json_object *list, bool indexed)
{
        static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "finalizers");

        json_array_foreach (list, i, finalizer) {
                struct fpath item = fpath_index(&p, i);
                const struct fpath *at = indexed ? &item : &p;
                const char *name = json_object_get_string(finalizer);

                check_name(e, at, NAME_LABEL_KEY, name);
                if (!strchr(name, '/') && !one_of(name, standard))
                        ferr_invalid_str(e, at, name,
                                         "name is neither a standard finalizer name nor is it fully qualified");
        }
}

static void namespaces_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_finalizers(e, json_at(obj, "spec.finalizers"), str_eq(c->subresource, "finalize"));
}

static void namespaces_validate_status(const struct kctx *c, const struct json_object *obj,
                                       const struct json_object *old, struct ferrs *e)
{
        struct fpath status = fpath_child(NULL, "status"), p = fpath_child(&status, "Phase");
        bool deleted = json_at(obj, "metadata.deletionTimestamp") != NULL;
        const char *phase = str_of(json_get(obj, "status"), "phase"), *must = deleted ? "Terminating" : "Active";

        if (!str_eq(phase, must))
                ferr_invalid_str(e, &p, phase, "may only be '%s' if `deletionTimestamp` is %sempty", must,
                                 deleted ? "not " : "");
}

static const char *namespaces_name(const char *name)
{
        return name_error(NAME_DNS1123_LABEL, name);
}

static const struct kind_field namespace_fields[] = {{.label = "status.phase", .path = "status.phase"}, {0}};

const struct kind_ops kind_namespaces = {
        .group = "",
        .plural = "namespaces",
        .validate_name = namespaces_name,
        .defaults = namespaces_defaults,
        .prepare_create = namespaces_prepare_create,
        .prepare_update = namespaces_prepare_update,
        .validate = namespaces_validate,
        .validate_status = namespaces_validate_status,
        .fields = namespace_fields,
};
