/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/kubelet/pods/envs.h"

void envs_init(struct envs *e, struct arena *mem)
{
        *e = (struct envs){.mem = mem};
        hashmap_init(&e->index, HASHMAP_STR);
}

void envs_deinit(struct envs *e)
{
        hashmap_deinit(&e->index);
}

static void grow(struct envs *e)
{
        size_t room = e->room ? e->room * 2 : 32;
        struct env_var *v = arena_array(e->mem, struct env_var, room);

        if (e->n)
                memcpy(v, e->v, e->n * sizeof(*v));
        e->v = v;
        e->room = room;
}

const struct env_var *envs_find(const struct envs *e, const char *name, size_t n)
{
        size_t at = (size_t)hashmap_get_n(&e->index, name, n);

        return at ? &e->v[at - 1] : NULL;
}

void envs_set(struct envs *e, const char *name, const char *value)
{
        struct env_var *v = (struct env_var *)envs_find(e, name, strlen(name));

        if (!v) {
                if (e->n == e->room)
                        grow(e);
                v = &e->v[e->n++];
                v->name = name;
                hashmap_put(&e->index, name, (void *)e->n);
        }
        v->value = value;
        v->len = strlen(value);
}

const char *const *envs_list(const struct envs *e)
{
        const char **list = arena_array(e->mem, const char *, e->n + 1);

        for (size_t i = 0; i < e->n; i++)
                list[i] = arena_printf(e->mem, "%s=%s", e->v[i].name, e->v[i].value);
        return list;
}
