/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/volumes/mounts.h"
#include "base/cleanup.h"

/* Blanks and backslashes come as \040 and the like. */
static void unescape(char *s)
{
        char *out = s;

        while (*s) {
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
                    s[3] <= '7') {
                        *out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
                        s += 4;
                } else {
                        *out++ = *s++;
                }
        }
        *out = '\0';
}

char *mountinfo_place(const char *line, struct arena *mem)
{
        char *place;

        /* 36 35 98:0 /root /place options ... */
        for (int i = 0; i < 4; i++) {
                line = strchr(line, ' ');
                if (!line)
                        return NULL;
                line++;
        }
        place = arena_strndup(mem, line, strcspn(line, " \n"));
        unescape(place);
        return place;
}

static bool is_below(const char *path, const char *folder)
{
        size_t n = strlen(folder);

        return strncmp(path, folder, n) == 0 && (!path[n] || path[n] == '/');
}

int mounts_below(const char *folder, struct textlist *ret)
{
        _cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
        _cleanup_free_ char *line = NULL;
        size_t room = 0;

        if (!f)
                return -errno;
        while (getline(&line, &room, f) > 0) {
                char *place = mountinfo_place(line, ret->mem);

                if (place && is_below(place, folder))
                        textlist_add(ret, place);
        }
        return 0;
}
