/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in place says what json-c says, of every text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/jsontree.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);
        _cleanup_json_ struct json_object *theirs = NULL, *ours = NULL;
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *root = NULL;
        int r = json_parse((const char *)data, size, &theirs, NULL);

        memcpy(text, data, size);
        if (jsontree_parse(&tree, text, size, &root, NULL) != r)
                abort();
        ours = jnode_json(root);
        if (!r && !json_equal(theirs, ours))
                abort();
        jsontree_deinit(&tree);
        return 0;
}
