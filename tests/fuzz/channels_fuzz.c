/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client of exec or port-forward sends: WebSocket frames, SPDY frames, and SPDY in WebSocket messages (the first
 * byte of the input says which). What must hold: whether it comes whole or in pieces makes no difference to what is
 * understood, and whatever a stream's handler answers is no harm.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/kubelet/server/channels.h"
#include "base/mem.h"

struct heard {
        struct strbuf text;
        struct channels *c;
        bool any;
        uint32_t last; /* stream that bytes came on */
};

static bool opened(void *userdata, uint32_t stream, const struct spdy_headers *h)
{
        struct heard *heard = userdata;

        strbuf_printf(&heard->text, "\nopen %u", stream);
        for (size_t i = 0; i < h->n; i++)
                strbuf_printf(&heard->text, " %s=%s", h->list[i].name, h->list[i].value);
        heard->any = false;
        return stream % 8 != 7;
}

static void data(void *userdata, uint32_t stream, const char *bytes, size_t n)
{
        struct heard *h = userdata;

        if (!h->any || h->last != stream)
                strbuf_printf(&h->text, "\n%u: ", stream);
        h->any = true;
        h->last = stream;
        strbuf_add(&h->text, bytes, n);
}

static void ended(void *userdata, uint32_t stream, bool aborted)
{
        struct heard *h = userdata;

        strbuf_printf(&h->text, "\n%s %u", aborted ? "abort" : "end", stream);
        h->any = false;
        channels_send(h->c, stream, "bye", MIN(channels_room(h->c, stream), 3));
        channels_close(h->c, stream);
}

static void room(void *userdata, uint32_t stream)
{
        struct heard *h = userdata;

        if (stream && channels_room(h->c, stream) > SPDY_WINDOW_DEFAULT)
                abort();
}

static const struct stream_events events = {opened, data, ended, room};

static int hear(const uint8_t *input, size_t size, size_t piece, struct heard *h)
{
        _cleanup_free_ char *copy = mem_alloc(size);
        int r = 0;

        *h = (struct heard){.text = STRBUF_NULL};
        strbuf_add_str(&h->text, "");
        memcpy(copy, input, size);
        if (channels_new((enum channels_kind)(input[0] % 4), &events, h, &h->c))
                abort();
        for (size_t at = 1; at < size && r == 0; at += piece)
                r = channels_feed(h->c, copy + at, MIN(piece, size - at));
        channels_goodbye(h->c);
        channels_free(h->c);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
        struct heard whole, pieces;
        int r, again;

        if (size < 2)
                return 0;
        r = hear(input, size, size, &whole);
        again = hear(input, size, 1 + input[1] % 13, &pieces);
        /* What follows the peer's last word is looked at only when it came along with it. */
        if (r == 0 && (again != r || whole.text.len != pieces.text.len ||
                       memcmp(whole.text.data, pieces.text.data, whole.text.len) != 0))
                abort();
        strbuf_deinit(&whole.text);
        strbuf_deinit(&pieces.text);
        return 0;
}
