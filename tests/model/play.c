// SPDX-License-Identifier: Apache-2.0
/* Plays a case: steps become frames, the programs and the model get them, and both are compared. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/case.h"

struct player *player_new(struct rig *rig)
{
        struct player *p = calloc(1, sizeof(*p));

        if (!p)
                abort();
        p->rig = rig;
        p->model = model_new(rig_devices(rig));
        return p;
}

void player_free(struct player *p)
{
        model_free(p->model);
        free(p);
}

/* --- where packets come from */

static int pod_of(const struct world *w, const struct addr *a)
{
        for (int i = 0; i < WORLD_PODS; i++) {
                struct addr is = place_addr(PLACE_POD_A + i, 0, !is_v4(a));

                if (same_addr(&is, a) && w->pods[i].present)
                        return i;
        }
        return -1;
}

static bool is_own(const struct addr *a)
{
        for (enum place place = PLACE_NODE; place <= PLACE_NODE_B; place++) {
                struct addr is = place_addr(place, 0, !is_v4(a));

                if (same_addr(&is, a))
                        return true;
        }
        return is_v4(a) ? a->b[12] == 127 : memcmp(a, &(struct addr){.b = {[15] = 1}}, 16) == 0;
}

static bool is_remote_pod(const struct addr *a)
{
        for (enum place place = PLACE_REMOTE_2; place <= PLACE_REMOTE_4; place++) {
                struct addr is = place_addr(place, 0, !is_v4(a));

                if (in_prefix(a, &is, is_v4(a) ? 96 + 24 : 64))
                        return true;
        }
        return false;
}

bool hook_of(const struct world *w, const struct addr *src, const struct addr *dst, enum hook *ret_hook,
             unsigned *ret_nic)
{
        struct addr far = place_addr(PLACE_FAR, 0, !is_v4(src));
        int pod = pod_of(w, src);

        *ret_nic = 0;
        if (pod >= 0) {
                *ret_hook = HOOK_FROM_POD;
                *ret_nic = (unsigned)pod;
        } else if (is_own(src)) {
                pod = pod_of(w, dst);
                *ret_hook = pod >= 0                                          ? HOOK_TO_POD
                            : is_own(dst)                                     ? HOOK_TO_LO
                            : is_remote_pod(dst) && world_has(w, KNOB_TUNNEL) ? HOOK_TO_OVERLAY
                                                                              : HOOK_TO_UPLINK;
                *ret_nic = pod >= 0 ? (unsigned)pod : 0;
        } else if (is_remote_pod(src) && world_has(w, KNOB_TUNNEL)) {
                *ret_hook = HOOK_OVERLAY;
        } else {
                *ret_hook = HOOK_UPLINK;
                *ret_nic = in_prefix(src, &far, is_v4(src) ? 96 + 16 : 64);
        }
        return true;
}

static uint32_t ifindex_of(const struct player *p, enum hook hook, unsigned nic)
{
        const struct devices *d = rig_devices(p->rig);

        switch (hook) {
        case HOOK_FROM_POD:
        case HOOK_TO_POD:
                return d->pods[nic];
        case HOOK_OVERLAY:
        case HOOK_TO_OVERLAY:
                return d->vxlan;
        case HOOK_TO_LO:
                return 1;
        default:
                return d->uplinks[nic];
        }
}

static void set_macs(struct spec *s, enum hook hook, unsigned nic)
{
        static const uint8_t none[6];
        const uint8_t *src = none, *dst = none;

        if (hook == HOOK_FROM_POD) {
                src = mac_pods[nic];
                dst = mac_gateway;
        } else if (hook == HOOK_TO_POD) {
                src = mac_gateway;
                dst = mac_pods[nic];
        } else if (hook == HOOK_OVERLAY || hook == HOOK_TO_OVERLAY) {
                src = dst = mac_vxlan;
        } else if (hook == HOOK_UPLINK || hook == HOOK_EDGE) {
                src = mac_router;
                dst = mac_uplinks[nic];
        } else if (hook == HOOK_TO_UPLINK) {
                src = mac_uplinks[nic];
                dst = mac_router;
        }
        memcpy(s->smac, src, 6);
        memcpy(s->dmac, dst, 6);
}

