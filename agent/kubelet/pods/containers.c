/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/pods/containers.h"
#include "base/str.h"

#define EXIT_CODE_LOST 137

static size_t add(const struct json_object *list, enum container_kind kind, struct container_def *v)
{
        size_t n = 0;

        json_array_foreach (list, i, c) {
                const char *name = json_get_str(c, "name");
                bool sidecar = kind == KIND_INIT && str_eq(json_get_str(c, "restartPolicy"), "Always");

                if (name)
                        v[n++] = (struct container_def){sidecar ? KIND_SIDECAR : kind, name, c};
        }
        return n;
}

void containers_of(const struct json_object *pod, struct arena *mem, struct containers *ret)
{
        static const struct {
                const char *field;
                enum container_kind kind;
        } lists[] = {{"initContainers", KIND_INIT}, {"containers", KIND_MAIN}, {"ephemeralContainers", KIND_EPHEMERAL}};
        const struct json_object *spec = json_get(pod, "spec");
        struct container_def *v;
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                n += json_len(json_get(spec, lists[i].field));
        v = arena_array(mem, struct container_def, n + 1);
        *ret = (struct containers){.v = v};
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                ret->n += add(json_get(spec, lists[i].field), lists[i].kind, v + ret->n);
}

const struct container_def *containers_find(const struct containers *cs, const char *name)
{
        for (size_t i = 0; i < cs->n; i++)
                if (str_eq(cs->v[i].name, name))
                        return &cs->v[i];
        return NULL;
}

bool instance_lives(const struct container_status *c)
{
        return c && (c->state == CONTAINER_CREATED || c->state == CONTAINER_RUNNING);
}

bool instance_succeeded(const struct container_status *c)
{
        return c && c->state == CONTAINER_EXITED && c->exit_code == 0;
}

int32_t instance_exit_code(const struct container_status *c)
{
        return c->state == CONTAINER_UNKNOWN ? EXIT_CODE_LOST : c->exit_code;
}

/* Its making was begun, and is under way or has come to nothing. */
static bool never_was(const struct container_status *c)
{
        return c->state == CONTAINER_UNKNOWN && !c->started_ns;
}

static bool is_newer(const struct container_status *a, const struct container_status *b)
{
        return a->attempt != b->attempt ? a->attempt > b->attempt : a->created_ns > b->created_ns;
}

const struct container_status *newest_instance(const struct runtime_list *there, const char *name, const char *sandbox)
{
        const struct container_status *best = NULL;

        for (size_t i = 0; i < there->ncontainers; i++) {
                const struct container_status *c = &there->containers[i];

                if (!str_eq(c->name, name) || (sandbox && !str_eq(c->sandbox, sandbox)) || never_was(c))
                        continue;
                if (!best || is_newer(c, best))
                        best = c;
        }
        return best;
}

const struct container_status *older_instance(const struct runtime_list *there, const struct container_status *than)
{
        const struct container_status *best = NULL;

        for (size_t i = 0; than && i < there->ncontainers; i++) {
                const struct container_status *c = &there->containers[i];

                if (str_eq(c->name, than->name) && !never_was(c) && is_newer(than, c) && (!best || is_newer(c, best)))
                        best = c;
        }
        return best;
}

const struct sandbox_status *newest_sandbox(const struct runtime_list *there)
{
        const struct sandbox_status *best = NULL;

        for (size_t i = 0; i < there->nsandboxes; i++) {
                const struct sandbox_status *s = &there->sandboxes[i];

                if (!best || s->attempt > best->attempt ||
                    (s->attempt == best->attempt && s->created_ns > best->created_ns))
                        best = s;
        }
        return best;
}

/* ---- restarts ---- */

static bool has_value(const struct json_object *values, int32_t code)
{
        json_array_foreach (values, i, v)
                if (json_object_get_int(v) == code)
                        return true;
        return false;
}

static bool rule_matches(const struct json_object *rule, int32_t code)
{
        const struct json_object *codes = json_get(rule, "exitCodes");
        bool found = has_value(json_get(codes, "values"), code);

        return codes && found == str_eq(json_get_str(codes, "operator"), "In");
}

bool container_restarts(const struct json_object *pod, const struct container_def *def, int32_t exit_code)
{
        const char *policy = json_get_str(def->spec, "restartPolicy") ?: json_at_str(pod, "spec.restartPolicy");

        if (def->kind == KIND_EPHEMERAL)
                return false;
        if (def->kind == KIND_SIDECAR)
                return true;
        json_array_foreach (json_get(def->spec, "restartPolicyRules"), i, rule)
                if (rule_matches(rule, exit_code))
                        return str_eq(json_get_str(rule, "action"), "Restart");
        if (str_eq(policy, "Never"))
                return false;
        /* An init container that has succeeded is done, whatever the policy. */
        return exit_code != 0 || (def->kind == KIND_MAIN && !str_eq(policy, "OnFailure"));
}

/* ---- statuses ---- */

struct json_object *json_named(const struct json_object *list, const char *name)
{
        json_array_foreach (list, i, o)
                if (str_eq(json_get_str(o, "name"), name))
                        return o;
        return NULL;
}

const char *kind_status_field(enum container_kind kind)
{
        switch (kind) {
        case KIND_INIT:
        case KIND_SIDECAR:
                return "initContainerStatuses";
        case KIND_EPHEMERAL:
                return "ephemeralContainerStatuses";
        case KIND_MAIN:
                break;
        }
        return "containerStatuses";
}
