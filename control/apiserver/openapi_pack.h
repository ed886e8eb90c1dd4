/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents are compressed while they are written, so that a megabyte of text never lies in memory as a whole: the
 * writer adds to `text` and calls packer_flush now and then.
 */
#pragma once

#include <zlib.h>

#include "apiserver/document.h"

struct packed {
        const char *content_type; /* constant */
        struct blob *gzip;        /* NULL: memory was short */
        size_t len;               /* of the text */
        char tag[DOCUMENT_TAG_SIZE];
};

struct packer {
        struct strbuf text; /* not compressed yet */
        struct strbuf out;
        z_stream z;
        bool broken;
};

void packer_init(struct packer *p);
/* Compresses the text so far when it is worth it. */
void packer_flush(struct packer *p);
/* Ends the document and releases the packer. */
void packer_finish(struct packer *p, const char *content_type, struct packed *ret);

/* The text again; empty when memory is short. */
struct strbuf packed_text(const struct packed *p);