/* --- frames */

static void spec_of(const struct step *s, struct spec *ret)
{
        *ret = (struct spec){.v6 = s->v6,
                             .tcp = s->tcp,
                             .ttl = s->ttl,
                             .tos = s->tos,
                             .icmp_type = s->icmp_type,
                             .icmp_code = s->icmp_code,
                             .icmp_rest = s->seq,
                             .seq = s->seq,
                             .ack = s->ack,
                             .flags = s->flags,
                             .id = s->id,
                             .fragment = s->fragment,
                             .datagram = s->datagram,
                             .payload = s->payload};
}

static void set_echo(struct spec *spec, bool reply)
{
        if (spec->v6)
                spec->icmp_type = reply ? 129 : 128;
        else
                spec->icmp_type = reply ? 0 : 8;
        spec->icmp_code = 0;
}

static bool make_fresh(const struct step *s, struct spec *spec, struct event *e)
{
        bool reply, long_form = s->v6 && !(s->flags & SPEC_MAPPED);

        spec->tuple = (struct tuple){.src = place_addr((enum place)s->src, s->src_n, long_form),
                                     .dst = place_addr((enum place)s->dst, s->dst_n, long_form),
                                     .proto = s->proto};
        if (has_ports(s->proto)) {
                spec->tuple.sport = htons(s->sport);
                spec->tuple.dport = htons(s->dport);
        }
        if (check_offset(s->proto, s->v6) == 2) {
                reply = is_echo_reply(s->icmp_type, s->v6);
                if (reply)
                        spec->tuple.dport = htons(s->sport);
                else if (is_echo_request(s->icmp_type, s->v6))
                        spec->tuple.sport = htons(s->sport);
        }
        e->hook = s->hook;
        e->nic = s->nic;
        return true;
}

static bool make_again(const struct played *was, struct spec *spec, struct event *e)
{
        const struct pkt *p = &was->pkt_in;

        if (!was->done || !(p->flags & PKT_IP) || p->flags & (PKT_BAD | PKT_ERROR | PKT_LATER))
                return false;
        spec->v6 = p->flags & PKT_V6;
        spec->tuple = p->tuple;
        if (p->flags & PKT_ECHO)
                set_echo(spec, p->tuple.dport);
        e->hook = was->hook;
        e->nic = was->nic;
        return true;
}

static bool make_answer(const struct player *p, const struct played *was, struct spec *spec, struct event *e)
{
        const struct pkt *out = &was->pkt_out;

        if (!was->done || !was->alive || !(out->flags & PKT_IP) || out->flags & (PKT_BAD | PKT_ERROR | PKT_LATER))
                return false;
        spec->v6 = out->flags & PKT_V6;
        spec->tuple = tuple_back(&out->tuple);
        if (out->flags & PKT_ECHO)
                set_echo(spec, !out->tuple.dport);
        return hook_of(&p->world, &spec->tuple.src, &spec->tuple.dst, &e->hook, &e->nic);
}

static bool make_beside(const struct player *p, const struct played *was, struct spec *spec, struct event *e)
{
        if (!make_answer(p, was, spec, e))
                return false;
        spec->tuple = was->pkt_out.tuple;
        if (was->pkt_out.flags & PKT_ECHO)
                set_echo(spec, spec->tuple.dport);
        return hook_of(&p->world, &spec->tuple.src, &spec->tuple.dst, &e->hook, &e->nic);
}

/* About what came out, to whom it is from; the quote is what the complainer has seen. */
static bool make_error(const struct player *p, const struct step *s, const struct played *was, struct spec *spec,
                       struct event *e)
{
        const struct pkt *out = &was->pkt_out;
        size_t len = out->end - out->l3;

