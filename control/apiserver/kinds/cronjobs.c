/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "apiserver/kinds/jobs.h"
#include "apiserver/kinds/kinds.h"
#include "base/str.h"
#include "kube/cron.h"

/* The jobs' names are the CronJob's and 11 characters more; they may have 63. */
#define CRONJOB_NAME_MAX 52
#define ZONES            "/usr/share/zoneinfo"

static void cronjobs_defaults(const struct kctx *c, struct json_object *obj)
{
        struct json_object *spec = json_ensure(obj, "spec"), *job = json_at(spec, "jobTemplate.spec");

        pod_template_defaults(json_get(job, "template"));
        job_failure_policy_defaults(job);
        json_default_str(spec, "concurrencyPolicy", "Allow");
        json_default_bool(spec, "suspend", false);
        json_default_i64(spec, "successfulJobsHistoryLimit", 3);
        json_default_i64(spec, "failedJobsHistoryLimit", 1);
}

static void check_schedule(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        struct fpath p = fpath_child(spec_path, "schedule");
        const char *schedule = str_of(spec, "schedule");
        struct cron_schedule parsed;
        struct err err = ERR_NULL;

        if (!check_required(e, spec_path, spec, "schedule"))
                return;
        if (strstr(schedule, "TZ"))
                ferr_invalid_str(e, &p, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        else if (cron_parse(schedule, &parsed, &err))
                ferr_invalid_str(e, &p, schedule, "%s", err.msg);
}

/* A name of the zone database: parts of letters, digits and ._-+, none of them "." or "..". */
static bool is_zone_name(const char *zone)
{
        struct str_span part;

        for (const char *rest = zone; str_split(&rest, '/', &part);) {
                if (!part.n || part.n > 14 || part.s[0] == '-' || str_span_eq(part, ".") || str_span_eq(part, ".."))
                        return false;
                for (size_t i = 0; i < part.n; i++)
                        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+", part.s[i]))
                                return false;
        }
        return true;
}

static void check_time_zone(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec)
{
        const char *zone = json_get_str(spec, "timeZone");
        struct fpath p = fpath_child(spec_path, "timeZone");
        char path[128];

        if (!zone)
                return;
        snprintf(path, sizeof(path), ZONES "/%.64s", zone);
        if (!*zone)
                ferr_invalid_str(e, &p, zone, "timeZone must be nil or non-empty string");
        else if (strcasecmp(zone, "Local") == 0)
                ferr_invalid_str(e, &p, zone,
                                 "timeZone must be an explicit time zone as defined in "
                                 "https://www.iana.org/time-zones");
        else if (!is_zone_name(zone) ||
                 (strcmp(zone, "UTC") != 0 && access(ZONES, R_OK) == 0 && access(path, R_OK) != 0))
                ferr_invalid_str(e, &p, zone, "unknown time zone %s", zone);
}

static void check_job_template(const struct kctx *c, const struct fpath *spec_path, const struct json_object *spec,
                               struct ferrs *e)
{
        static const char *const no[] = {"nil", "false", NULL};
        struct json_object *job = json_at(spec, "jobTemplate.spec");
        struct fpath template = fpath_child(spec_path, "jobTemplate"), p = fpath_child(&template, "spec"),
                     selector = fpath_child(&p, "selector"), manual = fpath_child(&p, "manualSelector");

        job_check_spec(c, &p, job, e);
        if (json_has(job, "selector"))
                ferr_invalid(e, &selector, json_get(job, "selector"), "`selector` will be auto-generated");
        if (json_get_bool(job, "manualSelector", false))
                ferr_not_supported(e, &manual, "true", no);
}

static void cronjobs_validate(const struct kctx *c, const struct json_object *obj, struct ferrs *e)
{
        static const char *const policies[] = {"Allow", "Forbid", "Replace", NULL};
        static const char *const numbers[] = {"successfulJobsHistoryLimit", "failedJobsHistoryLimit", NULL};
        struct json_object *spec = json_get(obj, "spec");
        struct fpath p = fpath_child(NULL, "spec"), meta = fpath_child(NULL, "metadata"),
                     at_name = fpath_child(&meta, "name");
        const char *name = str_of(json_get(obj, "metadata"), "name");

        check_schedule(e, &p, spec);
        check_non_negative(e, &p, spec, "startingDeadlineSeconds");
        check_time_zone(e, &p, spec);
        check_one_of(e, &p, spec, "concurrencyPolicy", policies, true);
        check_job_template(c, &p, spec, e);
        check_non_negatives(e, &p, spec, numbers);
        if (strlen(name) > CRONJOB_NAME_MAX)
                ferr_invalid_str(e, &at_name, name, "must be no more than 52 characters");
}

const struct kind_ops kind_cronjobs = {
        .group = "batch",
        .plural = "cronjobs",
        .flags = KIND_GENERATION | KIND_STATUS_RESET,
        .defaults = cronjobs_defaults,
        .validate = cronjobs_validate,
};
