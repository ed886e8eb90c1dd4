/* SPDX-License-Identifier: Apache-2.0 */
/* Stored bytes, whatever they are: nothing is read beyond them, and in valid JSON a member is what a parser finds. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/object.h"
#include "apiserver/peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kind_field fields[] = {
        {.label = "a", .path = "spec.a", .otherwise = "none"}, {.label = "b", .path = "b"}, {.label = NULL}};
static const struct kind_ops ops = {.group = "", .plural = "things", .fields = fields};

static void compare_members(const struct json_object *tree, struct span json)
{
        json_foreach (tree, key, val) {
                struct span text = peek_plain_string(peek_member(json, key));

                if (!json_is_string(val) || !text.p || strpbrk(key, "\"\\"))
                        continue;
                if (text.len != (size_t)json_object_get_string_len(val) ||
                    memcmp(text.p, json_object_get_string(val), text.len) != 0)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct span json = {(const char *)data, size}, k, v;
        _cleanup_json_ struct json_object *tree = NULL;
        _cleanup_blob_ struct blob *b = blob_new(data, size);
        _cleanup_object_ struct object *o = NULL, *later = NULL;
        _cleanup_strbuf_ struct strbuf compact = STRBUF_NULL;
        size_t at = 0;

        while (peek_next(json, &at, &k, &v))
                peek_path(v, "a.b");
        peek_path(json, "metadata.labels");
        o = object_new(&ops, "ns", "x", 7, 7, b);
        later = o ? object_at_revision(&ops, o, 123456) : NULL;
        if (json_parse((const char *)data, size, &tree, NULL) || !json_is_object(tree))
                return 0;
        json_write(&compact, tree); /* what the server stores has no blanks and no key twice */
        compare_members(tree, (struct span){compact.data, compact.len});
        return 0;
}