        if (!was->done || !was->alive || !(out->flags & PKT_IP) || out->flags & (PKT_BAD | PKT_ERROR))
                return false;
        spec->v6 = out->flags & PKT_V6;
        spec->tuple = (struct tuple){.src = out->tuple.dst, .dst = out->tuple.src};
        if (s->from)
                spec->tuple.src = place_addr((enum place)s->from, 0, spec->v6);
        spec->tuple.proto = spec->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        spec->quote = was->out.b + out->l3;
        spec->quote_len = s->quoted && s->quoted < len ? s->quoted : len;
        if (spec->quote_len > 1200)
                spec->quote_len = 1200;
        return hook_of(&p->world, &spec->tuple.src, &spec->tuple.dst, &e->hook, &e->nic);
}

static bool make_later(const struct played *was, struct spec *spec, struct event *e)
{
        const struct pkt *p = &was->pkt_in;

        if (!was->done || !(p->flags & PKT_FIRST) || p->flags & PKT_BAD)
                return false;
        spec->v6 = p->flags & PKT_V6;
        spec->tuple = p->tuple;
        spec->id = (uint16_t)p->fragment_id;
        spec->flags &= ~(uint32_t)SPEC_MORE;
        if (!spec->fragment)
                spec->fragment = 64;
        e->hook = was->hook;
        e->nic = was->nic;
        return true;
}

/* The frame itself goes on: from the uplink's XDP to its TC program, out of the device that it was sent to. */
static bool make_on(const struct player *p, const struct played *was, struct event *e)
{
        bool marked = was->hook == HOOK_FROM_POD || was->hook == HOOK_TO_OVERLAY;

        if (!was->done || !was->alive)
                return false;
        e->in = was->out;
        e->nic = was->nic;
        if (was->hook == HOOK_EDGE) {
                e->hook = HOOK_UPLINK;
                return true;
        }
        if (!(was->pkt_out.flags & PKT_IP) || was->pkt_out.flags & PKT_BAD)
                return false;
        e->hook = HOOK_TO_UPLINK;
        e->nic = 0;
        for (unsigned i = 0; i < WORLD_PODS; i++)
                if (memcmp(was->out.b, mac_pods[i], 6) == 0) {
                        e->hook = HOOK_TO_POD;
                        e->nic = i;
                }
        e->marked = marked && e->hook == HOOK_TO_UPLINK;
        (void)p;
        return true;
}

static void mangle(const struct step *s, const struct pkt *p, struct frame *f)
{
        for (int i = 0; i < s->nedits; i++)
                f->b[s->edits[i].at % f->len] ^= s->edits[i].turn;
        if (!s->cut || s->cut >= f->len)
                return;
        f->len = s->cut < ETH_HEAD + 1 ? ETH_HEAD + 1 : s->cut;
        if (s->fit && p->flags & PKT_V6 && f->len >= p->l3 + 40)
                put16(f->b + p->l3 + 4, (unsigned)(f->len - p->l3 - 40));
        else if (s->fit && p->flags & PKT_IP && !(p->flags & PKT_V6) && f->len >= p->l3 + 20)
                put16(f->b + p->l3 + 2, (unsigned)(f->len - p->l3));
}

/* What TEST_RUN takes for TC, as the kernel does not hand on shorter ones either: the first header is there. */
static bool is_runnable(const struct event *e)
{
        unsigned type = get16(e->in.b + 12);

        if (e->hook == HOOK_EDGE)
                return e->in.len > ETH_HEAD;
        return e->in.len > ETH_HEAD + (type == 0x86dd ? 39U : type == 0x0800 ? 19U : 0U);
}

/* False: it makes no sense any more. */
static bool make_event(const struct player *p, const struct step *s, struct event *ret)
{
        const struct played *was = &p->steps[s->ref];
        struct spec spec;
        struct pkt pkt;
        bool made = false;

        *ret = (struct event){.marked = s->marked, .gso = s->gso};
        spec_of(s, &spec);
        switch (s->kind) {
        case STEP_FRESH:
                made = make_fresh(s, &spec, ret);
                break;
        case STEP_AGAIN:
                made = make_again(was, &spec, ret);
                break;
        case STEP_ANSWER:
                made = make_answer(p, was, &spec, ret);
                break;
        case STEP_BESIDE:
                made = make_beside(p, was, &spec, ret);
                break;
        case STEP_ERROR:
                made = make_error(p, s, was, &spec, ret);
                break;
        case STEP_LATER:
                made = make_later(was, &spec, ret);
                break;
        default:
                if (!make_on(p, was, ret))
                        return false;
        }
        if (s->kind != STEP_ON) {
                if (!made)
                        return false;
                if (ret->hook == HOOK_UPLINK && s->hook == HOOK_EDGE)
                        ret->hook = HOOK_EDGE;
                set_macs(&spec, ret->hook, ret->nic);
                frame_build(&spec, &ret->in);
        }
        ret->ifindex = ifindex_of(p, ret->hook, ret->nic);
        frame_read(&ret->in, false, &pkt);
        mangle(s, &pkt, &ret->in);
        if (ret->hook == HOOK_EDGE)
                ret->gso = 0;
        return is_runnable(ret);
}

