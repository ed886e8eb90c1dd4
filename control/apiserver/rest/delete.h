/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apiserver/rest/body.h"
#include "apiserver/rest/write.h"

/*
 * Deletes w's object as the options say: at once, gracefully, or after its finalizers are gone. With conflicts it tries
 * again. Returns 0 (w->result is what remains of it, NULL when it is gone) or API_ANSWERED (404, 409, ...).
 */
int delete_object(struct write *w, const struct delete_options *o);
