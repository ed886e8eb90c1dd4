/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of metadata.managedFields, decoded. Inside the patch engines only. */
#pragma once

#include "apiserver/patch/fieldset.h"
#include "apiserver/patch/managed.h"

struct managed_entry {
        const char *manager, *api_version, *subresource, *time; /* "" where absent */
        bool apply;                                             /* operation Apply, else Update */
        struct fieldset *set;
        struct json_object *source; /* the entry as it was read (borrowed); NULL when it is new */
        bool set_changed, changed;  /* since it was read: the set, or anything */
};

struct managed_entries {
        struct arena *arena;
        struct managed_entry *items;
        size_t n, cap;
        bool changed; /* an entry came, went or changed */
};

/* Returns 0, or -EINVAL when the list cannot be understood. */
int managed_entries_read(struct managed_entries *e, const struct json_object *list, bool trusted);
/* The entry of that identity, or NULL. Appliers are the same whatever version they apply. */
struct managed_entry *managed_entries_find(struct managed_entries *e, const char *manager, bool apply,
                                           const char *api_version, const char *subresource);
struct managed_entry *managed_entries_add(struct managed_entries *e, const struct managed_entry *entry);
void managed_entry_set(struct managed_entries *e, struct managed_entry *entry, struct fieldset *set);
/* Drops empty entries, and joins the oldest Update entries until at most ten are left. */
void managed_entries_tidy(struct managed_entries *e, bool cap);
/* The list, sorted as Kubernetes does; NULL when there are no entries. The caller owns it. */
struct json_object *managed_entries_write(struct managed_entries *e);

/* The fields that no entry names: those the server sets itself. */
struct fieldset *managed_strip(struct arena *a, struct fieldset *set);
