// SPDX-License-Identifier: Apache-2.0
/* Model and programs side by side. */
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/case.h"

static const char *const reasons[] = {
#define X(name, label, text) label,
        REASONS(X)
#undef X
};

static const char *reason_text(int reason)
{
        return reason == -1 ? "nothing" : reason == -2 ? "several" : reasons[reason];
}

__attribute__((format(printf, 3, 4))) static bool fail(struct fault *f, enum fault_kind kind, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(f->text, sizeof(f->text), format, args);
        va_end(args);
        f->kind = kind;
        return false;
}

/* --- verdict, reason, bytes */

static int verdict_of(enum hook hook, int verdict)
{
        if (hook == HOOK_EDGE)
                return verdict == XDP_PASS       ? V_PASS
                       : verdict == XDP_DROP     ? V_DROP
                       : verdict == XDP_TX       ? V_TX
                       : verdict == XDP_REDIRECT ? V_SENT
                                                 : -1;
        if (verdict == TC_ACT_OK || verdict == TC_ACT_UNSPEC)
                return V_PASS;
        return verdict == TC_ACT_SHOT ? V_DROP : verdict == TC_ACT_REDIRECT ? V_SENT : -1;
}

static bool same_verdict(const struct event *e, const struct observed *o, const struct expect *x, struct fault *f)
{
        static const char *const texts[] = {"pass", "drop", "sent", "sent back out of the device"};
        int is = verdict_of(e->hook, o->verdict);

        if (o->error)
                return fail(f, FAULT_RUN, "it did not run: %s", strerror(-o->error));
        if (x->not_counted ? o->reason != -1 : o->reason != (int)x->reason)
                return fail(f, FAULT_REASON, "the reason is %s, and should be %s", reason_text(o->reason),
                            x->not_counted ? "none" : reasons[x->reason]);
        if (is != (int)x->verdict)
                return fail(f, FAULT_VERDICT, "the verdict is %s (%d), and should be %s", is < 0 ? "none" : texts[is],
                            o->verdict, texts[x->verdict]);
        return true;
}

static bool same_count(const struct event *e, const struct observed *o, const struct expect *x, struct fault *f)
{
        struct pkt p;
        uint64_t bytes;

        if (x->not_counted)
                return true;
        frame_read(&e->in, e->gso, &p);
        bytes = p.flags & PKT_IP && !x->unread ? p.end - p.l3 : 0;
        if (o->hook != (int)e->hook || o->counted_packets != 1)
                return fail(f, FAULT_COUNTERS, "%s was counted %llu times at hook %d", reason_text(o->reason),
                            (unsigned long long)o->counted_packets, o->hook);
        if (o->counted_bytes != bytes && !(p.flags & PKT_BAD))
                return fail(f, FAULT_COUNTERS, "%llu bytes were counted, of %llu", (unsigned long long)o->counted_bytes,
                            (unsigned long long)bytes);
        return true;
}

static bool same_bytes(const struct observed *o, const struct expect *x, struct fault *f)
{
        if (x->any_bytes || x->verdict == V_DROP)
                return true;
        if (o->out.len != x->out.len)
                return fail(f, FAULT_BYTES, "the frame has %zu bytes, and should have %zu", o->out.len, x->out.len);
        for (size_t i = 0; i < o->out.len; i++)
                if (o->out.b[i] != x->out.b[i])
                        return fail(f, FAULT_BYTES, "byte %zu is %02x, and should be %02x", i, o->out.b[i],
                                    x->out.b[i]);
        return true;
}

static bool same_way(const struct event *e, const struct observed *o, const struct expect *x, struct fault *f)
{
        char is[PLACE_TEXT], should[PLACE_TEXT];

        if (e->hook != HOOK_EDGE && x->verdict != V_DROP && o->marked != x->marked)
                return fail(f, FAULT_MARK, "it is %smarked as the dataplane's", o->marked ? "" : "not ");
        if ((x->way == TO_POD || x->way == TO_NEIGHBOUR) && o->way.ifindex != x->to.ifindex)
                return fail(f, FAULT_WAY, "it goes to interface %u, and should to %u", o->way.ifindex, x->to.ifindex);
        if (x->way == TO_NEIGHBOUR && !same_addr(&o->way.next, &x->to.next))
                return fail(f, FAULT_WAY, "its next hop is %s, and should be %s", place_text(&o->way.next, is),
                            place_text(&x->to.next, should));
        if (x->way == TO_TUNNEL && (o->way.tunnel_id != x->to.tunnel_id || !same_addr(&o->way.remote, &x->to.remote)))
                return fail(f, FAULT_WAY, "the tunnel leads to %s, VNI %u, and should to %s, VNI %u",
                            place_text(&o->way.remote, is), o->way.tunnel_id, place_text(&x->to.remote, should),
                            x->to.tunnel_id);
        return true;
}

