/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/probes/schedule.h"

#define MS_PER_S 1000

const char *probe_kind_name(enum probe_kind kind)
{
        static const char *const names[] = {"Startup", "Liveness", "Readiness"};

        return names[kind];
}

const char *probe_kind_field(enum probe_kind kind)
{
        static const char *const names[] = {"startupProbe", "livenessProbe", "readinessProbe"};

        return names[kind];
}

/* At least least; what is absent or 0 is otherwise. */
static int64_t number(const struct json_object *probe, const char *key, int64_t otherwise)
{
        int64_t v = json_get_i64(probe, key, 0);

        return v > 0 ? v : otherwise;
}

void probe_spec_read(const struct json_object *probe, struct probe_spec *ret)
{
        *ret = (struct probe_spec){
                .delay_ms = (uint64_t)number(probe, "initialDelaySeconds", 0) * MS_PER_S,
                .period_ms = (uint64_t)number(probe, "periodSeconds", 10) * MS_PER_S,
                .timeout_ms = (uint64_t)number(probe, "timeoutSeconds", 1) * MS_PER_S,
                .successes = number(probe, "successThreshold", 1),
                .failures = number(probe, "failureThreshold", 3),
                .grace_s = json_get_i64(probe, "terminationGracePeriodSeconds", -1),
        };
}

bool probe_result(struct probe_state *s, enum probe_kind kind, const struct probe_spec *spec, bool success)
{
        enum verdict verdict = success ? VERDICT_SUCCESS : VERDICT_FAILURE;
        bool changed;

        s->run = s->run && s->last == success ? s->run + 1 : 1;
        s->last = success;
        if (s->run < (success ? spec->successes : spec->failures))
                return false;
        changed = s->verdict != verdict;
        s->verdict = verdict;
        if (!success && kind != PROBE_READINESS) {
                s->on_hold = true;
                s->run = 0;
        }
        return changed;
}

uint64_t probe_first_ms(const struct probe_spec *spec, int64_t started_ms, int64_t now_ms, bool adopted, double dice)
{
        int64_t due = started_ms + (int64_t)spec->delay_ms - now_ms;

        due = due > (int64_t)spec->delay_ms ? (int64_t)spec->delay_ms : due; /* the clock was set back */
        return (uint64_t)(due > 0 ? due : 0) + (adopted ? (uint64_t)(dice * (double)spec->period_ms) : 0);
}

uint64_t probe_next_ms(const struct probe_spec *spec, uint64_t took_ms)
{
        return took_ms < spec->period_ms ? spec->period_ms - took_ms : 0;
}
