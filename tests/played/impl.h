/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "played/node.h"

extern const struct runtime_ops played_runtime_ops;

/* Each carries out and answers the next thing that was asked. False: there is nothing to do now. */
bool played_runtime_turn(void);
bool played_rooms_turn(void);
bool played_api_turn(void);
/* When the next stop's grace is over; UINT64_MAX: nothing waits. */
uint64_t played_runtime_due_ms(void);
void played_runtime_forget(bool fate);
void played_rooms_forget(void);
void played_api_forget(bool fate);
void played_tell_pod(struct json_object *pod);
