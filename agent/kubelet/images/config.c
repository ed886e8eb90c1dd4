/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "agent/kubelet/images/config.h"
#include "base/json.h"
#include "base/str.h"

#define LIST_MAX 65536 /* elements of one list */

struct parse {
        struct arena *mem;
        struct err *err;
};

static const char *kind_of(const struct json_object *o)
{
        static const char *const names[] = {
                [json_type_null] = "null",      [json_type_boolean] = "a boolean", [json_type_double] = "a number",
                [json_type_int] = "a number",   [json_type_object] = "an object",  [json_type_array] = "a list",
                [json_type_string] = "a string"};

        return names[json_object_get_type(o)];
}

/* Strings that a kernel or a shell will see end where they end. */
static int text(const struct parse *p, struct json_object *o, const char *where, const char **ret)
{
        const char *s;
        size_t n;

        if (!json_is_string(o))
                return err_set(p->err, -EINVAL, "%s: a string is expected, not %s", where, kind_of(o));
        s = json_object_get_string(o);
        n = (size_t)json_object_get_string_len(o);
        if (strlen(s) != n)
                return err_set(p->err, -EINVAL, "%s: has a NUL character", where);
        *ret = arena_strndup(p->mem, s, n);
        return 0;
}

static int member(const struct parse *p, struct json_object *o, const char *key, const char *where, const char **ret)
{
        struct json_object *v = json_get(o, key);

        *ret = "";
        return v ? text(p, v, where, ret) : 0;
}

static int list(const struct parse *p, struct json_object *config, const char *key, const char *const **ret)
{
        struct json_object *a = json_get(config, key);
        const char **v = arena_array(p->mem, const char *, json_len(a) + 1);
        char where[64];
        int r = 0;

        *ret = v;
        if (a && !json_is_array(a))
                return err_set(p->err, -EINVAL, "config.%s: a list is expected, not %s", key, kind_of(a));
        if (json_len(a) > LIST_MAX)
                return err_set(p->err, -EINVAL, "config.%s: has more than %d elements", key, LIST_MAX);
        json_array_foreach (a, i, s) {
                snprintf(where, sizeof(where), "config.%s[%zu]", key, i);
                r = r ?: text(p, s, where, &v[i]);
        }
        return r;
}

static int check_env(const struct parse *p, const char *const *env)
{
        for (size_t i = 0; env[i]; i++)
                if (!*env[i] || *env[i] == '=')
                        return err_set(p->err, -EINVAL, "config.Env[%zu]: \"NAME=value\" is expected, not \"%.100s\"",
                                       i, env[i]);
        return 0;
}

/* A set is an object whose values say nothing. */
static int volumes(const struct parse *p, struct json_object *config, const char *const **ret)
{
        struct json_object *o = json_get(config, "Volumes");
        const char **v;
        size_t n = 0;

        if (o && !json_is_object(o))
                return err_set(p->err, -EINVAL, "config.Volumes: an object is expected, not %s", kind_of(o));
        v = arena_array(p->mem, const char *, (o ? (size_t)json_object_object_length(o) : 0) + 1);
        *ret = v;
        json_foreach (o, path, unused) {
                if (*path != '/')
                        return err_set(p->err, -EINVAL, "config.Volumes: an absolute path is expected, not \"%.100s\"",
                                       path);
                v[n++] = arena_strdup(p->mem, path);
        }
        return 0;
}

static int labels(const struct parse *p, struct json_object *config, struct image_config *c)
{
        struct json_object *o = json_get(config, "Labels");
        struct image_label *v;
        int r = 0;

        if (o && !json_is_object(o))
                return err_set(p->err, -EINVAL, "config.Labels: an object is expected, not %s", kind_of(o));
        v = arena_array(p->mem, struct image_label, (o ? (size_t)json_object_object_length(o) : 0) + 1);
        c->labels = v;
        json_foreach (o, key, value) {
                v[c->nlabels].key = arena_strdup(p->mem, key);
                r = r ?: text(p, value, "config.Labels", &v[c->nlabels++].value);
        }
        return r;
}

