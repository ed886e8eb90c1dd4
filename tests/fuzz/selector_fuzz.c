/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors: nothing crashes, and what was understood is understood the same after printing it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void labels(const char *text)
{
        _cleanup_strbuf_ struct strbuf once = STRBUF_NULL, twice = STRBUF_NULL;
        _cleanup_selector_ struct selector *s = NULL, *again = NULL;
        struct err err;

        if (selector_parse(text, &s, &err))
                return;
        strbuf_add_str(&once, "");
        strbuf_add_str(&twice, "");
        selector_write(&once, s);
        if (selector_parse(once.data, &again, &err))
                abort();
        selector_write(&twice, again);
        if (strcmp(once.data, twice.data) != 0)
                abort();
        selector_match_json(s, NULL);
}

static void fields(const char *text)
{
        _cleanup_strbuf_ struct strbuf once = STRBUF_NULL, twice = STRBUF_NULL;
        _cleanup_field_selector_ struct field_selector *s = NULL, *again = NULL;
        struct err err;

        if (field_selector_parse(text, &s, &err))
                return;
        strbuf_add_str(&once, "");
        strbuf_add_str(&twice, "");
        field_selector_write(&once, s);
        if (field_selector_parse(once.data, &again, &err) || again->nreqs != s->nreqs)
                abort();
        field_selector_write(&twice, again);
        if (strcmp(once.data, twice.data) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);

        labels(text);
        fields(text);
        return 0;
}
