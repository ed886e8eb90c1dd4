/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs remember of the packets of a trace is taken away again, and nothing else: flows by their key and age,
 * the memory of a client as it was before. Source ports are below 1024, where clients' own are not.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/trace_story.h"
#include "datapath/flows.h"
#include "datapath/pins.h"

#define PORT_FIRST 601
#define PORT_LAST  1000

/* Room for the answers' entry as well, whichever endpoint it will be: so that no flow in use has to give way. */
static bool replies_have_room(const struct trace *t, const struct tuple *key, const struct trace_choice *c)
{
        uint32_t now = flow_now();

        for (uint32_t i = 0; i < c->endpoints_n; i++) {
                struct tuple reply
                        __attribute__((aligned(8))) = {.dst = key->src, .dport = key->sport, .proto = key->proto};
                struct backend b;

                if (map_lookup(t->view->maps.m[MAP_BACKENDS], &c->endpoints[i], &b))
                        continue;
                reply.src = b.addr;
                reply.sport = b.port;
                if (!flow_undo_has_room(&t->flows, &reply, &t->knobs.timeouts, now))
                        return false;
        }
        return true;
}

static bool is_free(const struct trace *t, const struct tuple *key, const struct trace_choice *c)
{
        uint32_t now = flow_now();
        struct flow_found found;

        return !flow_undo_find(&t->flows, key, &t->knobs.timeouts, now, &found) &&
               flow_undo_has_room(&t->flows, key, &t->knobs.timeouts, now) && replies_have_room(t, key, c);
}

bool trace_find_port(struct trace *t)
{
        struct trace_ask ask = {.tuple = t->tuple, .now = flow_now()};
        struct trace_choice c = TRACE_CHOICE_NULL;
        uint32_t span = PORT_LAST - PORT_FIRST + 1, start = (ask.now + (uint32_t)getpid()) % span;
        bool found = false;

        ask.outside = t->src.kind == TRACE_OUTSIDE;
        if (trace_choose(&t->view->maps, &ask, &c))
                return false;
        for (uint32_t i = 0; i < span && !found; i++) {
                t->tuple.sport = htons((uint16_t)(PORT_FIRST + (start + i) % span));
                found = is_free(t, &t->tuple, &c);
        }
        trace_choice_deinit(&c);
        return found;
}

void trace_undo_flow(struct trace *t, const struct tuple *key)
{
        struct flow_found found;

        if (!flow_undo_find(&t->flows, key, &t->knobs.timeouts, flow_now(), &found))
                return;
        /* A second earlier: the programs' clock is one of jiffies. */
        if (found.flow.created + 1 < t->started || flow_undo_remove(&t->flows, &found) != 2)
                trace_leave(t, "a flow of the trace, which times out");
}

void trace_undo_affinity(struct trace *t, const struct trace_ask *ask, const struct trace_choice *before)
{
        struct affinity_key key = trace_affinity_key(ask, before->service.id);
        char path[PINS_PATH + 64];
        _cleanup_close_ int fd = -1;
        struct affinity now;
        int r = 0;

        if (!before->found || !before->remembers || map_lookup(t->view->maps.m[MAP_AFFINITY], &key, &now))
                return;
        snprintf(path, sizeof(path), "%.300s/v%d/maps/affinity", t->view->pin_root, MAPS_VERSION);
        fd = bpf_obj_get(path);
        if (fd < 0)
                r = fd;
        else if (before->remembered)
                r = bpf_map_update_elem(fd, &key, &before->affinity, BPF_EXIST);
        else
                r = bpf_map_delete_elem(fd, &key);
        if (r)
                trace_leave(t, "that the Service's sessionAffinity remembers the trace's client: %s", strerror(-r));
}
