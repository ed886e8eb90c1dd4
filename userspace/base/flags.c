/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/help.h"
#include "base/str.h"
#include "base/flags.h"

#define INDENT 38

/* ---- help ---- */

static const char *value_name(enum flag_kind kind)
{
        switch (kind) {
        case FLAG_BOOL:
                return "";
        case FLAG_MS:
                return "=TIME";
        case FLAG_TEXT:
                return "=TEXT";
        default:
                return "=N";
        }
}

static void print_flag(const struct flag *f)
{
        const char *colon = *f->help == '=' ? strstr(f->help, ": ") : NULL;
        char left[160], text[600];

        if (f->kind == FLAG_HEADING) {
                printf("\n%s\n", f->help);
                return;
        }
        if (colon)
                snprintf(left, sizeof(left), "  --%s%.*s", f->name, (int)(colon - f->help), f->help);
        else
                snprintf(left, sizeof(left), "  --%s%s", f->name, value_name(f->kind));
        if (f->value && *f->value)
                snprintf(text, sizeof(text), "%s (default %s)", colon ? colon + 2 : f->help, f->value);
        else
                snprintf(text, sizeof(text), "%s", colon ? colon + 2 : f->help);
        if (strlen(left) >= INDENT)
                printf("%s\n%*s", left, INDENT, "");
        else
                printf("%-*s", INDENT, left);
        help_wrap(text, INDENT, INDENT);
}

/* ---- values ---- */

static int wrong(struct err *reterr, const struct flag *f, const char *value, const char *use)
{
        return err_set(reterr, -EINVAL, "--%s=%s: use %s", f->name, value, use);
}

static int set_number(const struct flag *f, void *at, const char *value, struct err *reterr)
{
        uint64_t max = f->max ? f->max : UINT32_MAX, n;

        if (str_parse_u64(value, &n) || n < f->min || n > max)
                return err_set(reterr, -EINVAL, "--%s=%s: use a number from %llu to %llu", f->name, value,
                               (unsigned long long)f->min, (unsigned long long)max);
        *(uint32_t *)at = (uint32_t)n;
        return 0;
}

static int set_ms(const struct flag *f, void *at, const char *value, struct err *reterr)
{
        int64_t ns, ms;

        if (str_parse_duration(value, &ns) || ns < 0)
                return wrong(reterr, f, value, "a duration such as 500ms, 40s or 5m");
        ms = ns / (int64_t)NS_PER_MS;
        if ((uint64_t)ms < f->min || (f->max && (uint64_t)ms > f->max))
                return err_set(reterr, -EINVAL, "--%s=%s: use a duration of %llu ms to %llu ms", f->name, value,
                               (unsigned long long)f->min,
                               (unsigned long long)(f->max ? f->max : (uint64_t)INT64_MAX / NS_PER_MS));
        *(int64_t *)at = ms;
        return 0;
}

static int set_double(const struct flag *f, void *at, const char *value, struct err *reterr)
{
        char *end;
        double n = strtod(value, &end);

        if (end == value || *end || !(n >= 0) || n > 1e9)
                return wrong(reterr, f, value, "a number that is not negative, such as 0.1");
        *(double *)at = n;
        return 0;
}

static int set_value(const struct flag *f, void *config, const char *value, struct err *reterr)
{
        void *at = (char *)config + f->offset;

        switch (f->kind) {
        case FLAG_TEXT:
                *(const char **)at = value;
                return 0;
        case FLAG_BOOL:
                return str_parse_bool(value, at) ? wrong(reterr, f, value, "true or false") : 0;
        case FLAG_U32:
                return set_number(f, at, value, reterr);
        case FLAG_MS:
                return set_ms(f, at, value, reterr);
        case FLAG_DOUBLE:
                return set_double(f, at, value, reterr);
        default:
                return 0;
        }
}

/* ---- the line ---- */

static const struct flag *find(const struct flag_program *p, const char *name, size_t len, void **ret_config)
{
        for (size_t k = 0; k < p->ntables; k++)
                for (size_t i = 0; i < p->tables[k].n; i++) {
                        const struct flag *f = &p->tables[k].flags[i];

                        if (f->kind == FLAG_HEADING || strlen(f->name) != len || memcmp(f->name, name, len) != 0)
                                continue;
                        *ret_config = p->tables[k].config;
                        return f;
                }
        return NULL;
}

static int set_table_defaults(const struct flag_table *t, struct err *reterr)
{
        for (size_t i = 0; i < t->n; i++) {
                const struct flag *f = &t->flags[i];
                int r = f->kind != FLAG_HEADING && f->value ? set_value(f, t->config, f->value, reterr) : 0;

                if (r)
                        return r;
        }
        return 0;
}

static int set_defaults(const struct flag_program *p, struct err *reterr)
{
        int r = 0;

        for (size_t k = 0; !r && k < p->ntables; k++)
                r = set_table_defaults(&p->tables[k], reterr);
        return r;
}

static int print_help(const struct flag_program *p)
{
        fputs(p->introduction, stdout);
        for (size_t k = 0; k < p->ntables; k++)
                for (size_t i = 0; i < p->tables[k].n; i++)
                        print_flag(&p->tables[k].flags[i]);
        puts("  --help, --version");
        if (p->closing)
                printf("\n%s", p->closing);
        return FLAGS_EXIT;
}

static int parse_one(const struct flag_program *p, int argc, char **argv, int *i, struct err *reterr)
{
        const char *name = str_after(argv[*i], "--"), *equals = name ? strchr(name, '=') : NULL, *value;
        size_t len = !name ? 0 : equals ? (size_t)(equals - name) : strlen(name);
        void *config = NULL;
        const struct flag *f = name ? find(p, name, len, &config) : NULL;

        if (!f)
                return err_set(reterr, -EINVAL, "%s: there is no such flag; --help lists them", argv[*i]);
        if (equals)
                value = equals + 1;
        else if (f->kind == FLAG_BOOL)
                value = "true";
        else if (*i + 1 < argc)
                value = argv[++*i];
        else
                return err_set(reterr, -EINVAL, "--%s needs a value", f->name);
        return set_value(f, config, value, reterr);
}

int flag_program_parse(const struct flag_program *p, int argc, char **argv, struct err *reterr)
{
        int r = set_defaults(p, reterr);

        for (int i = 1; !r && i < argc; i++) {
                if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
                        return print_help(p);
                if (str_eq(argv[i], "--version")) {
                        printf("%s %s\n", p->name, FAIRLEAD_VERSION);
                        return FLAGS_EXIT;
                }
                r = parse_one(p, argc, argv, &i, reterr);
        }
        return r;
}
