/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "kube/cron.h"

#define FIELDS   5
#define TEXT_MAX 256

struct field {
        unsigned low, high;
        const char *const *names; /* of low, low + 1, ...; NULL-terminated */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[FIELDS] = {
        {0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, months}, {0, 6, weekdays},
};

static const struct {
        const char *name, *fields;
} descriptors[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
        {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

static int parse_number(const char *s, unsigned *ret, struct err *reterr)
{
        int64_t v;
        int r = str_parse_i64(s, &v);

        if (r)
                return err_set(reterr, -EINVAL, "failed to parse int from %s: strconv.Atoi: parsing \"%s\": %s", s, s,
                               r == -ERANGE ? "value out of range" : "invalid syntax");
        if (v < 0)
                return err_set(reterr, -EINVAL, "negative number (%lld) not allowed: %s", (long long)v, s);
        *ret = v > 100000 ? 100000 : (unsigned)v; /* far above every field */
        return 0;
}

static int parse_value(const struct field *f, const char *s, unsigned *ret, struct err *reterr)
{
        for (unsigned i = 0; f->names && f->names[i]; i++)
                if (strcasecmp(s, f->names[i]) == 0) {
                        *ret = f->low + i;
                        return 0;
                }
        return parse_number(s, ret, reterr);
}

/* Cuts s at the first sep: s keeps what is before, *ret_rest is what follows or NULL. True when there is more than one
 * sep. */
static bool cut(char *s, char sep, char **ret_rest)
{
        char *at = strchr(s, sep);

        *ret_rest = at ? at + 1 : NULL;
        if (!at)
                return false;
        *at = '\0';
        return strchr(at + 1, sep) != NULL;
}

struct range {
        unsigned start, end, step;
        bool star;
};

/* The part before the slash: a star, a value, or two with a hyphen. */
static int parse_span(const struct field *f, const char *text, char *span, struct range *r, struct err *reterr)
{
        char *last;
        int res;

        if (strcmp(span, "*") == 0 || strcmp(span, "?") == 0) {
                *r = (struct range){.start = f->low, .end = f->high, .step = 1, .star = true};
                return 0;
        }
        if (cut(span, '-', &last))
                return err_set(reterr, -EINVAL, "too many hyphens: %s", text);
        res = parse_value(f, span, &r->start, reterr);
        if (res)
                return res;
        r->end = r->start;
        r->step = 1;
        return last ? parse_value(f, last, &r->end, reterr) : 0;
}

static int check_range(const struct field *f, const char *text, const struct range *r, struct err *reterr)
{
        if (r->start < f->low)
                return err_set(reterr, -EINVAL, "beginning of range (%u) below minimum (%u): %s", r->start, f->low,
                               text);
        if (r->end > f->high)
                return err_set(reterr, -EINVAL, "end of range (%u) above maximum (%u): %s", r->end, f->high, text);
        if (r->start > r->end)
                return err_set(reterr, -EINVAL, "beginning of range (%u) beyond end of range (%u): %s", r->start,
                               r->end, text);
        if (r->step == 0)
                return err_set(reterr, -EINVAL, "step of range should be a positive number: %s", text);
        return 0;
}

static int parse_range(const struct field *f, const char *text, uint64_t *bits, bool *star, struct err *reterr)
{
        char copy[TEXT_MAX], *step;
        struct range r = {0};
        bool single;
        int res;

        str_copy(copy, sizeof(copy), text);
        if (cut(copy, '/', &step))
                return err_set(reterr, -EINVAL, "too many slashes: %s", text);
        single = !strchr(copy, '-');
        res = parse_span(f, text, copy, &r, reterr);
        if (res)
                return res;
        if (step) {
                res = parse_number(step, &r.step, reterr);
                if (res)
                        return res;
                if (single && !r.star) /* "5/10" is "5-59/10" */
                        r.end = f->high;
                if (r.step > 1)
                        r.star = false;
        }
        res = check_range(f, text, &r, reterr);
        if (res)
                return res;
        for (unsigned i = r.start; i <= r.end; i += r.step)
                *bits |= 1ULL << i;
        *star |= r.star;
        return 0;
}

static int parse_field(const struct field *f, char *text, uint64_t *ret, bool *ret_star, struct err *reterr)
{
        for (char *save = NULL, *part = strtok_r(text, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
                int r = parse_range(f, part, ret, ret_star, reterr);

                if (r)
                        return r;
        }
        return 0;
}

static int parse_fields(const char *s, struct cron_schedule *ret, struct err *reterr)
{
        char copy[TEXT_MAX], *parts[FIELDS + 1], shown[TEXT_MAX];
        struct cron_schedule c = {0};
        uint64_t *const bits[FIELDS] = {&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays};
        bool star[FIELDS] = {false};
        size_t n = 0;

        if (!str_copy(copy, sizeof(copy), s))
                return err_set(reterr, -EINVAL, "schedule is too long");
        str_copy(shown, sizeof(shown), s);
        for (char *save = NULL, *p = strtok_r(copy, " \t\n\r", &save); p; p = strtok_r(NULL, " \t\n\r", &save)) {
                if (n < FIELDS)
                        parts[n] = p;
                n++;
        }
        if (n != FIELDS)
                return err_set(reterr, -EINVAL, "expected exactly %d fields, found %zu: [%s]", FIELDS, n, shown);
        for (size_t i = 0; i < FIELDS; i++) {
                int r = parse_field(&fields[i], parts[i], bits[i], &star[i], reterr);

                if (r)
                        return r;
        }
        c.any_day = star[2];
        c.any_weekday = star[4];
        *ret = c;
        return 0;
}

int cron_parse(const char *s, struct cron_schedule *ret, struct err *reterr)
{
        const char *every = str_after(s, "@every ");
        int64_t ns;

        if (!*s)
                return err_set(reterr, -EINVAL, "empty spec string");
        if (*s != '@')
                return parse_fields(s, ret, reterr);
        for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++)
                if (strcmp(s, descriptors[i].name) == 0)
                        return parse_fields(descriptors[i].fields, ret, reterr);
        if (!every)
                return err_set(reterr, -EINVAL, "unrecognized descriptor: %s", s);
        if (str_parse_duration(every, &ns))
                return err_set(reterr, -EINVAL, "failed to parse duration %s: time: invalid duration \"%s\"", s, every);
        *ret = (struct cron_schedule){.every_s = ns < 1000000000 ? 1 : ns / 1000000000};
        return 0;
}
