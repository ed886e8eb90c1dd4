/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/kubelet/runtime/builtin/impl.h"

/* Fills the runtime, which has nothing yet, with what the records and processes tell. */
void adopt_all(struct builtin *rt);
