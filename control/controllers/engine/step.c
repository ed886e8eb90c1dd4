/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/step.h"

const char *step_method(const struct step *st)
{
        static const char *const methods[] = {
                [STEP_CREATE] = "POST",   [STEP_UPDATE] = "PUT",  [STEP_PATCH] = "PATCH",
                [STEP_DELETE] = "DELETE", [STEP_CONFIRM] = "GET",
        };

        return methods[st->verb];
}

char *step_path(const struct step *st)
{
        struct kube_resource r = {st->resource->group, st->resource->version, st->resource->plural};
        bool collection = st->collection || (st->verb == STEP_CREATE && !st->post);
        char *path = kube_path(&r, str_empty(st->ns) ? NULL : st->ns, collection ? NULL : st->name, st->sub);
        char *limited;

        if (st->verb != STEP_CONFIRM || !st->collection)
                return path;
        limited = mem_printf("%s?limit=1", path);
        free(path);
        return limited;
}

const char *step_content_type(const struct step *st)
{
        if (st->verb != STEP_PATCH)
                return NULL;
        return st->strategic ? KUBE_STRATEGIC_PATCH : KUBE_MERGE_PATCH;
}

void answer_read(struct answer *a, const struct jnode *o)
{
        const struct jnode *meta = jnode_get(o, "metadata");
        const char *uid = jnode_str(meta, "uid"), *version = jnode_str(meta, "resourceVersion");

        *a = (struct answer){.deleting = jnode_str(meta, "deletionTimestamp") != NULL,
                             .some = jnode_len(jnode_get(o, "items")) > 0};
        str_copy(a->uid, sizeof(a->uid), uid ? uid : "");
        if (version)
                str_parse_u64(version, &a->version);
}
