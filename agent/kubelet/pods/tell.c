/* SPDX-License-Identifier: Apache-2.0 */
/* Events about a pod and about one container of it. */
#include <stdio.h>

#include "agent/kubelet/pods/worker.h"
#include "base/mem.h"

static void record(const struct worker *w, const char *field_path, bool warning, const char *reason, const char *fmt,
                   va_list ap)
{
        struct event_object about;
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;

        event_object_of(w->pod, &about);
        about.api_version = "v1";
        about.kind = "Pod";
        about.field_path = field_path;
        strbuf_vprintf(&text, fmt, ap);
        events_record(w->pods->opts.events, &about, warning, reason, "%s", text.data);
}

void worker_warn(void *worker, const char *reason, const char *message)
{
        worker_event(worker, true, reason, "%s", message);
}

void worker_event(const struct worker *w, bool warning, const char *reason, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        record(w, NULL, warning, reason, fmt, ap);
        va_end(ap);
}

static const char *field_of(enum container_kind kind)
{
        switch (kind) {
        case KIND_INIT:
        case KIND_SIDECAR:
                return "initContainers";
        case KIND_EPHEMERAL:
                return "ephemeralContainers";
        case KIND_MAIN:
                break;
        }
        return "containers";
}

void task_event(const struct task *t, bool warning, const char *reason, const char *fmt, ...)
{
        _cleanup_free_ char *path = NULL;
        enum container_kind kind;
        va_list ap;

        if (task_spec(t, &kind))
                path = mem_printf("spec.%s{%s}", field_of(kind), t->name);
        va_start(ap, fmt);
        record(t->w, path, warning, reason, fmt, ap);
        va_end(ap);
}
