/* SPDX-License-Identifier: Apache-2.0 */
#include <net/if.h>
#include <bpf/bpf.h>

#include "datapath/tcx.h"

bool tcx_works(void)
{
        unsigned int lo = if_nametoindex("lo");
        __u32 count = 0;

        return lo && bpf_prog_query((int)lo, TCX_INGRESS, 0, NULL, NULL, &count) == 0;
}
