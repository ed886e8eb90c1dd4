/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumeClaims: bound ones keep a pod where their volume is. Binding and provisioning are left to others;
 * until then the pod waits. */
#include "scheduler/cycle.h"

/* 0, or PLUGIN_REJECT with the reason. */
static int check_claim(struct cycle *c, const struct claim_ref *ref)
{
        struct strbuf *why = &c->diagnosis->refused;
        char name[600];
        const struct claim_view *claim =
                volumes_claim(&c->state->volumes, c->shape, c->pod->view->name, ref, name, sizeof(name));

        if (!claim && ref->ephemeral)
                strbuf_printf(why, "waiting for ephemeral volume controller to create the persistentvolumeclaim \"%s\"",
                              name);
        else if (!claim)
                strbuf_printf(why, "persistentvolumeclaim \"%s\" not found", name);
        else if (claim->lost)
                strbuf_printf(why, "persistentvolumeclaim \"%s\" bound to non-existent persistentvolume", name);
        else if (claim->terminating)
                strbuf_printf(why, "persistentvolumeclaim \"%s\" is being deleted", name);
        else if (!claim->volume)
                strbuf_add_str(why,
                               "pod has unbound PersistentVolumeClaims, which this scheduler leaves to others to bind");
        else
                return 0;
        return PLUGIN_REJECT;
}

static int prefilter(struct cycle *c)
{
        if (!c->shape->nclaims)
                return PLUGIN_SKIP;
        for (uint32_t i = 0; i < c->shape->nclaims; i++)
                if (check_claim(c, &c->shape->claims[i]))
                        return PLUGIN_REJECT;
        return PLUGIN_GO;
}

static enum verdict filter(struct cycle *c, const struct node *n)
{
        for (uint32_t i = 0; i < c->shape->nclaims; i++) {
                char name[600];
                const struct claim_view *claim = volumes_claim(&c->state->volumes, c->shape, c->pod->view->name,
                                                               &c->shape->claims[i], name, sizeof(name));
                const struct volume_view *volume = hashmap_get(&c->state->volumes.volumes, claim->volume->text);

                if (!volume)
                        return cycle_reject(c, VERDICT_UNRESOLVABLE,
                                            "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
                                            NULL, NULL);
                if (!volume_reaches(volume, n->view))
                        return cycle_reject(c, VERDICT_UNRESOLVABLE,
                                            "node(s) didn't match PersistentVolume's node affinity", NULL, NULL);
        }
        return VERDICT_FITS;
}

const struct plugin plugin_volume_binding = {.name = "VolumeBinding",
                                             .events = EVENT_CLAIM | EVENT_NODE_ADD | EVENT_NODE_LABEL,
                                             .prefilter = prefilter,
                                             .filter = filter};
