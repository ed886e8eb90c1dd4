/* SPDX-License-Identifier: Apache-2.0 */
/* Programs as filters of a clsact qdisc: where TCX is not to be had. A filter of ours has a handle and priority of its
 * own, so that those of others are left alone. All in the calling process's network namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Makes the qdisc when there is none (*ret_made, may be NULL), and sets the program as our filter in one step, in the
 * place of any that is there. egress: else ingress. 0 or negative errno. */
int clsact_attach(uint32_t ifindex, bool egress, int prog_fd, bool *ret_made);
/* Whether our filter is there and has that program. */
bool clsact_attached(uint32_t ifindex, bool egress, uint32_t prog_id);
/* Whether our filter is there, with whatever program. */
bool clsact_present(uint32_t ifindex, bool egress);
/* Our filter; 0 also when there is none. */
int clsact_detach(uint32_t ifindex, bool egress);
/* The qdisc, unless somebody's filters are there. */
void clsact_remove_empty(uint32_t ifindex);
