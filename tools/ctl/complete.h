/* SPDX-License-Identifier: Apache-2.0 */
/* What the Tab key offers: the words that may stand where the cursor is. */
#pragma once

#include <stddef.h>

/*
 * words: what was typed behind "fairctl", the last one being the beginning of the word that is completed ("" when there
 * is none yet). Shells that cut words at `=` may do so. Calls fn with each word that may stand there.
 */
void complete_words(int count, char *const words[], void (*fn)(void *userdata, const char *word), void *userdata);
