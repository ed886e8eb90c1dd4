/* SPDX-License-Identifier: Apache-2.0 */
/* Ingresses and IngressClasses. */
#include <string.h>

#include "apiserver/alloc/ipaddr.h"
#include "apiserver/kinds/kinds.h"
#include "apiserver/kinds/netcheck.h"
#include "base/str.h"

#define CLASS_ANNOTATION   "kubernetes.io/ingress.class"
#define CONTROLLER_MAX_LEN 250

static const char *const path_types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};

static void check_typed_reference(const struct json_object *ref, const struct fpath *p, struct ferrs *e)
{
        check_name_if(e, p, ref, "apiGroup", NAME_DNS1123_SUBDOMAIN);
        check_name_required(e, p, ref, "kind", NAME_PATH_SEGMENT);
        check_name_required(e, p, ref, "name", NAME_PATH_SEGMENT);
}

static void check_service_backend(const struct json_object *service, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *port = json_get(service, "port");
        const struct fpath *s = FP(p, "service"), *port_path = FP(s, "port");
        bool name = !str_empty(str_of(port, "name")), number = json_get_i64(port, "number", 0) != 0;

        check_name_required(e, s, service, "name", NAME_DNS1035_LABEL);
        if (name && number)
                ferr_invalid_str(e, p, "", "cannot set both port name & port number");
        else if (name)
                check_name(e, FP(port_path, "name"), NAME_PORT, str_of(port, "name"));
        else if (number)
                check_port_number(e, FP(port_path, "number"), json_get_i64(port, "number", 0));
        else
                ferr_required(e, p, "port name or number is required");
}

static void check_backend(const struct json_object *backend, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *resource = json_get(backend, "resource"), *service = json_get(backend, "service");

        if (resource && service)
                ferr_invalid_str(e, p, "", "cannot set both resource and service backends");
        else if (resource)
                check_typed_reference(resource, FP(p, "resource"), e);
        else if (service)
                check_service_backend(service, p, e);
        else
                ferr_invalid_str(e, p, "", "resource or service backend is required");
}

static void check_path_text(const char *path, const struct fpath *p, struct ferrs *e)
{
        static const char *const sequences[] = {"//", "/./", "/../", "%2f", "%2F"};
        static const char *const suffixes[] = {"/..", "/."};

        if (*path != '/')
                ferr_invalid_str(e, p, path, "must be an absolute path");
        for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
                if (strstr(path, sequences[i]))
                        ferr_invalid_str(e, p, path, "must not contain '%s'", sequences[i]);
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
                if (str_has_suffix(path, suffixes[i]))
                        ferr_invalid_str(e, p, path, "cannot end with '%s'", suffixes[i]);
}

static void check_http_path(const struct json_object *path, const struct fpath *p, struct ferrs *e)
{
        const char *type = json_get_str(path, "pathType"), *text = str_of(path, "path");

        if (!type) {
                ferr_required(e, FP(p, "pathType"), "pathType must be specified");
                return;
        }
        if (str_eq(type, "Exact") || str_eq(type, "Prefix"))
                check_path_text(text, FP(p, "path"), e);
        else if (!str_eq(type, "ImplementationSpecific"))
                ferr_not_supported(e, FP(p, "pathType"), type, path_types);
        else if (*text && *text != '/')
                ferr_invalid_str(e, FP(p, "path"), text, "must be an absolute path");
        check_backend(json_get(path, "backend"), FP(p, "backend"), e);
}

static void check_host(const char *host, const struct fpath *p, struct ferrs *e)
{
        struct ipaddr ip;

        if (ipaddr_parse(host, &ip) == 0)
                ferr_invalid_str(e, p, host, "must be a DNS name, not an IP address");
        check_name(e, p, strchr(host, '*') ? NAME_WILDCARD_SUBDOMAIN : NAME_DNS1123_SUBDOMAIN, host);
}

static void check_rule(const struct json_object *rule, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *http = json_get(rule, "http"), *paths = json_get(http, "paths");
        const struct fpath *list = FP(FP(p, "http"), "paths");

        if (!str_empty(str_of(rule, "host")))
                check_host(str_of(rule, "host"), FP(p, "host"), e);
        if (http && !json_len(paths))
                ferr_required(e, list, NULL);
        json_array_foreach (paths, i, path)
                check_http_path(path, FPI(list, i), e);
}

static void check_tls(const struct json_object *tls, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *hosts = json_get(tls, "hosts");

        for (size_t i = 0; i < json_len(hosts); i++)
                check_name(e, FPI(FP(p, "hosts"), i),
                           strchr(str_at(hosts, i), '*') ? NAME_WILDCARD_SUBDOMAIN : NAME_DNS1123_SUBDOMAIN,
                           str_at(hosts, i));
        check_name_if(e, p, tls, "secretName", NAME_DNS1123_SUBDOMAIN);
}

static void ingress_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const struct json_object *rules = json_get(spec, "rules"), *backend = json_get(spec, "defaultBackend");
        const struct fpath *p = FP(NULL, "spec");

        if (!json_len(rules) && !backend) {
                _cleanup_json_ struct json_object *none = json_object_new_array();

                ferr_invalid(e, p, none, "either `defaultBackend` or `rules` must be specified");
        }
        if (backend)
                check_backend(backend, FP(p, "defaultBackend"), e);
        json_array_foreach (rules, i, rule)
                check_rule(rule, FPI(FP(p, "rules"), i), e);
        json_array_foreach (json_get(spec, "tls"), j, tls)
                check_tls(tls, FPI(FP(p, "tls"), j), e);
        if (json_has(spec, "ingressClassName"))
                check_name(e, FP(p, "ingressClassName"), NAME_DNS1123_SUBDOMAIN, str_of(spec, "ingressClassName"));
}

