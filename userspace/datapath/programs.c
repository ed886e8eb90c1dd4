/* SPDX-License-Identifier: Apache-2.0 */
/* The programs and the names of their pins: apart from load.c, which brings their ELF files along. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "datapath/load.h"
#include "datapath/tcx.h"

const struct program_info program_infos[PROGRAM_COUNT] = {
#define X(name, object, type, attach, device)                                                                          \
        [PROGRAM_##name] = {#name, OBJECT_##object, BPF_PROG_TYPE_##type, attach, device},
        PROGRAMS(X)
#undef X
};

/* What follows "from_pod_". */
static struct pin_name parse_target(enum program_id program, const char *rest)
{
        struct pin_name pin = {.kind = PIN_UNKNOWN, .program = program};
        size_t digits = strspn(rest, "0123456789");
        char number[16];

        if (!program_infos[program].device) {
                pin.kind = str_eq(rest, "cgroup") ? PIN_CGROUP : PIN_UNKNOWN;
                return pin;
        }
        snprintf(number, sizeof(number), "%.*s", (int)MIN(digits, sizeof(number) - 1), rest);
        if (str_parse_u32(number, &pin.ifindex))
                return pin;
        if (!rest[digits])
                pin.kind = PIN_DEVICE;
        else if (str_eq(rest + digits, "_clsact"))
                pin.kind = PIN_CLSACT;
        return pin;
}

struct pin_name pin_name_parse(const char *name)
{
        const char *rest = str_after(name, "clsact_");
        uint32_t ifindex;

        if (rest && str_parse_u32(rest, &ifindex) == 0)
                return (struct pin_name){.kind = PIN_QDISC, .ifindex = ifindex};
        for (int p = 0; p < PROGRAM_COUNT; p++) {
                rest = str_after(name, program_infos[p].name);
                if (rest && *rest == '_')
                        return parse_target(p, rest + 1);
        }
        return (struct pin_name){.kind = PIN_UNKNOWN};
}
