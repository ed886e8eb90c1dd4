// SPDX-License-Identifier: Apache-2.0
/* Connections: what is remembered of them, how they age and end, which source ports they get. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/abi/hash.h"
#include "model/model_impl.h"

struct conn *conn_find(struct model *m, const struct tuple *key, int *ret_way)
{
        for (size_t i = 0; i < m->conns.n; i++) {
                struct conn *c = &m->conns.of[i];

                for (int way = THERE; way <= BACK && c->live; way++) {
                        if (!same_tuple(&c->half[way].key, key))
                                continue;
                        *ret_way = way;
                        return c;
                }
        }
        return NULL;
}

/* Reset, or ended by both. */
bool conn_is_closing(uint8_t state)
{
        return state & FLOW_RST || (state & FLOW_FIN && state & FLOW_FIN_REPLY);
}

uint32_t conn_timeout(const struct model *m, uint8_t proto, uint8_t state)
{
        const struct flow_timeouts *t = &m->world->knobs.timeouts;

        switch (proto) {
        case IPPROTO_TCP:
                if (conn_is_closing(state))
                        return t->tcp_closing;
                return state & FLOW_ESTABLISHED ? t->tcp_established : t->tcp_syn;
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6:
                return t->icmp;
        default:
                return state & FLOW_SEEN_REPLY ? t->udp_stream : t->udp;
        }
}

void conn_remove(struct conn *c)
{
        c->live = false;
}

/* Both directions know the same of the connection; what is "mine" and "the other's" of FIN is swapped. */
static void learn(struct conn *c, int way, uint8_t bits)
{
        uint8_t mirrored = bits & (uint8_t) ~(FLOW_FIN | FLOW_FIN_REPLY);

        if (bits & FLOW_FIN)
                mirrored |= FLOW_FIN_REPLY;
        if (bits & FLOW_FIN_REPLY)
                mirrored |= FLOW_FIN;
        c->half[way].state |= bits;
        c->half[!way].state |= mirrored;
}

void conn_account(struct walk *w, struct conn *c, int way)
{
        struct service_stats *stats = c->service ? stats_of(w->m, c->service) : NULL;
        uint32_t bytes = (uint32_t)(w->p.end - w->p.l3);
        uint8_t bits = 0;

        c->half[way].packets++;
        c->half[way].bytes += bytes;
        if (stats && way == THERE) {
                stats->packets++;
                stats->bytes += bytes;
        } else if (stats) {
                stats->reply_packets++;
                stats->reply_bytes += bytes;
        }
        if (way == BACK)
                bits |= FLOW_SEEN_REPLY;
        if (w->p.tuple.proto == IPPROTO_TCP && !(w->p.flags & PKT_LATER)) {
                bits |= w->p.tcp & TCP_F_FIN ? FLOW_FIN : 0;
                bits |= w->p.tcp & TCP_F_RST ? FLOW_RST : 0;
                /* A client that goes on after the answer is one. */
                if (way == THERE && !(w->p.tcp & TCP_F_SYN) && c->half[way].state & FLOW_SEEN_REPLY)
                        bits |= FLOW_ESTABLISHED;
        }
        learn(c, way, bits);
        c->seen = w->m->now;
        c->touched = true;
}

/* --- source ports */

const struct seen_half *seen_added(const struct walk *w, const struct tuple *key)
{
        for (size_t i = 0; i < w->o->nchanges; i++) {
                const struct seen_change *c = &w->o->changes[i];

                if (c->is.live && same_tuple(&c->is.key, key))
                        return &c->is;
        }
        return NULL;
}

/* The connection that has the answers of that port. */
static struct conn *holder(struct walk *w, const struct tuple *to, uint16_t port)
{
        struct tuple answer = tuple_back(to);
        int way;

        answer.dport = htons(port);
        return conn_find(w->m, &answer, &way);
}

static bool half_has_gone(const struct walk *w, const struct tuple *key)
{
        for (size_t i = 0; i < w->o->nchanges; i++) {
                const struct seen_change *change = &w->o->changes[i];

                if (change->was.live && same_tuple(&change->was.key, key) &&
                    !(change->is.live && same_tuple(&change->is.key, key)))
                        return true;
        }
        return false;
}

/* It had to make room in this very moment; one half's key may be the new one's. */
static bool has_gone(const struct walk *w, const struct conn *c)
{
        return half_has_gone(w, &c->half[THERE].key) || half_has_gone(w, &c->half[BACK].key);
}

static bool in_range(const struct model *m, uint16_t port)
{
        return port >= m->world->knobs.snat_port_min && port <= m->world->knobs.snat_port_max;
}

