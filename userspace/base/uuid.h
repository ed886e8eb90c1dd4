/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define UUID_TEXT_SIZE 37

/* A random UUID (RFC 9562, version 4) in lower case with its NUL. Returns buf. Thread-safe. */
char *uuid_new(char buf[UUID_TEXT_SIZE]);
