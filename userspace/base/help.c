/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/help.h"

void help_wrap(const char *text, size_t column, size_t indent)
{
        while (*text) {
                size_t n = strcspn(text, " ");

                if (column > indent && column + 1 + n > HELP_WIDTH) {
                        printf("\n%*s", (int)indent, "");
                        column = indent;
                } else if (column > indent) {
                        putchar(' ');
                        column++;
                }
                printf("%.*s", (int)n, text);
                column += n;
                text += n;
                text += *text == ' ';
        }
        putchar('\n');
}
