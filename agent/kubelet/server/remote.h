/* SPDX-License-Identifier: Apache-2.0 */
/* What exec, attach and run share with the words that clients hear at the end. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

enum remote_stream {
        REMOTE_STDIN,
        REMOTE_STDOUT,
        REMOTE_STDERR,
        REMOTE_ERROR,
        REMOTE_RESIZE,
        REMOTE_STREAMS,
};

/* By SPDY's header streamtype; REMOTE_STREAMS: unknown. WebSocket channels have these numbers. */
enum remote_stream remote_stream_named(const char *type);

/* What goes to the error stream: a Status from v4 on, else its message, and nothing for a success.
 * command: for the message of an exit code that is not 0. */
void remote_exit_status(int version, int32_t exit_code, const char *command, struct strbuf *b);
/* Something went wrong here. */
void remote_error_status(int version, const char *message, struct strbuf *b);

/* {"Width": 80, "Height": 24}, as many in a row as come; the rest of an incomplete one stays in text. The last one
 * counts. false: none was complete. */
bool remote_sizes(struct strbuf *text, uint16_t *ret_columns, uint16_t *ret_rows);
