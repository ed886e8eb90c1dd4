/* SPDX-License-Identifier: Apache-2.0 */
/* Heap memory that is there or the process ends: for small, bounded sizes, where no caller could do better. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

void *mem_alloc(size_t size); /* not initialised */
void *mem_zalloc(size_t size);
/* Room for n elements of that size; the multiplication is checked. */
void *mem_realloc(void *p, size_t n, size_t size);
char *mem_strdup(const char *s); /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) _printf_(1, 2);
/* Gives free memory back to the system: of the calling thread, and of threads that have ended. Takes milliseconds. */
void mem_trim(void);
/* Large blocks (128 KiB and more) go back to the system whenever they are freed; else malloc keeps them once it has
 * seen the first. For who is large at its start and small ever after. Before there are threads. */
void mem_keep_little(void);

#define mem_new(type)      ((type *)mem_zalloc(sizeof(type)))
#define mem_array(type, n) ((type *)mem_realloc(NULL, (n), sizeof(type)))
