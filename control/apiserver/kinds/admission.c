/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "apiserver/kinds/admission.h"
#include "base/str.h"

const char *const admission_failure_policies[] = {"Fail", "Ignore", NULL};
const char *const admission_match_policies[] = {"Equivalent", "Exact", NULL};
const char *const admission_reinvocations[] = {"IfNeeded", "Never", NULL};

#define MATCH_CONDITIONS_MAX 64
#define URL_FORM             "; desired format: https://host[/path]"

void admission_default_match(struct json_object *match, const char *rules)
{
        json_default_str(match, "matchPolicy", "Equivalent");
        json_ensure(match, "namespaceSelector");
        json_ensure(match, "objectSelector");
        json_array_foreach (json_get(match, rules), i, rule)
                json_default_str(rule, "scope", "*");
}

static bool has_wildcard(const struct json_object *list)
{
        for (size_t i = 0; i < json_len(list); i++)
                if (str_eq(str_at(list, i), "*"))
                        return true;
        return false;
}

/* Not empty, and "*" only alone. */
static void check_list(const struct json_object *rule, const char *field, const char *what, const struct fpath *p,
                       struct ferrs *e)
{
        const struct json_object *list = json_get(rule, field);

        if (!json_len(list))
                ferr_required(e, FP(p, field), NULL);
        if (json_len(list) > 1 && has_wildcard(list))
                ferr_invalid(e, FP(p, field), list, "if '*' is present, must not specify other %s", what);
}

/* An earlier element is wide enough to hold this one: "pods/" + "*" for pods/log, or "*" + "/log". */
static void check_covered(const struct json_object *list, size_t i, const struct fpath *p, struct ferrs *e)
{
        const char *text = str_at(list, i), *slash = strchr(text, '/');
        char *all_subs, *all_resources;

        if (!slash)
                return;
        all_subs = arena_printf(e->arena, "%.*s/*", (int)(slash - text), text);
        all_resources = arena_printf(e->arena, "*%s", slash);
        for (size_t j = 0; j < i; j++) {
                if (str_eq(str_at(list, j), all_subs))
                        ferr_invalid_str(e, p, text, "if '%s' is present, must not specify %s", all_subs, text);
                if (str_eq(str_at(list, j), all_resources))
                        ferr_invalid_str(e, p, text, "if '%s' is present, must not specify %s", all_resources, text);
        }
}

static void check_resources(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        bool single = false, every = false, plain = false;

        if (!json_len(list))
                ferr_required(e, p, NULL);
        for (size_t i = 0; i < json_len(list); i++) {
                const char *text = str_at(list, i);

                if (!*text)
                        ferr_required(e, FPI(p, i), NULL);
                single |= str_eq(text, "*");
                every |= str_eq(text, "*/*");
                plain |= !strchr(text, '/') && !str_eq(text, "*");
                check_covered(list, i, FPI(p, i), e);
        }
        if (json_len(list) > 1 && every)
                ferr_invalid(e, p, list, "if '*/*' is present, must not specify other resources");
        if (single && plain)
                ferr_invalid(e, p, list, "if '*' is present, must not specify other resources without subresources");
}

static void check_resource_names(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set seen = NAME_SET_NULL;

        for (size_t i = 0; i < json_len(list); i++) {
                check_name(e, FPI(p, i), NAME_PATH_SEGMENT, str_at(list, i));
                if (!name_set_add(&seen, str_at(list, i)))
                        ferr_duplicate_str(e, FPI(p, i), str_at(list, i));
        }
}

