/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "unit/controllers/histories.h"

void histories_tell(uint64_t seeds, void (*tell)(uint64_t seed, bool variant), bool variant)
{
        const char *more = getenv("FAIRLEAD_SEEDS");

        if (more)
                assert_int_equal(str_parse_u64(more, &seeds), 0);
        for (uint64_t seed = 1; seed <= seeds; seed++)
                tell(seed, variant);
}

void histories_live(struct world *w, int times, void (*happen)(void *story), void *story)
{
        for (int i = 0; i < times; i++) {
                happen(story);
                for (uint64_t n = world_random(w, 40); n; n--)
                        world_step(w);
                if (!world_random(w, 3))
                        world_pass(w, 1 + world_random(w, 1500));
        }
}
