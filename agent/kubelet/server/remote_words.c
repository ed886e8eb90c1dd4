/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/kubelet/server/remote.h"
#include "base/json.h"
#include "base/str.h"

#define SIZE_TEXT_MAX 1024

enum remote_stream remote_stream_named(const char *type)
{
        static const char *const names[REMOTE_STREAMS] = {"stdin", "stdout", "stderr", "error", "resize"};
        int i = 0;

        while (i < REMOTE_STREAMS && !str_eq(type, names[i]))
                i++;
        return (enum remote_stream)i;
}

static struct json_object *status_of(const char *status, const char *reason, const char *message)
{
        struct json_object *o = json_object_new_object();

        json_set(o, "metadata", json_object_new_object());
        json_set_str(o, "status", status);
        if (message)
                json_set_str(o, "message", message);
        if (reason)
                json_set_str(o, "reason", reason);
        return o;
}

static void add_cause(struct json_object *status, const char *reason, const char *message)
{
        struct json_object *cause = json_object_new_object(), *causes = json_object_new_array();

        if (reason)
                json_set_str(cause, "reason", reason);
        json_set_str(cause, "message", message);
        json_object_array_add(causes, cause);
        json_set(json_ensure(status, "details"), "causes", causes);
}

/* Takes over the status. */
static void write_status(int version, struct json_object *status, struct strbuf *b)
{
        if (version >= 4)
                json_write(b, status);
        else
                strbuf_add_str(b, json_get_str(status, "message") ?: "");
        json_object_put(status);
}

void remote_exit_status(int version, int32_t exit_code, const char *command, struct strbuf *b)
{
        _cleanup_strbuf_ struct strbuf message = STRBUF_NULL;
        struct json_object *status;
        char code[16];

        if (exit_code == 0) {
                write_status(version, status_of("Success", NULL, NULL), b);
                return;
        }
        snprintf(code, sizeof(code), "%d", exit_code);
        strbuf_printf(&message,
                      "command terminated with non-zero exit code: error executing command [%s], exit code %s", command,
                      code);
        status = status_of("Failure", "NonZeroExitCode", message.data);
        add_cause(status, "ExitCode", code);
        write_status(version, status, b);
}

void remote_error_status(int version, const char *message, struct strbuf *b)
{
        _cleanup_strbuf_ struct strbuf text = STRBUF_NULL;
        struct json_object *status;

        strbuf_printf(&text, "Internal error occurred: %s", message);
        status = status_of("Failure", "InternalError", text.data);
        add_cause(status, NULL, message);
        json_set_i64(status, "code", 500);
        write_status(version, status, b);
}

static bool take_size(const char *text, size_t n, uint16_t *ret_columns, uint16_t *ret_rows)
{
        _cleanup_json_ struct json_object *o = NULL;

        if (json_parse(text, n, &o, NULL) || !json_has(o, "Width") || !json_has(o, "Height"))
                return false;
        *ret_columns = (uint16_t)json_get_i64(o, "Width", 0);
        *ret_rows = (uint16_t)json_get_i64(o, "Height", 0);
        return true;
}

/* Objects without strings or objects in them: each ends with its brace. */
bool remote_sizes(struct strbuf *text, uint16_t *ret_columns, uint16_t *ret_rows)
{
        bool any = false;
        char *brace;

        while (text->len && (brace = memchr(text->data, '}', text->len))) {
                size_t n = (size_t)(brace + 1 - text->data);

                any |= take_size(text->data, n, ret_columns, ret_rows);
                memmove(text->data, text->data + n, text->len - n);
                text->len -= n;
        }
        if (text->len > SIZE_TEXT_MAX)
                text->len = 0;
        return any;
}
