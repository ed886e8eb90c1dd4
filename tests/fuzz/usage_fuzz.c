/* SPDX-License-Identifier: Apache-2.0 */
/* A kubelet's /metrics/resource. What must hold: figures are finite, not negative, and not too many. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/usage/exposition.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *first = mem_strndup((const char *)data, size), *second = mem_strndup(first, size / 2);
        struct usage_sample a, b;

        usage_sample_init(&a);
        usage_sample_init(&b);
        usage_sample_parse(&a, first, 1);
        usage_sample_parse(&b, second, 2);
        usage_sample_compare(&b, &a);
        if (a.series.count > USAGE_SERIES_MAX)
                abort();
        hashmap_foreach (&b.series, slot) {
                const struct usage_series *u = slot->value;

                if (!isfinite(u->cpu_s) || u->cpu_s < 0 || !isfinite(u->memory) || u->memory < 0 || u->cores < 0)
                        abort();
        }
        usage_sample_deinit(&a);
        usage_sample_deinit(&b);
        return 0;
}
