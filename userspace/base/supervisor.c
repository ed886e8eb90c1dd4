/* SPDX-License-Identifier: Apache-2.0 */
#include "base/supervisor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

void supervisor_notify(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        size_t n = path ? strlen(path) : 0;
        _cleanup_close_ int fd = -1;

        if (!n || n >= sizeof(un.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(un.sun_path, path, n);
        if (path[0] == '@')
                un.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
                sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&un,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}
