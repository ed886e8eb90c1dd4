/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities by name, as securityContext.capabilities has them: "NET_ADMIN", "ALL". A set is a word, bit n is
 * capability n. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

/* Docker's and containerd's default. */
uint64_t caps_default(void);
/*
 * The default (or, privileged, all of available) with what is to be dropped and added. ALL comes first, so that
 * drop: [ALL], add: [X] leaves X alone. Lists end with NULL or are NULL. What is not available is left out: nobody can
 * give what he does not have. -EINVAL names an unknown one.
 */
int caps_choose(const char *const *add, const char *const *drop, uint64_t available, bool privileged, uint64_t *ret,
                struct err *reterr);
/* ["CAP_CHOWN", ...]; the caller owns it. */
struct json_object *caps_names(uint64_t set);
