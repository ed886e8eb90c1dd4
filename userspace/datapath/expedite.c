/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "datapath/expedite.h"

#define SWITCH "/sys/kernel/rcu_expedited"
#define MARKER "expedited"

static bool is_off(void)
{
        _cleanup_close_ int fd = open(SWITCH, O_RDONLY | O_CLOEXEC);
        char c = 0;

        return fd >= 0 && read(fd, &c, 1) == 1 && c == '0';
}

static bool set(char c)
{
        _cleanup_close_ int fd = open(SWITCH, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, &c, 1) == 1;
}

void expedite_begin(struct expedite *e, const char *folder, int prog_fd)
{
        *e = (struct expedite){0};
        if (!is_off())
                return;
        snprintf(e->marker, sizeof(e->marker), "%s/" MARKER, folder);
        if (bpf_obj_pin(prog_fd, e->marker) == 0 && set('1'))
                return;
        unlink(e->marker);
        e->marker[0] = '\0';
}

void expedite_end(struct expedite *e)
{
        if (!e->marker[0])
                return;
        set('0');
        unlink(e->marker);
}

void expedite_recover(const char *folder)
{
        char marker[PINS_PATH + 64];

        snprintf(marker, sizeof(marker), "%s/" MARKER, folder);
        if (access(marker, F_OK))
                return;
        set('0');
        unlink(marker);
}
