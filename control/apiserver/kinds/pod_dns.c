/* SPDX-License-Identifier: Apache-2.0 */
/* dnsPolicy, dnsConfig and hostAliases. */
#include <string.h>

#include "apiserver/kinds/pod_check.h"
#include "base/str.h"

/* The limits of libc's resolver. */
#define NAMESERVERS_MAX 3
#define SEARCHES_MAX    32
#define SEARCH_CHARS    2048

static void check_search(struct ferrs *e, const struct fpath *p, const char *search)
{
        size_t n = strlen(search);

        if (strcmp(search, ".") == 0)
                return;
        if (n && search[n - 1] == '.')
                search = arena_strndup(e->arena, search, n - 1);
        check_name(e, p, NAME_DNS1123_SUBDOMAIN_UNDERSCORE, search);
}

static void check_searches(struct ferrs *e, const struct fpath *config, const struct json_object *searches)
{
        struct fpath p = fpath_child(config, "searches");
        size_t chars = json_len(searches) ? json_len(searches) - 1 : 0;

        json_array_foreach (searches, i, s) {
                chars += (size_t)json_object_get_string_len(s);
        }
        if (json_len(searches) > SEARCHES_MAX)
                ferr_invalid(e, &p, searches, "must not have more than %d search paths", SEARCHES_MAX);
        if (chars > SEARCH_CHARS)
                ferr_invalid(e, &p, searches,
                             "must not have more than %d characters (including spaces) in the search list",
                             SEARCH_CHARS);
        json_array_foreach (searches, j, search) {
                struct fpath at = fpath_index(&p, j);

                check_search(e, &at, json_object_get_string(search));
        }
}

static void check_config(struct ferrs *e, const struct fpath *p, const struct json_object *config)
{
        struct fpath servers = fpath_child(p, "nameservers"), options = fpath_child(p, "options");
        struct json_object *list = json_get(config, "nameservers");

        if (json_len(list) > NAMESERVERS_MAX)
                ferr_invalid(e, &servers, list, "must not have more than %d nameservers", NAMESERVERS_MAX);
        json_array_foreach (list, i, server) {
                struct fpath at = fpath_index(&servers, i);

                check_ip(e, &at, json_object_get_string(server));
        }
        check_searches(e, p, json_get(config, "searches"));
        json_array_foreach (json_get(config, "options"), j, option) {
                struct fpath at = fpath_index(&options, j);

                if (!*str_of(option, "name"))
                        ferr_required(e, &at, "must not be empty");
        }
}

static void check_host_aliases(struct ferrs *e, const struct fpath *spec, const struct json_object *aliases)
{
        struct fpath p = fpath_child(spec, "hostAliases");

        json_array_foreach (aliases, i, alias) {
                struct fpath at = fpath_index(&p, i), ip = fpath_child(&at, "ip"),
                             names = fpath_child(&at, "hostnames");

                check_ip(e, &ip, str_of(alias, "ip"));
                json_array_foreach (json_get(alias, "hostnames"), j, name) {
                        struct fpath here = fpath_index(&names, j);

                        check_name(e, &here, NAME_DNS1123_SUBDOMAIN, json_object_get_string(name));
                }
        }
}

void pod_check_dns(struct pod_check *pc, const struct fpath *spec)
{
        static const char *const policies[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL};
        struct json_object *config = json_get(pc->spec, "dnsConfig");
        struct fpath p = fpath_child(spec, "dnsConfig"), servers = fpath_child(&p, "nameservers");
        bool none = str_eq(json_get_str(pc->spec, "dnsPolicy"), "None");

        check_one_of(pc->e, spec, pc->spec, "dnsPolicy", policies, true);
        if (none && !config)
                ferr_required(pc->e, &p, "must provide `dnsConfig` when `dnsPolicy` is None");
        else if (none && !json_len(json_get(config, "nameservers")))
                ferr_required(pc->e, &servers, "must provide at least one DNS nameserver when `dnsPolicy` is None");
        else if (config)
                check_config(pc->e, &p, config);
        check_host_aliases(pc->e, spec, json_get(pc->spec, "hostAliases"));
}
