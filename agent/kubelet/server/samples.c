/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/server/samples.h"

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"

#define LEAST_NS  NS_PER_S
#define EXPIRY_NS (600 * NS_PER_S)

struct sample {
        char *key;
        uint64_t cpu_ns, at_ns, rate;
        bool has_rate;
};

struct samples {
        struct hashmap by_key;
};

static void sample_free(struct sample *x)
{
        free(x->key);
        free(x);
}

struct samples *samples_new(void)
{
        struct samples *s = mem_new(struct samples);

        hashmap_init(&s->by_key, HASHMAP_STR);
        return s;
}

void samples_free(struct samples *s)
{
        if (!s)
                return;
        hashmap_foreach (&s->by_key, slot)
                sample_free(slot->value);
        hashmap_deinit(&s->by_key);
        free(s);
}

bool samples_rate(struct samples *s, const char *key, uint64_t cpu_ns, uint64_t mono_ns, uint64_t *ret)
{
        struct sample *x = hashmap_get(&s->by_key, key);

        if (!x) {
                x = mem_new(struct sample);
                *x = (struct sample){.key = mem_strdup(key), .cpu_ns = cpu_ns, .at_ns = mono_ns};
                hashmap_put(&s->by_key, x->key, x);
        } else if (mono_ns - x->at_ns >= LEAST_NS) {
                uint64_t used = cpu_ns > x->cpu_ns ? cpu_ns - x->cpu_ns : 0;

                x->rate = (uint64_t)((double)used * (double)NS_PER_S / (double)(mono_ns - x->at_ns));
                x->has_rate = true;
                x->cpu_ns = cpu_ns;
                x->at_ns = mono_ns;
        }
        if (x->has_rate)
                *ret = x->rate;
        return x->has_rate;
}

void samples_expire(struct samples *s, uint64_t mono_ns)
{
        for (bool again = true; again;) {
                again = false;
                hashmap_foreach (&s->by_key, slot) {
                        struct sample *x = slot->value;

                        if (mono_ns - x->at_ns < EXPIRY_NS)
                                continue;
                        hashmap_del(&s->by_key, x->key);
                        sample_free(x);
                        again = true;
                        break;
                }
        }
}
