/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "apiserver/kinds/common.h"
#include "apiserver/meta_validate.h"
#include "base/str.h"

#define MANAGER_MAX_BYTES     128
#define SUBRESOURCE_MAX_BYTES 256

static const char *kind_name_error(const struct kind_ops *ops, const char *name)
{
        return ops->validate_name ? ops->validate_name(name) : name_error(NAME_DNS1123_SUBDOMAIN, name);
}

/* generateName is held to the same rule as a name, but may end with a hyphen, since something follows it. */
static const char *generate_name_error(struct arena *a, const struct kind_ops *ops, const char *prefix)
{
        size_t n = strlen(prefix);
        char *masked;

        if (n < 2 || prefix[n - 1] != '-')
                return kind_name_error(ops, prefix);
        masked = arena_strndup(a, prefix, n - 1);
        masked[n - 2] = 'a';
        return kind_name_error(ops, masked);
}

static void check_meta_name(const struct kind_ops *ops, const struct fpath *p, const struct json_object *meta,
                            struct ferrs *e)
{
        struct fpath at_name = fpath_child(p, "name"), at_generate = fpath_child(p, "generateName");
        const char *name = str_of(meta, "name"), *prefix = str_of(meta, "generateName"), *msg;

        if (*prefix && (msg = generate_name_error(e->arena, ops, prefix)))
                ferr_invalid_str(e, &at_generate, prefix, "%s", msg);
        if (!*name)
                ferr_required(e, &at_name, "name or generateName is required");
        else if ((msg = kind_name_error(ops, name)))
                ferr_invalid_str(e, &at_name, name, "%s", msg);
}

static void check_meta_namespace(bool namespaced, const struct fpath *p, const struct json_object *meta,
                                 struct ferrs *e)
{
        struct fpath at = fpath_child(p, "namespace");
        const char *namespace = str_of(meta, "namespace");

        if (!namespaced && *namespace)
                ferr_forbidden(e, &at, "not allowed on this type");
        else if (namespaced && !*namespace)
                ferr_required(e, &at, NULL);
        else if (namespaced)
                check_name(e, &at, NAME_DNS1123_LABEL, namespace);
}

static void check_owner(struct ferrs *e, const struct fpath *p, const struct json_object *ref)
{
        static const char *const needed[] = {"kind", "name", "uid", NULL};
        const char *api_version = str_of(ref, "apiVersion"), *kind = str_of(ref, "kind");
        struct fpath at = fpath_child(p, "apiVersion");

        if (!*api_version)
                ferr_invalid_str(e, &at, "", "version must not be empty");
        for (const char *const *name = needed; *name; name++) {
                at = fpath_child(p, *name);
                if (!*str_of(ref, *name))
                        ferr_invalid_str(e, &at, "", "must not be empty");
        }
        if (str_eq(kind, "Event") && str_eq(api_version, "v1"))
                ferr_invalid(e, p, ref, "/v1, Kind=Event is disallowed from being an owner");
}

static void check_owners(struct ferrs *e, const struct fpath *p, const struct json_object *refs)
{
        const char *controller = NULL;

        json_array_foreach (refs, i, ref) {
                check_owner(e, p, ref);
                if (!json_get_bool(ref, "controller", false))
                        continue;
                if (controller)
                        ferr_invalid(e, p, refs,
                                     "Only one reference can have Controller set to true. Found \"true\" in references "
                                     "for %s and %s",
                                     controller, str_of(ref, "name"));
                controller = str_of(ref, "name");
        }
}

static bool is_legacy_finalizer(const char *name)
{
        static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};

        return one_of(name, standard);
}