/* --- playing */

static void settle_debts(struct player *p)
{
        for (unsigned pod = 0; pod < WORLD_PODS; pod++)
                for (int egress = 0; egress < 2; egress++)
                        rig_debt(p->rig, &p->world, pod, egress, model_debt(p->model, pod, egress));
}

void player_begin(struct player *p, const struct play_case *c)
{
        p->played_case = c;
        p->world = c->world;
        rig_begin(p->rig, &p->world);
        model_begin(p->model, &p->world, rig_ids(p->rig));
        memset(p->steps, 0, sizeof(p->steps));
}

static void change(struct player *p, const struct step *s)
{
        if (s->kind == STEP_CLOCK) {
                rig_clock(p->rig, s->seconds);
                model_clock(p->model, s->seconds);
        } else if (s->kind == STEP_SPEND) {
                rig_spend_answers(p->rig);
                model_spend_answers(p->model);
        } else {
                if (s->kind == STEP_SERVICE)
                        p->world.services[s->slot] = s->svc;
                else
                        p->world.pods[s->slot] = s->pod;
                rig_changed(p->rig, &p->world);
                model_changed(p->model);
        }
}

static void remember(const struct model *m, struct played *to, const struct event *e, const struct observed *o,
                     const struct expect *x)
{
        struct model_half half;

        to->done = true;
        to->hook = e->hook;
        to->nic = e->nic;
        to->alive = x->verdict != V_DROP && (x->not_counted || x->reason <= REASON_FORWARDED);
        to->flow = model_touched(m, &half, 1) > 0;
        to->in = e->in;
        to->out = o->out;
        frame_read(&to->in, e->gso, &to->pkt_in);
        frame_read(&to->out, e->gso, &to->pkt_out);
}

bool player_step(struct player *p, size_t i, struct fault *ret_fault)
{
        const struct step *s = &p->played_case->steps[i];
        static struct observed seen;
        static struct expect expected;
        static struct event event;

        if (s->off)
                return true;
        if (s->kind >= STEP_SERVICE) {
                change(p, s);
                return true;
        }
        if (!make_event(p, s, &event))
                return true;
        settle_debts(p);
        rig_run(p->rig, &event, &seen);
        model_packet(p->model, &event, &seen, &expected);
        p->packets++;
        if (!compare(p, &event, &seen, &expected, ret_fault)) {
                ret_fault->step = i;
                ret_fault->event = event;
                ret_fault->seen = seen;
                ret_fault->expected = expected;
                return false;
        }
        cover_step(s);
        cover_packet(&event, &seen, &expected);
        remember(p->model, &p->steps[i], &event, &seen, &expected);
        return true;
}

bool player_end(struct player *p, struct fault *ret_fault)
{
        bool fine = compare_rest(p, ret_fault);

        ret_fault->step = p->played_case->n;
        if (rig_end(p->rig) || !fine)
                return fine;
        ret_fault->kind = FAULT_REST;
        strcpy(ret_fault->text, "the agent left something behind when all services were gone (see above)");
        return false;
}

bool player_play(struct player *p, const struct play_case *c, struct fault *ret_fault)
{
        struct fault second;
        bool fine = true;

        player_begin(p, c);
        for (size_t i = 0; i < c->n && fine; i++)
                fine = player_step(p, i, ret_fault);
        if (fine)
                return player_end(p, ret_fault);
        player_end(p, &second);
        return false;
}
