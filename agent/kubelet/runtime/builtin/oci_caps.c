/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <strings.h>

#include "agent/kubelet/runtime/builtin/oci_caps.h"
#include "base/str.h"

static const char *const names[] = {
        [CAP_CHOWN] = "CHOWN",
        [CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
        [CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
        [CAP_FOWNER] = "FOWNER",
        [CAP_FSETID] = "FSETID",
        [CAP_KILL] = "KILL",
        [CAP_SETGID] = "SETGID",
        [CAP_SETUID] = "SETUID",
        [CAP_SETPCAP] = "SETPCAP",
        [CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE",
        [CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
        [CAP_NET_BROADCAST] = "NET_BROADCAST",
        [CAP_NET_ADMIN] = "NET_ADMIN",
        [CAP_NET_RAW] = "NET_RAW",
        [CAP_IPC_LOCK] = "IPC_LOCK",
        [CAP_IPC_OWNER] = "IPC_OWNER",
        [CAP_SYS_MODULE] = "SYS_MODULE",
        [CAP_SYS_RAWIO] = "SYS_RAWIO",
        [CAP_SYS_CHROOT] = "SYS_CHROOT",
        [CAP_SYS_PTRACE] = "SYS_PTRACE",
        [CAP_SYS_PACCT] = "SYS_PACCT",
        [CAP_SYS_ADMIN] = "SYS_ADMIN",
        [CAP_SYS_BOOT] = "SYS_BOOT",
        [CAP_SYS_NICE] = "SYS_NICE",
        [CAP_SYS_RESOURCE] = "SYS_RESOURCE",
        [CAP_SYS_TIME] = "SYS_TIME",
        [CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG",
        [CAP_MKNOD] = "MKNOD",
        [CAP_LEASE] = "LEASE",
        [CAP_AUDIT_WRITE] = "AUDIT_WRITE",
        [CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
        [CAP_SETFCAP] = "SETFCAP",
        [CAP_MAC_OVERRIDE] = "MAC_OVERRIDE",
        [CAP_MAC_ADMIN] = "MAC_ADMIN",
        [CAP_SYSLOG] = "SYSLOG",
        [CAP_WAKE_ALARM] = "WAKE_ALARM",
        [CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
        [CAP_AUDIT_READ] = "AUDIT_READ",
        [CAP_PERFMON] = "PERFMON",
        [CAP_BPF] = "BPF",
        [CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

#define BIT(n) (1ULL << (n))

uint64_t caps_default(void)
{
        return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) | BIT(CAP_MKNOD) |
               BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) |
               BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
}

/* Names are taken in any case and with their prefix, too, as containerd does. */
static int find(const char *name, uint64_t *ret, struct err *reterr)
{
        const char *bare = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;

        if (strcasecmp(name, "ALL") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (names[i] && strcasecmp(bare, names[i]) == 0) {
                        *ret = BIT(i);
                        return 0;
                }
        return err_set(reterr, -EINVAL, "securityContext.capabilities: unknown capability \"%s\"", name);
}

static int collect(const char *const *list, uint64_t *ret_single, bool *ret_all, struct err *reterr)
{
        for (; list && *list; list++) {
                uint64_t bit = 0;
                int r = find(*list, &bit, reterr);

                if (r)
                        return r;
                if (bit == UINT64_MAX)
                        *ret_all = true;
                else
                        *ret_single |= bit;
        }
        return 0;
}

int caps_choose(const char *const *add, const char *const *drop, uint64_t available, bool privileged, uint64_t *ret,
                struct err *reterr)
{
        uint64_t set = privileged ? UINT64_MAX : caps_default(), adds = 0, drops = 0;
        bool all = false, none = false;
        int r = collect(add, &adds, &all, reterr);

        if (!r)
                r = collect(drop, &drops, &none, reterr);
        if (r)
                return r;
        if (none && !privileged)
                set = 0;
        if (all)
                set = UINT64_MAX;
        set |= adds;
        if (!privileged)
                set &= ~drops;
        *ret = set & available;
        return 0;
}

struct json_object *caps_names(uint64_t set)
{
        struct json_object *a = json_object_new_array();
        char name[48];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (names[i] && set >> i & 1) {
                        snprintf(name, sizeof(name), "CAP_%s", names[i]);
                        json_object_array_add(a, json_object_new_string(name));
                }
        return a;
}
