/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON bodies: nothing crashes; what is read, written and read again is the same; what is in the form of its schema
 * stays as it is. The first byte chooses the kind.
 */
#include <stdlib.h>

#include "apiserver/codec/decode.h"
#include "apiserver/codec/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_object *read_text(const char *data, size_t len)
{
        const struct json_source source = {.data = data, .len = len};
        struct json_object *tree = NULL;

        return json_read(&source, &tree, NULL) ? NULL : tree;
}

/* A tree's text means the tree. */
static void check_text(struct json_object *tree)
{
        _cleanup_free_ char *text = json_text(tree);
        _cleanup_json_ struct json_object *again = read_text(text, strlen(text));

        if (!json_equal(tree, again))
                abort();
}

/* Normalising is done once and for all. */
static void check_normal(struct json_object *tree, const struct schema_struct *type)
{
        _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
        _cleanup_json_ struct json_object *before = json_copy(tree);

        if (codec_normalise(tree, type, &report, NULL) || report.n || !json_equal(before, tree))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_report_ struct codec_report report = CODEC_REPORT_NULL;
        _cleanup_json_ struct json_object *plain = NULL, *tree = NULL;
        const struct schema_resource *resource;
        struct codec_input in = {.data = (const char *)data + 1, .len = size - 1, .validation = CODEC_WARN};
        struct err err = ERR_NULL;

        if (!size)
                return 0;
        plain = read_text(in.data, in.len);
        check_text(plain);
        resource = &schema_resources[*data % schema_nresources];
        in.type = resource->type;
        in.group = resource->group;
        in.version = resource->version;
        in.kind = resource->kind;
        if (codec_decode(&in, &tree, &report, &err) == 0)
                check_normal(tree, in.type);
        else if (!*err.msg)
                abort();
        return 0;
}
