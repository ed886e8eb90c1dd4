/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ctl/records.h"
#include "datapath/address.h"

#define RECORD_BYTES (1U << 20)

static void read_record(struct records *r, const char *folder, const char *name)
{
        _cleanup_free_ char *path = mem_printf("%s/%s", folder, name), *text = NULL;
        struct json_object *json = NULL;
        struct record record = {0};
        size_t len;

        if (file_read(path, RECORD_BYTES, &text, &len, NULL) || json_parse(text, len, &json, NULL))
                return;
        record.json = json;
        record.pod =
                mem_printf("%s/%s", json_get_str(json, "podNamespace") ?: "?", json_get_str(json, "podName") ?: "?");
        record.ifindex = (uint32_t)json_get_i64(json, "hostIfindex", 0);
        json_array_foreach (json_get(json, "addresses"), i, item)
                if (record.addresses_n < ARRAY_SIZE(record.addresses) && json_is_string(item) &&
                    address_parse(json_object_get_string(item), &record.addresses[record.addresses_n]) == 0)
                        record.addresses_n++;
        r->items = mem_realloc(r->items, r->count + 1, sizeof(*r->items));
        r->items[r->count++] = record;
}

static int compare(const void *a, const void *b)
{
        return strcmp(((const struct record *)a)->pod, ((const struct record *)b)->pod);
}

void records_read(const struct view *v, struct records *ret)
{
        _cleanup_free_ char *folder = mem_printf("%s/attachments", v->run_dir);
        DIR *dir = opendir(folder);
        const struct dirent *entry;

        *ret = RECORDS_NULL;
        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.' && str_has_suffix(entry->d_name, ".json"))
                        read_record(ret, folder, entry->d_name);
        if (dir)
                closedir(dir);
        if (ret->count)
                qsort(ret->items, ret->count, sizeof(*ret->items), compare);
}

void records_deinit(struct records *r)
{
        for (size_t i = 0; i < r->count; i++) {
                json_object_put(r->items[i].json);
                free(r->items[i].pod);
        }
        free(r->items);
        *r = RECORDS_NULL;
}

const struct record *records_by_ifindex(const struct records *r, uint32_t ifindex)
{
        for (size_t i = 0; i < r->count; i++)
                if (r->items[i].ifindex == ifindex)
                        return &r->items[i];
        return NULL;
}

const struct record *records_by_address(const struct records *r, const struct addr *a)
{
        for (size_t i = 0; i < r->count; i++)
                for (size_t k = 0; k < r->items[i].addresses_n; k++)
                        if (address_equal(&r->items[i].addresses[k], a))
                                return &r->items[i];
        return NULL;
}

bool record_is_of(const struct record *r, const char *typed)
{
        const char *slash = strchr(r->pod, '/');

        return str_eq(r->pod, typed) || (!strchr(typed, '/') && slash && str_eq(slash + 1, typed));
}
