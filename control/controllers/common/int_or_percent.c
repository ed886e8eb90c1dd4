/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/common/int_or_percent.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

int64_t int_or_percent(const struct json_object *v, int64_t total, bool up, int64_t otherwise)
{
        struct json_object *borrowed = (struct json_object *)(uintptr_t)v;
        char digits[16];
        const char *text;
        int64_t percent;
        size_t n;

        if (v && json_object_is_type(v, json_type_int))
                return json_object_get_int64(v);
        if (!json_is_string(v))
                return otherwise;
        text = json_object_get_string(borrowed);
        n = strlen(text);
        if (n < 2 || n >= sizeof(digits) || text[n - 1] != '%')
                return otherwise;
        snprintf(digits, sizeof(digits), "%.*s", (int)n - 1, text);
        if (str_parse_i64(digits, &percent) || percent < 0 || percent > INT32_MAX)
                return otherwise;
        return (total * percent + (up ? 99 : 0)) / 100;
}
