/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/kubelet/shim/confine.h"

#define NOBODY 65534

/* An initramfs cannot be pivoted away from: it is covered. */
static int change_root(void)
{
        if (!syscall(SYS_pivot_root, ".", "."))
                return umount2(".", MNT_DETACH) ? -errno : 0;
        return mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") ? -errno : 0;
}

/* /proc is a folder that each node has. */
static int leave_root(void)
{
        unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
        int r;

        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("empty", "/proc", "tmpfs", flags, "mode=0555,size=4096") || chdir("/proc"))
                return -errno;
        r = change_root();
        if (r)
                return r;
        return chdir("/") || mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | flags, NULL) ? -errno : 0;
}

/* The numbers go last but one: without them CAP_SETPCAP and its like are still there. A change of uid also makes the
 * process not dumpable: another nobody of its pid namespace cannot trace it. */
static int drop_privileges(void)
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

        for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
                        return -errno;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_setgroups, 0, NULL) ||
            syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) || syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) ||
            syscall(SYS_capset, &head, none))
                return -errno;
        return 0;
}

int confine(bool empty_root)
{
        int r = empty_root ? leave_root() : 0;

        return r ?: drop_privileges();
}
