/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's priority is that of its class; without one, of the default class, else 0. One class at most is the default.
 */
#include <inttypes.h>

#include "apiserver/admit/admit.h"
#include "apiserver/kinds/common.h"
#include "base/str.h"

#define GROUP   "scheduling.k8s.io"
#define PREEMPT "PreemptLowerPriority"

struct chosen {
        const char *name;
        int64_t value;
        const char *preemption;
};

static const struct chosen system_classes[] = {
        {"system-cluster-critical", 2000000000, PREEMPT},
        {"system-node-critical", 2000001000, PREEMPT},
};

static struct chosen class_values(struct arena *a, const struct json_object *class)
{
        const char *name = json_at_str(class, "metadata.name"), *policy = json_get_str(class, "preemptionPolicy");

        return (struct chosen){
                .name = arena_strdup(a, name ? name : ""),
                .value = json_get_i64(class, "value", 0),
                .preemption = arena_strdup(a, policy ? policy : PREEMPT),
        };
}

struct default_class {
        struct arena *arena;
        const char *except;
        struct chosen found;
};

/* Of several defaults (which a race may leave behind) the lowest counts. */
static int consider(void *arg, struct json_object *class)
{
        struct default_class *d = arg;

        if (!json_get_bool(class, "globalDefault", false) || str_eq(json_at_str(class, "metadata.name"), d->except))
                return 0;
        if (!d->found.name || json_get_i64(class, "value", 0) < d->found.value)
                d->found = class_values(d->arena, class);
        return 0;
}

static struct chosen default_class(const struct kctx *c, const char *except)
{
        struct default_class d = {.arena = c->arena, .except = except};

        c->reader->each(c->reader->userdata, GROUP, "priorityclasses", NULL, consider, &d);
        return d.found;
}

static bool find_class(const struct kctx *c, const char *name, struct chosen *ret)
{
        _cleanup_json_ struct json_object *class = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(system_classes); i++)
                if (str_eq(name, system_classes[i].name)) {
                        *ret = system_classes[i];
                        return true;
                }
        class = c->reader->get(c->reader->userdata, GROUP, "priorityclasses", NULL, name);
        if (class)
                *ret = class_values(c->arena, class);
        return class != NULL;
}

static int admit_pod(const struct kctx *c, struct json_object *obj, struct admit_result *ret)
{
        struct json_object *spec = json_get(obj, "spec");
        const char *name = str_of(spec, "priorityClassName"), *policy = json_get_str(spec, "preemptionPolicy");
        struct chosen class = {.preemption = PREEMPT};

        if (*name && !find_class(c, name, &class))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "no PriorityClass with name %s was found", name);
        if (!*name) {
                struct chosen by_default = default_class(c, NULL);

                if (by_default.name) {
                        class = by_default;
                        json_set_str(spec, "priorityClassName", class.name);
                }
        }
        if (json_has(spec, "priority") && json_get_i64(spec, "priority", 0) != class.value)
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "the integer value of priority (%" PRIi64
                                    ") must not be provided in pod spec; priority admission controller computed "
                                    "%" PRIi64 " from the given PriorityClass name",
                                    json_get_i64(spec, "priority", 0), class.value);
        if (policy && !str_eq(policy, class.preemption))
                return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                    "the string value of PreemptionPolicy (%s) must not be provided in pod spec; "
                                    "priority admission controller computed %s from the given PriorityClass name",
                                    policy, class.preemption);
        json_set_i64(spec, "priority", class.value);
        json_set_str(spec, "preemptionPolicy", class.preemption);
        return 0;
}

/* An update that leaves them out means what they were. */
static void keep(struct json_object *spec, const struct json_object *was, const char *name)
{
        struct json_object *v = json_get(was, name);

        if (v && !json_has(spec, name))
                json_set(spec, name, json_object_get(v));
}

ADMIT_PLUGIN(priority)
{
        struct json_object *spec = json_get(obj, "spec");

        if (admit_is(c, "", "pods") && verb == ADMIT_CREATE && spec)
                return admit_pod(c, obj, ret);
        if (admit_is(c, "", "pods") && verb == ADMIT_UPDATE && spec) {
                keep(spec, json_get(old, "spec"), "priority");
                keep(spec, json_get(old, "spec"), "preemptionPolicy");
        }
        if (admit_is(c, GROUP, "priorityclasses") && verb != ADMIT_DELETE &&
            json_get_bool(obj, "globalDefault", false)) {
                struct chosen other = default_class(c, str_of(json_get(obj, "metadata"), "name"));

                if (other.name)
                        return admit_forbid(c, ret, json_at_str(obj, "metadata.name"),
                                            "PriorityClass %s is already marked as default. Only one default can exist",
                                            other.name);
        }
        return 0;
}
