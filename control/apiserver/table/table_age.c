/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/table/table.h"
#include "base/clock.h"

#define MINUTE 60
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)

/* Below `below` seconds: the number of `unit`s, followed by that of `small` ones when there are any (small 0: never).
 */
static const struct {
        int64_t below, unit, small;
        const char *suffix, *small_suffix;
} steps[] = {
        {2 * MINUTE, 1, 0, "s", ""},        {10 * MINUTE, MINUTE, 1, "m", "s"}, {3 * HOUR, MINUTE, 0, "m", ""},
        {8 * HOUR, HOUR, MINUTE, "h", "m"}, {48 * HOUR, HOUR, 0, "h", ""},      {8 * DAY, DAY, HOUR, "d", "h"},
        {2 * YEAR, DAY, 0, "d", ""},        {8 * YEAR, YEAR, DAY, "y", "d"},    {INT64_MAX, YEAR, 0, "y", ""},
};

const char *table_duration(struct arena *a, int64_t seconds)
{
        size_t i = 0;
        int64_t rest;

        if (seconds < -1)
                return "<invalid>";
        if (seconds < 0)
                return "0s";
        while (i < ARRAY_SIZE(steps) - 1 && seconds >= steps[i].below)
                i++;
        rest = steps[i].small ? seconds % steps[i].unit / steps[i].small : 0;
        if (!rest)
                return arena_printf(a, "%lld%s", (long long)(seconds / steps[i].unit), steps[i].suffix);
        return arena_printf(a, "%lld%s%lld%s", (long long)(seconds / steps[i].unit), steps[i].suffix, (long long)rest,
                            steps[i].small_suffix);
}

const char *table_since(const struct table_ctx *ctx, const char *time)
{
        struct timespec t;

        if (!time || clock_parse(time, &t))
                return "<unknown>";
        return table_duration(ctx->arena, ctx->now_s - t.tv_sec);
}

const char *table_age(const struct table_ctx *ctx, const struct json_object *obj)
{
        return table_since(ctx, json_at_str(obj, "metadata.creationTimestamp"));
}
