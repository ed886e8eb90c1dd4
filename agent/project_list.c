/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "agent/project_list.h"

void skips_add(struct skips *p, const char *fmt, ...)
{
        va_list ap;

        if (p->count == SKIPS_MAX) {
                p->more++;
                return;
        }
        va_start(ap, fmt);
        p->text[p->count++] = arena_vprintf(p->arena, fmt, ap);
        va_end(ap);
}

void skips_end(struct skips *p)
{
        if (p->more)
                p->text[p->count++] = arena_printf(p->arena, "and %u more", p->more);
        p->more = 0;
}

const void *pack_bytes(struct packer *p, const void *data, size_t n, size_t align)
{
        size_t at = (p->used + align - 1) / align * align;

        p->used = at + n;
        if (!p->base)
                return data;
        if (n && data)
                memcpy(p->base + at, data, n);
        return p->base + at;
}

const char *pack_str(struct packer *p, const char *s)
{
        return pack_bytes(p, s, strlen(s) + 1, 1);
}

const char *const *pack_strs(struct packer *p, const char *const *s, size_t n)
{
        const char **copy = (const char **)pack_bytes(p, s, n * sizeof(*s), _Alignof(const char *));

        for (size_t i = 0; i < n; i++) {
                const char *text = pack_str(p, s[i]);

                if (p->base)
                        copy[i] = text;
        }
        return copy;
}