/* --- the flow table */

static const char *half_text(const struct model_half *h, char buf[static 1024])
{
        char key[256], to[256];

        snprintf(buf, 1024,
                 "%s becomes %s, flags %02x state %02x seen %u packets %u bytes %llu service %u backend %u.%u",
                 tuple_text(&h->key, key), tuple_text(&h->to, to), h->flags, h->state, h->seen, h->packets,
                 (unsigned long long)h->bytes, h->service, h->backend, h->generation);
        return buf;
}

static struct model_half as_half(const struct seen_half *s)
{
        return (struct model_half){.key = s->key,
                                   .to = s->to,
                                   .flags = s->flags,
                                   .state = s->state,
                                   .packets = s->packets,
                                   .bytes = s->bytes,
                                   .seen = s->seen,
                                   .created = s->created,
                                   .service = s->service,
                                   .backend = s->backend,
                                   .generation = s->generation};
}

static bool same_half(const struct seen_half *s, const struct model_half *h, struct fault *f)
{
        struct model_half is = as_half(s);
        char a[1024], b[1024];

        if (same_tuple(&is.to, &h->to) && is.flags == h->flags && is.state == h->state && is.packets == h->packets &&
            is.bytes == h->bytes && is.seen == h->seen && is.service == h->service && is.backend == h->backend &&
            is.generation == h->generation)
                return true;
        return fail(f, FAULT_FLOWS, "the flow\n    %s\n  should be\n    %s", half_text(&is, a), half_text(h, b));
}

static bool same_entries(const struct player *p, const struct observed *o, struct fault *f)
{
        static struct model_half touched[64];
        size_t n = model_touched(p->model, touched, 64);
        struct model_half half;
        struct seen_half seen;
        char text[1024];

        for (size_t i = 0; i < o->nchanges; i++) {
                const struct seen_half *is = &o->changes[i].is;

                if (!is->live)
                        continue;
                if (!model_find(p->model, &is->key, &half)) {
                        half = as_half(is);
                        return fail(f, FAULT_FLOWS, "there should be no flow %s", half_text(&half, text));
                }
                if (!same_half(is, &half, f))
                        return false;
        }
        for (size_t i = 0; i < n; i++) {
                if (!rig_find(p->rig, &touched[i].key, &seen))
                        return fail(f, FAULT_FLOWS, "there is no flow %s", half_text(&touched[i], text));
                if (!same_half(&seen, &touched[i], f))
                        return false;
        }
        return true;
}

/* An endpoint's id must be that of an endpoint of this address in the tables. */
static bool right_backends(const struct player *p, const struct observed *o, struct fault *f)
{
        const struct ids *ids = rig_ids(p->rig);

        for (size_t i = 0; i < o->nchanges; i++) {
                const struct seen_half *is = &o->changes[i].is;
                const struct backend *b;

                if (!is->live || !is->backend || is->flags & FLOW_REPLY ||
                    (o->changes[i].was.live && same_tuple(&o->changes[i].was.key, &is->key)))
                        continue;
                b = is->backend < ids->nbackends ? &ids->backends[is->backend] : NULL;
                if (!b || b->service != is->service || b->generation != is->generation ||
                    !same_addr(&b->addr, &is->to.dst) || b->port != is->to.dport)
                        return fail(f, FAULT_FLOWS, "the new flow's backend %u.%u is another in the tables",
                                    is->backend, is->generation);
        }
        return true;
}

static bool is_among(const struct tuple *key, const struct tuple *const *keys, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (same_tuple(key, keys[i]))
                        return true;
        return false;
}

