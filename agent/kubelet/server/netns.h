/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets in other network namespaces. */
#pragma once

/* A socket of that namespace (a descriptor; -1: the caller's own), close-on-exec. The calling thread is in the
 * namespace for a moment, other threads never are. 0 or negative errno. */
int netns_socket(int netns, int family, int type, int *ret);
