/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/kernel.h"

#include <stdlib.h>
#include <string.h>

bool kernel_lacks(const char *feature)
{
        const char *list = getenv("FL_LACKS");
        size_t n = strlen(feature);

        for (const char *at = list; at && (at = strstr(at, feature)); at += n)
                if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
                        return true;
        return false;
}