static int stop_signal(const struct parse *p, struct json_object *config, int *ret)
{
        const char *name;
        int r = member(p, config, "StopSignal", "config.StopSignal", &name);

        if (r || !*name)
                return r;
        *ret = image_signal(name);
        return *ret > 0 ? 0 : err_set(p->err, -EINVAL, "config.StopSignal: \"%.100s\" is no signal", name);
}

static int parse_config(const struct parse *p, struct json_object *config, struct image_config *c)
{
        int r = list(p, config, "Entrypoint", &c->entrypoint);

        r = r ?: list(p, config, "Cmd", &c->cmd);
        r = r ?: list(p, config, "Env", &c->env);
        r = r ?: check_env(p, c->env);
        r = r ?: volumes(p, config, &c->volumes);
        r = r ?: labels(p, config, c);
        r = r ?: member(p, config, "User", "config.User", &c->user);
        r = r ?: member(p, config, "WorkingDir", "config.WorkingDir", &c->cwd);
        r = r ?: stop_signal(p, config, &c->stop_signal);
        if (!r && *c->cwd && *c->cwd != '/')
                c->cwd = arena_printf(p->mem, "/%s", c->cwd);
        return r;
}

static int parse_whole(const struct parse *p, struct json_object *o, struct image_config *c)
{
        struct json_object *config = json_get(o, "config");
        int r;

        if (!json_is_object(o))
                return err_set(p->err, -EINVAL, "an object is expected, not %s", kind_of(o));
        if (config && !json_is_object(config))
                return err_set(p->err, -EINVAL, "config: an object is expected, not %s", kind_of(config));
        r = member(p, o, "os", "os", &c->os);
        r = r ?: member(p, o, "architecture", "architecture", &c->architecture);
        return r ?: parse_config(p, config, c);
}

int image_config_parse(struct arena *mem, const char *s, size_t n, struct image_config *ret, struct err *reterr)
{
        _cleanup_json_ struct json_object *o = NULL;
        struct parse p = {mem, reterr};
        struct image_config c = {0};
        int r;

        if (n > IMAGE_CONFIG_MAX)
                return err_set(reterr, -EINVAL, "the image's configuration: larger than %d bytes", IMAGE_CONFIG_MAX);
        r = json_parse(s, n, &o, reterr);
        r = r ?: parse_whole(&p, o, &c);
        if (r)
                return err_prefix(reterr, -EINVAL, "the image's configuration");
        *ret = c;
        return 0;
}

/* "RTMIN+3", "RTMAX-1": what real-time signals are called. */
static int real_time(const char *name)
{
        const char *by = name + strlen("RTMIN");
        bool from_min = strncasecmp(name, "RTMIN", 5) == 0, from_max = strncasecmp(name, "RTMAX", 5) == 0;
        uint32_t n = 0;

        if (!from_min && !from_max)
                return -EINVAL;
        if (*by &&
            (*by != (from_min ? '+' : '-') || str_parse_u32(by + 1, &n) || n > (unsigned int)(SIGRTMAX - SIGRTMIN)))
                return -EINVAL;
        return from_min ? SIGRTMIN + (int)n : SIGRTMAX - (int)n;
}

int image_signal(const char *name)
{
        uint32_t n;

        if (str_parse_u32(name, &n) == 0)
                return n > 0 && n <= (unsigned int)SIGRTMAX ? (int)n : -EINVAL;
        if (strncasecmp(name, "SIG", 3) == 0)
                name += 3;
        for (int s = 1; s < SIGRTMIN; s++) {
                const char *known = sigabbrev_np(s);

                if (known && strcasecmp(known, name) == 0)
                        return s;
        }
        return real_time(name);
}
