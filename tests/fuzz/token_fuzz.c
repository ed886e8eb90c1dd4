/* SPDX-License-Identifier: Apache-2.0 */
/* Continue tokens: garbage is refused, and what is understood says the same when it is made again. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/rest/token.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);
        struct arena a = ARENA_NULL;
        const char *key, *again;
        uint64_t rev, rev_again;

        if (!token_parse(&a, text, &rev, &key) && (token_parse(&a, token_make(&a, rev, key), &rev_again, &again) ||
                                                   rev_again != rev || strcmp(key, again) != 0))
                abort();
        arena_deinit(&a);
        return 0;
}
