/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Addresses as text, for the tables that people read: the kernel's own formats write every zero of an IPv6 address. All
 * of it on the stack: iterators run in processes' context, where an element a CPU may be somebody else's as well. What
 * is global here is so that the verifier looks at it once.
 */
#pragma once

#include "addr.h"

#define TEXT_SIZE 64 /* "[fd10:244:0:1::2]:8080" at the longest form, with its NUL */

struct text {
        char s[TEXT_SIZE];
        __u32 at; /* where the next character goes: in memory, or the verifier would follow every length apart */
};

static __always_inline void text_char(struct text *t, char c)
{
        __u32 at = READ_ONCE(t->at);

        t->s[BOUND(at, TEXT_SIZE - 1)] = c;
        WRITE_ONCE(t->at, at + 1);
}

/* Decimal, up to five digits. */
__noinline int text_number(struct text *t, __u32 n)
{
        if (!t)
                return 0;
        for (__u32 unit = 10000; unit; unit /= 10)
                if (n >= unit || unit == 1)
                        text_char(t, (char)('0' + n / unit % 10));
        return 0;
}

/* Hexadecimal, without leading zeros. */
__noinline int text_group(struct text *t, __u32 n)
{
        if (!t)
                return 0;
        for (int shift = 12; shift >= 0; shift -= 4) {
                __u32 digit = n >> shift & 15;

                if (n >> shift || !shift)
                        text_char(t, (char)(digit < 10 ? '0' + digit : 'a' + digit - 10));
        }
        return 0;
}

static __always_inline __u32 addr_group(const struct addr *a, int i)
{
        return (__u32)a->b[2 * i] << 8 | a->b[2 * i + 1];
}

/* The first of the longest runs of at least two groups of zeros (RFC 5952): bit i is group i. 0: there is none. */
static __always_inline __u32 text_zeros(const struct addr *a)
{
        __u32 zero = 0, runs, from = 0, length = 0;

        for (int i = 0; i < 8; i++)
                zero |= (addr_group(a, i) - 1) >> 31 << i;
        runs = zero;
        for (__u32 n = 2; n <= 8; n++) {
                runs &= zero >> (n - 1);
                if (!runs)
                        break;
                from = runs & -runs;
                length = n;
        }
        return length ? ((1U << length) - 1) * from : 0;
}

/* What stands for group i: nothing for one of the left out ones but the first. */
__noinline int text_v6_group(struct text *t, __u32 group, __u32 i, __u32 zeros)
{
        bool in = zeros >> (i & 7) & 1, before = zeros << 1 >> (i & 7) & 1;

        if (!t || (in && before))
                return 0;
        if (i || in)
                text_char(t, ':');
        if (!in)
                text_group(t, group);
        return 0;
}

static __always_inline void text_v6(struct text *t, const struct addr *a)
{
        __u32 zeros = text_zeros(a);

        for (int i = 0; i < 8; i++)
                text_v6_group(t, addr_group(a, i), i, zeros);
        if (zeros >> 7)
                text_char(t, ':');
}

static __always_inline void text_addr(struct text *t, const struct addr *a)
{
        if (!addr_is_v4(a)) {
                text_v6(t, a);
                return;
        }
        for (int i = 12; i < 16; i++) {
                if (i > 12)
                        text_char(t, '.');
                text_number(t, a->b[i]);
        }
}

/* "10.0.0.1"; "-" for no address at all. */
__noinline int text_of_addr(struct text *t, const struct addr *a)
{
        if (!t || !a)
                return 0;
        t->at = 0;
        if (addr_is_zero(a))
                text_char(t, '-');
        else
                text_addr(t, a);
        text_char(t, '\0');
        return 0;
}

/* "10.0.0.1:80", "[fd00::1]:80"; "*:80" and "[*]:80" for any address of a family. */
__noinline int text_of_endpoint(struct text *t, const struct addr *a, __be16 port)
{
        bool v4;

        if (!t || !a)
                return 0;
        v4 = addr_is_v4(a);
        t->at = 0;
        if (!v4)
                text_char(t, '[');
        if (addr_is_zero(a) || (v4 && !a->w[3]))
                text_char(t, '*');
        else
                text_addr(t, a);
        if (!v4)
                text_char(t, ']');
        text_char(t, ':');
        text_number(t, bpf_ntohs(port));
        text_char(t, '\0');
        return 0;
}
