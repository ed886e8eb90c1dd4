/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "apiserver/patch/fieldset.h"

static int rank(char c)
{
        return c == 'f' ? 0 : c == 'k' ? 1 : c == 'v' ? 2 : 3;
}

int fieldset_compare(const char *a, size_t alen, const char *b, size_t blen)
{
        int r = rank(*a) - rank(*b);

        if (!r)
                r = memcmp(a, b, MIN(alen, blen));
        return r ? r : alen < blen ? -1 : alen > blen;
}

static int compare(const struct fieldset *x, const struct fieldset *y)
{
        return fieldset_compare(x->key, x->len, y->key, y->len);
}

static void append(struct fieldset_list *list, struct fieldset *n)
{
        if (list->last)
                list->last->next = n;
        else
                list->first = n;
        list->last = n;
        n->next = NULL;
}

void fieldset_add(struct arena *a, struct fieldset_list *list, const char *key, size_t len, bool member,
                  struct fieldset_list *children)
{
        struct fieldset *n;

        if (!member && !(children && children->first))
                return;
        n = arena_alloc(a, sizeof(*n));
        *n = (struct fieldset){.key = key, .len = (uint32_t)len, .member = member};
        n->child = children ? fieldset_sorted(a, children) : NULL;
        if (list->last && compare(list->last, n) >= 0)
                list->unsorted = true;
        append(list, n);
}

/* Merges two sorted runs. */
static struct fieldset *merge_runs(struct fieldset *x, struct fieldset *y)
{
        struct fieldset_list out = {0};

        while (x && y) {
                struct fieldset **from = compare(x, y) <= 0 ? &x : &y, *n = *from;

                *from = n->next;
                append(&out, n);
        }
        if (!out.last)
                return x ? x : y;
        out.last->next = x ? x : y;
        return out.first;
}

static struct fieldset *sort_nodes(struct fieldset *first, size_t n)
{
        struct fieldset *mid = first, *rest;

        if (n < 2) {
                if (first)
                        first->next = NULL;
                return first;
        }
        for (size_t i = 1; i < n / 2; i++)
                mid = mid->next;
        rest = mid->next;
        mid->next = NULL;
        first = sort_nodes(first, n / 2);
        return merge_runs(first, sort_nodes(rest, n - n / 2));
}

struct fieldset *fieldset_sorted(struct arena *a, struct fieldset_list *list)
{
        struct fieldset *n;
        size_t count = 0;

        if (!list->unsorted)
                return list->first;
        for (n = list->first; n; n = n->next)
                count++;
        list->first = sort_nodes(list->first, count);
        for (n = list->first; n && n->next;) {
                struct fieldset *dup = n->next;

                if (compare(n, dup) != 0) {
                        n = dup;
                        continue;
                }
                *n = (struct fieldset){.key = n->key,
                                       .len = n->len,
                                       .member = n->member || dup->member,
                                       .child = n->child,
                                       .next = dup->next};
                if (dup->child) {
                        struct fieldset x = {.child = n->child}, y = {.child = dup->child};

                        n->child = fieldset_union(a, &x, &y)->child;
                }
        }
        list->unsorted = false;
        return list->first;
}

struct fieldset *fieldset_root(struct arena *a, struct fieldset_list *list)
{
        struct fieldset *root;

        if (!list->first)
                return NULL;
        root = arena_zalloc(a, sizeof(*root));
        root->child = fieldset_sorted(a, list);
        return root;
}

static struct fieldset *node_like(struct arena *a, const struct fieldset *x, bool member, struct fieldset *child)
{
        struct fieldset *n;

        if (!member && !child)
                return NULL;
        n = arena_alloc(a, sizeof(*n));
        *n = (struct fieldset){.key = x->key, .len = x->len, .member = member, .child = child};
        return n;
}

/* Children are shared by value: a node is copied when it gets another sibling. */
static void append_copy(struct arena *a, struct fieldset_list *out, const struct fieldset *x)
{
        append(out, node_like(a, x, x->member, x->child));
}

/* A node of its own for what x and y, of the same key, have together. */
static struct fieldset *join(struct arena *a, const struct fieldset *x, const struct fieldset *y)
{
        struct fieldset_list out = {0};
        const struct fieldset *i = x->child, *j = y->child;

