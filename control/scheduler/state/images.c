/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/state/images.h"
#include "base/mem.h"
#include "scheduler/state/state.h"

static uint64_t id(const struct atom *atom)
{
        return (uint64_t)(uintptr_t)atom;
}

const struct image_state *images_get(const struct state *s, const struct atom *name)
{
        return hashmap_get_u64(&s->images, id(name));
}

static struct image_state *enter(struct state *s, const struct node_image *image)
{
        struct image_state *one = hashmap_get_u64(&s->images, id(image->name));

        if (!one) {
                one = mem_new(struct image_state);
                *one = (struct image_state){.name = atom_ref(image->name), .bytes = image->bytes};
                hashmap_put_u64(&s->images, id(image->name), one);
        }
        one->nodes++;
        return one;
}

void images_enter(struct state *s, struct node *n)
{
        if (!n->view || !n->view->nimages)
                return;
        n->images = mem_array(struct image_state *, n->view->nimages);
        for (uint32_t i = 0; i < n->view->nimages; i++)
                n->images[i] = enter(s, &n->view->images[i]);
        n->nimages = n->view->nimages;
}

void images_leave(struct state *s, struct node *n)
{
        for (uint32_t i = 0; i < n->nimages; i++) {
                struct image_state *one = n->images[i];

                if (--one->nodes)
                        continue;
                hashmap_del_u64(&s->images, id(one->name));
                atoms_put(&s->atoms, one->name);
                free(one);
        }
        free(n->images);
        n->images = NULL;
        n->nimages = 0;
}
