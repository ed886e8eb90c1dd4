/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/service_names.h"
#include "ctl/suggest.h"

/* Is what follows the typed part of a name the end of the port's, or of the service's? */
static bool ends_there(const char *rest, const char *typed)
{
        return rest && (!*rest || *rest == ':' || (*rest == '/' && strchr(typed, ':')));
}

bool service_name_matches(const char *name, const char *typed)
{
        const char *rest = str_after(name, typed), *slash = strchr(name, '/');

        if (str_has_suffix(typed, "/"))
                return rest;
        if (ends_there(rest, typed))
                return true;
        return !strchr(typed, '/') && slash && ends_there(str_after(slash + 1, typed), typed);
}

void service_name_cut(const char *name, char ret[static SERVICE_NAME_SIZE])
{
        const char *colon = strrchr(name, ':');
        size_t n = colon ? (size_t)(colon - name) : strlen(name);

        snprintf(ret, SERVICE_NAME_SIZE, "%.*s", (int)MIN(n, (size_t)SERVICE_NAME_SIZE - 1), name);
}

struct each {
        void (*fn)(void *userdata, uint32_t id, const char *name);
        void *userdata;
};

static int visit(void *userdata, const void *key, const void *value)
{
        const struct each *e = userdata;
        const struct service_name *name = value;

        if (*name->name && name->name[SERVICE_NAME_SIZE - 1] == '\0')
                e->fn(e->userdata, *(const uint32_t *)key, name->name);
        return 0;
}

int service_names_each(struct view *v, void (*fn)(void *userdata, uint32_t id, const char *name), void *userdata)
{
        struct each e = {.fn = fn, .userdata = userdata};

        return map_each(v->maps.m[MAP_SERVICE_NAMES], visit, &e);
}

struct finding {
        const char *typed;
        struct service_ids *ids;
};

static void compare(void *userdata, uint32_t id, const char *name)
{
        struct finding *f = userdata;

        if (!service_name_matches(name, f->typed))
                return;
        f->ids->bits[id / 64] |= 1ULL << id % 64;
        f->ids->count++;
}

int service_ids_find(struct view *v, const char *typed, struct service_ids *ret)
{
        struct finding f = {.typed = typed, .ids = ret};

        memset(ret, 0, sizeof(*ret));
        return service_names_each(v, compare, &f);
}

struct nearest {
        struct suggestion suggestion;
        char best[SERVICE_NAME_SIZE];
        bool short_name; /* typed without its namespace */
        size_t count;
};

static void offer(void *userdata, uint32_t id, const char *name)
{
        struct nearest *n = userdata;
        char cut[SERVICE_NAME_SIZE];
        unsigned int before = n->suggestion.best ? n->suggestion.distance : 1000;

        n->count++;
        service_name_cut(name, cut);
        suggest_offer(&n->suggestion, n->short_name && strchr(cut, '/') ? strchr(cut, '/') + 1 : cut);
        if (n->suggestion.best && n->suggestion.distance < before)
                memcpy(n->best, cut, sizeof(cut));
        n->suggestion.best = n->suggestion.best ? n->best : NULL;
}

int service_unknown(struct view *v, const char *typed)
{
        char asked[SERVICE_NAME_SIZE];
        struct nearest n = {.suggestion = {.typed = asked}, .short_name = !strchr(typed, '/')};

        service_name_cut(typed, asked);
        service_names_each(v, offer, &n);
        fprintf(stderr, "fairctl %s: no Service %s is served on this node", v->command, typed);
        if (n.suggestion.best)
                fprintf(stderr, "; did you mean %s?\n", n.best);
        else if (n.count)
                fputs(" (headless and ExternalName Services never are); `fairctl service list` shows those that are\n",
                      stderr);
        else
                fputs(": none at all is; `fairctl status` says whether the agent is in step with the API\n", stderr);
        return 1;
}

int service_ids_asked(struct view *v, const char *typed, struct service_ids *ret)
{
        int r = service_ids_find(v, typed, ret);

        if (r) {
                view_wrong(v, "the names of services cannot be read: %s", strerror(-r));
                return 1;
        }
        return ret->count ? 0 : service_unknown(v, typed);
}

int service_ids_flag(struct view *v, struct service_ids **ret)
{
        const char *typed = view_value(v, "--service");

        *ret = typed ? mem_new(struct service_ids) : NULL;
        return typed ? service_ids_asked(v, typed, *ret) : 0;
}
