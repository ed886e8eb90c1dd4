/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ctl/pcapng.h"

static uint32_t word(const char *at)
{
        uint32_t n;

        memcpy(&n, at, sizeof(n));
        return n;
}

struct written {
        char *data;
        size_t size;
        FILE *to;
};

static struct pcapng *begin(struct written *w)
{
        struct pcapng *p = NULL;

        w->to = open_memstream(&w->data, &w->size);
        assert_int_equal(pcapng_new(w->to, 2047, &p), 0);
        return p;
}

/* The nth block of that type; NULL: there is none. Each has its length at both ends. */
static const char *block(const struct written *w, uint32_t type, int n)
{
        for (size_t at = 0; at < w->size;) {
                uint32_t length = word(w->data + at + 4);

                assert_int_equal(length % 4, 0);
                assert_true(at + length <= w->size);
                assert_int_equal(word(w->data + at + length - 4), length);
                if (word(w->data + at) == type && n-- == 0)
                        return w->data + at;
                at += length;
        }
        return NULL;
}

static void packets_have_their_interface_time_and_comment(void **state)
{
        struct written w = {0};
        struct pcapng *p = begin(&w);
        struct pcapng_packet packet = {
                .ifindex = 7, .hook = 1, .interface = "fl1:from_pod", .data = (const uint8_t *)"abcde"};
        const char *b;

        packet.wall_ns = 0x123456789abcdef0;
        packet.captured = 5;
        packet.length = 60;
        packet.comment = "why";
        assert_int_equal(pcapng_write(p, &packet), 0);
        packet.outbound = 1;
        packet.comment = NULL;
        assert_int_equal(pcapng_write(p, &packet), 0);
        packet.hook = 2;
        packet.interface = "fl1:to_pod";
        assert_int_equal(pcapng_write(p, &packet), 0);
        pcapng_free(p);
        fclose(w.to);

        b = block(&w, 0x0a0d0d0a, 0);
        assert_ptr_equal(b, w.data);
        assert_int_equal(word(b + 8), 0x1a2b3c4d);
        b = block(&w, 1, 0);
        assert_int_equal(word(b + 8), 1); /* Ethernet */
        assert_non_null(memmem(b, word(b + 4), "fl1:from_pod", 12));
        assert_non_null(block(&w, 1, 1));
        assert_null(block(&w, 1, 2));
        b = block(&w, 6, 0);
        assert_int_equal(word(b + 8), 0);
        assert_int_equal(word(b + 12), 0x12345678);
        assert_int_equal(word(b + 16), 0x9abcdef0);
        assert_int_equal(word(b + 20), 5);
        assert_int_equal(word(b + 24), 60);
        assert_memory_equal(b + 28, "abcde\0\0\0", 8);
        assert_int_equal(word(b + 36), 1 | 3 << 16); /* a comment of 3 bytes */
        assert_memory_equal(b + 40, "why\0", 4);
        assert_int_equal(word(b + 44), 2 | 4 << 16); /* flags */
        assert_int_equal(word(b + 48), 1);           /* inbound */
        b = block(&w, 6, 1);
        assert_int_equal(word(b + 36), 2 | 4 << 16);
        assert_int_equal(word(b + 40), 2); /* outbound */
        assert_int_equal(word(block(&w, 6, 2) + 8), 1);
        free(w.data);
}

static void a_full_disk_is_an_error(void **state)
{
        FILE *full = fopen("/dev/full", "we");
        struct pcapng *p = NULL;

        assert_non_null(full);
        setvbuf(full, NULL, _IONBF, 0);
        assert_int_equal(pcapng_new(full, 100, &p), -ENOSPC);
        assert_null(p);
        fclose(full);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(packets_have_their_interface_time_and_comment),
                cmocka_unit_test(a_full_disk_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
