/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ctl/hooks.h"

static int take_hook(void *userdata, const struct pinned_hook *hook)
{
        struct hooks *h = userdata;

        h->items = mem_realloc(h->items, h->count + 1, sizeof(*h->items));
        h->items[h->count++] = *hook;
        return 0;
}

static int compare(const void *a, const void *b)
{
        const struct pinned_hook *x = a, *y = b;

        if (x->ifindex != y->ifindex)
                return x->ifindex < y->ifindex ? -1 : 1;
        return (int)x->program - (int)y->program;
}

static struct hook_device *device_of(struct hooks *h, uint32_t ifindex)
{
        struct hook_device *d = h->devices_n ? &h->devices[h->devices_n - 1] : NULL;

        if (d && d->ifindex == ifindex)
                return d;
        h->devices = mem_realloc(h->devices, h->devices_n + 1, sizeof(*h->devices));
        d = &h->devices[h->devices_n++];
        *d = (struct hook_device){.ifindex = ifindex};
        if (!if_indextoname(ifindex, d->name))
                d->name[0] = '\0';
        return d;
}

static void add_hook(struct hooks *h, const struct pinned_hook *hook)
{
        struct hook_device *d;

        if (!hook->ifindex) {
                h->sockets++;
                h->sockets_missing += !hook->attached;
                return;
        }
        d = device_of(h, hook->ifindex);
        d->is_pod |= hook->program == PROGRAM_from_pod;
        d->missing += !hook->attached;
        if (!hook->attached)
                return;
        if (hook->mode == ATTACH_XDP_NATIVE || hook->mode == ATTACH_XDP_GENERIC)
                d->xdp = hook->mode;
        else
                d->tc = hook->mode;
}

int hooks_read(const struct view *v, struct hooks *ret)
{
        int r;

        *ret = HOOKS_NULL;
        r = pinned_each_hook(v->pin_root, take_hook, ret);
        if (ret->count)
                qsort(ret->items, ret->count, sizeof(*ret->items), compare);
        for (size_t i = 0; i < ret->count; i++)
                add_hook(ret, &ret->items[i]);
        return r;
}

void hooks_deinit(struct hooks *h)
{
        free(h->items);
        free(h->devices);
        *h = HOOKS_NULL;
}

const char *hook_mode_name(enum attach_mode mode)
{
        static const char *const names[] = {
                [ATTACH_NONE] = "",
                [ATTACH_TCX] = "tcx",
                [ATTACH_CLSACT] = "clsact",
                [ATTACH_XDP_NATIVE] = "native",
                [ATTACH_XDP_GENERIC] = "generic",
        };

        return names[mode];
}

static void add_modes(struct strbuf *b, const struct hook_device *d)
{
        if (d->tc == ATTACH_NONE)
                strbuf_add_str(b, "tc NOT attached");
        else
                strbuf_add_str(b, d->tc == ATTACH_TCX ? "tc by TCX" : "tc by clsact");
        if (d->xdp != ATTACH_NONE)
                strbuf_printf(b, ", XDP %s", hook_mode_name(d->xdp));
}

static void add_pods(const struct hooks *h, enum attach_mode mode, struct strbuf *b)
{
        struct hook_device like = {.tc = mode};
        size_t n = 0;

        for (size_t i = 0; i < h->devices_n; i++)
                n += h->devices[i].is_pod && h->devices[i].name[0] && h->devices[i].tc == mode;
        if (!n)
                return;
        strbuf_printf(b, "%s%zu pod%s: ", b->len ? "; " : "", n, n == 1 ? "" : "s");
        add_modes(b, &like);
}

void hooks_text(const struct hooks *h, struct strbuf *b)
{
        for (size_t i = 0; i < h->devices_n; i++) {
                const struct hook_device *d = &h->devices[i];

                if (d->is_pod || !d->name[0])
                        continue;
                strbuf_printf(b, "%s%s: ", b->len ? "; " : "", d->name);
                add_modes(b, d);
        }
        add_pods(h, ATTACH_TCX, b);
        add_pods(h, ATTACH_CLSACT, b);
        add_pods(h, ATTACH_NONE, b);
        if (!b->len)
                strbuf_add_str(b, "none");
}

void hooks_json(const struct hooks *h, struct strbuf *b)
{
        char name[IF_NAMESIZE];

        strbuf_add_char(b, '[');
        for (size_t i = 0; i < h->count; i++) {
                const struct pinned_hook *k = &h->items[i];

                strbuf_printf(b, "%s{\"program\":\"%s\",", i ? ",\n " : "\n ", program_infos[k->program].name);
                if (!k->ifindex)
                        strbuf_add_str(b, "\"device\":null,\"ifindex\":null,\"mode\":\"cgroup\"");
                else if (if_indextoname(k->ifindex, name))
                        strbuf_printf(b, "\"device\":\"%s\",\"ifindex\":%" PRIu32 ",\"mode\":\"%s\"", name, k->ifindex,
                                      hook_mode_name(k->mode));
                else
                        strbuf_printf(b, "\"device\":null,\"ifindex\":%" PRIu32 ",\"mode\":\"%s\"", k->ifindex,
                                      hook_mode_name(k->mode));
                strbuf_printf(b, ",\"attached\":%s}", k->attached ? "true" : "false");
        }
        strbuf_add_char(b, ']');
}
