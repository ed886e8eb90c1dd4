/* SPDX-License-Identifier: Apache-2.0 */
/* YAML bodies: nothing crashes, and what is read is good JSON. */
#include <stdlib.h>

#include "apiserver/codec/json_read.h"
#include "kube/yaml_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_json_ struct json_object *tree = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL;
        struct json_source source = {};
        struct err err = ERR_NULL;

        if (yaml_read((const char *)data, size, &tree, &err)) {
                if (!*err.msg)
                        abort();
                return 0;
        }
        text = json_text(tree);
        source.data = text;
        source.len = strlen(text);
        if (json_read(&source, &again, &err) == 0 && !json_equal(tree, again))
                abort();
        return 0;
}
