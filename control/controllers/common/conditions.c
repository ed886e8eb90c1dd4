/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/str.h"
#include "controllers/common/conditions.h"

struct json_object *condition_find(struct json_object *status, const char *type)
{
        json_array_foreach (json_get(status, "conditions"), i, c)
                if (str_eq(json_get_str(c, "type"), type))
                        return c;
        return NULL;
}

const char *condition_status(struct json_object *status, const char *type)
{
        const char *value = json_get_str(condition_find(status, type), "status");

        return value ? value : "";
}

static struct json_object *condition_make(struct json_object *status, const char *type)
{
        struct json_object *c = condition_find(status, type), *list = json_get(status, "conditions");

        if (c)
                return c;
        if (!json_is_array(list)) {
                list = json_object_new_array();
                json_set(status, "conditions", list);
        }
        c = json_object_new_object();
        json_set_str(c, "type", type);
        json_object_array_add(list, c);
        return c;
}

static bool set(struct json_object *status, const char *type, const char *value, const char *reason,
                const char *message, int64_t now_s, bool stamped)
{
        struct json_object *c = condition_make(status, type);
        bool turned = !str_eq(json_get_str(c, "status"), value);
        char now[CLOCK_TEXT_SIZE];

        if (!turned && str_eq(json_get_str(c, "reason"), reason) && str_eq(json_get_str(c, "message"), message))
                return false;
        clock_format(now_s, now);
        json_set_str(c, "status", value);
        if (stamped)
                json_set_str(c, "lastUpdateTime", now);
        if (turned)
                json_set_str(c, "lastTransitionTime", now);
        json_set_str(c, "reason", reason);
        json_set_str(c, "message", message);
        return true;
}

/* What changed last stands last. */
static void move_to_end(struct json_object *list, struct json_object *c)
{
        for (size_t i = 0; i < json_len(list); i++)
                if (json_idx(list, i) == c) {
                        json_object_get(c);
                        json_object_array_del_idx(list, i, 1);
                        json_object_array_add(list, c);
                        return;
                }
}

bool condition_set(struct json_object *status, const char *type, const char *value, const char *reason,
                   const char *message, int64_t now_s)
{
        return set(status, type, value, reason, message, now_s, false);
}

bool condition_set_stamped(struct json_object *status, const char *type, const char *value, const char *reason,
                           const char *message, int64_t now_s)
{
        if (!set(status, type, value, reason, message, now_s, true))
                return false;
        move_to_end(json_get(status, "conditions"), condition_find(status, type));
        return true;
}

bool condition_remove(struct json_object *status, const char *type)
{
        struct json_object *list = json_get(status, "conditions");

        for (size_t i = 0; i < json_len(list); i++)
                if (str_eq(json_get_str(json_idx(list, i), "type"), type)) {
                        json_object_array_del_idx(list, i, 1);
                        return true;
                }
        return false;
}
