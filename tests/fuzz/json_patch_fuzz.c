/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON patch and merge patch. The input is two lines: the document and the patch. Nothing crashes, the trees that are
 * given stay as they are, and the result is no deeper than what can be read and no larger than the patches allow.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/patch/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int engine_fn(const struct json_object *doc, const struct json_object *patch, struct json_object **ret,
                      struct err *reterr);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void run(engine_fn *engine, const struct json_object *doc, const struct json_object *patch)
{
        _cleanup_free_ char *doc_before = json_text(doc), *patch_before = json_text(patch);
        _cleanup_json_ struct json_object *out = NULL, *again = NULL;
        struct err err = ERR_NULL;
        int r = engine(doc, patch, &out, &err);
        _cleanup_free_ char *doc_after = json_text(doc), *patch_after = json_text(patch), *text = json_text(out);

        require(strcmp(doc_before, doc_after) == 0 && strcmp(patch_before, patch_after) == 0);
        require(r >= 0 && (r == 0) == (out != NULL));
        require(r == 0 || (err.code == r && *err.msg));
        if (r)
                return;
        require(strlen(text) <= strlen(doc_before) + strlen(patch_before) + 2 * PATCH_JSON_COPY_MAX);
        require(json_parse(text, strlen(text), &again, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *line = memchr(data, '\n', size), *doc_text = (const char *)data;
        _cleanup_json_ struct json_object *doc = NULL, *patch = NULL;
        size_t n = line ? (size_t)(line - doc_text) : 0;

        if (!line || json_parse(doc_text, n, &doc, NULL) || json_parse(line + 1, size - n - 1, &patch, NULL))
                return 0;
        run(patch_json_apply, doc, patch);
        run(patch_merge_apply, doc, patch);
        return 0;
}