static void check_finalizers(struct ferrs *e, const struct fpath *p, const struct json_object *finalizers)
{
        bool orphan = false, foreground = false;

        json_array_foreach (finalizers, i, f) {
                const char *name = json_object_get_string(f);
                struct fpath at = fpath_index(p, i);

                check_name(e, p, NAME_LABEL_KEY, name);
                if (!strchr(name, '/') && !is_legacy_finalizer(name))
                        ferr_invalid_str(e, &at, name,
                                         "name is neither a standard finalizer name nor is it fully qualified");
                orphan |= str_eq(name, "orphan");
                foreground |= str_eq(name, "foregroundDeletion");
        }
        if (orphan && foreground)
                ferr_invalid(e, p, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
}

static void check_manager(struct ferrs *e, const struct fpath *parent, const char *manager)
{
        struct fpath p = fpath_child(parent, "manager");

        if (strlen(manager) > MANAGER_MAX_BYTES)
                ferr_too_long(e, &p, MANAGER_MAX_BYTES);
        for (const char *s = manager; *s; s++)
                if (iscntrl((unsigned char)*s)) {
                        ferr_invalid_str(e, &p, manager, "should only contain printable characters");
                        break;
                }
}

static void check_managed_fields(struct ferrs *e, const struct fpath *p, const struct json_object *list)
{
        static const char *const operations[] = {"Apply", "Update", NULL};

        json_array_foreach (list, i, entry) {
                struct fpath item = fpath_index(p, i), at = fpath_child(&item, "operation");
                const char *operation = str_of(entry, "operation"), *type = str_of(entry, "fieldsType");

                if (!one_of(operation, operations))
                        ferr_invalid_str(e, &at, operation, "must be `Apply` or `Update`");
                at = fpath_child(&item, "fieldsType");
                if (*type && !str_eq(type, "FieldsV1"))
                        ferr_invalid_str(e, &at, type, "must be `FieldsV1`");
                check_manager(e, &item, str_of(entry, "manager"));
                at = fpath_child(&item, "subresource");
                if (strlen(str_of(entry, "subresource")) > SUBRESOURCE_MAX_BYTES)
                        ferr_too_long(e, &at, SUBRESOURCE_MAX_BYTES);
        }
}

/* What creates and updates have in common. */
static void check_meta_common(struct ferrs *e, const struct fpath *p, const struct json_object *meta)
{
        struct fpath labels = fpath_child(p, "labels"), annotations = fpath_child(p, "annotations"),
                     owners = fpath_child(p, "ownerReferences"), finalizers = fpath_child(p, "finalizers"),
                     managed = fpath_child(p, "managedFields");

        check_labels(e, &labels, json_get(meta, "labels"));
        check_annotations(e, &annotations, json_get(meta, "annotations"));
        check_owners(e, &owners, json_get(meta, "ownerReferences"));
        check_finalizers(e, &finalizers, json_get(meta, "finalizers"));
        check_managed_fields(e, &managed, json_get(meta, "managedFields"));
}

void meta_validate(const struct kctx *c, const struct kind_ops *ops, const struct json_object *obj, struct ferrs *e)
{
        struct json_object *meta = json_get(obj, "metadata");
        struct fpath p = fpath_child(NULL, "metadata");

        check_meta_name(ops, &p, meta, e);
        check_meta_namespace(c->resource->namespaced, &p, meta, e);
        check_non_negative(e, &p, meta, "generation");
        check_meta_common(e, &p, meta);
}

static bool array_has(const struct json_object *list, const char *value)
{
        json_array_foreach (list, i, item) {
                if (str_eq(json_object_get_string(item), value))
                        return true;
        }
        return false;
}

/* An object that is being deleted gets no new finalizers. */
static void check_no_new_finalizers(struct ferrs *e, const struct fpath *parent, const struct json_object *meta,
                                    const struct json_object *old)
{
        _cleanup_strbuf_ struct strbuf extra = STRBUF_NULL;
        struct fpath p = fpath_child(parent, "finalizers");

        if (!json_has(old, "deletionTimestamp"))
                return;
        json_array_foreach (json_get(meta, "finalizers"), i, f) {
                const char *name = json_object_get_string(f);

                if (array_has(json_get(old, "finalizers"), name))
                        continue;
                strbuf_printf(&extra, "%s\"%s\"", extra.len ? ", " : "", name);
        }
        if (extra.len)
                ferr_forbidden(e, &p,
                               "no new finalizers can be added if the object is being deleted, found new finalizers "
                               "[]string{%s}",
                               extra.data);
}

void meta_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                          struct ferrs *e)
{
        static const char *const immutable[] = {
                "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                NULL};
        struct json_object *meta = json_get(obj, "metadata"), *old_meta = json_get(old, "metadata");
        struct fpath p = fpath_child(NULL, "metadata");

        check_no_new_finalizers(e, &p, meta, old_meta);
        check_not_decremented(e, &p, meta, old_meta, "generation", "must not be decremented");
        for (const char *const *name = immutable; *name; name++)
                check_immutable(e, &p, meta, old_meta, *name);
        check_meta_common(e, &p, meta);
}
