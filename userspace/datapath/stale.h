/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected UDP sockets whose backend is gone (bpf/iter.bpf.c). To be called some time after backends were removed from
 * the map, and in larger intervals besides; a sweep that finds nothing costs one walk over the sockets that ever spoke
 * to a service. Needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and to enter the namespaces CAP_SYS_ADMIN and, for those
 * that are not mounted, CAP_SYS_PTRACE. Not thread-safe.
 *
 * Kernels before 6.5 cannot do it (STALE_UNSUPPORTED). There such sockets stay, and their owners learn of it by the
 * ICMP errors for addresses of pods that are not there any more, or by their own timeouts.
 */
#pragma once

#include "base/err.h"
#include "datapath/map.h"

enum { STALE_UNSUPPORTED = 1 };

struct stale;

/* maps: those of the dataplane; they must outlive it. 0, STALE_UNSUPPORTED (reterr says what is missing), or negative
 * errno. */
int stale_new(const struct maps *maps, struct stale **ret, struct err *reterr);
void stale_free(struct stale *s);
DEFINE_CLEANUP(struct stale *, stale_free)

struct stale_result {
        uint32_t sockets;    /* destroyed */
        uint32_t namespaces; /* network namespaces that had some */
        uint32_t unreached;  /* of those: neither mounted nor of any process that is seen from here */
};

/* All network namespaces of the machine. 0 or negative errno. */
int stale_sweep(struct stale *s, struct stale_result *ret, struct err *reterr);
/* One network namespace; netns_fd -1: the caller's. */
int stale_destroy(struct stale *s, int netns_fd, uint32_t *ret_sockets, struct err *reterr);
