/* SPDX-License-Identifier: Apache-2.0 */
/* Probes, lifecycle hooks, and the handlers of both. */
#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

static void check_exec(struct pod_check *pc, const struct fpath *p, const struct json_object *exec)
{
        check_required(pc->e, p, exec, "command");
}

static void check_http_get(struct pod_check *pc, const struct fpath *p, const struct json_object *http)
{
        static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
        struct fpath port = fpath_child(p, "port"), scheme = fpath_child(p, "scheme"),
                     headers = fpath_child(p, "httpHeaders");

        check_required(pc->e, p, http, "path");
        check_port_number_or_name(pc->e, &port, json_get(http, "port"));
        if (!one_of(str_of(http, "scheme"), schemes))
                ferr_not_supported(pc->e, &scheme, str_of(http, "scheme"), schemes);
        json_array_foreach (json_get(http, "httpHeaders"), i, header) {
                check_name(pc->e, &headers, NAME_HTTP_HEADER, str_of(header, "name"));
        }
}

static void check_tcp_socket(struct pod_check *pc, const struct fpath *p, const struct json_object *tcp)
{
        struct fpath port = fpath_child(p, "port");

        check_port_number_or_name(pc->e, &port, json_get(tcp, "port"));
}

static void check_grpc(struct pod_check *pc, const struct fpath *p, const struct json_object *grpc)
{
        struct fpath port = fpath_child(p, "port");

        check_port_number(pc->e, &port, json_get_i64(grpc, "port", 0));
}

static void check_sleep(struct pod_check *pc, const struct fpath *p, const struct json_object *sleep)
{
        int64_t seconds = json_get_i64(sleep, "seconds", 0);

        if (pc->has_grace && (seconds < 0 || seconds > pc->grace_seconds))
                ferr_invalid_i64(pc->e, p, seconds,
                                 "must be non-negative and less than terminationGracePeriodSeconds (%lld)",
                                 (long long)pc->grace_seconds);
}

static const struct {
        const char *field;
        void (*check)(struct pod_check *pc, const struct fpath *p, const struct json_object *handler);
} handlers[] = {
        {"exec", check_exec}, {"httpGet", check_http_get}, {"tcpSocket", check_tcp_socket},
        {"grpc", check_grpc}, {"sleep", check_sleep},
};

static void check_handler(struct pod_check *pc, const struct fpath *p, const struct json_object *o)
{
        bool found = false;

        for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
                struct json_object *handler = json_get(o, handlers[i].field);
                struct fpath at = fpath_child(p, handlers[i].field);

                if (!handler)
                        continue;
                if (found)
                        ferr_forbidden(pc->e, &at, "may not specify more than 1 handler type");
                else
                        handlers[i].check(pc, &at, handler);
                found = true;
        }
        if (!found)
                ferr_required(pc->e, p, "must specify a handler type");
}

static void check_probe(struct pod_check *pc, const struct fpath *p, const struct json_object *probe)
{
        static const char *const numbers[] = {"initialDelaySeconds", "timeoutSeconds",   "periodSeconds",
                                              "successThreshold",    "failureThreshold", NULL};
        int64_t grace = json_get_i64(probe, "terminationGracePeriodSeconds", 1);
        struct fpath at = fpath_child(p, "terminationGracePeriodSeconds");

        check_handler(pc, p, probe);
        check_non_negatives(pc->e, p, probe, numbers);
        if (grace <= 0)
                ferr_invalid_i64(pc->e, &at, grace, "must be greater than 0");
}

static void check_success_once(struct pod_check *pc, const struct fpath *p, const struct json_object *probe)
{
        int64_t n = json_get_i64(probe, "successThreshold", 0);
        struct fpath at = fpath_child(p, "successThreshold");

        if (n != 1)
                ferr_invalid_i64(pc->e, &at, n, "must be 1");
}

void pod_check_probes(struct pod_check *pc, const struct fpath *container_path, const struct json_object *container)
{
        struct fpath hooks = fpath_child(container_path, "lifecycle"), start = fpath_child(&hooks, "postStart"),
                     stop = fpath_child(&hooks, "preStop"), live = fpath_child(container_path, "livenessProbe"),
                     ready = fpath_child(container_path, "readinessProbe"),
                     startup = fpath_child(container_path, "startupProbe"),
                     grace = fpath_child(&ready, "terminationGracePeriodSeconds");
        struct json_object *lifecycle = json_get(container, "lifecycle"), *o;

        if ((o = json_get(lifecycle, "postStart")))
                check_handler(pc, &start, o);
        if ((o = json_get(lifecycle, "preStop")))
                check_handler(pc, &stop, o);
        if ((o = json_get(container, "livenessProbe"))) {
                check_probe(pc, &live, o);
                check_success_once(pc, &live, o);
        }
        if ((o = json_get(container, "readinessProbe"))) {
                check_probe(pc, &ready, o);
                if (json_has(o, "terminationGracePeriodSeconds"))
                        ferr_invalid(pc->e, &grace, json_get(o, "terminationGracePeriodSeconds"),
                                     "must not be set for readinessProbes");
        }
        if ((o = json_get(container, "startupProbe"))) {
                check_probe(pc, &startup, o);
                check_success_once(pc, &startup, o);
        }
}
