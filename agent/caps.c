/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "agent/caps.h"

/* NET_ADMIN, BPF and PERFMON for the dataplane; SYS_ADMIN to mount a bpffs and, with SYS_PTRACE, to find and enter the
 * network namespaces whose stale UDP sockets are ended. */
static const unsigned kept[] = {CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE};

static bool is_kept(unsigned cap)
{
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                if (kept[i] == cap)
                        return true;
        return false;
}

int caps_drop(struct err *reterr)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
                if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL && errno != EPERM)
                        return err_set(reterr, -errno, "capabilities cannot be given up: %s", strerror(errno));
        if (syscall(SYS_capget, &header, data))
                return err_set(reterr, -errno, "capabilities cannot be read: %s", strerror(errno));
        for (unsigned cap = 0; cap < 64; cap++)
                if (!is_kept(cap)) {
                        data[cap / 32].effective &= ~(1U << cap % 32);
                        data[cap / 32].permitted &= ~(1U << cap % 32);
                        data[cap / 32].inheritable &= ~(1U << cap % 32);
                }
        if (syscall(SYS_capset, &header, data))
                return err_set(reterr, -errno, "capabilities cannot be given up: %s", strerror(errno));
        return 0;
}
