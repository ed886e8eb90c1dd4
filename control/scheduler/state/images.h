/* SPDX-License-Identifier: Apache-2.0 */
/* Which images are on how many nodes. */
#pragma once

struct state;
struct node;
struct atom;
struct image_state;

/* The node's view has these images; its view is about to change. */
void images_enter(struct state *s, struct node *n);
void images_leave(struct state *s, struct node *n);
/* NULL: no node has it. */
const struct image_state *images_get(const struct state *s, const struct atom *name);
