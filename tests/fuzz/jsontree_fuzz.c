/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in place says what json-c says, of every text. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/jsoncheck.h"
#include "base/jsontree.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What json-c makes of it; the check before is for what it lets pass. */
static int parse(const char *data, size_t len, struct json_object **ret)
{
        struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
        enum json_tokener_error error = json_tokener_success;
        size_t at;
        bool good = json_check(data, len, JSON_DEPTH_MAX, &at);

        if (good) {
                *ret = json_tokener_parse_ex(tok, data, (int)len);
                error = json_tokener_get_error(tok);
                if (error == json_tokener_continue) { /* a bare number ends only at a NUL */
                        *ret = json_tokener_parse_ex(tok, "", 1);
                        error = json_tokener_get_error(tok);
                }
        }
        json_tokener_free(tok);
        return good && error == json_tokener_success ? 0 : -EINVAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);
        _cleanup_json_ struct json_object *theirs = NULL, *ours = NULL;
        struct jsontree tree = JSONTREE_NULL;
        const struct jnode *root = NULL;
        int r = parse((const char *)data, size, &theirs);

        memcpy(text, data, size);
        if (jsontree_parse(&tree, text, size, &root, NULL) != r)
                abort();
        ours = jnode_json(root);
        if (!r && !json_equal(theirs, ours))
                abort();
        jsontree_deinit(&tree);
        return 0;
}
