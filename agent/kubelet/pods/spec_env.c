/* SPDX-License-Identifier: Apache-2.0 */
/* The variables of a container: envFrom, then env, then the services, as upstream's makeEnvironmentVariables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/kubelet/pods/expand.h"
#include "agent/kubelet/pods/service_links.h"
#include "agent/kubelet/pods/spec_impl.h"
#include "agent/kubelet/pods/textlist.h"
#include "agent/kubelet/volumes/downward.h"
#include "base/base64.h"
#include "base/str.h"
#include "kube/names.h"

/* Of the kernel: bytes of one argument or variable with its NUL (MAX_ARG_STRLEN), and of all of them together: a
 * quarter of the stack's limit, at most three quarters of 8 MiB, less a page of slack. */
#define STRING_MAX (32 * 4096)
#define TOTAL_MAX  (6UL * 1024 * 1024)

struct building {
        const struct spec_work *w;
        struct envs *env;
        struct envs links;
};

/* The two kinds of objects that variables come from. */
struct source {
        enum object_kind kind;
        const char *word, *title; /* in messages */
};

static const struct source config_map = {OBJECT_CONFIG_MAP, "configmap", "ConfigMap"};
static const struct source secret = {OBJECT_SECRET, "secret", "Secret"};

/* 0, ENOENT (positive): it is optional and not there, or what makes the container wait. */
static int find_object(const struct spec_work *w, const struct source *from, const struct json_object *ref,
                       struct json_object **ret, struct err *reterr)
{
        const char *name = json_get_str(ref, "name") ?: "";
        int r = objects_get(w->s->objects, from->kind, w->ns, name, ret);

        if (r == -ENOENT && json_get_bool(ref, "optional", false))
                return ENOENT;
        if (r == -ENOENT)
                return err_set(reterr, -EAGAIN, "%s \"%s\" not found", from->word, name);
        if (r)
                return err_set(reterr, -EAGAIN, "%s \"%s\" is not known yet: the API has not answered", from->word,
                               name);
        return 0;
}

static int secret_text(const char *base64, struct arena *mem, const char **ret)
{
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        if (base64_decode(base64, strlen(base64), &bytes, &n))
                return -EINVAL;
        *ret = arena_strndup(mem, bytes, n);
        return strlen(*ret) == n ? 0 : -EINVAL;
}

