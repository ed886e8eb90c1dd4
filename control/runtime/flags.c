/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/help.h"
#include "base/str.h"
#include "runtime/flags.h"

#define INDENT 38

/* ---- help ---- */

static const char *value_name(enum process_flag_kind kind)
{
        switch (kind) {
        case PROCESS_BOOL:
                return "";
        case PROCESS_MS:
                return "=TIME";
        case PROCESS_TEXT:
                return "=TEXT";
        default:
                return "=N";
        }
}

static void print_flag(const struct process_flag *f)
{
        const char *colon = *f->help == '=' ? strstr(f->help, ": ") : NULL;
        char left[160], text[600];

        if (f->kind == PROCESS_HEADING) {
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

static int wrong(struct err *reterr, const struct process_flag *f, const char *value, const char *use)
{
        return err_set(reterr, -EINVAL, "--%s=%s: use %s", f->name, value, use);
}

static int set_number(const struct process_flag *f, void *at, const char *value, struct err *reterr)
{
        uint64_t max = f->max ? f->max : UINT32_MAX, n;

        if (str_parse_u64(value, &n) || n < f->min || n > max)
                return err_set(reterr, -EINVAL, "--%s=%s: use a number from %llu to %llu", f->name, value,
                               (unsigned long long)f->min, (unsigned long long)max);
        *(uint32_t *)at = (uint32_t)n;
        return 0;
}

static int set_ms(const struct process_flag *f, void *at, const char *value, struct err *reterr)
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

static int set_double(const struct process_flag *f, void *at, const char *value, struct err *reterr)
{
        char *end;
        double n = strtod(value, &end);

        if (end == value || *end || !(n >= 0) || n > 1e9)
                return wrong(reterr, f, value, "a number that is not negative, such as 0.1");
        *(double *)at = n;
        return 0;
}

static int set_value(const struct process_flag *f, void *config, const char *value, struct err *reterr)
{
        void *at = (char *)config + f->offset;

        switch (f->kind) {
        case PROCESS_TEXT:
                *(const char **)at = value;
                return 0;
        case PROCESS_BOOL:
                return str_parse_bool(value, at) ? wrong(reterr, f, value, "true or false") : 0;
        case PROCESS_U32:
                return set_number(f, at, value, reterr);
        case PROCESS_MS:
                return set_ms(f, at, value, reterr);
        case PROCESS_DOUBLE:
                return set_double(f, at, value, reterr);
        default:
                return 0;
        }
}

/* ---- the line ---- */

struct tables {
        const struct process_flag *flags[2];
        size_t n[2];
        void *config[2];
};

static const struct process_flag *find(const struct tables *t, const char *name, size_t len, void **ret_config)
{
        for (size_t k = 0; k < 2; k++)
                for (size_t i = 0; i < t->n[k]; i++) {
                        const struct process_flag *f = &t->flags[k][i];

                        if (f->kind == PROCESS_HEADING || strlen(f->name) != len || memcmp(f->name, name, len) != 0)
                                continue;
                        *ret_config = t->config[k];
                        return f;
                }
        return NULL;
}

static int set_defaults(const struct tables *t, struct err *reterr)
{
        for (size_t k = 0; k < 2; k++)
                for (size_t i = 0; i < t->n[k]; i++) {
                        const struct process_flag *f = &t->flags[k][i];
                        int r = f->kind != PROCESS_HEADING && f->value ? set_value(f, t->config[k], f->value, reterr)
                                                                       : 0;

                        if (r)
                                return r;
                }
        return 0;
}

static int print_help(const struct process_program *program, const struct tables *t)
{
        fputs(program->introduction, stdout);
        for (size_t k = 0; k < 2; k++)
                for (size_t i = 0; i < t->n[k]; i++)
                        print_flag(&t->flags[k][i]);
        puts("  --help, --version");
        if (program->permissions)
                printf("\n%s", program->permissions);
        return FLAGS_EXIT;
}

static int parse_one(const struct tables *t, int argc, char **argv, int *i, struct err *reterr)
{
        const char *name = str_after(argv[*i], "--"), *equals = name ? strchr(name, '=') : NULL, *value;
        size_t len = !name ? 0 : equals ? (size_t)(equals - name) : strlen(name);
        void *config = NULL;
        const struct process_flag *f = name ? find(t, name, len, &config) : NULL;

        if (!f)
                return err_set(reterr, -EINVAL, "%s: there is no such flag; --help lists them", argv[*i]);
        if (equals)
                value = equals + 1;
        else if (f->kind == PROCESS_BOOL)
                value = "true";
        else if (*i + 1 < argc)
                value = argv[++*i];
        else
                return err_set(reterr, -EINVAL, "--%s needs a value", f->name);
        return set_value(f, config, value, reterr);
}

int process_flags_parse(const struct process_program *program, const struct process_flag *common, size_t ncommon,
                        void *common_config, int argc, char **argv, struct err *reterr)
{
        struct tables t = {{program->flags, common}, {program->nflags, ncommon}, {program->config, common_config}};
        int r = set_defaults(&t, reterr);

        for (int i = 1; !r && i < argc; i++) {
                if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
                        return print_help(program, &t);
                if (str_eq(argv[i], "--version")) {
                        printf("%s %s\n", program->name, FAIRLEAD_VERSION);
                        return FLAGS_EXIT;
                }
                r = parse_one(&t, argc, argv, &i, reterr);
        }
        return r;
}
