/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's status: its quality of service, and what its updates must keep to. */
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

/* A resource counts when it is there and above zero. */
static const char *positive(const struct json_object *list, const char *name)
{
        const char *v = json_get_str(list, name);

        return v && quantity_text_cmp(v, "0") > 0 ? v : NULL;
}

struct qos {
        bool any;        /* something is requested or limited */
        bool guaranteed; /* so far, all is limited to what is requested */
};

static void qos_add(struct qos *q, const struct json_object *resources)
{
        static const char *const names[] = {"cpu", "memory", NULL};

        for (const char *const *name = names; *name; name++) {
                const char *request = positive(json_get(resources, "requests"), *name),
                           *limit = positive(json_get(resources, "limits"), *name);

                q->any |= request || limit;
                q->guaranteed &= limit && request && quantity_text_cmp(request, limit) == 0;
        }
}

const char *pod_qos(const struct json_object *pod)
{
        static const char *const lists[] = {"containers", "initContainers", NULL};
        const struct json_object *spec = json_get(pod, "spec"), *own = json_get(spec, "resources");
        struct qos q = {.guaranteed = true};

        if (json_has(own, "requests") || json_has(own, "limits")) {
                qos_add(&q, own);
                return q.guaranteed ? "Guaranteed" : q.any ? "Burstable" : "BestEffort";
        }
        for (const char *const *list = lists; *list; list++) {
                json_array_foreach (json_get(spec, *list), i, container) {
                        qos_add(&q, json_get(container, "resources"));
                }
        }
        return !q.any ? "BestEffort" : q.guaranteed ? "Guaranteed" : "Burstable";
}

static void check_conditions(struct ferrs *e, const struct json_object *conditions)
{
        static const char *const known[] = {"PodScheduled", "Ready", "Initialized", NULL};
        /* Upstream has the path of metadata here. */
        struct fpath meta = fpath_child(NULL, "metadata"), p = fpath_child(&meta, "conditions");

        json_array_foreach (conditions, i, condition) {
                struct fpath item = fpath_index(&p, i), at = fpath_child(&item, "Type");
                const char *type = str_of(condition, "type");

                if (!one_of(type, known))
                        check_name(e, &at, NAME_LABEL_KEY, type);
        }
}

static const struct json_object *by_name(const struct json_object *list, const char *name)
{
        json_array_foreach (list, i, item) {
                if (str_eq(str_of(item, "name"), name))
                        return item;
        }
        return NULL;
}

/* A container that ended for good stays ended. */
static void check_transitions(struct ferrs *e, const struct fpath *status, const struct json_object *pod,
                              const struct json_object *old, const char *list)
{
        bool ephemeral = str_eq(list, "ephemeralContainerStatuses"), init = str_eq(list, "initContainerStatuses");
        const char *policy = ephemeral ? "Never" : json_at_str(old, "spec.restartPolicy");
        struct fpath p = fpath_child(status, list);

        if (str_eq(policy, "Always"))
                return;
        json_array_foreach (json_get(json_get(old, "status"), list), i, was) {
                struct json_object *ended = json_at(was, "state.terminated");
                const char *name = str_of(was, "name");
                const struct json_object *is = by_name(json_get(json_get(pod, "status"), list), name), *container;
                struct fpath item = fpath_index(&p, i), at = fpath_child(&item, "state");

                if (!ended || (json_get_i64(ended, "exitCode", 0) && str_eq(policy, "OnFailure")))
                        continue;
                container = by_name(json_at(old, init ? "spec.initContainers" : "spec.containers"), name);
                if (str_eq(json_get_str(container, "restartPolicy"), "Always") ||
                    json_has(container, "restartPolicyRules"))
                        continue;
                if (is && !json_at(is, "state.terminated"))
                        ferr_forbidden(e, &at, "may not be transitioned to non-terminated state");
        }
}

/* At most one address of each family, none twice. */
static void check_ips(struct ferrs *e, const struct fpath *status, const struct json_object *list, const char *name)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;
        struct fpath p = fpath_child(status, name);
        int families[2] = {0, 0};

        json_array_foreach (list, i, item) {
                struct fpath at = fpath_index(&p, i);
                const char *ip = str_of(item, "ip");

                check_ip(e, &at, ip);
                if (!name_set_add(&seen, ip))
                        ferr_duplicate(e, &at, item);
                families[is_ipv6_text(ip)]++;
        }
        if (families[0] > 1 || families[1] > 1)
                ferr_invalid(e, &p, list, "may specify no more than one IP for each IP family");
}

static void check_host_ip(struct ferrs *e, const struct fpath *status, const struct json_object *o)
{
        const char *first = json_get_str(json_idx(json_get(o, "hostIPs"), 0), "ip");
        struct fpath p = fpath_child(status, "hostIPs"), item = fpath_index(&p, 0), at = fpath_child(&item, "ip");

        if (first && !str_eq(first, str_of(o, "hostIP")))
                ferr_invalid_str(e, &at, first, "must be equal to `hostIP`");
}

void pod_validate_status(const struct kctx *c, const struct json_object *pod, const struct json_object *old,
                         struct ferrs *e)
{
        static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses",
                                            NULL};
        const struct json_object *status = json_get(pod, "status");
        struct fpath p = fpath_child(NULL, "status");

        check_conditions(e, json_get(status, "conditions"));
        check_name_if(e, &p, status, "nominatedNodeName", NAME_DNS1123_SUBDOMAIN);
        check_immutable(e, &p, status, json_get(old, "status"), "qosClass");
        for (const char *const *list = lists; *list; list++)
                check_transitions(e, &p, pod, old, *list);
        check_ips(e, &p, json_get(status, "podIPs"), "podIPs");
        check_host_ip(e, &p, status);
        check_ips(e, &p, json_get(status, "hostIPs"), "hostIPs");
}