void admission_check_rule(const struct json_object *rule, const struct fpath *p, struct ferrs *e)
{
        static const char *const operations[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL};
        static const char *const scopes[] = {"*", "Cluster", "Namespaced", NULL};
        const struct json_object *given = json_get(rule, "operations"), *versions = json_get(rule, "apiVersions");

        check_resource_names(json_get(rule, "resourceNames"), FP(p, "resourceNames"), e);
        check_list(rule, "operations", "operations", p, e);
        for (size_t i = 0; i < json_len(given); i++)
                if (!one_of(str_at(given, i), operations))
                        ferr_not_supported(e, FPI(FP(p, "operations"), i), str_at(given, i), operations);
        check_list(rule, "apiGroups", "API groups", p, e);
        check_list(rule, "apiVersions", "API versions", p, e);
        for (size_t i = 0; i < json_len(versions); i++)
                if (!*str_at(versions, i))
                        ferr_required(e, FPI(FP(p, "apiVersions"), i), NULL);
        check_resources(json_get(rule, "resources"), FP(p, "resources"), e);
        check_one_of(e, p, rule, "scope", scopes, false);
}

void admission_check_match_conditions(const struct json_object *list, const struct fpath *p, struct ferrs *e)
{
        _cleanup_names_ struct name_set names = NAME_SET_NULL;

        if (json_len(list) > MATCH_CONDITIONS_MAX)
                ferr_too_many(e, p, json_len(list), MATCH_CONDITIONS_MAX);
        json_array_foreach (list, i, condition) {
                const char *expression = str_of(condition, "expression"), *name = str_of(condition, "name");

                if (!expression[strspn(expression, " \t\r\n")])
                        ferr_required(e, FP(FPI(p, i), "expression"), NULL);
                check_name_required(e, FPI(p, i), condition, "name", NAME_LABEL_KEY);
                if (*name && !name_set_add(&names, name))
                        ferr_duplicate_str(e, FP(FPI(p, i), "name"), name);
        }
}

void admission_default_client(struct json_object *client)
{
        struct json_object *service = json_get(client, "service");

        if (service)
                json_default_i64(service, "port", 443);
}

static void check_url(const char *url, const struct fpath *p, struct ferrs *e)
{
        const char *rest = strstr(url, "://"), *scheme, *host;
        size_t host_len;

        scheme = rest ? arena_strndup(e->arena, url, (size_t)(rest - url)) : "";
        rest = rest ? rest + 3 : url;
        host_len = strcspn(rest, "/?#");
        host = arena_strndup(e->arena, rest, host_len);
        if (!str_eq(scheme, "https"))
                ferr_invalid_str(e, p, scheme, "'https' is the only allowed URL scheme" URL_FORM);
        if (!*host || !*scheme)
                ferr_invalid_str(e, p, *scheme ? host : "", "host must be specified" URL_FORM);
        if (strchr(host, '@'))
                ferr_invalid_str(e, p, arena_strndup(e->arena, host, strcspn(host, "@")),
                                 "user information is not permitted in the URL");
        if (strchr(rest, '#'))
                ferr_invalid_str(e, p, strchr(rest, '#') + 1, "fragments are not permitted in the URL");
        if (strchr(rest, '?'))
                ferr_invalid_str(e, p,
                                 arena_strndup(e->arena, strchr(rest, '?') + 1, strcspn(strchr(rest, '?') + 1, "#")),
                                 "query parameters are not permitted in the URL");
}

static void check_client_service(const struct json_object *service, const struct fpath *p, struct ferrs *e)
{
        const char *path = str_of(service, "path");
        int64_t port = json_get_i64(service, "port", 0);

        if (str_empty(str_of(service, "name")))
                ferr_required(e, FP(p, "name"), "service name is required");
        if (str_empty(str_of(service, "namespace")))
                ferr_required(e, FP(p, "namespace"), "service namespace is required");
        if (port < 1 || port > 65535)
                ferr_invalid_i64(e, FP(p, "port"), port, "port is not valid: " MSG_PORT_RANGE);
        if (*path && *path != '/')
                ferr_invalid_str(e, FP(p, "path"), path, "must start with a '/'");
}

void admission_check_client(const struct json_object *client, const struct fpath *p, struct ferrs *e)
{
        const struct json_object *service = json_get(client, "service");
        const char *url = json_get_str(client, "url");

        if ((url != NULL) == (service != NULL))
                ferr_required(e, p, "exactly one of url or service is required");
        else if (url)
                check_url(url, FP(p, "url"), e);
        else
                check_client_service(service, FP(p, "service"), e);
}
