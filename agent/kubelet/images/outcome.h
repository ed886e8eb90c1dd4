/* SPDX-License-Identifier: Apache-2.0 */
/* What skopeo and umoci mean by what they say on standard error. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/kubelet/images/images.h"

/* What all messages about missing rights have. */
#define OUTCOME_DENIED "pull access denied"

/* Why skopeo failed, as one short sentence about what (an image's name). Writes at most size bytes. */
enum image_outcome outcome_of_skopeo(const char *said, bool from_disk, const char *what, char *buf, size_t size);
enum image_outcome outcome_of_umoci(const char *said, const char *what, char *buf, size_t size);

/* In place: one line of well-formed UTF-8, as the API takes it; other bytes become question marks. What strangers have
 * named is in many messages, and any may have been cut. */
void outcome_clean(char *text);
