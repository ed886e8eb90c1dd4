/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf bodies: nothing crashes, and what is decoded stays as it is when normalised again. */
#include <stdlib.h>

#include "apiserver/codec/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the kind when the envelope does not name one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_json_ struct json_object *tree = NULL, *before = NULL;
        struct codec_input in = {
                .data = (const char *)data + 1,
                .len = size - 1,
                .content_type = "application/vnd.kubernetes.protobuf",
        };
        struct err err = ERR_NULL;

        if (!size)
                return 0;
        in.type = schema_resources[*data % schema_nresources].type;
        if (codec_decode(&in, &tree, NULL, &err)) {
                if (!*err.msg)
                        abort();
                return 0;
        }
        before = json_copy(tree);
        if (codec_normalise(tree, in.type, NULL, &err) || !json_equal(before, tree))
                abort();
        return 0;
}
