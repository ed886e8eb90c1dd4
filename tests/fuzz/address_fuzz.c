/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and networks out of API objects and settings, and mount tables: what is accepted is written canonically,
 * and what is written reads back as the same; IPv4 and IPv6 never mix; nothing reads or writes beyond its buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "datapath/address.h"
#include "datapath/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static void try_address(const char *text)
{
        char written[ADDRESS_TEXT], port[ADDRESS_TEXT];
        struct addr a, again;

        if (address_parse(text, &a))
                return;
        address_text(&a, written);
        require(address_parse(written, &again) == 0 && address_equal(&a, &again));
        require(address_is_v4(&a) == !strchr(written, ':'));
        address_port_text(&a, 0xffff, port);
        require(strstr(port, written) != NULL);
}

static void try_network(const char *text)
{
        struct addr a, again, cut;
        uint32_t bits, bits_again;
        char written[ADDRESS_TEXT];
        bool strict;

        if (address_parse_cidr(text, false, &a, &bits))
                return;
        cut = address_mask(&a, bits);
        strict = address_parse_cidr(text, true, &again, &bits_again) == 0;
        require(strict == address_equal(&cut, &a));
        require(bits <= 128 && address_in(&a, &a, bits) && address_in(&cut, &a, bits));
        address_cidr_text(&a, bits, written);
        require(address_parse_cidr(written, false, &again, &bits_again) == 0);
        require(address_equal(&a, &again) && bits == bits_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);
        char path[32] = "";

        try_address(text);
        try_network(text);
        if (cgroup_parse_mountinfo(text, path, sizeof(path)) == 0)
                require(strlen(path) < sizeof(path));
        return 0;
}