static bool may_keep(const struct walk *w, const struct fresh *f)
{
        return f->rule != SOURCE_OF_RANGE || in_range(w->m, ntohs(f->to.sport));
}

enum { PORT_TRIES = 24 }; /* how often the programs look for a free one, at least */

/* May there be no free one among those that they tried? */
static bool ports_are_taken(struct walk *w, const struct fresh *f)
{
        const struct knobs *k = &w->m->world->knobs;
        uint16_t wish = ntohs(f->to.sport);
        unsigned taken = 0, size = k->snat_port_max - k->snat_port_min + 1U;

        if (may_keep(w, f) && !holder(w, &f->to, wish))
                return false;
        if (f->rule == SOURCE_FIXED)
                return true;
        for (unsigned i = 0; i < size && taken < PORT_TRIES; i++)
                taken += !!holder(w, &f->to, (uint16_t)(k->snat_port_min + i));
        return taken >= (size < PORT_TRIES ? size : PORT_TRIES - 1);
}

/* Seconds that the port has rested after its connection was closed. 0: it has not, or must not be taken over. */
static uint32_t rested(struct walk *w, const struct fresh *f, uint16_t port)
{
        const struct conn *c = holder(w, &f->to, port);

        return c && f->rule != SOURCE_FIXED && conn_is_closing(c->half[THERE].state) ? w->m->now - c->seen : 0;
}

/* The longest that one of the ports has rested which they have tried for certain: where there are few, all of them. */
static uint32_t longest_rest(struct walk *w, const struct fresh *f)
{
        const struct knobs *k = &w->m->world->knobs;
        unsigned size = k->snat_port_max - k->snat_port_min + 1U;
        uint32_t longest = may_keep(w, f) ? rested(w, f, ntohs(f->to.sport)) : 0;

        for (unsigned i = 0; i < size && size < PORT_TRIES; i++) {
                uint32_t rest = rested(w, f, (uint16_t)(k->snat_port_min + i));

                longest = rest > longest ? rest : longest;
        }
        return longest;
}

bool conn_may_fail(struct walk *w, const struct fresh *f)
{
        return ports_are_taken(w, f) && !longest_rest(w, f);
}

/* The connection gave up its port, because it is over. */
static void check_taken_over(struct walk *w, const struct fresh *f, uint16_t port, struct conn *c)
{
        uint32_t rest = rested(w, f, port);

        if (!rest || !ports_are_taken(w, f))
                wrong(w, "source port %u was taken from a connection that was not closed before, or others were free",
                      port);
        else if (rest < longest_rest(w, f))
                wrong(w, "source port %u was taken over after %u s, though another had rested for %u s", port, rest,
                      longest_rest(w, f));
        say(w, "its source port is that of a closed connection, since none is free");
        c->taken_over = c->leaving = true;
        w->x->taken_over++;
}

static void check_port(struct walk *w, const struct fresh *f, uint16_t port)
{
        uint16_t wish = ntohs(f->to.sport);
        struct conn *c = holder(w, &f->to, port);

        if (c && !has_gone(w, c))
                wrong(w, "source port %u is another connection's already", port);
        else if (may_keep(w, f) && port != wish && !holder(w, &f->to, wish))
                wrong(w, "source port %u was free and should have been kept, not changed to %u", wish, port);
        else if (port != wish && f->rule == SOURCE_FIXED)
                wrong(w, "source port %u must stay, it is %u", wish, port);
        else if (!(may_keep(w, f) && port == wish) && !in_range(w->m, port))
                wrong(w, "source port %u is out of the range %u to %u", port, w->m->world->knobs.snat_port_min,
                      w->m->world->knobs.snat_port_max);
        if (c && w->o->flows.taken_over)
                check_taken_over(w, f, port, c);
}

struct conn *conn_add(struct walk *w, const struct fresh *fresh)
{
        const struct seen_half *seen = seen_added(w, &fresh->key);
        struct tuple to = fresh->to;
        struct conn *c;

        if (conn_may_fail(w, fresh) && !seen) {
                say(w, "no source port is free");
                w->x->failed++;
                w->x->failed_key = fresh->key;
                return NULL;
        }
        if (seen) {
                check_port(w, fresh, ntohs(seen->to.sport));
                to.sport = seen->to.sport;
        }
        c = LIST_ADD(&w->m->conns);
        *c = (struct conn){.live = true,
                           .touched = true,
                           .flags = fresh->flags,
                           .instance = fresh->instance,
                           .service = fresh->service,
                           .seen = w->m->now,
                           .created = w->m->now};
        c->half[THERE] = (struct half){.key = fresh->key, .to = to};
        c->half[BACK] = (struct half){.key = tuple_back(&to), .to = tuple_back(&fresh->key)};
        w->x->inserted++;
        return c;
}

