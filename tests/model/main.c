// SPDX-License-Identifier: Apache-2.0
/*
 * Random packets through the programs and the model; see README.md. A seed stands for the programs' knobs and a list of
 * cases, each a world and what happens in it.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/case.h"

#define STEPS_A_CASE   220
#define PACKETS_A_SEED 25000

struct options {
        uint64_t seed, packets, only_case;
        unsigned seconds;
        bool has_seed, has_case, must_cover, quiet;
};

static uint64_t played; /* packets */

static const char help[] = "usage: model [--seed N [--case N]] [--packets N | --seconds N] [--cover]\n"
                           "  --seed N     begin with that seed (default: 1, 2, ... and one of the clock)\n"
                           "  --case N     only that case of the seed\n"
                           "  --packets N  in all (default 200000)\n"
                           "  --seconds N  until they have passed\n"
                           "  --cover      fail when something of the datapath was never reached\n"
                           "The programs are those of $FL_BUILD/bpf (default: build/bpf). Needs root.\n";

static uint64_t clock_seed(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return 1000000 + (uint64_t)now.tv_sec % 1000000000 * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool parse(int argc, char **argv, struct options *ret)
{
        static const struct option options[] = {{"seed", 1, NULL, 's'},
                                                {"case", 1, NULL, 'c'},
                                                {"packets", 1, NULL, 'p'},
                                                {"seconds", 1, NULL, 't'},
                                                {"cover", 0, NULL, 'v'},
                                                {"help", 0, NULL, 'h'},
                                                {0}};
        int c;

        *ret = (struct options){.packets = 200000};
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                switch (c) {
                case 's':
                        ret->seed = strtoull(optarg, NULL, 0);
                        ret->has_seed = true;
                        break;
                case 'c':
                        ret->only_case = strtoull(optarg, NULL, 0);
                        ret->has_case = true;
                        break;
                case 'p':
                        ret->packets = strtoull(optarg, NULL, 0);
                        break;
                case 't':
                        ret->seconds = (unsigned)strtoul(optarg, NULL, 0);
                        ret->packets = UINT64_MAX;
                        break;
                case 'v':
                        ret->must_cover = true;
                        break;
                default:
                        fputs(help, c == 'h' ? stdout : stderr);
                        exit(c == 'h' ? 0 : 2);
                }
        }
        return optind == argc;
}

/* Plays a new case, step by step as it is made. */
static bool one_case(struct player *p, const struct knobs *knobs, struct dice *r, struct play_case *c,
                     struct fault *fault)
{
        struct fault second;
        bool fine = true;

        memset(c, 0, sizeof(*c));
        generate_world(r, knobs, &c->world);
        player_begin(p, c);
        for (size_t i = 0; i < STEPS_A_CASE && fine; i++) {
                generate_step(r, p, i, &c->steps[i]);
                c->n = i + 1;
                fine = player_step(p, i, fault);
        }
        if (fine)
                return player_end(p, fault);
        player_end(p, &second);
        return false;
}

static void complain(struct player *p, struct play_case *c, struct fault *fault, uint64_t seed, uint64_t number)
{
        char first[FAULT_TEXT];

        strcpy(first, fault->text);
        printf("model and programs disagree (seed %llu, case %llu, step %zu): %s\n", (unsigned long long)seed,
               (unsigned long long)number, fault->step, first);
        fflush(stdout);
        if (getenv("MODEL_QUICK")) /* tests/model/mutants only wants to know */
                return;
        printf("making it smaller...\n");
        shrink(p, c, fault);
        tell_case(c, fault);
        printf("to see it again: FL_BUILD=build build/model --seed %llu --case %llu\n", (unsigned long long)seed,
               (unsigned long long)number);
}

static bool one_seed(const struct options *o, uint64_t seed, uint64_t packets, time_t until)
{
        struct dice r = {seed};
        struct knobs knobs = generate_knobs(&r, seed);
        struct rig *rig = rig_open(&knobs);
        struct player *p = player_new(rig);
        static struct play_case c;
        static struct fault fault;
        bool fine = true;

        for (uint64_t i = o->has_case ? o->only_case : 0; fine && p->packets < packets && time(NULL) < until; i++) {
                struct dice mine = {seed * 0x9e3779b97f4a7c15ULL + i};

                fine = one_case(p, &knobs, &mine, &c, &fault);
                if (!fine)
                        complain(p, &c, &fault, seed, i);
                if (o->has_case)
                        break;
        }
        played += p->packets;
        player_free(p);
        rig_close(rig);
        return fine;
}

int main(int argc, char **argv)
{
        struct options o;
        uint64_t fresh = clock_seed(), seeds, seed;
        time_t until;
        bool fine;

        if (!parse(argc, argv, &o)) {
                fputs(help, stderr);
                return 2;
        }
        until = o.seconds ? time(NULL) + o.seconds : (time_t)1 << 40;
        seeds = o.packets / PACKETS_A_SEED;
        for (uint64_t i = 0; i == 0 || (i < seeds && time(NULL) < until); i++) {
                seed = o.has_seed ? o.seed + i : o.seconds ? fresh + i : i + 1 == seeds ? fresh : i + 1;
                if (seed == fresh)
                        printf("the fresh seed is %llu\n", (unsigned long long)seed);
                fflush(stdout);
                if (!one_seed(&o, seed, o.packets < PACKETS_A_SEED ? o.packets : PACKETS_A_SEED, until))
                        return 1;
                if (o.has_case)
                        return 0;
        }
        fine = cover_report(o.must_cover);
        printf("%llu packets; the fresh seed was %llu\n", (unsigned long long)played, (unsigned long long)fresh);
        return fine ? 0 : 1;
}
