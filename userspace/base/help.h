/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of --help. */
#pragma once

#include <stddef.h>

#define HELP_WIDTH 110

/* Prints words from that column on, in lines within HELP_WIDTH; further lines begin at indent. Ends the line. */
void help_wrap(const char *text, size_t column, size_t indent);
