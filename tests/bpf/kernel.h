/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel under a test is known not to have, and so need not show. */
#pragma once

#include <stdbool.h>

/* True when FL_LACKS, a list of words separated by blanks, has that one. `make check-kernels` (tests/kernels) sets it;
 * on the machine itself nothing may be missing. */
bool kernel_lacks(const char *feature);
