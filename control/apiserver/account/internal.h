/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apiserver/account/tokens.h"

#define TOKEN_AUDIENCES_MAX 16

struct tokens {
        struct jwt_keys *keys;
        char *issuer, *public_url;
        char *audiences[TOKEN_AUDIENCES_MAX + 1];
};
