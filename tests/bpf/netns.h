/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Moves the process to a network namespace of its own with the devices of a node: pod_a, pod_b, uplink, vxlan, their
 * addresses, routes and neighbours. Exits, with a message, when that fails. */
void netns_enter(void);
