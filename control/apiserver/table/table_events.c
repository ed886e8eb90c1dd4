/* SPDX-License-Identifier: Apache-2.0 */
/* Events of both groups: the same object with other names for its fields. */
#include <ctype.h>

#include "apiserver/table/table_cell.h"
#include "base/str.h"

static const char *either(const struct json_object *o, const char *a, const char *b)
{
        const char *s = json_at_str(o, a);

        return str_empty(s) ? json_at_str(o, b) : s;
}

static struct json_object *target_of(const struct json_object *event)
{
        struct json_object *o = json_get(event, "involvedObject");

        return o ? o : json_get(event, "regarding");
}

static const char *first_seen(const struct table_ctx *ctx, const struct json_object *event)
{
        const char *first = either(event, "firstTimestamp", "deprecatedFirstTimestamp");

        return table_since(ctx, first ? first : json_get_str(event, "eventTime"));
}

static struct json_object *cell_first_seen(CELL_ARGS)
{
        return text_cell(first_seen(ctx, obj));
}

static struct json_object *cell_last_seen(CELL_ARGS)
{
        const char *last = either(obj, "lastTimestamp", "deprecatedLastTimestamp");

        if (json_get(obj, "series"))
                return text_cell(table_since(ctx, json_at_str(obj, "series.lastObservedTime")));
        return text_cell(last ? table_since(ctx, last) : first_seen(ctx, obj));
}

static struct json_object *cell_event_count(CELL_ARGS)
{
        int64_t count = json_get_i64(obj, "count", json_get_i64(obj, "deprecatedCount", 0));

        if (json_get(obj, "series"))
                return json_object_new_int64(json_at_i64(obj, "series.count", 0));
        return json_object_new_int64(count ? count : 1);
}

static struct json_object *cell_object(CELL_ARGS)
{
        const struct json_object *target = target_of(obj);
        const char *kind = json_get_str(target, "kind"), *name = json_get_str(target, "name");
        struct strbuf b = STRBUF_NULL;

        for (; kind && *kind; kind++)
                strbuf_add_char(&b, (char)tolower((unsigned char)*kind));
        if (!str_empty(name))
                strbuf_printf(&b, "/%s", name);
        return text_cell_take(&b, "");
}

static struct json_object *cell_subobject(CELL_ARGS)
{
        return text_cell(json_get_str(target_of(obj), "fieldPath"));
}

static struct json_object *cell_source(CELL_ARGS)
{
        const char *component = either(obj, "source.component", "deprecatedSource.component");
        const char *instance = either(obj, "source.host", "deprecatedSource.host");

        if (str_empty(component))
                component = either(obj, "reportingComponent", "reportingController");
        if (str_empty(instance))
                instance = json_get_str(obj, "reportingInstance");
        if (!component)
                component = "";
        return text_cell(str_empty(instance) ? component : arena_printf(ctx->arena, "%s, %s", component, instance));
}

/* Without the blanks around it. */
static struct json_object *cell_message(CELL_ARGS)
{
        const char *s = either(obj, "message", "note");
        size_t n;

        if (!s)
                return text_cell("");
        while (isspace((unsigned char)*s))
                s++;
        n = strlen(s);
        while (n && isspace((unsigned char)s[n - 1]))
                n--;
        return json_object_new_string_len(s, (int)n);
}

static const struct table_column events[] = {
        TEXT_COLUMN("Last Seen", "Time since it was last seen", cell_last_seen, .path = NULL),
        TEXT("Type", "Normal or Warning", "type", .otherwise = ""),
        TEXT("Reason", "Why it came about, in a word", "reason", .otherwise = ""),
        TEXT_COLUMN("Object", "Object that it is about", cell_object, .path = NULL),
        WIDE_TEXT_COLUMN("Subobject", "Part of the object", cell_subobject, .path = NULL),
        WIDE_TEXT_COLUMN("Source", "Who reported it", cell_source, .path = NULL),
        TEXT_COLUMN("Message", "What happened", cell_message, .path = NULL),
        WIDE_TEXT_COLUMN("First Seen", "Time since it was first seen", cell_first_seen, .path = NULL),
        WIDE_TEXT_COLUMN("Count", "How often it was seen", cell_event_count, .path = NULL),
        {
                .name = "Name",
                .type = "string",
                .format = "name",
                .priority = 1,
                .description = "Name of the object",
                .cell = cell_str,
                .path = "metadata.name",
        },
};

const struct table_def table_events[] = {
        TABLE("", "events", events, .summarise = NULL),
        TABLE("events.k8s.io", "events", events, .summarise = NULL),
        {.plural = NULL},
};
