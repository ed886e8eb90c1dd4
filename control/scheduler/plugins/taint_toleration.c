/* SPDX-License-Identifier: Apache-2.0 */
/* Taints NoSchedule and NoExecute keep pods off that do not tolerate them; PreferNoSchedule makes a node less wanted.
 */
#include "scheduler/cycle.h"

static enum verdict filter(struct cycle *c, const struct node *n)
{
        const struct taint *t = n->view->ntaints ? node_untolerated_taint(n->view, c->shape) : NULL;

        if (!t)
                return VERDICT_FITS;
        return cycle_reject(c, VERDICT_UNRESOLVABLE, "node(s) had untolerated taint {%s: %s}", t->key, t->value);
}

/* Only tolerations of PreferNoSchedule count here. */
static bool tolerates_softly(const struct shape *s, const struct taint *taint)
{
        for (uint32_t i = 0; i < s->ntolerations; i++) {
                enum taint_effect effect = s->tolerations[i].effect;

                if ((effect == EFFECT_ANY || effect == EFFECT_PREFER_NO_SCHEDULE) &&
                    toleration_matches(&s->tolerations[i], taint))
                        return true;
        }
        return false;
}

static int64_t score(struct cycle *c, const struct node *n)
{
        int64_t intolerable = 0;

        for (uint32_t i = 0; i < n->view->ntaints; i++) {
                const struct taint *t = &n->view->taints[i];

                intolerable += t->effect == EFFECT_PREFER_NO_SCHEDULE && !tolerates_softly(c->shape, t);
        }
        return intolerable;
}

static void normalise(struct cycle *c, int64_t *scores)
{
        plugin_scale(c, scores, true);
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        return !node_untolerated_taint(change->node->view, rejected);
}

const struct plugin plugin_taint_toleration = {.name = "TaintToleration",
                                               .weight = 3,
                                               .events = EVENT_NODE_ADD | EVENT_NODE_TAINT,
                                               .hint = hint,
                                               .filter = filter,
                                               .score = score,
                                               .normalise = normalise};
