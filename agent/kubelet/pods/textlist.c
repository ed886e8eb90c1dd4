/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/kubelet/pods/textlist.h"
#include "base/str.h"

void textlist_add(struct textlist *l, const char *s)
{
        if (l->n + 1 >= l->room) {
                size_t room = l->room ? l->room * 2 : 8;
                const char **v = arena_array(l->mem, const char *, room);

                if (l->n)
                        memcpy(v, l->v, l->n * sizeof(*v));
                l->v = v;
                l->room = room;
        }
        l->v[l->n++] = s;
}

bool textlist_has(const struct textlist *l, const char *s)
{
        for (size_t i = 0; i < l->n; i++)
                if (str_eq(l->v[i], s))
                        return true;
        return false;
}

void textlist_add_once(struct textlist *l, const char *s)
{
        if (!textlist_has(l, s))
                textlist_add(l, s);
}

char *textlist_join(const struct textlist *l, const char *separator)
{
        size_t gap = strlen(separator), n = 1;
        char *text, *at;

        for (size_t i = 0; i < l->n; i++)
                n += strlen(l->v[i]) + gap;
        at = text = arena_zalloc(l->mem, n);
        for (size_t i = 0; i < l->n; i++) {
                if (i)
                        at = stpcpy(at, separator);
                at = stpcpy(at, l->v[i]);
        }
        return text;
}

const char *const *textlist_all(const struct textlist *l)
{
        static const char *const none[] = {NULL};

        return l->v ? l->v : none;
}
