/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/usage/exposition.h"
#include "base/mem.h"
#include "base/str.h"

#define KEY_MAX 640

void usage_sample_init(struct usage_sample *s)
{
        hashmap_init(&s->series, HASHMAP_STR_OWNED);
}

void usage_sample_deinit(struct usage_sample *s)
{
        hashmap_foreach (&s->series, slot) {
                free(slot->value);
        }
        hashmap_deinit(&s->series);
}

/* The value of a label in `a="x",b="y"`, cut out in place; "" when there is none. Escapes do not occur in names. */
static const char *take_label(char *labels, const char *name)
{
        size_t n = strlen(name);

        for (char *at = labels; (at = strstr(at, name)); at += n) {
                char *end;

                if ((at != labels && at[-1] != ',' && at[-1] != '\0') || strncmp(at + n, "=\"", 2) != 0)
                        continue;
                end = strchr(at + n + 2, '"');
                if (!end)
                        return "";
                return at + n + 2;
        }
        return "";
}

static int label_len(const char *value)
{
        return (int)strcspn(value, "\"");
}

static struct usage_series *series_of(struct usage_sample *s, const char *key)
{
        struct usage_series *u = hashmap_get(&s->series, key);

        if (u || s->series.count >= USAGE_SERIES_MAX)
                return u;
        u = mem_new(struct usage_series);
        hashmap_put(&s->series, key, u);
        return u;
}

static void make_key(char *labels, char key[KEY_MAX])
{
        const char *namespace = take_label(labels, "namespace"), *pod = take_label(labels, "pod"),
                   *container = take_label(labels, "container");

        snprintf(key, KEY_MAX, "%.*s/%.*s/%.*s", label_len(namespace), namespace, label_len(pod), pod,
                 label_len(container), container);
}

/* name{labels} value [milliseconds] */
static void take_line(struct usage_sample *s, char *line, int64_t now_ms)
{
        static const struct {
                const char *name;
                bool node, cpu;
        } known[] = {
                {"container_cpu_usage_seconds_total", false, true},
                {"container_memory_working_set_bytes", false, false},
                {"node_cpu_usage_seconds_total", true, true},
                {"node_memory_working_set_bytes", true, false},
        };
        size_t n = strcspn(line, "{ "), i = 0;
        char *rest = line + n, *labels = rest, *end, key[KEY_MAX] = "";
        struct usage_series *u;
        double value;
        long long ms;

        while (i < ARRAY_SIZE(known) && (strlen(known[i].name) != n || memcmp(known[i].name, line, n) != 0))
                i++;
        if (i == ARRAY_SIZE(known))
                return;
        if (*rest == '{') {
                labels = rest + 1;
                rest = strchr(labels, '}');
                if (!rest)
                        return;
                *rest++ = '\0';
                if (!known[i].node)
                        make_key(labels, key);
        }
        value = strtod(rest, &end);
        if (end == rest || !isfinite(value) || value < 0 || !(u = series_of(s, key)))
                return;
        ms = strtoll(end, NULL, 10);
        if (known[i].cpu) {
                u->cpu_s = value;
                u->cpu_ms = ms > 0 ? ms : now_ms;
                u->has_cpu = true;
        } else {
                u->memory = value;
                u->has_memory = true;
        }
}

void usage_sample_parse(struct usage_sample *s, char *text, int64_t now_ms)
{
        char *line;

        while ((line = strsep(&text, "\n")))
                if (*line && *line != '#')
                        take_line(s, line, now_ms);
}

void usage_sample_compare(struct usage_sample *s, const struct usage_sample *before)
{
        hashmap_foreach (&s->series, slot) {
                struct usage_series *u = slot->value;
                const struct usage_series *b = hashmap_get(&before->series, slot->key.str);

                if (!b || !u->has_cpu || !b->has_cpu)
                        continue;
                if (u->cpu_ms > b->cpu_ms && u->cpu_s >= b->cpu_s) {
                        u->cores = (u->cpu_s - b->cpu_s) * 1000 / (double)(u->cpu_ms - b->cpu_ms);
                        u->has_cores = true;
                } else if (u->cpu_ms == b->cpu_ms) { /* the kubelet has not looked again meanwhile */
                        u->cores = b->cores;
                        u->has_cores = b->has_cores;
                }
        }
}

struct usage_series *usage_sample_find(const struct usage_sample *s, const char *namespace, const char *pod,
                                       const char *container)
{
        char key[KEY_MAX] = "";

        if (namespace)
                snprintf(key, sizeof(key), "%s/%s/%s", namespace, pod, container);
        return hashmap_get(&s->series, key);
}
