/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/controllers/endpoints_fix.h"

void fix_node(struct world *w, const char *name, const char *zone)
{
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s','labels':{%s%s%s}},'status':{"
                    "'allocatable':{'cpu':'4'},'conditions':[{'type':'Ready','status':'True'}]}}",
                    name, *zone ? "'topology.kubernetes.io/zone':'" : "", zone, *zone ? "'" : "");
}

static const char *condition(struct world *w, char buf[static 160], bool ready)
{
        char now[CLOCK_TEXT_SIZE];

        snprintf(buf, 160, "{'type':'Ready','status':'%s','lastTransitionTime':'%s'}", ready ? "True" : "False",
                 clock_format(world_now_s(w), now));
        return buf;
}

void fix_pod(struct world *w, const char *name, const char *labels, const char *node, const char *ips, bool ready)
{
        _cleanup_strbuf_ struct strbuf list = STRBUF_NULL;
        char buf[160], first[64] = "";
        struct str_span ip;

        for (const char *rest = ips; str_split(&rest, ',', &ip);) {
                if (!list.len)
                        snprintf(first, sizeof(first), "%.*s", (int)ip.n, ip.s);
                strbuf_printf(&list, "%s{'ip':'%.*s'}", list.len ? "," : "", (int)ip.n, ip.s);
        }
        world_apply(w,
                    "{'apiVersion':'v1','kind':'Pod','metadata':{'namespace':'d','name':'%s','labels':{%s}},'spec':{"
                    "'nodeName':'%s','containers':[{'name':'c','image':'i','ports':[{'name':'http','containerPort':"
                    "8080}]}]},'status':{'phase':'Running','podIP':'%s','podIPs':[%s],'conditions':[%s]}}",
                    name, labels, node, first, list.data, condition(w, buf, ready));
}

void fix_ready(struct world *w, const char *name, bool ready)
{
        char buf[160];

        world_patch(w, &res_pods, "d", name, "{'status':{'conditions':[%s]}}", condition(w, buf, ready));
}

void fix_service(struct world *w, const char *name, const char *spec)
{
        world_apply(w, "{'apiVersion':'v1','kind':'Service','metadata':{'namespace':'d','name':'%s'},'spec':{%s}}",
                    name, spec);
}

struct json_object **fix_slices(struct world *w, const char *service, const char *manager, size_t *ret_n)
{
        size_t n, kept = 0;
        struct json_object **all = world_list(w, &res_endpointslices, "d", &n);

        for (size_t i = 0; i < n; i++) {
                struct json_object *labels = json_at(all[i], "metadata.labels");

                if (str_eq(json_get_str(labels, "kubernetes.io/service-name"), service) &&
                    (!manager || str_eq(json_get_str(labels, "endpointslice.kubernetes.io/managed-by"), manager)))
                        all[kept++] = all[i];
        }
        *ret_n = kept;
        return all;
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *endpoint_text(struct json_object *slice, struct json_object *e)
{
        struct json_object *conditions = json_get(e, "conditions");
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "%s=%s%s%s%s", json_at_str(e, "targetRef.name"),
                      json_object_get_string(json_idx(json_get(e, "addresses"), 0)),
                      json_get_bool(conditions, "ready", false) ? " ready" : "",
                      json_get_bool(conditions, "serving", false) ? " serving" : "",
                      json_get_bool(conditions, "terminating", false) ? " terminating" : "");
        json_array_foreach (json_get(slice, "ports"), i, p)
                strbuf_printf(&b, " %s:%d/%s", json_get_str(p, "name"), (int)json_get_i64(p, "port", -1),
                              json_get_str(p, "protocol"));
        return strbuf_take(&b, NULL);
}

struct lines {
        char **all;
        size_t n;
};

static void add_line(struct lines *l, char *text)
{
        l->all = mem_realloc(l->all, l->n + 1, sizeof(*l->all));
        l->all[l->n++] = text;
}

/* Sorted; marks those that begin like the one before. */
static char *join(struct lines *l, bool mark)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        if (l->n)
                qsort(l->all, l->n, sizeof(*l->all), by_text);
        for (size_t i = 0; i < l->n; i++) {
                size_t name = strcspn(l->all[i], "=") + 1;
                bool again = mark && i && !strncmp(l->all[i], l->all[i - 1], name);

                strbuf_printf(&b, "%s%s\n", l->all[i], again ? " twice" : "");
        }
        for (size_t i = 0; i < l->n; i++)
                free(l->all[i]);
        free(l->all);
        return strbuf_take(&b, NULL);
}

char *fix_endpoints(struct world *w, const char *service, const char *family)
{
        size_t n;
        _cleanup_free_ struct json_object **slices = fix_slices(w, service, NULL, &n);
        struct lines lines = {0};

        for (size_t s = 0; s < n; s++) {
                json_array_foreach (json_get(slices[s], "endpoints"), i, e)
                        if (str_eq(json_get_str(slices[s], "addressType"), family))
                                add_line(&lines, endpoint_text(slices[s], e));
        }
        return join(&lines, true);
}

static void add_addresses(struct lines *l, struct json_object *subset, const char *list, const char *mark)
{
        json_array_foreach (json_get(subset, list), i, a) {
                const char *pod = json_at_str(a, "targetRef.name");

                json_array_foreach (json_get(subset, "ports"), j, p)
                        add_line(l, mem_printf("%s=%s %s:%d/%s%s", pod ? pod : "", json_get_str(a, "ip"),
                                               json_get_str(p, "name"), (int)json_get_i64(p, "port", -1),
                                               json_get_str(p, "protocol"), mark));
                if (!json_len(json_get(subset, "ports")))
                        add_line(l, mem_printf("%s=%s%s", pod ? pod : "", json_get_str(a, "ip"), mark));
        }
}

char *fix_legacy(struct world *w, const char *service)
{
        struct json_object *o = world_get(w, &res_endpoints, "d", service);
        struct lines lines = {0};

        if (!o)
                return mem_strdup("none");
        json_array_foreach (json_get(o, "subsets"), i, subset) {
                add_addresses(&lines, subset, "addresses", "");
                add_addresses(&lines, subset, "notReadyAddresses", " -");
        }
        return join(&lines, false);
}
