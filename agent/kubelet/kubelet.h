/* SPDX-License-Identifier: Apache-2.0 */
/* The rooms of the kubelet put together. */
#pragma once

#include "agent/kubelet/config.h"
#include "base/loop.h"

struct kubelet;

/* Adopts what runs, and begins. config is borrowed. 0 or negative errno. */
int kubelet_open(struct loop *loop, const struct kubelet_config *config, struct kubelet **ret, struct err *reterr);
/* What runs goes on. */
void kubelet_close(struct kubelet *k);
DEFINE_CLEANUP(struct kubelet *, kubelet_close)
