/* SPDX-License-Identifier: Apache-2.0 */
/* Events, in both of their groups: stored as core/v1, where events.k8s.io/v1 has other names for the same fields. */
#include <string.h>

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"

#define EVENT_TEXT_MAX 128
#define EVENT_NOTE_MAX 1024

static const struct {
        const char *core, *events;
} renamed[] = {
        {"involvedObject", "regarding"},
        {"message", "note"},
        {"reportingComponent", "reportingController"},
        {"source", "deprecatedSource"},
        {"firstTimestamp", "deprecatedFirstTimestamp"},
        {"lastTimestamp", "deprecatedLastTimestamp"},
        {"count", "deprecatedCount"},
};

/* A null moves too: an absent time is written so. */
static void rename_member(struct json_object *obj, const char *from, const char *to)
{
        struct json_object *v;

        if (!json_object_object_get_ex(obj, from, &v))
                return;
        json_set(obj, to, json_object_get(v));
        json_del(obj, from);
}

static void to_core(struct json_object *obj)
{
        for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
                rename_member(obj, renamed[i].events, renamed[i].core);
}

static void from_core(struct json_object *obj)
{
        for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
                rename_member(obj, renamed[i].core, renamed[i].events);
}

const struct kind_conversion kind_conversion_events = {
        .group = "events.k8s.io",
        .version = "v1",
        .plural = "events",
        .stored_group = "",
        .stored_version = "v1",
        .to_storage = to_core,
        .from_storage = from_core,
};

/* An event about a cluster-scoped object is in default or kube-system, any other one beside its object. */
static void check_namespace(struct ferrs *e, const struct json_object *obj, const char *object_field)
{
        const char *namespace = str_of(json_get(obj, "metadata"), "namespace"),
                   *of_object = str_of(json_get(obj, object_field), "namespace");
        struct fpath object = fpath_child(NULL, "involvedObject"), p = fpath_child(&object, "namespace");
        bool fits = *of_object ? str_eq(namespace, of_object)
                               : str_eq(namespace, "default") || str_eq(namespace, "kube-system");

        if (!fits)
                ferr_invalid_str(e, &p, of_object, "does not match event.namespace");
}

static void check_text(struct ferrs *e, const struct json_object *obj, const char *field)
{
        struct fpath p = fpath_child(NULL, field);

        if (check_required(e, NULL, obj, field) && strlen(str_of(obj, field)) > EVENT_TEXT_MAX)
                ferr_invalid_str(e, &p, "", "can have at most %d characters", EVENT_TEXT_MAX);
}

/* What an event with an eventTime, so from a new client, must have. */
static void check_new_style(struct ferrs *e, const struct json_object *obj, const char *controller, const char *note)
{
        struct fpath at_controller = fpath_child(NULL, controller), at_note = fpath_child(NULL, "message");

        if (check_required(e, NULL, obj, controller))
                check_name(e, &at_controller, NAME_LABEL_KEY, str_of(obj, controller));
        check_text(e, obj, "reportingInstance");
        check_text(e, obj, "action");
        check_text(e, obj, "reason");
        if (strlen(str_of(obj, note)) > EVENT_NOTE_MAX)
                ferr_invalid_str(e, &at_note, "", "can have at most %d characters", EVENT_NOTE_MAX);
}

static void core_events_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        check_namespace(e, obj, "involvedObject");
        if (json_has(obj, "eventTime"))
                check_new_style(e, obj, "reportingComponent", "message");
}

static void events_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const types[] = {"Normal", "Warning", NULL};
        static const struct {
                const char *field, *path;
        } unset[] = {
                {"deprecatedFirstTimestamp", "firstTimestamp"},
                {"deprecatedLastTimestamp", "lastTimestamp"},
                {"deprecatedCount", "count"},
                {"deprecatedSource", "source"},
        };
        struct fpath type = fpath_child(NULL, "type");

        check_namespace(e, obj, "regarding");
        check_required(e, NULL, obj, "eventTime");
        check_new_style(e, obj, "reportingController", "note");
        if (!one_of(str_of(obj, "type"), types))
                ferr_invalid_str(e, &type, str_of(obj, "type"), "has invalid value: %s", str_of(obj, "type"));
        for (size_t i = 0; i < ARRAY_SIZE(unset); i++) {
                struct json_object *v = json_get(obj, unset[i].field);
                struct fpath p = fpath_child(NULL, unset[i].path);

                if (v && !(json_is_object(v) && !json_object_object_length(v)))
                        ferr_invalid(e, &p, v, "needs to be unset");
        }
}

static void events_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                   struct ferrs *e)
{
        static const char *const immutable[] = {
                "regarding", "reason", "reportingController", "reportingInstance", "action", "note", "type", NULL};

        for (const char *const *name = immutable; *name; name++)
                check_immutable(e, NULL, obj, old, *name);
}

/* Of the stored form, for both groups. */
static const struct kind_field event_fields[] = {
        {.label = "involvedObject.kind", .path = "involvedObject.kind"},
        {.label = "involvedObject.namespace", .path = "involvedObject.namespace"},
        {.label = "involvedObject.name", .path = "involvedObject.name"},
        {.label = "involvedObject.uid", .path = "involvedObject.uid"},
        {.label = "involvedObject.apiVersion", .path = "involvedObject.apiVersion"},
        {.label = "involvedObject.resourceVersion", .path = "involvedObject.resourceVersion"},
        {.label = "involvedObject.fieldPath", .path = "involvedObject.fieldPath"},
        {.label = "reason", .path = "reason"},
        {.label = "reportingComponent", .path = "reportingComponent"},
        {.label = "source", .path = "source.component", .or_path = "reportingComponent"},
        {.label = "type", .path = "type"},
        {0},
};

/* events.k8s.io names the object "regarding" and the component "reportingController" in selectors too. */
static const struct kind_field new_event_fields[] = {
        {.label = "regarding.kind", .path = "involvedObject.kind"},
        {.label = "regarding.namespace", .path = "involvedObject.namespace"},
        {.label = "regarding.name", .path = "involvedObject.name"},
        {.label = "regarding.uid", .path = "involvedObject.uid"},
        {.label = "regarding.apiVersion", .path = "involvedObject.apiVersion"},
        {.label = "regarding.resourceVersion", .path = "involvedObject.resourceVersion"},
        {.label = "regarding.fieldPath", .path = "involvedObject.fieldPath"},
        {.label = "reason", .path = "reason"},
        {.label = "reportingController", .path = "reportingComponent"},
        {.label = "source", .path = "source.component", .or_path = "reportingComponent"},
        {.label = "type", .path = "type"},
        {0},
};

const struct kind_ops kind_core_events = {
        .group = "",
        .plural = "events",
        .flags = KIND_CREATE_ON_UPDATE,
        .validate = core_events_validate,
        .fields = event_fields,
};

const struct kind_ops kind_events = {
        .group = "events.k8s.io",
        .plural = "events",
        .flags = KIND_CREATE_ON_UPDATE,
        .validate = events_validate,
        .validate_update = events_validate_update,
        .fields = new_event_fields,
};
