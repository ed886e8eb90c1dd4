/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patch. The input is three lines: a kind as group/version/kind (core for the first), the document and
 * the patch. Nothing crashes, the trees that are given stay as they are, and the result can be read again.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/patch/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static const struct schema_struct *type_of(const char *s, size_t n)
{
        char text[128], group[64], version[16], kind[64];

        if (n >= sizeof(text))
                return NULL;
        memcpy(text, s, n);
        text[n] = '\0';
        if (sscanf(text, "%63[^/]/%15[^/]/%63s", group, version, kind) != 3)
                return NULL;
        return schema_kind_find(strcmp(group, "core") == 0 ? "" : group, version, kind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *kind = (const char *)data, *end = kind + size, *doc_text, *patch_text;
        _cleanup_json_ struct json_object *doc = NULL, *patch = NULL, *out = NULL, *again = NULL;
        _cleanup_json_ struct json_object *doc_before = NULL, *patch_before = NULL;
        struct err err = ERR_NULL;
        int r;

        doc_text = memchr(kind, '\n', size);
        patch_text = doc_text ? memchr(doc_text + 1, '\n', (size_t)(end - doc_text - 1)) : NULL;
        if (!patch_text || json_parse(doc_text + 1, (size_t)(patch_text - doc_text - 1), &doc, NULL) ||
            json_parse(patch_text + 1, (size_t)(end - patch_text - 1), &patch, NULL))
                return 0;
        doc_before = json_copy(doc);
        patch_before = json_copy(patch);
        r = patch_strategic_apply(doc, patch, type_of(kind, (size_t)(doc_text - kind)), &out, &err);
        require(json_equal(doc, doc_before) && json_equal(patch, patch_before));
        require(r >= 0 && (r == 0) == (out != NULL) && (r == 0 || *err.msg));
        if (!r) {
                _cleanup_free_ char *text = json_text(out);

                require(json_parse(text, strlen(text), &again, NULL) == 0);
        }
        return 0;
}
