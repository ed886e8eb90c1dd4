/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may change in a pod that exists. A main update may change images, shorten activeDeadlineSeconds, add
 * tolerations, drop scheduling gates and, while there are gates, narrow down the nodes; pods/ephemeralcontainers may
 * add containers; pods/resize may change cpu and memory. Everything else must stay as it was: the new spec, with what
 * may differ set back, is compared with the old one.
 */
#include <stdint.h>
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define MIRROR   "kubernetes.io/config.mirror"

#define MSG_UPDATABLE                                                                                                  \
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"      \
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"                    \
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

static const char *text_of(struct arena *a, const struct json_object *o)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        json_write(&b, o);
        return arena_strndup(a, b.data, b.len);
}

/* Which members differ, a line each, as a person may want to know. */
static const char *differences(struct arena *a, const struct json_object *old, const struct json_object *new)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        json_foreach (old, key, was) {
                struct json_object *is = json_get(new, key);

                if (json_equal(was, is))
                        continue;
                strbuf_printf(&b, "- %s: %s\n", key, text_of(a, was));
                if (is)
                        strbuf_printf(&b, "+ %s: %s\n", key, text_of(a, is));
        }
        json_foreach (new, added, value) {
                if (!json_has(old, added))
                        strbuf_printf(&b, "+ %s: %s\n", added, text_of(a, value));
        }
        return arena_strndup(a, b.len ? b.data : "", b.len);
}

/* spec[name] = from[name], or gone. */
static void restore(struct json_object *spec, const struct json_object *from, const char *name)
{
        struct json_object *v = json_get(from, name);

        if (v)
                json_set(spec, name, json_copy(v));
        else
                json_del(spec, name);
}

static bool check_container_count(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                                  const struct json_object *old, const char *list)
{
        struct fpath p = fpath_child(spec, list);

        if (json_len(json_get(new, list)) == json_len(json_get(old, list)))
                return true;
        ferr_forbidden(e, &p, "pod updates may not add or remove containers");
        return false;
}

/* False when nothing more should be said. */
static bool check_deadline(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                           const struct json_object *old)
{
        bool has = json_has(new, "activeDeadlineSeconds"), had = json_has(old, "activeDeadlineSeconds");
        int64_t v = json_get_i64(new, "activeDeadlineSeconds", 0), was = json_get_i64(old, "activeDeadlineSeconds", 0);
        struct fpath p = fpath_child(spec, "activeDeadlineSeconds");

        if (has && (v < 0 || v > INT32_MAX)) {
                ferr_invalid_i64(e, &p, v, MSG_ID_RANGE);
                return false;
        }
        if (has && had && was < v) {
                ferr_invalid_i64(e, &p, v, "must be less than or equal to previous value");
                return false;
        }
        if (had && !has)
                ferr_invalid(e, &p, NULL, "must not update from a positive integer to nil value");
        return true;
}

static bool same_toleration(const struct json_object *a, const struct json_object *b)
{
        static const char *const fields[] = {"key", "operator", "value", "effect", NULL};

        for (const char *const *f = fields; *f; f++)
                if (!str_eq(str_of(a, *f), str_of(b, *f)))
                        return false;
        return true;
}

static void check_added_tolerations(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                                    const struct json_object *old)
{
        struct fpath p = fpath_child(spec, "tolerations");

        json_array_foreach (json_get(old, "tolerations"), i, was) {
                bool found = false;

                json_array_foreach (json_get(new, "tolerations"), j, is) {
                        found |= same_toleration(was, is);
                }
                if (!found) {
                        ferr_forbidden(e, &p, "existing toleration can not be modified except its tolerationSeconds");
                        return;
                }
        }
}

static void check_dropped_gates(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                                const struct json_object *old)
{
        struct fpath p = fpath_child(spec, "schedulingGates");

        json_array_foreach (json_get(new, "schedulingGates"), i, gate) {
                struct fpath item = fpath_index(&p, i), at = fpath_child(&item, "name");
                bool found = false;

                json_array_foreach (json_get(old, "schedulingGates"), j, was) {
                        found |= str_eq(str_of(was, "name"), str_of(gate, "name"));
                }
                if (!found)
                        ferr_forbidden(e, &at, "only deletion is allowed, but found new scheduling gate '%s'",
                                       str_of(gate, "name"));
        }
}

