/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of nodes that lie inside what they link; a node that is in no list points to itself. */
#pragma once

#include <stdbool.h>

struct list {
        struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
        l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_del(struct list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
        list_init(node);
}

static inline void list_append(struct list *l, struct list *node)
{
        node->prev = l->prev;
        node->next = l;
        l->prev->next = node;
        l->prev = node;
}

/* Moves all nodes of from to the end of the empty list l. */
static inline void list_take_all(struct list *l, struct list *from)
{
        if (list_empty(from))
                return;
        *l = *from;
        l->next->prev = l;
        l->prev->next = l;
        list_init(from);
}
