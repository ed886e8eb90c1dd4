/* SPDX-License-Identifier: Apache-2.0 */
/* The three lists of containers of a pod. */
#include <ctype.h>
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

#define INIT_ONLY "may not be set for init containers without restartPolicy=Always"
#define EPHEMERAL "cannot be set for an Ephemeral Container"

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static void check_port(struct ferrs *e, struct name_set *names, const struct fpath *p, const struct json_object *port)
{
        struct fpath at_name = fpath_child(p, "name"), at_port = fpath_child(p, "containerPort"),
                     at_host = fpath_child(p, "hostPort");
        const char *name = str_of(port, "name");
        int64_t number = json_get_i64(port, "containerPort", 0), host = json_get_i64(port, "hostPort", 0);

        if (*name && name_error(NAME_PORT, name))
                check_name(e, &at_name, NAME_PORT, name);
        else if (*name && !name_set_add(names, name))
                ferr_duplicate_str(e, &at_name, name);
        if (!number)
                ferr_required(e, &at_port, NULL);
        else
                check_port_number(e, &at_port, number);
        if (host)
                check_port_number(e, &at_host, host);
        check_one_of(e, p, port, "protocol", protocols, true);
}

static void check_ports(struct ferrs *e, const struct fpath *container_path, const struct json_object *container)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL;
        struct fpath p = fpath_child(container_path, "ports");

        json_array_foreach (json_get(container, "ports"), i, port) {
                struct fpath at = fpath_index(&p, i);

                check_port(e, &names, &at, port);
        }
}

/* Adds the container's host ports to seen. */
static void check_host_ports(struct ferrs *e, struct name_set *seen, const struct fpath *container_path,
                             const struct json_object *container)
{
        struct fpath p = fpath_child(container_path, "ports");

        json_array_foreach (json_get(container, "ports"), i, port) {
                struct fpath item = fpath_index(&p, i), at = fpath_child(&item, "hostPort");
                int64_t host = json_get_i64(port, "hostPort", 0);
                char *text;

                if (!host)
                        continue;
                text = arena_printf(e->arena, "%s/%s/%lld", str_of(port, "protocol"), str_of(port, "hostIP"),
                                    (long long)host);
                if (!name_set_add(seen, text))
                        ferr_duplicate_str(e, &at, text);
        }
}

