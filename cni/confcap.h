/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime asks for one attachment: capabilities (runtimeConfig), and the older ways of CNI's conventions to ask
 * for addresses and a MAC (args.cni, CNI_ARGS). */
#pragma once

#include "cni/conf.h"

/* 0, CNI_UNSUPPORTED_FIELD or CNI_BAD_CONFIG (CNI_BAD_ENVIRONMENT for CNI_ARGS). */
int conf_parse_capabilities(struct cni_conf *conf, const struct cni_env *env, struct err *reterr);
