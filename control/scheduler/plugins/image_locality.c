/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that have large images of the pod's already are better, the more so the more nodes have them: or all pods would
 * go where the first one went. */
#include "base/mem.h"
#include "scheduler/cycle.h"
#include "scheduler/state/images.h"

#define MIB           (1024LL * 1024)
#define THRESHOLD_MIN (23 * MIB)
#define THRESHOLD_MAX (1000 * MIB) /* for each container */

static int prescore(struct cycle *c)
{
        c->nimages = 0;
        if (c->images_cap < c->shape->nimages) {
                c->images_cap = c->shape->nimages;
                c->images = mem_realloc(c->images, c->images_cap, sizeof(*c->images));
        }
        for (uint32_t i = 0; i < c->shape->nimages; i++) {
                const struct image_state *image = images_get(c->state, c->shape->images[i]);

                if (image)
                        c->images[c->nimages++] = image;
        }
        return c->nimages ? PLUGIN_GO : PLUGIN_SKIP;
}

static bool has(const struct node *n, const struct image_state *image)
{
        for (uint32_t i = 0; i < n->nimages; i++)
                if (n->images[i] == image)
                        return true;
        return false;
}

static int64_t score(struct cycle *c, const struct node *n)
{
        int64_t most = THRESHOLD_MAX * c->shape->nimages, sum = 0;

        for (uint32_t i = 0; i < c->nimages; i++)
                if (has(n, c->images[i]))
                        sum += (int64_t)((double)c->images[i]->bytes *
                                         ((double)c->images[i]->nodes / (double)c->state->nnodes));
        sum = MIN(MAX(sum, THRESHOLD_MIN), most);
        return SCORE_MAX * (sum - THRESHOLD_MIN) / (most - THRESHOLD_MIN);
}

const struct plugin plugin_image_locality = {
        .name = "ImageLocality", .weight = 1, .prescore = prescore, .score = score};