static void check_resize_policy(struct pod_check *pc, const struct fpath *container_path,
                                const struct json_object *container)
{
        static const char *const resources[] = {"cpu", "memory", NULL};
        static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath p = fpath_child(container_path, "resizePolicy");

        json_array_foreach (json_get(container, "resizePolicy"), i, rule) {
                const char *resource = str_of(rule, "resourceName"), *policy = str_of(rule, "restartPolicy");
                struct fpath at = fpath_index(&p, i);

                if (!name_set_add(&seen, resource))
                        ferr_duplicate_str(pc->e, &at, resource);
                if (!*resource || !*policy)
                        ferr_required(pc->e, &p, NULL);
                if (*resource && !one_of(resource, resources))
                        ferr_not_supported(pc->e, &p, resource, resources);
                if (*policy && !one_of(policy, policies))
                        ferr_not_supported(pc->e, &p, policy, policies);
                if (str_eq(pc->restart_policy, "Never") && !str_eq(policy, "NotRequired"))
                        ferr_invalid_str(pc->e, &p, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
}

static void check_image_padding(struct ferrs *e, const struct fpath *container_path, const char *image)
{
        struct fpath p = fpath_child(container_path, "image");
        size_t n = strlen(image);

        if (n && (isspace((unsigned char)image[0]) || isspace((unsigned char)image[n - 1])))
                ferr_invalid_str(e, &p, image, "must not have leading or trailing whitespace");
}

/* What every container is held to. */
static void check_container(struct pod_check *pc, const struct fpath *p, const struct json_object *container)
{
        static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
        static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};
        struct fpath resources = fpath_child(p, "resources");

        check_name_required(pc->e, p, container, "name", NAME_DNS1123_LABEL);
        check_required(pc->e, p, container, "image");
        check_one_of(pc->e, p, container, "terminationMessagePolicy", message_policies, true);
        check_ports(pc->e, p, container);
        pod_check_env(pc->e, p, container);
        pod_check_mounts(pc, p, container);
        check_one_of(pc->e, p, container, "imagePullPolicy", pull_policies, true);
        pod_check_requirements(pc, &resources, json_get(container, "resources"), RESOURCE_OF_CONTAINER);
        if (json_has(container, "resizePolicy"))
                check_resize_policy(pc, p, container);
        container_check_security(pc, p, container);
        if (pc->is_pod)
                check_image_padding(pc->e, p, str_of(container, "image"));
}

static void check_exit_codes(struct ferrs *e, const struct fpath *parent, const struct json_object *rule)
{
        static const char *const operators[] = {"In", "NotIn", NULL};
        struct fpath p = fpath_child(parent, "exitCodes"), values = fpath_child(&p, "values");
        struct json_object *codes = json_get(rule, "exitCodes");

        if (!codes) {
                ferr_required(e, &p, "must be specified");
                return;
        }
        check_one_of(e, &p, codes, "operator", operators, true);
        if (!json_len(json_get(codes, "values")))
                ferr_invalid(e, &values, json_get(codes, "values"), "at least one value is required");
        if (json_len(json_get(codes, "values")) > 255)
                ferr_too_many(e, &values, json_len(json_get(codes, "values")), 255);
}

/* restartPolicy and restartPolicyRules of one container. */
static void check_restart_rules(struct ferrs *e, const struct fpath *p, const struct json_object *container)
{
        static const char *const policies[] = {"Always", "Never", "OnFailure", NULL};
        static const char *const actions[] = {"Restart", "RestartAllContainers", NULL};
        struct fpath rules = fpath_child(p, "restartPolicyRules"), policy = fpath_child(p, "restartPolicy");
        struct json_object *list = json_get(container, "restartPolicyRules");

        check_one_of(e, p, container, "restartPolicy", policies, false);
        if (json_len(list) > 20)
                ferr_too_many(e, &rules, json_len(list), 20);
        if (json_len(list) && !json_has(container, "restartPolicy"))
                ferr_required(e, &policy, "must specify restartPolicy when restart rules are used");
        json_array_foreach (list, i, rule) {
                struct fpath at = fpath_index(&rules, i);

                check_one_of(e, &at, rule, "action", actions, true);
                check_exit_codes(e, &at, rule);
        }
}

static void check_regular(struct pod_check *pc, const struct fpath *spec)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL, host_ports = NAME_SET_NULL;
        struct json_object *list = json_get(pc->spec, "containers");
        struct fpath p = fpath_child(spec, "containers");

        if (!json_len(list))
                ferr_required(pc->e, &p, NULL);
        json_array_foreach (list, i, container) {
                struct fpath at = fpath_index(&p, i), name = fpath_child(&at, "name");

                check_container(pc, &at, container);
                if (!name_set_add(&names, str_of(container, "name")))
                        ferr_duplicate_str(pc->e, &name, str_of(container, "name"));
                pod_check_probes(pc, &at, container);
                check_restart_rules(pc->e, &at, container);
        }
        json_array_foreach (list, j, container_of_port) {
                struct fpath at = fpath_index(&p, j);

                check_host_ports(pc->e, &host_ports, &at, container_of_port);
        }
}