/* The value of a key; a variable cannot hold a NUL. */
static int value_of(const struct spec_work *w, const struct source *from, const char *key, struct json_object *v,
                    const char **ret, struct err *reterr)
{
        const char *text = json_object_get_string(v);
        int r = 0;

        if (from->kind == OBJECT_SECRET)
                r = secret_text(text ?: "", w->mem, ret);
        else if (strlen(text ?: "") != (size_t)json_object_get_string_len(v))
                r = -EINVAL;
        else
                *ret = text;
        return r ? err_set(reterr, r, "key %s of a %s cannot be a variable: it has a NUL byte", key, from->title) : 0;
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void tell_invalid(const struct spec_work *w, const struct source *from, const char *name, struct textlist *bad)
{
        if (!bad->n)
                return;
        qsort(bad->v, bad->n, sizeof(*bad->v), by_text);
        spec_warn(w, "InvalidEnvironmentVariableNames",
                  "Keys [%s] from the EnvFrom %s %s/%s were skipped since they are considered invalid environment "
                  "variable names.",
                  textlist_join(bad, ", "), from->kind == OBJECT_SECRET ? "secret" : "configMap", w->ns, name);
}

static int add_all(struct building *b, const struct source *from, const struct json_object *ref, const char *prefix,
                   struct err *reterr)
{
        const struct spec_work *w = b->w;
        struct textlist bad = TEXTLIST(w->mem);
        struct json_object *o = NULL;
        int r = find_object(w, from, ref, &o, reterr);

        json_foreach (r ? NULL : json_get(o, "data"), key, v) {
                const char *name = arena_printf(w->mem, "%s%s", prefix, key), *value = "";

                if (name_error(NAME_ENV_VAR, name)) {
                        textlist_add(&bad, name);
                        continue;
                }
                r = value_of(w, from, key, v, &value, reterr);
                if (r)
                        return r;
                envs_set(b->env, name, value);
        }
        tell_invalid(w, from, json_get_str(ref, "name") ?: "", &bad);
        return r == ENOENT ? 0 : r;
}

static int env_from(struct building *b, struct err *reterr)
{
        int r = 0;

        json_array_foreach (json_get(b->w->container, "envFrom"), i, from) {
                const char *prefix = json_get_str(from, "prefix") ?: "";
                struct json_object *map = json_get(from, "configMapRef"), *hidden = json_get(from, "secretRef");

                if (map)
                        r = add_all(b, &config_map, map, prefix, reterr);
                else if (hidden)
                        r = add_all(b, &secret, hidden, prefix, reterr);
                if (r)
                        return r;
        }
        return 0;
}

static const char *look_up(void *userdata, const char *name, size_t n, size_t *ret_len)
{
        struct building *b = userdata;
        const struct env_var *v = envs_find(b->env, name, n) ?: envs_find(&b->links, name, n);

        if (!v)
                return NULL;
        *ret_len = v->len;
        return v->value;
}

/* 0, ENOENT (positive): optional and not there, or negative errno. */
static int key_value(struct building *b, const struct source *from, const struct json_object *ref, const char **ret,
                     struct err *reterr)
{
        const char *key = json_get_str(ref, "key") ?: "";
        struct json_object *o = NULL, *v;
        int r = find_object(b->w, from, ref, &o, reterr);

        if (r)
                return r;
        v = json_get(json_get(o, "data"), key);
        if (!v && json_get_bool(ref, "optional", false))
                return ENOENT;
        if (!v)
                return err_set(reterr, -EAGAIN, "couldn't find key %s in %s %s/%s", key, from->title, b->w->ns,
                               json_get_str(ref, "name") ?: "");
        return value_of(b->w, from, key, v, ret, reterr);
}

static int value_from(struct building *b, const struct json_object *from, const char **ret, struct err *reterr)
{
        const struct spec_work *w = b->w;
        const struct spec_node *node = w->s->node;
        struct downward d = {.pod = w->pod,
                             .node = node->object ? node->object(node->userdata) : NULL,
                             .pod_ips = spec_ips(w),
                             .host_ips = node->ips};
        struct json_object *ref;

        if ((ref = json_get(from, "fieldRef")))
                return downward_field(&d, json_get_str(ref, "fieldPath"), w->mem, ret, reterr);
        if ((ref = json_get(from, "resourceFieldRef")))
                return downward_resource(&d, ref, w->container, w->mem, ret, reterr);
        if ((ref = json_get(from, "configMapKeyRef")))
                return key_value(b, &config_map, ref, ret, reterr);
        if ((ref = json_get(from, "secretKeyRef")))
                return key_value(b, &secret, ref, ret, reterr);
        return err_set(reterr, -EOPNOTSUPP,
                       "valueFrom: must name a fieldRef, resourceFieldRef, configMapKeyRef or "
                       "secretKeyRef");
}

static int add_one(struct building *b, const struct json_object *var, struct err *reterr)
{
        const char *name = json_get_str(var, "name") ?: "", *text = json_get_str(var, "value"), *value = "";
        const struct json_object *from = json_get(var, "valueFrom");
        int r = 0;

        if (!str_empty(text))
                value = expand(text, look_up, b, b->w->mem);
        else if (from)
                r = value_from(b, from, &value, reterr);
        if (!r)
                envs_set(b->env, name, value);
        return r == ENOENT ? 0 : r;
}

/* What the pod names itself goes before what the services would be called. */
static void add_links(struct building *b)
{
        for (size_t i = 0; i < b->links.n; i++)
                if (!envs_find(b->env, b->links.v[i].name, strlen(b->links.v[i].name)))
                        envs_set(b->env, b->links.v[i].name, b->links.v[i].value);
}

static bool is_static(const struct spec_work *w)
{
        const char *source = json_get_str(json_at(w->pod, "metadata.annotations"), "kubernetes.io/config.source");

        return source && !str_eq(source, "api");
}

static int find_links(struct building *b, struct err *reterr)
{
        const struct service_links *services = b->w->s->services;

        if (!services)
                return 0;
        if (!is_static(b->w) && !service_links_synced(services))
                return err_set(reterr, -EAGAIN,
                               "services have not yet been read at least once, cannot construct envvars");
        service_links_env(services, b->w->ns, json_get_bool(b->w->spec, "enableServiceLinks", true), &b->links);
        return 0;
}

int spec_env(const struct spec_work *w, struct envs *ret, struct err *reterr)
{
        struct building b = {.w = w, .env = ret};
        int r;

        envs_init(&b.links, w->mem);
        r = find_links(&b, reterr);
        if (!r)
                r = env_from(&b, reterr);
        json_array_foreach (r ? NULL : json_get(w->container, "env"), i, var) {
                r = add_one(&b, var, reterr);
                if (r)
                        break;
        }
        if (!r)
                add_links(&b);
        envs_deinit(&b.links);
        return r;
}

static int add_sizes(const char *const *list, const char *what, size_t *total, struct err *reterr)
{
        for (; list && *list; list++) {
                size_t n = strlen(*list) + 1;
                int shown = (int)MIN(strcspn(*list, "="), (size_t)60);

                if (n > STRING_MAX)
                        return err_set(reterr, -E2BIG,
                                       "argument list too long: %s \"%.*s\" has %zu bytes, at most %d are possible",
                                       what, shown, *list, n - 1, STRING_MAX - 1);
                *total += n + sizeof(char *);
        }
        return 0;
}

int spec_env_fits(const char *const *argv, const char *const *env, struct err *reterr)
{
        struct rlimit stack = {RLIM_INFINITY, RLIM_INFINITY};
        size_t total = 0, limit = TOTAL_MAX;
        int r = add_sizes(argv, "argument", &total, reterr);

        if (!r)
                r = add_sizes(env, "variable", &total, reterr);
        if (r)
                return r;
        getrlimit(RLIMIT_STACK, &stack);
        if (stack.rlim_cur != RLIM_INFINITY)
                limit = MIN(limit, (size_t)stack.rlim_cur / 4);
        if (total + 4096 > limit)
                return err_set(reterr, -E2BIG,
                               "argument list too long: command and variables have %zu bytes, at most %zu are possible "
                               "(enableServiceLinks: false leaves out those of services)",
                               total, limit - 4096);
        return 0;
}