static bool right_evictions(const struct player *p, const struct observed *o, const struct expect *x,
                            unsigned *ret_evicted, struct fault *f)
{
        const struct tuple *inserted[CHANGES_MAX + 1], *gone[CHANGES_MAX];
        size_t n = 0, added, ngone = 0;
        struct model_half half;
        const char *why;
        char text[1024];

        for (size_t i = 0; i < o->nchanges; i++) {
                const struct seen_change *c = &o->changes[i];

                if (c->is.live && !(c->was.live && same_tuple(&c->was.key, &c->is.key)))
                        inserted[n++] = &c->is.key;
        }
        added = n;
        if (x->failed)
                inserted[n++] = &x->failed_key;
        for (size_t i = 0; i < o->nchanges; i++) {
                const struct seen_half *was = &o->changes[i].was, *is = &o->changes[i].is;

                if (was->live && !(is->live && same_tuple(&was->key, &is->key)) && !is_among(&was->key, inserted, n) &&
                    model_find(p->model, &was->key, &half))
                        gone[ngone++] = &was->key;
        }
        if (!ngone)
                return true;
        model_find(p->model, gone[0], &half);
        why = model_evicted(p->model, gone, ngone, inserted, n, added == 0, ret_evicted);
        return why ? fail(f, FAULT_FLOWS, "%s: %s", why, half_text(&half, text)) : true;
}

static bool same_flows(const struct player *p, const struct observed *o, const struct expect *x, struct fault *f)
{
        unsigned evicted = 0;

        if (!right_evictions(p, o, x, &evicted, f) || !same_entries(p, o, f) || !right_backends(p, o, f))
                return false;
        if (o->flows.inserted != x->inserted || o->flows.stale != x->stale || o->flows.full != x->failed ||
            o->flows.evicted != evicted || o->flows.taken_over != x->taken_over)
                return fail(f, FAULT_COUNTERS,
                            "flows inserted, stale, full, evicted, taken over: %llu %llu %llu %llu %llu, and should be "
                            "%u %u %u %u %u",
                            (unsigned long long)o->flows.inserted, (unsigned long long)o->flows.stale,
                            (unsigned long long)o->flows.full, (unsigned long long)o->flows.evicted,
                            (unsigned long long)o->flows.taken_over, x->inserted, x->stale, x->failed, evicted,
                            x->taken_over);
        return true;
}

bool compare(struct player *p, const struct event *e, const struct observed *o, const struct expect *x,
             struct fault *ret)
{
        *ret = (struct fault){.kind = FAULT_NONE};
        if (!same_verdict(e, o, x, ret))
                return false;
        if (*x->wrong)
                return fail(ret, FAULT_CHOICE, "%s", x->wrong);
        return same_bytes(o, x, ret) && same_way(e, o, x, ret) && same_count(e, o, x, ret) && same_flows(p, o, x, ret);
}

/* --- at the end: everything */

static bool same_table(const struct player *p, struct fault *f)
{
        static struct seen_half seen[8192];
        size_t n = rig_halves(p->rig, seen, 8192);
        struct model_half half;
        struct seen_half one;
        char text[1024];

        for (size_t i = 0; i < n; i++) {
                if (model_find(p->model, &seen[i].key, &half)) {
                        if (!same_half(&seen[i], &half, f))
                                return false;
                        continue;
                }
                half = as_half(&seen[i]);
                if (!model_is_too_old(p->model, &half))
                        return fail(f, FAULT_FLOWS, "in the end there should be no flow %s", half_text(&half, text));
        }
        for (size_t i = 0; i < model_halves(p->model); i++)
                if (model_half(p->model, i, &half) && !rig_find(p->rig, &half.key, &one))
                        return fail(f, FAULT_FLOWS, "in the end there is no flow %s", half_text(&half, text));
        return true;
}

static bool same_stats(const struct player *p, struct fault *f)
{
        struct service_stats should, is;
        uint32_t id;

        for (size_t i = 0; model_stats(p->model, i, &id, &should); i++) {
                rig_stats(p->rig, id, &is);
                if (memcmp(&is, &should, sizeof(is)) != 0)
                        return fail(
                                f, FAULT_STATS,
                                "service id %u: connections, packets, bytes, back, refused: %llu %llu %llu %llu %llu "
                                "%llu, and should be %llu %llu %llu %llu %llu %llu",
                                id, (unsigned long long)is.connections, (unsigned long long)is.packets,
                                (unsigned long long)is.bytes, (unsigned long long)is.reply_packets,
                                (unsigned long long)is.reply_bytes, (unsigned long long)is.refused,
                                (unsigned long long)should.connections, (unsigned long long)should.packets,
                                (unsigned long long)should.bytes, (unsigned long long)should.reply_packets,
                                (unsigned long long)should.reply_bytes, (unsigned long long)should.refused);
        }
        return true;
}

bool compare_rest(struct player *p, struct fault *ret)
{
        *ret = (struct fault){.kind = FAULT_NONE};
        return same_table(p, ret) && same_stats(p, ret);
}
