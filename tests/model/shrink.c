// SPDX-License-Identifier: Apache-2.0
/* Makes a case small: tries what may be left out, and leaves it out when the fault is still there. */
#include <stdlib.h>
#include <string.h>

#include "model/case.h"

/* The programs choose by chance: a case that shows the fault only sometimes is tried so often. */
enum { TRIES = 3 };

struct shrinking {
        struct player *p;
        struct play_case *best, trial;
        struct fault *fault;
};

static bool still_fails(struct shrinking *s)
{
        static struct fault fault;

        for (int i = 0; i < TRIES; i++) {
                if (player_play(s->p, &s->trial, &fault) || fault.kind != s->fault->kind)
                        continue;
                *s->best = s->trial;
                *s->fault = fault;
                return true;
        }
        s->trial = *s->best;
        return false;
}

static bool drop_steps(struct shrinking *s, size_t from, size_t n)
{
        bool any = false;

        for (size_t i = from; i < from + n && i < s->trial.n; i++) {
                any |= !s->trial.steps[i].off;
                s->trial.steps[i].off = true;
        }
        return any && still_fails(s);
}

static bool fewer_steps(struct shrinking *s)
{
        bool better = false;

        for (size_t n = s->trial.n / 2; n; n /= 2)
                for (size_t from = 0; from < s->trial.n; from += n)
                        better |= drop_steps(s, from, n);
        return better;
}

/* One field becomes its plainest value. */
#define PLAINER(s, field, value) ((int)((s)->trial.field != (value) && ((s)->trial.field = (value), still_fails(s))))

static bool plainer_step(struct shrinking *s, size_t i)
{
        bool better = false;

        if (s->trial.steps[i].off || s->trial.steps[i].kind >= STEP_SERVICE)
                return false;
        better |= PLAINER(s, steps[i].nedits, 0);
        while (s->trial.steps[i].nedits > 1 && (s->trial.steps[i].nedits--, still_fails(s)))
                better = true;
        better |= PLAINER(s, steps[i].cut, 0) | PLAINER(s, steps[i].gso, 0) | PLAINER(s, steps[i].marked, false);
        better |= PLAINER(s, steps[i].payload, 0) | PLAINER(s, steps[i].ttl, 64) | PLAINER(s, steps[i].tos, 0);
        better |= PLAINER(s, steps[i].flags, 0) | PLAINER(s, steps[i].seq, 0) | PLAINER(s, steps[i].ack, 0);
        for (uint32_t bit = 1; bit <= SPEC_MAPPED; bit <<= 1)
                if (s->trial.steps[i].flags & bit)
                        better |= PLAINER(s, steps[i].flags, s->trial.steps[i].flags & ~bit);
        return better | PLAINER(s, steps[i].id, 0) | PLAINER(s, steps[i].quoted, 0);
}

static bool plainer_service(struct shrinking *s, struct svc *svc)
{
        bool better = false;
        uint8_t *flags[] = {&svc->external, &svc->balancer, &svc->internal_local, &svc->external_local,
                            &svc->balancing};

        if (!svc->present)
                return false;
        svc->present = false;
        if (still_fails(s))
                return true;
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
                if (*flags[i] && (*flags[i] = 0, still_fails(s)))
                        better = true;
        if (svc->affinity_s && (svc->affinity_s = 0, still_fails(s)))
                better = true;
        if (svc->nports > 1 && (svc->nports = 1, still_fails(s)))
                better = true;
        for (int i = 0; i < SERVICE_CIDRS; i++)
                if (svc->ranges[i].place && (svc->ranges[i] = (struct cidr){0}, still_fails(s)))
                        better = true;
        for (int i = 0; i < SERVICE_ENDS; i++)
                if (svc->ends[i].place && (svc->ends[i] = (struct end){0}, still_fails(s)))
                        better = true;
        return better;
}

static bool plainer_world(struct shrinking *s)
{
        struct world *w = &s->trial.world;
        bool better = false;

        for (int i = 0; i < WORLD_SERVICES; i++)
                better |= plainer_service(s, &w->services[i]);
        for (size_t i = 0; i < s->trial.n; i++)
                if (!s->trial.steps[i].off && s->trial.steps[i].kind == STEP_SERVICE)
                        better |= plainer_service(s, &s->trial.steps[i].svc);
        for (int i = 0; i < WORLD_HOSTPORTS; i++)
                better |= PLAINER(s, world.host_ports[i].pod, 0);
        for (int i = 0; i < WORLD_PODS; i++)
                better |= PLAINER(s, world.pods[i].egress_bits, 0) | PLAINER(s, world.pods[i].ingress_bits, 0) |
                          PLAINER(s, world.pods[i].v4, true) | PLAINER(s, world.pods[i].v6, true) |
                          PLAINER(s, world.pods[i].present, true);
        for (int i = 0; i < WORLD_NODES; i++)
                better |= PLAINER(s, world.nodes[i], true);
        for (int i = 0; i < 2; i++)
                better |= PLAINER(s, world.uplinks[i], true) | PLAINER(s, world.node_ports[i], true);
        better |= PLAINER(s, world.node_v4, true) | PLAINER(s, world.node_v6, true) | PLAINER(s, world.uplink_v4, true);
        better |= PLAINER(s, world.uplink_v6, true) | PLAINER(s, world.service_cidr, true);
        return better | PLAINER(s, world.non_masquerade, true) | PLAINER(s, world.pod_mtu, 0) |
               PLAINER(s, world.no_vxlan, false);
}

void shrink(struct player *p, struct play_case *c, struct fault *fault)
{
        struct shrinking *s = calloc(1, sizeof(*s));
        bool better = true;

        if (!s)
                abort();
        *s = (struct shrinking){.p = p, .best = c, .trial = *c, .fault = fault};
        if (fault->step + 1 < s->trial.n) { /* what came after it */
                s->trial.n = fault->step + 1;
                still_fails(s);
        }
        for (int round = 0; round < 4 && better; round++) {
                better = fewer_steps(s);
                for (size_t i = 0; i < s->trial.n; i++)
                        better |= plainer_step(s, i);
                better |= plainer_world(s);
        }
        free(s);
}
