/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "datapath/maglev.h"

#define SLOTS_A_MEMBER 100

/* A bijection of 64 bits in which every input bit changes about half of the output's. The tables of all nodes depend on
 * it: it is part of the format and never changes. */
static uint64_t mix(uint64_t x)
{
        x ^= x >> 32;
        x *= 0xd6e8feb86659fd93ULL;
        x ^= x >> 29;
        x *= 0x9e3779b97f4a7c15ULL;
        x ^= x >> 32;
        return x;
}

/* Bytes are put together by hand, so that big and little endian nodes agree. */
uint64_t maglev_identity(const struct addr *a, __be16 port, uint8_t proto)
{
        const unsigned char *p = (const unsigned char *)&port;
        uint64_t h = mix((uint64_t)p[0] << 16 | (uint64_t)p[1] << 8 | proto);

        for (int half = 0; half < 2; half++) {
                uint64_t word = 0;

                for (int i = 0; i < 8; i++)
                        word = word << 8 | a->b[8 * half + i];
                h = mix(h ^ word) + word;
        }
        return mix(h);
}

static bool is_prime(uint32_t n)
{
        for (uint32_t i = 2; i * i <= n; i++)
                if (n % i == 0)
                        return false;
        return n > 1;
}

uint32_t maglev_size(uint32_t members)
{
        uint32_t size;

        if (members < 2)
                return members;
        if (members >= MAGLEV_MAX_SIZE / SLOTS_A_MEMBER + 1)
                return MAGLEV_MAX_SIZE;
        for (size = members * SLOTS_A_MEMBER; !is_prime(size);)
                size++;
        return size;
}

/* A member's permutation of the table (first slot and step), how far it has come, and its turns. */
struct seat {
        const struct maglev_member *member;
        uint32_t slot, step;
        uint64_t credit;
};

static int compare_seats(const void *a, const void *b)
{
        const struct maglev_member *x = ((const struct seat *)a)->member, *y = ((const struct seat *)b)->member;

        if (x->identity != y->identity)
                return x->identity < y->identity ? -1 : 1;
        return (x->value > y->value) - (x->value < y->value);
}

static uint32_t seat_all(const struct maglev_member *members, uint32_t count, uint32_t size, struct seat *seats)
{
        uint32_t heaviest = 1;

        for (uint32_t i = 0; i < count; i++) {
                uint64_t h = mix(members[i].identity);

                seats[i].member = &members[i];
                seats[i].slot = (uint32_t)(h >> 32) % size;
                seats[i].step = (uint32_t)h % (size - 1) + 1;
                heaviest = MAX(heaviest, members[i].weight);
        }
        qsort(seats, count, sizeof(*seats), compare_seats);
        return heaviest;
}

static void take_next(struct seat *seat, uint32_t size, uint32_t *table, bool *taken)
{
        while (taken[seat->slot])
                seat->slot = seat->slot + seat->step < size ? seat->slot + seat->step : seat->slot + seat->step - size;
        taken[seat->slot] = true;
        table[seat->slot] = seat->member->value;
}

/* Rounds in which the heaviest member takes a slot each time, and the others as often as their weight says. */
static void play(struct seat *seats, uint32_t count, uint32_t heaviest, uint32_t size, uint32_t *table, bool *taken)
{
        uint32_t left = size;

        for (;;) {
                for (uint32_t i = 0; i < count; i++) {
                        seats[i].credit += MAX(seats[i].member->weight, 1U);
                        if (seats[i].credit < heaviest)
                                continue;
                        seats[i].credit -= heaviest;
                        take_next(&seats[i], size, table, taken);
                        if (--left == 0)
                                return;
                }
        }
}

int maglev_fill(const struct maglev_member *members, uint32_t count, uint32_t size, uint32_t *table)
{
        _cleanup_free_ struct seat *seats = NULL;
        _cleanup_free_ bool *taken = NULL;

        if (!count || !size)
                return size ? -EINVAL : 0;
        if (size == 1) {
                table[0] = members[0].value;
                return 0;
        }
        if (!is_prime(size)) /* then a permutation would not reach every slot */
                return -EINVAL;
        seats = calloc(count, sizeof(*seats));
        taken = calloc(size, sizeof(*taken));
        if (!seats || !taken)
                return -ENOMEM;
        play(seats, count, seat_all(members, count, size, seats), size, table, taken);
        return 0;
}