static void check_narrowed_selector(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                                    const struct json_object *old)
{
        struct json_object *is = json_get(new, "nodeSelector");
        struct fpath p = fpath_child(spec, "nodeSelector");

        json_foreach (json_get(old, "nodeSelector"), key, was) {
                if (json_equal(was, json_get(is, key)))
                        continue;
                ferr_invalid(e, &p, is, "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
                return;
        }
}

/* The old list is how the new one begins. */
static bool list_begins_with(const struct json_object *list, const struct json_object *prefix)
{
        json_array_foreach (prefix, i, item) {
                if (!json_equal(item, json_idx(list, i)))
                        return false;
        }
        return true;
}

static void check_narrowed_affinity(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                                    const struct json_object *old)
{
        struct json_object *was = json_get(json_at(old, "affinity.nodeAffinity." REQUIRED), "nodeSelectorTerms"),
                           *is = json_get(json_at(new, "affinity.nodeAffinity." REQUIRED), "nodeSelectorTerms");
        struct fpath affinity = fpath_child(spec, "affinity"), node = fpath_child(&affinity, "nodeAffinity"),
                     required = fpath_child(&node, REQUIRED), p = fpath_child(&required, "nodeSelectorTerms");

        if (!json_len(was))
                return;
        if (json_len(was) != json_len(is)) {
                ferr_invalid(e, &p, is, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
                return;
        }
        json_array_foreach (was, i, term) {
                struct json_object *now = json_idx(is, i);
                struct fpath at = fpath_index(&p, i);

                if (!list_begins_with(json_get(now, "matchExpressions"), json_get(term, "matchExpressions")) ||
                    !list_begins_with(json_get(now, "matchFields"), json_get(term, "matchFields")))
                        ferr_invalid(e, &at, now, "only additions are allowed (no mutations or deletions)");
        }
}

/* Puts the old node affinity back; an affinity with nothing else in it goes when there was none. */
static void restore_node_affinity(struct json_object *spec, const struct json_object *old)
{
        struct json_object *was = json_at(old, "affinity.nodeAffinity"), *affinity = json_get(spec, "affinity");

        if (was) {
                json_set(json_ensure(spec, "affinity"), "nodeAffinity", json_copy(was));
                return;
        }
        if (!affinity)
                return;
        json_del(affinity, "nodeAffinity");
        if (!json_has(old, "affinity") && !json_object_object_length(affinity))
                json_del(spec, "affinity");
}

static void restore_images(struct json_object *spec, const struct json_object *old, const char *list)
{
        json_array_foreach (json_get(spec, list), i, container) {
                restore(container, json_idx(json_get(old, list), i), "image");
        }
}

static void check_rest(struct ferrs *e, const struct fpath *spec, const struct json_object *new,
                       const struct json_object *old)
{
        _cleanup_json_ struct json_object *munged = json_copy(new);

        restore_images(munged, old, "containers");
        restore_images(munged, old, "initContainers");
        restore(munged, old, "activeDeadlineSeconds");
        restore(munged, old, "schedulingGates");
        restore(munged, old, "tolerations");
        if (json_get_i64(old, "terminationGracePeriodSeconds", 0) < 0 &&
            json_get_i64(new, "terminationGracePeriodSeconds", 0) == 1)
                restore(munged, old, "terminationGracePeriodSeconds");
        if (json_len(json_get(old, "schedulingGates"))) {
                check_narrowed_selector(e, spec, new, old);
                restore(munged, old, "nodeSelector");
                check_narrowed_affinity(e, spec, new, old);
                restore_node_affinity(munged, old);
        }
        if (!json_equal(munged, old))
                ferr_forbidden(e, spec, MSG_UPDATABLE "\n%s", differences(e->arena, old, munged));
}

static void check_update(struct ferrs *e, const struct json_object *new, const struct json_object *old)
{
        struct fpath spec = fpath_child(NULL, "spec");

        if (!check_container_count(e, &spec, new, old, "containers") ||
            !check_container_count(e, &spec, new, old, "initContainers") || !check_deadline(e, &spec, new, old))
                return;
        check_added_tolerations(e, &spec, new, old);
        check_dropped_gates(e, &spec, new, old);
        if (!json_equal(new, old))
                check_rest(e, &spec, new, old);
}

static const struct json_object *container_named(const struct json_object *list, const char *name)
{
        json_array_foreach (list, i, container) {
                if (str_eq(str_of(container, "name"), name))
                        return container;
        }
        return NULL;
}

static void check_ephemeral_update(struct ferrs *e, const struct json_object *new, const struct json_object *old)
{
        struct fpath spec = fpath_child(NULL, "spec"), p = fpath_child(&spec, "ephemeralContainers");

        json_array_foreach (json_get(old, "ephemeralContainers"), i, was) {
                const char *name = str_of(was, "name");
                const struct json_object *is = container_named(json_get(new, "ephemeralContainers"), name);

                if (!is)
                        ferr_forbidden(e, &p, "existing ephemeral containers \"%s\" may not be removed\n", name);
                else if (!json_equal(was, is))
                        ferr_forbidden(e, &p, "existing ephemeral containers \"%s\" may not be changed\n%s", name,
                                       differences(e->arena, was, is));
        }
}

static bool some_removed(const struct json_object *new, const struct json_object *old)
{
        json_foreach (old, name, val) {
                if (!json_has(new, name))
                        return true;
        }
        return false;
}

static void check_container_resize(struct ferrs *e, const struct fpath *p, const struct json_object *new,
                                   const struct json_object *old)
{
        struct fpath requests = fpath_child(p, "requests"), limits = fpath_child(p, "limits"),
                     memory = fpath_key(&limits, "memory");
        const char *limit = json_at_str(new, "resources.limits.memory"),
                   *was = json_at_str(old, "resources.limits.memory"), *policy = "";

        if (some_removed(json_at(new, "resources.requests"), json_at(old, "resources.requests")))
                ferr_forbidden(e, &requests, "resource requests cannot be removed");
        if (some_removed(json_at(new, "resources.limits"), json_at(old, "resources.limits")))
                ferr_forbidden(e, &limits, "resource limits cannot be removed");
        json_array_foreach (json_get(new, "resizePolicy"), i, rule) {
                if (str_eq(str_of(rule, "resourceName"), "memory"))
                        policy = str_of(rule, "restartPolicy");
        }
        if (limit && !was && !str_eq(policy, "RestartContainer"))
                ferr_forbidden(e, &memory, "memory limits cannot be added unless resizePolicy is RestartContainer");
}

/* cpu and memory of the container's requests and limits set back to what they were. */
static void restore_cpu_and_memory(struct json_object *container, const struct json_object *old)
{
        static const char *const lists[] = {"requests", "limits", NULL};

        for (const char *const *list = lists; *list; list++) {
                struct json_object *was = json_get(json_get(old, "resources"), *list), *is;

                if (!was && json_has(container, "resources"))
                        json_del(json_get(container, "resources"), *list);
                if (!was)
                        continue;
                is = json_ensure(json_ensure(container, "resources"), *list);
                restore(is, was, "cpu");
                restore(is, was, "memory");
        }
}

static bool is_sidecar(const struct json_object *container)
{
        return str_eq(json_get_str(container, "restartPolicy"), "Always");
}

static void check_resize_list(struct ferrs *e, const struct fpath *spec, struct json_object *munged,
                              const struct json_object *old, const char *list)
{
        bool init = str_eq(list, "initContainers");
        struct fpath p = fpath_child(spec, list);

        json_array_foreach (json_get(munged, list), i, container) {
                struct json_object *was = json_idx(json_get(old, list), i);
                struct fpath item = fpath_index(&p, i), resources = fpath_child(&item, "resources");

                if (init && !is_sidecar(container)) {
                        if (!json_equal(container, was))
                                ferr_forbidden(e, spec, "resources for non-sidecar init containers are immutable");
                        continue;
                }
                check_container_resize(e, &resources, container, was);
                restore_cpu_and_memory(container, was);
                if (!json_equal(container, was))
                        ferr_forbidden(e, spec,
                                       init ? "only cpu and memory resources for sidecar containers are mutable"
                                            : "only cpu and memory resources are mutable");
        }
}

static void check_resize(struct ferrs *e, const struct json_object *pod, const struct json_object *old_pod)
{
        _cleanup_json_ struct json_object *munged = json_copy(json_get(pod, "spec"));
        const struct json_object *old = json_get(old_pod, "spec");
        struct fpath spec = fpath_child(NULL, "spec");

        if (!str_eq(pod_qos(pod), pod_qos(old_pod)))
                ferr_invalid_str(e, &spec, str_of(json_get(pod, "status"), "qosClass"),
                                 "Pod QOS Class may not change as a result of resizing");
        if (!check_container_count(e, &spec, munged, old, "containers") ||
            !check_container_count(e, &spec, munged, old, "initContainers"))
                return;
        check_resize_list(e, &spec, munged, old, "initContainers");
        check_resize_list(e, &spec, munged, old, "containers");
        if (!e->n && !json_equal(munged, old))
                ferr_forbidden(e, &spec, "only cpu and memory resources are mutable");
}

static bool is_frozen_annotation(const char *key)
{
        return str_eq(key, MIRROR) || str_has_prefix(key, "container.apparmor.security.beta.kubernetes.io/");
}

static void check_annotations_update(struct ferrs *e, const struct json_object *new, const struct json_object *old)
{
        struct fpath meta = fpath_child(NULL, "metadata"), p = fpath_child(&meta, "annotations");

        json_foreach (old, key, was) {
                struct fpath at = fpath_key(&p, key);

                if (is_frozen_annotation(key) && !json_equal(was, json_get(new, key)))
                        ferr_forbidden(e, &at, "may not remove or update %s",
                                       str_eq(key, MIRROR) ? "mirror pod annotation" : "AppArmor annotations");
        }
        json_foreach (new, added, val) {
                struct fpath at = fpath_key(&p, added);

                if (is_frozen_annotation(added) && !json_has(old, added))
                        ferr_forbidden(e, &at, "may not add %s",
                                       str_eq(added, MIRROR) ? "mirror pod annotation" : "AppArmor annotations");
        }
}

/* What the two subresources do not do for some pods at all. */
static bool is_refused(const struct kctx *c, const struct json_object *old, struct ferrs *e)
{
        bool mirror = json_has(json_at(old, "metadata.annotations"), MIRROR), resize = str_eq(c->subresource, "resize");
        struct fpath p = fpath_child(NULL, "");

        if (mirror)
                ferr_forbidden(e, &p,
                               resize ? "static pods cannot be resized"
                                      : "static pods do not support ephemeral containers");
        else if (resize && str_eq(json_at_str(old, "spec.os.name"), "windows"))
                ferr_forbidden(e, &p, "windows pods cannot be resized");
        return e->n > 0;
}

void pod_validate_update(const struct kctx *c, const struct json_object *pod, const struct json_object *old,
                         struct ferrs *e)
{
        const struct json_object *spec = json_get(pod, "spec"), *old_spec = json_get(old, "spec");

        if (!c->subresource) {
                check_annotations_update(e, json_at(pod, "metadata.annotations"), json_at(old, "metadata.annotations"));
                check_update(e, spec, old_spec);
                return;
        }
        if (e->n || is_refused(c, old, e))
                return;
        if (str_eq(c->subresource, "ephemeralcontainers"))
                check_ephemeral_update(e, spec, old_spec);
        else if (str_eq(c->subresource, "resize"))
                check_resize(e, pod, old);
}
