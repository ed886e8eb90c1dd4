/* SPDX-License-Identifier: Apache-2.0 */
/* Taking from a process what it does not need any more. */
#pragma once

#include <stdbool.h>

/*
 * For who only holds namespaces: no capabilities, not even to be gained by exec, and nobody's uid and gid. empty_root:
 * an empty folder as root, in a mount namespace of its own. Open descriptors stay. 0 or negative errno.
 */
int confine(bool empty_root);
