/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's socket (agent/README.md): one JSON object a line each way. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define AGENT_TIMEOUT_MS 2000

struct agent_status {
        bool ready;
        char problem[256];
};

/* 0 or CNI_TRY_LATER: nobody listens. */
int agent_connect(const char *run_dir, int *ret, struct err *reterr);
/* op: "attach", "detach", "status"; id may be NULL. Does not wait for the answer. 0 or CNI_TRY_LATER. */
int agent_send(int fd, const char *op, const char *id, struct err *reterr);
/* Waits for the answer to what was sent; timeout_ms counts from here. 0, or CNI_TRY_LATER with the agent's own words
 * when it says no. ret_status, when not NULL, gets what a status says. */
int agent_answer(int fd, uint32_t timeout_ms, struct agent_status *ret_status, struct err *reterr);
/* Tells it, if it is there, and waits for nothing. */
void agent_tell_detach(const char *run_dir, const char *id);
