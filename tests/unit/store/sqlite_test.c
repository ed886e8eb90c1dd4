/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/sqlite_help.h"

static const struct store_factory sqlite_factory = {.open = help_open, .reset = help_reset};

int main(void)
{
        int failed;

        help_init();
        failed = store_suite(&sqlite_factory);
        help_deinit();
        return failed;
}
