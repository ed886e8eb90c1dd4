/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which field: metadata.managedFields, kept up to date by every write, and server-side apply, which decides by
 * it. The rules are those of Kubernetes' field management (structured merge); sets are compared by path, so entries of
 * another version of the kind are kept and matched by path too.
 *
 * Pure but for what is said; memory beyond the results comes from the request's arena.
 */
#pragma once

#include "apiserver/patch/patch.h"
#include "base/arena.h"

struct managed_context {
        struct arena *arena;
        const struct schema_struct *type;
        const char *api_version; /* of the request: "apps/v1" */
        const char *kind;
        const char *manager;     /* fieldManager, or what stands before the slash of the User-Agent */
        const char *subresource; /* NULL for the main resource */
        const char *const
                *reset;   /* fields that nobody owns through this endpoint (managed_reset_fields); may be NULL */
        const char *time; /* now, RFC 3339 in seconds */
};

/*
 * The fields that a write through the endpoint does not touch, so that it owns none of them: status through the main
 * resource, spec through status. NULL when there are none.
 */
const char *const *managed_reset_fields(const struct schema_resource *resource, const char *subresource);

/*
 * Tracks a create (old is NULL), update or patch: sets new's metadata.managedFields from what old has, what changed,
 * and what the client put there ([] or [{}] forget everything). Both are objects as they will be, and were, stored.
 * Entries that stay as they are become references to old's, so both trees must stay with one thread.
 */
void managed_update(const struct managed_context *ctx, const struct json_object *old, struct json_object *new);

struct apply_conflict {
        const char *manager; /* as in messages: "kubectl" using apps/v1 */
        const char *field;   /* .spec.replicas */
};

struct apply_result {
        struct json_object *object; /* live with the configuration applied and managedFields set; owned by the caller */
        bool unchanged;             /* object equals live: nothing is to be written */
        struct apply_conflict *conflicts; /* of PATCH_CONFLICT, in the arena: causes of type FieldManagerConflict */
        size_t nconflicts;
        const char *message; /* of PATCH_CONFLICT, whole (reterr may cut it), in the arena */
};

/*
 * Server-side apply of config to live (NULL when there is no such object yet). config is what the client sent: not
 * defaulted, unknown fields not pruned; both have the same version. The result still has to be defaulted and validated,
 * and what ctx->reset names put back; its managedFields are complete (no managed_update after it).
 * Returns 0, or a patch_outcome; of *ret only the conflicts are set at PATCH_CONFLICT.
 */
int managed_apply(const struct managed_context *ctx, const struct json_object *live, const struct json_object *config,
                  bool force, struct apply_result *ret, struct err *reterr);