static void ingress_validate_create(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const char *annotation = json_get_str(json_at(obj, "metadata.annotations"), CLASS_ANNOTATION);
        const char *class = json_at_str(obj, "spec.ingressClassName");

        ingress_validate(c, obj, e);
        /* Only at a create (which has no resourceVersion): objects of the time before the field keep both. */
        if (annotation && class && !json_at(obj, "metadata.resourceVersion") && !str_eq(annotation, class))
                ferr_invalid_str(e, FP(FP(NULL, "annotations"), CLASS_ANNOTATION), annotation,
                                 "must match `ingressClassName` when both are specified");
}

static void ingress_validate_status(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                    struct ferrs *e)
{
        const struct fpath *list = FP(FP(FP(NULL, "status"), "loadBalancer"), "ingress");

        json_array_foreach (json_at(obj, "status.loadBalancer.ingress"), i, ingress) {
                const struct fpath *p = FPI(list, i);
                const char *host = str_of(ingress, "hostname");
                struct ipaddr ip;

                check_name_if(e, p, ingress, "ip", NAME_IP_SLOPPY);
                check_name_if(e, p, ingress, "hostname", NAME_DNS1123_SUBDOMAIN);
                if (*host && ipaddr_parse(host, &ip) == 0)
                        ferr_invalid_str(e, FP(p, "hostname"), host, "must be a DNS name, not an IP address");
        }
}

static void ingress_warn(const struct kctx *c, const struct json_object *obj, const struct json_object *old)
{
        if (json_has(json_at(obj, "metadata.annotations"), CLASS_ANNOTATION) && !old)
                warnings_add(c->warnings,
                             "annotation \"" CLASS_ANNOTATION "\" is deprecated, please use 'spec.ingressClassName' "
                             "instead");
}

const struct kind_ops kind_ingresses = {
        .group = "networking.k8s.io",
        .plural = "ingresses",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .validate = ingress_validate_create,
        .validate_status = ingress_validate_status,
        .warn = ingress_warn,
};

static void class_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *parameters = json_at(obj, "spec.parameters");

        if (parameters)
                json_default_str(parameters, "scope", "Cluster");
}

/* A domain, a slash and a path: acme.io/foo. */
static void check_domain_path(const char *value, const struct fpath *p, struct ferrs *e)
{
        const char *slash = strchr(value, '/');

        if (!slash || !slash[1]) {
                ferr_invalid_str(e, p, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
                return;
        }
        check_name(e, p, NAME_DNS1123_SUBDOMAIN, arena_strndup(e->arena, value, (size_t)(slash - value)));
        for (const char *s = slash + 1; *s; s++) {
                if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
                    strchr("/-._~%!$&'()*+,;=:", *s))
                        continue;
                ferr_invalid_str(e, p, slash + 1,
                                 "Invalid path (regex used for validation is "
                                 "'[A-Za-z0-9/\\-._~%%!$&'()*+,;=:]+')");
                return;
        }
}

static void check_parameters(const struct json_object *parameters, const struct fpath *p, struct ferrs *e)
{
        static const char *const scopes[] = {"Cluster", "Namespace", NULL};
        const char *scope = str_of(parameters, "scope"), *namespace = json_get_str(parameters, "namespace");

        check_typed_reference(parameters, p, e);
        check_one_of(e, p, parameters, "scope", scopes, true);
        if (str_eq(scope, "Namespace")) {
                if (!namespace)
                        ferr_required(e, FP(p, "namespace"), "`parameters.scope` is set to 'Namespace'");
                else
                        check_name(e, FP(p, "namespace"), NAME_DNS1123_LABEL, namespace);
        } else if (str_eq(scope, "Cluster") && namespace) {
                ferr_forbidden(e, FP(p, "namespace"), "`parameters.scope` is set to 'Cluster'");
        }
}

static void class_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        const struct json_object *spec = json_get(obj, "spec");
        const char *controller = str_of(spec, "controller");
        const struct fpath *p = FP(NULL, "spec");

        if (!*controller) {
                ferr_required(e, FP(p, "controller"), NULL);
        } else {
                if (strlen(controller) > CONTROLLER_MAX_LEN)
                        ferr_too_long(e, FP(p, "controller"), CONTROLLER_MAX_LEN);
                check_domain_path(controller, FP(p, "controller"), e);
        }
        if (json_has(spec, "parameters"))
                check_parameters(json_get(spec, "parameters"), FP(p, "parameters"), e);
}

static void class_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                  struct ferrs *e)
{
        check_immutable_str(e, FP(NULL, "spec"), json_get(obj, "spec"), json_get(old, "spec"), "controller");
}

const struct kind_ops kind_ingressclasses = {
        .group = "networking.k8s.io",
        .plural = "ingressclasses",
        .flags = KIND_GENERATION,
        .defaults = class_defaults,
        .validate = class_validate,
        .validate_update = class_validate_update,
};