        while (i || j) {
                int c = !i ? 1 : !j ? -1 : compare(i, j);

                if (c == 0)
                        append(&out, join(a, i, j));
                else
                        append_copy(a, &out, c < 0 ? i : j);
                i = c <= 0 ? i->next : i;
                j = c >= 0 ? j->next : j;
        }
        return node_like(a, x, x->member || y->member, out.first);
}

struct fieldset *fieldset_union(struct arena *a, struct fieldset *x, struct fieldset *y)
{
        if (!x || !y || x == y)
                return x ? x : y;
        return join(a, x, y);
}

struct fieldset *fieldset_intersect(struct arena *a, const struct fieldset *x, const struct fieldset *y)
{
        struct fieldset_list out = {0};
        const struct fieldset *i = x ? x->child : NULL, *j = y ? y->child : NULL;

        if (!x || !y)
                return NULL;
        while (i && j) {
                int c = compare(i, j);
                struct fieldset *n = c == 0 ? fieldset_intersect(a, i, j) : NULL;

                if (n)
                        append(&out, n);
                i = c <= 0 ? i->next : i;
                j = c >= 0 ? j->next : j;
        }
        return node_like(a, x, x->member && y->member, out.first);
}

static bool has_common(const struct fieldset *x, const struct fieldset *y, bool below)
{
        const struct fieldset *i = x->child, *j = y->child;

        if (y->member && (x->member || below))
                return true;
        while (i && j) {
                int c = compare(i, j);

                if (c == 0 && has_common(i, j, below))
                        return true;
                i = c <= 0 ? i->next : i;
                j = c >= 0 ? j->next : j;
        }
        return false;
}

static struct fieldset *subtract(struct arena *a, const struct fieldset *x, const struct fieldset *y, bool below)
{
        struct fieldset_list out = {0};
        const struct fieldset *i = x->child, *j = y->child;

        if (below && y->member)
                return NULL;
        while (i) {
                int c = j ? compare(i, j) : -1;
                struct fieldset *n;

                if (c > 0) {
                        j = j->next;
                        continue;
                }
                n = c == 0 ? subtract(a, i, j, below) : node_like(a, i, i->member, i->child);
                if (n)
                        append(&out, n);
                i = i->next;
        }
        return node_like(a, x, x->member && !y->member, out.first);
}

struct fieldset *fieldset_subtract(struct arena *a, struct fieldset *x, const struct fieldset *y)
{
        return x && y && has_common(x, y, false) ? subtract(a, x, y, false) : x;
}

struct fieldset *fieldset_subtract_below(struct arena *a, struct fieldset *x, const struct fieldset *y)
{
        return x && y && has_common(x, y, true) ? subtract(a, x, y, true) : x;
}

bool fieldset_equal(const struct fieldset *x, const struct fieldset *y)
{
        const struct fieldset *i = x ? x->child : NULL, *j = y ? y->child : NULL;

        if (x == y)
                return true;
        if (!x || !y || x->member != y->member)
                return false;
        for (; i && j; i = i->next, j = j->next) {
                if (compare(i, j) != 0 || !fieldset_equal(i, j))
                        return false;
        }
        return !i && !j;
}

/* The set of the one path that s is the text of. */
static void add_path(struct arena *a, struct fieldset_list *list, const char *s)
{
        struct fieldset_list below = {0};
        size_t n = strcspn(s, ".");
        char *key = arena_alloc(a, n + 3);

        memcpy(key, "f:", 2);
        memcpy(key + 2, s, n);
        key[n + 2] = '\0';
        if (s[n])
                add_path(a, &below, s + n + 1);
        fieldset_add(a, list, key, n + 2, !s[n], &below);
}

struct fieldset *fieldset_of_paths(struct arena *a, const char *const *paths)
{
        struct fieldset *all = NULL;

        for (; paths && *paths; paths++) {
                struct fieldset_list one = {0};

                add_path(a, &one, *paths);
                all = fieldset_union(a, all, fieldset_root(a, &one));
        }
        return all;
}