/* --- for the comparison */

static void half_view(const struct model *m, size_t i, struct model_half *ret)
{
        const struct conn *c = &m->conns.of[i / 2];
        const struct half *h = &c->half[i % 2];
        const struct instance *is = c->instance < 0 ? NULL : &m->instances.of[c->instance];

        *ret = (struct model_half){.key = h->key,
                                   .to = h->to,
                                   .flags = c->flags | (i % 2 ? FLOW_REPLY : 0),
                                   .state = h->state,
                                   .packets = h->packets,
                                   .bytes = h->bytes,
                                   .seen = c->seen,
                                   .created = c->created,
                                   .service = c->service,
                                   .backend = is ? is->id : 0,
                                   .generation = is ? is->generation : 0,
                                   .conn = i / 2};
}

size_t model_halves(const struct model *m)
{
        return 2 * m->conns.n;
}

bool model_half(const struct model *m, size_t i, struct model_half *ret)
{
        if (!m->conns.of[i / 2].live)
                return false;
        half_view(m, i, ret);
        return true;
}

bool model_find(const struct model *m, const struct tuple *key, struct model_half *ret)
{
        int way;
        struct conn *c = conn_find((struct model *)m, key, &way);

        if (!c)
                return false;
        half_view(m, (size_t)(c - m->conns.of) * 2 + (size_t)way, ret);
        return true;
}

size_t model_touched(const struct model *m, struct model_half *ret, size_t max)
{
        size_t n = 0;

        for (size_t i = 0; i < 2 * m->conns.n && n < max; i++)
                if (m->conns.of[i / 2].live && m->conns.of[i / 2].touched)
                        half_view(m, i, &ret[n++]);
        return n;
}

/* --- who goes when a set is full: what is over, before what begins, before what is in use; of these the oldest */

static int rank(const struct half *h)
{
        uint8_t in_use = h->key.proto == IPPROTO_TCP ? FLOW_ESTABLISHED : FLOW_SEEN_REPLY;

        if (conn_is_closing(h->state))
                return 2;
        return h->state & in_use ? 0 : 1;
}

static uint32_t set_of(const struct model *m, const struct tuple *key)
{
        return flow_set_of(tuple_hash(key), m->world->knobs.flow_sets);
}

/* Might that half be the one that goes out of that set? others: how many new ones have their place there. */
static bool may_go(const struct model *m, const struct conn *c, int way, uint32_t set, size_t others)
{
        size_t there = others;

        if (set_of(m, &c->half[way].key) != set)
                return false;
        for (size_t i = 0; i < m->conns.n; i++) {
                const struct conn *o = &m->conns.of[i];

                for (int k = THERE; k <= BACK && o->live; k++) {
                        if ((o == c && k == way) || set_of(m, &o->half[k].key) != set)
                                continue;
                        there++;
                        if (o->touched || o->leaving) /* the new one, and who went too */
                                continue;
                        if (rank(&o->half[k]) > rank(&c->half[way]) ||
                            (rank(&o->half[k]) == rank(&c->half[way]) && o->seen < c->seen))
                                return false;
                }
        }
        return there >= FLOW_WAYS;
}

bool model_is_too_old(const struct model *m, const struct model_half *h)
{
        return m->now - h->seen > conn_timeout(m, h->key.proto, h->state);
}

/* All at once, since of two that went for one new connection each is another's company. */
const char *model_evicted(struct model *m, const struct tuple *const *gone, size_t ngone,
                          const struct tuple *const *inserted, size_t n, bool undone, unsigned *ret_conns)
{
        bool fine = true;
        int way;

        for (size_t i = 0; i < ngone; i++) {
                struct conn *c = conn_find(m, gone[i], &way);

                *ret_conns += !c->leaving;
                c->leaving = true;
        }
        for (size_t i = 0; i < m->conns.n; i++) {
                struct conn *c = &m->conns.of[i];
                bool may = false;

                if (!c->live || !c->leaving || c->taken_over)
                        continue;
                for (size_t k = 0; k < 2 * n; k++)
                        may |= may_go(m, c, k % 2, set_of(m, inserted[k / 2]), undone);
                fine &= may;
        }
        for (size_t i = 0; i < m->conns.n; i++)
                m->conns.of[i].live &= !m->conns.of[i].leaving;
        return fine ? NULL : "a connection lost its place, though others were to go before it, or there was room";
}