/* A plain init container runs to its end: nothing looks after it while it runs. */
static void check_no_probes(struct ferrs *e, const struct fpath *p, const struct json_object *container)
{
        static const char *const fields[] = {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe", NULL};

        for (const char *const *field = fields; *field; field++) {
                struct fpath at = fpath_child(p, *field);

                if (json_has(container, *field))
                        ferr_forbidden(e, &at, INIT_ONLY);
        }
}

static void check_init(struct pod_check *pc, struct name_set *names, const struct fpath *spec)
{
        struct fpath p = fpath_child(spec, "initContainers");

        json_array_foreach (json_get(pc->spec, "initContainers"), i, container) {
                _cleanup_names_ struct name_set host_ports = NAME_SET_NULL;
                struct fpath at = fpath_index(&p, i), name = fpath_child(&at, "name");
                const char *text = str_of(container, "name");

                check_container(pc, &at, container);
                check_restart_rules(pc->e, &at, container);
                if (*text && !name_set_add(names, text))
                        ferr_duplicate_str(pc->e, &name, text);
                check_host_ports(pc->e, &host_ports, &at, container);
                if (str_eq(json_get_str(container, "restartPolicy"), "Always"))
                        pod_check_probes(pc, &at, container);
                else
                        check_no_probes(pc->e, &at, container);
        }
}

static void check_ephemeral_fields(struct ferrs *e, const struct fpath *p, const struct json_object *container)
{
        static const char *const fields[] = {
                "ports",         "resources",      "resizePolicy", "restartPolicy", "restartPolicyRules",
                "livenessProbe", "readinessProbe", "startupProbe", "lifecycle",     NULL};
        struct fpath mounts = fpath_child(p, "volumeMounts");

        for (const char *const *field = fields; *field; field++) {
                struct json_object *v = json_get(container, *field);
                struct fpath at = fpath_child(p, *field);

                if (v && !(json_is_object(v) && !json_object_object_length(v)))
                        ferr_forbidden(e, &at, EPHEMERAL);
        }
        json_array_foreach (json_get(container, "volumeMounts"), i, mount) {
                struct fpath item = fpath_index(&mounts, i), sub = fpath_child(&item, "subPath"),
                             expr = fpath_child(&item, "subPathExpr");

                if (*str_of(mount, "subPath"))
                        ferr_forbidden(e, &sub, EPHEMERAL);
                if (*str_of(mount, "subPathExpr"))
                        ferr_forbidden(e, &expr, EPHEMERAL);
        }
}

static void check_ephemeral(struct pod_check *pc, struct name_set *names, const struct fpath *spec)
{
        _cleanup_names_ struct name_set own = NAME_SET_NULL;
        struct fpath p = fpath_child(spec, "ephemeralContainers");

        json_array_foreach (json_get(pc->spec, "ephemeralContainers"), i, container) {
                struct fpath at = fpath_index(&p, i), name = fpath_child(&at, "name"),
                             target = fpath_child(&at, "targetContainerName");
                const char *text = str_of(container, "name"), *other = str_of(container, "targetContainerName");

                check_container(pc, &at, container);
                if (name_set_get(names, text) || !name_set_add(&own, text))
                        ferr_duplicate_str(pc->e, &name, text);
                if (*other && !name_set_get(names, other))
                        ferr_not_found_str(pc->e, &target, other);
                check_ephemeral_fields(pc->e, &at, container);
        }
}

/* On the host's network a port of the container is a port of the host. */
static void check_host_network(struct pod_check *pc, const struct fpath *spec)
{
        struct fpath p = fpath_child(spec, "containers");

        json_array_foreach (json_get(pc->spec, "containers"), i, container) {
                struct fpath item = fpath_index(&p, i), ports = fpath_child(&item, "ports");

                json_array_foreach (json_get(container, "ports"), j, port) {
                        struct fpath at = fpath_index(&ports, j), host = fpath_child(&at, "hostPort");
                        int64_t hp = json_get_i64(port, "hostPort", 0);

                        if ((pc->is_pod || hp) && hp != json_get_i64(port, "containerPort", 0))
                                ferr_invalid_i64(pc->e, &host, hp,
                                                 "must match `containerPort` when `hostNetwork` is true");
                }
        }
}

void pod_check_containers(struct pod_check *pc, const struct fpath *spec)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        check_regular(pc, spec);
        if (json_has(pc->spec, "initContainers") || json_has(pc->spec, "ephemeralContainers")) {
                json_array_foreach (json_get(pc->spec, "containers"), i, container) {
                        name_set_add(&names, str_of(container, "name"));
                }
                check_init(pc, &names, spec);
                check_ephemeral(pc, &names, spec);
        }
        if (pc->host_network)
                check_host_network(pc, spec);
}
